//! The fixtures hold what the script that made them wrote down; small files made here meet the edges of each format.

use std::path::Path;

use serde_json::Value;
use thalweg_connectors::points::registry::{by_name, guess};
use thalweg_connectors::points::{las, pcd, ply};
use thalweg_connectors::{OriginRule, ReadOptions, inspect};

use crate::allocations::most_while;
use crate::support::{fixtures, read};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

fn assert_column<T: Copy + Into<f64>>(name: &str, what: &str, found: &[T], expected: &Value) {
    let found: Vec<f64> = found.iter().map(|&v| v.into()).collect();
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{name} {what}");
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!(*f as f32 == *e as f32 || f.is_nan() && e.is_nan(), "{name} {what} of point {i}: {f}, expected {e}");
    }
}

#[test]
fn fixtures_read_as_they_were_written() {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).unwrap();
    let all: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert!(all.len() > 20);
    for (name, expected) in &all {
        let frame = read(&fixtures().join(name)).unwrap();
        assert_eq!(frame.origin.to_vec(), numbers(&expected["origin"]), "{name}");
        for (axis, column) in [&frame.x, &frame.y, &frame.z].into_iter().enumerate() {
            assert_column(name, ["x", "y", "z"][axis], column, &expected["xyz"][axis]);
        }
        match expected.get("intensity") {
            Some(expected) => assert_column(name, "intensity", frame.intensity.as_ref().unwrap(), expected),
            None => assert!(frame.intensity.is_none(), "{name}"),
        }
        match expected.get("class") {
            Some(class) => assert_column(name, "class", &frame.truth.as_ref().unwrap().class, class),
            None => assert!(frame.truth.is_none(), "{name}"),
        }
        if let Some(instance) = expected.get("instance") {
            assert_column(name, "instance", &frame.truth.as_ref().unwrap().instance, instance);
            let returns = frame.returns.as_ref().unwrap();
            assert_column(name, "return number", &returns.number, &expected["number"]);
            assert_column(name, "number of returns", &returns.count, &expected["count"]);
        }
        assert_eq!(frame.time_ns, expected.get("time_ns").map(|t| t.as_i64().unwrap()), "{name}");
        assert_eq!(frame.path.as_deref(), Some(fixtures().join(name).as_path()));
    }
}

#[test]
fn the_first_frame_decides_the_origin_of_a_run() {
    let options = ReadOptions { origin: OriginRule::fixed([651_100.0, 0.0, 0.0]), ..ReadOptions::default() };
    let far = las::read(&fixtures().join("format01.las"), &options).unwrap();
    assert_eq!(far.origin, [651_100.0, 0.0, 0.0]);
    let options = ReadOptions::default();
    pcd::read(&fixtures().join("ascii.pcd"), &options).unwrap();
    assert_eq!(options.origin.get(), None, "f32 coordinates decide nothing");
    ply::read(&fixtures().join("ascii.ply"), &options).unwrap();
    assert_eq!(options.origin.get(), Some([651_000.0, 6_862_000.0, 0.0]));
}

#[test]
fn a_file_without_a_known_ending_is_known_by_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for (fixture, name) in [("ascii.pcd", "pcd"), ("big.ply", "ply"), ("format03.laz", "las")] {
        let copy = folder.path().join("scan");
        std::fs::copy(fixtures().join(fixture), &copy).unwrap();
        assert_eq!(guess(&copy).unwrap().name, name);
    }
    assert!(guess(folder.path()).unwrap_err().to_string().contains("found a folder, expected a regular file"));
    assert_eq!(
        by_name("lsa").unwrap_err().to_string().split(", pcd").next(),
        Some("format: found lsa, expected kitti-bin, nuscenes")
    );
}

fn made(folder: &Path, name: &str, bytes: &[u8]) -> Result<thalweg::Frame, String> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path).map_err(|error| error.to_string().replace(&folder.display().to_string(), ""))
}

/// The frame of a made file, and what its reader warned of.
fn told(folder: &Path, name: &str, bytes: &[u8]) -> (thalweg::Frame, Vec<String>) {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    let options = ReadOptions::default();
    let mut reader = (guess(&path).unwrap().open)(&path, &options).unwrap();
    let thalweg::Next::Item(frame) = reader.next_frame().unwrap() else { panic!("{name}") };
    (frame, options.notices.warnings())
}

#[test]
fn an_empty_file_is_an_empty_frame() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.bin", "a.pcd.bin", "a.pcd", "a.ply", "a.las", "a.laz", "a.npy", "a.xyz", "a.pcap"] {
        assert!(made(folder.path(), name, b"").unwrap().is_empty(), "{name}");
    }
}

#[test]
fn a_torn_record_is_named_by_the_offset_where_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let error = |name: &str, bytes: &[u8]| made(folder.path(), name, bytes).unwrap_err();
    assert_eq!(
        error("a.bin", &[0; 33]),
        "/a.bin: offset 32: found a last record of 1 bytes, expected records of 16 bytes"
    );
    assert_eq!(
        error("a.pcd.bin", &[0; 36]),
        "/a.pcd.bin: offset 20: found a last record of 16 bytes, expected records of 20 bytes"
    );
    let cut = |name: &str| {
        let bytes = std::fs::read(fixtures().join(name)).unwrap();
        error(&format!("cut-{name}"), &bytes[..bytes.len() - 1])
    };
    // 24 records of 33 bytes end the file of 1002; of 44 bytes that of 1577; of 13 bytes that of 636.
    assert!(cut("padded.pcd").contains("offset 969: found the end of the file after 23 whole records of 33 bytes"));
    assert!(
        cut("format01.las")
            .contains("found the end of the file after 23 whole records of 38 bytes, expected 24 points")
    );
    assert!(cut("little.ply").contains("offset 623: found the end of the file after 23 whole vertices of 13 bytes"));
    assert!(cut("packed.pcd").contains("compressed bytes"));
}

#[test]
fn sizes_that_a_file_cannot_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = |name: &str, text: &str| made(folder.path(), name, text.as_bytes()).unwrap_err();
    let pcd = |points: &str, data: &str| {
        format!("FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH {points}\nHEIGHT 1\nDATA {data}\n1 2 3\n")
    };
    assert!(error("a.pcd", &pcd("4000000000", "ascii")).contains("expected 4000000000 rows of text"));
    assert!(error("a.pcd", &pcd("18446744073709551615", "binary")).contains("expected 18446744073709551615 records"));
    assert!(
        error("a.pcd", &pcd("2", "ascii").replace("1 2 3", "1.000 2.000 3.000"))
            .contains("line 7: found the end of the file after 1 rows, expected 2 rows")
    );
    assert!(
        error("a.pcd", "FIELDS x y z\nSIZE 4 4\n TYPE F F F\nPOINTS 1\nDATA ascii\n")
            .contains("field SIZE: found 2 entries")
    );
    let ply = |count: &str, rest: &str| {
        format!(
            "ply\nformat ascii 1.0\n{rest}element vertex {count}\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n"
        )
    };
    assert!(error("a.ply", &ply("9999999999", "")).contains("expected 9999999999 rows of text"));
    assert!(
        error("a.ply", &ply("1", "element a 9999999999\nproperty int b\n"))
            .contains("expected 9999999999 of the element a")
    );
    assert!(
        error("a.ply", &ply("-1", "")).contains("line 3: found \"element vertex -1\", expected element NAME COUNT")
    );
    assert!(
        error("a.ply", &ply("1", "").replace("1 2 3", "1 b 3"))
            .contains("line 8: found \"b\", expected a number for y")
    );
}

#[test]
fn what_a_file_has_odd_is_said_and_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let bin = |records: &[[f32; 4]]| records.as_flattened().iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let intensity = |name: &str, bytes: &[u8]| {
        let (frame, warnings) = told(folder.path(), name, bytes);
        (frame.intensity, warnings.len())
    };
    assert_eq!(intensity("a.bin", &bin(&[[1.0, 2.0, 3.0, 1.0]])), (Some(vec![1.0]), 0));
    let (scaled, warnings) = intensity("a.bin", &bin(&[[1.0, 2.0, 3.0, 51.0], [1.0, 2.0, 4.0, 256.0]]));
    assert_eq!((scaled, warnings > 0), (Some(vec![0.2, 1.0]), true));
    let ply = |properties: &str, rows: &str| {
        let xyz = "property float x\nproperty float y\nproperty float z\n";
        let count = rows.lines().count();
        format!("ply\nformat ascii 1.0\nelement vertex {count}\n{xyz}{properties}end_header\n{rows}")
    };
    let of =
        |value: &str| intensity("a.ply", ply("property float intensity\n", &format!("1 2 3 {value}\n")).as_bytes());
    assert_eq!(of("0.5"), (Some(vec![0.5]), 0));
    assert_eq!(of("51"), (Some(vec![0.2]), 0));
    assert_eq!(of("256"), (Some(vec![1.0]), 1));
    assert_eq!(of("-1"), (Some(vec![0.0]), 1));

    // A decimal comma; rows of another length; a list among the vertices, in text and in binary.
    let frame = made(folder.path(), "a.ply", ply("", "1,5 2,5 3,5\n").as_bytes()).unwrap();
    assert_eq!((frame.x, frame.y, frame.z), (vec![1.5], vec![2.5], vec![3.5]));
    let error = made(folder.path(), "a.ply", ply("", "1 2 3 4\n").as_bytes()).unwrap_err();
    assert_eq!(error, "/a.ply: line 8: found \"1 2 3 4\", expected 3 numbers");
    let list = "property list uchar int ids\nproperty uchar label\n";
    let frame = made(folder.path(), "a.ply", ply(list, "1 2 3 2 7 8 10\n4 5 6 0 40\n").as_bytes()).unwrap();
    assert_eq!((frame.x, frame.truth.unwrap().class), (vec![1.0, 4.0], vec![1, 9]), "raw SemanticKITTI ids");
    let binary = ply(list, "\n\n").replace("ascii", "binary_little_endian");
    let mut bytes = binary.trim_end().as_bytes().to_vec();
    bytes.push(b'\n');
    for (x, ids, label) in [(1.0f32, &[7i32, 8][..], 10u8), (4.0, &[], 19)] {
        [x, 0.0, 0.0].iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        bytes.push(ids.len() as u8);
        ids.iter().for_each(|id| bytes.extend(id.to_le_bytes()));
        bytes.push(label);
    }
    let frame = made(folder.path(), "b.ply", &bytes).unwrap();
    assert_eq!((frame.x, frame.truth.unwrap().class), (vec![1.0, 4.0], vec![10, 19]));
    assert!(made(folder.path(), "b.ply", &bytes[..bytes.len() - 1]).unwrap_err().contains("after 1 whole vertices"));

    let mut behind = std::fs::read(fixtures().join("padded.pcd")).unwrap();
    behind.extend([0; 7]);
    assert!(told(folder.path(), "a.pcd", &behind).1[0].ends_with("a.pcd: 7 bytes behind the last point"));
    let mut las = std::fs::read(fixtures().join("format01.las")).unwrap();
    las[179..187].copy_from_slice(&0f64.to_le_bytes());
    let warnings = told(folder.path(), "a.las", &las).1;
    assert!(warnings.len() == 1 && warnings[0].contains("the header states x from 651"), "{warnings:?}");
    let zeros = bin(&[[0.0; 4], [1.0, 0.0, 0.0, 0.0], [0.0; 4]]);
    assert!(told(folder.path(), "a.bin", &zeros).1[0].contains("2 points lie at exactly (0, 0, 0)"));
    // LAS 1.5 is 1.4 with a longer header.
    let mut las = std::fs::read(fixtures().join("format06.las")).unwrap();
    assert_eq!(las[25], 4);
    las[25] = 5;
    assert_eq!(made(folder.path(), "b.las", &las).unwrap().len(), 24);
}

#[test]
fn records_of_another_size_are_known_by_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let number = |i: usize| (i as f32 * 0.618_034).fract();
    let record = |i: usize| {
        [
            40.0 * number(i) - 20.0,
            40.0 * number(7 * i) - 20.0,
            3.0 * number(3 * i) - 2.0,
            255.0 * number(5 * i),
            (i % 32) as f32,
        ]
    };
    for points in [16, 17, 200] {
        let bytes: Vec<u8> = (0..points).flat_map(record).flat_map(f32::to_le_bytes).collect();
        let (frame, warnings) = told(folder.path(), "a.bin", &bytes);
        assert_eq!((frame.len(), frame.x[1], frame.z[points - 1]), (points, record(1)[0], record(points - 1)[2]));
        assert!((frame.intensity.unwrap()[1] - number(5)).abs() < 1e-6);
        assert!(warnings[0].contains("a.bin: its records look like 5 numbers (f32), not 4"), "{warnings:?}");
    }
}

#[test]
fn arrays_and_plain_text_are_points() {
    let folder = tempfile::tempdir().unwrap();
    let npy = |descr: &str, fortran: &str, shape: &str, data: &[u8]| {
        let header = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(((header.len() + 1) as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.push(b'\n');
        bytes.extend(data);
        bytes
    };
    let xyz =
        |frame: &thalweg::Frame| (0..frame.len()).map(|i| [frame.x[i], frame.y[i], frame.z[i]]).collect::<Vec<_>>();
    let expected = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let rows = [1.0f32, 2.0, 3.0, 0.5, 4.0, 5.0, 6.0, 0.25];
    let frame = made(folder.path(), "a.npy", &npy("'<f4'", "False", "(2, 4)", &rows.map(f32::to_le_bytes).concat()));
    let frame = frame.unwrap();
    assert_eq!((xyz(&frame), frame.intensity), (expected.to_vec(), Some(vec![0.5, 0.25])));
    let columns = [1.0f64, 4.0, 2.0, 5.0, 3.0, 6.0].map(f64::to_be_bytes).concat();
    assert_eq!(xyz(&made(folder.path(), "b.npy", &npy("'>f8'", "True", "(2, 3)", &columns)).unwrap()), expected);
    let mut mixed = Vec::new();
    for [x, y, z] in expected {
        mixed.push(9u8);
        [z, y, x].iter().for_each(|v: &f32| mixed.extend(v.to_le_bytes()));
        mixed.extend([200u8, 0, 0, 0, 0]);
    }
    let descr =
        "[('ring', '|u1'), ('z', '<f4'), ('y', '<f4'), ('x', '<f4'), ('intensity', '|u1'), ('rgb', '|u1', (4,))]";
    let frame = made(folder.path(), "c.npy", &npy(descr, "False", "(2,)", &mixed)).unwrap();
    assert_eq!((xyz(&frame), frame.intensity), (expected.to_vec(), Some(vec![200.0 / 255.0; 2])));
    let error = made(folder.path(), "d.npy", &npy("'<f4'", "False", "(2, 4)", &[0; 31])).unwrap_err();
    assert!(error.contains("expected 2 points"), "{error}");
    let error = made(folder.path(), "d.npy", &npy("'<f4'", "False", "(3, 400)", &[0; 4800])).unwrap_err();
    assert!(error.contains("found an array [3, 400] of numbers"), "{error}");

    for (name, text) in [
        ("a.xyz", "1 2 3\n4 5 6\n"),
        ("a.txt", "# a scan\r\n\r\n1\t2\t3\r\n4\t5\t6"),
        ("a.asc", "//X Y Z\n1,0 2,0 3,0\n4,0 5,0 6,0\n"),
        ("b.asc", "1;2;3\n4;5;6\n"),
        ("b.txt", "1,2,3\n4,5,6\n"),
        ("c.txt", "z y x\n3 2 1\n6 5 4\n"),
        ("a.pts", "2\n1 2 3 -500 10 20 30\n4 5 6 700 10 20 30\n"),
    ] {
        let (frame, warnings) = told(folder.path(), name, text.as_bytes());
        assert_eq!((xyz(&frame), warnings.len()), (expected.to_vec(), 0), "{name}: {warnings:?}");
        assert!(frame.intensity.is_none() && frame.dropped.is_empty(), "{name}");
    }
    let (frame, warnings) = told(folder.path(), "b.pts", b"3\n1 2 3 0.5\n4 5 6\n");
    assert_eq!((frame.len(), frame.intensity), (1, Some(vec![0.5])));
    assert!(frame.dropped["malformed"].first.ends_with("b.pts: line 3: found \"4 5 6\", expected 4 numbers"));
    assert!(warnings[0].ends_with("b.pts: 2 points, line 1 states 3"), "{warnings:?}");
    assert!(made(folder.path(), "d.txt", b"once upon a time\n").is_err());
}

/// Sizes in compressed files by which crate `laz` would allocate.
#[test]
fn crafted_sizes_in_compressed_files_are_refused_before_the_decoder_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let error = |name: &str, change: &dyn Fn(&mut [u8], usize)| {
        let mut bytes = std::fs::read(fixtures().join(name)).unwrap();
        let data = u32::from_le_bytes(bytes[96..100].try_into().unwrap()) as usize;
        change(&mut bytes, data);
        let (outcome, most) = most_while(|| made(folder.path(), name, &bytes));
        assert!(most < 1 << 20, "{name}: {most} bytes");
        outcome.unwrap_err()
    };
    let put = |bytes: &mut [u8], at: usize, with: &[u8]| bytes[at..at + with.len()].copy_from_slice(with);
    let table = |bytes: &[u8], data: usize| u64::from_le_bytes(bytes[data..data + 8].try_into().unwrap()) as usize;
    let huge = u32::MAX.to_le_bytes();

    let found = error("format03.laz", &|b, data| put(b, table(b, data) + 4, &huge));
    assert!(found.contains("found 4294967295 chunks in"), "{found}");
    let found = error("format03.laz", &|b, data| put(b, data, &(1u64 << 40).to_le_bytes()));
    assert!(found.contains("found a chunk table at 1099511627776"), "{found}");
    let found = error("format03.laz", &|b, _| put(b, 107, &huge));
    assert!(found.contains("expected 4294967295 points"), "{found}");
    // Behind a first point of 40 bytes: its number of points, then the size of each layer.
    let found = error("format06.laz", &|b, data| put(b, data + 8 + 40 + 4, &huge));
    assert!(found.contains("found layers of 4294967"), "{found}");
    let found = error("format06.laz", &|b, data| put(b, data + 8 + 40, &[1, 0, 0, 0]));
    assert!(found.contains("found a chunk of 1 points, expected 24 points"), "{found}");
    // The items stand last in the LASzip record: the size of the last, the extra bytes.
    let items = |b: &[u8]| b.windows(14).position(|w| w == b"laszip encoded").unwrap() + 52 + 34;
    let found = error("format03.laz", &|b, _| put(b, items(b) + 3 * 6 + 2, &60_000u16.to_le_bytes()));
    assert!(found.contains("[0, 60000, 2]") && found.contains("(0, 10)"), "{found}");
    let found = error("format06.laz", &|b, _| put(b, items(b) + 4, &5u16.to_le_bytes()));
    assert!(found.contains("found items [[10, 30, 5], [14, 10, 3]] (type, size, version)"), "{found}");
}

#[test]
fn inspect_finds_what_a_sequence_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let sequence = folder.path();
    for sub in ["velodyne", "labels"] {
        std::fs::create_dir(sequence.join(sub)).unwrap();
    }
    for scan in ["000000.bin", "000001.bin", "000002.bin"] {
        std::fs::copy(fixtures().join("kitti.bin"), sequence.join("velodyne").join(scan)).unwrap();
    }
    std::fs::write(sequence.join("labels/000000.label"), [0; 4 * 24]).unwrap();
    std::fs::write(sequence.join("labels/000001.label"), [0; 4 * 23]).unwrap();
    std::fs::write(sequence.join("poses.txt"), "1 0 0 0 0 1 0 0 0 0 1 0\n").unwrap();
    std::fs::write(sequence.join("calib.txt"), "P0: 1 0 0 0 0 1 0 0 0 0 1 0\n").unwrap();
    let report = inspect(sequence);
    assert_eq!((report.format.as_str(), report.frames, report.points), ("kitti", Some(3), Some(72)));
    let problems = report.problems.join("\n");
    assert!(report.what.contains("labels of 2 of 3 scans"), "{}", report.what);
    for expected in ["poses.txt", "found no Tr", "000001.label: the file: found 23 labels (92 bytes), expected 24"] {
        assert!(problems.contains(expected), "{expected:?} not in:\n{problems}");
    }
    let least = report.minimum.unwrap();
    assert!(least.iter().all(|v| (-20.0..0.0).contains(v)), "{least:?}");
    let torn = sequence.join("velodyne/000002.bin");
    std::fs::write(&torn, [0; 12]).unwrap();
    assert!(inspect(&torn).problems.iter().any(|p| p.contains("a last record of 12 bytes")));
    assert!(inspect(&sequence.join("none")).problems[0].contains("No such file"));
}
