//! All lists of a graph in the order of their nodes, from its bits.

use super::VoxelKnn;
use super::offsets::{Offsets, Ranks, count};
use super::tiles::{id, voxel};
use super::window::Window;
use crate::knn::changes::IdLists;
use crate::knn::isa::{Isa, Job};

/// Appends a list of ranked neighbours: the first `k`.
#[inline(always)]
pub(super) fn near(lists: &mut IdLists, offsets: &Offsets, id: u64, ranks: &Ranks, k: usize) {
    let (dst, d2) = lists.push_blank(k);
    let mut to = dst.iter_mut().zip(d2);
    for (word, bits) in ranks.iter().enumerate() {
        let mut bits = *bits;
        while bits != 0 {
            let rank = 64 * word + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let Some((dst, d2)) = to.next() else { return };
            *dst = id.wrapping_add(offsets.step[rank]);
            *d2 = offsets.d2[rank];
        }
    }
}

/// All lists, in the order of their nodes.
pub(super) struct Whole<'a> {
    pub(super) graph: &'a VoxelKnn,
    /// By key, which is by x, then y, then z.
    pub(super) tiles: &'a [u32],
    pub(super) lists: &'a mut IdLists,
    pub(super) nodes: &'a mut Vec<u64>,
}

impl Job for Whole<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Whole { graph, tiles, lists, nodes } = self;
        let offsets = Offsets::get();
        let at = |index: u32| voxel(graph.tiles.origin(index));
        let mut windows = Vec::<Window>::new();
        // Ids ascend by x, then y, then z: a slab of tiles is gone through plane by plane, and a plane row by row.
        for slab in tiles.chunk_by(|&a, &b| at(a)[0] == at(b)[0]) {
            windows.resize_with(windows.len().max(slab.len()), || Window::EMPTY);
            for (window, &tile) in windows.iter_mut().zip(slab) {
                window.load(isa, &graph.tiles.occupied_around(tile), (0, 7));
            }
            for x in 0..8 {
                let mut from = 0;
                for row in slab.chunk_by(|&a, &b| at(a)[1] == at(b)[1]) {
                    for y in 0..8 {
                        for (window, &tile) in windows[from..].iter().zip(row) {
                            let mut bits = graph.tiles.occupied[tile].0[x] & 0xff << (8 * y);
                            let origin = graph.tiles.origin(tile);
                            let tile = &graph.tiles.all[tile];
                            while bits != 0 {
                                let bit = bits.trailing_zeros();
                                bits &= bits - 1;
                                let node = id(origin, x, bit);
                                nodes.push(node);
                                if let Some(row) = tile.row(x, bit) {
                                    graph.rows.push_any(lists, node, row);
                                    continue;
                                }
                                let inner = window.inner(isa, x, bit);
                                let mut ranks = [inner[0], inner[1], 0, 0];
                                if count(&ranks) < graph.k {
                                    ranks = window.ranks(isa, x, bit, inner);
                                }
                                near(lists, offsets, node, &ranks, graph.k);
                            }
                        }
                    }
                    from += row.len();
                }
            }
        }
    }
}
