//! The fixtures hold what the script that made them wrote down; small files made here meet the edges of each format.

use std::path::Path;

use serde_json::Value;
use thalweg_connectors::points::format::{OriginRule, by_name, guess};
use thalweg_connectors::points::{las, pcd, ply};
use thalweg_connectors::{ReadOptions, inspect};

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

#[test]
fn an_empty_file_is_an_empty_frame() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.bin", "a.pcd.bin", "a.pcd", "a.ply", "a.las", "a.laz"] {
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
fn an_intensity_off_its_scale_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let scan = |remission: f32| [1.0, 2.0, 3.0, remission].map(f32::to_le_bytes).concat();
    assert_eq!(made(folder.path(), "a.bin", &scan(1.0)).unwrap().intensity, Some(vec![1.0]));
    assert_eq!(made(folder.path(), "a.bin", &scan(17.0)).unwrap().intensity, None);
    let ply = |value: &str| {
        format!(
            "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nproperty float intensity\nend_header\n1 2 3 {value}\n"
        )
    };
    let intensity = |value: &str| made(folder.path(), "a.ply", ply(value).as_bytes()).unwrap().intensity;
    assert_eq!(intensity("0.5"), Some(vec![0.5]));
    assert_eq!(intensity("51"), Some(vec![0.2]));
    assert_eq!(intensity("256"), None);
    assert_eq!(intensity("-1"), None);
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
    for expected in
        ["poses.txt has 1 lines", "no line Tr", "000001.label: 23 labels, expected 24", "1 of 3 scans have no labels"]
    {
        assert!(problems.contains(expected), "{expected:?} not in:\n{problems}");
    }
    let least = report.minimum.unwrap();
    assert!(least.iter().all(|v| (-20.0..0.0).contains(v)), "{least:?}");
    let torn = sequence.join("velodyne/000002.bin");
    std::fs::write(&torn, [0; 12]).unwrap();
    assert!(inspect(&torn).problems.iter().any(|p| p.contains("perhaps f32 x, y, z")));
    assert!(inspect(&sequence.join("none")).problems[0].contains("No such file"));
}
