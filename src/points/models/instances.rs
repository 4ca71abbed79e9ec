//! Objects: connected components of the kNN graph within one class, edges no longer than the class's reach.
//!
//! An object's number is 1 + the rank of its smallest point index within the frame, so it depends on no order of merging.

use crate::{KnnGraph, Nodes};

/// Union-find over nodes; the smaller index is the root, so a root is its object's first node.
struct Forest(Vec<u32>);

impl Forest {
    fn root(&mut self, mut node: u32) -> u32 {
        while self.0[node as usize] != node {
            let up = self.0[self.0[node as usize] as usize];
            self.0[node as usize] = up;
            node = up;
        }
        node
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

/// Object numbers per point, from a class per node (`None`: it was given none) and a squared reach per class (`None`: the
/// class has no objects).
pub(super) fn instances(graph: &KnnGraph, class: &[Option<u8>], reach2: &[Option<f32>]) -> Vec<u32> {
    let nodes = &graph.nodes;
    let reach2 = |node: usize| class[node].and_then(|class| reach2[class as usize]);
    let mut forest = Forest((0..nodes.len() as u32).collect());
    for i in 0..nodes.len() {
        let Some(reach2) = reach2(i) else { continue };
        let row = i * graph.k..(i + 1) * graph.k;
        for (&j, &d2) in graph.neighbor[row.clone()].iter().zip(&graph.d2[row]) {
            if d2 > reach2 {
                break;
            }
            if class[j as usize] == class[i] {
                forest.join(i as u32, j);
            }
        }
    }
    let mut number = vec![0u32; nodes.len()];
    let mut objects = 0;
    nodes
        .of_point
        .iter()
        .map(|&node| {
            if node == Nodes::NONE || reach2(node as usize).is_none() {
                return 0;
            }
            let root = forest.root(node) as usize;
            if number[root] == 0 {
                objects += 1;
                number[root] = objects;
            }
            number[root]
        })
        .collect()
}
