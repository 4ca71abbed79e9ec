//! ASPRS LAS 1.0–1.5, all point formats, and its compressed twin LAZ (COPC is read as the LAZ file that it is).
//!
//! A coordinate is `raw · scale + offset` in f64, then f32 after [`OriginRule`](crate::points::origin::OriginRule). Intensity has the scale of
//! 16 bits, or of 8 where no value of the frame is above 255 (`intensity`), none if all are 0; labels are the classification codes as they stand, none if all are 0, with the extra dimension `instance` (u8, u16 or u32)
//! where there is one; time is the first point's GPS time in the file's own scale. LAS 1.4 R15, ASPRS 2019;
//! what 1.5 adds to the header stands behind what is read here.

pub(crate) mod header;
pub(crate) mod laz;

use std::convert::Infallible;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use ::laz::DecompressionSelection;
use thalweg::{Frame, Returns, Truth};

use crate::error::{At, Error};
use crate::files::{open_regular, read_regular};
use crate::points::format::{Format, one_frame};
use crate::points::intensity::scaled;
use crate::points::options::ReadOptions;
use crate::points::scalar::{Scalar, first};
use header::{Header, extras, other_unit, vlrs};

/// LAS and LAZ.
pub const FORMAT: Format = Format {
    name: "las",
    what: "ASPRS LAS and LAZ, all point formats",
    extensions: &["las", "laz"],
    magic: &[b"LASF"],
    many: false,
    open: |path, options| Ok(one_frame(path, options, read)),
};

/// A LAS or LAZ file whose header and variable length records have been read.
pub(crate) struct Opened {
    pub(crate) header: Header,
    /// The bytes before the point data.
    pub(crate) head: Vec<u8>,
    /// Length of the file.
    pub(crate) length: u64,
    file: std::fs::File,
}

impl Opened {
    /// Opens a file and checks what its header claims against its length; `None` if the file is empty.
    ///
    /// # Errors
    /// See [`Header::parse`]; point data that begin, or records that lie, behind the end of the file.
    pub(crate) fn open(path: &Path) -> Result<Option<Opened>, Error> {
        let io = |e| Error::io(path, e);
        let mut file = open_regular(path)?;
        let length = file.metadata().map_err(io)?.len();
        if length == 0 {
            return Ok(None);
        }
        let mut head = Vec::new();
        (&mut file).take(375).read_to_end(&mut head).map_err(io)?;
        let header = Header::parse(path, &head)?;
        if header.data > length || header.size as u64 > length {
            let found = format!("point data at {}, a header of {} bytes", header.data, header.size);
            return Err(Error::malformed(
                path,
                At::Offset(96),
                found,
                format!("both within the file's {length} bytes"),
            ));
        }
        if header.compressed && header.points / laz::MOST_PER_BYTE > length - header.data {
            let found = format!("{} bytes of compressed data", length - header.data);
            return Err(Error::malformed(path, At::Offset(header.data), found, format!("{} points", header.points)));
        }
        if !header.compressed {
            let whole = (length - header.data) / header.record as u64;
            if header.points > whole {
                return Err(Error::malformed(
                    path,
                    At::Offset(header.data + whole * header.record as u64),
                    format!("the end of the file after {whole} whole records of {} bytes", header.record),
                    format!("{} points", header.points),
                ));
            }
        }
        head.truncate(usize::try_from(header.data).unwrap_or(usize::MAX));
        let more = header.data - head.len() as u64;
        file.seek(SeekFrom::Start(head.len() as u64)).map_err(io)?;
        (&mut file).take(more).read_to_end(&mut head).map_err(io)?;
        Ok(Some(Opened { header, head, length, file }))
    }

    /// True if the compressed points are followed by a whole table of chunks, or need none.
    pub(crate) fn has_chunk_table(&self, path: &Path) -> bool {
        read_regular(path).is_ok_and(|bytes| laz::has_table(path, &bytes, &self.header))
    }

    /// Warns of what the header says that the file does not bear out, the points aside.
    fn tell(&self, path: &Path, options: &ReadOptions) {
        let header = &self.header;
        let warn = |text: String| options.warn("las header", path, text);
        if header.legacy_points != 0 && header.legacy_points != header.points {
            let (wide, narrow) = (header.points, header.legacy_points);
            warn(format!("the header states {wide} points in 64 bits and {narrow} in 32: took {wide}"));
        }
        let records = header.points.saturating_mul(header.record as u64);
        let behind = (self.length - header.data).saturating_sub(records);
        // From 1.3 on waveforms and extended records may follow the points.
        if !header.compressed && behind > 0 && header.version.1 < 3 {
            warn(format!("{behind} bytes behind the last point"));
        }
        let found = vlrs(header, &self.head).count();
        if found < header.vlrs as usize {
            warn(format!("{found} of the {} variable length records fit before the points", header.vlrs));
        }
        if let Some(unit) = other_unit(header, &self.head) {
            warn(format!("its record of the projection states {unit}, expected metres: read as they are"));
        }
        if header.scale.iter().any(|s| !s.is_finite() || *s == 0.0) || header.offset.iter().any(|o| !o.is_finite()) {
            warn(format!("scale {:?} and offset {:?} make no coordinates", header.scale, header.offset));
        }
    }

    /// Calls `take` with each record, in order.
    ///
    /// # Errors
    /// A file that shrinks while it is read, or compressed data that break their format.
    pub(crate) fn records(self, path: &Path, extra_bytes: bool, take: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let io = |e| Error::io(path, e);
        let Opened { header, head, mut file, .. } = self;
        if header.compressed {
            let mut bytes = head;
            file.read_to_end(&mut bytes).map_err(io)?;
            let fields =
                DecompressionSelection::base().decompress_z().decompress_classification().decompress_intensity();
            let fields = if extra_bytes { fields.decompress_extra_bytes() } else { fields };
            return laz::records(path, &bytes, &header, fields, take);
        }
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut record = vec![0; header.record];
        for _ in 0..header.points {
            file.read_exact(&mut record).map_err(io)?;
            take(&record);
        }
        Ok(())
    }
}

/// Reads a LAS or LAZ file.
///
/// # Errors
/// A header that breaks the format, records behind the end of the file, or compressed data that break their format.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    let Some(opened) = Opened::open(path)? else {
        return Ok(Frame { path: Some(path.into()), ..Frame::default() });
    };
    let header = opened.header.clone();
    let instance = extras(&header, &opened.head).into_iter().find_map(|extra| {
        let whole = extra.scalar.filter(|s| matches!(s, Scalar::U8 | Scalar::U16 | Scalar::U32))?;
        (extra.name.eq_ignore_ascii_case("instance")).then_some((extra.offset, whole))
    });
    let mut columns = Columns::new(&header, opened.length, instance);
    opened.tell(path, options);
    opened.records(path, instance.is_some(), &mut |record| columns.push(record))?;
    columns.tell(path, &header, options);
    Ok(Frame { path: Some(path.into()), ..columns.frame(path, &header, options) })
}

/// The columns of a frame while its records come in; coordinates as stored.
struct Columns {
    raw: [Vec<i32>; 3],
    intensity: Vec<f32>,
    returns: Returns,
    class: Vec<u8>,
    instance: Vec<u32>,
    instance_at: Option<(usize, Scalar)>,
    gps_time_at: Option<usize>,
    gps_time: Option<f64>,
    /// Point formats 6 and up lay out returns and class differently.
    wide: bool,
}

impl Columns {
    fn new(header: &Header, length: u64, instance_at: Option<(usize, Scalar)>) -> Columns {
        // 24 bytes a point: what a file of this length may ask for at once; more grows with what is decompressed.
        let points = header.points.min((2 * length + (32 << 20)) / 24) as usize;
        Columns {
            raw: [(); 3].map(|()| Vec::with_capacity(points)),
            intensity: Vec::with_capacity(points),
            returns: Returns { number: Vec::with_capacity(points), count: Vec::with_capacity(points) },
            class: Vec::with_capacity(points),
            instance: Vec::with_capacity(if instance_at.is_some() { points } else { 0 }),
            instance_at,
            gps_time_at: header.gps_time(),
            gps_time: None,
            wide: header.point_format >= 6,
        }
    }

    fn push(&mut self, record: &[u8]) {
        if self.class.is_empty() {
            self.gps_time = self.gps_time_at.map(|at| f64::from_le_bytes(first(&record[at..])));
        }
        for (axis, column) in self.raw.iter_mut().enumerate() {
            column.push(i32::from_le_bytes(first(&record[axis * 4..])));
        }
        self.intensity.push(f32::from(u16::from_le_bytes(first(&record[12..]))));
        let (number, count, class) = if self.wide {
            (record[14] & 15, record[14] >> 4, record[16])
        } else {
            (record[14] & 7, record[14] >> 3 & 7, record[15] & 31)
        };
        self.returns.number.push(number);
        self.returns.count.push(count);
        self.class.push(class);
        if let Some((at, scalar)) = self.instance_at {
            self.instance.push(scalar.little_endian(&record[at..]) as u32);
        }
    }

    /// Warns of the axes on which the points lie elsewhere than the header states.
    fn tell(&self, path: &Path, header: &Header, options: &ReadOptions) {
        for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
            let column = &self.raw[axis];
            let (Some(&low), Some(&high)) = (column.iter().min(), column.iter().max()) else { return };
            let ends = [low, high].map(|raw| f64::from(raw) * header.scale[axis] + header.offset[axis]);
            let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            let near = |a: f64, b: f64| (a - b).abs() <= header.scale[axis].abs() + a.abs().max(1.0) * 1e-9;
            let (least, most) = (header.minimum[axis], header.maximum[axis]);
            if low.is_finite() && high.is_finite() && !(near(least, low) && near(most, high)) {
                let stated = format!("the header states {name} from {least:.3} to {most:.3}");
                options.warn("las extent", path, format!("{stated}, the points span {low:.3} to {high:.3}"));
            }
        }
    }

    fn frame(self, path: &Path, header: &Header, options: &ReadOptions) -> Frame {
        let Columns { raw, intensity, returns, class, mut instance, instance_at, gps_time, .. } = self;
        let points = class.len();
        let mut frame = Frame::default();
        if points > 0 {
            let place = |axis: usize, raw: i32| f64::from(raw) * header.scale[axis] + header.offset[axis];
            let Ok(origin) = options.origin.by(|| Ok::<_, Infallible>(medians(&raw, place)));
            frame.origin = origin;
            let [x, y, z] = raw;
            // Mapping an owned column keeps its memory: i32 and f32 are of one size.
            let metres = |axis: usize, column: Vec<i32>| {
                column.into_iter().map(|raw| (place(axis, raw) - origin[axis]) as f32).collect()
            };
            (frame.x, frame.y, frame.z) = (metres(0, x), metres(1, y), metres(2, z));
        }
        if intensity.iter().any(|&raw| raw != 0.0) {
            frame.intensity = scaled(intensity, Scalar::U16, path, options);
        }
        if class.iter().any(|&code| code != 0) {
            if instance_at.is_none() {
                instance = vec![0; points];
            }
            frame.truth = Some(Truth { class, instance });
        }
        frame.returns = Some(returns);
        frame.time_ns = gps_time.map(|seconds| seconds * 1e9).filter(|ns| ns.abs() < 9e18).map(|ns| ns.round() as i64);
        frame
    }
}

/// The lower medians of the coordinates, `None` if a scale or an offset makes none of them finite. An axis with a negative scale runs the other way.
fn medians(raw: &[Vec<i32>; 3], place: impl Fn(usize, i32) -> f64) -> Option<[f64; 3]> {
    let mut medians = [0.0; 3];
    for (axis, median) in medians.iter_mut().enumerate() {
        let mut column = raw[axis].clone();
        let middle = column.len().checked_sub(1)? / 2;
        let descending = place(axis, 1) < place(axis, 0);
        let middle = if descending { column.len() - 1 - middle } else { middle };
        *median = place(axis, *column.select_nth_unstable(middle).1);
    }
    medians.iter().all(|m| m.is_finite()).then_some(medians)
}
