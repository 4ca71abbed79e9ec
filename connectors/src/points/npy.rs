//! NumPy's `.npy`: an array `[points, 3 or more]` of numbers, or a structured array with fields x, y, z.
//!
//! The header is a Python literal with the element type, the order of the axes and the shape. Of a plain array the columns are x, y, z and, if there
//! is a fourth, the intensity. NEP 1 and `numpy.lib.format`, versions 1.0 to 3.0.

use std::io::Read as _;
use std::path::Path;

use thalweg::Frame;
use thalweg::points::radar::JOINTS;

use crate::error::{At, Error};
use crate::files::{open_regular, read_regular};
use crate::points::fields::{Field, Parts, frame};
use crate::points::format::{Format, one_frame};
use crate::points::options::ReadOptions;
use crate::points::scalar::{Scalar, first};

/// NumPy arrays.
pub const FORMAT: Format = Format {
    name: "npy",
    what: "NumPy array [points, 3 or more], or structured with x, y, z",
    extensions: &["npy"],
    magic: &[MAGIC],
    many: false,
    open: |path, options| Ok(one_frame(path, options, read)),
};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Most fields of a structured array.
const MOST_FIELDS: usize = 4096;

/// Most numbers of a point in a plain array: one of `[3, points]` has more.
const MOST_COLUMNS: usize = 16;

/// An array's header, checked.
pub(crate) struct Header {
    fields: Vec<Placed>,
    /// Bytes of a point, or of one number where columns stand one after the other.
    record: usize,
    /// Numbers of a column stand together.
    by_column: bool,
    points: usize,
    /// Offset of the first byte after the header.
    data: usize,
    /// An array `[frames, joints, 3]` of bodies.
    joints: bool,
}

/// True if a file is an array of the joints of bodies: the truth of a recording, and no frame.
pub(crate) fn holds_joints(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = open_regular(path).is_ok_and(|file| file.take(4096).read_to_end(&mut head).is_ok());
    read && Header::parse(path, &head).is_ok_and(|header| header.joints)
}

/// A number of each point: what it is, its offset in the record (or its column), and its byte order.
struct Placed {
    field: Field,
    at: usize,
    big: bool,
}

impl Header {
    /// Bytes of the whole file, as far as the header says.
    pub(crate) fn length(&self) -> Option<u64> {
        let columns = if self.by_column { self.fields.len() } else { 1 };
        let points = self.points.checked_mul(self.record)?.checked_mul(columns)?;
        Some(points.checked_add(self.data)? as u64)
    }

    /// Reads the header that `bytes` begins with.
    ///
    /// # Errors
    /// A header that breaks the format, or an array that is no list of points.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Header, Error> {
        let bad = |found: String, expected: &str| Err(Error::malformed(path, At::Header, found, expected));
        if !bytes.starts_with(MAGIC) || bytes.len() < 10 {
            return bad(format!("{} bytes", bytes.len()), "the signature of NumPy, and a header behind it");
        }
        let (start, length): (usize, usize) = match bytes[6] {
            1 => (10, usize::from(u16::from_le_bytes(first(&bytes[8..])))),
            2 | 3 if bytes.len() >= 12 => (12, u32::from_le_bytes(first(&bytes[8..])) as usize),
            version => return bad(format!("version {version}"), "version 1, 2 or 3"),
        };
        let Some(text) = bytes.get(start..start.saturating_add(length)) else {
            return bad(format!("{} bytes", bytes.len() - start), &format!("a header of {length}"));
        };
        let text = String::from_utf8_lossy(text);
        let Some((types, by_column, shape)) = literal(&text) else {
            let short: String = text.chars().take(80).collect();
            return bad(format!("{short:?}"), "descr, fortran_order and shape");
        };
        let unsupported = |found: String| {
            Err(Error::unsupported(path, found, "numbers [points, 3 to 16], or a structured array with x, y, z"))
        };
        let count = |axes: &[usize]| axes.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        let axis = |t: &&Type| t.name.as_deref().is_some_and(|name| matches!(name, "x" | "y" | "z" | "X" | "Y" | "Z"));
        if let Some(Type { name: Some(name), code, .. }) = types.iter().find(|t| axis(t) && t.scalar.is_none()) {
            return unsupported(format!("an array {shape:?} with {name} of type {code}"));
        }
        let (fields, record, by_column, points) = match (types.as_slice(), shape.as_slice()) {
            ([Type { name: None, scalar: Some(scalar), big, .. }], [rows @ .., columns])
                if !rows.is_empty() && (3..=MOST_COLUMNS).contains(columns) && (rows.len() == 1 || !by_column) =>
            {
                let names = ["x", "y", "z", "intensity"];
                let named = |i: usize| names.get(i).map_or_else(|| format!("column {i}"), |name| (*name).to_string());
                let step = if by_column { 1 } else { scalar.size() };
                let place = |i| Placed { field: Field { name: named(i), scalar: *scalar }, at: i * step, big: *big };
                let record = if by_column { scalar.size() } else { columns * scalar.size() };
                ((0..*columns).map(place).collect(), record, by_column, count(rows))
            }
            (types, shape) if types.iter().all(|t| t.name.is_some()) => {
                let mut at = 0usize;
                let mut fields = Vec::new();
                for Type { name, scalar, size, big, .. } in types {
                    if let (Some(name), Some(scalar)) = (name, scalar) {
                        let field = Field { name: name.clone(), scalar: *scalar };
                        fields.push(Placed { field, at, big: *big });
                    }
                    at = at.saturating_add(*size);
                }
                (fields, at, false, count(shape))
            }
            (types, shape) => {
                let of = |t: &Type| format!("{}type {}", if t.scalar.is_some() { "numbers of " } else { "" }, t.code);
                let types: Vec<_> = types.iter().map(of).collect();
                let order = if by_column { ", columns one after the other" } else { "" };
                return unsupported(format!("an array {shape:?} of {}{order}", types.join(", ")));
            }
        };
        let Some(points) = points else { return unsupported(format!("a shape {shape:?}")) };
        let joints = matches!(shape.as_slice(), [_, JOINTS, 3]);
        Ok(Header { fields, record, by_column, points, data: start + length, joints })
    }
}

/// One element type of the header; `scalar` is `None` for what is no single number (text, complex, arrays).
struct Type {
    name: Option<String>,
    /// As the header spells it.
    code: String,
    scalar: Option<Scalar>,
    size: usize,
    big: bool,
}

/// `<f4`: byte order, kind, size.
fn of_code(name: Option<String>, code: String) -> Option<Type> {
    let mut rest = code.chars();
    let order = rest.next()?;
    let (kind, size) = match order {
        '<' | '>' | '|' | '=' => (rest.next()?, rest.as_str()),
        kind => (kind, rest.as_str()),
    };
    let size: usize = size.parse().ok().filter(|&size| size <= 1 << 20)?;
    let scalar = match (kind, size) {
        ('f', 4) => Some(Scalar::F32),
        ('f', 8) => Some(Scalar::F64),
        ('i', 1) => Some(Scalar::I8),
        ('i', 2) => Some(Scalar::I16),
        ('i', 4) => Some(Scalar::I32),
        ('i', 8) => Some(Scalar::I64),
        ('u' | 'b', 1) => Some(Scalar::U8),
        ('u', 2) => Some(Scalar::U16),
        ('u', 4) => Some(Scalar::U32),
        ('u', 8) => Some(Scalar::U64),
        ('f' | 'c' | 'S' | 'V' | 'M' | 'm', _) => None,
        ('U', _) => return Some(Type { name, code, scalar: None, size: size * 4, big: false }),
        _ => return None,
    };
    let big = order == '>';
    Some(Type { name, code, scalar, size, big })
}

/// The element types, whether columns stand one after the other, and the shape of `{'descr': …, 'fortran_order': …, 'shape': (…), }`.
fn literal(text: &str) -> Option<(Vec<Type>, bool, Vec<usize>)> {
    let after = |key: &str| {
        let at = text.find(&format!("'{key}'"))? + key.len() + 2;
        Some(text[at..].trim_start().strip_prefix(':')?.trim_start())
    };
    let by_column = after("fortran_order")?.starts_with("True");
    let shape = numbers(after("shape")?)?.0;
    let descr = after("descr")?;
    let quoted = |text: &str| Some(text.strip_prefix('\'')?.split_once('\'')?.0.to_string());
    if let Some(code) = quoted(descr) {
        // What is no number has no size that matters.
        let other = Type { name: None, code: code.clone(), scalar: None, size: 0, big: false };
        return Some((vec![of_code(None, code).unwrap_or(other)], by_column, shape));
    }
    let mut types = Vec::new();
    let mut rest = descr.strip_prefix('[')?.trim_start();
    while let Some(entry) = rest.strip_prefix('(') {
        let name = quoted(entry.trim_start())?;
        let entry = entry.trim_start()[name.len() + 2..].trim_start().strip_prefix(',')?.trim_start();
        let code = quoted(entry)?;
        let mut entry = entry[code.len() + 2..].trim_start();
        let mut element = of_code(Some(name), code)?;
        if let Some(shaped) = entry.strip_prefix(',').map(str::trim_start).filter(|s| s.starts_with('(')) {
            let (axes, behind) = numbers(shaped)?;
            let many = axes.iter().try_fold(1usize, |all, &n| all.checked_mul(n))?;
            element.size = element.size.checked_mul(many)?;
            element.scalar = element.scalar.filter(|_| many == 1);
            entry = behind.trim_start();
        }
        types.push(element);
        rest = entry.strip_prefix(')')?.trim_start().trim_start_matches(',').trim_start();
        if types.len() > MOST_FIELDS {
            return None;
        }
    }
    (rest.starts_with(']') && !types.is_empty()).then_some((types, by_column, shape))
}

/// The numbers of a tuple `(2, 3,)`, and what follows it.
fn numbers(text: &str) -> Option<(Vec<usize>, &str)> {
    let (inner, rest) = text.strip_prefix('(')?.split_once(')')?;
    let words = inner.split(',').map(str::trim).filter(|word| !word.is_empty()).take(16);
    Some((words.map(|word| word.trim_end_matches('L').parse().ok()).collect::<Option<_>>()?, rest))
}

/// Reads the points of an array.
///
/// # Errors
/// A header that breaks the format, an array that is no list of points, or data that end before the last point.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    let bytes = read_regular(path)?;
    if bytes.is_empty() {
        return Ok(Frame { path: Some(path.into()), ..Frame::default() });
    }
    let header = Header::parse(path, &bytes)?;
    let fields: Vec<Field> = header.fields.iter().map(|placed| placed.field.clone()).collect();
    let parts = Parts::find(path, &fields, options)?;
    let length = header.length().unwrap_or(u64::MAX);
    if length > bytes.len() as u64 {
        let found = format!("the end of the file at {}", bytes.len());
        return Err(Error::malformed(path, At::Offset(bytes.len() as u64), found, format!("{} points", header.points)));
    }
    if length < bytes.len() as u64 {
        options.warn("npy behind", path, format!("{} bytes behind the last point", bytes.len() as u64 - length));
    }
    let data = &bytes[header.data..];
    let wanted: Vec<_> = parts.fields.iter().map(|&f| &header.fields[f]).collect();
    let mut row = vec![0.0; wanted.len()];
    frame(path, options, &parts, header.points, |take| {
        for point in 0..header.points {
            for (value, placed) in row.iter_mut().zip(&wanted) {
                let at = if header.by_column {
                    (placed.at * header.points + point) * header.record
                } else {
                    point * header.record + placed.at
                };
                let (scalar, number) = (placed.field.scalar, &data[at..]);
                *value = if placed.big { scalar.big_endian(number) } else { scalar.little_endian(number) };
            }
            take(&row);
        }
        Ok(())
    })
}
