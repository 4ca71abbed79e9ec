//! `draw`: one frame of any input as a picture: points from above by class or by height, a molecule, or a pose over its points.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use thalweg::points::radar::JOINTS;
use thalweg::{Classes, Frame, Next, Source};
use thalweg_connectors::molecules::{self, Format, Molecules, MoleculesOptions};
use thalweg_connectors::points::files_options::FilesOptions;
use thalweg_connectors::points::folder::{self, Files};
use thalweg_connectors::points::joints::joints;
use thalweg_connectors::points::truth::WithTruth;

use crate::failure::Failure;
use crate::{output, plot};

/// Size of a panel.
const SIZE: [u32; 2] = [1000, 1000];

/// The colours of a class table.
pub fn classes(classes: &Classes) -> plot::ClassTable {
    if classes.iter().any(|(_, name)| name == "road") {
        plot::ClassTable::SemanticKitti
    } else {
        plot::ClassTable::Asprs
    }
}

/// Draws the first frame of `input` that has points; `labels` are its classes, or joints.
///
/// # Errors
/// An input that cannot be read, or has no frame.
pub fn draw(input: &Path, labels: Option<&Path>, output: &Path) -> Result<(), Failure> {
    let read: Vec<_> = [("the input", input)].into_iter().chain(labels.map(|path| ("the labels", path))).collect();
    output::picture("output", output, &read)?;
    if is_molecule(input) {
        return molecule(input, output);
    }
    let open = || Files::open(input, FilesOptions::default());
    let Some(path) = labels else {
        let frame = first(open()?, input)?;
        if frame.truth.is_some() {
            return by_class(&frame, output);
        }
        let points = places(&frame);
        let (quantity, values) = match &frame.intensity {
            Some(intensity) => ("intensity", intensity.clone()),
            None => ("height (m)", frame.z.clone()),
        };
        let panel = plot::Depth { title: "from above", points: &points, values: &values, quantity };
        return plot::Figure::new(frame.name(), SIZE).panel(panel).save(output);
    };
    if let Ok(joints) = joints(path) {
        return pose(open()?, &joints, input, output);
    }
    by_class(&first(WithTruth::new(open()?, path)?, input)?, output)
}

/// True for a file of molecules, or a folder of such files. `.xyz` is the ending of points too: molecules begin with the number of their atoms.
fn is_molecule(path: &Path) -> bool {
    if path.is_dir() {
        let points = folder::format_of(path, None).is_some_and(|format| format.name != "xyz");
        let mut files = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let shown = |path: &Path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
        return !points && files.any(|file| file.is_file() && shown(&file) && is_molecule(&file));
    }
    let mut line = String::new();
    let mut begins = |path| molecules::open(path).and_then(|mut text| text.read_line(&mut line)).is_ok();
    match Format::by_ending(path) {
        Some(Format::Sdf) => true,
        Some(Format::Xyz) => begins(path) && line.trim().parse::<u64>().is_ok(),
        None => false,
    }
}

fn places(frame: &Frame) -> Vec<[f32; 3]> {
    (0..frame.len()).map(|i| [frame.x[i], frame.y[i], frame.z[i]]).collect()
}

/// The first frame that holds a point.
fn first(mut source: impl Source<Item = Frame>, input: &Path) -> Result<Frame, Failure> {
    loop {
        match source.next().map_err(Failure::run)? {
            Next::Item(frame) if frame.is_empty() => {}
            Next::Item(frame) => return Ok(frame),
            Next::Idle => std::thread::sleep(std::time::Duration::from_millis(2)),
            Next::End => return Err(Failure::run(format!("{}: found no frame with points", input.display()))),
        }
    }
}

fn by_class(frame: &Frame, output: &Path) -> Result<(), Failure> {
    let points = places(frame);
    let labels = frame.truth.as_ref().map_or(&[][..], |truth| &truth.class);
    let las = frame.path.as_deref().and_then(Path::extension).is_some_and(|ending| ending == "las" || ending == "laz");
    let classes = if las { plot::ClassTable::Asprs } else { plot::ClassTable::SemanticKitti };
    let panel = plot::BirdsEye { title: "classes", points: &points, labels, classes };
    plot::Figure::new(frame.name(), SIZE).panel(panel).save(output)
}

fn pose(
    mut source: impl Source<Item = Frame>,
    joints: &BTreeMap<i64, [[f32; 3]; JOINTS]>,
    input: &Path,
    output: &Path,
) -> Result<(), Failure> {
    loop {
        match source.next().map_err(Failure::run)? {
            Next::Item(frame) => {
                let Some(found) = joints.get(&frame.id).filter(|_| !frame.is_empty()) else { continue };
                let (points, title) = (places(&frame), frame.name());
                let person = plot::Person { title: &title, truth: None, prediction: Some(found), points: &points };
                return plot::side_by_side(plot::Figure::new("Pose", [480, 720]), &[person]).save(output);
            }
            Next::Idle => std::thread::sleep(std::time::Duration::from_millis(2)),
            Next::End => return Err(Failure::run(format!("{}: found no frame with joints", input.display()))),
        }
    }
}

fn molecule(input: &Path, output: &Path) -> Result<(), Failure> {
    let mut source = Molecules::open(&[input.into()], MoleculesOptions::default())?;
    match source.next().map_err(Failure::run)? {
        Next::Item(molecule) => {
            let title = molecule.name.clone().unwrap_or_else(|| format!("{} atoms", molecule.z.len()));
            let panel = plot::Molecule { title: &title, numbers: &molecule.z, positions: &molecule.pos };
            plot::Figure::new(input.display().to_string(), SIZE).panel(panel).save(output)
        }
        _ => Err(Failure::run(format!("{}: found no frame", input.display()))),
    }
}
