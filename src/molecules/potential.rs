//! Which molecule it is, and its energy and forces.

use std::path::Path;

use super::atom::Atom;
use super::coupling::Coupling;
use super::read::{File, Fitted, Kind, read};
use super::topology::{FAR, bonds, hops, length2};
use crate::Error;
use crate::graph::PeriodicEdge;
use crate::layers::model_file;

/// Energies and forces of the molecules that a file knows.
///
/// The weights come with the molecule's bonds: a frame whose atoms are bonded otherwise is refused, in whatever order they come.
#[derive(Clone, Debug)]
pub struct Potential {
    file: File,
    coupling: Coupling,
}

/// The result for one frame, in the unit of [`Potential::unit`].
#[derive(Clone, Debug, PartialEq)]
pub struct EnergyAndForces {
    /// The whole frame's energy.
    pub energy: f64,
    /// `[atoms, 3]`, unit / angstrom: the exact negative gradient of the energy.
    pub forces: Vec<[f64; 3]>,
}

/// The weights for a frame, with each atom's type and the class of each pair.
struct Match<'a> {
    fitted: &'a Fitted,
    types: Vec<usize>,
    bonds: Option<Vec<Vec<usize>>>,
}

impl Potential {
    /// Reads a safetensors file; `name` is how messages call it.
    ///
    /// # Errors
    /// [`Error::Model`]: a file of another architecture, or a tensor that is missing, has another shape or is not finite.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Potential, Error> {
        let coupling = Coupling::new();
        Ok(Potential { file: read(name, bytes, &coupling)?, coupling })
    }

    /// Edges longer than this are not looked at, angstrom.
    #[must_use]
    pub fn cutoff(&self) -> f64 {
        self.file.fitted.iter().map(|fitted| fitted.sizes.cutoff).fold(0.0, f64::max)
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`Error::Model`]: a file that cannot be read, or is no potential.
    pub fn open(path: &Path) -> Result<Potential, Error> {
        let (name, bytes) = model_file(path)?;
        Potential::read(&name, &bytes)
    }

    /// `eV` or `kcal/mol`.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.file.unit
    }

    /// The names of the sets of weights, with the mean absolute errors of energy and forces that the file states for each.
    pub fn known(&self) -> impl Iterator<Item = (&str, f64, Option<f64>)> {
        self.file.fitted.iter().map(|f| (f.name.as_str(), f.error_energy, f.error_forces))
    }

    /// Whether any set of weights fits these elements, in whatever order.
    #[must_use]
    pub fn knows(&self, species: &[u8]) -> bool {
        self.file.fitted.iter().any(|fitted| match &fitted.kind {
            Kind::Bonded(topology) => topology.same_composition(species),
            Kind::Elements(elements) => species.iter().all(|z| elements.contains(z)),
        })
    }

    /// Energy and forces of a frame: atomic numbers `[atoms]`, and the neighbours `src` of each atom `dst`, both directions of each pair.
    ///
    /// # Errors
    /// [`Error::Value`]: an edge to an atom that is not there, an edge without length or with a number that is not finite; elements
    /// or bonds that the file does not know.
    pub fn energy_and_forces(&self, species: &[u8], edges: &[PeriodicEdge]) -> Result<EnergyAndForces, Error> {
        for edge in edges {
            let d2 = length2(edge.offset);
            if edge.src.max(edge.dst) as usize >= species.len() || !d2.is_finite() || d2 == 0.0 {
                let expected = format!("two of {} atoms at a finite distance", species.len());
                return Err(Error::Value { what: "edge", found: format!("{edge:?}"), expected });
            }
        }
        let found = self.fit(species, edges)?;
        let cutoff = found.fitted.sizes.cutoff;
        let mut around: Vec<Vec<&PeriodicEdge>> = vec![Vec::new(); species.len()];
        for edge in edges.iter().filter(|edge| length2(edge.offset) < cutoff * cutoff) {
            around[edge.dst as usize].push(edge);
        }
        let mut atom = Atom::new(&self.coupling, found.fitted.sizes);
        let mut result = EnergyAndForces { energy: found.fitted.shift, forces: vec![[0.0; 3]; species.len()] };
        for (i, edges) in around.iter().enumerate() {
            let hops = found.bonds.as_ref().map(|bonds| hops(bonds, i));
            let mut seen = Vec::with_capacity(edges.len());
            let mut partners = Vec::with_capacity(edges.len());
            for edge in edges {
                let partner = edge.src as usize;
                let between = hops.as_ref().map_or(0, |hops| hops[partner]);
                let row = found.types[i] * found.fitted.readouts.len() + found.types[partner];
                if let Some(class) = found.fitted.class[row * (FAR + 1) + between] {
                    seen.push((edge.offset, &found.fitted.classes[class]));
                    partners.push(partner);
                }
            }
            let kind = found.types[i];
            let forces = &mut result.forces;
            let energy = atom.energy(&seen, &found.fitted.readouts[kind], |n, pull| {
                for axis in 0..3 {
                    forces[i][axis] += pull[axis];
                    forces[partners[n]][axis] -= pull[axis];
                }
            });
            result.energy += energy + found.fitted.atom_shift[kind];
        }
        Ok(result)
    }

    fn fit(&self, species: &[u8], edges: &[PeriodicEdge]) -> Result<Match<'_>, Error> {
        for fitted in &self.file.fitted {
            match &fitted.kind {
                Kind::Elements(elements) => {
                    let types: Option<Vec<_>> =
                        species.iter().map(|z| elements.iter().position(|known| known == z)).collect();
                    if let Some(types) = types {
                        return Ok(Match { fitted, types, bonds: None });
                    }
                }
                Kind::Bonded(topology) if topology.same_composition(species) => {
                    let bonds = bonds(species, edges, topology.labile);
                    if let Some(types) = topology.types_of(species, &bonds) {
                        return Ok(Match { fitted, types, bonds: Some(bonds) });
                    }
                }
                Kind::Bonded(_) => {}
            }
        }
        Err(self.unknown(species))
    }

    /// Whether molecules are known by their bonds: such a set of weights is of a molecule alone.
    pub(super) fn by_bonds(&self) -> bool {
        self.file.fitted.iter().all(|fitted| matches!(fitted.kind, Kind::Bonded(_)))
    }

    /// Why a frame of these elements has no energy.
    pub(super) fn unknown(&self, species: &[u8]) -> Error {
        let names: Vec<&str> = self.known().map(|(name, ..)| name).collect();
        let what = if self.knows(species) { "bonds of the molecule" } else { "elements of the molecule" };
        let expected = format!("those of one of: {}", names.join(", "));
        Error::Value { what, found: format!("others ({} atoms)", species.len()), expected }
    }
}
