//! Stanford's PLY: ascii, binary_little_endian, binary_big_endian; the points are the element `vertex`.
//!
//! The header's text names the elements in file order, each with a count and its properties; elements before `vertex` are skipped, those after
//! it not looked at. Turk, "The PLY polygon file format", 1994.

use std::path::Path;

use thalweg::Frame;

use crate::error::{At, Error};
use crate::files::read_regular;
use crate::points::fields::{Field, Parts, frame};
use crate::points::format::{Format, one_frame};
use crate::points::options::ReadOptions;
use crate::points::scalar::Scalar;
use crate::points::text::{Column, Line, Lines, Text};

/// PLY, any of its three encodings.
pub const FORMAT: Format = Format {
    name: "ply",
    what: "Stanford polygon file: ascii, binary of either byte order",
    extensions: &["ply"],
    magic: &[b"ply\n", b"ply\r\n", b"ply "],
    many: false,
    open: |path, options| Ok(one_frame(path, options, read)),
};

/// How the elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Ascii,
    LittleEndian,
    BigEndian,
}

/// Most elements and properties of a header: far above any file seen, and a bound for what a crafted one may ask.
const MOST_NAMES: usize = 4096;

/// One element of the header.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) count: usize,
    pub(crate) properties: Vec<Column>,
}

/// A PLY file's header.
pub(crate) struct Header {
    pub(crate) encoding: Encoding,
    pub(crate) elements: Vec<Element>,
    /// Offset of the first byte after the header.
    pub(crate) data: usize,
    /// Number of the header's last line, from 1.
    pub(crate) line: u64,
}

impl Header {
    /// Reads the header that `bytes` begins with.
    ///
    /// # Errors
    /// A line that breaks the format.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Header, Error> {
        let bad =
            |line: &Line, expected: &str| Err(Error::malformed(path, At::Line(line.number), line.shown(), expected));
        let mut lines = Lines::new(bytes);
        match lines.next() {
            Some(line) if line.text().trim() == "ply" => {}
            Some(line) => return bad(&line, "ply"),
            None => return Err(Error::malformed(path, At::Header, "the end of the file", "ply")),
        }
        let (mut encoding, mut elements, mut names) = (None, Vec::<Element>::new(), 0);
        loop {
            let Some(line) = lines.next() else {
                return Err(Error::malformed(path, At::Header, "the end of the file", "a line end_header"));
            };
            let text = line.text();
            let words: Vec<_> = text.split_whitespace().take(6).collect();
            names += usize::from(matches!(words[..], ["element" | "property", ..]));
            if names > MOST_NAMES {
                return bad(&line, &format!("at most {MOST_NAMES} elements and properties"));
            }
            match words[..] {
                [] | ["comment" | "obj_info", ..] => {}
                ["format", "ascii", _] => encoding = Some(Encoding::Ascii),
                ["format", "binary_little_endian", _] => encoding = Some(Encoding::LittleEndian),
                ["format", "binary_big_endian", _] => encoding = Some(Encoding::BigEndian),
                ["element", name, count] => match count.parse() {
                    Ok(count) => elements.push(Element { name: name.into(), count, properties: vec![] }),
                    Err(_) => return bad(&line, "element NAME COUNT"),
                },
                ["property", "list", length, kind, name] => match (scalar(length), scalar(kind), elements.last_mut()) {
                    (Some(length), Some(scalar), Some(element)) => element
                        .properties
                        .push(Column { field: Field { name: name.into(), scalar }, length: Some(length) }),
                    _ => return bad(&line, "property list TYPE TYPE NAME below an element"),
                },
                ["property", kind, name] => match (scalar(kind), elements.last_mut()) {
                    (Some(scalar), Some(element)) => {
                        element.properties.push(Column { field: Field { name: name.into(), scalar }, length: None });
                    }
                    _ => return bad(&line, "property TYPE NAME below an element"),
                },
                ["end_header"] => {
                    let Some(encoding) = encoding else { return bad(&line, "a line format before it") };
                    return Ok(Header { encoding, elements, data: lines.offset(), line: line.number });
                }
                _ => return bad(&line, "a PLY header line: format, element, property, comment, …"),
            }
        }
    }

    /// The place of the element `vertex`.
    pub(crate) fn vertex(&self, path: &Path) -> Result<usize, Error> {
        let Some(place) = self.elements.iter().position(|e| e.name == "vertex") else {
            let names: Vec<_> = self.elements.iter().map(|e| e.name.as_str()).collect();
            let found = if names.is_empty() { "no element".into() } else { format!("elements {}", names.join(" ")) };
            return Err(Error::malformed(path, At::Header, found, "an element vertex"));
        };
        Ok(place)
    }
}

/// Which of the properties of a vertex play which part; a list plays none.
fn parts(path: &Path, properties: &[Column], options: &ReadOptions) -> Result<Parts, Error> {
    let single: Vec<_> = (0..properties.len()).filter(|&i| properties[i].length.is_none()).collect();
    let fields: Vec<_> = single.iter().map(|&i| properties[i].field.clone()).collect();
    let mut parts = Parts::find(path, &fields, options)?;
    parts.fields.iter_mut().for_each(|field| *field = single[*field]);
    Ok(parts)
}

fn scalar(name: &str) -> Option<Scalar> {
    Some(match name {
        "char" | "int8" => Scalar::I8,
        "uchar" | "uint8" => Scalar::U8,
        "short" | "int16" => Scalar::I16,
        "ushort" | "uint16" => Scalar::U16,
        "int" | "int32" => Scalar::I32,
        "uint" | "uint32" => Scalar::U32,
        "int64" => Scalar::I64,
        "uint64" => Scalar::U64,
        "float" | "float32" => Scalar::F32,
        "double" | "float64" => Scalar::F64,
        _ => return None,
    })
}

/// True if all vertices are in `bytes`, of a binary file with lists among them or before; `None` for another.
pub(crate) fn with_lists(path: &Path, bytes: &[u8]) -> Option<bool> {
    let header = Header::parse(path, bytes).ok().filter(|header| header.encoding != Encoding::Ascii)?;
    let place = header.vertex(path).ok()?;
    let mut at = header.data;
    for element in &header.elements[..=place] {
        at = match skip_bytes(path, std::slice::from_ref(element), bytes, at, header.encoding) {
            Ok(at) => at,
            Err(_) => return Some(false),
        };
    }
    (header.elements[place].count > 0).then_some(true)
}

/// Bytes up to the last vertex of a whole file that begins with `head`, where its header says so: rows of text and lists do not, nor does a
/// count of 0, which a writer may fill in at the end.
pub(crate) fn length(path: &Path, head: &[u8]) -> Option<u64> {
    let header = Header::parse(path, head).ok()?;
    let place = header.vertex(path).ok()?;
    let mut bytes = header.data;
    for element in &header.elements[..=place] {
        if header.encoding == Encoding::Ascii || element.properties.iter().any(|p| p.length.is_some()) {
            return None;
        }
        let record: usize = element.properties.iter().map(|p| p.field.scalar.size()).sum();
        bytes = bytes.checked_add(record.checked_mul(element.count)?)?;
    }
    (header.elements[place].count > 0).then_some(bytes as u64)
}

/// Reads a PLY file's vertices.
///
/// # Errors
/// A header that breaks the format, no vertices with x, y and z, or data that end before the last vertex.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    let bytes = read_regular(path)?;
    if bytes.is_empty() {
        return Ok(Frame { path: Some(path.into()), ..Frame::default() });
    }
    let header = Header::parse(path, &bytes)?;
    let place = header.vertex(path)?;
    let Element { properties, count, .. } = &header.elements[place];
    let parts = parts(path, properties, options)?;
    let (before, count) = (&header.elements[..place], *count);
    match header.encoding {
        Encoding::Ascii => {
            let mut lines = Lines::after(&bytes[header.data..], header.line);
            skip_lines(path, before, &mut lines)?;
            let (start, line) = (header.data + lines.offset(), lines.number());
            let text = Text { path, columns: properties, wanted: &parts.fields };
            text.check_count(count, bytes.len() - start, start)?;
            let mut end = start;
            let frame = frame(path, options, &parts, count, |take| {
                let mut lines = Lines::after(&bytes[start..], line);
                text.rows(&mut lines, count, take)?;
                end = start + lines.offset();
                Ok(())
            })?;
            let left = Lines::new(&bytes[end..]).filter(|line| !line.bytes.trim_ascii().is_empty()).count();
            let behind = left.saturating_sub(lines_of(&header.elements[place + 1..]));
            if behind > 0 {
                options.warn("ply behind", path, format!("{behind} lines behind the {count} vertices of the header"));
            }
            Ok(frame)
        }
        encoding => {
            let start = skip_bytes(path, before, &bytes, header.data, encoding)?;
            let vertices = Vertices { path, properties, wanted: &parts.fields, count, bytes: &bytes, start, encoding };
            vertices.check_count()?;
            let mut end = start;
            let frame = frame(path, options, &parts, count, |take| {
                end = vertices.rows(take)?;
                Ok(())
            })?;
            if place + 1 == header.elements.len() && end < bytes.len() {
                options.warn("ply behind", path, format!("{} bytes behind the last vertex", bytes.len() - end));
            }
            Ok(frame)
        }
    }
}

/// The vertices of a binary file.
struct Vertices<'a> {
    path: &'a Path,
    properties: &'a [Column],
    wanted: &'a [usize],
    count: usize,
    bytes: &'a [u8],
    /// Offset of the first vertex.
    start: usize,
    encoding: Encoding,
}

impl Vertices<'_> {
    /// Bytes that a vertex takes at least: those of its numbers and of the lengths of its lists.
    fn least(&self) -> usize {
        self.properties.iter().map(|p| p.length.unwrap_or(p.field.scalar).size()).sum()
    }

    fn check_count(&self) -> Result<(), Error> {
        let (size, lists) = (self.least(), self.properties.iter().any(|p| p.length.is_some()));
        let whole = (self.bytes.len() - self.start) / size;
        if whole >= self.count {
            return Ok(());
        }
        let least = if lists { "or more " } else { "" };
        Err(Error::malformed(
            self.path,
            At::Offset((self.start + whole * size) as u64),
            format!("the end of the file after {whole} whole vertices of {size} {least}bytes"),
            format!("{} vertices", self.count),
        ))
    }

    /// Calls `take` with the wanted values of each vertex; the offset behind the last.
    fn rows(&self, take: &mut dyn FnMut(&[f64])) -> Result<usize, Error> {
        let mut row = vec![0.0; self.wanted.len()];
        if self.properties.iter().all(|p| p.length.is_none()) {
            let size = self.least();
            let offset = |field: usize| self.properties[..field].iter().map(|p| p.field.scalar.size()).sum::<usize>();
            let wanted: Vec<_> = self.wanted.iter().map(|&f| (offset(f), self.properties[f].field.scalar)).collect();
            for record in self.bytes[self.start..].chunks_exact(size).take(self.count) {
                for (value, (offset, scalar)) in row.iter_mut().zip(&wanted) {
                    *value = number(self.encoding, *scalar, &record[*offset..]);
                }
                take(&row);
            }
            return Ok(self.start + size * self.count);
        }
        let mut part_of = vec![None; self.properties.len()];
        for (part, &property) in self.wanted.iter().enumerate() {
            part_of[property] = Some(part);
        }
        let mut at = self.start;
        for done in 0..self.count {
            for (property, part) in self.properties.iter().zip(&part_of) {
                let next = step(self.bytes, at, property, self.encoding).map_err(|stopped| match stopped {
                    Stopped::End => {
                        let found = format!("the end of the file after {done} whole vertices");
                        let expected = format!("{} vertices", self.count);
                        Error::malformed(self.path, At::Offset(at as u64), found, expected)
                    }
                    Stopped::Length(found) => no_list(self.path, property, found, at),
                })?;
                if let Some(part) = *part {
                    row[part] = number(self.encoding, property.field.scalar, &self.bytes[at..]);
                }
                at = next;
            }
            take(&row);
        }
        Ok(at)
    }
}

/// Why a property cannot be stepped over.
enum Stopped {
    /// The file ends before.
    End,
    /// A list that is so long.
    Length(f64),
}

/// The offset behind the property that stands at `at`.
fn step(bytes: &[u8], mut at: usize, property: &Column, encoding: Encoding) -> Result<usize, Stopped> {
    let mut numbers = 1;
    if let Some(length) = property.length {
        let here = bytes.get(at..).filter(|rest| rest.len() >= length.size()).ok_or(Stopped::End)?;
        let stated = number(encoding, length, here);
        if !(stated >= 0.0 && stated.fract() == 0.0) {
            return Err(Stopped::Length(stated));
        }
        numbers = stated as usize;
        at += length.size();
    }
    let size = numbers.saturating_mul(property.field.scalar.size());
    if size <= bytes.len() - at { Ok(at + size) } else { Err(Stopped::End) }
}

fn number(encoding: Encoding, scalar: Scalar, bytes: &[u8]) -> f64 {
    if encoding == Encoding::BigEndian { scalar.big_endian(bytes) } else { scalar.little_endian(bytes) }
}

/// Steps over the rows of elements in a text: a line each, blank lines aside.
fn skip_lines(path: &Path, elements: &[Element], lines: &mut Lines) -> Result<(), Error> {
    for element in elements.iter().filter(|e| !e.properties.is_empty()) {
        let mut done = 0;
        while done < element.count {
            match lines.next() {
                Some(line) => done += usize::from(!line.bytes.trim_ascii().is_empty()),
                None => return Err(ended(path, element, done, At::Line(lines.number()))),
            }
        }
    }
    Ok(())
}

/// The offset behind the records of `elements`, the first of which begins at `at`.
fn skip_bytes(
    path: &Path,
    elements: &[Element],
    bytes: &[u8],
    mut at: usize,
    encoding: Encoding,
) -> Result<usize, Error> {
    for element in elements.iter().filter(|e| !e.properties.is_empty()) {
        for done in 0..element.count {
            for property in &element.properties {
                at = step(bytes, at, property, encoding).map_err(|stopped| match stopped {
                    Stopped::End => ended(path, element, done, At::Offset(at as u64)),
                    Stopped::Length(found) => no_list(path, property, found, at),
                })?;
            }
        }
    }
    Ok(at)
}

/// Lines that the rows of elements take in a text.
fn lines_of(elements: &[Element]) -> usize {
    elements.iter().filter(|e| !e.properties.is_empty()).fold(0, |lines, element| lines.saturating_add(element.count))
}

fn no_list(path: &Path, property: &Column, length: f64, at: usize) -> Error {
    let found = format!("a list {} of {length} numbers", property.field.name);
    Error::malformed(path, At::Offset(at as u64), found, "a whole number of them, 0 or more")
}

fn ended(path: &Path, element: &Element, done: usize, at: At) -> Error {
    let expected = format!("{} of the element {}", element.count, element.name);
    Error::malformed(path, at, format!("the end of the file after {done} whole rows"), expected)
}
