//! Molecules: XYZ with atoms for points, SDF and MOL, in one file or in a folder of them; read as `run molecule` reads them.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use thalweg::molecules::Molecule;
use thalweg::{Next, Source};

use super::report::{Field, Report};
use crate::molecules::elements::symbol;
use crate::molecules::{Format, Molecules, MoleculesOptions, open};
use crate::notices::Notices;
use crate::on_error::OnError;

/// Bytes in which the first lines of a file of molecules end.
const HEAD: u64 = 1 << 16;

/// The name of a format of molecules and what it is, if a file is of one. `.xyz` is the ending of points, too.
pub(super) fn format(path: &Path) -> Option<(&'static str, &'static str)> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let named = name.strip_suffix(".gz").unwrap_or(&name).ends_with(".extxyz");
    match Format::by_ending(path).filter(|_| path.is_file())? {
        Format::Sdf => Some(("sdf", "molecules, SDF or MOL")),
        Format::Xyz => {
            let [count, comment, atom] = first_lines(path)?;
            let extended = ["properties=", "lattice="].iter().any(|key| comment.to_lowercase().contains(key));
            let atoms = count.trim().parse::<u64>().is_ok() && (extended || is_atom(&atom));
            match () {
                () if named || (atoms && extended) => Some(("extxyz", "molecules, extended XYZ")),
                () if atoms => Some(("xyz", "molecules, XYZ")),
                () => None,
            }
        }
    }
}

/// The first line that is not blank, and two more; those that are not there are blank.
fn first_lines(path: &Path) -> Option<[String; 3]> {
    let mut head = Vec::new();
    // Of a damaged packed file the lines before the damage.
    let _ = open(path).ok()?.take(HEAD).read_to_end(&mut head);
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.trim_start_matches('\u{feff}').lines().skip_while(|line| line.trim().is_empty());
    Some(std::array::from_fn(|_| lines.next().unwrap_or_default().to_string()))
}

/// True for a word of letters and three numbers: points begin with numbers.
fn is_atom(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let symbol = words.next().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
    symbol && words.take(3).filter(|word| word.parse::<f64>().is_ok()).count() == 3
}

/// What the molecules of a file or folder add up to.
#[derive(Default)]
struct Survey {
    frames: u64,
    atoms: u64,
    /// Fewest and most atoms of a frame.
    size: Option<(usize, usize)>,
    elements: BTreeSet<u8>,
    /// Frames that have an energy, forces, a value, a cell.
    has: [u64; 4],
}

impl Survey {
    fn add(&mut self, molecule: &Molecule) {
        let atoms = molecule.z.len();
        self.frames += 1;
        self.atoms += atoms as u64;
        let (least, most) = self.size.unwrap_or((atoms, atoms));
        self.size = Some((least.min(atoms), most.max(atoms)));
        self.elements.extend(&molecule.z);
        let has =
            [molecule.energy.is_some(), molecule.forces.is_some(), molecule.value.is_some(), molecule.cell.is_some()];
        self.has.iter_mut().zip(has).for_each(|(count, has)| *count += u64::from(has));
    }

    /// Puts what there is into the report, behind what it says already.
    fn tell(&self, report: &mut Report) {
        let size = match self.size {
            Some((least, most)) if least == most => format!("; {least} atoms in each frame"),
            Some((least, most)) => format!("; {least} to {most} atoms a frame"),
            None => String::new(),
        };
        report.what += &format!(", an input of `molecule`{size}");
        report.readable = true;
        (report.frames, report.atoms) = (Some(self.frames), Some(self.atoms));
        report.elements = self.elements.iter().filter_map(|&z| symbol(z)).map(str::to_string).collect();
        report.fields = vec![Field::new("species", "symbol"), Field::new("pos", "float64 Å")];
        let kinds =
            [("energy", "float64 eV"), ("forces", "float64 eV/Å"), ("value", "float64"), ("Lattice", "float64 Å")];
        for ((name, kind), count) in kinds.into_iter().zip(self.has).filter(|(_, count)| *count > 0) {
            let some = if count < self.frames { format!(" ({count} of the frames)") } else { String::new() };
            report.fields.push(Field::new(name, format!("{kind}{some}")));
        }
    }
}

/// Reads all frames of a file, or of the files in a folder, passing over what cannot be read.
pub(super) fn inspect(path: &Path, report: &mut Report) {
    let notices = Notices::default();
    let options = MoleculesOptions { on_error: OnError::Skip, notices: notices.clone(), ..MoleculesOptions::default() };
    let mut survey = Survey::default();
    let end = Molecules::open(&[path.into()], options).map_err(thalweg::BoxError::from).and_then(|mut molecules| {
        while let Next::Item(molecule) = molecules.next()? {
            survey.add(&molecule);
        }
        Ok(())
    });
    survey.tell(report);
    let passed = |text: String| text.replacen(": passed over: ", ": ", 1);
    report.problems.extend(notices.warnings().into_iter().map(passed));
    // The first of them are named already.
    let unreadable = notices.drops().remove("unreadable").map_or(0, |dropped| dropped.count);
    report.problems.extend((unreadable > 1).then(|| format!("{unreadable} unreadable")));
    report.problems.extend(end.err().map(|error| error.to_string()));
}
