//! Point Cloud Library's PCD: ascii, binary and binary_compressed (LZF over the fields, one after the other).
//!
//! The header's text names each field, its SIZE, TYPE and COUNT, and the number of POINTS. A record has no padding but what the header names
//! (`_`). A non-finite point keeps its index. VIEWPOINT (position, then a quaternion, w first) is the frame's pose, less the origin on both of its
//! sides; one that is no rigid transform is none, with a warning. <https://pointclouds.org/documentation/tutorials/pcd_file_format.html>

use std::path::Path;

use thalweg::{Frame, Pose};

use crate::error::{At, Error};
use crate::files::read_regular;
use crate::points::fields::{Field, Parts, frame};
use crate::points::format::{Format, one_frame};
use crate::points::lzf;
use crate::points::options::ReadOptions;
use crate::points::scalar::{Scalar, first};
use crate::points::text::{Column, Lines, Text};

/// PCD, any of its three encodings.
pub const FORMAT: Format = Format {
    name: "pcd",
    what: "Point Cloud Library: ascii, binary, binary_compressed",
    extensions: &["pcd"],
    magic: &[b"# .PCD", b"VERSION "],
    many: false,
    open: |path, options| Ok(one_frame(path, options, read)),
};

/// How the records are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Ascii,
    Binary,
    Compressed,
}

/// A PCD file's header.
pub(crate) struct Header {
    /// Fields with COUNT above 1 are named `name[0]`, `name[1]`, …
    pub(crate) fields: Vec<Field>,
    pub(crate) points: usize,
    pub(crate) encoding: Encoding,
    /// `world_from_sensor`, if the header has one.
    viewpoint: Option<Pose>,
    /// Number of a line VIEWPOINT that cannot be used, and the line as messages show it.
    unusable: Option<(u64, String)>,
    /// Offset of the first byte after the header.
    pub(crate) data: usize,
    /// Number of the header's last line, from 1.
    pub(crate) line: u64,
}

/// Most numbers that one record may have: far above any file seen, and a bound for what a crafted COUNT may ask.
const MOST_FIELDS: usize = 4096;

impl Header {
    /// Reads the header that `bytes` begins with.
    ///
    /// # Errors
    /// A line that breaks the format, or declared sizes that the file cannot hold.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Header, Error> {
        let (mut names, mut sizes, mut types, mut counts) = (vec![], vec![], vec![], vec![]);
        let (mut width, mut height, mut points) = (None, 1, None);
        let (mut viewpoint, mut unusable) = (None, None);
        let mut lines = Lines::new(bytes);
        loop {
            let Some(line) = lines.next() else {
                return Err(Error::malformed(path, At::Header, "the end of the file", "a line DATA"));
            };
            let bad = |expected: &str| Error::malformed(path, At::Line(line.number), line.shown(), expected);
            let number = |word: Option<&str>| {
                let parsed = word.and_then(|w| w.parse::<usize>().ok());
                parsed.ok_or_else(|| bad("a number"))
            };
            let text = line.text();
            let mut words = text.split_whitespace().take(2 + MOST_FIELDS);
            match words.next() {
                None => continue,
                Some(comment) if comment.starts_with('#') => continue,
                Some("VERSION") => {}
                Some("VIEWPOINT") => {
                    viewpoint = pose(words);
                    unusable = viewpoint.is_none().then(|| (line.number, line.shown()));
                }
                Some("FIELDS" | "COLUMNS") => names = words.map(str::to_string).collect(),
                Some("SIZE") => sizes = words.map(|w| number(Some(w))).collect::<Result<_, _>>()?,
                Some("TYPE") => types = words.map(str::to_string).collect(),
                Some("COUNT") => counts = words.map(|w| number(Some(w))).collect::<Result<_, _>>()?,
                Some("WIDTH") => width = Some(number(words.next())?),
                Some("HEIGHT") => height = number(words.next())?,
                Some("POINTS") => points = Some(number(words.next())?),
                Some("DATA") => {
                    let encoding = match words.next() {
                        Some("ascii") => Encoding::Ascii,
                        Some("binary") => Encoding::Binary,
                        Some("binary_compressed") => Encoding::Compressed,
                        _ => return Err(bad("DATA ascii, binary or binary_compressed")),
                    };
                    let fields = fields(path, names, &sizes, &types, &counts)?;
                    let points = number_of_points(path, width, height, points)?;
                    let (data, line) = (lines.offset(), line.number);
                    return Ok(Header { fields, points, encoding, viewpoint, unusable, data, line });
                }
                Some(_) => return Err(bad("a PCD header entry: VERSION, FIELDS, SIZE, …")),
            }
        }
    }

    /// Bytes of a record.
    fn record(&self) -> usize {
        self.fields.iter().map(|f| f.scalar.size()).sum()
    }
}

/// The transform of a VIEWPOINT `tx ty tz qw qx qy qz`; the quaternion need not be a unit.
fn pose<'a>(words: impl Iterator<Item = &'a str>) -> Option<Pose> {
    let values: Vec<f64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let [tx, ty, tz, w, x, y, z] = values.try_into().ok()?;
    let n = w * w + x * x + y * y + z * z;
    if !(n.is_finite() && n > 0.0 && [tx, ty, tz].iter().all(|t: &f64| t.is_finite())) {
        return None;
    }
    let s = 2.0 / n;
    Some(Pose([
        [1.0 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y), tx],
        [s * (x * y + w * z), 1.0 - s * (x * x + z * z), s * (y * z - w * x), ty],
        [s * (x * z - w * y), s * (y * z + w * x), 1.0 - s * (x * x + y * y), tz],
    ]))
}

/// The pose of points that have lost `origin`, in a world that has lost it too: `R (p + origin) + t − origin`.
fn less_origin(pose: &Pose, origin: [f64; 3]) -> Pose {
    let mut shifted = *pose;
    for ((row, moved), origin) in shifted.0.iter_mut().zip(pose.apply(origin)).zip(origin) {
        row[3] = moved - origin;
    }
    shifted
}

fn fields(
    path: &Path,
    names: Vec<String>,
    sizes: &[usize],
    types: &[String],
    counts: &[usize],
) -> Result<Vec<Field>, Error> {
    let one_each = |what: &str, found: usize| {
        let expected = format!("one for each of the {} fields", names.len());
        (found == names.len())
            .then_some(())
            .ok_or_else(|| Error::malformed(path, At::Field(what.into()), format!("{found} entries"), expected))
    };
    one_each("SIZE", sizes.len())?;
    one_each("TYPE", types.len())?;
    if !counts.is_empty() {
        one_each("COUNT", counts.len())?;
    }
    let mut fields = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        let scalar = match (types[i].as_str(), sizes[i]) {
            ("F", 4) => Scalar::F32,
            ("F", 8) => Scalar::F64,
            ("I", 1) => Scalar::I8,
            ("I", 2) => Scalar::I16,
            ("I", 4) => Scalar::I32,
            ("I", 8) => Scalar::I64,
            ("U", 1) => Scalar::U8,
            ("U", 2) => Scalar::U16,
            ("U", 4) => Scalar::U32,
            ("U", 8) => Scalar::U64,
            (kind, size) => {
                let found = format!("TYPE {kind} of SIZE {size}");
                return Err(Error::malformed(path, At::Field(name), found, "F 4 8, I or U 1 2 4 8"));
            }
        };
        let count = counts.get(i).copied().unwrap_or(1);
        if count > MOST_FIELDS - fields.len() {
            let found = format!("COUNT {count}");
            return Err(Error::malformed(path, At::Field(name), found, format!("at most {MOST_FIELDS} in a record")));
        }
        if count == 1 {
            fields.push(Field { name, scalar });
        } else {
            fields.extend((0..count).map(|k| Field { name: format!("{name}[{k}]"), scalar }));
        }
    }
    Ok(fields)
}

fn number_of_points(path: &Path, width: Option<usize>, height: usize, points: Option<usize>) -> Result<usize, Error> {
    let area = width.map(|width| width.saturating_mul(height));
    match (area, points) {
        (None, None) => Err(Error::malformed(path, At::Header, "neither WIDTH nor POINTS", "a number of points")),
        (Some(area), Some(points)) if area != points => Err(Error::malformed(
            path,
            At::Field("POINTS".into()),
            points.to_string(),
            format!("WIDTH × HEIGHT = {area}"),
        )),
        (Some(number), _) | (None, Some(number)) => Ok(number),
    }
}

/// Bytes of a whole file that begins with `head`, where its header says so: rows of text do not, nor does a count of 0,
/// which a writer may fill in at the end.
pub(crate) fn length(path: &Path, head: &[u8]) -> Option<u64> {
    let header = Header::parse(path, head).ok().filter(|header| header.points > 0)?;
    let bytes = match header.encoding {
        Encoding::Ascii => return None,
        Encoding::Binary => header.points.checked_mul(header.record())? as u64,
        Encoding::Compressed => match head.get(header.data..header.data + 4) {
            Some(packed) => 8 + u64::from(u32::from_le_bytes(first(packed))),
            None => 8,
        },
    };
    Some(header.data as u64 + bytes)
}

/// Reads a PCD file.
///
/// # Errors
/// A header that breaks the format or lacks x, y or z, or data that end before the last point.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    let bytes = read_regular(path)?;
    if bytes.is_empty() {
        return Ok(Frame { path: Some(path.into()), ..Frame::default() });
    }
    let header = Header::parse(path, &bytes)?;
    let parts = Parts::find(path, &header.fields, options)?;
    let mut frame = match header.encoding {
        Encoding::Ascii => ascii(path, options, &header, &parts, &bytes),
        Encoding::Binary => {
            let records = sized(path, &header, bytes.len() - header.data)?;
            tell_behind(path, options, bytes.len() - header.data - records);
            by_row(path, options, &header, &parts, &bytes[header.data..][..records])
        }
        Encoding::Compressed => by_column(path, options, &header, &parts, &decompressed(path, &header, &bytes)?),
    }?;
    frame.pose = header.viewpoint.map(|pose| less_origin(&pose, frame.origin));
    if let Some((line, found)) = header.unusable {
        let expected = "VIEWPOINT and 7 numbers, tx ty tz qw qx qy qz, the last four not all 0";
        options.warn(
            "viewpoint",
            path,
            format!("line {line}: found {found}, expected {expected}: read without a pose"),
        );
    }
    Ok(frame)
}

/// Warns of bytes that the header does not count.
fn tell_behind(path: &Path, options: &ReadOptions, bytes: usize) {
    if bytes > 0 {
        options.warn("pcd behind", path, format!("{bytes} bytes behind the last point"));
    }
}

/// Bytes that the records take, if `available` holds them.
fn sized(path: &Path, header: &Header, available: usize) -> Result<usize, Error> {
    let need = header.points.saturating_mul(header.record());
    if need > available {
        let whole = available / header.record();
        return Err(Error::malformed(
            path,
            At::Offset((header.data + whole * header.record()) as u64),
            format!("the end of the file after {whole} whole records of {} bytes", header.record()),
            format!("{} records", header.points),
        ));
    }
    Ok(need)
}

fn by_row(path: &Path, options: &ReadOptions, header: &Header, parts: &Parts, data: &[u8]) -> Result<Frame, Error> {
    let mut offsets = vec![0];
    offsets.extend(header.fields.iter().scan(0, |at, field| {
        *at += field.scalar.size();
        Some(*at)
    }));
    let wanted: Vec<_> = parts.fields.iter().map(|&f| (offsets[f], header.fields[f].scalar)).collect();
    let mut row = vec![0.0; wanted.len()];
    frame(path, options, parts, header.points, |take| {
        for record in data.chunks_exact(header.record()) {
            for (value, (offset, scalar)) in row.iter_mut().zip(&wanted) {
                *value = scalar.little_endian(&record[*offset..]);
            }
            take(&row);
        }
        Ok(())
    })
}

fn by_column(path: &Path, options: &ReadOptions, header: &Header, parts: &Parts, data: &[u8]) -> Result<Frame, Error> {
    let mut columns = vec![0];
    columns.extend(header.fields.iter().scan(0, |at, field| {
        *at += field.scalar.size() * header.points;
        Some(*at)
    }));
    let wanted: Vec<_> = parts.fields.iter().map(|&f| (&data[columns[f]..], header.fields[f].scalar)).collect();
    let mut row = vec![0.0; wanted.len()];
    frame(path, options, parts, header.points, |take| {
        for point in 0..header.points {
            for (value, (column, scalar)) in row.iter_mut().zip(&wanted) {
                *value = scalar.little_endian(&column[point * scalar.size()..]);
            }
            take(&row);
        }
        Ok(())
    })
}

/// Checks both stated sizes, then decompresses.
fn decompressed(path: &Path, header: &Header, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let body = &bytes[header.data..];
    let at = |offset: usize| At::Offset((header.data + offset) as u64);
    if body.len() < 8 {
        let found = format!("{} bytes before the end of the file", body.len());
        return Err(Error::malformed(path, at(0), found, "8 bytes: compressed and uncompressed size"));
    }
    let (packed, unpacked) = (u32::from_le_bytes(first(body)) as usize, u32::from_le_bytes(first(&body[4..])) as usize);
    let Some(input) = body[8..].get(..packed) else {
        let found = format!("{} bytes before the end of the file", body.len() - 8);
        return Err(Error::malformed(path, at(8), found, format!("{packed} compressed bytes")));
    };
    if header.points.checked_mul(header.record()) != Some(unpacked) {
        let expected = format!("{} points of {} bytes", header.points, header.record());
        return Err(Error::malformed(path, at(4), format!("an uncompressed size of {unpacked}"), expected));
    }
    if unpacked > packed.saturating_mul(lzf::MOST_PER_BYTE) {
        let found = format!("{packed} compressed bytes");
        return Err(Error::malformed(path, at(0), found, format!("enough for {unpacked} uncompressed")));
    }
    lzf::decompress(input, unpacked).map_err(|broken| {
        Error::malformed(path, at(8 + broken.at), broken.found, format!("{unpacked} bytes of LZF data"))
    })
}

fn ascii(path: &Path, options: &ReadOptions, header: &Header, parts: &Parts, bytes: &[u8]) -> Result<Frame, Error> {
    let body = &bytes[header.data..];
    let columns: Vec<_> = header.fields.iter().map(|field| Column { field: field.clone(), length: None }).collect();
    let text = Text { path, columns: &columns, wanted: &parts.fields };
    text.check_count(header.points, body.len(), header.data)?;
    let mut behind = 0;
    let frame = frame(path, options, parts, header.points, |take| {
        let mut lines = Lines::after(body, header.line);
        text.rows(&mut lines, header.points, take)?;
        behind = body[lines.offset()..].trim_ascii().len();
        Ok(())
    })?;
    tell_behind(path, options, behind);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewpoint_is_the_pose_and_knows_of_the_origin() {
        let viewpoint = |text: &str| pose(text.split_whitespace());
        // A quarter turn about z, by a quaternion that is no unit; then the default.
        let turned = viewpoint("10 20 30 2 0 0 2").unwrap();
        assert_eq!(turned, Pose([[0.0, -1.0, 0.0, 10.0], [1.0, 0.0, 0.0, 20.0], [0.0, 0.0, 1.0, 30.0]]));
        assert_eq!(viewpoint("0 0 0 1 0 0 0"), Some(Pose::IDENTITY));
        for wrong in [
            "",
            "0 0 0 1 0 0",
            "0 0 0 1 0 0 0 0",
            "0 0 0 0 0 0 0",
            "nan 0 0 1 0 0 0",
            "0 0 0 inf 0 0 0",
            "0 0 x 1 0 0 0",
        ] {
            assert_eq!(viewpoint(wrong), None, "{wrong}");
        }
        let origin = [1000.0, -2000.0, 0.0];
        let [x, y, z] = turned.apply([1003.0, -2004.0, 5.0]);
        assert_eq!(less_origin(&turned, origin).apply([3.0, -4.0, 5.0]), [x - 1000.0, y + 2000.0, z]);
    }
}
