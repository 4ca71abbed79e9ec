//! Molecules from files, one a frame: extended XYZ ([`xyz`]) and SDF or MOL ([`sdf`]), plain or
//! gzipped.
//!
//! A frame is checked as it is read: every atom is an element at a finite place, and no two atoms
//! share a place. A frame that fails is one error, and reading goes on behind it where the
//! format says where it ends. What is odd but may be meant is a note.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::error::{At, Error};

mod checks;
pub mod elements;
mod lines;
pub mod sdf;
mod source;
#[cfg(test)]
mod tests;
pub mod xyz;

use lines::Lines;
pub use source::{Molecules, MoleculesOptions};
pub use thalweg::molecules::Molecule;

/// A format of molecules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// XYZ, plain or extended.
    Xyz,
    /// SDF, or a single MOL file; V2000 and V3000.
    Sdf,
}

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoleculeError {
    /// The operating system refused, or gzip data are broken.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The frame breaks its format, or is no molecule.
    #[error("line {line}: found {found}, expected {expected}")]
    Malformed {
        /// The line, from 1.
        line: u64,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
        /// True if the next frame can be read.
        recoverable: bool,
    },
}

impl MoleculeError {
    /// One frame is lost; the next can be read.
    fn frame(line: u64, found: impl Into<String>, expected: impl Into<String>) -> MoleculeError {
        MoleculeError::Malformed { line, found: found.into(), expected: expected.into(), recoverable: true }
    }

    /// The same, but nothing says where the next frame begins.
    fn last(mut self) -> MoleculeError {
        if let MoleculeError::Malformed { recoverable, .. } = &mut self {
            *recoverable = false;
        }
        self
    }

    /// True if the error is about one frame, and the reader can go on with the next.
    pub fn recoverable(&self) -> bool {
        matches!(self, MoleculeError::Malformed { recoverable: true, .. })
    }

    /// The same as the connectors' error about a file.
    pub fn at(self, path: &Path) -> Error {
        match self {
            MoleculeError::Io(error) => Error::io(path, error),
            MoleculeError::Malformed { line, found, expected, .. } => {
                Error::malformed(path, At::Line(line), found, expected)
            }
        }
    }
}

/// Text as a message shows it: quoted, and no longer than 40 characters.
fn shown(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// What readers find odd, once a kind.
#[derive(Debug, Default)]
struct Notes {
    kinds: Vec<&'static str>,
    texts: Vec<String>,
}

impl Notes {
    fn once(&mut self, kind: &'static str, text: impl FnOnce() -> String) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
            self.texts.push(text());
        }
    }
}

/// A frame as its format's reader hands it over, before the checks that all formats share.
#[derive(Default)]
struct Parsed {
    molecule: Molecule,
    /// The line of each atom, `[atoms]`.
    lines: Vec<u64>,
}

impl Parsed {
    /// Adds the atom of line `line`: a symbol or an atomic number, and x, y and z as words.
    fn push(&mut self, line: u64, element: &str, place: [&str; 3]) -> Result<(), MoleculeError> {
        let digits = element.bytes().all(|b| b.is_ascii_digit());
        let z = if digits {
            element.parse().ok().filter(|&z| elements::symbol(z).is_some())
        } else {
            elements::number(element)
        };
        let z = z.ok_or_else(|| MoleculeError::frame(line, shown(element), "a chemical symbol"))?;
        let mut at = [0.0; 3];
        for (at, word) in at.iter_mut().zip(place) {
            *at = lines::real(word).filter(|x| x.abs() <= checks::FARTHEST).ok_or_else(|| {
                MoleculeError::frame(line, shown(word), format!("a coordinate within {:e} Å", checks::FARTHEST))
            })?;
        }
        self.molecule.z.push(z);
        self.molecule.pos.push(at);
        self.lines.push(line);
        Ok(())
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
            atoms_before: None,
            notes: Notes::default(),
        }
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

    fn checked(&mut self, Parsed { molecule, lines }: Parsed) -> Result<Molecule, MoleculeError> {
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
        // Records of an SDF are different molecules; frames of XYZ are mostly one that moves.
        if let Some(before) = self.atoms_before.replace(atoms).filter(|&n| n != atoms && self.format == Format::Xyz) {
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
