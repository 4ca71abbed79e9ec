//! What an epoch changed of a graph: nodes that went, nodes that came or have other features, lists that changed. Added up from an empty
//! graph, changes give the graph.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Graph;
use crate::Error;

/// A list of sources with the attributes of their edges, flat.
pub type List = (Vec<u64>, Vec<f32>);

/// Changes of one epoch, by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphChanges {
    /// The frame that made them, or the as-of time (ns).
    pub frame: i64,
    /// Nodes that went, ascending; their lists went with them.
    pub gone: Vec<u64>,
    /// Nodes that came, or whose features differ in a bit, ascending, with their features.
    pub features: Vec<(u64, Vec<f32>)>,
    /// Nodes whose list differs from that before, those of new nodes included, ascending, with the list: sources ascending.
    pub lists: Vec<(u64, List)>,
}

/// A graph as changes add up to it: features and list of every live node, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveNodes(pub BTreeMap<u64, (Vec<f32>, List)>);

fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

impl LiveNodes {
    /// A graph's nodes.
    pub fn of(graph: &Graph) -> LiveNodes {
        let attributes = |node: usize| match &graph.edge_attr {
            Some(all) => graph.edges.edges_of(node).flat_map(|edge| all.row(edge).to_vec()).collect(),
            None => Vec::new(),
        };
        let list = |node: usize| -> List {
            (graph.edges.of(node).iter().map(|&src| graph.id[src as usize]).collect(), attributes(node))
        };
        let nodes = graph.id.iter().enumerate();
        LiveNodes(nodes.map(|(node, &id)| (id, (graph.x.row(node).to_vec(), list(node)))).collect())
    }

    /// What makes `new` of it.
    pub fn changes_to(&self, new: &LiveNodes, frame: i64) -> GraphChanges {
        let gone = self.0.keys().filter(|id| !new.0.contains_key(id)).copied().collect();
        let mut changes = GraphChanges { frame, gone, ..GraphChanges::default() };
        for (&id, (features, list)) in &new.0 {
            let old = self.0.get(&id);
            if old.is_none_or(|(old, _)| !same(old, features)) {
                changes.features.push((id, features.clone()));
            }
            if old.is_none_or(|(_, old)| old.0 != list.0 || !same(&old.1, &list.1)) {
                changes.lists.push((id, list.clone()));
            }
        }
        changes
    }

    /// Applies changes; nothing changes where there is an error.
    ///
    /// # Errors
    /// [`Error::Value`]: a node that goes and is not there, or a list of such a one.
    pub fn apply(&mut self, changes: &GraphChanges) -> Result<(), Error> {
        let wrong =
            |what, id: u64| Err(Error::Value { what, found: format!("node {id}"), expected: "a live node".into() });
        if let Some(&id) = changes.gone.iter().find(|id| !self.0.contains_key(id)) {
            return wrong("a node that goes", id);
        }
        let comes = |id: &u64| changes.features.binary_search_by_key(id, |(id, _)| *id).is_ok();
        let stays = |id: &u64| self.0.contains_key(id) && changes.gone.binary_search(id).is_err();
        if let Some((id, _)) = changes.lists.iter().find(|(id, _)| !comes(id) && !stays(id)) {
            return wrong("a list that changes", *id);
        }
        changes.gone.iter().for_each(|id| drop(self.0.remove(id)));
        for (id, features) in &changes.features {
            self.0.entry(*id).or_default().0.clone_from(features);
        }
        for (id, list) in &changes.lists {
            if let Some(node) = self.0.get_mut(id) {
                node.1.clone_from(list);
            }
        }
        Ok(())
    }
}
