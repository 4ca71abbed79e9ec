//! A potential as a stage: frames of atoms in, energies and forces out. Pairs come from the framework's radius graph, with images of a cell.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Molecule, Potential};
use crate::graph::periodic_radius_graph;
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
        let cell = molecule.cell.unwrap_or_default();
        let edges = periodic_radius_graph(&molecule.pos, cell, molecule.pbc, self.cutoff())?;
        let found = self.energy_and_forces(&molecule.z, &edges)?;
        Ok((found.energy, found.forces, edges.len()))
    }
}

impl<'p> Flow<'p, Molecule> {
    /// Energies and forces of each frame. A molecule that the potential does not know has neither, is counted `out_of_range`, and is named.
    pub fn infer_energies(self, potential: &Arc<Potential>) -> Flow<'p, Evaluated> {
        let potential = Arc::clone(potential);
        self.stage(move |stats| {
            let (stats, potential) = (Arc::clone(stats), Arc::clone(&potential));
            Map::new("energies", move |molecule: Molecule| -> Result<Evaluated, BoxError> {
                let evaluated = stats.time("energies", || potential.evaluate(&molecule));
                let molecule = Arc::new(molecule);
                match evaluated {
                    Ok((energy, forces, edges)) => {
                        stats.nodes(molecule.z.len() as u64);
                        stats.edges(edges as u64);
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
