//! Cells of Arrow columns as text: JSON values for JSONL and for lists in CSV, bare text for CSV.
//!
//! Numbers are the shortest decimals that read back to the same bits.

use std::io::Write;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::publish::StagedFile;
use crate::error::{At, Error};

/// Writes one cell.
type Cell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// How text differs between the formats.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Strings in quotation marks, `null`, and numbers as JSON has them: an infinity is written `1e999`, which readers of JSON
    /// take for one; NaN is `null`.
    Json,
    /// Bare strings quoted where CSV needs it, an empty cell for null, `inf`, `NaN`.
    Csv,
}

/// One writer a column of the batch.
///
/// # Errors
/// A column of a type that no output has.
pub(crate) fn cells<'a>(path: &Path, batch: &'a RecordBatch, style: Style) -> Result<Vec<Cell<'a>>, Error> {
    let one = |(field, array): (&arrow::datatypes::FieldRef, &'a ArrayRef)| {
        cell(array, style).ok_or_else(|| {
            let at = At::Field(field.name().clone());
            Error::malformed(path, at, field.data_type().to_string(), "integers, floats, strings, lists or structures")
        })
    };
    batch.schema_ref().fields().iter().zip(batch.columns()).map(one).collect()
}

fn cell(array: &ArrayRef, style: Style) -> Option<Cell<'_>> {
    let write: Cell<'_> = match array.data_type() {
        DataType::Int8 => integers::<Int8Type>(array),
        DataType::Int16 => integers::<Int16Type>(array),
        DataType::Int32 => integers::<Int32Type>(array),
        DataType::Int64 => integers::<Int64Type>(array),
        DataType::UInt8 => integers::<UInt8Type>(array),
        DataType::UInt16 => integers::<UInt16Type>(array),
        DataType::UInt32 => integers::<UInt32Type>(array),
        DataType::UInt64 => integers::<UInt64Type>(array),
        DataType::Float32 => floats::<Float32Type>(array, style),
        DataType::Float64 => floats::<Float64Type>(array, style),
        DataType::Utf8 => {
            let strings = array.as_string::<i32>();
            Box::new(move |row, out| text(strings.value(row), style, out))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let values = cell(dictionary.values(), style)?;
            let keys = dictionary.normalized_keys();
            Box::new(move |row, out| values(keys[row], out))
        }
        DataType::List(_) => nested(style, list(array)?),
        DataType::Struct(_) => nested(style, structure(array)?),
        _ => return None,
    };
    let null: &[u8] = if style == Style::Json { b"null" } else { b"" };
    Some(if array.null_count() == 0 {
        write
    } else {
        Box::new(move |row, out| if array.is_null(row) { out.extend_from_slice(null) } else { write(row, out) })
    })
}

/// A list as JSON.
fn list(array: &ArrayRef) -> Option<Cell<'_>> {
    let list = array.as_list::<i32>();
    let values = cell(list.values(), Style::Json)?;
    Some(Box::new(move |row, out| {
        let ends = &list.value_offsets()[row..row + 2];
        out.push(b'[');
        for item in ends[0]..ends[1] {
            if item > ends[0] {
                out.push(b',');
            }
            values(item as usize, out);
        }
        out.push(b']');
    }))
}

/// A structure as a JSON object.
fn structure(array: &ArrayRef) -> Option<Cell<'_>> {
    let fields = array.as_struct();
    let members: Option<Vec<_>> = fields
        .fields()
        .iter()
        .zip(fields.columns())
        .map(|(f, a)| Some((key(f.name()), cell(a, Style::Json)?)))
        .collect();
    let members = members?;
    Some(Box::new(move |row, out| object(&members, row, out)))
}

/// Writes a line a row, of which `line` appends the text without its end.
pub(crate) fn write_lines(
    file: &mut StagedFile,
    rows: usize,
    mut line: impl FnMut(usize, &mut Vec<u8>),
) -> Result<(), Error> {
    let mut out = Vec::new();
    for row in 0..rows {
        line(row, &mut out);
        out.push(b'\n');
        if out.len() >= 1 << 16 || row + 1 == rows {
            file.write_all(&out).map_err(|e| Error::io(file.destination(), e))?;
            out.clear();
        }
    }
    Ok(())
}

/// A JSON object of one row: its keys as [`key`] makes them, and their cells.
pub(crate) fn object(members: &[(Vec<u8>, Cell<'_>)], row: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (key, value)) in members.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key);
        value(row, out);
    }
    out.push(b'}');
}

/// A key of an object, its colon included.
pub(crate) fn key(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    text(name, Style::Json, &mut out);
    out.push(b':');
    out
}

/// JSON as it is, or as one CSV cell.
fn nested(style: Style, json: Cell<'_>) -> Cell<'_> {
    if style == Style::Json {
        return json;
    }
    Box::new(move |row, out| {
        let mut inner = Vec::new();
        json(row, &mut inner);
        quote(&inner, out);
    })
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef) -> Cell<'_>
where
    T::Native: std::fmt::Display,
{
    let values = array.as_primitive::<T>().values();
    Box::new(move |row, out| {
        // Writing to memory cannot fail.
        let _ = write!(out, "{}", values[row]);
    })
}

fn floats<T: ArrowPrimitiveType>(array: &ArrayRef, style: Style) -> Cell<'_>
where
    T::Native: serde::Serialize + Into<f64> + Copy,
{
    let values = array.as_primitive::<T>().values();
    Box::new(move |row, out| {
        let value: f64 = values[row].into();
        let special: &[u8] = match (style, value) {
            (Style::Csv, f64::INFINITY) => b"inf",
            (Style::Csv, f64::NEG_INFINITY) => b"-inf",
            (Style::Csv, v) if v.is_nan() => b"NaN",
            (Style::Json, f64::INFINITY) => b"1e999",
            (Style::Json, f64::NEG_INFINITY) => b"-1e999",
            _ => b"",
        };
        if special.is_empty() {
            let _ = serde_json::to_writer(out, &values[row]);
        } else {
            out.extend_from_slice(special);
        }
    })
}

fn text(value: &str, style: Style, out: &mut Vec<u8>) {
    match style {
        Style::Json => {
            let _ = serde_json::to_writer(out, value);
        }
        Style::Csv if value.bytes().any(|b| matches!(b, b'"' | b',' | b'\n' | b'\r')) => quote(value.as_bytes(), out),
        Style::Csv => out.extend_from_slice(value.as_bytes()),
    }
}

/// A CSV cell in quotation marks, those inside doubled (RFC 4180).
fn quote(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in value {
        out.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
    }
    out.push(b'"');
}
