//! Numbers of objects that last over the frames of a map: a drive past parked cars, with a network whose every class is a car, so that
//! objects are what hangs together.

use std::collections::{BTreeMap, BTreeSet};

use thalweg::points::models::Numbers;
use thalweg::sink::Collect;
use thalweg::{Frame, Pipeline, Pose, Segmentation, SegmentationModel, Truth};

use crate::map::recorded;
use crate::random::Random;
use crate::shapes::changed;

const WINDOW: usize = 4;

/// The shipped network, with the name of a car for all that it knows.
fn cars_alone() -> SegmentationModel {
    let model = changed(|_, text| {
        let mut description: serde_json::Value = serde_json::from_str(text).unwrap();
        description["classes"].as_array_mut().unwrap().iter_mut().for_each(|class| class["name"] = "car".into());
        *text = description.to_string();
    });
    model.unwrap()
}

/// A drive along x, a metre a frame, past twelve parked cars: what a sensor sees of their sides, anew in each frame. A point is not
/// finite. The truth has the car of each point, from 1.
fn drive(seed: u64, frames: usize) -> Vec<Frame> {
    let mut random = Random::new(seed);
    let frame = |id: usize| {
        let sensor = [id as f64, 0.37, 1.7];
        let pose = Pose([[1.0, 0.0, 0.0, sensor[0]], [0.0, 1.0, 0.0, sensor[1]], [0.0, 0.0, 1.0, sensor[2]]]);
        let (mut frame, mut truth) = (Frame { id: id as i64, pose: Some(pose), ..Frame::default() }, Truth::default());
        for car in 0..12u32 {
            let (row, side) = (f64::from(car / 2), f64::from(car % 2) * 2.0 - 1.0);
            let (rear, near) = (6.5 * row - 6.2, 3.3);
            let behind = if sensor[0] < rear + 2.0 { rear } else { rear + 4.0 };
            for _ in 0..500 {
                let (along, up) = (random.unit(), 0.2 + 1.2 * random.unit());
                // The long side towards the sensor, and of the short ones that which it sees.
                let [x, y] = match random.below(3) {
                    0 => [behind, side * (near + 1.7 * along)],
                    _ => [rear + 4.0 * along, side * near],
                };
                frame.x.push((x - sensor[0]) as f32);
                frame.y.push((y - sensor[1]) as f32);
                frame.z.push((up - sensor[2]) as f32);
                truth.class.push(1);
                truth.instance.push(car + 1);
            }
        }
        frame.z[7] = f32::NAN;
        frame.truth = Some(truth);
        frame
    };
    (0..frames).map(frame).collect()
}

fn run(frames: &[Frame], workers: usize, numbers: Numbers) -> Vec<Segmentation> {
    let (sink, model) = (Collect::default(), cars_alone().numbering(numbers));
    let (voxel, k) = (model.config().s0, model.config().k);
    Pipeline::from_source(recorded(frames.to_vec()))
        .workers(workers)
        .run(|points| points.map_window(voxel, WINDOW).knn_graph(k).infer(&model), sink.clone())
        .unwrap();
    sink.items().into_iter().map(|(_, item)| item).collect()
}

const LASTING: Numbers = Numbers::Lasting { most: u32::MAX };

fn instances(items: &[Segmentation]) -> Vec<&Vec<u32>> {
    items.iter().map(|item| &item.instance).collect()
}

#[test]
fn numbers_that_last_are_a_function_of_the_window() {
    let frames = drive(3, 9);
    let all = run(&frames, 1, LASTING);
    assert_eq!(instances(&run(&frames, 2, LASTING)), instances(&all), "2 workers");
    let start = 3;
    let later = run(&frames[start..], 2, LASTING);
    assert_eq!(instances(&later)[WINDOW - 1..], instances(&all)[start + WINDOW - 1..], "started later");

    // Points in another order.
    let mut random = Random::new(4);
    let mut order: Vec<usize> = (0..frames[0].len()).collect();
    random.shuffle(&mut order);
    let turn = |frame: &Frame| {
        let pick = |column: &Vec<f32>| order.iter().map(|&i| column[i]).collect();
        Frame { x: pick(&frame.x), y: pick(&frame.y), z: pick(&frame.z), truth: None, ..frame.clone() }
    };
    let turned = run(&frames.iter().map(turn).collect::<Vec<_>>(), 1, LASTING);
    for (item, turned) in all.iter().zip(&turned) {
        let expected: Vec<u32> = order.iter().map(|&i| item.instance[i]).collect();
        assert_eq!(turned.instance, expected, "frame {}", item.frame.id);
    }
}

#[test]
fn each_object_has_one_number_and_what_is_none_has_none() {
    let frames = drive(5, 5);
    let ranks = run(&frames, 1, Numbers::Frame);
    for most in [u32::MAX, 65_535, 400] {
        for (item, rank) in run(&frames, 1, Numbers::Lasting { most }).iter().zip(&ranks) {
            let pairs: BTreeSet<(u32, u32)> =
                item.instance.iter().copied().zip(rank.instance.iter().copied()).collect();
            let numbers: BTreeSet<u32> = pairs.iter().map(|pair| pair.0).collect();
            let ranks: BTreeSet<u32> = pairs.iter().map(|pair| pair.1).collect();
            assert!(pairs.len() == numbers.len() && pairs.len() == ranks.len(), "{most}: {pairs:?}");
            assert!(pairs.contains(&(0, 0)), "the point that is not finite");
            assert!(numbers.iter().all(|number| *number <= most));
        }
    }
}

#[test]
fn a_parked_car_keeps_its_number_while_the_sensor_drives_by() {
    let frames = drive(6, 25);
    let kept = |numbers: Numbers| {
        let (mut last, mut pairs, mut same) = (BTreeMap::<u32, u32>::new(), 0, 0);
        for item in run(&frames, 1, numbers) {
            let truth = &item.frame.truth.as_ref().unwrap().instance;
            let found: BTreeMap<u32, u32> =
                truth.iter().copied().zip(item.instance.iter().copied()).filter(|pair| pair.1 != 0).collect();
            assert_eq!(found.len(), 12, "frame {}", item.frame.id);
            pairs += found.iter().filter(|(car, _)| last.contains_key(car)).count();
            same += found.iter().filter(|(car, number)| last.get(car) == Some(number)).count();
            last = found;
        }
        same as f64 / pairs as f64
    };
    let lasting = kept(LASTING);
    assert!(lasting > 0.93, "{lasting} of the pairs of frames");
}

#[test]
fn a_sweep_has_no_numbers_that_last() {
    let (sink, model) = (Collect::<Segmentation>::default(), cars_alone().numbering(LASTING));
    let (voxel, k) = (model.config().s0, model.config().k);
    let error = Pipeline::from_source(recorded(drive(7, 1)))
        .run(|points| points.voxel_downsample(voxel).knn_graph(k).infer(&model), sink)
        .unwrap_err();
    let said = error.to_string();
    assert!(said.contains("found the nodes of a sweep, expected those of a map"), "{said}");
}
