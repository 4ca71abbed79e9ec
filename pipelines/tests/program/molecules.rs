//! Molecules, poses and pictures from outside: rows, units, bytes for any number of workers, what is refused.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use super::{code, json, thalweg, write_bin};

/// An ethanol of idealised bonds (Å), as extended XYZ.
pub const ETHANOL: [(&str, [f64; 3]); 9] = [
    ("C", [-0.748, -0.015, 0.024]),
    ("C", [0.558, 0.420, -0.278]),
    ("O", [1.293, -0.202, -0.901]),
    ("H", [-1.263, 0.754, 0.600]),
    ("H", [-0.699, -0.934, 0.609]),
    ("H", [-1.316, -0.189, -0.890]),
    ("H", [1.100, 0.500, 0.660]),
    ("H", [0.500, 1.400, -0.760]),
    ("H", [1.300, -1.140, -0.700]),
];

/// A frame of it, each atom moved a little, with what a file may say.
fn frame(number: usize, more: &str) -> String {
    let rows = ETHANOL.iter().enumerate().map(|(i, (symbol, [x, y, z]))| {
        let a = (number * 7 + i * 3) % 5;
        format!("{symbol} {:.4} {:.4} {:.4}\n", x + 0.01 * a as f64, y - 0.008 * a as f64, z + 0.005 * a as f64)
    });
    format!("9\nProperties=species:S:1:pos:R:3 {more}\n{}", rows.collect::<String>())
}

fn columns(path: &Path) -> (Vec<String>, Vec<(i64, f64, usize)>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for batch in reader {
        let batch = batch.unwrap();
        names = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        for i in 0..batch.num_rows() {
            let forces = batch
                .column_by_name("forces")
                .map_or(0, |column| column.as_list::<i32>().value(i).as_primitive::<Float32Type>().values().len());
            rows.push((
                batch.column(0).as_primitive::<Int64Type>().value(i),
                batch.column(1).as_primitive::<Float64Type>().value(i),
                forces,
            ));
        }
    }
    (names, rows)
}

#[test]
fn energies_and_forces_have_a_row_a_frame_alike_for_any_workers() {
    let folder = TempDir::new().unwrap();
    let gold = "2\nProperties=species:S:1:pos:R:3\nAu 0 0 0\nAu 0 0 2.6\n";
    let text: String = (0..20).map(|n| if n == 5 { gold.to_string() } else { frame(n, "") }).collect();
    fs::write(folder.path().join("t.xyz"), text).unwrap();
    let mut bytes = Vec::new();
    for workers in ["1", "2", "4"] {
        let name = format!("{workers}.parquet");
        let run = ["run", "molecule", "--input", "t.xyz", "--output", &name, "--workers", workers, "--json"];
        let output = thalweg(&run, folder.path());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains("dropped 1 out_of_range, first: frame 5 (line") && text.contains("elements of the molecule")
        );
        assert_eq!(json(&output)["dropped"], serde_json::json!({"out_of_range": 1}));
        bytes.push(fs::read(folder.path().join(&name)).unwrap());
    }
    assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2], "output differs with the number of workers");
    let (names, rows) = columns(&folder.path().join("1.parquet"));
    assert_eq!(names, ["frame", "energy", "forces"]);
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), (0..20).filter(|n| *n != 5).collect::<Vec<_>>());
    assert!(rows.iter().all(|(_, energy, forces)| energy.is_finite() && *forces == 27));
}

#[test]
fn a_property_comes_in_the_unit_that_was_asked_for() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("t.xyz"), frame(0, "") + &frame(1, "")).unwrap();
    let value = |unit: &str| {
        let (set, run) = (format!("unit={unit}"), ["run", "molecule", "--input", "t.xyz", "--model", "qm7"]);
        code(&[&run[..], &["--output", "v.parquet", "--set", &set]].concat(), folder.path(), 0);
        let (names, rows) = columns(&folder.path().join("v.parquet"));
        assert_eq!(names, ["frame", "value", "unit"]);
        rows[1].1
    };
    let (kcal, ev) = (value("kcal/mol"), value("eV"));
    assert!((kcal * 4184.0 / 96_485.332_123_31 - ev).abs() < 1e-9 * ev.abs(), "{kcal} kcal/mol, {ev} eV");
    assert!((value("meV") / 1000.0 - ev).abs() < 1e-9 * ev.abs());
    // Ethanol's atomisation energy is about -810 kcal/mol; this geometry is a rough one.
    assert!((-900.0..-500.0).contains(&kcal), "{kcal}");
    let refused = ["run", "molecule", "--input", "t.xyz", "--output", "e.csv", "--set", "unit=eV"];
    assert!(code(&refused, folder.path(), 78).contains("unit"));
    let refused = ["run", "molecule", "--input", "t.xyz", "--output", "e.csv", "--model", "md22"];
    assert!(code(&refused, folder.path(), 78).contains("expected rmd17, qm7"));
}

#[test]
fn frames_that_cannot_be_read_are_named() {
    let folder = TempDir::new().unwrap();
    let bad = frame(1, "").replace("O ", "Qq ");
    fs::write(folder.path().join("t.xyz"), frame(0, "") + &bad + &frame(2, "")).unwrap();
    let run = ["run", "molecule", "--input", "t.xyz", "--output", "e.parquet"];
    let text = code(&run, folder.path(), 1);
    assert!(text.contains("t.xyz: line 16: found \"Qq\", expected a chemical symbol"), "{text}");
    assert!(!folder.path().join("e.parquet").exists());
    let text = code(&[&run[..], &["--on-error", "skip"]].concat(), folder.path(), 0);
    assert!(text.contains("dropped 1 unreadable"), "{text}");
    let (_, rows) = columns(&folder.path().join("e.parquet"));
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 2]);
    // All of it unknown: nothing was used.
    fs::write(folder.path().join("g.xyz"), "1\n\nAu 0 0 0\n").unwrap();
    let text = code(&["run", "molecule", "--input", "g.xyz", "--output", "g.parquet"], folder.path(), 1);
    assert!(text.contains("found nothing that could be used"), "{text}");
}

#[test]
fn eval_compares_with_the_file_and_draws() {
    let folder = TempDir::new().unwrap();
    let png = |name: &str| {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 2000, "{name}: {} bytes", bytes.len());
    };
    let text: String = (0..6).map(|n| frame(n, "energy=-4000.0")).collect();
    fs::write(folder.path().join("t.xyz"), text).unwrap();
    let eval = ["eval", "molecule", "--input", "t.xyz", "--json", "--plot", "parity.png"];
    let output = thalweg(&eval, folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let scores = json(&output);
    assert_eq!((scores["energies"]["frames"].as_u64(), scores["unit"].as_str()), (Some(6), Some("eV")));
    assert!(scores["energies"]["mae_shifted"].as_f64().unwrap() <= scores["energies"]["mae"].as_f64().unwrap());
    png("parity.png");
    code(&["draw", "t.xyz", "--output", "ethanol.png"], folder.path(), 0);
    png("ethanol.png");

    let pose = ["eval", "pose", "--input", "sim:person", "--set", "frames=60", "--json", "--plot", "pose.png"];
    let scores = json(&thalweg(&pose, folder.path()));
    assert_eq!(scores["frames"].as_u64(), Some(60));
    // The simulation is not what the model learned from: it finds the person, roughly.
    assert!(scores["mae_cm"].as_f64().unwrap() < 20.0, "{scores}");
    png("pose.png");

    code(&["simulate", "street", "--output", "drive", "--set", "frames=1"], folder.path(), 0);
    code(&["draw", "drive", "--output", "drive.png"], folder.path(), 0);
    png("drive.png");
    let eval = ["eval", "segment", "--input", "drive", "--plot", "segment.png"];
    code(&eval, folder.path(), 0);
    png("segment.png");
    code(&["simulate", "town", "--output", "town", "--set", "people=150", "--set", "days=3"], folder.path(), 0);
    code(&["eval", "risk", "--input", "town", "--model", "tracing", "--plot", "risk.png"], folder.path(), 0);
    png("risk.png");
}

#[test]
fn a_pose_has_nineteen_rows_in_every_frame() {
    let folder = TempDir::new().unwrap();
    let mut bytes = Vec::new();
    for workers in ["1", "4"] {
        let name = format!("{workers}.csv");
        let run =
            ["run", "pose", "--input", "sim:person", "--set", "frames=30", "--output", &name, "--workers", workers];
        code(&run, folder.path(), 0);
        bytes.push(fs::read_to_string(folder.path().join(&name)).unwrap());
    }
    assert!(bytes[0] == bytes[1], "output differs with the number of workers");
    let mut lines = bytes[0].lines();
    assert_eq!(lines.next(), Some("frame,joint,joint_name,x,y,z,sigma"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 30 * 19);
    for (i, row) in rows.iter().enumerate() {
        assert_eq!((row[0].parse(), row[1].parse()), (Ok(i / 19), Ok(i % 19)));
        assert!(row[6].parse::<f32>().unwrap() > 0.0);
    }
    // Millimetres are not metres: a warning, and no silence.
    let cloud: String = (0..40).map(|i| format!("0,{},{},{}\n", 10 * i - 200, 1900, 20 * i - 400)).collect();
    fs::write(folder.path().join("mm.csv"), format!("frame,x,y,z\n{cloud}")).unwrap();
    let mm: PathBuf = folder.path().join("mm.csv");
    let text = code(&["run", "pose", "--input", mm.to_str().unwrap(), "--output", "mm.parquet"], folder.path(), 1);
    assert!(text.contains("out_of_range"), "{text}");
}

/// Runs `eval` with `--json`; the scores, and what it says on stderr.
#[track_caller]
fn eval(at: &Path, line: &str) -> (serde_json::Value, String) {
    let line = format!("eval {line} --json");
    let output = thalweg(&line.split_whitespace().collect::<Vec<_>>(), at);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}: {stderr}");
    (json(&output), stderr)
}

#[track_caller]
fn fails(at: &Path, line: &str) -> String {
    code(&line.split_whitespace().collect::<Vec<_>>(), at, 1)
}

#[test]
fn eval_states_errors_in_the_unit_asked_for_whatever_the_file_s_is() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let kcal = 4184.0 / 96_485.332_123_31;
    let frames = |truth: &dyn Fn(f64) -> String| frame(0, &truth(-800.0)) + &frame(1, &truth(-790.0));
    fs::write(at.join("bare.xyz"), frames(&|v| format!("value={v}"))).unwrap();
    fs::write(at.join("kcal.xyz"), frames(&|v| format!("value={v} unit=kcal/mol"))).unwrap();
    fs::write(at.join("ev.xyz"), frames(&|v| format!("value={} unit=eV", v * kcal))).unwrap();
    fs::write(at.join("kj.xyz"), frames(&|v| format!("unit=kJ/mol value={}", v * 4.184))).unwrap();
    let mae = |name: &str, more: &str| {
        let (scores, said) = eval(at, &format!("molecule --model qm7 --input {name} {more}"));
        assert_eq!(said, "", "{name}");
        (scores["energies"]["mae"].as_f64().unwrap(), scores["unit"].as_str().unwrap().to_string())
    };
    let (expected, unit) = mae("bare.xyz", "");
    assert_eq!(unit, "kcal/mol");
    for name in ["kcal.xyz", "ev.xyz", "kj.xyz"] {
        assert!((mae(name, "").0 - expected).abs() < 1e-6, "{name}");
        let (mae, unit) = mae(name, "--set unit=eV");
        assert!((mae - expected * kcal).abs() < 1e-7 && unit == "eV", "{name}: {mae} {unit}");
    }
    fs::write(at.join("ry.xyz"), frame(0, "value=-800") + &frame(1, "value=-800 unit=Ry")).unwrap();
    let said = fails(at, "eval molecule --model qm7 --input ry.xyz");
    assert!(said.contains("ry.xyz: line 13: found unit \"Ry\", expected kcal/mol, eV, meV"), "{said}");
    // Energies, too.
    let energies = |name: &str, comment: &str| {
        fs::write(at.join(name), frame(0, comment)).unwrap();
        eval(at, &format!("molecule --input {name}")).0["energies"]["mae"].as_f64().unwrap()
    };
    let (ev, kcal) =
        (energies("a.xyz", "energy=-4000"), energies("b.xyz", &format!("energy={} unit=kcal/mol", -4000.0 / kcal)));
    assert!((ev - kcal).abs() < 1e-6, "{ev}, {kcal}");
    // Forces under another name are not read, and that is said.
    let text = frame(0, "energy=-4000").replace(":pos:R:3", ":pos:R:3:dft_forces:R:3");
    let row = |(i, line): (usize, &str)| if i < 2 { format!("{line}\n") } else { format!("{line} 0 0 0\n") };
    fs::write(at.join("dft.xyz"), text.lines().enumerate().map(row).collect::<String>()).unwrap();
    let (scores, said) = eval(at, "molecule --input dft.xyz");
    assert!(scores["forces"].is_null() && said.contains("\"dft_forces\" is not read, only forces is"), "{said}");
}

#[test]
fn molecules_of_a_set_may_have_any_number_of_atoms() {
    let folder = TempDir::new().unwrap();
    let water = "3\nvalue=-220\nO 0 0 0\nH 0 0.76 0.59\nH 0 -0.76 0.59\n";
    fs::write(folder.path().join("set.xyz"), frame(0, "value=-800") + water).unwrap();
    let run = ["run", "molecule", "--input", "set.xyz", "--output", "v.csv", "--model", "qm7"];
    assert_eq!(code(&run, folder.path(), 0), "");
    let said = code(&["run", "molecule", "--input", "set.xyz", "--output", "e.csv"], folder.path(), 0);
    assert!(said.contains("set.xyz: line 12: 3 atoms, the frame before has 9"), "{said}");
}

/// An array of joints, `[frames, 19, 3]`.
fn npy(path: &Path, frames: &[[[f32; 3]; 19]]) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, 19, 3), }}", frames.len());
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{header:<117}\n").bytes());
    bytes.extend(frames.as_flattened().as_flattened().iter().flat_map(|v| v.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// The rows of an array of joints.
fn joints(path: &Path) -> Vec<[[f32; 3]; 19]> {
    let bytes = fs::read(path).unwrap();
    let number = |word: &[u8; 4]| f32::from_le_bytes(*word);
    let numbers: Vec<f32> = bytes[128..].as_chunks::<4>().0.iter().map(number).collect();
    numbers.as_chunks::<3>().0.as_chunks::<19>().0.to_vec()
}

#[test]
fn eval_pose_takes_the_joints_beside_the_input() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    code(&["simulate", "person", "--output", "person", "--set", "frames=40", "--set", "seed=7"], at, 0);
    let (scores, _) = eval(at, "pose --input person/radar.parquet");
    let (expected, _) = eval(at, "pose --input sim:person --set frames=40 --set seed=7");
    assert_eq!(scores, expected);
    assert_eq!(scores["frames"].as_u64(), Some(40));
    code(&["simulate", "person", "--output", "lidar", "--set", "frames=2", "--set", "sensor=lidar"], at, 0);
    assert_eq!(eval(at, "pose --input lidar/lidar.parquet").0["frames"].as_u64(), Some(2));
    code(&["simulate", "person", "--output", "none", "--set", "frames=0"], at, 78);

    // Frames whose joints are all missing have no truth.
    let mut truth = joints(&at.join("person/radar.npy"));
    truth[3..13].fill([[f32::NAN; 3]; 19]);
    npy(&at.join("part.npy"), &truth);
    let (scores, _) = eval(at, "pose --input person/radar.parquet --truth part.npy");
    assert_eq!(scores["frames"].as_u64(), Some(30));
    // Joints of another recording.
    npy(&at.join("short.npy"), &truth[..38]);
    let said = fails(at, "eval pose --input person/radar.parquet --truth short.npy");
    let expected = "short.npy: found joints of 38 frames, expected 40: person/radar.parquet has frames 0 to 39";
    assert!(said.contains(expected), "{said}");
    let said = code(&["eval", "pose", "--input", "t.parquet"], at, 2);
    assert!(said.contains("expected NAME.npy beside the input"), "{said}");
    // Row i is the frame i behind the first.
    let row = |frame: i64| (0..9).map(move |i| format!("{frame},{},2.0,{}\n", 0.05 * i as f32, 0.1 * i as f32));
    let rows: String = (100..104).flat_map(row).collect();
    fs::write(at.join("late.csv"), format!("frame,x,y,z\n{rows}")).unwrap();
    npy(&at.join("late.npy"), &truth[20..24]);
    assert_eq!(eval(at, "pose --input late.csv").0["frames"].as_u64(), Some(4));
}

#[test]
fn eval_segment_says_which_labels_do_not_count() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    for sub in ["drive/velodyne", "drive/labels"] {
        fs::create_dir_all(at.join(sub)).unwrap();
    }
    let points: Vec<[f32; 4]> = (0..300).map(|i| [(i % 20) as f32, (i / 20) as f32, -1.7, 0.3]).collect();
    let labels = |scan: usize, ids: &dyn Fn(usize) -> u32| {
        let bytes: Vec<u8> = (0..points.len()).flat_map(|i| ids(i).to_le_bytes()).collect();
        fs::write(at.join(format!("drive/labels/{scan:06}.label")), bytes).unwrap();
    };
    for scan in 0..3 {
        write_bin(&at.join(format!("drive/velodyne/{scan:06}.bin")), &points);
    }
    labels(0, &|_| 40);
    labels(1, &|i| if i < 5 { 777 } else { 40 });
    let (scores, said) = eval(at, "segment --input drive");
    assert_eq!(scores["points"].as_u64(), Some(595));
    assert!(said.contains("1 of 3 frames have no labels and do not count, first frame 2"), "{said}");
    assert!(said.contains("5 points have unknown label ids and do not count, first 777 in "), "{said}");
    assert_eq!(said.matches("do not count").count(), 2, "{said}");

    (0..3).for_each(|scan| labels(scan, &|i| if i == 9 { 777 } else { 0 }));
    let said = fails(at, "eval segment --input drive");
    let found =
        "drive: found 0 labelled points in 3 frames with labels: 900 have label 0; 3 points have unknown label ids";
    assert!(said.contains(found) && said.contains("expected classes of the model: 1 car"), "{said}");
}

#[test]
fn eval_risk_counts_people_that_the_input_does_not_have() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("contacts.csv"), "t,i,j\n1,a,b\n2,b,c\n9,c,late\n").unwrap();
    fs::write(at.join("tests.csv"), "t,person,result\n3,a,positive\n").unwrap();
    fs::write(at.join("truth.csv"), "person,state\na,I\nb,E\nlate,I\nzoe,I\nyan,R\n").unwrap();
    let files = "risk --contacts contacts.csv --tests tests.csv --truth truth.csv --set rate=1e-3";
    let (_, said) = eval(at, files);
    let all = "2 people of the truth are in no row up to the time asked for and are not scored, first yan in";
    assert!(said.contains(all), "{said}");
    let (_, said) = eval(at, &format!("{files} --as-of 5"));
    assert!(said.contains("3 people of the truth are in no row") && said.contains("first late in"), "{said}");
}

#[test]
fn eval_gnn_names_labels_that_it_cannot_score() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let metadata = serde_json::json!({
        "architecture": "layers", "version": 1, "inputs": {"x": 1}, "output": "line",
        "steps": [{"name": "line", "layer": "Linear", "args": {"in_channels": 1, "out_channels": 2}, "inputs": ["x"]}],
    });
    let (weight, bias) = ([0, 0, 128, 63, 0, 0, 128, 191], [0; 8]);
    let tensor = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.into(), bytes).unwrap();
    let tensors = [("line.weight", tensor(&[2, 1], &weight)), ("line.bias", tensor(&[2], &bias))];
    let metadata = HashMap::from([("thalweg".to_string(), metadata.to_string())]);
    fs::write(at.join("net.safetensors"), safetensors::serialize(tensors, Some(metadata)).unwrap()).unwrap();
    fs::write(at.join("nodes.csv"), "t,node,value\n0,a,1\n0,b,-2\n").unwrap();
    let files = "gnn --nodes nodes.csv --model net.safetensors --truth labels.csv";
    fs::write(at.join("labels.csv"), "node,label\na,0\nb,1\nx,1\nw,0\n").unwrap();
    let (scores, said) = eval(at, files);
    assert_eq!((scores["nodes"].as_u64(), scores["accuracy"].as_f64()), (Some(2), Some(1.0)));
    assert!(said.contains("2 nodes of the labels are not in the graph and are not scored, first w"), "{said}");
    fs::write(at.join("labels.csv"), "node,label\na,0\nb,7\n").unwrap();
    let said = fails(at, &format!("eval {files}"));
    let expected =
        "labels.csv: found class 7 of node b, expected a class from 0 to 1: the network gives 2 numbers a node";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn an_sdf_that_lost_its_separators_is_refused() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let atom = |(symbol, [x, y, z]): &(&str, [f64; 3])| format!("{x:10.4}{y:10.4}{z:10.4} {symbol:<3} 0  0\n");
    let atoms: String = ETHANOL.iter().map(atom).collect();
    let mol = |count: usize| format!("ethanol\n\n\n{count:3}  0  0  0  0            999 V2000\n{atoms}M  END\n");
    fs::write(at.join("two.sdf"), mol(9) + "$$$$\n" + &mol(9)).unwrap();
    fs::write(at.join("joined.sdf"), mol(9) + &mol(9)).unwrap();
    fs::write(at.join("fewer.sdf"), mol(8)).unwrap();
    let run = |name: &str| format!("run molecule --input {name} --output e.csv");
    code(&run("two.sdf").split(' ').collect::<Vec<_>>(), at, 0);
    assert_eq!(fs::read_to_string(at.join("e.csv")).unwrap().lines().count(), 3);
    let said = fails(at, &run("joined.sdf"));
    assert!(said.contains("joined.sdf: line 15: found \"ethanol\", expected data (> <name>), $$$$"), "{said}");
    let said = fails(at, &run("fewer.sdf"));
    assert!(said.contains("fewer.sdf: line 13: found \"    1.3000") && said.contains("expected M  END"), "{said}");
}
