//! Folders and several files: their order, what in them is a scan, offsets, frames cut into parts, and poses beside scans.

use super::oracle::{Point, cloud};
use super::write::{self, points_table, scan};
use super::{Case, Done, Verdict, case, check};

const KNN: &str = "run knn --set k=3 --output o.csv";

/// Clouds of different sizes, so that a frame is known by its graph.
fn clouds(n: usize) -> Vec<Vec<Point>> {
    (0..n).map(|i| cloud(5 + i, 20 + i as u64)).collect()
}

fn numbered(clouds: &[Vec<Point>]) -> Vec<(i64, Vec<Point>)> {
    clouds.iter().enumerate().map(|(i, points)| (i as i64, points.clone())).collect()
}

fn folder(name: impl Into<String>, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Case {
    let case = case(name, format!("{KNN} --input scans"));
    files.into_iter().fold(case, |case, (file, bytes)| case.file(format!("scans/{file}"), bytes))
}

#[test]
fn numbers_in_names_compare_by_value() {
    let clouds = clouds(12);
    let frames = numbered(&clouds);
    type Name = fn(usize) -> String;
    let names: [Name; 6] = [
        |i| format!("{i}.bin"),
        |i| format!("{}.bin", 95 + i),
        |i| format!("scan_{i}.bin"),
        |i| format!("scan{i}_left.bin"),
        |i| format!("2024-{}-{}.bin", 1 + i / 6, 7 + i % 6),
        |i| format!("{}.bin", 1_711_852_199_995_000_000u64 + 1_000_000 * i as u64),
    ];
    let mut cases = Vec::new();
    for name in names {
        let files = clouds.iter().enumerate().map(|(i, points)| (name(i), scan(points)));
        cases.push(folder(name(10), files).graph(3, &frames));
    }
    for (ending, bytes) in [
        ("pcd", write::pcd as fn(&[Point]) -> Vec<u8>),
        ("ply", write::ply),
        ("las", |p| write::las(p, 2)),
        ("npy", |p| write::npy(p, &[], false, false)),
        ("xyz", write::xyz),
    ] {
        let files = clouds.iter().enumerate().map(|(i, points)| (format!("{i}.{ending}"), bytes(points)));
        cases.push(folder(ending, files).graph(3, &frames));
    }
    let tables = clouds
        .iter()
        .enumerate()
        .map(|(i, points)| (format!("part-{i}.csv"), points_table(&[(0, points.clone())], false).csv().into_bytes()));
    cases.push(folder("tables of one frame", tables).graph(3, &frames));
    // Labels are written under their scan's name.
    let files = clouds.iter().enumerate().map(|(i, points)| (format!("scans/{i}.bin"), scan(points)));
    let labels = case("labels by name", "run segment --input scans --output labels/ --output-format label");
    cases.push(files.fold(labels, |case, (file, bytes)| case.file(file, bytes)).judge(|done| {
        for i in 0..12 {
            let length = std::fs::metadata(done.at.join(format!("labels/{i}.label")))
                .map_err(|e| format!("{i}.label: {e}"))?
                .len();
            if length != 4 * (5 + i) {
                return Err(format!("{i}.label has {length} bytes, right: {}", 4 * (5 + i)));
            }
        }
        Ok(())
    }));
    check(cases);
}

#[test]
fn what_stands_beside_scans_is_no_scan_and_is_named() {
    let clouds = clouds(2);
    let frames = numbered(&clouds);
    let path = "x,y,z\n0,0,0\n1,0,0\n2,0,0\n";
    let stamped = "time,x,y,z,qw\n0,0,0,0,1\n1,1,0,0,1\n";
    let mut cases = Vec::new();
    for (file, bytes) in [
        ("trajectory.csv", path.as_bytes().to_vec()),
        ("gps.csv", stamped.as_bytes().to_vec()),
        ("odometry.jsonl", b"{\"x\":0,\"y\":0,\"z\":0}\n{\"x\":1,\"y\":0,\"z\":0}\n".to_vec()),
        ("poses.parquet", write::table(path).parquet()),
        ("a-first.csv", path.as_bytes().to_vec()),
        ("path.txt", b"0 0 0\n1 0 0\n".to_vec()),
    ] {
        for (ending, write) in [
            ("bin", scan as fn(&[Point]) -> Vec<u8>),
            ("pcd", write::pcd),
            ("ply", write::ply),
            ("las", |p| write::las(p, 2)),
        ] {
            let files = clouds.iter().enumerate().map(|(i, points)| (format!("{i}.{ending}"), write(points)));
            let files = files.chain([(file.to_string(), bytes.clone())]);
            cases.push(
                folder(format!("{file} beside .{ending}"), files)
                    .graph(3, &frames)
                    .says(&[file])
                    .inspect_says_too("scans"),
            );
        }
    }
    let files = || clouds.iter().enumerate().map(|(i, points)| (format!("{i}.bin"), scan(points)));
    cases.push(
        folder(
            "notes and hidden files",
            files().chain([
                ("README.md".into(), b"hello".to_vec()),
                (".1.bin".into(), vec![0; 32]),
                ("thumb.png".into(), vec![1; 9]),
            ]),
        )
        .graph(3, &frames),
    );
    check(cases);
}

#[test]
fn offsets_count_over_all_inputs_together() {
    let clouds = clouds(6);
    let frames = numbered(&clouds);
    let mut cases = Vec::new();
    for (ending, write) in [
        ("bin", scan as fn(&[Point]) -> Vec<u8>),
        ("ply", write::ply),
        ("csv", |p| points_table(&[(0, p.to_vec())], false).csv().into_bytes()),
    ] {
        for (options, range) in [
            ("--start-offset 1", 1..4),
            ("--until 3", 0..3),
            ("--start-offset 1 --until 2", 1..2),
            ("--start-offset 2 --until 9", 2..4),
            ("", 0..4),
        ] {
            let names: Vec<String> = (0..4).map(|i| format!("{i}.{ending}")).collect();
            let line = format!("{KNN} --input {} {options}", names.join(" "));
            let case = case(format!("four .{ending}"), line);
            let case = clouds.iter().zip(&names).fold(case, |case, (points, name)| case.file(name, write(points)));
            cases.push(case.graph(3, &frames[range]));
        }
    }
    // A folder of two, a table of three, a file.
    let table = points_table(&frames[2..5], true);
    for (options, range) in [
        ("--start-offset 1", 1..6),
        ("--start-offset 3 --until 5", 3..5),
        ("--until 1", 0..1),
        ("--start-offset 5", 5..6),
    ] {
        for (name, bytes) in [("t.csv", table.csv().into_bytes()), ("t.parquet", table.parquet())] {
            let case = case("folder, table, file", format!("{KNN} --input scans {name} last.pcd {options}"));
            let case = case.file("scans/0.bin", scan(&clouds[0])).file("scans/1.bin", scan(&clouds[1]));
            cases
                .push(case.file(name, bytes).file("last.pcd", write::pcd(&clouds[5])).graph(3, &frames[range.clone()]));
        }
    }
    check(cases);
}

#[test]
fn rows_of_one_frame_in_several_files_are_one_frame() {
    let frames = [(5, cloud(5, 40)), (7, cloud(9, 41)), (8, cloud(6, 42))];
    let split = |a: &[(i64, Vec<Point>)]| {
        (
            points_table(a, true).csv().into_bytes(),
            points_table(a, true).jsonl().into_bytes(),
            points_table(a, true).parquet(),
        )
    };
    let one = [frames[0].clone(), (7, frames[1].1[..4].to_vec())];
    let two = [(7, frames[1].1[4..].to_vec()), frames[2].clone()];
    let (a, b) = (split(&one), split(&two));
    let mut cases = Vec::new();
    for (ending, a, b) in [("csv", &a.0, &b.0), ("jsonl", &a.1, &b.1), ("parquet", &a.2, &b.2)] {
        for (first, second) in [("1", "2"), ("part-9", "part-10")] {
            let (first, second) = (format!("{first}.{ending}"), format!("{second}.{ending}"));
            let files = [(first.clone(), a.clone()), (second.clone(), b.clone())];
            cases.push(
                folder(format!("a folder of {first}, {second}"), files.clone()).graph(3, &frames).judge(in_all(3)),
            );
            let case = case(format!("{first} {second}"), format!("{KNN} --input {first} {second} --json"));
            cases.push(
                files
                    .into_iter()
                    .fold(case, |case, (name, bytes)| case.file(name, bytes))
                    .graph(3, &frames)
                    .judge(in_all(3)),
            );
        }
        // In three pieces, the middle one of that frame alone.
        let piece = |points: &[Point]| points_table(&[(7, points.to_vec())], true);
        let bytes = |table: write::Table| match ending {
            "csv" => table.csv().into_bytes(),
            "jsonl" => table.jsonl().into_bytes(),
            _ => table.parquet(),
        };
        let pieces = [&frames[1].1[..2], &frames[1].1[2..5], &frames[1].1[5..]].map(|points| bytes(piece(points)));
        let files = pieces.into_iter().enumerate().map(|(i, bytes)| (format!("{i}.{ending}"), bytes));
        cases.push(folder("three pieces", files).graph(3, &frames[1..2]));
        // A frame that comes again after another.
        let again =
            folder("again", [("1".to_string() + "." + ending, b.clone()), ("2".to_string() + "." + ending, a.clone())]);
        cases.push(again.code(&[1]).says(&["2.", "frame"]).nothing_written());
    }
    // Offsets count frames, not parts.
    let case = case("offset over parts", format!("{KNN} --input 1.csv 2.csv --start-offset 1 --until 2"));
    cases.push(case.file("1.csv", a.0.clone()).file("2.csv", b.0.clone()).graph(3, &frames[1..2]));
    // Row groups of two rows.
    let properties =
        parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let groups = write::parquet(&points_table(&frames, true).batch(), properties);
    cases.push(
        super::case("row groups", format!("{KNN} --input a.parquet")).file("a.parquet", groups).graph(3, &frames),
    );
    check(cases);
}

/// The report counts so many frames, if there is one.
fn in_all(frames: u64) -> impl Fn(&Done) -> Verdict {
    move |done| match done.json() {
        Ok(report) if report["frames"] != frames => Err(format!("found {} frames, right: {frames}", report["frames"])),
        _ => Ok(()),
    }
}

/// A drive of `n` scans along x, a step of half a metre; poses in the camera's axes (x right, y down, z ahead), as `poses.txt` has them.
fn drive(n: usize, start: Point) -> (Vec<Vec<Point>>, Vec<String>) {
    let pose = |i: usize| {
        let [x, y, z] = [start[0] + 0.5 * i as f64, start[1], start[2]];
        format!("1 0 0 {} 0 1 0 {} 0 0 1 {x}", -y, -z)
    };
    (clouds(n), (0..n).map(pose).collect())
}

const MAP: &str = "--set nodes=map --set voxel=0.25 --set window=1 --set k=3 --output o.csv";

/// The occupied voxels of a frame under its pose, from 0 0 0, as ids.
fn voxels(points: &[Point], shift: Point) -> std::collections::BTreeSet<u64> {
    let index = |v: f64| (v / 0.25).floor() as i64 + (1 << 20);
    let id = |p: &Point| {
        let [x, y, z]: [i64; 3] = std::array::from_fn(|axis| index(p[axis] + shift[axis]));
        (x << 42 | y << 21 | z) as u64
    };
    points.iter().map(id).collect()
}

/// Every frame's nodes are its own points under its own pose.
fn mapped(clouds: Vec<Vec<Point>>, shifts: Vec<Point>) -> impl Fn(&Done) -> Verdict {
    move |done| {
        let edges = done.edges("o.csv")?;
        let mut wrong = Vec::new();
        for (i, (points, shift)) in clouds.iter().zip(&shifts).enumerate() {
            let found: std::collections::BTreeSet<u64> =
                edges.iter().filter(|e| e.frame == i as i64).map(|e| e.src).collect();
            if found != voxels(points, *shift) {
                wrong.push(i);
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("frames {wrong:?} have another frame's pose, or none")) }
    }
}

#[test]
fn a_scan_has_its_own_pose() {
    let (clouds, poses) = drive(12, [0.0; 3]);
    let shifts: Vec<Point> = (0..12).map(|i| [0.5 * i as f64, 0.0, 0.0]).collect();
    let text = |poses: &[String]| poses.iter().map(|pose| format!("{pose}\n")).collect::<String>();
    let sequence = |name: &str, line: &str, scans: &str, file: fn(usize) -> String| {
        let case = case(name, format!("run knn --input {line} {MAP}"));
        clouds
            .iter()
            .enumerate()
            .fold(case, |case, (i, points)| case.file(format!("{scans}/{}", file(i)), scan(points)))
    };
    let bare: fn(usize) -> String = |i| format!("{i}.bin");
    let padded: fn(usize) -> String = |i| format!("{i:06}.bin");
    let right = || mapped(clouds.clone(), shifts.clone());
    let mut cases = vec![
        sequence("names without zeros", "drive", "drive/velodyne", bare)
            .file("drive/poses.txt", text(&poses))
            .judge(right()),
        sequence("poses beside the scans", "drive", "drive", bare).file("drive/poses.txt", text(&poses)).judge(right()),
        sequence("CRLF and blank lines", "drive", "drive/velodyne", padded)
            .file("drive/poses.txt", text(&poses).replace('\n', "\r\n") + "\r\n")
            .judge(right()),
        sequence("the official layout", "dataset/sequences/00", "dataset/sequences/00/velodyne", padded)
            .file("dataset/poses/00.txt", text(&poses))
            .judge(right()),
        sequence("names from a hundred on, a line a scan", "drive", "drive/velodyne", |i| format!("{}.bin", 100 + i))
            .file("drive/poses.txt", text(&poses))
            .judge(right()),
        sequence("names that are no numbers, a line a scan", "drive", "drive/velodyne", |i| format!("scan_{i}.bin"))
            .file("drive/poses.txt", text(&poses))
            .judge(right()),
    ];
    let thirteen: Vec<String> = poses.iter().enumerate().map(|(i, pose)| format!("{i} {pose}")).collect();
    cases.push(
        sequence("13 numbers", "drive", "drive/velodyne", padded)
            .file("drive/poses.txt", text(&thirteen))
            .judge(right()),
    );
    // Every third scan of a drive whose poses are all there.
    let some: Vec<usize> = (0..12).step_by(3).collect();
    for digits in [1, 6] {
        let case =
            case("every third scan", format!("run knn --input drive {MAP}")).file("drive/poses.txt", text(&poses));
        let case =
            some.iter().fold(case, |case, &i| case.file(format!("drive/velodyne/{i:0digits$}.bin"), scan(&clouds[i])));
        cases.push(case.judge(mapped(
            some.iter().map(|&i| clouds[i].clone()).collect(),
            some.iter().map(|&i| shifts[i]).collect(),
        )));
        // The same with 13 numbers whose first is the scan's, in another order, and with times.
        let times: String = (0..12).map(|i| format!("{}\n", f64::from(i) / 10.0)).collect();
        let case = super::case("every third scan, with times", format!("run knn --input drive {MAP}"))
            .file("drive/poses.txt", text(&poses))
            .file("drive/times.txt", times);
        let case =
            some.iter().fold(case, |case, &i| case.file(format!("drive/velodyne/{i:0digits$}.bin"), scan(&clouds[i])));
        cases.push(case.judge(mapped(
            some.iter().map(|&i| clouds[i].clone()).collect(),
            some.iter().map(|&i| shifts[i]).collect(),
        )));
    }
    let mut torn = poses.clone();
    torn[1] = torn[1].replacen("1", "nan", 1);
    for (name, lines, place) in [
        ("nan", torn.clone(), "line 2"),
        (
            "eleven numbers",
            {
                let mut p = poses.clone();
                p[4] = "1 0 0 0 0 1 0 0 0 0 1".into();
                p
            },
            "line 5",
        ),
        (
            "words",
            {
                let mut p = poses.clone();
                p[0] = "x y z".into();
                p
            },
            "line 1",
        ),
    ] {
        cases.push(
            sequence(name, "drive", "drive/velodyne", padded)
                .file("drive/poses.txt", text(&lines))
                .code(&[1])
                .says(&["poses.txt", place])
                .inspect_says_too("drive")
                .nothing_written(),
        );
    }
    cases.push(
        sequence("fewer poses than scans", "drive", "drive/velodyne", padded)
            .file("drive/poses.txt", text(&poses[..7]))
            .code(&[1])
            .says(&["poses.txt"])
            .inspect_says_too("drive")
            .nothing_written(),
    );
    cases.push(
        sequence("times that are none", "drive", "drive/velodyne", padded)
            .file("drive/poses.txt", text(&poses))
            .file("drive/times.txt", "0\n0.1\nnoon\n")
            .code(&[1])
            .says(&["times.txt", "line 3"])
            .inspect_says_too("drive"),
    );
    check(cases);
}

#[test]
fn poses_in_a_survey_s_grid_lose_an_origin_of_their_own() {
    let mut cases = Vec::new();
    for start in [[651_234.5, 5_412_345.25, 412.5], [-300_000.0, 0.0, 0.0]] {
        let (clouds, poses) = drive(4, start);
        let case = case(format!("{start:?}"), format!("run knn --input drive {MAP} --json"));
        let case = clouds
            .iter()
            .enumerate()
            .fold(case, |case, (i, points)| case.file(format!("drive/velodyne/{i:06}.bin"), scan(points)));
        let poses: String = poses.iter().map(|pose| format!("{pose}\n")).collect();
        cases.push(case.file("drive/poses.txt", poses).judge(move |done| {
            let report = done.json()?;
            let origin: Vec<f64> =
                report["map_origin"].as_array().map_or(vec![], |a| a.iter().filter_map(|v| v.as_f64()).collect());
            let [x, y, z] = origin[..] else { return Err(format!("map_origin {}", report["map_origin"])) };
            if report["dropped"] != serde_json::json!({}) {
                return Err(format!("dropped {}", report["dropped"]));
            }
            let shifts = (0..4).map(|i| [start[0] + 0.5 * f64::from(i) - x, start[1] - y, start[2] - z]).collect();
            mapped(clouds.clone(), shifts)(done)
        }));
    }
    check(cases);
}
