//! A molecule: the atoms of one frame, and what its file says of them.

use serde::{Deserialize, Serialize};

/// One frame of a trajectory, or one molecule of a set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Molecule {
    /// Position of the frame in its input, from 0. A frame that could not be read has one too.
    pub frame: i64,
    /// Atomic numbers, `[atoms]`, each 1 to 118.
    pub z: Vec<u8>,
    /// Positions (Å), `[atoms, 3]`, finite.
    pub pos: Vec<[f64; 3]>,
    /// Lattice vectors a, b, c (Å), one a row. Those of periodic directions are independent; others
    /// may be 0.
    pub cell: Option<[[f64; 3]; 3]>,
    /// Whether the molecule repeats along a, b and c; never without a cell.
    pub pbc: [bool; 3],
    /// Energy (eV), finite.
    pub energy: Option<f64>,
    /// Forces (eV/Å), `[atoms, 3]`, finite.
    pub forces: Option<Vec<[f64; 3]>>,
    /// A property under the name `value`, in a unit of its own; finite.
    pub value: Option<f64>,
    /// The molecule's name.
    pub name: Option<String>,
    /// First line of the frame in its file, from 1.
    pub line: u64,
}
