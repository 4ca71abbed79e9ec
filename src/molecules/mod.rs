//! Molecules: frames of atoms, and potentials in the form of the atomic cluster expansion that give energies and forces.
//!
//! The energy is a sum over atoms. An atom's share is a function of invariants of the density of its neighbours (Drautz, Phys.
//! Rev. B 99:014104, 2019), with learned radial channels and products channel by channel (Batatia et al., MACE, NeurIPS 2022),
//! and weights of its own for each type of atom. Forces are the exact negative gradient.
//!
//! | file | what it has |
//! |---|---|
//! | `molecule.rs` | the atoms of a frame |
//! | `flow.rs` | a potential as a stage, over the framework's periodic radius graph |
//! | `topology.rs` | bonds, types of atoms, classes of pairs |
//! | `radial.rs`, `harmonics.rs` | the two factors of the density, with gradients |
//! | `coupling.rs` | the products that make invariants |
//! | `read.rs` | the file |
//! | `potential.rs` | which molecule, energy and forces |
//! | `atom.rs` | one atom's energy and its gradient |

mod atom;
mod coupling;
mod flow;
mod harmonics;
mod molecule;
mod potential;
mod radial;
mod read;
mod topology;

pub use flow::Evaluated;
pub use molecule::Molecule;
pub use potential::{EnergyAndForces, Potential};
pub use topology::{Bonds, Topology};
