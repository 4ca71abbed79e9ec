//! A sheet as the bytes of a file, format by format.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Decimal128Array, DurationMicrosecondArray, DurationSecondArray, Float32Array, Float64Array,
    Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use flate2::{Compression, write::GzEncoder};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::edit::{Cell, Column, Mean, Sheet};
use crate::mutate::Random;

/// What stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Csv,
    Jsonl,
    Parquet,
    Arrow,
}

/// A file's name and bytes.
pub fn bytes(sheet: &Sheet, form: Form, random: &mut Random) -> (String, Vec<u8>) {
    let (ending, bytes) = match form {
        Form::Csv => ("csv", csv(sheet)),
        Form::Jsonl => ("jsonl", jsonl(sheet)),
        Form::Parquet => return ("a.parquet".into(), parquet(&batch(sheet), sheet.dress.group)),
        Form::Arrow => return ("a.arrow".into(), ipc(&batch(sheet), sheet.dress.group, random.below(2) == 0)),
    };
    if !sheet.dress.packed {
        return (format!("a.{ending}"), bytes);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    (format!("a.{ending}.gz"), encoder.finish().unwrap())
}

/// The columns and their types, for messages.
pub fn types(sheet: &Sheet) -> String {
    let column = |c: &Column| {
        format!(
            "{:?} {}: {:?}",
            c.header,
            array(c, sheet).data_type(),
            c.cells.iter().map(|cell| &cell.text).collect::<Vec<_>>()
        )
    };
    sheet.columns.iter().map(column).collect::<Vec<_>>().join("; ")
}

/// The cell of a ragged record that is junk where a record cannot be ragged.
fn spoilt<'a>(sheet: &Sheet, column: &Column, row: usize, junk: &'a Cell) -> Option<&'a Cell> {
    (sheet.ragged.contains_key(&row) && ["x", "t"].contains(&column.role)).then_some(junk)
}

fn junk() -> Cell {
    Cell { mean: Mean::Junk, text: "spoilt".into(), json: Some(serde_json::json!("spoilt")), bytes: None }
}

fn csv(sheet: &Sheet) -> Vec<u8> {
    let dress = &sheet.dress;
    let divider = [b',', b'\t', b';', b';'][dress.divider];
    let end: &[u8] = if dress.crlf { b"\r\n" } else { b"\n" };
    let mut out = if dress.mark && !dress.utf16 { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    let put = |out: &mut Vec<u8>, text: &[u8], quoted: bool| {
        let needs = text.iter().any(|b| [divider, b'"', b'\n', b'\r'].contains(b));
        if quoted || needs {
            out.push(b'"');
            text.iter().for_each(|&b| if b == b'"' { out.extend(b"\"\"") } else { out.push(b) });
            out.push(b'"');
        } else if dress.padded {
            out.push(b' ');
            out.extend(text);
            out.extend(b"  ");
        } else {
            out.extend(text);
        }
    };
    for (i, column) in sheet.columns.iter().enumerate() {
        if i > 0 {
            out.push(divider);
        }
        put(&mut out, column.header.as_bytes(), dress.quoted);
    }
    out.extend(end);
    for row in 0..sheet.rows {
        if dress.blank_lines && row % 2 == 1 {
            out.extend(end);
        }
        let fewer = usize::from(sheet.ragged.get(&row) == Some(&false));
        for (i, column) in sheet.columns.iter().enumerate().take(sheet.columns.len() - fewer) {
            if i > 0 {
                out.push(divider);
            }
            let cell = &column.cells[row];
            let comma =
                dress.divider == 3 && matches!(cell.mean, Mean::Number(_) | Mean::Time(_)) && !cell.text.contains(':');
            let text = if comma { cell.text.replace('.', ",") } else { cell.text.clone() };
            put(&mut out, cell.bytes.as_deref().unwrap_or(text.as_bytes()), dress.quoted);
        }
        if sheet.ragged.get(&row) == Some(&true) {
            out.push(divider);
            out.push(b'9');
        }
        out.extend(end);
    }
    if dress.torn_end {
        out.truncate(out.len() - end.len());
    }
    if dress.utf16 {
        let text = String::from_utf8_lossy(&out).into_owned();
        out = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    }
    out
}

fn jsonl(sheet: &Sheet) -> Vec<u8> {
    let spoil = junk();
    let mut text = if sheet.dress.mark { "\u{feff}".to_string() } else { String::new() };
    let end = if sheet.dress.crlf { "\r\n" } else { "\n" };
    for row in 0..sheet.rows {
        if sheet.dress.blank_lines && row % 2 == 1 {
            text += end;
        }
        let mut object = serde_json::Map::new();
        for column in &sheet.columns {
            let cell = spoilt(sheet, column, row, &spoil).unwrap_or(&column.cells[row]);
            if let Some(value) = &cell.json {
                object.insert(column.header.clone(), value.clone());
            }
        }
        text += &serde_json::Value::Object(object).to_string();
        text += end;
    }
    if sheet.dress.torn_end {
        text.truncate(text.len() - end.len());
    }
    text.into_bytes()
}

/// A column in a type that can say all that its cells mean.
fn array(column: &Column, sheet: &Sheet) -> ArrayRef {
    let spoil = junk();
    let cells: Vec<&Cell> =
        (0..sheet.rows).map(|row| spoilt(sheet, column, row, &spoil).unwrap_or(&column.cells[row])).collect();
    let numbers: Option<Vec<Option<f64>>> = cells
        .iter()
        .map(|cell| match &cell.mean {
            Mean::Number(v) => Some(Some(*v)),
            Mean::Missing => Some(None),
            _ => None,
        })
        .collect();
    let seconds: Option<Vec<Option<i64>>> = cells
        .iter()
        .map(|cell| match &cell.mean {
            Mean::Time(ns) => Some(Some(ns / 1_000_000_000)),
            Mean::Missing => Some(None),
            _ => None,
        })
        .collect();
    let whole: Option<Vec<Option<i64>>> = numbers.as_ref().and_then(|numbers| {
        numbers
            .iter()
            .map(|v| match v {
                None => Some(None),
                Some(v) if v.fract() == 0.0 => Some(Some(*v as i64)),
                Some(_) => None,
            })
            .collect()
    });
    let ids: Option<Vec<Option<i64>>> = cells
        .iter()
        .map(|cell| match &cell.mean {
            Mean::Text(text) => text.parse().ok().filter(|n: &i64| n.to_string() == *text).map(Some),
            Mean::Missing => Some(None),
            _ => None,
        })
        .collect();
    let scaled = |factor: i64| move |v: &Option<i64>| v.map(|v| v * factor);
    // A cell that is junk only as the bytes of CSV has a text all the same.
    let texts = || {
        cells.iter().map(|cell| {
            (cell.mean != Mean::Missing || cell.json.is_some() && !cell.text.is_empty()).then(|| cell.text.clone())
        })
    };
    match (column.kind, numbers, seconds, whole, ids) {
        (0, Some(v), _, _, _) => Arc::new(Float64Array::from(v)),
        (1, Some(v), _, _, _) => Arc::new(Float32Array::from_iter(v.into_iter().map(|v| v.map(|v| v as f32)))),
        (2, Some(v), _, _, _) => {
            let thousandths = v.into_iter().map(|v| v.map(|v| (v * 1000.0) as i128));
            Arc::new(Decimal128Array::from_iter(thousandths).with_precision_and_scale(24, 3).unwrap())
        }
        (3, _, _, Some(v), _) => Arc::new(Int64Array::from(v)),
        (4, _, _, Some(v), _) => Arc::new(Int32Array::from_iter(v.into_iter().map(|v| v.map(|v| v as i32)))),
        (5, _, _, Some(v), _) if column.role == "duration" => Arc::new(DurationSecondArray::from(v)),
        (6, Some(v), _, _, _) if column.role == "duration" => {
            Arc::new(DurationMicrosecondArray::from_iter(v.into_iter().map(|v| v.map(|v| (v * 1e6) as i64))))
        }
        (7, Some(v), _, _, _) => Arc::new(Float64Array::from_iter_values(v.into_iter().map(|v| v.unwrap_or(f64::NAN)))),
        (0, _, Some(v), _, _) => Arc::new(Int64Array::from(v)),
        (1, _, Some(v), _, _) => Arc::new(TimestampSecondArray::from(v)),
        (2, _, Some(v), _, _) => Arc::new(TimestampMillisecondArray::from_iter(v.iter().map(scaled(1000)))),
        (3, _, Some(v), _, _) => {
            Arc::new(TimestampMicrosecondArray::from_iter(v.iter().map(scaled(1_000_000))).with_timezone("UTC"))
        }
        (4, _, Some(v), _, _) => {
            Arc::new(TimestampNanosecondArray::from_iter(v.iter().map(scaled(1_000_000_000))).with_timezone("+05:00"))
        }
        (5, _, Some(v), _, _) => Arc::new(Float64Array::from_iter(v.into_iter().map(|v| v.map(|v| v as f64)))),
        (0 | 3, _, _, _, Some(v)) if ["i", "j"].contains(&column.role) => Arc::new(Int64Array::from(v)),
        (4 | 5, ..) => Arc::new(LargeStringArray::from_iter(texts())),
        _ => Arc::new(StringArray::from_iter(texts())),
    }
}

fn batch(sheet: &Sheet) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        sheet.columns.iter().map(|column| (&column.header, array(column, sheet), true)),
    )
    .unwrap()
}

fn parquet(batch: &RecordBatch, group: usize) -> Vec<u8> {
    let rows = (group > 0).then_some(group);
    let properties = WriterProperties::builder().set_max_row_group_row_count(rows).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn ipc(batch: &RecordBatch, group: usize, stream: bool) -> Vec<u8> {
    let size = if group > 0 { group } else { batch.num_rows() };
    let batches = (0..batch.num_rows()).step_by(size).map(|at| batch.slice(at, size.min(batch.num_rows() - at)));
    if stream {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        batches.for_each(|batch| writer.write(&batch).unwrap());
        return writer.into_inner().unwrap();
    }
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    batches.for_each(|batch| writer.write(&batch).unwrap());
    writer.into_inner().unwrap()
}
