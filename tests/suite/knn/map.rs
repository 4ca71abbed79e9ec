//! Nodes that come, go and move: every list and every change against brute force.

use super::changes::{Row, agree, rows};
use super::cloud::{SHAPES, d2, point};
use crate::random::Random;
use std::collections::BTreeMap;
use thalweg::knn::{Edit, Effort, KnnMap, ListChanges, Simd};

type Placed = (u64, [f32; 3]);

/// The live set, and what follows from it.
#[derive(Default)]
struct Oracle {
    nodes: BTreeMap<u64, [f32; 3]>,
    lists: BTreeMap<u64, Row>,
}

impl Oracle {
    /// Applies an edit; returns old and new list of every node whose list differs.
    fn apply(&mut self, edit: &Edit<'_>, k: usize) -> Vec<(u64, Row, Row)> {
        for id in edit.remove {
            self.nodes.remove(id);
        }
        self.nodes.extend(edit.insert.iter().chain(edit.moves).copied());
        let list = |id: u64, p: [f32; 3]| {
            let mut all: Vec<(u32, u64)> = self
                .nodes
                .iter()
                .filter(|&(&other, _)| other != id)
                .map(|(&other, &q)| (d2(p, q).to_bits(), other))
                .collect();
            if all.len() > k {
                all.select_nth_unstable(k);
                all.truncate(k);
            }
            all.sort_unstable();
            all.into_iter().map(|(d2, id)| (id, d2)).collect::<Row>()
        };
        let lists: BTreeMap<u64, Row> = self.nodes.iter().map(|(&id, &p)| (id, list(id, p))).collect();
        let before = std::mem::replace(&mut self.lists, lists);
        let mut ids: Vec<u64> = before.keys().chain(self.lists.keys()).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .map(|id| {
                let row = |lists: &BTreeMap<u64, Row>| lists.get(&id).cloned().unwrap_or_default();
                (id, row(&before), row(&self.lists))
            })
            .filter(|(_, old, new)| old != new)
            .collect()
    }
}

/// A random edit: which ids are used and how many depends on the style.
fn edit(
    shape: &str,
    style: usize,
    nodes: &BTreeMap<u64, [f32; 3]>,
    rng: &mut Random,
) -> (Vec<u64>, Vec<Placed>, Vec<Placed>) {
    let (mut remove, mut insert, mut moves) = (Vec::new(), Vec::new(), Vec::new());
    let share = [0.02, 0.1, 0.5, 1.0][style % 4];
    let grow = nodes.len() < 30 || rng.below(4) != 0;
    for (&id, &p) in nodes {
        if rng.unit() < share * if grow { 0.3 } else { 1.0 } {
            match rng.below(8) {
                0 => moves.push((id, point(shape, rng))),
                1 => moves.push((id, p)),
                2 => {
                    remove.push(id);
                    insert.push((id, point(shape, rng)));
                }
                3 => {
                    remove.push(id);
                    insert.push((id, p));
                }
                _ => remove.push(id),
            }
        }
    }
    let arrivals = rng.below(2 + (40.0 * share) as usize) + usize::from(nodes.is_empty());
    for _ in 0..arrivals {
        let id = match style / 4 {
            0 => rng.bits() >> 1,
            1 => rng.bits() % 500,
            _ => (1 << 62) + rng.bits() % 60,
        };
        if !nodes.contains_key(&id) && insert.iter().all(|&(other, _)| other != id) {
            insert.push((id, point(shape, rng)));
        }
    }
    // The order in which an edit is written does not matter.
    rng.shuffle(&mut insert);
    (remove, insert, moves)
}

/// Runs a script on several maps at once; all must agree with the oracle after every epoch.
fn run(shape: &str, seed: u64, k: usize, style: usize, epochs: usize, start: usize) {
    let mut rng = Random::new(seed);
    let mut oracle = Oracle::default();
    let mut maps: Vec<(String, Effort, KnnMap)> = Vec::new();
    for simd in Simd::available() {
        for effort in [Effort::Auto, Effort::Incremental, Effort::Bulk] {
            let name = format!("{} {effort:?}", simd.name());
            maps.push((name, effort, KnnMap::with_simd(k, simd).unwrap()));
        }
    }
    for epoch in 0..epochs {
        let (remove, mut insert, moves) = edit(shape, style, &oracle.nodes, &mut rng);
        if epoch == 0 {
            insert = (0..start as u64).map(|id| (id * 7919, point(shape, &mut rng))).collect();
        }
        let edit = Edit { remove: &remove, insert: &insert, moves: &moves };
        let expected = oracle.apply(&edit, k);
        for (name, effort, map) in &mut maps {
            let case = format!("{shape}, seed {seed}, k {k}, style {style}, epoch {epoch}, {name}");
            let found = rows(map.apply_with(&edit, *effort).unwrap_or_else(|e| panic!("{case}: {e}")));
            assert_eq!(map.len(), oracle.nodes.len(), "{case}");
            agree(&found, &expected, &case);
        }
    }
    for (name, _, map) in &maps {
        for (&id, expected) in &oracle.lists {
            let found: Row = map.list(id).unwrap().map(|(id, d2)| (id, d2.to_bits())).collect();
            assert_eq!(&found, expected, "{shape}, seed {seed}, k {k}, {name}, node {id}");
        }
    }
}

#[test]
fn short_scripts_over_every_shape() {
    for (i, shape) in SHAPES.iter().enumerate() {
        for (j, k) in [1, 2, 5, 8, 16, 33, 64].into_iter().enumerate() {
            run(shape, (100 * i + j) as u64, k, (i + j) % 12, 25, 0);
            run(shape, (100 * i + j + 50) as u64, k, (i + j) % 2, 12, 300);
        }
    }
}

#[test]
fn thousands_of_epochs() {
    for (i, shape) in ["uniform", "rings", "clusters", "grid", "one place", "outlier"].into_iter().enumerate() {
        for (j, k) in [1, 6, 16].into_iter().enumerate() {
            run(shape, (7000 + 10 * i + j) as u64, k, [0, 5, 9][j], 300, 60);
        }
    }
}

#[test]
fn bad_edits_change_nothing() {
    let mut map = KnnMap::new(3).unwrap();
    let nodes: Vec<(u64, [f32; 3])> = (0..10).map(|i| (i, [i as f32, 0.0, 0.0])).collect();
    map.apply(&Edit { insert: &nodes, ..Edit::default() }).unwrap();
    let p = [0.5, 0.0, 0.0];
    let cases: [(Edit<'_>, &str); 9] = [
        (
            Edit { insert: &[(4, p)], ..Edit::default() },
            "insertion: found node 4, which is there, expected a node that is not there",
        ),
        (
            Edit { insert: &[(90, p), (90, p)], ..Edit::default() },
            "insertion: found node 90 twice, expected each node once",
        ),
        (Edit { remove: &[90], ..Edit::default() }, "removal: found node 90, expected a node that is there"),
        (Edit { remove: &[1, 1], ..Edit::default() }, "removal: found node 1 twice, expected each node once"),
        (Edit { moves: &[(90, p)], ..Edit::default() }, "move: found node 90, expected a node that is there"),
        (
            Edit { remove: &[1], moves: &[(1, p)], ..Edit::default() },
            "move: found node 1 twice, expected each node once",
        ),
        (Edit { moves: &[(1, p), (1, p)], ..Edit::default() }, "move: found node 1 twice, expected each node once"),
        (
            Edit { insert: &[(1 << 63, p)], ..Edit::default() },
            "insertion: found node 9223372036854775808, expected an id below 2^63",
        ),
        (
            Edit { moves: &[(1, [0.0, f32::NAN, 0.0])], ..Edit::default() },
            "move: found node 1 at [0.0, NaN, 0.0], expected finite coordinates",
        ),
    ];
    for (edit, message) in cases {
        assert_eq!(map.apply(&edit).unwrap_err().to_string(), message);
        assert_eq!(map.len(), 10);
        assert_eq!(map.list(0).unwrap().collect::<Vec<_>>(), [(1, 1.0), (2, 4.0), (3, 9.0)]);
    }
    assert_eq!(*map.apply(&Edit::default()).unwrap(), ListChanges::default());
    for k in [0, 65] {
        let message = format!("k: found {k}, expected 1 to 64");
        assert_eq!(KnnMap::new(k).err().map(|e| e.to_string()), Some(message));
    }
}
