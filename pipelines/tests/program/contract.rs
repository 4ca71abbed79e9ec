//! What the program promises beside its results: options that are of no use, help, outputs that are inputs, rows that are lost, more columns.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Int32Type, Int64Type};
use tempfile::TempDir;

use super::{code, json, scans, thalweg, write_bin};

/// Two scans of a few points, a table of contacts and one of tests.
fn inputs() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("scans")).unwrap();
    for frame in 0..2 {
        let points: Vec<_> = (0..40u32).map(|i| [(i % 5) as f32, (i / 5) as f32, frame as f32, 0.5]).collect();
        write_bin(&folder.path().join(format!("scans/{frame}.bin")), &points);
    }
    fs::write(folder.path().join("c.csv"), "t,i,j\n10,a,b\n20,b,c\n").unwrap();
    fs::write(folder.path().join("t.csv"), "t,person,result\n20,a,positive\n").unwrap();
    folder
}

const KNN: [&str; 6] = ["run", "knn", "--input", "scans", "--output", "o.csv"];
const SEGMENT: [&str; 6] = ["run", "segment", "--input", "scans", "--output", "o.csv"];
const RISK: [&str; 8] = ["run", "risk", "--contacts", "c.csv", "--output", "o.csv", "--set", "rate=1e-3"];

#[test]
fn an_option_that_is_of_no_use_is_refused() {
    let folder = inputs();
    let at = folder.path();
    let eval = ["eval", "segment", "--input", "scans"];
    let cases: [(&[&str], &[&str]); 20] = [
        (&KNN, &["--model", "driving"]),
        (&KNN, &["--output-format", "label"]),
        (&KNN, &["--output-format", "table"]),
        (&KNN, &["--contacts", "c.csv"]),
        (&KNN, &["--truth", "t.csv"]),
        (&SEGMENT, &["--as-of", "3"]),
        (&SEGMENT, &["--every", "3"]),
        (&SEGMENT, &["--tests", "t.csv"]),
        (&SEGMENT, &["--truth", "t.csv"]),
        (&RISK, &["--loop"]),
        (&RISK, &["--output-format", "table"]),
        (&RISK, &["--truth", "t.csv"]),
        (&eval, &["--follow"]),
        (&eval, &["--loop"]),
        (&eval, &["--output", "o.csv"]),
        (&eval, &["--rate", "1"]),
        (&eval, &["--output-format", "label"]),
        (&["inspect", "scans"], &["--model", "driving"]),
        (&["run", "knn", "--input", "sim:street", "--output", "o.csv"], &["--format", "las"]),
        (&["run", "risk", "--input", "sim:town", "--output", "o.csv"], &["--columns", "t=time"]),
    ];
    for (run, more) in cases {
        let said = code(&[run, more].concat(), at, 78);
        let name = more[0].trim_start_matches('-');
        assert!(said.contains(name) || said.contains(&name.replace('-', "_")), "{more:?}: {said}");
        assert!(!at.join("o.csv").exists(), "{more:?}");
    }
    code(&[&KNN[..], &["--frobnicate"]].concat(), at, 2);
    code(&[&KNN[..], &["--set", "frames=2"]].concat(), at, 78);
    fs::write(at.join("c.toml"), "pipeline = \"knn\"\ninput = \"scans\"\nmodel = \"driving\"\nfollow = false\n")
        .unwrap();
    let said = code(&["validate", "c.toml"], at, 78);
    assert!(said.contains("model: found") && !said.contains("follow"), "{said}");
    fs::write(at.join("d.toml"), "pipeline = \"knn\"\nworkers = 0\nevery = 3\n[set]\nk = 0\n").unwrap();
    let said = code(&["validate", "d.toml"], at, 78);
    assert!(["workers", "every", "--set k"].iter().all(|problem| said.contains(problem)), "{said}");
    code(&[&KNN[..], &["--on-error", "perhaps"]].concat(), at, 78);
    code(&[&KNN[..], &["--on-error", "stop"]].concat(), at, 0);
}

fn help(arguments: &[&str]) -> String {
    let output = thalweg(arguments, Path::new("."));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_is_that_of_the_pipeline() {
    let whole = help(&["--help"]);
    for name in ["segment", "knn", "risk", "driving", "airborne", "bp", "tgnn", "mean-field", "tracing"] {
        assert!(whole.contains(name), "{name}: {whole}");
    }
    let common = help(&["run", "--help"]);
    assert!(common.contains("--workers") && common.contains("segment") && !common.contains("--contacts"), "{common}");
    let risk = help(&["run", "risk", "--help"]);
    for part in ["--contacts", "--as-of", "rate", "latency=0", "seeds=1", "tracing", "Example", "--set rate="] {
        assert!(risk.contains(part), "{part}: {risk}");
    }
    assert!(!risk.contains("--output-format") && !risk.contains("driving"), "{risk}");
    let segment = help(&["run", "segment", "--help"]);
    assert!(segment.contains("--output-format") && segment.contains("airborne") && !segment.contains("--contacts"));
    assert_eq!(help(&["help", "run", "segment"]), segment);
    let eval = help(&["eval", "risk", "--help"]);
    assert!(eval.contains("--truth") && !eval.contains("--follow ") && !eval.contains("emit"), "{eval}");
    assert!(!help(&["eval", "--help"]).contains("knn"));
    code(&["run", "frob", "--help"], Path::new("."), 2);
    code(&["eval", "knn", "--help"], Path::new("."), 2);

    // The keys that help lists are those that are taken, and the other way round.
    let folder = inputs();
    for (pipeline, run) in [("knn", &KNN[..]), ("segment", &SEGMENT), ("risk", &RISK)] {
        let said = code(&[run, &["--set", "frob=1"]].concat(), folder.path(), 78);
        let known = said.trim().rsplit_once("expected ").unwrap().1;
        let help = help(&["run", pipeline, "--help"]);
        let keys = help.split_once("Keys of --set:\n").unwrap().1.split_once("\n\n").unwrap().0;
        let keys = keys.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let keys: Vec<_> = keys.map(|line| line.trim().split(['=', ' ']).next().unwrap()).collect();
        assert_eq!(keys.join(", "), known, "{help}");
        for key in keys {
            let said = thalweg(&[run, &["--set", &format!("{key}=nothing of the kind")]].concat(), folder.path());
            let said = String::from_utf8(said.stderr).unwrap();
            assert!(!said.contains("unknown key"), "{pipeline}: {key}: {said}");
        }
    }
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let folder = inputs();
    let at = folder.path();
    fs::write(at.join("own.csv"), "x,y,z\n0,0,0\n1,0,0\n").unwrap();
    fs::write(at.join("scans/table.csv"), "x,y,z\n0,0,0\n").unwrap();
    fs::write(at.join("key"), "secret").unwrap();
    let refused = |run: &[&str]| {
        let said = code(run, at, 78);
        assert!(said.contains("output: found"), "{run:?}: {said}");
    };
    let before = fs::read(at.join("own.csv")).unwrap();
    refused(&["run", "knn", "--input", "own.csv", "--output", "own.csv"]);
    refused(&["run", "knn", "--input", "own.csv", "--output", "scans/../own.csv"]);
    refused(&["run", "knn", "--input", "scans", "own.csv", "--output", "own.csv"]);
    refused(&["run", "knn", "--input", "scans", "--output", "scans/"]);
    refused(&["run", "knn", "--input", "scans", "--output", "./"]);
    refused(&["run", "knn", "--input", "scans", "--output", "scans/table.csv"]);
    refused(&["run", "segment", "--input", "scans", "--output", "scans", "--output-format", "label"]);
    let rate = ["--set", "rate=1e-3"];
    let risk =
        |run: &[&str]| refused(&[&["run", "risk", "--contacts", "c.csv", "--tests", "t.csv"], run, &rate].concat());
    risk(&["--output", "c.csv"]);
    risk(&["--output", "t.csv"]);
    risk(&["--output", "key", "--set", "hash_ids=key"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("own.csv", at.join("link.csv")).unwrap();
        fs::hard_link(at.join("own.csv"), at.join("hard.csv")).unwrap();
        refused(&["run", "knn", "--input", "own.csv", "--output", "link.csv"]);
        refused(&["run", "knn", "--input", "link.csv", "--output", "own.csv"]);
        refused(&["run", "knn", "--input", "own.csv", "--output", "hard.csv"]);
    }
    assert_eq!(fs::read(at.join("own.csv")).unwrap(), before);

    // The file of malformed rows takes no input's place either, nor that of somebody's own file; that of an older run it does.
    fs::write(at.join("o.csv.rejected.csv"), "t,i,j\n1,a,b\n").unwrap();
    code(&RISK, at, 0);
    refused(&["run", "risk", "--contacts", "o.csv.rejected.csv", "--output", "o.csv", "--set", "rate=1"]);
    assert_eq!(fs::read_to_string(at.join("o.csv.rejected.csv")).unwrap(), "t,i,j\n1,a,b\n");
    fs::write(at.join("o.csv.rejected.csv"), "file,line,reason\nold.csv,2,why\n").unwrap();
    code(&[&RISK[..], &["--tests", "t.csv"]].concat(), at, 0);
    assert!(!at.join("o.csv.rejected.csv").exists());
    code(&["run", "knn", "--input", "own.csv", "--output", "beside.csv"], at, 0);
}

#[test]
fn no_frame_comes_twice_and_what_belongs_to_a_scan_goes_by_its_name() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("a.csv"), "frame,x,y,z\n2,0,0,0\n2,1,0,0\n9,0,0,0\n9,1,0,0\n").unwrap();
    fs::write(at.join("b.csv"), "x,y,z\n0,0,0\n5,0,0\n").unwrap();
    let said = code(&["run", "knn", "--input", "a.csv", "b.csv", "--output", "o.csv"], at, 1);
    assert!(said.contains("found frame 2 after frame 9"), "{said}");
    code(&["run", "knn", "--input", "b.csv", "a.csv", "--output", "o.csv"], at, 0);

    // Lines that have the numbers of their frames: one is missing.
    fs::create_dir_all(at.join("s/velodyne")).unwrap();
    for scan in 0..3 {
        write_bin(&at.join(format!("s/velodyne/{scan:06}.bin")), &[[scan as f32, 0.0, 0.0, 0.5], [1.0, 1.0, 0.0, 0.5]]);
    }
    fs::write(at.join("s/calib.txt"), "Tr: 1 0 0 0 0 1 0 0 0 0 1 0\n").unwrap();
    let poses = |numbers: [u32; 3]| {
        let line = |n: &u32| format!("{n} 1 0 0 {n} 0 1 0 0 0 0 1 0\n");
        fs::write(at.join("s/poses.txt"), numbers.iter().map(line).collect::<String>()).unwrap();
    };
    let map = ["run", "knn", "--input", "s", "--set", "nodes=map", "--output", "m.csv"];
    poses([1, 2, 5]);
    assert!(code(&map, at, 1).contains("no line that begins with 0"));
    poses([0, 1, 1]);
    assert!(code(&map, at, 1).contains("a frame that another line has too"));
    poses([2, 0, 1]);
    code(&map, at, 0);
}

#[test]
fn what_is_left_out_is_said_and_a_run_that_used_nothing_fails() {
    let folder = inputs();
    let at = folder.path();
    let nan = [[f32::NAN, 0.0, 0.0, 0.5]; 12];
    write_bin(&at.join("nan.bin"), &nan);
    write_bin(&at.join("one.bin"), &[[0.0, 0.0, 0.0, 0.5], [1.0, f32::INFINITY, 0.0, 0.5], [1.0, 0.0, 0.0, 0.5]]);
    let said = code(&["run", "knn", "--input", "one.bin", "--output", "o.csv"], at, 0);
    assert!(said.contains("dropped 1 non_finite") && said.contains("first:") && said.contains("one.bin"), "{said}");
    fs::remove_file(at.join("o.csv")).unwrap();
    for pipeline in ["knn", "segment"] {
        for output in ["o.csv", "o/"] {
            let said = code(&["run", pipeline, "--input", "nan.bin", "--output", output], at, 1);
            assert!(said.contains("nan.bin") && said.contains("12 non_finite") && said.contains("first:"), "{said}");
            assert!(!at.join(output).exists(), "{pipeline}: something stands at {output}");
        }
    }
    fs::write(at.join("empty.bin"), "").unwrap();
    assert_eq!(code(&["run", "knn", "--input", "empty.bin", "--output", "o.csv"], at, 0), "");

    let risk = |contacts: &str, more: &[&'static str], expected: i32| {
        fs::write(at.join("c.csv"), contacts).unwrap();
        code(&[&RISK[..], more].concat(), at, expected)
    };
    let bad = "t,i,j\nnoon,a,b\nmorning,b,c\n";
    fs::remove_file(at.join("o.csv")).unwrap();
    let said = risk(bad, &[], 1);
    assert!(said.contains("2 malformed") && said.contains("c.csv: line 2") && said.contains("noon"), "{said}");
    assert!(!at.join("o.csv").exists());
    assert!(fs::read_to_string(at.join("o.csv.rejected.csv")).unwrap().contains("morning"));
    let said = risk("t,i,j\n1,a,b\nnoon,a,b\n2,c,c\n", &[], 0);
    assert!(
        said.contains("dropped 1 malformed, first: c.csv: line 3") && said.contains("dropped 1 self_contact"),
        "{said}"
    );
    assert_eq!(risk("t,i,j\n", &[], 0), "");
    let said = risk("t,i,j\n10,a,b\n", &["--as-of", "5"], 0);
    assert!(said.contains("--as-of: found 5 s, before all rows: the first is at 10 s"), "{said}");
    fs::write(at.join("torn.parquet"), "PAR1 and no more").unwrap();
    let both = ["run", "risk", "--contacts", "torn.parquet", "c.csv", "--output", "o.csv", "--set", "rate=1e-3"];
    assert!(code(&both, at, 1).contains("torn.parquet"));
    let said = code(&[&both[..], &["--on-error", "skip"]].concat(), at, 0);
    assert!(said.contains("torn.parquet: passed over") && said.contains("dropped 1 unreadable, first: torn.parquet"));
    let one = ["run", "risk", "--contacts", "torn.parquet", "--output", "o.csv", "--set", "rate=1e-3"];
    assert!(code(&[&one[..], &["--on-error", "skip"]].concat(), at, 1).contains("1 unreadable"));
    let output = thalweg(&[&RISK[..], &["--json"]].concat(), at);
    assert!(output.stderr.is_empty() && json(&output)["dropped"] == serde_json::json!({}));
}

#[test]
fn labels_have_the_columns_asked_for() {
    let folder = scans();
    let at = folder.path();
    for (i, name) in ["o.parquet", "o.arrow"].into_iter().enumerate() {
        let run =
            ["run", "segment", "--input", "scans", "--until", "2", "--set", "columns=path,xyz,time", "--output", name];
        code(&run, at, 0);
        let file = fs::File::open(at.join(name)).unwrap();
        let batches: Vec<_> = if i == 0 {
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            reader.build().unwrap().map(Result::unwrap).collect()
        } else {
            arrow::ipc::reader::FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect()
        };
        let names: Vec<_> = batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
        let expected =
            ["frame", "point", "x", "y", "z", "path", "time", "class", "class_name", "confidence", "instance"];
        assert_eq!(names, expected);
        let mut rows = 0;
        for batch in &batches {
            let paths = batch["path"].as_dictionary::<Int32Type>().clone();
            let values = paths.values().as_string::<i32>();
            for row in 0..batch.num_rows() {
                let frame = batch["frame"].as_primitive::<Int64Type>().value(row);
                let path = values.value(paths.keys().value(row) as usize);
                assert!(path.ends_with(&format!("scans/{frame:06}.bin")), "{path}");
                assert!(batch["time"].is_null(row));
                let x = batch["x"].as_primitive::<Float32Type>().value(row);
                let y = batch["y"].as_primitive::<Float32Type>().value(row);
                let point = batch["point"].as_primitive::<arrow::datatypes::UInt32Type>().value(row);
                assert!(x == (point % 7) as f32 && (point == 13) == y.is_nan());
                rows += 1;
            }
        }
        assert_eq!(rows, 300 + 301);
    }
    code(&["run", "segment", "--input", "scans", "--output", "o.csv", "--set", "columns=colour"], at, 78);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_an_evaluation_within_a_second() {
    let folder = TempDir::new().unwrap();
    let run = ["eval", "risk", "--input", "sim:town", "--set", "people=20000", "--set", "days=10"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(run)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert!(child.try_wait().unwrap().is_none(), "the evaluation ended before the signal");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(2), "the evaluation goes on after the signal");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn labels_of_an_evaluation_may_lie_elsewhere() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    code(&["simulate", "street", "--output", "drive", "--set", "frames=1"], at, 0);
    let scores = |more: &[&str]| {
        let line = [&["eval", "segment", "--input", "drive", "--json"], more].concat();
        let output = thalweg(&line, at);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&output)
    };
    let expected = scores(&[]);
    fs::rename(at.join("drive/labels"), at.join("elsewhere")).unwrap();
    code(&["eval", "segment", "--input", "drive"], at, 1);
    assert_eq!(scores(&["--truth", "elsewhere"]), expected);
    assert_eq!(scores(&["--truth", "elsewhere/000000.label"]), expected);
    // The same as a table of raw ids.
    let bytes = fs::read(at.join("elsewhere/000000.label")).unwrap();
    let labels = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) & 0xffff);
    let rows: String = labels.enumerate().map(|(point, label)| format!("0,{point},{label}\n")).collect();
    fs::write(at.join("truth.csv"), format!("frame,point,label\n{rows}")).unwrap();
    // It numbers no objects, so its panoptic quality is another.
    let by_table = scores(&["--truth", "truth.csv"]);
    for key in ["accuracy", "ece", "frames", "groups", "labelled", "miou", "miou_groups", "points"] {
        assert_eq!(by_table[key], expected[key], "{key}");
    }
    assert!(expected["pq_objects"].is_number() && by_table["pq_objects"].is_null());
    fs::write(at.join("truth.csv"), "frame,point,label\n0,999999999,40\n").unwrap();
    let says = code(&["eval", "segment", "--input", "drive", "--truth", "truth.csv"], at, 1);
    assert!(says.contains("truth.csv: the file: found point 999999999 of frame 0, expected one of its"), "{says}");
}

/// `(class, confidence, instance)` of every row of a table of labels.
fn labels(file: &Path) -> Vec<(u8, f32, u32)> {
    let text = fs::read_to_string(file).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let place = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let (class, confidence, instance) = (place("class"), place("confidence"), place("instance"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[class].parse().unwrap(), cells[confidence].parse().unwrap(), cells[instance].parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn points_below_the_wanted_confidence_have_no_class_and_objects_have_one() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let run = |name: &str, more: &[&str]| {
        let line = ["run", "segment", "--input", "sim:street", "--set", "frames=1", "--output", name];
        code(&[&line[..], more].concat(), at, 0);
        labels(&at.join(name))
    };
    let all = run("all.csv", &[]);
    let mut of_object = std::collections::BTreeMap::new();
    for &(class, _, instance) in all.iter().filter(|(_, _, instance)| *instance > 0) {
        assert_eq!(*of_object.entry(instance).or_insert(class), class, "object {instance}");
    }
    assert!(of_object.len() > 10, "{} objects", of_object.len());
    let some = run("some.csv", &["--set", "abstain=0.6", "--workers", "2"]);
    assert_eq!(some.len(), all.len());
    assert!(all.iter().any(|(_, confidence, _)| *confidence < 0.6));
    for (point, (&whole, &(class, confidence, instance))) in all.iter().zip(&some).enumerate() {
        assert_eq!(confidence.to_bits(), whole.1.to_bits(), "point {point}");
        let expected = if confidence < 0.6 { 0 } else { whole.0 };
        assert_eq!((class, instance > 0), (expected, expected > 0 && whole.2 > 0), "point {point}");
    }
    code(&["run", "segment", "--input", "sim:street", "--output", "o.csv", "--set", "abstain=1.5"], at, 78);
}
