//! Tables of which a part cannot be used: a row group that cannot be read, a cell of an optional column.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use thalweg::{Frame, Next, Source};
use thalweg_connectors::points::files_options::FilesOptions;
use thalweg_connectors::points::folder::Files;
use thalweg_connectors::points::options::ReadOptions;
use thalweg_connectors::{Notices, OnError};

const FRAMES: i64 = 8;
const POINTS: i64 = 50;

/// Eight frames of fifty points; `intensity` gives the cell of a row.
fn write(path: &Path, group: usize, intensity: impl Fn(i64) -> String) {
    let rows = FRAMES * POINTS;
    let x = Float32Array::from_iter_values((0..rows).map(|i| i as f32));
    let columns: [(&str, arrow::array::ArrayRef); 5] = [
        ("frame", Arc::new(Int64Array::from_iter_values((0..rows).map(|i| i / POINTS)))),
        ("x", Arc::new(x.clone())),
        ("y", Arc::new(x.clone())),
        ("z", Arc::new(x)),
        ("intensity", Arc::new(StringArray::from_iter_values((0..rows).map(intensity)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn read(path: &Path, skip: bool) -> (Vec<Frame>, Notices, Option<String>) {
    let notices = Notices::default();
    let read = ReadOptions { notices: notices.clone(), skip, ..ReadOptions::default() };
    let on_error = if skip { OnError::Skip } else { OnError::Stop };
    let mut source = Files::open(path, FilesOptions { read, on_error, ..FilesOptions::default() }).unwrap();
    let mut frames = Vec::new();
    loop {
        match source.next() {
            Ok(Next::Item(frame)) => frames.push(frame),
            Ok(Next::Idle) => {}
            Ok(Next::End) => return (frames, notices, None),
            Err(error) => return (frames, notices, Some(error.to_string())),
        }
    }
}

#[test]
fn a_row_group_that_cannot_be_read_costs_itself_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, 70, |_| "0.5".into());
    let at = {
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        reader.metadata().row_group(2).column(1).byte_range().0 as usize
    };
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at..at + 20].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let (frames, notices, error) = read(&path, true);
    assert_eq!(error, None);
    let sizes: Vec<_> = frames.iter().map(|frame| (frame.id, frame.len())).collect();
    // Rows 140 to 209 are gone: ten of frame 2, frame 3, ten of frame 4.
    assert_eq!(sizes, [(0, 50), (1, 50), (2, 40), (4, 40), (5, 50), (6, 50), (7, 50)]);
    assert_eq!(frames[3].x[0], 210.0);
    assert_eq!(notices.drops()["unreadable"].count, 1);
    assert!(read(&path, false).2.unwrap().contains("a.parquet"));
}

#[test]
fn a_bad_cell_leaves_its_column_out_from_its_frame_on_however_the_table_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    for group in [7, 130, 1000] {
        let path = folder.path().join(format!("{group}.parquet"));
        write(&path, group, |row| if row == 4 * POINTS + 20 { "oops".into() } else { "0.5".into() });
        let (frames, notices, error) = read(&path, false);
        assert_eq!((frames.len(), error), (FRAMES as usize, None));
        let with: Vec<_> = frames.iter().map(|frame| frame.intensity.is_some()).collect();
        assert_eq!(with, [true, true, true, true, false, false, false, false], "groups of {group}");
        assert!(frames.iter().all(|frame| frame.len() == POINTS as usize));
        let warnings = notices.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("row 220: found \"oops\" as intensity"), "{warnings:?}");
    }
}
