//! All nodes at once, on every instruction set of the machine.

use super::cloud::{Cloud, SHAPES, brute, cloud, point};
use crate::random::Random;
use kiddo::{ImmutableKdTree, SquaredEuclidean};
use std::num::NonZero;
use thalweg::knn::{KnnIndex, NeighborLists, Points3, Simd, knn_graph};

const KS: &[usize] = &[1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50, 63, 64];

fn assert_row(lists: &NeighborLists, row: usize, expected: &[(u32, u32)], case: &str) {
    let (dst, d2) = lists.row(row);
    let found: Vec<(u32, u32)> = d2.iter().zip(dst).map(|(d2, &dst)| (d2.to_bits(), dst)).collect();
    assert_eq!(found, expected, "{case}, row {row}");
}

fn assert_graph(cloud: &Cloud, k: usize, every: usize, case: &str) {
    for simd in Simd::available() {
        let case = format!("{case}, n {}, k {k}, {}", cloud.len(), simd.name());
        let lists = KnnIndex::with_simd(cloud.points(), simd).graph(k).unwrap();
        assert_eq!(lists.k, k.min(cloud.len().saturating_sub(1)), "{case}");
        assert_eq!(lists.neighbor.len(), cloud.len() * lists.k, "{case}");
        for i in (0..cloud.len()).step_by(every) {
            assert_row(&lists, i, &brute(cloud, cloud.get(i), Some(i), k), &case);
        }
    }
}

#[test]
fn few_points_of_every_shape() {
    for (seed, shape) in SHAPES.iter().enumerate() {
        let mut rng = Random::new(seed as u64);
        for &k in KS {
            for n in [0, 1, 2, 3, k - 1, k, k + 1, k + 2, 31, 32, 33, 64, 65, 100] {
                let cloud = cloud(shape, n, &mut rng);
                assert_graph(&cloud, k, 1 + n / 40, &format!("{shape}, seed {seed}"));
            }
        }
    }
}

#[test]
fn many_points_of_every_shape() {
    for (seed, shape) in SHAPES.iter().enumerate() {
        let mut rng = Random::new(1000 + seed as u64);
        for &k in KS {
            let n = 200 + rng.below(2800);
            let cloud = cloud(shape, n, &mut rng);
            assert_graph(&cloud, k, 17, &format!("{shape}, seed {seed}"));
        }
    }
}

#[test]
fn threads_that_share_a_cloud_give_the_lists_of_one() {
    for (seed, shape) in SHAPES.iter().enumerate() {
        let mut rng = Random::new(3000 + seed as u64);
        let cloud = cloud(shape, 20_000 + rng.below(5000), &mut rng);
        let index = KnnIndex::build(cloud.points());
        let k = 1 + rng.below(64);
        let alone = index.graph(k).unwrap();
        for threads in [2, 3, 4] {
            assert!(index.graph_shared(k, threads).unwrap() == alone, "{shape}, k {k}, {threads} threads");
        }
    }
}

#[test]
fn two_shapes_at_once() {
    for seed in 0..60 {
        let mut rng = Random::new(2000 + seed);
        let shapes = [SHAPES[rng.below(SHAPES.len())], SHAPES[rng.below(SHAPES.len())]];
        let mut cloud = Cloud::default();
        for _ in 0..1500 {
            cloud.push(point(shapes[rng.below(2)], &mut rng));
        }
        let k = 1 + rng.below(64);
        assert_graph(&cloud, k, 23, &format!("{shapes:?}, seed {seed}"));
    }
}

/// 100,000 points at one place and on a line of duplicates: an index that looked at every tie would need minutes.
#[test]
fn heaps_of_duplicates_are_quick() {
    for places in [1, 3] {
        let mut cloud = Cloud::default();
        for i in 0..100_000 {
            cloud.push([(i % places) as f32, 0.0, 0.0]);
        }
        let lists = knn_graph(cloud.points(), 16).unwrap();
        for i in (0..cloud.len()).step_by(9973) {
            assert_row(&lists, i, &brute(&cloud, cloud.get(i), Some(i), 16), &format!("{places} places"));
        }
    }
}

#[test]
fn queries_that_are_no_nodes() {
    for (seed, shape) in SHAPES.iter().enumerate() {
        let mut rng = Random::new(3000 + seed as u64);
        for k in [1, 3, 8, 16, 20, 64] {
            for n in [0, 1, k, 40, 700] {
                let (nodes, mut queries) = (cloud(shape, n, &mut rng), cloud(shape, 150, &mut rng));
                queries.push([1e30, -4.0, 2.0]);
                for simd in Simd::available() {
                    let case = format!("{shape}, seed {seed}, n {n}, k {k}, {}", simd.name());
                    let lists = KnnIndex::with_simd(nodes.points(), simd).nearest(queries.points(), k).unwrap();
                    assert_eq!(lists.k, k.min(n), "{case}");
                    for i in 0..queries.len() {
                        assert_row(&lists, i, &brute(&nodes, queries.get(i), None, k), &case);
                    }
                }
            }
        }
    }
}

/// kiddo's immutable tree finds the same squared distances, rounding aside.
#[test]
fn kiddo_agrees() {
    let mut rng = Random::new(5);
    for shape in ["uniform", "rings", "clusters"] {
        let cloud = cloud(shape, 5000, &mut rng);
        let points: Vec<[f32; 3]> = (0..cloud.len()).map(|i| cloud.get(i)).collect();
        let tree: ImmutableKdTree<f32, 3> = ImmutableKdTree::new_from_slice(&points).unwrap();
        let lists = knn_graph(cloud.points(), 12).unwrap();
        for (i, point) in points.iter().enumerate() {
            let found = tree.query(point).nearest_n::<SquaredEuclidean<f32>>(NonZero::new(13).unwrap()).execute();
            for (theirs, ours) in found[1..].iter().zip(lists.row(i).1) {
                assert!((theirs.distance - ours).abs() <= 1e-5 * ours, "{shape}, row {i}");
            }
        }
    }
}

#[test]
fn bad_input_is_named() {
    let text = |r: Result<NeighborLists, thalweg::Error>| r.unwrap_err().to_string();
    let points = Points3::new(&[0.0, 1.0], &[0.0; 2], &[0.0; 2]).unwrap();
    assert_eq!(text(knn_graph(points, 0)), "k: found 0, expected 1 to 64");
    assert_eq!(text(KnnIndex::build(points).nearest(points, 65)), "k: found 65, expected 1 to 64");
    let nan = Points3::new(&[0.0, 1.0], &[0.0, f32::NAN], &[0.0; 2]).unwrap_err().to_string();
    assert_eq!(nan, "point: found (1, NaN, 0) at 1, expected finite coordinates");
    let short = Points3::new(&[0.0, 1.0], &[0.0], &[0.0; 2]).unwrap_err().to_string();
    assert_eq!(short, "lengths of x, y and z: found 2, 1 and 2, expected one length");
}
