//! Sinks: each format gives back what was written, whole or not at all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Int64Type, SchemaRef, UInt8Type, UInt32Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use thalweg::{Classes, Frame, KnnGraph, Nodes, Segmentation, Sink};
use thalweg_connectors::out::batches::{knn_batches, knn_schema, segmentation_batches, segmentation_schema};
use thalweg_connectors::out::label::LabelSink;
use thalweg_connectors::out::records::TableSink;
use thalweg_connectors::out::segments::{MANIFEST, Manifest, Roll, SegmentSink};
use thalweg_connectors::points::label::{classes, raw_id, train_id};

/// A frame of `n` points with labels that a formula gives.
pub fn segmentation(id: i64, n: usize) -> Segmentation {
    let frame = Frame { id, x: vec![0.0; n], y: vec![0.0; n], z: vec![0.0; n], ..Frame::default() };
    Segmentation {
        frame: Arc::new(frame),
        class: (0..n).map(|i| (i % 20) as u8).collect(),
        confidence: (0..n).map(|i| i as f32 / n as f32).collect(),
        instance: (0..n).map(|i| (i / 7) as u32).collect(),
        classes: Arc::new(classes()),
    }
}

/// A graph over the points 1, 2, 4, … of a frame, with k = 3.
fn graph(id: i64, n: usize) -> KnnGraph {
    let point: Vec<u32> = (0..n as u32).map(|i| i + i / 2 + 1).collect();
    let zero = || vec![0.0; n];
    let frame = Arc::new(Frame { id, ..Frame::default() });
    let (of_point, intensity, returns) = (vec![], None, None);
    let nodes = Nodes { frame, point, x: zero(), y: zero(), z: zero(), of_point, intensity, returns, cell: None };
    let dst = (0..3 * n).map(|edge| ((edge * 7 + 1) % n) as u32).collect();
    let mut d2: Vec<f32> = (0..3 * n).map(|edge| edge as f32 * 0.1).collect();
    d2[2] = f32::INFINITY;
    d2[1] = f32::from_bits(1);
    KnnGraph { nodes: Arc::new(nodes), k: 3, neighbor: dst, d2 }
}

fn write<T>(path: &Path, schema: SchemaRef, batches: thalweg_connectors::out::writer::Batches<T>, items: Vec<T>) {
    let mut sink = TableSink::create(path, schema, batches).unwrap();
    items.into_iter().enumerate().for_each(|(epoch, item)| sink.write(epoch as u64, item).unwrap());
    assert!(!path.exists(), "published before the end");
    sink.finish().unwrap();
    assert!(path.exists());
}

fn read_batches(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    if path.extension().unwrap() == "arrow" {
        return arrow::ipc::reader::FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect();
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().with_batch_size(1 << 20).build().unwrap();
    reader.map(Result::unwrap).collect()
}

#[test]
fn segmentation_comes_back_with_the_promised_types() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.parquet", "a.arrow"] {
        let path = folder.path().join(name);
        let items = vec![segmentation(4, 70_000), segmentation(5, 0), segmentation(6, 3)];
        write(&path, segmentation_schema(), segmentation_batches, items.clone());
        let batches = read_batches(&path);
        let kinds: Vec<_> =
            batches[0].schema().fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect();
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let expected = [
            ("frame", DataType::Int64),
            ("point", DataType::UInt32),
            ("class", DataType::UInt8),
            ("class_name", text),
            ("confidence", DataType::Float32),
            ("instance", DataType::UInt32),
        ];
        assert_eq!(kinds, expected.map(|(name, kind)| (name.to_string(), kind)));
        let mut row = 0;
        let rows: Vec<_> = items.iter().flat_map(|s| (0..s.class.len()).map(move |i| (s, i))).collect();
        for batch in &batches {
            let names = batch.column(3).as_dictionary::<arrow::datatypes::Int32Type>();
            let texts = names.values().as_string::<i32>();
            for i in 0..batch.num_rows() {
                let (s, point) = rows[row];
                assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(i), s.frame.id);
                assert_eq!(batch.column(1).as_primitive::<UInt32Type>().value(i), point as u32);
                assert_eq!(batch.column(2).as_primitive::<UInt8Type>().value(i), s.class[point]);
                assert_eq!(texts.value(names.key(i).unwrap()), s.classes.name(s.class[point]).unwrap());
                assert_eq!(batch.column(4).as_primitive::<Float32Type>().value(i), s.confidence[point]);
                assert_eq!(batch.column(5).as_primitive::<UInt32Type>().value(i), s.instance[point]);
                row += 1;
            }
        }
        assert_eq!(row, rows.len());
    }
}

#[test]
fn knn_rows_come_back_sorted_with_every_bit_of_d2() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.parquet", "a.arrow"] {
        let path = folder.path().join(name);
        let items = vec![graph(0, 50_000), graph(1, 7)];
        write(&path, knn_schema(), knn_batches, items.clone());
        let mut found = Vec::new();
        for batch in read_batches(&path) {
            for i in 0..batch.num_rows() {
                found.push((
                    batch.column(0).as_primitive::<Int64Type>().value(i),
                    batch.column(1).as_primitive::<UInt64Type>().value(i),
                    batch.column(2).as_primitive::<UInt8Type>().value(i),
                    batch.column(3).as_primitive::<UInt64Type>().value(i),
                    batch.column(4).as_primitive::<Float32Type>().value(i).to_bits(),
                ));
            }
        }
        let mut expected = Vec::new();
        for graph in &items {
            for edge in 0..graph.neighbor.len() {
                let point = |node: usize| u64::from(graph.nodes.point[node]);
                let (src, dst) = (point(edge / 3), point(graph.neighbor[edge] as usize));
                expected.push((graph.nodes.frame.id, src, (edge % 3) as u8, dst, graph.d2[edge].to_bits()));
            }
        }
        assert!(expected.is_sorted_by_key(|row| (row.0, row.1, row.2)));
        assert_eq!(found, expected);
    }
}

#[test]
fn text_is_what_the_format_says() {
    let folder = tempfile::tempdir().unwrap();
    let small = || vec![graph(7, 3)];
    let csv = folder.path().join("a.csv");
    write(&csv, knn_schema(), knn_batches, small());
    let text = std::fs::read_to_string(csv).unwrap();
    assert!(text.starts_with("frame,src,rank,dst,d2\n7,1,0,2,0.0\n7,1,1,4,1e-45\n7,1,2,1,inf\n7,2,0,"), "{text}");
    let jsonl = folder.path().join("a.jsonl");
    write(&jsonl, segmentation_schema(), segmentation_batches, vec![segmentation(2, 2)]);
    let text = std::fs::read_to_string(jsonl).unwrap();
    let first = r#"{"frame":2,"point":0,"class":0,"class_name":"unlabelled","confidence":0.0,"instance":0}"#;
    assert_eq!(text.lines().next(), Some(first));
    assert_eq!(text.lines().count(), 2);
    let jsonl = folder.path().join("b.jsonl");
    write(&jsonl, knn_schema(), knn_batches, small());
    assert!(std::fs::read_to_string(jsonl).unwrap().contains("\"d2\":1e999}"));
}

#[test]
fn lists_and_structures_are_json_in_text() {
    use arrow::array::{Float32Builder, ListBuilder, StringBuilder, StructBuilder};
    use arrow::datatypes::Field;
    let fields = vec![Field::new("person", DataType::Utf8, false), Field::new("weight", DataType::Float32, false)];
    let item = StructBuilder::new(fields, vec![Box::new(StringBuilder::new()), Box::new(Float32Builder::new())]);
    let mut because = ListBuilder::new(item);
    for (person, weight) in [("a\"b", 0.5), ("c,d", 0.25)] {
        because.values().field_builder::<StringBuilder>(0).unwrap().append_value(person);
        because.values().field_builder::<Float32Builder>(1).unwrap().append_value(weight);
        because.values().append(true);
    }
    because.append(true);
    because.append(true);
    let batch =
        RecordBatch::try_from_iter([("because", Arc::new(because.finish()) as arrow::array::ArrayRef)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| {
        let path = folder.path().join(name);
        let mut writer = thalweg_connectors::out::records::create(&path, batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        std::fs::read_to_string(path).unwrap()
    };
    let json = r#"[{"person":"a\"b","weight":0.5},{"person":"c,d","weight":0.25}]"#;
    assert_eq!(text("a.jsonl"), format!("{{\"because\":{json}}}\n{{\"because\":[]}}\n"));
    assert_eq!(text("a.csv"), format!("because\n\"{}\"\n\"[]\"\n", json.replace('"', "\"\"")));
}

#[test]
fn nothing_is_left_by_a_sink_that_does_not_finish() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let entries = || std::fs::read_dir(folder.path()).unwrap().count();
    for name in ["a.parquet", "a.arrow", "a.csv", "a.jsonl"] {
        let mut sink = TableSink::create(&at(name), segmentation_schema(), segmentation_batches).unwrap();
        sink.write(0, segmentation(0, 100_000)).unwrap();
        assert_eq!(entries(), 1, "a temporary file");
        drop(sink);
        let mut sink = TableSink::create(&at(name), segmentation_schema(), segmentation_batches).unwrap();
        let unnamed = Segmentation { classes: Arc::new(Classes::new([])), ..segmentation(0, 5) };
        assert!(sink.write(0, unnamed).unwrap_err().to_string().contains("class"));
    }
    let mut sink = LabelSink::create(&at("labels")).unwrap();
    sink.write(0, segmentation(0, 10)).unwrap();
    drop(sink);
    let mut sink =
        SegmentSink::create(&at("out"), segmentation_schema(), segmentation_batches, Roll::default()).unwrap();
    sink.write(0, segmentation(0, 10)).unwrap();
    drop(sink);
    assert_eq!(entries(), 0);
    let missing = TableSink::create(&at("none/a.csv"), segmentation_schema(), segmentation_batches).err().unwrap();
    assert!(missing.to_string().contains("none/a.csv"), "{missing}");
}

#[cfg(unix)]
#[test]
fn an_output_may_be_read_as_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (folder.path().join("a.csv"), folder.path().join("plain"));
    write(&ours, segmentation_schema(), segmentation_batches, vec![]);
    std::fs::write(&plain, "").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
    assert_eq!(std::fs::read_to_string(&ours).unwrap(), "frame,point,class,class_name,confidence,instance\n");
}

#[test]
fn label_files_hold_raw_ids_and_objects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels");
    let mut sink = LabelSink::create(&path).unwrap();
    let named = |file: &str, id| {
        let s = segmentation(id, 25);
        let frame = Frame { path: Some(Path::new(file).into()), ..(*s.frame).clone() };
        Segmentation { frame: Arc::new(frame), ..s }
    };
    sink.write(0, named("velodyne/000123.bin", 0)).unwrap();
    sink.write(1, named("table.parquet", 8)).unwrap();
    sink.write(2, named("sweep__1532.pcd.bin", 2)).unwrap();
    assert!(!path.exists());
    sink.finish().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["000008.label", "000123.label", "sweep__1532.label"]);
    let bytes = std::fs::read(path.join("000123.label")).unwrap();
    let words: Vec<_> = bytes.chunks(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect();
    // Point 9 is a road (40) of object 1; point 21 a car (10) of object 3.
    assert_eq!((words.len(), words[9], words[21]), (25, 1 << 16 | 40, 3 << 16 | 10));
    for train in 1..20 {
        assert_eq!(train_id(raw_id(train).unwrap()), train);
    }
    assert_eq!(
        [252, 253, 254, 255, 256, 257, 258, 259, 60, 13, 99, 52].map(train_id),
        [1, 7, 6, 8, 5, 5, 4, 5, 9, 5, 0, 0]
    );
    let again = LabelSink::create(&path).err().unwrap().to_string();
    assert!(again.contains("found a folder with files in it"), "{again}");
}

#[test]
fn segments_stand_as_their_manifest_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let roll = Roll { items: 3, ..Roll::default() };
    let mut sink = SegmentSink::create(&path, segmentation_schema(), segmentation_batches, roll).unwrap();
    for epoch in 0..7 {
        sink.write(epoch, segmentation(10 + epoch as i64, if epoch == 1 { 0 } else { 5 })).unwrap();
        if epoch < 2 {
            assert!(!path.join(MANIFEST).exists());
        }
    }
    let so_far = Manifest::load(&path).unwrap();
    assert_eq!((so_far.complete, so_far.segments.len()), (false, 2));
    sink.finish().unwrap();
    drop(sink);
    let manifest = Manifest::load(&path).unwrap();
    let shown: Vec<_> = manifest.segments.iter().map(|s| (s.file.as_str(), s.rows, s.first, s.last)).collect();
    let file = ["segment-00000000.parquet", "segment-00000001.parquet", "segment-00000002.parquet"];
    let expected =
        [(file[0], 10, Some(10), Some(12)), (file[1], 15, Some(13), Some(15)), (file[2], 5, Some(16), Some(16))];
    assert_eq!((manifest.complete, shown), (true, expected.to_vec()));
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 4, "nothing temporary is left");
    let rows: usize = file.iter().flat_map(|f| read_batches(&path.join(f))).map(|b| b.num_rows()).sum();
    assert_eq!(rows, 30);
    let again = SegmentSink::create(&path, segmentation_schema(), segmentation_batches, roll).err().unwrap();
    assert!(again.to_string().contains("a published manifest"));
    let text = std::fs::read_to_string(path.join(MANIFEST)).unwrap();
    std::fs::write(path.join(MANIFEST), text.replace("\"rows\": 15", "\"rows\": 16")).unwrap();
    assert!(Manifest::load(&path).unwrap_err().to_string().contains("crc32: found checksum"));
    std::fs::write(path.join(MANIFEST), &text[..text.len() / 2]).unwrap();
    assert!(Manifest::load(&path).unwrap_err().to_string().contains("expected a manifest of segments"));
    std::fs::write(path.join(MANIFEST), &text).unwrap();
    std::fs::write(path.join(file[1]), "torn").unwrap();
    assert!(
        Manifest::load(&path).unwrap_err().to_string().contains("segment-00000001.parquet: the file: found 4 bytes")
    );
}

#[test]
fn segments_are_published_by_time_though_nothing_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let roll = Roll { items: 100, age: Duration::from_millis(150) };
    let create = || SegmentSink::create(&path, segmentation_schema(), segmentation_batches, roll).unwrap();
    let rows = || Manifest::load(&path).map(|m| m.segments.iter().map(|s| s.rows).collect::<Vec<_>>()).ok();
    let mut sink = create();
    sink.tick(0).unwrap();
    assert_eq!(rows(), None);
    std::thread::sleep(roll.age);
    sink.tick(0).unwrap();
    assert_eq!(rows(), Some(vec![]), "a manifest says that there is nothing yet");
    sink.write(0, segmentation(0, 5)).unwrap();
    sink.tick(0).unwrap();
    assert_eq!(rows(), Some(vec![]));
    std::thread::sleep(roll.age);
    sink.tick(0).unwrap();
    assert_eq!(rows(), Some(vec![5]));
    let manifest = std::fs::metadata(path.join(MANIFEST)).unwrap().modified().unwrap();
    std::thread::sleep(roll.age);
    sink.tick(0).unwrap();
    assert_eq!(std::fs::metadata(path.join(MANIFEST)).unwrap().modified().unwrap(), manifest, "nothing to say");
    drop(sink);
    assert_eq!(rows(), Some(vec![5]), "what is published stays");

    std::fs::remove_dir_all(&path).unwrap();
    let mut sink = create();
    std::thread::sleep(roll.age);
    sink.tick(0).unwrap();
    drop(sink);
    assert!(!path.exists(), "a run that failed before its first row leaves nothing");
}

#[test]
fn a_folder_has_one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let create = || SegmentSink::create(&path, segmentation_schema(), segmentation_batches, Roll::default());
    let mut first = create().unwrap();
    for written in [false, true] {
        if written {
            first.write(0, segmentation(0, 5)).unwrap();
        }
        let error = create().err().unwrap();
        assert!(matches!(error, thalweg_connectors::Error::Unsupported { .. }), "{error}");
        let expected = format!("{}: found another run that is writing into it", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    first.finish().unwrap();
    drop(first);
    assert_eq!(Manifest::load(&path).unwrap().segments.len(), 1, "the one that was refused left it alone");
    std::fs::remove_dir_all(&path).unwrap();
    // What a killed run leaves is a file that nobody holds.
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join(".lock"), "").unwrap();
    let mut second = create().unwrap();
    second.finish().unwrap();
    drop(second);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1, "the manifest alone");

    // Two runs into one file: each stages its own, and the last rename stands.
    let file = folder.path().join("out.csv");
    let table = || TableSink::create(&file, segmentation_schema(), segmentation_batches).unwrap();
    let (mut one, mut two) = (table(), table());
    one.write(0, segmentation(0, 1)).unwrap();
    two.write(0, segmentation(0, 2)).unwrap();
    two.finish().unwrap();
    one.finish().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2);
}
