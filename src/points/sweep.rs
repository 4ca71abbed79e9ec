//! Sweep mode: every frame is its own graph; the stages that turn a frame into nodes, a kNN graph, and labels.

use std::sync::Arc;

use crate::dataflow::{ExchangeData, VecCollection};
use crate::knn::{Points3, knn_graph_shared};
use crate::plan::{Delta, Flow};
use crate::points::models::SegmentationModel;
use crate::points::voxel::voxels;
use crate::report::{Dropped, Stats};
use crate::stage::Map;
use crate::{BoxError, Epoch, Error, Frame, KnnGraph, Nodes, Returns, Segmentation};

/// Counts what the frame brought: `nodes` of its points are in a graph, `finite` might be.
pub(crate) fn count(frame: &Frame, nodes: usize, finite: usize, stats: &Stats) {
    stats.origin(frame.origin);
    stats.nodes(nodes as u64);
    let mut odd = Dropped::default();
    if finite < frame.len() {
        (0..frame.len())
            .filter(|&i| !frame.is_finite(i))
            .for_each(|i| odd.one(|| format!("point {i} of {}", frame.name())));
    }
    stats.dropped(frame.id, "non_finite", odd);
    frame.dropped.iter().for_each(|(reason, dropped)| stats.dropped(frame.id, reason.clone(), dropped.clone()));
}

fn pick<T: Copy>(column: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|&i| column[i as usize]).collect()
}

fn pick_returns(returns: &Returns, rows: &[u32]) -> Returns {
    Returns { number: pick(&returns.number, rows), count: pick(&returns.count, rows) }
}

/// Every finite point as a node.
fn all_points(frame: Frame) -> Result<Nodes, Error> {
    // A source's frames are sound; those that a stage made may not be.
    frame.check()?;
    let frame = Arc::new(frame);
    let point: Vec<u32> = (0..frame.len() as u32).filter(|&i| frame.is_finite(i as usize)).collect();
    let mut of_point = vec![Nodes::NONE; frame.len()];
    point.iter().enumerate().for_each(|(node, &point)| of_point[point as usize] = node as u32);
    let (x, y, z) = (pick(&frame.x, &point), pick(&frame.y, &point), pick(&frame.z, &point));
    let intensity = frame.intensity.as_ref().map(|v| pick(v, &point));
    let returns = frame.returns.as_ref().map(|returns| pick_returns(returns, &point));
    Ok(Nodes { frame, x, y, z, point, of_point, intensity, returns, cell: None })
}

/// One node a voxel of edge `edge` (m) that holds a finite point.
fn downsample(frame: Frame, edge: f64, stats: &Stats) -> Result<Nodes, Error> {
    let mut nodes = all_points(frame)?;
    let finite = nodes.len();
    let found = stats.time("voxels", || voxels(&nodes.x, &nodes.y, &nodes.z, edge));
    for node in nodes.of_point.iter_mut().filter(|node| **node != Nodes::NONE) {
        *node = found.of_point[*node as usize];
    }
    let rows = &found.representative;
    (nodes.x, nodes.y, nodes.z) = (pick(&nodes.x, rows), pick(&nodes.y, rows), pick(&nodes.z, rows));
    nodes.point = pick(&nodes.point, rows);
    nodes.intensity = nodes.intensity.map(|v| pick(&v, rows));
    nodes.returns = nodes.returns.map(|returns| pick_returns(&returns, rows));
    count(&nodes.frame, nodes.len(), finite, stats);
    Ok(nodes)
}

impl<'p> Flow<'p, Frame> {
    /// One node a voxel of edge `edge` (m): the point nearest the voxel's centre, then the smallest index.
    pub fn voxel_downsample(self, edge: f64) -> Flow<'p, Nodes> {
        self.stage(move |stats| {
            let stats = Arc::clone(stats);
            Map::new("voxel_downsample", move |frame| {
                if !(edge.is_finite() && edge > 0.0) {
                    let (found, expected) = (edge.to_string(), "a positive length in metres".into());
                    return Err(Error::Value { what: "voxel edge", found, expected }.into());
                }
                Ok(downsample(frame, edge, &stats)?)
            })
        })
    }

    /// Every finite point as a node.
    pub fn nodes(self) -> Flow<'p, Nodes> {
        self.stage(move |stats| {
            let stats = Arc::clone(stats);
            Map::new("nodes", move |frame| {
                let nodes = all_points(frame)?;
                count(&nodes.frame, nodes.len(), nodes.len(), &stats);
                Ok(nodes)
            })
        })
    }

    /// The exact kNN graph of all finite points; see [`Flow::knn_graph`] on nodes.
    pub fn knn_graph(self, k: usize) -> Flow<'p, KnnGraph> {
        self.nodes().knn_graph(k)
    }
}

impl<'p> Flow<'p, Nodes> {
    /// The exact kNN graph of the nodes, 1 ≤ k ≤ 64, ties by index.
    pub fn knn_graph(self, k: usize) -> Flow<'p, KnnGraph> {
        self.knn_graph_shared(k, 1)
    }

    /// [`Flow::knn_graph`] of a frame by `threads` threads: the same bits, sooner.
    pub fn knn_graph_shared(self, k: usize, threads: usize) -> Flow<'p, KnnGraph> {
        self.stage(move |stats| {
            let stats = Arc::clone(stats);
            Map::new("knn_graph", move |nodes: Nodes| {
                let lists =
                    stats.time("knn", || knn_graph_shared(Points3::new(&nodes.x, &nodes.y, &nodes.z)?, k, threads))?;
                stats.edges(lists.neighbor.len() as u64);
                Ok(KnnGraph { nodes: Arc::new(nodes), k: lists.k, neighbor: lists.neighbor, d2: lists.d2 })
            })
        })
    }
}

/// A directed edge as a row of a collection: (src point, dst point, bits of d2 as f32).
pub type Edge = (u32, u32, u32);

/// A label as a row of a collection: (point, class).
pub type Label = (u32, u8);

impl<'p> Flow<'p, KnnGraph> {
    /// Asks a differential query of the graph's edges; a sweep's edges are retracted when the next sweep comes.
    ///
    /// ```
    /// use thalweg::dataflow::operators::CountTotal;
    /// # use thalweg::{Flow, Frame, plan::Delta};
    /// # fn plan(points: Flow<'_, Frame>) -> Flow<'_, Delta<(isize, isize)>> {
    /// // How many points are a neighbour of how many others.
    /// points.knn_graph(4).edges(|edges| edges.map(|(_, dst, _)| dst).count_total().map(|(_, n)| n).count_total())
    /// # }
    /// ```
    pub fn edges<R: ExchangeData>(
        self,
        logic: impl for<'scope> Fn(VecCollection<'scope, Epoch, Edge, isize>) -> VecCollection<'scope, Epoch, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Flow<'p, Delta<R>> {
        let rows = |graph: KnnGraph, row: &mut dyn FnMut(Edge)| {
            let point = &graph.nodes.point;
            for (i, &src) in point.iter().enumerate() {
                let list = i * graph.k..(i + 1) * graph.k;
                for (&j, d2) in graph.neighbor[list.clone()].iter().zip(&graph.d2[list]) {
                    row((src, point[j as usize], d2.to_bits()));
                }
            }
        };
        self.query(rows, logic)
    }

    /// Labels every point of the frame with a model.
    pub fn infer(self, model: &SegmentationModel) -> Flow<'p, Segmentation> {
        let model = model.clone();
        self.stage(move |stats| {
            let (model, stats) = (model.clone(), Arc::clone(stats));
            Map::new("infer", move |graph: KnnGraph| -> Result<Segmentation, BoxError> {
                model.segment(&graph, &stats)
            })
        })
    }
}

impl<'p> Flow<'p, Segmentation> {
    /// Asks a differential query of the labels; a sweep's labels are retracted when the next sweep comes.
    pub fn labels<R: ExchangeData>(
        self,
        logic: impl for<'scope> Fn(VecCollection<'scope, Epoch, Label, isize>) -> VecCollection<'scope, Epoch, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Flow<'p, Delta<R>> {
        let rows = |labelled: Segmentation, row: &mut dyn FnMut(Label)| {
            labelled.class.iter().enumerate().for_each(|(point, &class)| row((point as u32, class)));
        };
        self.query(rows, logic)
    }
}
