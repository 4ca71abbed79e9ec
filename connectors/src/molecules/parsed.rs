//! A frame as its format's reader hands it over, and what readers find odd on the way.

use thalweg::molecules::Molecule;

use super::checks::FARTHEST;
use super::elements;
use super::error::{MoleculeError, shown};
use super::lines::real;
use super::unit::{NAMES, Unit};

/// What readers find odd, once a kind.
#[derive(Debug, Default)]
pub(super) struct Notes {
    kinds: Vec<&'static str>,
    pub(super) texts: Vec<String>,
}

impl Notes {
    pub(super) fn once(&mut self, kind: &'static str, text: impl FnOnce() -> String) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
            self.texts.push(text());
        }
    }
}

/// What is said of a molecule with a charge.
pub(super) fn charged(charge: &str) -> String {
    format!("a charge of {charge} in all, which is not used: the models are of neutral molecules")
}

/// A frame as its format's reader hands it over, before the checks that all formats share.
#[derive(Default)]
pub(super) struct Parsed {
    pub(super) molecule: Molecule,
    /// The line of each atom, `[atoms]`.
    pub(super) lines: Vec<u64>,
    /// The unit that the frame states, and the line where it does.
    pub(super) unit: Option<(u64, String)>,
}

impl Parsed {
    /// Adds the atom of line `line`: a symbol or an atomic number, and x, y and z as words.
    pub(super) fn push(&mut self, line: u64, element: &str, place: [&str; 3]) -> Result<(), MoleculeError> {
        let digits = element.bytes().all(|b| b.is_ascii_digit());
        let z = if digits {
            element.parse().ok().filter(|&z| elements::symbol(z).is_some())
        } else {
            elements::number(element)
        };
        let z = z.ok_or_else(|| MoleculeError::frame(line, shown(element), "a chemical symbol"))?;
        let mut at = [0.0; 3];
        for (at, word) in at.iter_mut().zip(place) {
            *at = real(word).filter(|x| x.abs() <= FARTHEST).ok_or_else(|| {
                MoleculeError::frame(line, shown(word), format!("a coordinate within {FARTHEST:e} Å"))
            })?;
        }
        self.molecule.z.push(z);
        self.molecule.pos.push(at);
        self.lines.push(line);
        Ok(())
    }

    /// Brings the truth to the units of a [`Molecule`]: energies to eV, forces to eV/Å, a `value` to `wanted`.
    /// An unknown unit is an error where a truth is wanted; else what it belongs to is left out, and noted.
    pub(super) fn convert(&mut self, wanted: Option<Unit>, notes: &mut Notes) -> Result<(), MoleculeError> {
        let Some((line, stated)) = self.unit.take() else { return Ok(()) };
        let Molecule { energy, forces, value, .. } = &mut self.molecule;
        if value.is_none() && energy.is_none() && forces.is_none() {
            return Ok(());
        }
        let Some(unit) = Unit::spelt(&stated) else {
            let found = format!("unit {}", shown(&stated));
            if wanted.is_some() {
                return Err(MoleculeError::frame(line, found, NAMES));
            }
            let what = if value.is_some() { "value" } else { "energy and forces" };
            notes.once("unit", || format!("line {line}: {what} left out, found {found}, expected {NAMES}"));
            if value.take().is_none() {
                (*energy, *forces) = (None, None);
            }
            return Ok(());
        };
        match (value, wanted) {
            (Some(value), Some(wanted)) => *value *= unit.per(wanted),
            (Some(_), None) => {}
            (None, _) => {
                energy.iter_mut().for_each(|energy| *energy *= unit.ev);
                forces.iter_mut().flatten().flatten().for_each(|force| *force *= unit.ev);
            }
        }
        Ok(())
    }
}
