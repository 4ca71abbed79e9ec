//! The kNN graph of a map: one engine that follows the occupied voxels, and its lists as a whole or as changes.
//!
//! Distances are taken between voxel indices, `dx*dx + dy*dy + dz*dz` in f32; neighbours are ordered by (that, id). What is handed
//! out is in m²: that times `(voxel · voxel) as f32`.

use super::{VoxelChanges, update_ids};
use crate::knn::{Edit, IdLists, KnnMap, ListChanges};
use crate::report::Stats;
use crate::{BoxError, Error};

/// The lists that a frame changed.
#[derive(Clone, Debug, PartialEq)]
pub struct MapChanges {
    /// The frame's number.
    pub frame: i64,
    /// Old and new list of every voxel whose list differs, ascending by id, squared distances in m².
    pub lists: ListChanges,
}

/// The whole graph after a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct MapGraph {
    /// The frame's number.
    pub frame: i64,
    /// Ids of the occupied voxels, ascending `[nodes]`.
    pub id: Vec<u64>,
    /// Neighbours a node: `min(k, nodes - 1)`.
    pub k: usize,
    /// Ids of the neighbours, by (`d2`, id), `[nodes, k]` row-major.
    pub dst: Vec<u64>,
    /// Squared distances in m², `[nodes, k]` row-major.
    pub d2: Vec<f32>,
}

/// A directed edge of a map as a row of a collection: (src voxel, dst voxel, bits of d2 in m² as f32).
pub type MapEdge = (u64, u64, u32);

impl MapChanges {
    /// Hands out the edges that went (−1) and came (+1); an edge of both the old and the new list is neither.
    pub(super) fn edges(&self, row: &mut dyn FnMut(MapEdge, isize)) {
        for (i, &src) in self.lists.src.iter().enumerate() {
            let edges = |(dst, d2): (&[u64], &[f32])| -> Vec<(u32, u64)> {
                d2.iter().map(|d2| d2.to_bits()).zip(dst.iter().copied()).collect()
            };
            let (old, new) = (edges(self.lists.old.row(i)), edges(self.lists.new.row(i)));
            // Both are ascending: bits of f32 that are not negative order as their values do.
            let mut news = new.iter().peekable();
            for edge @ &(d2, dst) in &old {
                while let Some(&(d2, dst)) = news.next_if(|new| *new < edge) {
                    row((src, dst, d2), 1);
                }
                if news.next_if_eq(&edge).is_none() {
                    row((src, dst, d2), -1);
                }
            }
            news.for_each(|&(d2, dst)| row((src, dst, d2), 1));
        }
    }
}

/// The engine, made when the first frame comes.
pub(super) struct MapLists {
    k: usize,
    map: Option<KnnMap>,
    /// Ids of the nodes, ascending; kept by [`MapLists::whole`] alone.
    ids: Vec<u64>,
}

impl MapLists {
    pub fn new(k: usize) -> MapLists {
        MapLists { k, map: None, ids: Vec::new() }
    }

    /// The lists that an epoch changes.
    pub fn changes(&mut self, edit: &VoxelChanges, stats: &Stats) -> Result<MapChanges, BoxError> {
        let changes = stats.time("knn", || self.apply(edit))?;
        let lists = stats.time("lists", || {
            let scale = edit.grid.d2_scale();
            let scaled = |lists: &IdLists| IdLists {
                offsets: lists.offsets.clone(),
                dst: lists.dst.clone(),
                d2: lists.d2.iter().map(|d2| d2 * scale).collect(),
            };
            ListChanges { src: changes.src.clone(), old: scaled(&changes.old), new: scaled(&changes.new) }
        });
        stats.edges((lists.old.dst.len() + lists.new.dst.len()) as u64);
        Ok(MapChanges { frame: edit.frame, lists })
    }

    /// All lists after an epoch.
    pub fn whole(&mut self, edit: &VoxelChanges, stats: &Stats) -> Result<MapGraph, BoxError> {
        stats.time("knn", || self.apply(edit).map(drop))?;
        let graph = stats.time("lists", || {
            update_ids(&mut self.ids, &edit.removed, &edit.inserted);
            let k = self.k.min(self.ids.len().saturating_sub(1));
            let scale = edit.grid.d2_scale();
            let (mut dst, mut d2) = (Vec::with_capacity(self.ids.len() * k), Vec::with_capacity(self.ids.len() * k));
            for &id in &self.ids {
                for (other, distance) in self.map.iter().filter_map(|map| map.list(id)).flatten() {
                    dst.push(other);
                    d2.push(distance * scale);
                }
            }
            MapGraph { frame: edit.frame, id: self.ids.clone(), k, dst, d2 }
        });
        stats.edges(graph.dst.len() as u64);
        Ok(graph)
    }

    fn apply(&mut self, edit: &VoxelChanges) -> Result<&ListChanges, Error> {
        let map = match self.map.take() {
            Some(map) => map,
            None => KnnMap::new(self.k)?,
        };
        let insert: Vec<_> = edit.inserted.iter().map(|&id| (id, edit.grid.position(id))).collect();
        self.map.insert(map).apply(&Edit { remove: &edit.removed, insert: &insert, moves: &[] })
    }
}
