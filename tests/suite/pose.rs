//! Pose against PyTorch on a simulated person (training/pose/fixtures.py), and the law: what was before the window, workers, gaps.

use std::collections::VecDeque;
use std::path::PathBuf;

use safetensors::SafeTensors;
use thalweg::points::radar::{JOINTS, PoseModel, Skeleton};
use thalweg::sink::Collect;
use thalweg::{BoxError, Frame, Next, Pipeline, Source};

struct Frames(VecDeque<Frame>);

impl Source for Frames {
    type Item = Frame;
    fn name(&self) -> String {
        "frames".into()
    }
    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        Ok(self.0.pop_front().map_or(Next::End, Next::Item))
    }
}

fn model() -> PoseModel {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/pose.safetensors");
    PoseModel::open(&path).unwrap()
}

fn run(frames: &[Frame], workers: usize) -> Vec<Skeleton> {
    let (sink, model) = (Collect::default(), model());
    let pipeline = Pipeline::from_source(Frames(frames.iter().cloned().collect())).workers(workers);
    pipeline.run(|frames| frames.infer_pose(&model), sink.clone()).unwrap();
    sink.items().into_iter().map(|(_, skeleton)| skeleton).collect()
}

/// The simulated frames of the fixture, the joints and sigmas that PyTorch makes of them.
fn fixture() -> (Vec<Frame>, Vec<f32>, Vec<f32>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pose/pose.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| file.tensor(name).unwrap().data().as_chunks::<4>().0.to_vec();
    let floats = |name: &str| words(name).into_iter().map(f32::from_le_bytes).collect::<Vec<_>>();
    let offsets: Vec<usize> = words("offsets").into_iter().map(|b| i32::from_le_bytes(b) as usize).collect();
    let points = floats("points");
    let frames = offsets.windows(2).zip(0..).map(|(ends, id)| {
        let column = |c: usize| (ends[0]..ends[1]).map(|i| points[5 * i + c]).collect::<Vec<f32>>();
        let columns = [("doppler".into(), column(3)), ("intensity".into(), column(4))].into();
        Frame { id, x: column(0), y: column(1), z: column(2), columns, ..Frame::default() }
    });
    (frames.collect(), floats("joints"), floats("sigma"))
}

#[test]
fn joints_are_those_of_pytorch() {
    let (frames, joints, sigmas) = fixture();
    let found = run(&frames, 1);
    assert_eq!(found.len(), frames.len());
    for (f, skeleton) in found.iter().enumerate() {
        let expected = &joints[f * 3 * JOINTS..][..3 * JOINTS];
        for (i, (found, expected)) in skeleton.joint.as_flattened().iter().zip(expected).enumerate() {
            assert!((found - expected).abs() < 2e-5, "frame {f}, number {i}: found {found}, expected {expected}");
        }
        for (joint, (found, expected)) in skeleton.sigma.iter().zip(&sigmas[f * JOINTS..][..JOINTS]).enumerate() {
            assert!((found - expected).abs() < 1e-5, "frame {f}, joint {joint}: found {found}, expected {expected}");
        }
    }
}

#[test]
fn a_skeleton_depends_on_its_window_alone() {
    let (frames, ..) = fixture();
    let whole = run(&frames, 1);
    for workers in [2, 4] {
        assert!(run(&frames, workers) == whole, "{workers} workers");
    }
    let window = model().frames();
    for first in [1, 5, 13, frames.len() - window] {
        let part = run(&frames[first..], 1);
        // The first answers of a part lack what was before it; from a whole window on they are the same bits.
        assert_eq!(part[window - 1..], whole[first + window - 1..], "from frame {first}");
    }
    // A frame without points has no row in a table: its number is missing, and its skeleton is there.
    let seen: Vec<Frame> = frames.iter().filter(|frame| !frame.is_empty() || frame.id == 0).cloned().collect();
    assert!(seen.len() < frames.len());
    let last = seen.last().unwrap().id as usize;
    assert_eq!(run(&seen, 2), whole[..=last]);
}

#[test]
fn odd_frames_are_no_reason_to_fail() {
    let cloud = |id: i64, n: usize, scale: f32| {
        let v = |k: usize| (0..n).map(|i| scale * ((i * (k + 3)) % 17) as f32 / 17.0).collect::<Vec<f32>>();
        Frame { id, x: v(0), y: v(1), z: v(2), ..Frame::default() }
    };
    // Thousands of points, points in one place, millimetres, numbers far apart.
    let mut same = cloud(1, 300, 1.0);
    for column in [&mut same.x, &mut same.y, &mut same.z] {
        column.fill(0.75);
    }
    let frames = [cloud(0, 5000, 1.4), same, cloud(2, 40, 1900.0), cloud(i64::MAX - 1, 3, 1.0)];
    let (sink, model) = (Collect::default(), model());
    let pipeline = Pipeline::from_source(Frames(frames.iter().cloned().collect()));
    let report = pipeline.run(|frames| frames.infer_pose(&model), sink.clone()).unwrap();
    let skeletons = sink.items();
    assert_eq!(skeletons.len(), 4);
    assert!(skeletons.iter().all(|(_, s)| s.joint.as_flattened().iter().chain(&s.sigma).all(|v| v.is_finite())));
    assert!(report.dropped["out_of_range"] > 0);
    assert!(report.warnings.iter().any(|warning| warning.contains("the window starts anew")));
}
