//! What `inspect` says of molecules, of folders of tables, and of tables that lack something.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use thalweg_connectors::sim::{person, town};
use thalweg_connectors::{Report, inspect};

const WATER: &str = "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-2078.1\nO 0 0 0 0 0 1\nH 0 0.76 0.59 0 0 0\nH 0 -0.76 0.59 0 0 0\n";

fn written(folder: &Path, name: &str, bytes: &[u8]) -> Report {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    inspect(&path)
}

fn fields(report: &Report) -> Vec<String> {
    report.fields.iter().map(|field| format!("{} {}", field.name, field.kind)).collect()
}

#[test]
fn inspect_knows_molecules() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let two = format!("{WATER}2\n\nH 0 0 0\nH 0 0 0.74\n");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(two.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    for (name, bytes) in [("a.xyz", two.as_bytes()), ("b.extxyz", two.as_bytes()), ("c.xyz.gz", &packed)] {
        let report = written(at, name, bytes);
        assert_eq!((report.format.as_str(), report.frames, report.atoms), ("extxyz", Some(2), Some(5)), "{report}");
        assert!(report.what.ends_with("an input of `molecule`; 2 to 3 atoms a frame"), "{report}");
        assert_eq!(report.elements, ["H", "O"]);
        let expected = [
            "species symbol",
            "pos float64 Å",
            "energy float64 eV (1 of the frames)",
            "forces float64 eV/Å (1 of the frames)",
        ];
        assert_eq!(fields(&report), expected);
        assert!(report.readable && report.points.is_none() && report.problems.is_empty(), "{report}");
    }
    let report = written(at, "plain.xyz", b"2\nhydrogen\nH 0 0 0\nH 0 0 0.74\n");
    assert_eq!((report.format.as_str(), report.frames, report.atoms), ("xyz", Some(1), Some(2)), "{report}");
    assert!(report.to_string().contains("  atoms    2\n  elements H\n"), "{report}");

    // What a run says and would refuse.
    let report = written(at, "bad.xyz", format!("{WATER}2\n\nXx 0 0 0\nH 0 0 1\n{WATER}").as_bytes());
    assert_eq!((report.frames, report.problems.len()), (Some(2), 1), "{report}");
    assert!(report.problems[0].ends_with("bad.xyz: line 8: found \"Xx\", expected a chemical symbol"), "{report}");
    let report = written(at, "dft.xyz", WATER.replace(":forces", ":dft_forces").as_bytes());
    assert!(report.problems[0].ends_with("dft.xyz: line 2: \"dft_forces\" is not read, only forces is"), "{report}");

    let mol = "\n\n\n  1  0  0  0  0              1 V2000\n    0.0000    0.0000    0.0000 He  0\nM  END\n";
    for name in ["a.sdf", "a.mol"] {
        let report = written(at, name, mol.as_bytes());
        assert_eq!((report.format.as_str(), report.frames, report.atoms), ("sdf", Some(1), Some(1)), "{report}");
        assert!(report.problems.is_empty(), "{report}");
    }
    let report = written(at, "joined.sdf", format!("{mol}x{mol}").as_bytes());
    assert!(report.problems[0].contains("joined.sdf: line 7: found \"x\", expected data"), "{report}");

    // Points keep their name.
    for text in ["1 2 3\n4 5 6\n", "2\n1 2 3\n4 5 6\n", "X Y Z\n1 2 3\n", "# made by hand\n1 2 3\n"] {
        let report = written(at, "points.xyz", text.as_bytes());
        assert!(report.what.starts_with("points as text") && report.atoms.is_none(), "{text:?}: {report}");
    }
}

#[test]
fn inspect_knows_a_folder_of_molecules() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1.xyz", "2.xyz", "10.xyz"] {
        fs::write(folder.path().join(name), WATER).unwrap();
    }
    fs::write(folder.path().join("README.md"), "three of them").unwrap();
    let report = inspect(folder.path());
    assert_eq!((report.frames, report.atoms), (Some(3), Some(9)), "{report}");
    assert!(report.what.starts_with("a folder with 4 files: molecules"), "{report}");
    assert!(
        report.files.iter().any(|group| group.format == "extxyz" && group.files == 3 && group.readable),
        "{report}"
    );
    assert!(report.readable && report.problems.is_empty(), "{report}");
}

#[test]
fn inspect_knows_the_folders_of_risk() {
    let folder = tempfile::tempdir().unwrap();
    let town_folder = folder.path().join("town");
    town::write(&town_folder, town::Town { people: 40, days: 3, seed: 1 }).unwrap();
    let report = inspect(&town_folder);
    let expected = "inputs of `risk`: contacts.csv (contacts), tests.csv (tests), truth.csv (truth), with params.json";
    assert!(report.what.ends_with(expected), "{report}");
    assert!(report.readable && report.rows.is_some_and(|rows| rows > 100), "{report}");
    assert!(!report.to_string().contains("x, y, z") && report.points.is_none(), "{report}");

    let contacts = folder.path().join("contacts");
    fs::create_dir(&contacts).unwrap();
    fs::write(contacts.join("monday.csv"), "t,i,j\n1,a,b\nsoon,a,c\n").unwrap();
    fs::write(contacts.join("tuesday.jsonl"), "{\"t\":2,\"i\":\"a\",\"j\":\"c\"}\n").unwrap();
    fs::write(contacts.join("notes.csv"), "who,what\nme,this\n").unwrap();
    let report = inspect(&contacts);
    assert!(report.what.ends_with("inputs of `risk`: monday.csv (contacts), tuesday.jsonl (contacts)"), "{report}");
    assert_eq!(report.rows, Some(2), "{report}");
    let problems = report.problems.join("\n");
    assert_eq!(report.problems.len(), 2, "{problems}");
    assert!(problems.contains("monday.csv: ") && problems.contains("1 malformed"), "{problems}");
    assert!(problems.contains("notes.csv: no columns that a pipeline reads"), "{problems}");
}

#[test]
fn inspect_lists_the_columns_of_a_table_of_points() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("person");
    person::write(&out, 5, 1, person::Sensor::Radar).unwrap();
    let report = inspect(&out.join("radar.parquet"));
    let expected = ["x float32", "y float32", "z float32", "frame int64", "doppler float32", "intensity float32"];
    assert_eq!(fields(&report), expected, "{report}");
    assert_eq!(report.frames, Some(5), "{report}");
    let report = written(folder.path(), "p.csv", b"frame;x;y;z;time;velocity\n0;1,5;2;3;10;0\n");
    let names: Vec<_> = report.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["x", "y", "z", "frame", "doppler", "time"], "{report}");
}

#[test]
fn inspect_says_what_an_empty_table_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let report = written(folder.path(), "empty.csv", b"");
    let problems = report.problems.join("\n");
    for kind in ["a column t (contacts have t, i, j)", "a column t (edges have t, src, dst)"] {
        assert!(problems.contains(&format!("empty.csv: header: found no header, expected {kind}")), "{report}");
    }
    assert_eq!((report.frames, report.points), (Some(1), Some(0)), "{report}");
    let report = written(folder.path(), "points.csv", b"x,y,z\n1,2,3\n");
    assert!(report.problems.is_empty(), "{report}");
    let report = written(folder.path(), "spoilt.jsonl", b"{\"t\":\"soon\",\"person\":\"a\",\"result\":1}\n");
    assert!(report.what.starts_with("table of tests"), "{report}");
    assert!(report.problems.len() == 1 && report.problems[0].contains("1 malformed"), "{report}");
    let report = written(folder.path(), "early.csv", b"t,person,result\n15,a,1\n1700000000.123,a,1\n");
    assert!(report.to_string().contains("stamps   15 to 1700000000.123 s"), "{report}");
}
