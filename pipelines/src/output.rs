//! From `--output` to a sink: one file, or a folder of segments; and the check that it is no input.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thalweg::Sink;
use thalweg_connectors::out::records::{Ending, TableSink};
use thalweg_connectors::out::segments::{Roll, SegmentSink};
use thalweg_connectors::out::store::is_bucket;
use thalweg_connectors::out::writer::{Batches, SchemaRef};
use thalweg_connectors::points::registry;

use crate::failure::Failure;
use crate::keys::{Key, Keys};
use crate::settings::Settings;

/// Frames of a segment.
pub const FRAMES: Key = Key {
    name: "segment_frames",
    default: "600",
    expected: "a number of frames, 1 or more",
    what: "of an output ending in /: a segment is published after so many frames",
};

/// Age of a segment.
pub const SECONDS: Key = Key {
    name: "segment_seconds",
    default: "60",
    expected: "seconds, 1 or more",
    what: "of an output ending in /: or after so many seconds",
};

/// When a segment of a folder is full.
pub fn roll(keys: &mut Keys<'_>, settings: &Settings) -> Roll {
    if !settings.output.as_deref().is_some_and(|output| output.ends_with('/')) {
        keys.refuse(&[&FRAMES, &SECONDS], "an output ending in / beside it: one file has no segments");
    }
    Roll { items: keys.take(&FRAMES, |n| *n > 0), age: Duration::from_secs(keys.take(&SECONDS, |n| *n > 0)) }
}

/// A table in one file, or in a folder of segments.
///
/// # Errors
/// No output (exit 2), an ending that names no table format (exit 78), a place that cannot be written (exit 1).
pub fn table<T: 'static>(
    settings: &Settings,
    schema: SchemaRef,
    batches: Batches<T>,
    roll: Roll,
) -> Result<Box<dyn Sink<T>>, Failure> {
    let output = destination(settings)?;
    if output.ends_with('/') {
        return Ok(Box::new(SegmentSink::create(Path::new(output), schema, batches, roll)?));
    }
    Ok(Box::new(TableSink::create(Path::new(output), schema, batches)?))
}

/// What is wrong with an output beyond what a pipeline says of it, without opening anything.
pub fn problems(settings: &Settings) -> Vec<String> {
    let Some(output) = settings.output.as_deref() else { return Vec::new() };
    let mut problems = Vec::new();
    let folder = output.ends_with('/');
    if settings.checkpoint.is_some() && (!folder || settings.output_format.is_some()) {
        let found = match settings.output_format {
            Some(_) if folder => format!("output_format beside checkpoint and {output}"),
            _ => output.to_string(),
        };
        problems.push(format!(
            "output: found {found}, expected a folder of segments, a name ending in /: --checkpoint is for these"
        ));
    }
    if !folder && is_bucket(Path::new(output)) {
        let expected = "a name ending in /: what a bucket takes is a folder of segments";
        problems.push(format!("output: found {output}, expected {expected}"));
    } else if !folder && settings.output_format.is_none() {
        problems.extend(Ending::of(Path::new(output)).err().map(|error| error.to_string()));
    }
    if let Some(checkpoint) = &settings.checkpoint {
        let same = |path: &Path| place(checkpoint).is_some_and(|own| place(path) == Some(own));
        if same(Path::new(output)) {
            problems.push(format!(
                "checkpoint: found {}, which is the output, expected a folder of its own",
                checkpoint.display()
            ));
        }
        for (what, _) in settings.reads().into_iter().filter(|(_, path)| same(path)) {
            problems.push(format!(
                "checkpoint: found {}, which is {what}, expected a folder of its own",
                checkpoint.display()
            ));
        }
    }
    if let Err(Failure::Config(more)) = apart(settings) {
        problems.extend(more);
    }
    problems
}

/// The path that `--output` names.
///
/// # Errors
/// None (exit 2).
pub fn destination(settings: &Settings) -> Result<&str, Failure> {
    settings.output.as_deref().ok_or_else(|| Failure::Usage("--output: found none, expected a path".into()))
}

/// Checks that the run writes over nothing that it reads.
///
/// # Errors
/// An output that is an input, lies in place of one or among the files of one (exit 78).
pub fn apart(settings: &Settings) -> Result<(), Failure> {
    let Some(output) = settings.output.as_deref() else { return Ok(()) };
    let inputs: Vec<(&str, &Path)> = settings.reads();
    for (what, input) in &inputs {
        if clash(Path::new(output), input) {
            let found = format!("output: found {output}, which is or holds {what} {}", input.display());
            return Err(Failure::config(format!(
                "{found}, expected a place of its own: a run does not write over what it reads"
            )));
        }
    }
    if [&settings.contacts, &settings.tests, &settings.edges, &settings.nodes].iter().all(|paths| paths.is_empty()) {
        return Ok(());
    }
    let rejected = PathBuf::from(format!("{}.rejected.csv", output.trim_end_matches('/')));
    match inputs.iter().find(|(_, input)| clash(&rejected, input)) {
        None => Ok(()),
        Some((what, _)) => {
            let expected = format!("another: malformed rows go to {}, which is {what}", rejected.display());
            Err(Failure::config(format!("output: found {output}, expected {expected}")))
        }
    }
}

/// Checks that a file that a command writes is none that it reads; `option` is how messages call it.
///
/// # Errors
/// See [`apart`].
pub fn spares(option: &str, output: &Path, inputs: &[(&str, &Path)]) -> Result<(), Failure> {
    match inputs.iter().find(|(_, input)| clash(output, input)) {
        None => Ok(()),
        Some((what, input)) => {
            let found = format!("found {}, which is or holds {what} {}", output.display(), input.display());
            Err(Failure::config(format!("{option}: {found}, expected a place of its own")))
        }
    }
}

/// Checks that a picture is none of the files that are read, and has the ending of what it is.
///
/// # Errors
/// See [`spares`]; another ending than `.png` (exit 78).
pub fn picture(option: &str, output: &Path, inputs: &[(&str, &Path)]) -> Result<(), Failure> {
    if !output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        return Err(Failure::config(format!("{option}: found {}, expected a name ending in .png", output.display())));
    }
    spares(option, output, inputs)
}

/// True if what is written at `output` would take the place of `input`, of a file read in it, or of a folder that it lies in.
fn clash(output: &Path, input: &Path) -> bool {
    let (Some(to), Ok(from)) = (place(output), input.canonicalize()) else { return false };
    let folder = to.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/");
    to == from
        || same_file(&to, &from)
        || (folder && from.starts_with(&to))
        || (from.is_dir() && to.exists() && is_read(&to, &from))
}

/// True for what a run reads in an input folder: files of a known format, and the parts of a KITTI sequence.
fn is_read(path: &Path, folder: &Path) -> bool {
    let parts = ["poses.txt", "times.txt", "calib.txt", "labels", "velodyne"];
    let part = path.parent() == Some(folder) && parts.iter().any(|part| path.ends_with(part));
    let inside = path.parent().is_some_and(|parent| parent == folder || parent == folder.join("velodyne"));
    part || (inside && registry::by_extension(path).is_some())
}

/// A path as the system resolves it; of one that does not exist yet the folder that it will stand in.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(found) = path.canonicalize() {
        return Some(found);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}

#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| std::fs::metadata(path).map(|kind| (kind.dev(), kind.ino())).ok();
    id(a).is_some_and(|a| Some(a) == id(b))
}

#[cfg(not(unix))]
fn same_file(_: &Path, _: &Path) -> bool {
    false
}
