//! Voxels that come and go: every list and every change against brute force, on every instruction set and any number of shards.

use super::changes::{Row, agree, row, rows};
use super::cloud::{d2, point, unit};
use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use thalweg::knn::{IdLists, ListChanges, Simd, VoxelKnn};

const HALF: i64 = 1 << 20;

fn id(p: [i64; 3]) -> u64 {
    p.iter().fold(0, |id, v| id << 21 | (v + HALF) as u64)
}

fn position(id: u64) -> [f32; 3] {
    [42, 21, 0].map(|shift| ((id >> shift & 0x1f_ffff) as i64 - HALF) as f32)
}

/// A voxel of a shape: dense and thin ones, sparse ones, all of the range and its corners.
fn voxel(shape: &str, rng: &mut Random) -> u64 {
    let mut below = |n: usize| rng.below(n) as i64;
    let p = match shape {
        "box" => [below(9), below(9), below(9)],
        "floor" => [below(40), below(40), 0],
        "two floors" => [below(20), below(20), 9 * below(2)],
        "sparse" => [below(60), below(60), below(60)],
        "line" => [below(300), -5, 7],
        "range" => [below(1 << 21) - HALF, below(1 << 21) - HALF, below(1 << 21) - HALF],
        "corners" => [below(2), below(2), below(2)].map(|side| side * ((1 << 21) - 12) - HALF),
        "outlier" if below(100) == 0 => [900_000, -900_000, 5],
        "outlier" => [below(12), below(12), below(3)],
        "scan" => {
            let p = point("rings", rng);
            p.map(|v| (v / 0.2).floor() as i64)
        }
        other => unreachable!("shape {other}"),
    };
    let corner = if shape == "corners" { [rng.below(12), rng.below(12), rng.below(12)] } else { [0; 3] };
    id([p[0] + corner[0] as i64, p[1] + corner[1] as i64, p[2] + corner[2] as i64])
}

const SHAPES: [&str; 9] = ["box", "floor", "two floors", "sparse", "line", "range", "corners", "outlier", "scan"];

fn list(nodes: &BTreeSet<u64>, node: u64, k: usize) -> Row {
    let mut all: Vec<(u32, u64)> = nodes
        .iter()
        .filter(|&&other| other != node)
        .map(|&other| (d2(position(node), position(other)).to_bits(), other))
        .collect();
    if all.len() > k {
        all.select_nth_unstable(k);
        all.truncate(k);
    }
    all.sort_unstable();
    all.into_iter().map(|(d2, id)| (id, d2)).collect()
}

/// Contestants: every instruction set, and a graph in three parts.
fn graphs(k: usize) -> Vec<(String, Vec<VoxelKnn>)> {
    let whole = |simd: Simd| (simd.name().to_string(), vec![VoxelKnn::with_simd(k, simd).unwrap()]);
    let mut graphs: Vec<_> = Simd::available().into_iter().map(whole).collect();
    graphs.push(("3 shards".into(), (0..3).map(|shard| VoxelKnn::sharded(k, shard, 3).unwrap()).collect()));
    graphs
}

fn run(shape: &str, seed: u64, k: usize, share: f32, epochs: usize, start: usize) {
    let mut rng = Random::new(seed);
    let mut nodes = BTreeSet::new();
    let mut lists = BTreeMap::<u64, Row>::new();
    let mut graphs = graphs(k);
    for epoch in 0..epochs {
        let mut remove: Vec<u64> = nodes.iter().copied().filter(|_| unit(&mut rng) < share).collect();
        let arrivals = if epoch == 0 { start } else { rng.below(2 + (2.0 * share * start as f32) as usize) };
        let mut insert = BTreeSet::new();
        for _ in 0..arrivals {
            let id = voxel(shape, &mut rng);
            // Now and then a voxel that goes and comes at once.
            if !nodes.contains(&id) || remove.contains(&id) {
                insert.insert(id);
            }
        }
        nodes.retain(|id| !remove.contains(id));
        nodes.extend(&insert);
        let mut insert: Vec<u64> = insert.into_iter().collect();
        rng.shuffle(&mut insert);
        rng.shuffle(&mut remove);
        let fresh: BTreeMap<u64, Row> = nodes.iter().map(|&node| (node, list(&nodes, node, k))).collect();
        let mut concerned: BTreeSet<u64> = lists.keys().copied().collect();
        concerned.extend(fresh.keys());
        let empty = Row::new();
        let expected: Vec<(u64, Row, Row)> = concerned
            .into_iter()
            .map(|id| (id, lists.get(&id).unwrap_or(&empty).clone(), fresh.get(&id).unwrap_or(&empty).clone()))
            .filter(|(_, old, new)| old != new)
            .collect();
        lists = fresh;
        for (name, parts) in &mut graphs {
            let case = format!("{shape}, seed {seed}, k {k}, share {share}, epoch {epoch}, {name}");
            let mut found = Vec::new();
            for part in parts.iter_mut() {
                found.extend(rows(part.apply(&remove, &insert).unwrap_or_else(|e| panic!("{case}: {e}"))));
                assert_eq!(part.len(), nodes.len(), "{case}");
            }
            assert!(parts.len() > 1 || found.is_sorted_by_key(|row| row.0), "{case}: order");
            found.sort();
            agree(&found, &expected, &case);
        }
    }
    for (name, parts) in &graphs {
        let case = format!("{shape}, seed {seed}, k {k}, share {share}, {name}");
        let mut found = BTreeMap::new();
        for part in parts {
            let mut all = IdLists::default();
            let ids = part.lists(&mut all);
            assert!(ids.is_sorted(), "{case}");
            for (i, &id) in ids.iter().enumerate() {
                let (dst, d2) = part.list(id).unwrap();
                assert_eq!(row((&dst, &d2)), lists[&id], "{case}, node {id}");
                found.insert(id, row(all.row(i)));
            }
        }
        assert!(found == lists, "{case}: all lists");
    }
}

#[test]
fn short_scripts_over_every_shape() {
    for (i, shape) in SHAPES.iter().enumerate() {
        for (j, k) in [1, 2, 5, 8, 16, 33, 64].into_iter().enumerate() {
            let seed = (100 * i + j) as u64;
            run(shape, seed, k, [0.02, 0.2, 0.6][(i + j) % 3], 14, 400);
            run(shape, seed + 50, k, 0.3, 14, 30);
        }
    }
}

#[test]
fn thousands_of_epochs() {
    for (i, shape) in SHAPES.iter().enumerate() {
        for (j, k) in [3, 16].into_iter().enumerate() {
            run(shape, (7000 + 10 * i + j) as u64, k, 0.05, 300, 150);
        }
    }
}

/// Everything goes, and comes back.
#[test]
fn it_can_be_emptied() {
    let nodes: Vec<u64> = (0..200).map(|i| id([i % 9, i / 9, i % 2])).collect();
    let mut graph = VoxelKnn::new(4).unwrap();
    let first = graph.apply(&[], &nodes).unwrap().clone();
    let gone = graph.apply(&nodes, &[]).unwrap().clone();
    assert_eq!((&gone.src, &gone.old), (&first.src, &first.new));
    assert!(graph.is_empty() && gone.new.edges() == 0);
    assert_eq!(*graph.apply(&[], &nodes).unwrap(), first);
}

#[test]
fn bad_edits_change_nothing() {
    let nodes: Vec<u64> = (0..10).map(|x| id([x, 0, 0])).collect();
    let mut graph = VoxelKnn::new(3).unwrap();
    graph.apply(&[], &nodes).unwrap();
    let (there, not) = (nodes[4], id([100, 0, 0]));
    let cases: [(&[u64], &[u64], String); 6] = [
        (&[], &[there], format!("insertion: found node {there}, which is there, expected a node that is not there")),
        (&[], &[not, not], format!("insertion: found node {not} twice, expected each node once")),
        (&[not], &[], format!("removal: found node {not}, expected a node that is there")),
        (&[there, there], &[], format!("removal: found node {there} twice, expected each node once")),
        (&[1 << 63], &[], format!("removal: found node {}, expected a node that is there", 1u64 << 63)),
        (&[there], &[not, 1 << 63], format!("insertion: found node {}, expected an id below 2^63", 1u64 << 63)),
    ];
    for (remove, insert, message) in cases {
        assert_eq!(graph.apply(remove, insert).unwrap_err().to_string(), message);
        assert_eq!(graph.len(), 10);
        assert_eq!(graph.list(nodes[0]).unwrap(), (nodes[1..4].to_vec(), vec![1.0, 4.0, 9.0]));
        assert_eq!(graph.list(not), None);
    }
    assert_eq!(*graph.apply(&[], &[]).unwrap(), ListChanges::default());
    for k in [0, 65] {
        let message = format!("k: found {k}, expected 1 to 64");
        assert_eq!(VoxelKnn::new(k).err().map(|e| e.to_string()), Some(message));
    }
    let message = "shard: found 2, expected less than 2";
    assert_eq!(VoxelKnn::sharded(3, 2, 2).err().map(|e| e.to_string()), Some(message.into()));
}
