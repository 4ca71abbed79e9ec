//! Map mode: a window of posed frames in the world frame is one graph, with a node for every voxel that holds a point.
//!
//! A node stands at its voxel's integer index, so that the graph depends on which voxels are occupied and on nothing else: not on
//! where in a voxel its points are, nor on which of them came first. Of a drive's nodes a few in a hundred come or go a frame,
//! and only neighbour lists near them change.
//!
//! - `grid`: from world coordinates to voxel ids and back;
//! - `cells`: what one frame holds of each voxel;
//! - `window`: the sums over the last frames, and which voxels came and went;
//! - `graph`: the neighbour lists over them, as a whole or as changes;
//! - `cloud`: the window's voxels as the nodes of a model's graph.
//!
//! Each frame is read, transformed and sorted into cells on the worker that it arrives at. The window lives on one worker; which voxels
//! came and went goes to all of them, and each has the neighbour lists of its own part of space.

mod cells;
mod cloud;
mod graph;
mod grid;
mod stages;
mod window;

pub use cells::{Cell, FrameCells};
pub use graph::{MapChanges, MapEdge, MapGraph};
pub use grid::Grid;
pub use stages::{MapKnn, MapWindow};
pub use window::{Voxel, VoxelChanges, Window};

/// A run of ids, ascending, without `removed` and with `inserted`, both ascending.
fn update_ids(ids: &mut Vec<u64>, removed: &[u64], inserted: &[u64]) {
    let mut gone = removed.iter().copied().peekable();
    ids.retain(|id| gone.next_if_eq(id).is_none());
    // Two ascending runs: the stable sort merges them in one pass.
    ids.extend_from_slice(inserted);
    ids.sort();
}

#[cfg(test)]
mod tests {
    use super::update_ids;

    #[test]
    fn ids_stay_ascending_as_some_go_and_some_come() {
        let mut ids = vec![2, 3, 5, 8];
        update_ids(&mut ids, &[3, 8], &[1, 4, 9]);
        assert_eq!(ids, [1, 2, 4, 5, 9]);
    }
}
