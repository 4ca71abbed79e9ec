//! Molecules, poses and pictures from outside: rows, units, bytes for any number of workers, what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::{code, json, thalweg};

/// An ethanol of idealised bonds (Å), as extended XYZ.
const ETHANOL: [(&str, [f64; 3]); 9] = [
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
