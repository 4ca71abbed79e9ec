//! Graphs in a plan: what a network says of each, and what it changes of the one before.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::changes::LiveNodes;
use super::{Graph, GraphChanges};
use crate::layers::Matrix;
use crate::networks::GraphNetwork;
use crate::plan::Flow;
use crate::stage::Map;

/// What a network says of a graph.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inferred {
    /// The graph.
    pub graph: Arc<Graph>,
    /// The network's output: a row a node, or a row a graph where the network reads out.
    pub y: Matrix,
}

impl<'p> Flow<'p, Graph> {
    /// A network's output for each graph.
    ///
    /// ```no_run
    /// use std::path::Path;
    /// use std::sync::Arc;
    ///
    /// use thalweg::networks::{GraphNetwork, Network};
    /// use thalweg::{Flow, Frame};
    ///
    /// // A network that training/export.py wrote, over the eight nearest neighbours of every point; four numbers a point.
    /// fn classes<'p>(frames: Flow<'p, Frame>) -> Result<Flow<'p, Vec<bool>>, thalweg::Error> {
    ///     let network: Arc<dyn GraphNetwork> = Arc::new(Network::open(Path::new("network.safetensors"))?);
    ///     Ok(frames
    ///         .knn_graph(8)
    ///         .features(|nodes| {
    ///             let intensity = |i| nodes.intensity.as_ref().map_or(0.0, |intensity| intensity[i]);
    ///             (0..nodes.len()).map(|i| [nodes.x[i], nodes.y[i], nodes.z[i], intensity(i)]).collect()
    ///         })
    ///         .infer(&network)
    ///         // A row of the answer is a node; `answer.graph.id` has the index of its point.
    ///         .map("classes", |answer| Ok((0..answer.y.rows()).map(|i| answer.y.row(i)[1] > answer.y.row(i)[0]).collect())))
    /// }
    /// ```
    pub fn infer(self, network: &Arc<dyn GraphNetwork>) -> Flow<'p, Inferred> {
        let network = Arc::clone(network);
        self.stage(move |stats| {
            let (network, stats) = (Arc::clone(&network), Arc::clone(stats));
            Map::new("infer", move |graph: Graph| {
                graph.check()?;
                let run = || network.forward(&graph.x, graph.edge_attr.as_ref(), &graph.structure());
                let y = stats.time("network", run)?;
                Ok(Inferred { graph: Arc::new(graph), y })
            })
        })
    }

    /// What each graph changes of the one before, by id.
    pub fn changes(self) -> Flow<'p, GraphChanges> {
        self.fold("changes", LiveNodes::default(), |before, graph| {
            let now = LiveNodes::of(&graph);
            let changes = before.changes_to(&now, graph.frame);
            *before = now;
            Ok(Some(changes))
        })
    }
}
