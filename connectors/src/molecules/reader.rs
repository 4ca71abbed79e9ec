//! The frames of one file of either format, checked.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use thalweg::molecules::Molecule;

use super::error::MoleculeError;
use super::lines::Lines;
use super::parsed::{Notes, Parsed};
use super::unit::Unit;
use super::{checks, sdf, xyz};

/// A format of molecules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// XYZ, plain or extended.
    Xyz,
    /// SDF, or a single MOL file; V2000 and V3000.
    Sdf,
}

impl std::str::FromStr for Format {
    type Err = ();
    fn from_str(text: &str) -> Result<Format, ()> {
        match text {
            "xyz" | "extxyz" => Ok(Format::Xyz),
            "sdf" | "mol" => Ok(Format::Sdf),
            _ => Err(()),
        }
    }
}

impl Format {
    /// The format that a path's ending says, `.gz` behind it left aside.
    pub fn by_ending(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        name.rsplit_once('.')?.1.parse().ok()
    }
}

/// Reads the frames of one file in order. Memory is that of one frame, and no more than its text
/// allows.
///
/// ```
/// use std::path::Path;
/// # use thalweg_connectors::molecules::{Format, Reader};
///
/// let text = "2\nProperties=species:S:1:pos:R:3 energy=-31.7\nH 0 0 0\nH 0 0 0.74\n";
/// let mut reader = Reader::new(Path::new("h2.xyz"), Format::Xyz, text.as_bytes());
/// let h2 = reader.next()?.unwrap();
/// assert_eq!((h2.z, h2.energy), (vec![1, 1], Some(-31.7)));
/// assert!(reader.next()?.is_none());
/// # Ok::<(), thalweg_connectors::molecules::MoleculeError>(())
/// ```
pub struct Reader<R: BufRead> {
    path: PathBuf,
    format: Format,
    lines: Lines<R>,
    frame: i64,
    ended: bool,
    units_checked: bool,
    trajectory: bool,
    unit: Option<Unit>,
    atoms_before: Option<usize>,
    notes: Notes,
}

impl<R: BufRead> Reader<R> {
    /// Reads `reader`, whose text is of `format`; `path` is its name.
    pub fn new(path: &Path, format: Format, reader: R) -> Reader<R> {
        Reader {
            path: path.into(),
            format,
            lines: Lines::new(reader),
            frame: 0,
            ended: false,
            units_checked: false,
            trajectory: false,
            unit: None,
            atoms_before: None,
            notes: Notes::default(),
        }
    }

    /// The same for frames of one molecule that moves, if it is `true`: another number of atoms is noted.
    #[must_use]
    pub fn of_trajectory(self, trajectory: bool) -> Reader<R> {
        Reader { trajectory, ..self }
    }

    /// The same with each `value` in this unit, which is also that of a frame that states none; an unknown unit is
    /// an error. With `None` a `value` stays as it is written.
    #[must_use]
    pub fn values_in(self, unit: Option<Unit>) -> Reader<R> {
        Reader { unit, ..self }
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number that the next frame will have.
    pub fn position(&self) -> i64 {
        self.frame
    }

    /// What was found odd since the last call, one text a kind in the reader's life.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes.texts)
    }

    /// The next frame; `None` at the end, and behind an error that is not recoverable.
    ///
    /// # Errors
    /// A frame that breaks its format, or whose atoms are not elements at finite places of their own.
    #[expect(clippy::should_implement_trait, reason = "an iterator's items would hide that some errors end it")]
    pub fn next(&mut self) -> Result<Option<Molecule>, MoleculeError> {
        if self.ended {
            return Ok(None);
        }
        let read = match self.format {
            Format::Xyz => xyz::read(&mut self.lines, &mut self.notes),
            Format::Sdf => sdf::read(&mut self.lines, &mut self.notes),
        };
        match read.and_then(|parsed| parsed.map(|parsed| self.checked(parsed)).transpose()) {
            Ok(Some(mut molecule)) => {
                molecule.frame = self.frame;
                self.frame += 1;
                Ok(Some(molecule))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(error) => {
                self.frame += 1;
                self.ended = !error.recoverable();
                Err(error)
            }
        }
    }

    fn checked(&mut self, mut parsed: Parsed) -> Result<Molecule, MoleculeError> {
        parsed.convert(self.unit, &mut self.notes)?;
        let Parsed { molecule, lines, .. } = parsed;
        if let Some((i, j)) = checks::overlap(&molecule.pos) {
            let found = format!("an atom in the place of that of line {}", lines[i]);
            return Err(MoleculeError::frame(lines[j], found, format!("atoms {} Å apart or more", checks::NEAREST)));
        }
        if !self.units_checked && molecule.pos.len() > 1 {
            self.units_checked = true;
            if let Some(doubt) = checks::doubtful_unit(&molecule) {
                self.notes.once("units", || format!("line {}: {doubt}", molecule.line));
            }
        }
        let atoms = molecule.z.len();
        if let Some(before) = self.atoms_before.replace(atoms).filter(|&n| n != atoms && self.trajectory) {
            let line = molecule.line;
            self.notes.once("atoms", || format!("line {line}: {atoms} atoms, the frame before has {before}"));
        }
        Ok(molecule)
    }
}

/// Opens a file for a [`Reader`], unpacking it if it begins as gzip does.
///
/// # Errors
/// What the operating system says.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    Ok(if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(1 << 16, flate2::bufread::MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}
