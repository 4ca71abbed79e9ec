//! Map mode against an oracle that recomputes voxels and lists from the frames of the window, for any number of workers.

use std::collections::{BTreeMap, BTreeSet};

use thalweg::plan::Delta;
use thalweg::points::map::{MapChanges, MapGraph};
use thalweg::sink::Collect;
use thalweg::{BoxError, Flow, Frame, Next, Pipeline, Pose, Report, Source};

use crate::random::Random;

/// Frames from memory.
pub struct Recorded(std::vec::IntoIter<Frame>);

impl Source for Recorded {
    type Item = Frame;
    fn name(&self) -> String {
        "recorded".into()
    }
    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        Ok(self.0.next().map_or(Next::End, Next::Item))
    }
}

pub fn recorded(frames: Vec<Frame>) -> Recorded {
    Recorded(frames.into_iter())
}

const VOXEL: f64 = 0.3;

/// A drive through the same few places, so that voxels are left and occupied again: frames of any size, some empty, with
/// duplicates, points that are not finite, and points beyond the grid.
fn drive(seed: u64, frames: usize) -> Vec<Frame> {
    let mut rng = Random::new(seed);
    (0..frames as i64)
        .map(|id| {
            let turn = rng.below(628) as f64 / 100.0;
            let (sin, cos) = (libm::sin(turn), libm::cos(turn));
            let shift = [0; 3].map(|_| rng.below(60) as f64 * 0.05 - 1.5);
            let pose = Pose([[cos, -sin, 0.0, shift[0]], [sin, cos, 0.0, shift[1]], [0.0, 0.0, 1.0, shift[2]]]);
            let points = if rng.below(6) == 0 { 0 } else { rng.below(70) };
            let mut frame = Frame { id, pose: Some(pose), ..Frame::default() };
            for _ in 0..points {
                let mut p = [0; 3].map(|_| rng.below(400) as f32 * 0.005 - 1.0);
                match rng.below(40) {
                    0 => p[rng.below(3) as usize] = f32::NAN,
                    1 => p[rng.below(3) as usize] = f32::NEG_INFINITY,
                    2 => p[rng.below(3) as usize] = 1e7,
                    3 => p[rng.below(3) as usize] = -3e38,
                    _ => (),
                }
                for _ in 0..1 + rng.below(2) {
                    frame.x.push(p[0]);
                    frame.y.push(p[1]);
                    frame.z.push(p[2]);
                }
            }
            frame
        })
        .collect()
}

type Row = (u64, u8, u64, u32);

/// The voxel of a point, as the contract words it.
fn voxel(frame: &Frame, i: usize) -> Option<[i64; 3]> {
    let p = [frame.x[i], frame.y[i], frame.z[i]];
    if p.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let [x, y, z] = p.map(f64::from);
    let index = frame.pose.unwrap().0.map(|r| ((r[0] * x + r[1] * y + r[2] * z + r[3]) / VOXEL).floor());
    let inside = index.iter().all(|&i| (-1048576.0..=1048575.0).contains(&i));
    inside.then(|| index.map(|i| i as i64))
}

/// Every row that stands after each frame, by brute force.
fn oracle(frames: &[Frame], window: usize, k: usize) -> Vec<Vec<Row>> {
    let id = |v: &[i64; 3]| v.iter().fold(0u64, |id, i| id << 21 | (i + (1 << 20)) as u64);
    (0..frames.len())
        .map(|newest| {
            let live = &frames[(newest + 1).saturating_sub(window)..=newest];
            let occupied: BTreeSet<[i64; 3]> =
                live.iter().flat_map(|f| (0..f.len()).filter_map(|i| voxel(f, i))).collect();
            let mut rows = Vec::new();
            for a in &occupied {
                let mut others: Vec<(u32, u64)> = occupied
                    .iter()
                    .filter(|b| *b != a)
                    .map(|b| {
                        let [dx, dy, dz] = std::array::from_fn(|axis| b[axis] as f32 - a[axis] as f32);
                        ((dx * dx + dy * dy + dz * dz).to_bits(), id(b))
                    })
                    .collect();
                others.sort();
                for (rank, (d2, dst)) in others.into_iter().take(k).enumerate() {
                    let d2 = f32::from_bits(d2) * (VOXEL * VOXEL) as f32;
                    rows.push((id(a), rank as u8, dst, d2.to_bits()));
                }
            }
            rows.sort();
            rows
        })
        .collect()
}

fn run<O: Clone + thalweg::Portable>(
    frames: &[Frame],
    workers: usize,
    plan: impl for<'p> FnOnce(Flow<'p, Frame>) -> Flow<'p, O>,
) -> (Report, Vec<(u64, O)>) {
    let sink = Collect::default();
    let source = recorded(frames.to_vec());
    let report = Pipeline::from_source(source).workers(workers).run(plan, sink.clone()).unwrap();
    (report, sink.items())
}

fn whole(graph: &MapGraph) -> Vec<Row> {
    rows(&graph.id, &graph.lists)
}

fn rows(src: &[u64], lists: &thalweg::knn::IdLists) -> Vec<Row> {
    let row = |(i, &src): (usize, &u64)| {
        let (dst, d2) = lists.row(i);
        let entry = move |(rank, (&dst, d2)): (usize, (&u64, &f32))| (src, rank as u8, dst, d2.to_bits());
        dst.iter().zip(d2).enumerate().map(entry).collect::<Vec<_>>()
    };
    src.iter().enumerate().flat_map(row).collect()
}

#[test]
fn whole_and_changes_are_the_brute_force_graph_of_the_window() {
    for (seed, window, k) in [(1, 1, 4), (2, 3, 1), (3, 3, 16), (4, 7, 5), (5, 40, 64)] {
        let frames = drive(seed, 40);
        let expected = oracle(&frames, window, k);
        for workers in [1, 2, 4, 8] {
            let case = format!("seed {seed}, window {window}, k {k}, {workers} workers");
            let (report, graphs) = run(&frames, workers, |p| p.map_window(VOXEL, window).knn_graph(k).lists());
            assert_eq!(graphs.len(), frames.len(), "{case}");
            for ((epoch, graph), expected) in graphs.iter().zip(&expected) {
                assert_eq!(graph.frame, *epoch as i64);
                assert_eq!(&whole(graph), expected, "{case}, epoch {epoch}");
            }
            let points = |keep: &dyn Fn(&Frame, usize) -> bool| {
                frames.iter().flat_map(|f| (0..f.len()).map(move |i| (f, i))).filter(|(f, i)| keep(f, *i)).count()
                    as u64
            };
            assert_eq!(report.nodes, points(&|f, i| voxel(f, i).is_some()), "{case}");
            assert_eq!(report.edges, expected.iter().map(Vec::len).sum::<usize>() as u64, "{case}");
            let (beyond, not) = (report.dropped["out_of_range"], report.dropped["non_finite"]);
            assert_eq!(beyond, points(&|f, i| f.is_finite(i) && voxel(f, i).is_none()), "{case}");
            assert_eq!(not, points(&|f, i| !f.is_finite(i)), "{case}");

            let (_, changes) = run(&frames, workers, |p| p.map_window(VOXEL, window).knn_graph(k).changes());
            let mut live = BTreeMap::<Row, i64>::new();
            for (epoch, change) in &changes {
                let (old, new) =
                    (rows(&change.lists.src, &change.lists.old), rows(&change.lists.src, &change.lists.new));
                assert_eq!(change.frame, *epoch as i64);
                assert!(change.lists.src.windows(2).all(|pair| pair[0] < pair[1]), "{case}, epoch {epoch}");
                for i in 0..change.lists.src.len() {
                    assert_ne!(change.lists.old.row(i), change.lists.new.row(i), "{case}, epoch {epoch}");
                }
                old.into_iter().for_each(|row| *live.entry(row).or_default() -= 1);
                new.into_iter().for_each(|row| *live.entry(row).or_default() += 1);
                live.retain(|_, diff| *diff != 0);
                assert!(live.values().all(|diff| *diff == 1), "{case}, epoch {epoch}");
                let found: Vec<Row> = live.keys().copied().collect();
                assert_eq!(found, expected[*epoch as usize], "{case}, epoch {epoch}");
            }
            assert_eq!(changes.len(), frames.len(), "{case}");
        }
    }
}

#[test]
fn what_came_before_the_window_leaves_no_trace() {
    let frames = drive(11, 30);
    fn plan(p: Flow<'_, Frame>) -> Flow<'_, MapGraph> {
        p.map_window(VOXEL, 4).knn_graph(6).lists()
    }
    let (_, all) = run(&frames, 1, plan);
    for start in [1, 9, 26] {
        let (_, later) = run(&frames[start..], 2, plan);
        for ((_, graph), (_, expected)) in later.iter().zip(&all[start..]).skip(3) {
            assert_eq!(graph, expected, "started at frame {start}");
        }
    }
}

#[test]
fn the_order_of_points_in_a_frame_does_not_matter() {
    let frames = drive(15, 20);
    let mut turned = frames.clone();
    for frame in &mut turned {
        [&mut frame.x, &mut frame.y, &mut frame.z].into_iter().for_each(|column| column.reverse());
    }
    fn plan(p: Flow<'_, Frame>) -> Flow<'_, MapChanges> {
        p.map_window(VOXEL, 3).knn_graph(6).changes()
    }
    assert_eq!(run(&frames, 1, plan).1, run(&turned, 2, plan).1);
}

#[test]
fn voxels_come_and_go_with_the_frames_that_hold_them() {
    let frames = drive(21, 30);
    let (_, changes) = run(&frames, 2, |p| p.map_window(VOXEL, 3).changes());
    let mut live = BTreeSet::new();
    for (epoch, change) in changes {
        assert!(change.removed.iter().all(|id| live.remove(id)), "epoch {epoch}");
        assert!(change.inserted.iter().all(|&id| live.insert(id)), "epoch {epoch}");
        let newest = epoch as usize;
        let held = frames[(newest + 1).saturating_sub(3)..=newest].iter();
        let expected: BTreeSet<[i64; 3]> = held.flat_map(|f| (0..f.len()).filter_map(|i| voxel(f, i))).collect();
        let found: Vec<[f64; 3]> = live.iter().map(|&id| change.grid.position(id).map(f64::from)).collect();
        assert_eq!(found, expected.iter().map(|v| v.map(|i| i as f64)).collect::<Vec<_>>(), "epoch {epoch}");
    }
}

/// The rows of a query's answer after each of `epochs` epochs.
fn answers<R: Ord + Clone>(deltas: Vec<(u64, Delta<R>)>, epochs: usize) -> Vec<Vec<R>> {
    let mut live = BTreeMap::<R, isize>::new();
    let mut deltas = deltas.into_iter().peekable();
    (0..epochs as u64)
        .map(|epoch| {
            while let Some((_, delta)) = deltas.next_if(|(at, _)| *at == epoch) {
                delta.rows.into_iter().for_each(|(row, diff)| *live.entry(row).or_default() += diff);
            }
            live.retain(|_, diff| *diff != 0);
            assert!(live.values().all(|diff| *diff == 1), "epoch {epoch}");
            live.keys().cloned().collect()
        })
        .collect()
}

#[test]
fn a_query_of_the_edges_is_kept_up_to_date() {
    use thalweg::dataflow::operators::{CountTotal, ThresholdTotal};
    let (frames, window, k) = (drive(31, 30), 4, 3);
    let rows = oracle(&frames, window, k);
    let from = rows.iter().flatten().next().unwrap().0;
    let histogram = |rows: &Vec<Row>| {
        let mut degree = BTreeMap::<u64, isize>::new();
        rows.iter().for_each(|(_, _, dst, _)| *degree.entry(*dst).or_default() += 1);
        let mut nodes = BTreeMap::<isize, isize>::new();
        degree.into_values().for_each(|degree| *nodes.entry(degree).or_default() += 1);
        nodes.into_iter().collect::<Vec<_>>()
    };
    let two_hops = |rows: &Vec<Row>| {
        let next = |from: &BTreeSet<u64>| rows.iter().filter(|r| from.contains(&r.0)).map(|r| r.2).collect();
        let one: BTreeSet<u64> = next(&BTreeSet::from([from]));
        let two: BTreeSet<u64> = next(&one);
        one.union(&two).copied().collect::<Vec<_>>()
    };
    for workers in [1, 2, 4, 8] {
        let (_, deltas) = run(&frames, workers, |p| {
            let graph = p.map_window(VOXEL, window).knn_graph(k);
            graph.edges(|edges| edges.map(|(_, dst, _)| dst).count_total().map(|(_, degree)| degree).count_total())
        });
        let found = answers(deltas, frames.len());
        assert_eq!(found, rows.iter().map(histogram).collect::<Vec<_>>(), "{workers} workers");

        let (_, deltas) = run(&frames, workers, |p| {
            p.map_window(VOXEL, window).knn_graph(k).edges(move |edges| {
                let edges = edges.map(|(src, dst, _)| (src, dst));
                let one = edges.clone().filter(move |(src, _)| *src == from).map(|(_, dst)| dst);
                let two = edges.semijoin(one.clone()).map(|(_, dst)| dst);
                one.concat(two).distinct_total()
            })
        });
        let found = answers(deltas, frames.len());
        assert_eq!(found, rows.iter().map(two_hops).collect::<Vec<_>>(), "{workers} workers");
    }
}

#[test]
fn a_plan_that_cannot_be_is_a_named_error() {
    let frames = drive(41, 3);
    let fails = |frames: Vec<Frame>, plan: for<'p> fn(Flow<'p, Frame>) -> Flow<'p, MapGraph>| {
        Pipeline::from_source(recorded(frames)).workers(2).run(plan, Collect::default()).unwrap_err().to_string()
    };
    let mut unposed = frames.clone();
    unposed[1].pose = None;
    let error = fails(unposed, |p| p.map_window(VOXEL, 2).knn_graph(4).lists());
    assert_eq!(error, "stage map_window, epoch 1: pose: found none with frame 1, expected one for each frame of a map");
    let error = fails(frames.clone(), |p| p.map_window(VOXEL, 0).knn_graph(4).lists());
    assert!(error.ends_with("window: found 0, expected a number of frames, 1 or more"), "{error}");
    let error = fails(frames.clone(), |p| p.map_window(-1.0, 1).knn_graph(4).lists());
    assert!(error.ends_with("voxel: found -1, expected a positive length in metres"), "{error}");
    let error = fails(frames, |p| p.map_window(VOXEL, 1).knn_graph(65).lists());
    assert!(error.ends_with("k: found 65, expected 1 to 64"), "{error}");
}
