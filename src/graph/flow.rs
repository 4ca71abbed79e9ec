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
