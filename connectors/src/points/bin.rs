//! Raw f32 records: KITTI `.bin` (x, y, z, remission) and nuScenes `.pcd.bin` (x, y, z, intensity, ring), little-endian.
//!
//! Metres in the sensor's frame. KITTI's remission is 0–1, nuScenes' intensity 0–255. The length of the file is the number of records: an empty
//! file is an empty frame, a torn last record an error, and so is text, or another format under the name. A `.bin` says nothing of its records:
//! other sizes are held against the numbers (`record_size`). Geiger et al., CVPR 2012; Caesar et al., CVPR 2020.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use thalweg::Frame;

use crate::error::{At, Error};
use crate::files::read_regular;
use crate::points::format::{Format, one_frame};
use crate::points::intensity::scaled;
use crate::points::known;
use crate::points::options::ReadOptions;
use crate::points::record_size::{Eight, eight, likely};
use crate::points::registry::FORMATS;
use crate::points::scalar::Scalar;
use crate::points::text::Lines;

/// KITTI's format: 16 bytes a point.
pub const KITTI: Format = Format {
    name: "kitti-bin",
    what: "KITTI velodyne scan: f32 x, y, z, remission",
    extensions: &["bin"],
    magic: &[],
    many: false,
    open: |path, options| Ok(one_frame(path, options, read_kitti)),
};

/// nuScenes' format: 20 bytes a point.
pub const NUSCENES: Format = Format {
    name: "nuscenes",
    what: "nuScenes LIDAR_TOP sweep: f32 x, y, z, intensity, ring",
    extensions: &["pcd.bin"],
    magic: &[],
    many: false,
    open: |path, options| Ok(one_frame(path, options, read_nuscenes)),
};

/// Reads a KITTI scan.
///
/// # Errors
/// A length that is no multiple of 16, text or another format.
pub fn read_kitti(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    read_records(path, 4, 1.0, options)
}

/// Reads a nuScenes sweep.
///
/// # Errors
/// A length that is no multiple of 20, text or another format.
pub fn read_nuscenes(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    read_records(path, 5, 255.0, options)
}

fn read_records(path: &Path, fields: usize, full_scale: f32, options: &ReadOptions) -> Result<Frame, Error> {
    let bytes = read_regular(path)?;
    if let Some(found) = stranger(&bytes) {
        let expected = format!("records of {fields} numbers (f32)");
        return Err(Error::malformed(path, At::Offset(0), found, expected));
    }
    let Layout { size, intensity } = layout(path, &bytes, fields, full_scale, options)?;
    if let Some(doubt) = doubtful_numbers(&bytes, size) {
        options.warn("bin numbers", path, doubt);
    }
    let values = bytes.as_chunks::<4>().0;
    let column = |field: usize| values.iter().skip(field).step_by(size).map(|v| f32::from_le_bytes(*v)).collect();
    let mut intensity: Option<Vec<f32>> = intensity.map(column);
    let mut columns = BTreeMap::new();
    if options.carries("intensity") {
        columns.extend(intensity.take().map(|column| (Arc::from("intensity"), column)));
    }
    let intensity = intensity.and_then(|column| {
        if size == fields && on_scale(values, fields, full_scale) {
            return Some(column.into_iter().map(|v| v / full_scale).collect());
        }
        if size == fields {
            let text = format!("the fourth number of a record is off its scale, 0 to {full_scale}");
            options.warn("bin scale", path, text);
        }
        scaled(column, Scalar::F32, path, options)
    });
    let frame = Frame {
        x: column(0),
        y: column(1),
        z: column(2),
        intensity,
        columns,
        path: Some(path.into()),
        ..Frame::default()
    };
    if !bytes.is_empty() && bytes.iter().all(|&byte| byte == 0) {
        options.warn("zeros", path, format!("all {} points lie at exactly (0, 0, 0): no returns?", frame.len()));
    }
    Ok(frame)
}

/// What a file is that holds no records: text, or another format by its first bytes, none of which any coordinate begins with.
fn stranger(bytes: &[u8]) -> Option<String> {
    if is_text(bytes) {
        let first = Lines::new(bytes).next().map_or(String::new(), |line| line.shown());
        let pointer = bytes.starts_with(b"version https://git-lfs");
        return Some(format!("{} ({first})", if pointer { "the pointer of git-lfs to a file" } else { "text" }));
    }
    // Two bytes, and one with three bits that are always 0: as a number it would be below 1e-18.
    let packed = bytes.starts_with(b"\x1f\x8b") && bytes.get(3).is_some_and(|flags| *flags < 0x20);
    let begins = |magic: &&[u8]| magic.len() >= 4 && bytes.starts_with(magic) && magic[0] != 0xff;
    let format = FORMATS.iter().find(|format| format.magic.iter().any(begins));
    let what = format.map(|format| format.what).or_else(|| known::begins(bytes));
    what.or(packed.then_some("gzip-compressed file")).map(str::to_string)
}

/// True if all is printable text.
fn is_text(bytes: &[u8]) -> bool {
    let printable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    !bytes.is_empty() && std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(printable))
}

/// True if a coordinate (m) may be that long; 0 and what is not finite may stand for no return.
fn is_length(value: f64) -> bool {
    value == 0.0 || !value.is_finite() || (1e-9..=1e8).contains(&value.abs())
}

/// What is odd about coordinates that are no lengths, if one in twenty is so: the bytes are numbers of another type then.
fn doubtful_numbers(bytes: &[u8], size: usize) -> Option<String> {
    let (values, (doubles, rest)) = (bytes.as_chunks::<4>().0, bytes.as_chunks::<8>());
    let places = || values.chunks_exact(size).flat_map(|record| record.iter().take(3));
    let numbers = || places().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    let (count, odd) = (size.min(3) * (values.len() / size), numbers().filter(|v| !is_length(*v)).count());
    if 20 * odd <= count {
        return None;
    }
    let first = numbers().find(|v| !is_length(*v))?;
    let fits = |value: f64| value.is_finite() && is_length(value);
    let likely = if values.iter().all(|bytes| fits(f32::from_be_bytes(*bytes).into())) {
        ": are these big-endian?"
    } else if rest.is_empty() && doubles.iter().all(|bytes| fits(f64::from_le_bytes(*bytes))) {
        ": are these f64?"
    } else {
        ""
    };
    let expected = "expected little-endian f32";
    Some(format!("{odd} of {count} coordinates are no lengths, the first {first:e}, {expected}{likely}"))
}

/// Where the numbers of a record stand: how many they are, and which is the intensity.
struct Layout {
    size: usize,
    intensity: Option<usize>,
}

/// The layout of the records, with a warning where it is not that of the format.
///
/// # Errors
/// A torn last record.
fn layout(path: &Path, bytes: &[u8], fields: usize, full_scale: f32, options: &ReadOptions) -> Result<Layout, Error> {
    let (values, torn_value) = bytes.as_chunks::<4>();
    let torn = values.len() % fields * 4 + torn_value.len();
    let looks = |n: usize| format!("its records look like {n} numbers (f32), not {fields}");
    let other = |size: usize, intensity: Option<usize>, read: &str| {
        options.warn("record size", path, format!("{}: read as {read}", looks(size)));
        Ok(Layout { size, intensity })
    };
    let own = Layout { size: fields, intensity: Some(3) };
    let on_own_scale = on_scale(values, fields, full_scale);
    match eight(values).filter(|_| fields == 4 && torn == 0) {
        Some(Eight::Intensity) => return other(8, Some(3), "x, y, z, intensity and others"),
        Some(Eight::Padded) => return other(8, Some(4), "x, y, z, 1, intensity"),
        Some(Eight::Unknown) if on_own_scale => {
            // A list of points may be odd too: it is not refused.
            options.warn("record size", path, format!("{}: read as {fields} all the same", looks(8)));
        }
        Some(Eight::Unknown) | None => {}
    }
    if torn == 0 && on_own_scale {
        return Ok(own);
    }
    // What the records mean is sure where the fourth number is on a scale of intensities; three numbers are coordinates alone.
    // Of records that are torn none but the known layouts of five and six numbers are believed.
    let likely = likely(values, fields).filter(|_| torn_value.is_empty());
    let known = |size: usize| torn == 0 || (5..=6).contains(&size);
    match likely {
        Some(3) if torn == 0 => other(3, None, "x, y, z"),
        Some(size) if size > 3 && known(size) && on_scale(values, size, 255.0) => {
            other(size, Some(3), "x, y, z, intensity and others")
        }
        Some(size) if torn == 0 => {
            options.warn("record size", path, format!("{}: read as {fields} all the same", looks(size)));
            Ok(own)
        }
        None if torn == 0 => Ok(own),
        _ => {
            let hint = likely.map_or(String::new(), |size| format!("; {}", looks(size)));
            let (at, found) = (At::Offset((bytes.len() - torn) as u64), format!("a last record of {torn} bytes"));
            Err(Error::malformed(path, at, found, format!("records of {} bytes{hint}", fields * 4)))
        }
    }
}

/// True if the fourth number of each record lies from 0 to `full_scale`, or is none.
fn on_scale(values: &[[u8; 4]], size: usize, full_scale: f32) -> bool {
    let mut column = values.iter().skip(3).step_by(size).map(|v| f32::from_le_bytes(*v));
    column.all(|v| v.is_nan() || (0.0..=full_scale).contains(&v))
}
