//! What holds for every input: nothing is lost in silence, nothing of the user's is overwritten, `inspect` and `run` say the same.

use std::fs;

use super::oracle::{Point, cloud};
use super::write::{self, points_table, scan, table};
use super::{Case, Verdict, case, check};

const KNN: &str = "run knn --set k=3 --output o.csv --input";
const RISK: &str = "run risk --output o.csv --set rate=1e-3";
const CONTACTS: &str = "t,i,j,duration\n10,a,b,600\n20,b,c,300\n";

/// A run that must be refused, or at least leave the file as it was.
fn spared(case: Case, file: &'static str) -> Case {
    let before = case.files.iter().find(|(name, _)| name == file).map(|(_, bytes)| bytes.clone());
    case.judge(move |done| {
        let after = fs::read(done.at.join(file)).ok();
        if after == before { Ok(()) } else { Err(format!("{file} has changed or is gone")) }
    })
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let points = points_table(&[(0, cloud(5, 60))], false);
    let csv = points.csv();
    let refused = |line: &str, file: &'static str, bytes: &[u8]| {
        spared(case(line, line).file(file, bytes), file).code(&[78]).says(&[file])
    };
    let mut cases = vec![
        refused("run knn --input own.csv --output own.csv", "own.csv", csv.as_bytes()),
        refused("run knn --input ./own.csv --output own.csv", "own.csv", csv.as_bytes()),
        refused("run knn --input own.csv --output sub/../own.csv", "own.csv", csv.as_bytes()).file("sub/x", ""),
        refused("run knn --input own.parquet --output own.parquet", "own.parquet", &points.parquet()),
        refused("run knn --input own.jsonl --output own.jsonl", "own.jsonl", points.jsonl().as_bytes()),
        refused("run knn --input own.arrow --output own.arrow", "own.arrow", &write::arrow_file(&points.batch())),
        refused("run segment --input own.csv --output own.csv", "own.csv", csv.as_bytes()),
        refused(
            "run segment --input own.las --output own.las --output-format las",
            "own.las",
            &write::las(&cloud(5, 60), 2),
        ),
        refused("run knn --input a.bin own.csv --output own.csv", "own.csv", csv.as_bytes())
            .file("a.bin", scan(&cloud(5, 60))),
        refused("run knn --input scans --output scans/own.csv", "scans/own.csv", csv.as_bytes()),
        refused("run risk --contacts own.csv --output own.csv --set rate=1", "own.csv", CONTACTS.as_bytes()),
        refused(
            "run risk --contacts c.csv --tests own.csv --output own.csv --set rate=1",
            "own.csv",
            b"t,person,result\n",
        )
        .file("c.csv", CONTACTS),
        refused("run risk --contacts days --output days/own.csv --set rate=1", "days/own.csv", CONTACTS.as_bytes()),
        refused("run risk --contacts c.csv --set hash_ids=own.csv --output own.csv --set rate=1", "own.csv", b"key")
            .file("c.csv", CONTACTS),
        // The file of malformed rows is an output too.
        refused(
            "run risk --contacts o.csv.rejected.csv --output o.csv --set rate=1",
            "o.csv.rejected.csv",
            CONTACTS.as_bytes(),
        ),
    ];
    let own = "my own notes\n";
    let case_of = |rows: &str| {
        case("a file of one's own by the name of the malformed rows", format!("{RISK} --contacts c.csv"))
            .file("o.csv.rejected.csv", own)
            .file("c.csv", format!("{CONTACTS}{rows}"))
    };
    cases.push(spared(case_of(""), "o.csv.rejected.csv").code(&[0, 1, 78]));
    cases.push(spared(case_of("soon,a,b,1\n"), "o.csv.rejected.csv").code(&[0, 1, 78]).loud());
    let labels = case(
        "the labels of a drive are its truth",
        "run segment --input drive --output drive/labels/ --output-format label",
    )
    .file("drive/velodyne/0.bin", scan(&cloud(5, 61)))
    .file("drive/labels/0.label", vec![9; 20]);
    cases.push(spared(labels, "drive/labels/0.label").code(&[1, 78]));
    let scans =
        case("a folder of scans", "run knn --input scans/ --output scans/").file("scans/0.bin", scan(&cloud(5, 61)));
    cases.push(spared(scans, "scans/0.bin").code(&[78]));
    check(cases);

    #[cfg(unix)]
    for hard in [false, true] {
        let folder = tempfile::TempDir::new().unwrap();
        let (own, link) = (folder.path().join("own.csv"), folder.path().join("link.csv"));
        fs::write(&own, &csv).unwrap();
        if hard {
            fs::hard_link(&own, &link).unwrap()
        } else {
            std::os::unix::fs::symlink("own.csv", &link).unwrap()
        }
        for line in ["run knn --input own.csv --output link.csv", "run knn --input link.csv --output own.csv"] {
            let done = super::run(folder.path(), line, &[]);
            assert_eq!(
                (done.code, fs::read_to_string(&own).ok()),
                (Some(78), Some(csv.clone())),
                "{line}, hard link: {hard}: {}",
                done.stderr
            );
        }
    }
}

#[test]
fn a_run_that_uses_nothing_is_an_error() {
    let none = [[f64::NAN; 3]; 4];
    let mut cases = Vec::new();
    for (file, bytes) in [
        ("a.csv", b"x,y,z\nfoo,1,2\n1,bar,2\n".to_vec()),
        ("a.tsv", b"x\ty\tz\n1\t2\n1\t2\n".to_vec()),
        ("a.jsonl", b"{\"x\":1,\"y\":2}\n{\"x\":1,\"y\":2}\n".to_vec()),
        ("b.jsonl", b"hello\n".to_vec()),
        ("a.parquet", table("x,y,z\nfoo,1,2\n").parquet()),
        ("a.bin", scan(&none)),
        ("a.pcd", write::pcd(&none)),
        ("a.ply", write::ply_doubles(&none)),
        ("a.npy", write::npy(&none, &[], false, false)),
        (
            "nulls.parquet",
            write::parquet_of(
                ["x", "y", "z"]
                    .map(|name| {
                        (
                            name,
                            std::sync::Arc::new(arrow::array::Float32Array::from(vec![None, None]))
                                as arrow::array::ArrayRef,
                        )
                    })
                    .into(),
            ),
        ),
    ] {
        cases.push(case(file, format!("{KNN} {file}")).file(file, bytes).code(&[1]).says(&[file]).nothing_written());
    }
    // Nothing to read is nothing lost.
    cases.push(case("an empty scan", format!("{KNN} a.bin --json")).file("a.bin", "").graph(3, &[]).judge(|done| {
        let report = done.json()?;
        if report["frames"] == 1 { Ok(()) } else { Err(format!("{report}")) }
    }));
    cases.push(case("a header alone", format!("{KNN} a.csv")).file("a.csv", "x,y,z\n").graph(3, &[]));
    cases.push(case("one point", format!("{KNN} a.csv")).file("a.csv", "x,y,z\n1,2,3\n").graph(3, &[]));
    check(cases);
}

/// What a run says of a file, from the file's name on, must stand in what `inspect` says.
fn same_sentence(name: &str, line: &str, path: &'static str, file: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    case(name, line).file(file, bytes).code(&[0, 1]).says(&[file]).judge(move |done| -> Verdict {
        let said = done.stderr.lines().find(|line| line.contains(file)).unwrap_or_default();
        let sentence = said[said.find(file).unwrap_or(0)..].trim();
        let inspected = super::run(&done.at, &format!("inspect {path}"), &[]);
        let text = format!("{}{}", inspected.stdout, inspected.stderr);
        if text.contains(sentence) { Ok(()) } else { Err(format!("run says {sentence:?}, inspect says {text:?}")) }
    })
}

#[test]
fn what_run_says_of_a_file_inspect_says_too() {
    let points = cloud(6, 62);
    let torn = |bytes: Vec<u8>| bytes[..bytes.len() - 5].to_vec();
    let file = |name: &str, file: &'static str, bytes: Vec<u8>| {
        same_sentence(name, &format!("{KNN} {file}"), file, file, bytes)
    };
    let mut cases = vec![
        file("torn", "a.bin", torn(scan(&points))),
        file("torn", "a.pcd", torn(write::pcd_doubles(&points))),
        file("torn", "a.ply", torn(write::ply_doubles(&points))),
        file("torn", "a.las", torn(write::las(&points, 2))),
        file("torn", "a.npy", torn(write::npy(&points, &[], false, false))),
        file("torn", "a.parquet", torn(points_table(&[(0, points.clone())], false).parquet())),
        file("torn", "a.csv.gz", torn(write::gz(points_table(&[(0, points.clone())], false).csv().as_bytes()))),
        file("no z", "a.csv", b"x,y\n1,2\n".to_vec()),
        file("no z", "a.parquet", table("x,y\n1,2\n").parquet()),
        file("no z", "a.jsonl", b"{\"x\":1,\"y\":2}\n".to_vec()),
        file("a word among numbers", "a.xyz", b"1 2 3\n1 two 3\n".to_vec()),
        file("no known ending", "a.foo", b"hello".to_vec()),
        file("a program's own file", "a.bag", b"#ROSBAG V2.0\n".to_vec()),
        file("a text file", "a.pcd", b"hello\n".to_vec()),
        file("bad rows", "a.csv", b"x,y,z\n1,2,3\n4,5,6\n7,8\n".to_vec()),
        file("a column left out", "a.csv", b"x,y,z,intensity\n1,2,3,low\n4,5,6,high\n7,8,9,1\n".to_vec()),
        file("frames that go back", "a.csv", b"frame,x,y,z\n1,0,0,0\n0,0,0,0\n".to_vec()),
        same_sentence("no Tr", &format!("{KNN} drive"), "drive", "calib.txt", "")
            .file("drive/velodyne/0.bin", scan(&points))
            .file("drive/calib.txt", "P0: 1\n")
            .file("drive/poses.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n"),
        same_sentence("labels that do not fit", "eval segment --input drive", "drive", "0.label", "")
            .file("drive/velodyne/0.bin", scan(&points))
            .file("drive/labels/0.label", vec![0; 12]),
        same_sentence(
            "a contact's time",
            &format!("{RISK} --contacts c.csv"),
            "c.csv",
            "c.csv",
            format!("{CONTACTS}soon,a,b,5\n"),
        ),
        same_sentence(
            "a contact's columns",
            &format!("{RISK} --contacts c.csv"),
            "c.csv",
            "c.csv",
            format!("{CONTACTS}1,a,b\n"),
        ),
        same_sentence(
            "a test's result",
            &format!("{RISK} --contacts c.csv --tests t.csv"),
            "t.csv",
            "t.csv",
            "t,person,result\n1,a,maybe\n2,b,negative\n",
        )
        .file("c.csv", CONTACTS),
        same_sentence(
            "a torn gz",
            &format!("{RISK} --contacts c.csv.gz"),
            "c.csv.gz",
            "c.csv.gz",
            torn(write::gz(CONTACTS.as_bytes())),
        ),
    ];
    // What the program writes, inspect reads.
    for ending in ["csv", "jsonl", "parquet", "arrow"] {
        for line in [
            format!("run knn --input a.csv --set k=3 --output o.{ending}"),
            format!("run segment --input a.csv --output o.{ending}"),
            format!("run risk --contacts c.csv --set rate=1e-3 --output o.{ending}"),
        ] {
            let inspect = format!("inspect o.{ending}");
            cases.push(
                case(line.clone(), inspect)
                    .after(line)
                    .file("a.csv", points_table(&[(0, points.clone())], false).csv())
                    .file("c.csv", CONTACTS)
                    .judge(|done| {
                        let text = done.stdout.to_lowercase();
                        if text.contains("none found") && !text.contains("not read") {
                            Ok(())
                        } else {
                            Err(format!("inspect says {:?}", done.stdout))
                        }
                    }),
            );
        }
    }
    let segments = case("a folder of segments", "inspect o").after("run knn --input a.csv --set k=3 --output o/");
    cases.push(segments.file("a.csv", points_table(&[(0, points.clone())], false).csv()).judge(|done| {
        let text = done.stdout.to_lowercase();
        if text.contains("segment") && text.contains("none found") {
            Ok(())
        } else {
            Err(format!("inspect says {:?}", done.stdout))
        }
    }));
    check(cases);
}

#[test]
fn an_option_that_is_not_used_is_refused() {
    let points = points_table(&[(0, cloud(5, 63))], false).csv();
    let lines = [
        "run knn --input a.csv --output o.csv --model driving",
        "run knn --input a.csv --output o.csv --contacts c.csv",
        "run knn --input a.csv --output o.csv --tests t.csv",
        "run knn --input a.csv --output o.csv --every 5",
        "run knn --input a.csv --output o.csv --as-of 5",
        "run knn --input a.csv --output o.csv --truth a.csv",
        "run knn --input a.csv --output o.csv --output-format label",
        "run knn --input a.csv --output o.csv --set rate=1",
        "run knn --input a.csv --output o.csv --set window=5",
        "run segment --input a.csv --output o.csv --contacts c.csv",
        "run segment --input a.csv --output o.csv --every 5",
        "run segment --input a.csv --output o.csv --truth a.csv",
        "run segment --input a.csv --output o.csv --set k=3",
        "run risk --contacts c.csv --output o.csv --set rate=1 --output-format label",
        "run risk --contacts c.csv --output o.csv --set rate=1 --truth a.csv",
        "run risk --contacts c.csv --output o.csv --set rate=1 --input a.csv",
        "run risk --contacts c.csv --output o.csv --set rate=1 --loop",
        "run risk --contacts c.csv --output o.csv --set rate=1 --set k=3",
        "eval segment --input a.csv --output o.csv",
        "eval segment --input a.csv --follow",
        "eval risk --contacts c.csv --truth t.csv --set rate=1 --output o.csv",
    ];
    check(lines.map(|line| {
        case(line, line)
            .file("a.csv", points.clone())
            .file("c.csv", CONTACTS)
            .file("t.csv", "person,state,t_infected\n")
            .code(&[78])
            .nothing_written()
    }));
}

#[test]
fn what_cannot_be_read_ends_the_run_or_is_skipped_and_counted() {
    let clouds = [cloud(5, 64), cloud(6, 65), cloud(7, 66)];
    let frames = [(0, clouds[0].clone()), (2, clouds[2].clone())];
    let torn = |bytes: Vec<u8>| bytes[..bytes.len() - 5].to_vec();
    type Write = fn(&[Point]) -> Vec<u8>;
    let writers: [(&str, Write); 6] = [
        ("bin", scan),
        ("pcd", write::pcd_doubles),
        ("ply", write::ply_doubles),
        ("las", |p| write::las(p, 2)),
        ("npy", |p| write::npy(p, &[], false, false)),
        ("parquet", |p| points_table(&[(0, p.to_vec())], false).parquet()),
    ];
    let mut cases = Vec::new();
    for (ending, write) in writers {
        let with = |options: &str| {
            let case = case(format!(".{ending} {options}"), format!("{KNN} scans --json {options}"));
            let case = case
                .file(format!("scans/0.{ending}"), write(&clouds[0]))
                .file(format!("scans/1.{ending}"), torn(write(&clouds[1])));
            case.file(format!("scans/2.{ending}"), write(&clouds[2]))
        };
        let name = format!("1.{ending}");
        cases.push(with("").code(&[1]).says(&[&name]).nothing_written());
        cases.push(with("--on-error stop").code(&[1]).says(&[&name]).nothing_written());
        cases.push(with("--on-error skip").graph(3, &frames).says(&["unreadable", &name]).judge(|done| {
            let report = done.json()?;
            if report["dropped"]["unreadable"] == 1 { Ok(()) } else { Err(format!("dropped {}", report["dropped"])) }
        }));
    }
    cases.push(
        case("no such way", format!("{KNN} a.bin --on-error perhaps")).file("a.bin", scan(&clouds[0])).code(&[78, 2]),
    );
    check(cases);
}

#[test]
fn a_segment_row_may_carry_its_point_its_file_and_its_time() {
    let points = cloud(5, 67);
    let rows: String = points.iter().map(|[x, y, z]| format!("{x},{y},{z},2.5\n")).collect();
    let csv = format!("x,y,z,time\n{rows}");
    let mut cases = Vec::new();
    for (file, bytes) in [
        ("a.csv", csv.clone().into_bytes()),
        ("a.parquet", table(&csv).parquet()),
        ("a.jsonl", table(&csv).jsonl().into_bytes()),
    ] {
        let points = points.clone();
        let line = format!("run segment --input {file} --output o.csv --set columns=xyz,path,time");
        cases.push(case(file, line).file(file, bytes).judge(move |done| {
            let rows = done.table("o.csv")?;
            for (i, (row, point)) in rows.iter().zip(&points).enumerate() {
                for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
                    let found: Option<f64> = row.get(name).and_then(|cell| cell.parse().ok());
                    if found != Some(point[axis]) {
                        return Err(format!("row {i}: {name} {found:?}, right: {}", point[axis]));
                    }
                }
                if !row.get("path").is_some_and(|path| path.ends_with(file)) {
                    return Err(format!("row {i}: path {:?}", row.get("path")));
                }
                if row.get("time").map(String::as_str) != Some("2500000000") {
                    return Err(format!("row {i}: time {:?}, right: 2500000000", row.get("time")));
                }
            }
            if rows.len() == points.len() { Ok(()) } else { Err(format!("{} rows", rows.len())) }
        }));
    }
    cases.push(
        case("no such column", "run segment --input a.csv --output o.csv --set columns=colour")
            .file("a.csv", csv)
            .code(&[78])
            .says(&["columns"]),
    );
    check(cases);
}

#[test]
fn help_names_what_a_pipeline_takes() {
    let says = |line: &'static str, parts: &'static [&'static str]| {
        case(line, line).judge(move |done| match parts.iter().find(|part| !done.stdout.contains(**part)) {
            Some(part) => Err(format!("does not name {part}")),
            None => Ok(()),
        })
    };
    check([
        says("run knn --help", &["k=16", "nodes", "voxel", "window", "emit", "--input", "--output", "settle"]),
        says("run segment --help", &["driving", "airborne", "columns", "--output-format"]),
        says(
            "run risk --help",
            &[
                "rate",
                "latency",
                "recovery",
                "false_negative",
                "false_positive",
                "ascertainment",
                "seeds",
                "prior",
                "window",
                "because",
                "time_unit",
                "bp",
                "tgnn",
                "mean-field",
                "tracing",
                "--contacts",
                "--tests",
                "--as-of",
                "--every",
            ],
        ),
        says("list", &["knn", "segment", "risk", "npy", "driving", "airborne", "bp", "tgnn"]),
    ]);
}
