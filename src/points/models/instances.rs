//! Objects: connected components of the kNN graph within one kind of class, edges no longer than the class's reach.
//!
//! A car that a network takes for a truck in places is one object still: an object's nodes all get the class of its kind that has the
//! largest sum of probabilities over them. `numbers` says how objects are numbered.

use rustc_hash::FxHashMap;

use super::decision::Decided;
use crate::{KnnGraph, Nodes};

/// What of a class comes as objects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kind {
    /// Classes with the same kind make up objects together.
    pub(super) name: &'static str,
    /// The squared distance within which two nodes are of one object (m²).
    pub(super) reach2: f32,
}

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

/// The first node of each node's object; [`Nodes::NONE`] where its class has no objects. `kinds` are those of the classes.
pub(super) fn objects(graph: &KnnGraph, decided: &Decided, kinds: &[Option<Kind>]) -> Vec<u32> {
    let kind = |node: usize| kinds[decided.class[node] as usize];
    let mut forest = Forest((0..graph.nodes.len() as u32).collect());
    for i in 0..graph.nodes.len() {
        let Some(own) = kind(i) else { continue };
        let row = i * graph.k..(i + 1) * graph.k;
        for (&j, &d2) in graph.neighbor[row.clone()].iter().zip(&graph.d2[row]) {
            if d2 > own.reach2 {
                break;
            }
            if kind(j as usize).is_some_and(|other| other.name == own.name) {
                forest.join(i as u32, j);
            }
        }
    }
    let root = |node: usize| if kind(node).is_some() { forest.root(node as u32) } else { Nodes::NONE };
    (0..graph.nodes.len()).map(root).collect()
}

/// Gives the nodes of each object whose nodes differ the class of its kind with the largest sum of probabilities.
pub(super) fn agree(decided: &mut Decided, object: &[u32], kinds: &[Option<Kind>]) {
    // Of each object whose nodes differ the sums by class; they are added up in the order of nodes.
    let mut sums: FxHashMap<u32, Vec<f64>> = FxHashMap::default();
    for (node, &first) in object.iter().enumerate() {
        if first != Nodes::NONE && decided.class[node] != decided.class[first as usize] {
            sums.entry(first).or_insert_with(|| vec![0.0; kinds.len()]);
        }
    }
    let mut p = vec![0.0; kinds.len()];
    for (node, first) in object.iter().enumerate() {
        if let Some(sums) = sums.get_mut(first) {
            decided.probabilities(node, &mut p);
            sums.iter_mut().zip(&p).for_each(|(sum, &p)| *sum += f64::from(p));
        }
    }
    let best = |(&first, sums): (&u32, &Vec<f64>)| {
        let kind = kinds[decided.class[first as usize] as usize];
        let same = |class: &usize| kinds[*class].map(|kind| kind.name) == kind.map(|kind| kind.name);
        let more = |best: (usize, f64), class: usize| if sums[class] > best.1 { (class, sums[class]) } else { best };
        (first, (0..kinds.len()).filter(same).fold((0, f64::NEG_INFINITY), more).0)
    };
    let best: FxHashMap<u32, usize> = sums.iter().map(best).collect();
    for (node, first) in object.iter().enumerate() {
        if let Some(&best) = best.get(first) {
            decided.probabilities(node, &mut p);
            (decided.class[node], decided.share[node]) = (best as u8, p[best]);
        }
    }
}
