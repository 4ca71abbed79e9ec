//! Map mode from outside: rows against brute force, changes summed, bytes for any number of workers, bad values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Int8Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::{code, json, labelled, thalweg, write_bin};

const FRAMES: usize = 7;

/// Where the sensor of a frame stands: half a metre on each frame, along x.
fn shift(frame: usize) -> [f64; 3] {
    [0.5 * frame as f64, 0.25, -1.0]
}

/// A frame's points: a wall that the drive passes by, a point that is not finite and one beyond the grid; frame 3 is empty.
fn points(frame: usize) -> Vec<[f32; 4]> {
    let size = if frame == 3 { 0 } else { 60 + 7 * frame };
    let mut points: Vec<[f32; 4]> = (0..size)
        .map(|i| [(i % 11) as f32 * 0.21 - 1.0, (i / 11) as f32 * 0.17, (i * i % 13) as f32 * 0.19, 0.5])
        .collect();
    if size > 0 {
        points[5][2] = f32::INFINITY;
        points[9][0] = -1e9;
    }
    points
}

/// A KITTI sequence of those frames, under the axis swap that stands in for a missing `Tr`.
fn sequence() -> TempDir {
    let folder = TempDir::new().unwrap();
    let drive = folder.path().join("drive");
    fs::create_dir_all(drive.join("velodyne")).unwrap();
    let mut poses = String::new();
    for frame in 0..FRAMES {
        write_bin(&drive.join(format!("velodyne/{frame:06}.bin")), &points(frame));
        let [x, y, z] = shift(frame);
        poses += &format!("1 0 0 {} 0 1 0 {} 0 0 1 {}\n", -y, -z, x);
    }
    fs::write(drive.join("poses.txt"), poses).unwrap();
    fs::write(drive.join("calib.txt"), "P0: 1 0 0 0 0 1 0 0 0 0 1 0\n").unwrap();
    folder
}

/// (src, diff, rank, dst, bits of d2); without a column `diff` it is 1.
type Row = (u64, i8, u8, u64, u32);

fn rows(path: &Path) -> BTreeMap<i64, Vec<Row>> {
    let mut rows = BTreeMap::<i64, Vec<Row>>::new();
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    for batch in reader {
        let batch = batch.unwrap();
        let diff = batch.column_by_name("diff").map(|column| column.as_primitive::<Int8Type>().clone());
        for i in 0..batch.num_rows() {
            let frame = batch.column(0).as_primitive::<Int64Type>().value(i);
            rows.entry(frame).or_default().push((
                batch.column(1).as_primitive::<UInt64Type>().value(i),
                diff.as_ref().map_or(1, |diff| diff.value(i)),
                batch.column(2).as_primitive::<UInt8Type>().value(i),
                batch.column(3).as_primitive::<UInt64Type>().value(i),
                batch.column(4).as_primitive::<Float32Type>().value(i).to_bits(),
            ));
        }
    }
    rows
}

/// The rows after a frame, by brute force.
fn oracle(frame: usize, voxel: f64, window: usize, k: usize) -> Vec<Row> {
    let mut occupied = BTreeSet::new();
    for live in (frame + 1).saturating_sub(window)..=frame {
        for p in points(live).iter().filter(|p| p[..3].iter().all(|v| v.is_finite())) {
            let index: [f64; 3] =
                std::array::from_fn(|axis| ((f64::from(p[axis]) + shift(live)[axis]) / voxel).floor());
            if index.iter().all(|i| (-1048576.0..=1048575.0).contains(i)) {
                occupied.insert(index.map(|i| i as i64));
            }
        }
    }
    let id = |v: &[i64; 3]| v.map(|i| (i + 1048576) as u64).iter().fold(0, |id, i| id * 2097152 + i);
    let mut rows = Vec::new();
    for a in &occupied {
        let mut others: Vec<(f32, u64)> = (occupied.iter().filter(|b| *b != a))
            .map(|b| {
                let [dx, dy, dz] = std::array::from_fn(|axis| a[axis] as f32 - b[axis] as f32);
                (dx * dx + dy * dy + dz * dz, id(b))
            })
            .collect();
        others.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let scaled = |d2: f32| (d2 * (voxel * voxel) as f32).to_bits();
        rows.extend(others.iter().take(k).enumerate().map(|(rank, o)| (id(a), 1, rank as u8, o.1, scaled(o.0))));
    }
    rows
}

#[test]
fn the_map_is_the_brute_force_graph_and_the_same_bytes_for_any_workers() {
    let folder = sequence();
    let at = folder.path();
    let (voxel, k) = (0.4, 6);
    for window in [1, 3, 20] {
        let run = |emit: &str, workers: &str| {
            let (window, emit) = (format!("window={window}"), format!("emit={emit}"));
            let set = ["--set", "nodes=map", "--set", "voxel=0.4", "--set", &window, "--set", "k=6", "--set", &emit];
            let run = ["run", "knn", "--input", "drive", "--output", "o.parquet", "--workers", workers, "--json"];
            let output = thalweg(&[&run[..], &set[..]].concat(), at);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8_lossy(&output.stderr).matches("warning").count(), 1);
            (json(&output), fs::read(at.join("o.parquet")).unwrap())
        };
        let (report, bytes) = run("all", "1");
        let written = rows(&at.join("o.parquet"));
        let expected: Vec<Vec<Row>> = (0..FRAMES).map(|frame| oracle(frame, voxel, window, k)).collect();
        for (frame, expected) in expected.iter().enumerate() {
            let found = written.get(&(frame as i64)).map_or(&[][..], |rows| rows);
            assert!(found == expected, "window {window}, frame {frame}");
        }
        let finite: usize = (0..FRAMES).map(|frame| points(frame).len().saturating_sub(2)).sum();
        assert_eq!(report["frames"], FRAMES);
        assert_eq!(report["nodes"], finite);
        assert_eq!(report["edges"], expected.iter().map(Vec::len).sum::<usize>());
        assert_eq!(report["dropped"], serde_json::json!({"non_finite": 6, "out_of_range": 6}));
        for stage in ["voxels", "window", "knn", "lists", "output", "total"] {
            assert!(report["latency"][stage]["p50"].is_number(), "{stage}");
        }

        let (report, changes) = run("changes", "1");
        let written = rows(&at.join("o.parquet"));
        assert_eq!(report["edges"], written.values().map(Vec::len).sum::<usize>());
        let mut live = BTreeMap::<(u64, u8, u64, u32), i8>::new();
        for (frame, expected) in expected.iter().enumerate() {
            let rows = written.get(&(frame as i64)).map_or(&[][..], |rows| rows);
            let order: Vec<_> = rows.iter().map(|row| (row.0, row.1, row.2)).collect();
            assert!(order.is_sorted(), "window {window}, frame {frame}");
            for &(src, diff, rank, dst, d2) in rows {
                *live.entry((src, rank, dst, d2)).or_default() += diff;
            }
            live.retain(|_, diff| *diff != 0);
            let sum: Vec<Row> = live.iter().map(|(&(src, rank, dst, d2), &n)| (src, n, rank, dst, d2)).collect();
            assert!(&sum == expected, "window {window}: changes up to frame {frame}");
        }
        for workers in ["2", "4"] {
            assert!(run("all", workers).1 == bytes && run("changes", workers).1 == changes, "{workers} workers");
        }
    }
    let csv = ["run", "knn", "--input", "drive", "--output", "o.csv", "--set", "nodes=map", "--set", "emit=changes"];
    code(&csv, at, 0);
    let text = fs::read_to_string(at.join("o.csv")).unwrap();
    assert_eq!(text.lines().next(), Some("frame,src,rank,dst,d2,diff"));
    assert!(text.lines().skip(1).all(|line| line.ends_with(",1") || line.ends_with(",-1")));
}

#[test]
fn segment_on_the_map_labels_every_point_of_the_newest_frame_alike_for_any_workers() {
    let folder = TempDir::new().unwrap();
    let mut bytes = Vec::new();
    for workers in ["1", "2"] {
        let name = format!("{workers}.parquet");
        let set = ["--set", "frames=3", "--set", "nodes=map", "--set", "window=2"];
        let run = ["run", "segment", "--input", "sim:street", "--output", &name, "--workers", workers, "--json"];
        let output = thalweg(&[&run[..], &set[..]].concat(), folder.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(json(&output)["nodes"].as_u64().unwrap() > 300_000);
        bytes.push(fs::read(folder.path().join(&name)).unwrap());
    }
    assert!(bytes[0] == bytes[1], "output differs with the number of workers");
    assert_eq!(labelled(&folder.path().join("1.parquet")).1, 2);
}

/// The column `instance` of a table.
fn instances(path: &Path) -> Vec<u32> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let column = |batch: arrow::array::RecordBatch| {
        batch.column_by_name("instance").unwrap().as_primitive::<UInt32Type>().values().to_vec()
    };
    reader.flat_map(|batch| column(batch.unwrap())).collect()
}

#[test]
fn numbers_that_last_are_the_same_bytes_for_any_workers_and_fit_into_labels() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let run = |output: &str, more: &[&str]| {
        let set = ["--set", "frames=2", "--set", "nodes=map", "--set", "window=2"];
        let run = ["run", "segment", "--input", "sim:street", "--output", output];
        code(&[&run[..], &set[..], more].concat(), at, 0);
    };
    let lasting = ["--set", "numbers=lasting"];
    run("1.parquet", &[&lasting[..], &["--workers", "1"][..]].concat());
    run("2.parquet", &[&lasting[..], &["--workers", "2"][..]].concat());
    run("frame.parquet", &["--set", "numbers=frame"]);
    run("labels", &[&lasting[..], &["--output-format", "label"][..]].concat());
    assert!(fs::read(at.join("1.parquet")).unwrap() == fs::read(at.join("2.parquet")).unwrap());

    let (found, frame) = (instances(&at.join("1.parquet")), instances(&at.join("frame.parquet")));
    let mut start = 0;
    for name in ["000000.label", "000001.label"] {
        let bytes = fs::read(at.join("labels").join(name)).unwrap();
        let labels: Vec<u32> =
            bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) >> 16).collect();
        let rows = start..start + labels.len();
        let (found, frame) = (&found[rows.clone()], &frame[rows]);
        // The same objects under three kinds of numbers.
        let objects: BTreeSet<(u32, u32, u32)> =
            labels.iter().zip(found).zip(frame).map(|((a, b), c)| (*a, *b, *c)).collect();
        let distinct = |of: fn(&(u32, u32, u32)) -> u32| objects.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!([distinct(|o| o.0), distinct(|o| o.1), distinct(|o| o.2)], [objects.len(); 3], "{name}");
        assert!(objects.contains(&(0, 0, 0)) && objects.len() > 10, "{name}: {} objects", objects.len());
        start += labels.len();
    }
    assert_eq!(start, found.len());

    // True objects keep these numbers, and no others.
    let kept = |more: &[&str]| {
        let eval = ["eval", "segment", "--input", "sim:street", "--set", "frames=2", "--json"];
        let output = thalweg(&[&eval[..], more].concat(), at);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&output)["numbers"]["kept"].as_f64()
    };
    let map = ["--set", "nodes=map", "--set", "window=2"];
    let lasting = kept(&[&map[..], &lasting[..]].concat()).unwrap();
    let frame = kept(&map).unwrap();
    assert!(lasting > 0.6 && frame < 0.5 * lasting, "{lasting}, {frame} where numbers count within a frame");
    assert_eq!(kept(&[]), None, "of a sweep");
}

#[test]
fn keys_of_the_map_are_checked_and_a_frame_without_a_pose_is_named() {
    let folder = sequence();
    let at = folder.path();
    let run = |pipeline: &'static str, set: &[&'static str], expected: i32| {
        let mut run = vec!["run", pipeline, "--input", "drive", "--output", "o.parquet"];
        set.iter().for_each(|set| run.extend(["--set", set]));
        code(&run, at, expected)
    };
    for (set, found) in [
        ("voxel=0", "--set voxel: found 0, expected a length in metres, above 0"),
        ("voxel=-0.2", "found -0.2"),
        ("voxel=nan", "found nan"),
        ("voxel=inf", "found inf"),
        ("voxel=wide", "found wide"),
        ("window=0", "--set window: found 0, expected a number of frames, 1 or more"),
        ("window=2.5", "found 2.5"),
        ("window=-1", "found -1"),
        ("emit=some", "--set emit: found some, expected all or changes"),
    ] {
        let error = run("knn", &["nodes=map", set], 78);
        assert!(error.contains(found), "{error}");
    }
    assert!(run("knn", &["nodes=slices"], 78).contains("--set nodes: found slices, expected sweep or map"));
    for set in ["emit=all", "voxel=0.2", "window=3"] {
        assert!(run("knn", &[set], 78).contains("expected nodes=map beside it"));
        assert!(run("knn", &["nodes=sweep", set], 78).contains("expected nodes=map beside it"));
    }
    assert!(run("segment", &["window=3"], 78).contains("expected nodes=map beside it"));
    for set in ["numbers=frame", "numbers=lasting"] {
        assert!(run("segment", &[set], 78).contains("expected nodes=map beside it: a sweep knows of no other frame"));
    }
    let error = run("segment", &["nodes=map", "numbers=all"], 78);
    assert!(error.contains("--set numbers: found all, expected frame or lasting"), "{error}");
    assert!(run("knn", &["nodes=map", "numbers=lasting"], 78).contains("--set numbers: found an unknown key"));
    let las = ["run", "segment", "--input", "drive", "--output", "o", "--output-format", "las"];
    let error = code(&[&las[..], &["--set", "nodes=map", "--set", "numbers=lasting"]].concat(), at, 78);
    assert!(error.contains("--set numbers: found lasting, expected a table or labels as the output"), "{error}");
    assert!(run("segment", &["nodes=map", "emit=all"], 78).contains("--set emit: found an unknown key"));

    fs::write(at.join("map.toml"), "pipeline = \"knn\"\n[set]\nnodes = \"map\"\nwindow = 0\nvoxel = -1.0\n").unwrap();
    let problems = code(&["validate", "map.toml"], at, 78);
    assert!(problems.contains("window: found 0") && problems.contains("voxel: found -1.0"), "{problems}");

    fs::remove_file(at.join("drive/poses.txt")).unwrap();
    let error = run("knn", &["nodes=map"], 1);
    assert!(error.contains("pose: found none with frame 0") && error.contains("000000.bin"), "{error}");
    assert!(!at.join("o.parquet").exists());
}
