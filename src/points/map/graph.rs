//! The kNN graph of a map, its space dealt out to the shards, and its lists as a whole or as changes.
//!
//! Distances are taken between voxel indices, `dx*dx + dy*dy + dz*dz` in f32; neighbours are ordered by (that, id). What is handed
//! out is in m²: that times `(voxel · voxel) as f32`.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{VoxelChanges, update_ids};
use crate::knn::{IdLists, ListChanges, VoxelKnn};
use crate::report::Stats;
use crate::stage::{Inbox, Outbox, Stage};
use crate::{BoxError, Epoch, Error, Portable};

/// The lists that a frame changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapChanges {
    /// The frame's number.
    pub frame: i64,
    /// Old and new list of every voxel whose list differs, ascending by id, squared distances in m².
    pub lists: ListChanges,
}

/// The whole graph after a frame; empty after one that is read again ([`Frame::again`](crate::Frame::again)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MapGraph {
    /// The frame's number.
    pub frame: i64,
    /// Ids of the occupied voxels, ascending `[nodes]`.
    pub id: Vec<u64>,
    /// Their neighbours, `min(k, nodes - 1)` each, by (`d2`, id), squared distances in m² `[nodes]`.
    pub lists: IdLists,
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

/// What a shard works out of an epoch, and how the shards' parts become one output.
pub(super) trait Part: Portable {
    /// The stage's name.
    const NAME: &'static str;

    /// This shard's part.
    fn of(knn: &mut VoxelKnn, edit: &VoxelChanges, stats: &Stats) -> Result<Self, Error>;

    /// What stands for a frame that is read again, where nothing is to be worked out for it: then the voxels alone are kept, and the lists
    /// are made of them at once when they are first asked for.
    fn again(_: i64) -> Option<Self> {
        None
    }

    /// All parts of an epoch as one.
    fn join(parts: Vec<Self>) -> Option<Self>;
}

impl Part for MapChanges {
    const NAME: &'static str = "knn_changes";

    fn of(knn: &mut VoxelKnn, edit: &VoxelChanges, stats: &Stats) -> Result<Self, Error> {
        stats.time("knn", || knn.apply(&edit.removed, &edit.inserted).map(drop))?;
        let mut lists = knn.take();
        stats.time("lists", || [&mut lists.old, &mut lists.new].map(|lists| lists.scale(edit.grid.d2_scale())));
        stats.edges((lists.old.edges() + lists.new.edges()) as u64);
        Ok(MapChanges { frame: edit.frame, lists })
    }

    fn join(mut parts: Vec<Self>) -> Option<Self> {
        if parts.len() < 2 {
            return parts.pop();
        }
        let mut lists = ListChanges::default();
        for (src, part, row) in order(parts.iter().map(|part| &part.lists.src[..])) {
            lists.src.push(src);
            lists.old.push_row(parts[part].lists.old.row(row));
            lists.new.push_row(parts[part].lists.new.row(row));
        }
        Some(MapChanges { frame: parts[0].frame, lists })
    }
}

impl Part for MapGraph {
    const NAME: &'static str = "knn_lists";

    fn of(knn: &mut VoxelKnn, edit: &VoxelChanges, stats: &Stats) -> Result<Self, Error> {
        stats.time("knn", || knn.apply(&edit.removed, &edit.inserted).map(drop))?;
        let mut lists = IdLists::default();
        let id = stats.time("lists", || {
            let id = knn.lists(&mut lists);
            lists.scale(edit.grid.d2_scale());
            id
        });
        stats.edges(lists.edges() as u64);
        Ok(MapGraph { frame: edit.frame, id, lists })
    }

    fn again(frame: i64) -> Option<Self> {
        Some(MapGraph { frame, ..MapGraph::default() })
    }

    fn join(mut parts: Vec<Self>) -> Option<Self> {
        if parts.len() < 2 {
            return parts.pop();
        }
        let mut whole = MapGraph { frame: parts[0].frame, ..MapGraph::default() };
        for (id, part, row) in order(parts.iter().map(|part| &part.id[..])) {
            whole.id.push(id);
            whole.lists.push_row(parts[part].lists.row(row));
        }
        Some(whole)
    }
}

/// Rows of several parts in one order: (id, part, row), ascending.
fn order<'a>(parts: impl Iterator<Item = &'a [u64]>) -> Vec<(u64, usize, usize)> {
    let rows = |(part, ids): (usize, &'a [u64])| ids.iter().enumerate().map(move |(row, &id)| (id, part, row));
    let mut order: Vec<_> = parts.enumerate().flat_map(rows).collect();
    // Ascending runs: the stable sort merges them.
    order.sort();
    order
}

/// What shards send each other.
#[derive(Serialize, Deserialize)]
pub(super) enum Letter<P> {
    /// To every shard: which voxels came and went. They all know what is occupied, and each has the lists of its part of space.
    Edit(Arc<VoxelChanges>),
    /// To the shard that puts an epoch together.
    Part(P),
}

/// The graph's stage on one shard.
pub(super) struct Sharded<P> {
    k: usize,
    knn: Option<VoxelKnn>,
    /// The voxels of frames that are read again, ascending, before there are lists.
    before: Vec<u64>,
    stats: Arc<Stats>,
    part: PhantomData<fn() -> P>,
}

impl<P: Part> Sharded<P> {
    pub fn new(k: usize, stats: &Arc<Stats>) -> Self {
        Sharded { k, knn: None, before: Vec::new(), stats: Arc::clone(stats), part: PhantomData }
    }

    /// This shard's part of an edit.
    fn part(&mut self, edit: &VoxelChanges, shard: usize, shards: usize) -> Result<P, Error> {
        if let (true, None, Some(part)) = (edit.again, &self.knn, P::again(edit.frame)) {
            update_ids(&mut self.before, &edit.removed, &edit.inserted);
            return Ok(part);
        }
        let mut knn = match self.knn.take() {
            Some(knn) => knn,
            None => VoxelKnn::sharded(self.k, shard, shards)?,
        };
        if !self.before.is_empty() {
            let before = std::mem::take(&mut self.before);
            self.stats.time("knn", || knn.apply(&[], &before).map(drop))?;
        }
        let part = P::of(&mut knn, edit, &self.stats);
        self.knn = Some(knn);
        part
    }
}

impl<P: Part> Stage for Sharded<P> {
    type Input = VoxelChanges;
    type Exchange = Letter<P>;
    type Output = P;

    fn name(&self) -> &'static str {
        P::NAME
    }

    fn phases(&self) -> usize {
        3
    }

    fn step(
        &mut self,
        epoch: Epoch,
        _: usize,
        inbox: Inbox<VoxelChanges, Letter<P>>,
        out: &mut Outbox<Letter<P>, P>,
    ) -> Result<(), BoxError> {
        let mail = match inbox {
            Inbox::Input(edits) => {
                for edit in edits.into_iter().map(Arc::new) {
                    (0..out.shards()).for_each(|shard| out.send(shard, Letter::Edit(Arc::clone(&edit))));
                }
                return Ok(());
            }
            Inbox::Exchange(mail) => mail,
        };
        let mut parts = Vec::new();
        for (_, letter) in mail {
            match letter {
                Letter::Edit(edit) => {
                    let part = self.part(&edit, out.shard(), out.shards())?;
                    out.send(epoch as usize % out.shards(), Letter::Part(part));
                }
                Letter::Part(part) => parts.push(part),
            }
        }
        P::join(parts).into_iter().for_each(|whole| out.give(whole));
        Ok(())
    }
}
