//! The program from outside: exit codes, output bytes, JSON, configuration, signals.

mod bucket;
mod cases;
mod contract;
mod damage;
mod durable;
mod gnn;
mod map;
mod molecules;
mod processes;
mod risk;
mod serve;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

fn thalweg(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thalweg")).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn code(arguments: &[&str], folder: &Path, expected: i32) -> String {
    let output = thalweg(arguments, folder);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {stderr}");
    stderr
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn write_bin(path: &Path, points: &[[f32; 4]]) {
    fs::write(path, points.iter().flatten().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
}

/// A small folder of scans on an integer grid full of ties, with a non-finite point, and an empty frame.
fn scans() -> TempDir {
    let folder = TempDir::new().unwrap();
    let scans = folder.path().join("scans");
    fs::create_dir(&scans).unwrap();
    for frame in 0..5u32 {
        let mut points: Vec<[f32; 4]> =
            (0..300 + frame).map(|i| [(i % 7) as f32, (i / 7 % 6) as f32, (i / 42) as f32, 0.5]).collect();
        points[13][1] = f32::NAN;
        write_bin(&scans.join(format!("{frame:06}.bin")), if frame == 3 { &[] } else { &points });
    }
    folder
}

#[test]
fn knn_is_the_brute_force_graph_and_the_same_bytes_for_any_workers() {
    let folder = scans();
    let mut bytes = Vec::new();
    for workers in ["1", "2", "4"] {
        let name = format!("{workers}.parquet");
        let run = ["run", "knn", "--input", "scans", "--output", &name, "--set", "k=5", "--workers", workers, "--json"];
        let output = thalweg(&run, folder.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = json(&output);
        let nodes = 299 + 300 + 301 + 303;
        assert_eq!((report["frames"].as_u64(), report["nodes"].as_u64()), (Some(5), Some(nodes)));
        assert_eq!(report["edges"].as_u64(), Some(5 * nodes));
        assert_eq!(report["dropped"], serde_json::json!({"non_finite": 4}));
        assert!(report["latency"]["total"]["p50"].as_f64().unwrap() > 0.0);
        bytes.push(fs::read(folder.path().join(&name)).unwrap());
    }
    assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2], "output differs with the number of workers");

    let file = fs::File::open(folder.path().join("1.parquet")).unwrap();
    let mut rows = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let names: Vec<_> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["frame", "src", "rank", "dst", "d2"]);
        for i in 0..batch.num_rows() {
            rows.push((
                batch.column(0).as_primitive::<Int64Type>().value(i),
                batch.column(1).as_primitive::<UInt64Type>().value(i),
                batch.column(2).as_primitive::<UInt8Type>().value(i),
                batch.column(3).as_primitive::<UInt64Type>().value(i),
                batch.column(4).as_primitive::<Float32Type>().value(i),
            ));
        }
    }
    let mut expected = Vec::new();
    for frame in [0i64, 1, 2, 4] {
        let n = 300 + frame as u64;
        let at = |i: u64| [(i % 7) as f32, (i / 7 % 6) as f32, (i / 42) as f32];
        let finite: Vec<u64> = (0..n).filter(|&i| i != 13).collect();
        for &src in &finite {
            let mut others: Vec<_> = finite
                .iter()
                .filter(|&&dst| dst != src)
                .map(|&dst| {
                    let (a, b) = (at(src), at(dst));
                    let [dx, dy, dz] = std::array::from_fn(|axis| b[axis] - a[axis]);
                    (dx * dx + dy * dy + dz * dz, dst)
                })
                .collect();
            others.sort_by(|a, b| a.partial_cmp(b).unwrap());
            expected
                .extend(others.iter().take(5).enumerate().map(|(rank, &(d2, dst))| (frame, src, rank as u8, dst, d2)));
        }
    }
    assert!(rows == expected, "knn differs from brute force");
}

#[test]
fn segment_labels_every_point_of_the_simulated_street_alike_for_any_workers() {
    let folder = TempDir::new().unwrap();
    let mut bytes = Vec::new();
    for workers in ["1", "2", "4"] {
        let name = format!("{workers}.parquet");
        let run =
            ["run", "segment", "--input", "sim:street", "--set", "frames=2", "--output", &name, "--workers", workers];
        let output = thalweg(&run, folder.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
        bytes.push(fs::read(folder.path().join(&name)).unwrap());
    }
    assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2], "output differs with the number of workers");

    let (rows, last) = labelled(&folder.path().join("1.parquet"));
    assert_eq!(last, 1);
    assert!(rows > 200_000, "{rows} rows");
}

/// Checks that every point of frame after frame has a class of the driving model; the number of rows, and the last frame.
fn labelled(path: &Path) -> (usize, i64) {
    let (mut rows, mut last) = (0, (0, -1));
    for batch in ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let names: Vec<_> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["frame", "point", "class", "class_name", "confidence", "instance"]);
        for i in 0..batch.num_rows() {
            let frame = batch.column(0).as_primitive::<Int64Type>().value(i);
            let point = i64::from(batch.column(1).as_primitive::<UInt32Type>().value(i));
            assert!((frame, point) == (last.0, last.1 + 1) || (frame, point) == (last.0 + 1, 0));
            last = (frame, point);
            assert!((1..=19).contains(&batch.column(2).as_primitive::<UInt8Type>().value(i)));
            let confidence = batch.column(4).as_primitive::<Float32Type>().value(i);
            assert!(confidence > 0.0 && confidence <= 1.0);
        }
        rows += batch.num_rows();
    }
    (rows, last.0)
}

#[test]
fn exit_codes_and_messages_are_those_of_the_contract() {
    let folder = scans();
    let at = folder.path();
    let run = |more: &[&'static str]| [&["run", "knn", "--input", "scans", "--output", "o.parquet"], more].concat();
    code(&["frobnicate"], at, 2);
    code(&["run", "frobnicate", "--input", "scans", "--output", "o.parquet"], at, 2);
    code(&run(&["--frobnicate"]), at, 2);
    code(&["run", "knn", "--output", "o.parquet"], at, 2);
    code(&["run", "knn", "--input", "scans"], at, 2);
    assert!(code(&run(&["--set", "k=0"]), at, 78).contains("found 0, expected 1 to 64"));
    code(&run(&["--set", "k=65"]), at, 78);
    code(&run(&["--set", "frob=1"]), at, 78);
    code(&run(&["--workers", "none"]), at, 78);
    code(&run(&["--workers", "0"]), at, 78);
    code(&run(&["--rate", "-1"]), at, 78);
    code(&run(&["--format", "frob"]), at, 78);
    code(&["run", "knn", "--input", "scans", "--output", "o.frob"], at, 78);
    code(&["run", "segment", "--input", "scans", "--output", "o.parquet", "--model", "frob"], at, 78);
    assert!(code(&["run", "knn", "--input", "nothing", "--output", "o.parquet"], at, 1).contains("nothing"));
    code(&["run", "segment", "--input", "scans", "--output", "o.parquet", "--model", "no.safetensors"], at, 1);
    fs::write(at.join("no.safetensors"), b"not a model").unwrap();
    code(&["run", "segment", "--input", "scans", "--output", "o.parquet", "--model", "no.safetensors"], at, 1);
    fs::write(at.join("scans/000004.bin"), [0u8; 37]).unwrap();
    let torn = code(&run(&[]), at, 1);
    assert!(torn.contains("000004.bin") && torn.contains("32"), "{torn}");
    assert_eq!(fs::read_dir(at).unwrap().count(), 2, "something stands beside the inputs after failed runs");
    code(&["list"], at, 0);
    code(&["inspect", "scans"], at, 0);
    code(&["inspect", "nothing"], at, 1);
    code(&["--help"], at, 0);
}

#[test]
fn a_configuration_file_holds_every_option_and_each_problem_is_named() {
    let folder = scans();
    let at = folder.path();
    let good = "pipeline = \"knn\"\ninput = \"scans\"\noutput = \"c.csv\"\nworkers = 2\nuntil = 1\n[set]\nk = 3\n";
    fs::write(at.join("good.toml"), good).unwrap();
    code(&["validate", "good.toml"], at, 0);
    code(&["run", "--config", "good.toml"], at, 0);
    let csv = fs::read_to_string(at.join("c.csv")).unwrap();
    assert_eq!(csv.lines().next(), Some("frame,src,rank,dst,d2"));
    assert_eq!(csv.lines().count(), 1 + 3 * 299);
    code(&["run", "knn", "--config", "good.toml", "--set", "k=1", "--output", "d.csv"], at, 0);
    assert_eq!(fs::read_to_string(at.join("d.csv")).unwrap().lines().count(), 1 + 299);

    fs::write(at.join("bad.toml"), "pipeline = \"knn\"\nworkers = 0\nfrob = 1\nrate = \"fast\"\n").unwrap();
    let problems = code(&["validate", "bad.toml"], at, 78);
    for key in ["workers", "frob", "rate"] {
        assert!(problems.contains(key), "{problems}");
    }
    fs::write(at.join("torn.toml"), "workers = [").unwrap();
    assert!(code(&["validate", "torn.toml"], at, 78).contains("line 1"));
    code(&["validate", "absent.toml"], at, 1);
}

#[test]
fn simulate_writes_a_sequence_that_run_and_eval_read() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    code(&["simulate", "street", "--output", "drive", "--set", "frames=1", "--set", "seed=3"], at, 0);
    let output = thalweg(&["eval", "segment", "--input", "drive", "--json"], at);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let scores = json(&output);
    assert_eq!(scores["frames"], 1);
    assert!(scores["accuracy"].as_f64().unwrap() > 0.3, "{scores}");
    code(&["simulate", "frob", "--output", "x"], at, 2);
    code(&["simulate", "street", "--output", "y", "--set", "frames=none"], at, 78);
}

#[cfg(unix)]
#[test]
fn an_interrupt_drains_publishes_and_exits_well() {
    let folder = scans();
    let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(["run", "knn", "--input", "scans", "--loop", "--output", "out/", "--set", "segment_frames=8", "--json"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let manifest = folder.path().join("out/manifest.json");
    let start = Instant::now();
    while fs::read_to_string(&manifest).map_or(true, |text| !text.contains("segment-00000001")) {
        assert!(start.elapsed() < Duration::from_secs(60), "no second segment was published");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(90), "the run does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let frames = json(&output)["frames"].as_u64().unwrap();
    let published: serde_json::Value = serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
    let last = published["segments"].as_array().unwrap().iter().filter_map(|s| s["last"].as_i64()).max().unwrap();
    // The newest frame may be an empty one, which has no row.
    assert!(last as u64 + 2 >= frames && (last as u64) < frames, "{frames} frames, last row of frame {last}");
}
