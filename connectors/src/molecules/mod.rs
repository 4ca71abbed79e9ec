//! Molecules from files, one a frame: extended XYZ ([`xyz`]) and SDF or MOL ([`sdf`]), plain or
//! gzipped.
//!
//! A frame is checked as it is read: every atom is an element at a finite place, and no two atoms
//! share a place. A frame that fails is one error, and reading goes on behind it where the
//! format says where it ends. What is odd but may be meant is a note.
//!
//! A frame may state the unit of its truth: of `value` where it has one, else of `energy` and `forces`
//! (per Å). Without it they are eV and eV/Å, and a `value` is in the unit that the reader is told.

mod checks;
pub mod elements;
mod error;
mod lines;
mod parsed;
mod reader;
pub mod sdf;
mod source;
#[cfg(test)]
mod strict_tests;
#[cfg(test)]
mod tests;
mod unit;
pub mod xyz;

pub use error::MoleculeError;
pub use reader::{Format, Reader, open};
pub use source::{Molecules, MoleculesOptions};
pub use thalweg::molecules::Molecule;
pub use unit::{NAMES as UNIT_NAMES, UNITS, Unit};
