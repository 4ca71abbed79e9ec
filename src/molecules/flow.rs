//! A potential as a stage: frames of atoms in, energies and forces out. Pairs come from the framework's radius graph, with images of a cell.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{EnergyAndForces, Molecule, Potential};
use crate::graph::{PeriodicEdge, periodic_radius_graph};
use crate::plan::Flow;
use crate::report::Dropped;
use crate::stage::Map;
use crate::{BoxError, Error};

/// What a potential says of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The frame, with what its file says of energy and forces.
    pub molecule: Arc<Molecule>,
    /// The energy, or the property that the potential gives, in its own unit; `None` for a molecule that it does not know.
    pub energy: Option<f64>,
    /// Forces `[atoms, 3]` in that unit per Å.
    pub forces: Vec<[f64; 3]>,
}

impl Potential {
    /// Evaluates one frame.
    ///
    /// # Errors
    /// A molecule that the potential does not know; atoms on top of each other; a cell that is flat.
    pub fn evaluate(&self, molecule: &Molecule) -> Result<(f64, Vec<[f64; 3]>, usize), Error> {
        let (found, edges) = self.evaluated(molecule)?;
        Ok((found.energy, found.forces, edges.len()))
    }

    fn evaluated(&self, molecule: &Molecule) -> Result<(EnergyAndForces, Vec<PeriodicEdge>), Error> {
        // The pairs of a frame that is large and not known need not be sought.
        if !self.knows(&molecule.z) {
            return Err(self.unknown(&molecule.z));
        }
        let cell = molecule.cell.unwrap_or_default();
        let edges = periodic_radius_graph(&molecule.pos, cell, molecule.pbc, self.cutoff())?;
        Ok((self.energy_and_forces(&molecule.z, &edges)?, edges))
    }

    /// What is odd about a molecule that is to be alone, if it is not: an atom sees itself, or two images of another.
    fn crowded(&self, edges: &[PeriodicEdge]) -> Option<String> {
        let same = |pair: &[PeriodicEdge]| pair[0].dst == pair[1].dst && pair[0].src == pair[1].src;
        let met = edges.iter().any(|edge| edge.src == edge.dst) || edges.windows(2).any(same);
        (met && self.by_bonds()).then(|| {
            let cutoff = self.cutoff();
            format!("found molecules within {cutoff} Å of images of themselves, expected molecules alone: a Lattice that is too small")
        })
    }
}

impl<'p> Flow<'p, Molecule> {
    /// Energies and forces of each frame. A molecule that the potential does not know has neither, is counted `out_of_range`, and is named.
    pub fn infer_energies(self, potential: &Arc<Potential>) -> Flow<'p, Evaluated> {
        let potential = Arc::clone(potential);
        self.stage(move |stats| {
            let (stats, potential) = (Arc::clone(stats), Arc::clone(&potential));
            Map::new("energies", move |molecule: Molecule| -> Result<Evaluated, BoxError> {
                let evaluated = stats.time("energies", || potential.evaluated(&molecule));
                let molecule = Arc::new(molecule);
                match evaluated {
                    Ok((EnergyAndForces { energy, forces }, edges)) => {
                        stats.nodes(molecule.z.len() as u64);
                        stats.edges(edges.len() as u64);
                        potential.crowded(&edges).into_iter().for_each(|text| stats.warn(text));
                        Ok(Evaluated { molecule, energy: Some(energy), forces })
                    }
                    Err(error) => {
                        let first = format!("frame {} (line {}): {error}", molecule.frame, molecule.line);
                        stats.dropped(molecule.frame, "out_of_range", Dropped { count: 1, first });
                        Ok(Evaluated { molecule, energy: None, forces: Vec::new() })
                    }
                }
            })
        })
    }
}
