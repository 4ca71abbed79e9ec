//! One table in every format, and points in every other format, written apart from the program's own writers where it has any.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use flate2::{Compression, write::GzEncoder};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::oracle::Point;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(String),
    Whole(i64),
    Number(f64),
    Missing,
}

/// A table: names of columns, and rows of cells.
#[derive(Clone, Debug)]
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// Records of CSV, quoted cells and line breaks in them included.
pub fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut some) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        some = true;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
                some = false;
            }
            c => cell.push(c),
        }
    }
    if some {
        record.push(cell);
        records.push(record);
    }
    records
}

/// A table from CSV: a column of whole numbers is one, one of numbers is one, every other is text; an empty cell is missing.
pub fn table(csv: &str) -> Table {
    let mut records = records(csv).into_iter();
    let header = records.next().unwrap();
    let rows: Vec<Vec<String>> = records.collect();
    let column = |i: usize| rows.iter().map(move |row| row[i].as_str()).filter(|cell| !cell.is_empty());
    let whole: Vec<bool> = (0..header.len()).map(|i| column(i).all(|cell| cell.parse::<i64>().is_ok())).collect();
    let number: Vec<bool> = (0..header.len()).map(|i| column(i).all(|cell| cell.parse::<f64>().is_ok())).collect();
    let cell = |(i, cell): (usize, &String)| {
        if cell.is_empty() {
            Cell::Missing
        } else if whole[i] {
            Cell::Whole(cell.parse().unwrap())
        } else if number[i] {
            Cell::Number(cell.parse().unwrap())
        } else {
            Cell::Text(cell.clone())
        }
    };
    Table { rows: rows.iter().map(|row| row.iter().enumerate().map(cell).collect()).collect(), header }
}

/// A table of points, with a frame column if `frames` is true.
pub fn points_table(frames: &[(i64, Vec<Point>)], with_frame: bool) -> Table {
    let names = if with_frame { &["frame", "x", "y", "z"][..] } else { &["x", "y", "z"] };
    let mut rows = Vec::new();
    for (frame, points) in frames {
        for point in points {
            let mut row = if with_frame { vec![Cell::Whole(*frame)] } else { Vec::new() };
            row.extend(point.map(Cell::Number));
            rows.push(row);
        }
    }
    Table { header: names.iter().map(|name| name.to_string()).collect(), rows }
}

impl Table {
    fn text(cell: &Cell, point: char) -> String {
        match cell {
            Cell::Text(text) => text.clone(),
            Cell::Whole(n) => n.to_string(),
            Cell::Number(n) => n.to_string().replace('.', &point.to_string()),
            Cell::Missing => String::new(),
        }
    }

    /// Text with a divider and a decimal point of one's choice; cells that need it are quoted.
    pub fn divided(&self, by: char, point: char) -> String {
        let quoted = |text: String| {
            if text.contains([by, '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
        };
        let line = |cells: Vec<String>| cells.into_iter().map(quoted).collect::<Vec<_>>().join(&by.to_string()) + "\n";
        let mut text = line(self.header.clone());
        for row in &self.rows {
            text += &line(row.iter().map(|cell| Table::text(cell, point)).collect());
        }
        text
    }

    pub fn csv(&self) -> String {
        self.divided(',', '.')
    }

    pub fn jsonl(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let value = |cell: &Cell| match cell {
                Cell::Text(text) => serde_json::json!(text),
                Cell::Whole(n) => serde_json::json!(n),
                Cell::Number(n) => serde_json::json!(n),
                Cell::Missing => serde_json::Value::Null,
            };
            let object: serde_json::Map<_, _> = self.header.iter().cloned().zip(row.iter().map(value)).collect();
            text += &serde_json::Value::Object(object).to_string();
            text.push('\n');
        }
        text
    }

    pub fn batch(&self) -> RecordBatch {
        let column = |i: usize| -> ArrayRef {
            let cells = || self.rows.iter().map(move |row| &row[i]);
            if cells().any(|cell| matches!(cell, Cell::Text(_))) {
                return Arc::new(StringArray::from_iter(
                    cells().map(|cell| (*cell != Cell::Missing).then(|| Table::text(cell, '.'))),
                ));
            }
            if cells().any(|cell| matches!(cell, Cell::Number(_))) {
                let number = |cell: &Cell| match cell {
                    Cell::Number(n) => Some(*n),
                    Cell::Whole(n) => Some(*n as f64),
                    _ => None,
                };
                return Arc::new(Float64Array::from_iter(cells().map(number)));
            }
            Arc::new(Int64Array::from_iter(cells().map(|cell| match cell {
                Cell::Whole(n) => Some(*n),
                _ => None,
            })))
        };
        RecordBatch::try_from_iter_with_nullable(
            self.header.iter().enumerate().map(|(i, name)| (name, column(i), true)),
        )
        .unwrap()
    }

    pub fn parquet(&self) -> Vec<u8> {
        parquet(&self.batch(), WriterProperties::default())
    }

    /// The table in every format: (ending, bytes).
    pub fn everywhere(&self) -> Vec<(&'static str, Vec<u8>)> {
        let batch = self.batch();
        let crlf = self.csv().replace('\n', "\r\n");
        vec![
            ("csv", self.csv().into_bytes()),
            ("bom.csv", ["\u{feff}", &self.csv()].concat().into_bytes()),
            ("crlf.csv", crlf.into_bytes()),
            ("tsv", self.divided('\t', '.').into_bytes()),
            ("semicolon.csv", self.divided(';', ',').into_bytes()),
            ("csv.gz", gz(self.csv().as_bytes())),
            ("tsv.gz", gz(self.divided('\t', '.').as_bytes())),
            ("jsonl", self.jsonl().into_bytes()),
            ("jsonl.gz", gz(self.jsonl().as_bytes())),
            ("parquet", self.parquet()),
            ("arrow", arrow_file(&batch)),
            ("stream.arrow", arrow_stream(&batch)),
        ]
    }
}

pub fn parquet(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// A Parquet file of named arrays.
pub fn parquet_of(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    parquet(&batch_of(columns), WriterProperties::default())
}

pub fn batch_of(columns: Vec<(&str, Arc<dyn Array>)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

pub fn arrow_file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

pub fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Little-endian floats, each point with the same further values.
pub fn bin(points: &[Point], more: &[f32]) -> Vec<u8> {
    points
        .iter()
        .flat_map(|p| p.map(|v| v as f32).into_iter().chain(more.iter().copied()))
        .flat_map(f32::to_le_bytes)
        .collect()
}

/// x, y, z and 0.5.
pub fn scan(points: &[Point]) -> Vec<u8> {
    bin(points, &[0.5])
}

fn lines(points: &[Point], by: &str) -> String {
    points.iter().map(|[x, y, z]| format!("{x}{by}{y}{by}{z}\n")).collect()
}

pub fn pcd(points: &[Point]) -> Vec<u8> {
    let n = points.len();
    format!(
        "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {n}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n\
         POINTS {n}\nDATA ascii\n{}",
        lines(points, " ")
    )
    .into_bytes()
}

/// Binary, of doubles.
pub fn pcd_doubles(points: &[Point]) -> Vec<u8> {
    let n = points.len();
    let mut bytes = format!(
        "VERSION .7\nFIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {n}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n\
         POINTS {n}\nDATA binary\n"
    )
    .into_bytes();
    bytes.extend(points.iter().flatten().flat_map(|v| v.to_le_bytes()));
    bytes
}

fn ply_header(form: &str, n: usize, kind: &str, more: &str) -> String {
    format!(
        "ply\nformat {form} 1.0\nelement vertex {n}\nproperty {kind} x\nproperty {kind} y\nproperty {kind} z\n{more}end_header\n"
    )
}

pub fn ply(points: &[Point]) -> Vec<u8> {
    (ply_header("ascii", points.len(), "float", "") + &lines(points, " ")).into_bytes()
}

/// Binary, of doubles.
pub fn ply_doubles(points: &[Point]) -> Vec<u8> {
    let mut bytes = ply_header("binary_little_endian", points.len(), "double", "").into_bytes();
    bytes.extend(points.iter().flatten().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// With a list among the properties of a vertex, of another length each, and a property behind it.
pub fn ply_lists(points: &[Point], binary: bool) -> Vec<u8> {
    let more = "property list uchar float echoes\nproperty uchar flag\n";
    let n = points.len();
    if !binary {
        let line = |(i, [x, y, z]): (usize, &Point)| format!("{x} {y} {z} {}{} 7\n", i % 3, " 9.5".repeat(i % 3));
        return (ply_header("ascii", n, "float", more) + &points.iter().enumerate().map(line).collect::<String>())
            .into_bytes();
    }
    let mut bytes = ply_header("binary_little_endian", n, "float", more).into_bytes();
    for (i, point) in points.iter().enumerate() {
        bytes.extend(point.iter().flat_map(|v| (*v as f32).to_le_bytes()));
        bytes.push((i % 3) as u8);
        bytes.extend(std::iter::repeat_n(9.5f32.to_le_bytes(), i % 3).flatten());
        bytes.push(7);
    }
    bytes
}

/// NumPy's array file, version 1.0: rows of as many numbers as `more` and three; `f8` or `f4`, in C or Fortran order.
pub fn npy(points: &[Point], more: &[f64], double: bool, fortran: bool) -> Vec<u8> {
    let (n, width) = (points.len(), 3 + more.len());
    let (kind, order) = (if double { "<f8" } else { "<f4" }, if fortran { "True" } else { "False" });
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': ({n}, {width}), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    let row = |p: &Point| p.iter().chain(more).copied().collect::<Vec<f64>>();
    let rows: Vec<Vec<f64>> = points.iter().map(row).collect();
    let values: Vec<f64> = if fortran {
        (0..width).flat_map(|column| rows.iter().map(move |row| row[column])).collect()
    } else {
        rows.concat()
    };
    for value in values {
        if double { bytes.extend(value.to_le_bytes()) } else { bytes.extend((value as f32).to_le_bytes()) }
    }
    bytes
}

/// Text without a header, blanks between.
pub fn xyz(points: &[Point]) -> Vec<u8> {
    lines(points, " ").into_bytes()
}

/// Leica's PTS: a count, then x, y, z, intensity, red, green, blue.
pub fn pts(points: &[Point]) -> Vec<u8> {
    let line = |[x, y, z]: &Point| format!("{x} {y} {z} -1200 10 20 30\n");
    (format!("{}\n", points.len()) + &points.iter().map(line).collect::<String>()).into_bytes()
}

/// CloudCompare's export with a header.
pub fn cloudcompare(points: &[Point]) -> Vec<u8> {
    ("//X,Y,Z\n".to_string() + &lines(points, ",")).into_bytes()
}

/// LAS 1.`minor` with point format 0 (1.2) or 6 (1.4, 1.5), scale 1/4 m.
pub fn las(points: &[Point], minor: u8) -> Vec<u8> {
    let (header, format, record) = match minor {
        2 => (227u16, 0u8, 20u16),
        4 => (375, 6, 30),
        _ => (393, 6, 30),
    };
    let n = points.len();
    let mut bytes = vec![0u8; usize::from(header)];
    let mut put = |at: usize, with: &[u8]| bytes[at..at + with.len()].copy_from_slice(with);
    put(0, b"LASF");
    put(24, &[1, minor]);
    put(90, &100u16.to_le_bytes());
    put(92, &2024u16.to_le_bytes());
    put(94, &header.to_le_bytes());
    put(96, &u32::from(header).to_le_bytes());
    put(104, &[format]);
    put(105, &record.to_le_bytes());
    if format == 0 {
        put(107, &(n as u32).to_le_bytes());
        put(111, &(n as u32).to_le_bytes());
    }
    for axis in 0..3 {
        put(131 + 8 * axis, &0.25f64.to_le_bytes());
        let values = points.iter().map(|p| p[axis]);
        put(179 + 16 * axis, &values.clone().fold(f64::MIN, f64::max).to_le_bytes());
        put(187 + 16 * axis, &values.fold(f64::MAX, f64::min).to_le_bytes());
    }
    if minor >= 4 {
        put(247, &(n as u64).to_le_bytes());
        put(255, &(n as u64).to_le_bytes());
    }
    for point in points {
        bytes.extend(point.iter().flat_map(|v| ((v * 4.0) as i32).to_le_bytes()));
        bytes.extend(100u16.to_le_bytes());
        if format == 0 {
            bytes.extend([0x09, 2, 0, 0, 0, 0]);
        } else {
            bytes.extend([0x11, 0, 2, 0, 0, 0, 0, 0]);
            bytes.extend(1.0f64.to_le_bytes());
        }
    }
    bytes
}
