//! Producers of graphs against brute force, and changes that add up to the graph, whoever makes it.

use std::collections::BTreeSet;

use thalweg::graph::{Graph, GraphChanges, LiveNodes, periodic_radius_graph, radius_graph};
use thalweg::knn::Points3;
use thalweg::layers::Matrix;
use thalweg::sink::Collect;
use thalweg::{BoxError, Flow, Frame, Next, Nodes, Pipeline, Source};

use crate::random::Random;

/// Points on a coarse grid and off it: ties at exactly the radius, duplicates, negative and large coordinates.
fn cloud(rng: &mut Random, count: usize) -> [Vec<f32>; 3] {
    [0, 1, 2].map(|_| {
        (0..count)
            .map(|_| match rng.below(8) {
                0 => rng.below(1000) as f32 / 100.0 - 5.0,
                1 => 1e30 * (rng.below(3) as f32 - 1.0),
                _ => rng.below(9) as f32 * 0.5 - 2.0,
            })
            .collect()
    })
}

#[test]
fn radius_graph_is_that_of_brute_force() {
    for seed in 0..60 {
        let mut rng = Random::new(seed);
        let count = rng.below(80) as usize;
        let [x, y, z] = cloud(&mut rng, count);
        let r = [0.5, 1.0, 1.5, 0.37][seed as usize % 4];
        let lists = radius_graph(Points3::new(&x, &y, &z).unwrap(), r).unwrap();
        for i in 0..count {
            let near = |j: &u32| {
                let j = *j as usize;
                let [dx, dy, dz] = [x[i] - x[j], y[i] - y[j], z[i] - z[j]];
                j != i && dx * dx + dy * dy + dz * dz <= (r * r) as f32
            };
            assert_eq!(lists.of(i), (0..count as u32).filter(near).collect::<Vec<_>>(), "seed {seed}, point {i}");
        }
    }
    let none = Points3::new(&[], &[], &[]).unwrap();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(radius_graph(none, bad).unwrap_err().to_string().starts_with("radius: found"));
    }
}

#[test]
fn a_periodic_cell_is_one_of_many_copies() {
    for seed in 0..20 {
        let mut rng = Random::new(100 + seed);
        let mut number = |range: u64| rng.below(range * 1000) as f64 / 1000.0;
        // A skewed cell; some points outside it.
        let cell = [[3.0 + number(1), 0.0, 0.0], [number(2), 2.5, 0.0], [number(1), -number(1), 2.0 + number(2)]];
        let points: Vec<[f64; 3]> = (0..6).map(|_| [number(6) - 1.0, number(6) - 1.0, number(6) - 1.0]).collect();
        let periodic = [true, seed % 2 == 0, seed % 3 != 0];
        let r = 1.5 + number(2);
        let found = periodic_radius_graph(&points, cell, periodic, r).unwrap();
        let mut expected = BTreeSet::new();
        let reach = |axis: usize| if periodic[axis] { 12 } else { 0 };
        for (dst, to) in points.iter().enumerate() {
            for (src, from) in points.iter().enumerate() {
                for a in -reach(0)..=reach(0) {
                    for b in -reach(1)..=reach(1) {
                        for c in -reach(2)..=reach(2) {
                            let d2: f64 = (0..3)
                                .map(|axis| {
                                    let shift = f64::from(a) * cell[0][axis]
                                        + f64::from(b) * cell[1][axis]
                                        + f64::from(c) * cell[2][axis];
                                    (from[axis] + shift - to[axis]).powi(2)
                                })
                                .sum();
                            if d2 <= r * r && (src != dst || (a, b, c) != (0, 0, 0)) {
                                expected.insert((dst as u32, src as u32, [a, b, c]));
                            }
                        }
                    }
                }
            }
        }
        let keys: Vec<_> = found.iter().map(|edge| (edge.dst, edge.src, edge.image)).collect();
        assert!(keys.is_sorted(), "seed {seed}");
        assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), expected, "seed {seed}");
        let back = |e: &&thalweg::graph::PeriodicEdge| found.iter().any(|f| (f.src, f.dst) == (e.dst, e.src));
        assert!(found.iter().all(|edge| back(&edge)), "seed {seed}");
    }
    let flat = [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
    assert!(periodic_radius_graph(&[], flat, [true; 3], 1.0).unwrap_err().to_string().starts_with("cell: found"));
    let thin = [[1e-9, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let error = periodic_radius_graph(&[[0.0; 3]], thin, [true; 3], 1.0).unwrap_err().to_string();
    assert!(error.contains("images within the radius"), "{error}");
}

/// Frames whose points come, go and move.
struct Frames(std::vec::IntoIter<Frame>);

impl Source for Frames {
    type Item = Frame;
    fn name(&self) -> String {
        "frames".into()
    }
    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        Ok(self.0.next().map_or(Next::End, Next::Item))
    }
}

fn frames(seed: u64, count: usize) -> Vec<Frame> {
    let mut rng = Random::new(seed);
    let [mut x, mut y, mut z] = cloud(&mut rng, 12);
    let frame = |id: usize| {
        for column in [&mut x, &mut y, &mut z] {
            for value in column.iter_mut() {
                if rng.below(6) == 0 {
                    *value = rng.below(9) as f32 * 0.5;
                }
            }
            column.truncate(4 + rng.below(9) as usize);
        }
        let points = x.len().min(y.len()).min(z.len());
        [&mut x, &mut y, &mut z].into_iter().for_each(|column| column.truncate(points));
        if rng.below(4) == 0 {
            [&mut x, &mut y, &mut z].into_iter().for_each(|column| column.push(1.0));
        }
        Frame { id: id as i64, x: x.clone(), y: y.clone(), z: z.clone(), ..Frame::default() }
    };
    (0..count).map(frame).collect()
}

fn heights(nodes: &Nodes) -> Matrix {
    Matrix::from_rows(nodes.len(), 1, nodes.z.clone()).unwrap()
}

#[test]
fn changes_added_up_are_the_graph_of_every_producer() {
    type Producer = for<'p> fn(Flow<'p, Frame>) -> Flow<'p, Graph>;
    let producers: [(&str, Producer); 3] = [
        ("knn_graph", |frames| frames.nodes().knn_graph(3).features(heights)),
        ("voxels", |frames| frames.voxel_downsample(1.0).knn_graph(2).features(heights)),
        ("radius_graph", |frames| frames.nodes().radius_graph(1.0, heights)),
    ];
    for (name, produce) in producers {
        for seed in 0..10 {
            for workers in [1, 2, 4] {
                let (graphs, changes) = (Collect::default(), Collect::<GraphChanges>::default());
                let pipeline = Pipeline::new();
                let flow = produce(pipeline.source(Frames(frames(seed, 12).into_iter())));
                flow.clone().sink(graphs.clone());
                flow.changes().sink(changes.clone());
                pipeline.workers(workers).run().unwrap();
                let mut live = LiveNodes::default();
                let (graphs, changes) = (graphs.items(), changes.items());
                assert_eq!(graphs.len(), changes.len());
                for ((epoch, graph), (_, change)) in graphs.iter().zip(&changes) {
                    live.apply(change).unwrap();
                    assert_eq!(live, LiveNodes::of(graph), "{name}, seed {seed}, epoch {epoch}, {workers} workers");
                    assert!(change.features.len() + change.lists.len() <= 2 * graph.nodes());
                }
                // What stays as it is costs nothing.
                let again = live.changes_to(&live.clone(), 0);
                assert_eq!(again, GraphChanges::default());
            }
        }
    }
}

#[test]
fn changes_of_what_is_not_there_are_errors_and_change_nothing() {
    let mut live = LiveNodes::default();
    let gone = GraphChanges { gone: vec![3], ..GraphChanges::default() };
    assert_eq!(live.apply(&gone).unwrap_err().to_string(), "a node that goes: found node 3, expected a live node");
    let listed = GraphChanges { lists: vec![(3, (vec![], vec![]))], ..GraphChanges::default() };
    assert!(live.apply(&listed).is_err());
    assert_eq!(live, LiveNodes::default());
}

#[test]
fn a_graph_by_ones_own_rule_keeps_attributes_with_their_edges() {
    let x = Matrix::zeros(3, 1);
    let attributes = Matrix::from_rows(3, 1, vec![0.1, 0.2, 0.3]).unwrap();
    let graph = Graph::from_edges(x.clone(), &[2, 0, 1], &[1, 1, 0], Some(&attributes)).unwrap();
    graph.check().unwrap();
    assert_eq!((graph.edges.of(0), graph.edges.of(1)), (&[1][..], &[0, 2][..]));
    assert_eq!(graph.edge_attr.unwrap().data(), [0.3, 0.2, 0.1]);
    assert!(Graph::from_edges(x.clone(), &[3], &[0], None).is_err());
    assert!(Graph::from_edges(x, &[0], &[0], Some(&attributes)).is_err());
}
