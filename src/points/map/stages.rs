//! The stages of map mode, and how a plan asks for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::cloud::Snapshot;
use super::graph::{Part, Sharded};
use super::{FrameCells, Grid, MapChanges, MapEdge, MapGraph, VoxelChanges, Window, update_ids};
use crate::dataflow::{ExchangeData, VecCollection};
use crate::plan::{Delta, Flow};
use crate::points::models::SegmentationModel;
use crate::points::sweep::count;
use crate::report::{Dropped, Stats};
use crate::stage::{Inbox, Map, Outbox, Stage};
use crate::{BoxError, Epoch, Error, Frame, Segmentation};

/// The shard that the window lives on.
const OWNER: usize = 0;

impl<'p> Flow<'p, Frame> {
    /// The voxels of edge `voxel` (m) that hold a finite point of the last `window` frames, in the world frame of their poses.
    ///
    /// ```
    /// use thalweg::points::map::MapChanges;
    /// # use thalweg::{Flow, Frame};
    /// # fn plan(points: Flow<'_, Frame>) -> Flow<'_, MapChanges> {
    /// // The lists of the sixteen nearest that change as frames come and go.
    /// points.map_window(0.2, 20).knn_graph(16).changes()
    /// # }
    /// ```
    pub fn map_window(self, voxel: f64, window: usize) -> MapWindow<'p> {
        let cells = self.stage(move |stats| {
            let stats = Arc::clone(stats);
            Map::new("map_window", move |frame: Frame| {
                if window == 0 {
                    let expected = "a number of frames, 1 or more".into();
                    return Err(Error::Value { what: "window", found: "0".into(), expected }.into());
                }
                let (finite, grid) = (frame.finite(), Grid::new(voxel)?);
                let cells = stats.time("voxels", || FrameCells::new(Arc::new(frame), grid))?;
                count(&cells.frame, cells.points(), finite, &stats);
                let mut beyond = Dropped { count: (finite - cells.points()) as u64, ..Dropped::default() };
                if beyond.count > 0 {
                    let (frame, none) = (&cells.frame, FrameCells::NONE);
                    let first = (0..frame.len()).find(|&i| cells.of_point[i] == none && frame.is_finite(i));
                    beyond.first = format!("point {} of {}", first.unwrap_or(0), frame.name());
                }
                stats.dropped(cells.frame.id, "out_of_range", beyond);
                Ok(cells)
            })
        });
        let snapshots = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&snapshots);
        let steps = cells.stage(move |stats| Occupancy {
            window: Window::new(window),
            ids: asked.load(Ordering::Relaxed).then(Vec::new),
            stats: Arc::clone(stats),
        });
        MapWindow { steps, snapshots }
    }
}

/// The occupied voxels of a window of frames, from which a plan takes what it needs. See [`Flow::map_window`].
#[derive(Clone)]
pub struct MapWindow<'p> {
    steps: Flow<'p, Step>,
    /// Set while the plan is made, by those who ask what is in the voxels.
    snapshots: Arc<AtomicBool>,
}

impl<'p> MapWindow<'p> {
    /// Which voxels come and go, frame by frame.
    pub fn changes(self) -> Flow<'p, VoxelChanges> {
        self.steps.map("window_changes", |step| Ok(step.changes))
    }

    /// The exact kNN graph of the voxels, 1 ≤ k ≤ 64: between integer indices, ties by id.
    pub fn knn_graph(self, k: usize) -> MapKnn<'p> {
        MapKnn { window: self, k }
    }
}

/// The kNN graph of a window of frames, of which a plan takes the whole, the changes, a query of its edges, or labels.
#[derive(Clone)]
pub struct MapKnn<'p> {
    window: MapWindow<'p>,
    k: usize,
}

impl<'p> MapKnn<'p> {
    /// The lists that change, frame by frame: summed up to a frame they are [`MapKnn::lists`] there.
    pub fn changes(self) -> Flow<'p, MapChanges> {
        self.graph()
    }

    /// All lists after each frame.
    pub fn lists(self) -> Flow<'p, MapGraph> {
        self.graph()
    }

    fn graph<P: Part>(self) -> Flow<'p, P> {
        let k = self.k;
        self.window.changes().stage(move |stats| Sharded::new(k, stats))
    }

    /// Asks a differential query of the graph's edges, which stay as long as they are live.
    ///
    /// ```
    /// use thalweg::dataflow::operators::CountTotal;
    /// # use thalweg::{Flow, Frame, plan::Delta};
    /// # fn plan(points: Flow<'_, Frame>) -> Flow<'_, Delta<(isize, isize)>> {
    /// // How many voxels are a neighbour of how many others: kept up to date, edge by edge.
    /// let graph = points.map_window(0.2, 20).knn_graph(4);
    /// graph.edges(|edges| edges.map(|(_, dst, _)| dst).count_total().map(|(_, degree)| degree).count_total())
    /// # }
    /// ```
    pub fn edges<R: ExchangeData>(
        self,
        logic: impl for<'scope> Fn(VecCollection<'scope, Epoch, MapEdge, isize>) -> VecCollection<'scope, Epoch, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Flow<'p, Delta<R>> {
        let updates = |epoch: Epoch, changes: MapChanges, updates: &mut Vec<(MapEdge, Epoch, isize)>| {
            changes.edges(&mut |edge, diff| updates.push((edge, epoch, diff)));
        };
        self.changes().query_updates(updates, logic)
    }

    /// Labels every point of each frame with a model that looks at the whole window; the voxel's edge should be the model's own.
    pub fn infer(self, model: &SegmentationModel) -> Flow<'p, Segmentation> {
        self.window.snapshots.store(true, Ordering::Relaxed);
        let lists = self.clone().lists();
        let clouds = self.window.steps.join_epoch(lists, |step, map| match &step.snapshot {
            Some(snapshot) => Ok(snapshot.graph(map)?),
            None => Err("a window that was not asked for its voxels".into()),
        });
        clouds.infer(model)
    }
}

/// The window after a frame.
#[derive(Clone, Serialize, Deserialize)]
struct Step {
    changes: VoxelChanges,
    snapshot: Option<Arc<Snapshot>>,
}

/// Follows which voxels are occupied: frames go to the owner, and what it says of each comes back to where the frame came from, for a
/// network has work for every worker.
struct Occupancy {
    window: Window,
    /// Ids of the window's voxels, ascending, where snapshots are asked for.
    ids: Option<Vec<u64>>,
    stats: Arc<Stats>,
}

/// What shards send each other.
#[derive(Serialize, Deserialize)]
enum Letter {
    /// To the owner.
    Frame(FrameCells),
    /// Back.
    Step(Step),
}

impl Occupancy {
    fn take(&mut self, mut newest: FrameCells) -> Step {
        let (removed, inserted) = self.window.push(std::mem::take(&mut newest.cells));
        let (frame, again, grid) = (newest.frame.id, newest.frame.again, newest.grid);
        let snapshot = self.ids.as_mut().map(|ids| {
            update_ids(ids, &removed, &inserted);
            let ids = if again { Vec::new() } else { ids.clone() };
            let voxels = ids.iter().map(|&id| self.window.voxel(id).unwrap_or_default()).collect();
            Arc::new(Snapshot { newest, ids, voxels })
        });
        Step { changes: VoxelChanges { frame, again, grid, removed, inserted }, snapshot }
    }
}

impl Stage for Occupancy {
    type Input = FrameCells;
    type Exchange = Letter;
    type Output = Step;

    fn name(&self) -> &'static str {
        "window"
    }

    fn phases(&self) -> usize {
        3
    }

    fn step(
        &mut self,
        _: Epoch,
        _: usize,
        inbox: Inbox<FrameCells, Letter>,
        out: &mut Outbox<Letter, Step>,
    ) -> Result<(), BoxError> {
        let mail = match inbox {
            Inbox::Input(frames) => {
                frames.into_iter().for_each(|frame| out.send(OWNER, Letter::Frame(frame)));
                return Ok(());
            }
            Inbox::Exchange(mail) => mail,
        };
        for (from, letter) in mail {
            match letter {
                Letter::Frame(frame) => {
                    let stats = Arc::clone(&self.stats);
                    out.send(from, Letter::Step(stats.time("window", || self.take(frame))));
                }
                Letter::Step(step) => out.give(step),
            }
        }
        Ok(())
    }
}
