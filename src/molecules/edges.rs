//! Neighbours of atoms as vectors, so that a potential need not know of cells or of how neighbours were found.

/// Atom `dst` as seen from atom `src`: `vector` is position of `dst` (or of its image) less that of `src`, in angstrom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The atom whose neighbour it is.
    pub src: usize,
    /// The neighbour.
    pub dst: usize,
    /// From `src` to `dst`, angstrom.
    pub vector: [f64; 3],
}

/// The squared length of a vector.
pub(super) fn length2([x, y, z]: [f64; 3]) -> f64 {
    x * x + y * y + z * z
}
