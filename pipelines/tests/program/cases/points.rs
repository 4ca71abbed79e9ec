//! Files of points as scanners, survey programs and data frames write them: every format, odd cells, intensities, labels, origins.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, FixedSizeListArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    LargeListArray, LargeStringArray, ListArray, StringArray, TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use arrow::datatypes::{Float32Type, Float64Type};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::oracle::{Point, cloud, origin};
use super::write::{self, batch_of, parquet_of, points_table, table};
use super::{Case, Done, Verdict, case, check};

const KNN: &str = "run knn --set k=3 --output o.csv --input";

fn knn(name: &str, file: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(name, format!("{KNN} {file}")).file(file, bytes)
}

/// f64 columns x, y, z.
fn axes(points: &[Point]) -> [ArrayRef; 3] {
    std::array::from_fn(|axis| Arc::new(Float64Array::from_iter_values(points.iter().map(|p| p[axis]))) as ArrayRef)
}

fn with_axes(points: &[Point], more: Vec<(&'static str, ArrayRef)>) -> Vec<u8> {
    let [x, y, z] = axes(points);
    parquet_of([vec![("x", x), ("y", y), ("z", z)], more].concat())
}

#[test]
fn one_cloud_in_every_format_is_one_graph() {
    let points = cloud(12, 1);
    let one = [(0, points.clone())];
    let mut cases = Vec::new();
    let mut add = |file: &str, bytes: Vec<u8>| cases.push(knn(file, file, bytes).graph(3, &one).quiet());
    for (ending, bytes) in points_table(&one, false).everywhere() {
        add(&format!("a.{ending}"), bytes);
    }
    for (ending, bytes) in points_table(&one, true).everywhere() {
        add(&format!("frames.{ending}"), bytes);
    }
    add("a.bin", write::scan(&points));
    add("a.pcd.bin", write::bin(&points, &[0.5, 3.0]));
    add("a.pcd", write::pcd(&points));
    add("doubles.pcd", write::pcd_doubles(&points));
    add("a.ply", write::ply(&points));
    add("doubles.ply", write::ply_doubles(&points));
    add("lists.ply", write::ply_lists(&points, false));
    add("binary-lists.ply", write::ply_lists(&points, true));
    for minor in [2, 4, 5] {
        add(&format!("{minor}.las"), write::las(&points, minor));
    }
    for (i, (double, fortran)) in [(false, false), (true, false), (false, true), (true, true)].into_iter().enumerate() {
        add(&format!("{i}.npy"), write::npy(&points, &[], double, fortran));
        add(&format!("{i}-four.npy"), write::npy(&points, &[0.25], double, fortran));
    }
    add("a.xyz", write::xyz(&points));
    add("a.txt", write::xyz(&points));
    add("tabs.txt", String::from_utf8(write::xyz(&points)).unwrap().replace(' ', "\t").into_bytes());
    add(
        "padded.xyz",
        String::from_utf8(write::xyz(&points)).unwrap().replace(' ', "   ").replace('\n', "  \r\n").into_bytes(),
    );
    add("a.pts", write::pts(&points));
    add("cloudcompare.txt", write::cloudcompare(&points));
    add("cloudcompare.csv", write::cloudcompare(&points));
    check(cases);
}

#[test]
fn parquet_is_read_with_every_codec_and_number_type() {
    let points = cloud(12, 2);
    let one = [(0, points.clone())];
    let [x, y, z] = axes(&points);
    let batch = batch_of(vec![("x", x), ("y", y), ("z", z)]);
    let codecs = [
        Compression::GZIP(GzipLevel::default()),
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::UNCOMPRESSED,
    ];
    let mut cases = Vec::new();
    for codec in codecs {
        let bytes = write::parquet(&batch, WriterProperties::builder().set_compression(codec).build());
        cases.push(knn(&format!("{codec}"), "a.parquet", bytes).graph(3, &one).quiet());
    }
    type Column = fn(&[f64]) -> ArrayRef;
    let quarters: [(&str, Column); 6] = [
        ("f32", |v| Arc::new(Float32Array::from_iter_values(v.iter().map(|v| *v as f32)))),
        ("decimal", |v| {
            let values = v.iter().map(|v| (*v * 100.0) as i128);
            Arc::new(Decimal128Array::from_iter_values(values).with_precision_and_scale(12, 2).unwrap())
        }),
        ("text", |v| Arc::new(StringArray::from_iter_values(v.iter().map(f64::to_string)))),
        ("large text", |v| Arc::new(LargeStringArray::from_iter_values(v.iter().map(f64::to_string)))),
        ("2.000", |v| Arc::new(StringArray::from_iter_values(v.iter().map(|v| format!("{v:.3}"))))),
        ("exponents", |v| Arc::new(StringArray::from_iter_values(v.iter().map(|v| format!("{v:e}"))))),
    ];
    let whole: [(&str, Column); 3] = [
        ("i64", |v| Arc::new(Int64Array::from_iter_values(v.iter().map(|v| (*v * 4.0) as i64)))),
        ("i32", |v| Arc::new(Int32Array::from_iter_values(v.iter().map(|v| (*v * 4.0) as i32)))),
        ("i16", |v| Arc::new(Int16Array::from_iter_values(v.iter().map(|v| (*v * 4.0) as i16)))),
    ];
    let fourfold = [(0, points.iter().map(|p| p.map(|v| v * 4.0)).collect())];
    for (columns, right) in [(&quarters[..], &one), (&whole[..], &fourfold)] {
        for (name, column) in columns {
            let axis = |axis: usize| column(&points.iter().map(|p| p[axis]).collect::<Vec<_>>());
            let columns = vec![("x", axis(0)), ("y", axis(1)), ("z", axis(2))];
            cases.push(knn(name, "a.parquet", parquet_of(columns.clone())).graph(3, right).quiet());
            cases.push(knn(name, "a.arrow", write::arrow_stream(&batch_of(columns))).graph(3, right).quiet());
        }
    }
    let rows = || points.iter().map(|p| Some(p.map(Some)));
    let singles = || points.iter().map(|p| Some(p.map(|v| Some(v as f32))));
    let lists: [(&str, ArrayRef); 4] = [
        ("list", Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows()))),
        ("large list", Arc::new(LargeListArray::from_iter_primitive::<Float64Type, _, _>(rows()))),
        ("large list of f32", Arc::new(LargeListArray::from_iter_primitive::<Float32Type, _, _>(singles()))),
        ("fixed list", Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(singles(), 3))),
    ];
    for (name, column) in lists {
        cases.push(knn(name, "a.parquet", parquet_of(vec![("xyz", column.clone())])).graph(3, &one).quiet());
        cases.push(knn(name, "a.arrow", write::arrow_file(&batch_of(vec![("xyz", column)]))).graph(3, &one).quiet());
    }
    check(cases);
}

#[test]
fn tables_come_by_standard_input_and_through_a_pipe() {
    let points = cloud(9, 3);
    let one = [(0, points.clone())];
    let table = points_table(&one, true);
    let mut cases = Vec::new();
    for (format, bytes) in [("csv", table.csv()), ("csv", table.divided('\t', '.')), ("jsonl", table.jsonl())] {
        cases.push(case(format, format!("{KNN} - --format {format}")).stdin(bytes).graph(3, &one).quiet());
    }
    cases.push(case("gz", format!("{KNN} - --format csv")).stdin(write::gz(table.csv().as_bytes())).graph(3, &one));
    check(cases);

    #[cfg(unix)]
    for (name, bytes) in [("pipe.csv", table.csv()), ("pipe.jsonl", table.jsonl())] {
        let folder = tempfile::TempDir::new().unwrap();
        let pipe = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Opening a pipe for both directions waits for nobody.
        let mut both = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        std::io::Write::write_all(&mut both, bytes.as_bytes()).unwrap();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            drop(both);
        });
        let done = super::run(folder.path(), &format!("{KNN} {name}"), &[]);
        writer.join().unwrap();
        assert_eq!(done.code, Some(0), "{name}: {}", done.stderr);
        super::same_edges(&done.edges("o.csv").unwrap(), &super::oracle::graph(3, &one)).unwrap();
    }
}

#[test]
fn frames_are_numbered_by_their_column_whatever_its_type() {
    let frames = [(2, cloud(5, 4)), (9, cloud(6, 5))];
    let table = points_table(&frames, true);
    let text = |form: fn(i64) -> String| {
        let rows = frames
            .iter()
            .flat_map(|(f, points)| points.iter().map(move |[x, y, z]| format!("{},{x},{y},{z}\n", form(*f))));
        "frame,x,y,z\n".to_string() + &rows.collect::<String>()
    };
    let mut cases = Vec::new();
    for (ending, bytes) in table.everywhere() {
        cases.push(knn(ending, &format!("a.{ending}"), bytes).graph(3, &frames).quiet());
    }
    for (name, form) in [
        ("2.0", (|f| format!("{f}.0")) as fn(i64) -> String),
        ("2.000", |f| format!("{f}.000")),
        ("+2", |f| format!("+{f}")),
    ] {
        cases.push(knn(name, "a.csv", text(form)).graph(3, &frames).quiet());
    }
    let all: Vec<Point> = frames.iter().flat_map(|(_, points)| points.clone()).collect();
    let ids = || frames.iter().flat_map(|(f, points)| std::iter::repeat_n(*f, points.len()));
    let columns: [(&str, ArrayRef); 5] = [
        ("f64", Arc::new(Float64Array::from_iter_values(ids().map(|f| f as f64)))),
        ("i32", Arc::new(Int32Array::from_iter_values(ids().map(|f| f as i32)))),
        ("u64", Arc::new(UInt64Array::from_iter_values(ids().map(|f| f as u64)))),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from_iter_values(ids().map(|f| i128::from(f) * 1000))
                    .with_precision_and_scale(12, 3)
                    .unwrap(),
            ),
        ),
        ("text", Arc::new(StringArray::from_iter_values(ids().map(|f| format!("{f}.0"))))),
    ];
    for (name, column) in columns {
        cases.push(knn(name, "a.parquet", with_axes(&all, vec![("frame", column)])).graph(3, &frames).quiet());
    }
    // Stamps for frame numbers: two frames whose numbers ascend.
    let first = super::oracle::graph(3, &frames[..1]).len();
    let judge = move |done: &Done| -> Verdict {
        let edges = done.edges("o.csv")?;
        let mut numbers: Vec<i64> = edges.iter().map(|edge| edge.frame).collect();
        numbers.dedup();
        let of_first = edges.iter().filter(|edge| Some(&edge.frame) == numbers.first()).count();
        let right = numbers.len() == 2 && numbers[0] < numbers[1] && of_first == first;
        if right { Ok(()) } else { Err(format!("found frames {numbers:?}, right: two that ascend")) }
    };
    let stamp = |f: i64| 1_711_852_200_000_000 + f * 100_000;
    let stamps = TimestampMicrosecondArray::from_iter_values(ids().map(stamp));
    cases.push(knn("timestamps", "a.parquet", with_axes(&all, vec![("frame", Arc::new(stamps))])).judge(judge));
    cases.push(knn("RFC 3339", "a.csv", text(|f| format!("2024-03-31T02:30:0{f}Z"))).judge(judge));
    cases.push(knn("decimal seconds", "a.csv", text(|f| format!("1711852200.{f}00000"))).judge(judge));
    check(cases);
}

#[test]
fn a_number_may_be_written_in_many_ways_and_what_is_none_is_counted() {
    let right = [(0, vec![[1.5, 2.0, 100.0], [-1.5, 2.0, 0.25], [3.0, -4.0, 5.0], [7.0, 8.0, 9.5]])];
    let ways = "x,y,z\n1.5,2.000,1e2\n-1.5,+2,.25\n\"3\", -4 ,5.\n7,8,9.5\n";
    let bad = "x,y,z\n1.5,2,100\nfoo,1,1\n-1.5,2,.25\n1,2\n3,-4,5\n1,2,3,4\n1,0x10,3\n7,8,9.5\n1,1.2.3,1\n";
    let mut cases = vec![
        knn("csv", "a.csv", ways).graph(3, &right).quiet(),
        knn("bad rows", "a.csv", bad).graph(3, &right).says(&["5", "malformed", "a.csv", "line 3"]),
        knn("bad rows, tabs", "a.tsv", bad.replace(',', "\t")).graph(3, &right).says(&["5", "malformed", "a.tsv", "line 3"]),
        knn("R's write.table", "a.csv", "\"x\",\"y\",\"z\"\n\"1\",1,2,3\n\"2\",4,5,6\n").code(&[1]).says(&["a.csv", "line 2"]).nothing_written(),
        knn("R's write.table, blanks", "a.csv", "\"x\" \"y\" \"z\"\n\"1\" 1 2 3\n\"2\" 4 5 6\n").code(&[1]).loud(),
        knn("a note with line breaks", "a.csv", "x,y,z,note\n1.5,2,100,\"a\n9,9,9,b\"\n-1.5,2,.25,\n3,-4,5,\"\"\"\"\n7,8,9.5,c\n").graph(3, &right).quiet(),
        knn("every column quoted", "a.csv", "\"x\",\"y\",\"z\"\n\"1.5\",\"2\",\"100\"\n\"-1.5\",\"2\",\".25\"\n\"3\",\"-4\",\"5\"\n\"7\",\"8\",\"9.5\"\n").graph(3, &right).quiet(),
        knn("upper case and blanks", "a.csv", " X , Y,Z \n1.5,2,100\n-1.5,2,.25\n3,-4,5\n7,8,9.5\n").graph(3, &right).quiet(),
        knn("upper case keys", "a.jsonl", table("X,Y , Z\n1.5,2,100\n-1.5,2,.25\n3,-4,5\n7,8,9.5\n").jsonl()).graph(3, &right).quiet(),
        knn("upper case fields", "a.parquet", table("X,Y , Z\n1.5,2,100\n-1.5,2,.25\n3,-4,5\n7,8,9.5\n").parquet()).graph(3, &right).quiet(),
        knn("numbers as strings", "a.jsonl", "{\"x\":\"1.5\",\"y\":\"2.000\",\"z\":\"1e2\"}\n{\"x\":-1.5,\"y\":2,\"z\":\"+.25\"}\n{\"x\":\"3\",\"y\":-4,\"z\":5}\n{\"x\":7,\"y\":8,\"z\":9.5}\n").graph(3, &right).quiet(),
        case("columns by other names", format!("{KNN} a.csv --columns x=East,y=north,z=Height")).file("a.csv", "EAST,North,height,id\n1.5,2,100,1\n-1.5,2,.25,2\n3,-4,5,3\n7,8,9.5,4\n").graph(3, &right).quiet(),
        case("a column that is not there", format!("{KNN} a.csv --columns x=East")).file("a.csv", "x,y,z\n1,2,3\n").code(&[1, 78]).says(&["east", "a.csv"]),
        knn("semicolons and decimal commas", "a.csv", "x;y;z;note\n1,5;2,000;100;a,b\n-1,5;2;0,25;\n3;-4;5;\n7;8;9,5;\n").graph(3, &right).quiet(),
        knn("semicolons and points", "a.csv", "x;y;z\n1.5;2.000;100\n-1.5;2;0.25\n3;-4;5\n7;8;9.5\n").graph(3, &right).quiet(),
        knn("semicolons and no header", "a.txt", "1,5;2,0;100\n-1,5;2;0,25\n3;-4;5\n7;8;9,5\n").graph(3, &right),
        knn("numbers where names are expected", "a.csv", "1.5,2,100\n-1.5,2,.25\n3,-4,5\n7,8,9.5\n").code(&[0, 1]).loud(),
    ];
    // Decimal commas where commas or blanks divide: the numbers, or a message with the line.
    let commas = [(0, vec![[1.5, 2.5, 3.5], [4.5, 5.5, 6.5], [7.5, 8.5, 9.5], [0.5, 1.5, 2.5]])];
    let body = "1,5 2,5 3,5\n4,5 5,5 6,5\n7,5 8,5 9,5\n0,5 1,5 2,5\n";
    let ply =
        "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\nend_header\n";
    let pcd = "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 4\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 4\nDATA ascii\n";
    for (file, bytes, line) in [
        ("a.ply", format!("{ply}{body}"), "line 8"),
        ("a.pcd", format!("{pcd}{body}"), "line 11"),
        ("a.xyz", body.into(), "line 1"),
        ("a.txt", body.replace(' ', "\t"), "line 1"),
        ("a.tsv", "x\ty\tz\n".to_string() + &body.replace(' ', "\t"), "line 2"),
    ] {
        let right = super::oracle::graph(3, &commas);
        cases.push(knn("decimal commas", file, bytes).code(&[0, 1]).judge(move |done| {
            if done.code == Some(0) && done.stderr.is_empty() {
                return super::same_edges(&done.edges("o.csv")?, &right);
            }
            let named = done.stderr.contains(file) && done.stderr.contains(line);
            if named { Ok(()) } else { Err(format!("right: the numbers, or {file} and {line} named")) }
        }));
    }
    check(cases);
}

#[test]
fn missing_and_infinite_coordinates_are_counted_in_every_format() {
    let good = cloud(5, 6);
    let mut cases = Vec::new();
    for missing in ["", "NA", "NaN", "null"] {
        let mut csv = "x,y,z\n".to_string();
        for [x, y, z] in &good {
            csv += &format!("{x},{y},{z}\n");
        }
        csv += &format!("{missing},1,2\n");
        for (file, bytes) in [
            ("a.csv", csv.clone().into_bytes()),
            ("a.tsv", csv.replace(',', "\t").into_bytes()),
            (
                "a.jsonl",
                table(&csv.replace("NA,1", ",1").replace("NaN,1", ",1").replace("null,1", ",1")).jsonl().into_bytes(),
            ),
            (
                "text.jsonl",
                csv.lines()
                    .skip(1)
                    .map(|line| {
                        let cells: Vec<_> = line.split(',').collect();
                        format!("{{\"x\":\"{}\",\"y\":{},\"z\":{}}}\n", cells[0], cells[1], cells[2])
                    })
                    .collect::<String>()
                    .into_bytes(),
            ),
            ("a.parquet", table(&csv.replace("NA,1", ",1").replace("NaN,1", ",1").replace("null,1", ",1")).parquet()),
        ] {
            // A point more that is in no graph: it is counted, one way or the other.
            cases.push(
                knn(&format!("missing is {missing:?}"), file, bytes)
                    .graph(3, &[(0, good.clone())])
                    .says(&["1", "malformed|non_finite|non-finite"]),
            );
        }
    }
    for (file, bytes) in [
        ("a.csv", b"x,y,z\n1,2,3\ninf,0,0\n2,2,2\n".to_vec()),
        ("a.bin", write::scan(&[[1.0, 2.0, 3.0], [f64::INFINITY, 0.0, 0.0], [2.0; 3]])),
        ("a.pcd", write::pcd(&[[1.0, 2.0, 3.0], [f64::NAN, 0.0, 0.0], [2.0; 3]])),
        ("a.ply", write::ply_doubles(&[[1.0, 2.0, 3.0], [f64::NEG_INFINITY, 0.0, 0.0], [2.0; 3]])),
        ("a.npy", write::npy(&[[1.0, 2.0, 3.0], [f64::NAN, 0.0, 0.0], [2.0; 3]], &[], false, false)),
    ] {
        let right = [(0, vec![[1.0, 2.0, 3.0], [f64::NAN; 3], [2.0; 3]])];
        cases.push(knn("not finite keeps its index", file, bytes).graph(3, &right).says(&[
            "1",
            "non_finite|non-finite|not finite",
            file,
        ]));
    }
    check(cases);
}

#[test]
fn an_optional_column_never_costs_a_point() {
    let points = cloud(12, 7);
    let one = [(0, points.clone())];
    let mut cases = Vec::new();
    let csv = |name: &str, cell: &dyn Fn(usize) -> String| {
        let rows = points.iter().enumerate().map(|(i, [x, y, z])| format!("{x},{y},{z},{}\n", cell(i)));
        format!("x,y,z,{name}\n") + &rows.collect::<String>()
    };
    let json = |name: &str, cell: &dyn Fn(usize) -> String| {
        let rows = points
            .iter()
            .enumerate()
            .map(|(i, [x, y, z])| format!("{{\"x\":{x},\"y\":{y},\"z\":{z},\"{name}\":{:?}}}\n", cell(i)));
        rows.collect::<String>()
    };
    let text = |name: &'static str, cell: &dyn Fn(usize) -> String| {
        with_axes(
            &points,
            vec![(name, Arc::new(StringArray::from_iter_values((0..points.len()).map(cell))) as ArrayRef)],
        )
    };
    type Cells = fn(usize) -> String;
    let usable: [(&str, Cells); 7] = [
        ("Classification", |i| if i % 2 == 0 { "2.000".into() } else { "5.000".into() }),
        ("class", |i| format!("{}", i % 5)),
        ("label", |i| if i == 3 { "-1".into() } else { "4".into() }),
        ("instance", |i| if i == 3 { "-1".into() } else { "4.0".into() }),
        ("Intensity", |i| format!("{:e}", i as f64 / 20.0)),
        ("intensity", |i| if i == 2 { "NA".into() } else { "0.5".into() }),
        ("time", |i| format!("2024-03-31 02:30:{i:02}")),
    ];
    let unusable: [(&str, Cells); 7] = [
        ("classification", |_| "ground".into()),
        ("class", |i| if i == 7 { "2.5".into() } else { "2".into() }),
        ("label", |i| if i == 11 { "99999999999".into() } else { "2".into() }),
        ("instance", |i| if i == 0 { "tree".into() } else { "2".into() }),
        ("intensity", |i| if i == 5 { "high".into() } else { "0.5".into() }),
        ("intensity", |_| "n/a".into()),
        ("time", |i| if i == 1 { "noon".into() } else { "1.5".into() }),
    ];
    for (list, warns) in [(usable, false), (unusable, true)] {
        for (column, cell) in list {
            for (file, bytes) in [
                ("a.csv", csv(column, &cell).into_bytes()),
                ("a.tsv", csv(column, &cell).replace(',', "\t").into_bytes()),
                ("a.jsonl", json(column, &cell).into_bytes()),
                ("a.parquet", text(column, &cell)),
            ] {
                let case = knn(&format!("{column} {}", cell(1)), file, bytes).graph(3, &one);
                cases.push(if warns { case.says(&[column, file]).inspect_says_too(file) } else { case.quiet() });
            }
        }
    }
    let typed: [(&'static str, ArrayRef); 4] = [
        ("class", Arc::new(Float64Array::from_iter_values((0..12).map(|i| f64::from(i % 4))))),
        ("intensity", Arc::new(Int64Array::from_iter_values((0..12).map(|i| i * 5_000)))),
        ("intensity", Arc::new(UInt8Array::from_iter_values((0..12).map(|i| i * 20)))),
        ("instance", Arc::new(Int64Array::from_iter((0..12).map(|i| (i % 2 == 0).then_some(i))))),
    ];
    for (column, array) in typed {
        cases.push(
            knn(&format!("typed {column}"), "a.parquet", with_axes(&points, vec![(column, array)])).graph(3, &one),
        );
    }
    check(cases);
}

#[test]
fn records_of_another_size_are_noticed() {
    let points = cloud(16, 8);
    let one = super::oracle::graph(3, &[(0, points.clone())]);
    let mut cases = Vec::new();
    let records: [(&str, Vec<u8>); 4] = [
        ("five floats", write::bin(&points, &[17.0, 3.0])),
        ("six floats", write::bin(&points, &[17.0, 3.0, 0.01])),
        (
            "four doubles",
            points.iter().flat_map(|p| p.iter().copied().chain([17.0])).flat_map(f64::to_le_bytes).collect(),
        ),
        ("five floats, intensities to 1", write::bin(&points, &[0.25, 31.0])),
    ];
    for (name, bytes) in records {
        let right = one.clone();
        cases.push(knn(name, "a.bin", bytes).code(&[0, 1]).judge(move |done| {
            if done.code == Some(0) && super::same_edges(&done.edges("o.csv")?, &right).is_ok() {
                return Ok(());
            }
            if done.stderr.contains("a.bin") {
                Ok(())
            } else {
                Err("right: 16 points, or a warning that names the file".into())
            }
        }));
    }
    check(cases);
}

/// Intensities of two kinds of surface on flat ground with a wall: (points, intensities from 0 to 1).
fn scene() -> (Vec<Point>, Vec<f64>) {
    let mut points = Vec::new();
    for i in 0..40 {
        for j in 0..10 {
            points.push([f64::from(i) / 2.0 - 10.0, f64::from(j) - 5.0 + f64::from(i % 3) / 8.0, -1.75]);
            if j < 6 {
                points.push([f64::from(i) / 2.0 - 10.0, 6.0, f64::from(j) / 2.0 - 1.5]);
            }
        }
    }
    let intensities = (0..points.len()).map(|i| (i * 37 % 200) as f64 / 256.0).collect();
    (points, intensities)
}

#[test]
fn intensities_have_the_scale_that_their_values_say_or_a_warning() {
    let (points, intensities) = scene();
    let csv = |scale: f64, top: f64| {
        let value = |i: usize| if i == 11 { top } else { intensities[i] * scale };
        let rows = points.iter().enumerate().map(|(i, [x, y, z])| format!("{x},{y},{z},{}\n", value(i)));
        "x,y,z,intensity\n".to_string() + &rows.collect::<String>()
    };
    let label = "run segment --input";
    let mut cases = Vec::new();
    // Right for v of 0 to 255 is what v / 255 gives; 256 is the one value beyond.
    for (name, wide, unit) in [
        ("0 to 255", csv(255.0, 255.0), csv(1.0, 1.0)),
        ("one 256", csv(255.0, 256.0), csv(1.0, 256.0 / 255.0)),
        ("one 300", csv(255.0, 300.0), csv(1.0, 300.0 / 255.0)),
        ("to 65535", csv(65535.0, 65535.0), csv(1.0, 1.0)),
    ] {
        for (file, bytes) in [
            ("a.csv", wide.clone().into_bytes()),
            ("a.jsonl", table(&wide).jsonl().into_bytes()),
            ("a.parquet", table(&wide).parquet()),
        ] {
            cases.push(
                case(format!("{name}, {file}"), format!("{label} {file} --output o.csv"))
                    .file("unit.csv", unit.clone())
                    .file(file, bytes)
                    .after(format!("{label} unit.csv --output unit-labels.csv"))
                    .judge(|done| {
                        let classes = |name: &str| -> Result<Vec<String>, String> {
                            Ok(done
                                .table(name)?
                                .into_iter()
                                .map(|mut row| row.remove("class").unwrap_or_default())
                                .collect())
                        };
                        let (found, right) = (classes("o.csv")?, classes("unit-labels.csv")?);
                        let differ = found.iter().zip(&right).filter(|(a, b)| a != b).count()
                            + found.len().abs_diff(right.len());
                        if differ == 0 || done.stderr.to_lowercase().contains("intensity") {
                            return Ok(());
                        }
                        Err(format!("{differ} of {} labels differ, silent", right.len()))
                    }),
            );
        }
    }
    check(cases);
}

#[test]
fn labels_are_train_ids_or_raw_ids() {
    const RAW: [u16; 20] = [0, 10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81];
    let (points, _) = scene();
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.csv"), points_table(&[(0, points.clone())], false).csv()).unwrap();
    let done = super::run(folder.path(), "run segment --input a.csv --output o.csv", &[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    // The program's own labels are the truth, but for a third of the points.
    let class = |row: &std::collections::BTreeMap<String, String>| row["class"].parse::<usize>().unwrap();
    let found: Vec<usize> = done.table("o.csv").unwrap().iter().map(class).collect();
    let train: Vec<usize> = found.iter().enumerate().map(|(i, &c)| if i % 3 == 0 { c % 19 + 1 } else { c }).collect();
    let right = found.iter().zip(&train).filter(|(a, b)| a == b).count() as f64 / found.len() as f64;
    let csv = |label: &dyn Fn(usize) -> String| {
        let rows = points.iter().enumerate().map(|(i, [x, y, z])| format!("{x},{y},{z},{}\n", label(i)));
        "x,y,z,label\n".to_string() + &rows.collect::<String>()
    };
    let mut cases = Vec::new();
    type Label<'a> = Box<dyn Fn(usize) -> String + 'a>;
    let ids: [(&str, Label); 4] = [
        ("train ids", Box::new(|i| train[i].to_string())),
        ("raw ids", Box::new(|i| RAW[train[i]].to_string())),
        ("raw ids as decimals", Box::new(|i| format!("{}.0", RAW[train[i]]))),
        ("moving ones", Box::new(|i| if train[i] == 1 { "252".into() } else { RAW[train[i]].to_string() })),
    ];
    for (name, label) in &ids {
        let csv = csv(label);
        for (file, bytes) in [
            ("a.csv", csv.clone().into_bytes()),
            ("a.jsonl", table(&csv).jsonl().into_bytes()),
            ("a.parquet", table(&csv).parquet()),
        ] {
            cases.push(
                case(format!("{name}, {file}"), format!("eval segment --input {file} --json")).file(file, bytes).judge(
                    move |done| {
                        let accuracy = done.json()?["accuracy"].as_f64().unwrap_or(f64::NAN);
                        if (accuracy - right).abs() < 1e-9 {
                            Ok(())
                        } else {
                            Err(format!("found accuracy {accuracy}, right: {right}"))
                        }
                    },
                ),
            );
        }
    }
    check(cases);
}

/// Points of a survey (m), UTM, in half metres; `stray` of them lie at 0 0 0.
fn survey(n: usize, stray: usize) -> Vec<Point> {
    let mut points: Vec<Point> =
        cloud(n, 9).iter().map(|[x, y, z]| [651_234.5 + x, 5_412_345.25 + y, 412.0 + z]).collect();
    points[..stray].fill([0.0; 3]);
    points
}

#[test]
fn a_stray_point_does_not_decide_the_origin() {
    let mut cases = Vec::new();
    for (n, stray) in [(60, 0), (60, 1), (61, 7), (4, 1), (2, 1)] {
        let points = survey(n, stray);
        let shift = origin(&points);
        let one = [(0, points.clone())];
        let table = points_table(&one, false);
        let mut files: Vec<(String, Vec<u8>)> = vec![
            ("a.csv".into(), table.csv().into_bytes()),
            ("a.jsonl".into(), table.jsonl().into_bytes()),
            ("a.parquet".into(), table.parquet()),
            ("a.arrow".into(), write::arrow_file(&table.batch())),
            ("a.pcd".into(), write::pcd_doubles(&points)),
            ("a.ply".into(), write::ply_doubles(&points)),
            ("a.npy".into(), write::npy(&points, &[], true, false)),
            ("a.xyz".into(), write::xyz(&points)),
        ];
        files.push(("a.las".into(), write::las(&points, 2)));
        for (file, bytes) in files {
            let line = format!("{KNN} {file} --json");
            cases.push(case(format!("{n} points, {stray} at 0: {file}"), line).file(file, bytes).graph(3, &one).judge(
                move |done| {
                    let found = &done.json()?["origin"];
                    if *found == serde_json::json!(shift) {
                        Ok(())
                    } else {
                        Err(format!("found origin {found}, right: {shift:?}"))
                    }
                },
            ));
        }
    }
    // The first frame decides for all.
    let frames = [(0, survey(9, 2)), (1, cloud(9, 10))];
    let table = points_table(&frames, true);
    cases.push(knn("two frames", "a.csv", table.csv()).graph(3, &frames));
    cases.push(knn("two frames", "a.parquet", table.parquet()).graph(3, &frames));
    check(cases);
}
