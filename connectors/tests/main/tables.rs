//! Tables of points: what pyarrow wrote reads as it was written, in any format; what breaks a table's rules is named.

use std::path::Path;

use serde_json::Value;
use thalweg::{Frame, Next};
use thalweg_connectors::points::registry::by_extension;
use thalweg_connectors::{Error, ReadOptions};

use crate::support::{fixtures, lidar};

pub fn frames(path: &Path) -> Result<Vec<Frame>, Error> {
    let format = by_extension(path).unwrap();
    let mut reader = (format.open)(path, &ReadOptions::default())?;
    let mut frames = Vec::new();
    while let Next::Item(frame) = reader.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

fn assert_column<T: Copy + Into<f64>>(what: &str, found: &[T], expected: &Value) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().map(|&v| v.into()).zip(expected).enumerate() {
        assert!(f as f32 == e as f32 || f.is_nan() && e.is_nan(), "{what} of point {i}: {f}, expected {e}");
    }
}

#[test]
fn tables_read_as_they_were_written() {
    let folder = fixtures().join("tables");
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let all: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(all.len(), 8);
    for (name, expected) in &all {
        let found = frames(&folder.join(name)).unwrap();
        let expected = expected.as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (frame, expected) in found.iter().zip(expected) {
            let what = |column: &str| format!("{name}, frame {}: {column}", frame.id);
            assert_eq!(frame.id, expected["id"].as_i64().unwrap(), "{name}");
            assert_eq!(frame.origin.to_vec(), numbers(&expected["origin"]), "{name}");
            for (axis, column) in [&frame.x, &frame.y, &frame.z].into_iter().enumerate() {
                assert_column(&what("xyz"), column, &expected["xyz"][axis]);
            }
            assert_eq!(frame.intensity.is_some(), expected.get("intensity").is_some(), "{name}");
            assert_eq!(frame.truth.is_some(), expected.get("class").is_some(), "{name}");
            if let (Some(found), Some(expected)) = (&frame.intensity, expected.get("intensity")) {
                assert_column(&what("intensity"), found, expected);
            }
            if let Some(truth) = &frame.truth {
                assert_column(&what("class"), &truth.class, &expected["class"]);
            }
            if let Some(instance) = expected.get("instance") {
                assert_column(&what("instance"), &frame.truth.as_ref().unwrap().instance, instance);
            }
            assert_eq!(frame.time_ns, expected.get("time_ns").map(|t| t.as_i64().unwrap()), "{name}");
            let dropped = expected.get("dropped").map_or(0, |d| d.as_u64().unwrap());
            assert_eq!(frame.dropped.get("malformed").map_or(0, |d| d.count), dropped, "{name}");
        }
    }
}

fn error(folder: &Path, name: &str, text: &str) -> String {
    std::fs::write(folder.join(name), text).unwrap();
    frames(&folder.join(name)).unwrap_err().to_string().replace(&folder.display().to_string(), "")
}

#[test]
fn what_breaks_a_table_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let csv = |text: &str| error(folder.path(), "a.csv", text);
    assert_eq!(
        csv("frame,x,y,intensity\n"),
        "/a.csv: header: found columns frame, x, y, intensity, expected a column z (x, y, z)"
    );
    let order = "found frame 1 after frame 2, expected ascending frames, each in one piece";
    assert_eq!(csv("frame,x,y,z\n1,0,0,0\nbad\n2,0,0,0\n1,0,0,0\n"), format!("/a.csv: line 5: {order}"));
    let jsonl = |text: &str| error(folder.path(), "a.jsonl", text);
    assert_eq!(jsonl("{\"a\":1,\"x\":2}\n"), "/a.jsonl: header: found columns a, x, expected a column y (x, y, z)");
    let row = |frame| format!("{{\"frame\":{frame},\"x\":0,\"y\":0,\"z\":0}}\n");
    assert_eq!(jsonl(&[row(2), row(1)].concat()), format!("/a.jsonl: line 2: {order}"));
    assert!(error(folder.path(), "a.parquet", "PAR1").contains("expected a Parquet file"));
    assert!(error(folder.path(), "a.arrow", "ARROW1").contains("found 6 bytes, expected an Arrow IPC file"));
}

#[test]
fn text_without_rows_is_an_empty_frame_unless_it_numbers_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        let found = frames(&folder.path().join(name)).unwrap();
        found.iter().map(|f| (f.len(), f.dropped.get("malformed").map(|d| d.count))).collect::<Vec<_>>()
    };
    assert_eq!(read("a.csv", ""), [(0, None)]);
    assert_eq!(read("a.jsonl", ""), [(0, None)]);
    assert_eq!(read("a.csv", "x,y,z\n"), [(0, None)]);
    assert_eq!(read("a.csv", "frame,x,y,z\n"), []);
    assert_eq!(read("a.csv", "frame,x,y,z\nbad\n"), [(0, Some(1))]);
    assert_eq!(read("a.jsonl", "bad\nworse\n"), [(0, Some(2))]);
    assert_eq!(read("a.jsonl", "bad\n{\"x\":1,\"y\":1,\"z\":1}"), [(1, Some(1))]);
    assert_eq!(read("a.csv", "x\ty\tz\n1\t2\t3"), [(1, None)]);
}

/// PDAL wrote the same points as LAS, Feather and Parquet; a sweep of Argoverse is in halves.
#[test]
fn shared_tables_read() {
    let Some(lidar) = lidar() else { return };
    let las = frames(&lidar.join("PDAL-PDAL/las/1.2-with-color.las")).unwrap().remove(0);
    for name in ["1.2-with-color.feather", "1.2-with-color.parquet", "1.2-with-color_rowgroups.parquet"] {
        let table = frames(&lidar.join("PDAL-PDAL/arrow").join(name)).unwrap().remove(0);
        assert_eq!((&table.x, &table.y, &table.z, table.origin), (&las.x, &las.y, &las.z, las.origin), "{name}");
        assert_eq!(table.truth.unwrap().class, las.truth.as_ref().unwrap().class, "{name}");
        assert_eq!(table.intensity, las.intensity, "{name}");
    }
    let wkb = frames(&lidar.join("PDAL-PDAL/arrow/1.2-with-color_wkb.parquet")).unwrap_err().to_string();
    assert!(wkb.contains("found columns wkb, Intensity"), "{wkb}");
    let drive = lidar.join("argoverse-av2-api/sensor/val/7fab2350-7eaf-3b7e-a39d-6937a4c1bede");
    let sweep = frames(&drive.join("sensors/lidar/315966265259836000.feather")).unwrap().remove(0);
    assert_eq!((sweep.len(), sweep.finite(), sweep.origin), (99_229, 99_229, [0.0; 3]));
    assert!(sweep.intensity.unwrap().iter().all(|v| (0.0..=1.0).contains(v)));
    let none = frames(&drive.join("annotations.feather")).unwrap_err().to_string();
    assert!(none.contains("found columns timestamp_ns, track_uuid"), "{none}");
}
