//! What stands before the points of a LAS file: the public header, the variable length records, and the extra dimensions that they describe.

use std::path::Path;

use crate::error::{At, Error};
use crate::points::scalar::{Scalar, first};

/// Bytes of a record by point format, extra bytes aside.
pub(crate) const RECORD: [usize; 11] = [20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67];

/// A LAS file's public header.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// Major and minor.
    pub(crate) version: (u8, u8),
    pub(crate) point_format: u8,
    pub(crate) compressed: bool,
    /// Bytes of a record, at least [`RECORD`]'s.
    pub(crate) record: usize,
    /// Points: the 64-bit count where the version has one that is not 0, else the 32-bit one.
    pub(crate) points: u64,
    /// The 32-bit count.
    pub(crate) legacy_points: u64,
    /// Bytes of the header.
    pub(crate) size: usize,
    /// Offset of the point data.
    pub(crate) data: u64,
    pub(crate) vlrs: u32,
    pub(crate) scale: [f64; 3],
    pub(crate) offset: [f64; 3],
    pub(crate) minimum: [f64; 3],
    pub(crate) maximum: [f64; 3],
}

impl Header {
    /// Reads the header that `bytes`, at least the first 375 of the file if it has them, begins with.
    ///
    /// # Errors
    /// A signature, size, point format or record length that breaks the format.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Header, Error> {
        let bad = |at, found, expected: &str| Err(Error::malformed(path, at, found, expected));
        if !bytes.starts_with(b"LASF") {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(4)]).into_owned();
            return bad(At::Offset(0), format!("{shown:?}"), "the signature \"LASF\"");
        }
        if bytes.len() < 227 {
            return bad(At::Header, format!("{} bytes", bytes.len()), "a header of at least 227 bytes");
        }
        let u16_at = |at: usize| u16::from_le_bytes(first(&bytes[at..]));
        let u32_at = |at: usize| u32::from_le_bytes(first(&bytes[at..]));
        let f64_at = |at: usize| f64::from_le_bytes(first(&bytes[at..]));
        let f64s_at = |at: [usize; 3]| at.map(f64_at);
        let (version, size, format) = ((bytes[24], bytes[25]), usize::from(u16_at(94)), bytes[104]);
        if version.0 != 1 || version.1 > 5 {
            let found = format!("version {}.{}", version.0, version.1);
            return bad(At::Offset(24), found, "version 1.0 to 1.5");
        }
        let least = if version.1 >= 4 { 375 } else { 227 };
        if size < least || bytes.len() < least {
            let found = format!("a header of {size} bytes in a file of {} or more", bytes.len());
            return bad(At::Offset(94), found, &format!("at least {least}"));
        }
        let (compressed, point_format) = (format & 0x80 != 0, format & 0x7f);
        let Some(&base) = RECORD.get(usize::from(point_format)) else {
            return bad(At::Offset(104), format!("point format {point_format}"), "point format 0 to 10");
        };
        let record = usize::from(u16_at(105));
        if record < base {
            return bad(
                At::Offset(105),
                format!("records of {record} bytes"),
                &format!("at least {base} for point format {point_format}"),
            );
        }
        let legacy_points = u64::from(u32_at(107));
        let points = if version.1 >= 4 { u64::from_le_bytes(first(&bytes[247..])) } else { 0 };
        let data = u64::from(u32_at(96));
        if data < size as u64 {
            return bad(At::Offset(96), format!("point data at {data}"), &format!("behind the header of {size} bytes"));
        }
        Ok(Header {
            version,
            point_format,
            compressed,
            record,
            points: if points == 0 { legacy_points } else { points },
            legacy_points,
            size,
            data,
            vlrs: u32_at(100),
            scale: f64s_at([131, 139, 147]),
            offset: f64s_at([155, 163, 171]),
            minimum: f64s_at([187, 203, 219]),
            maximum: f64s_at([179, 195, 211]),
        })
    }

    /// Offset of the GPS time in a record, if the point format has one.
    pub(crate) fn gps_time(&self) -> Option<usize> {
        match self.point_format {
            1 | 3 | 4 | 5 => Some(20),
            6..=10 => Some(22),
            _ => None,
        }
    }

    /// Bytes of a record behind those of the point format.
    pub(crate) fn extra(&self) -> usize {
        self.record - RECORD[usize::from(self.point_format)]
    }
}

/// One variable length record.
pub(crate) struct Vlr<'a> {
    pub(crate) user: &'a [u8],
    pub(crate) id: u16,
    pub(crate) data: &'a [u8],
    /// Offset in the file of `data`.
    pub(crate) offset: u64,
}

/// The variable length records in `head`, the bytes before the point data: as many as the header says, or up to the first that does not fit.
pub(crate) fn vlrs<'a>(header: &Header, head: &'a [u8]) -> impl Iterator<Item = Vlr<'a>> {
    let mut at = header.size;
    (0..header.vlrs).map_while(move |_| {
        let fixed = head.get(at..at + 54)?;
        let length = usize::from(u16::from_le_bytes(first(&fixed[20..])));
        let data = head.get(at + 54..at + 54 + length)?;
        let user = fixed[2..18].split(|&b| b == 0).next().unwrap_or_default();
        let vlr = Vlr { user, id: u16::from_le_bytes(first(&fixed[18..])), data, offset: at as u64 + 54 };
        at += 54 + length;
        Some(vlr)
    })
}

/// The unit of the coordinates, if the record of the projection states one that is not the metre: GeoTIFF keys, or WKT.
///
/// GeoTIFF: model type 2 is longitude and latitude; linear units 9002 and 9003 are the international and the US survey foot (OGC 19-008r4).
pub(crate) fn other_unit(header: &Header, head: &[u8]) -> Option<&'static str> {
    const FEET: &str = "feet";
    const DEGREES: &str = "degrees";
    for vlr in vlrs(header, head).filter(|vlr| vlr.user == b"LASF_Projection") {
        if vlr.id == 34735 {
            for key in vlr.data.as_chunks::<8>().0.iter().skip(1) {
                let [id, place, _, value] = [0, 2, 4, 6].map(|at| u16::from_le_bytes([key[at], key[at + 1]]));
                match (id, place, value) {
                    (1024, 0, 2) => return Some(DEGREES),
                    (3076 | 4099, 0, 9002 | 9003) => return Some(FEET),
                    _ => {}
                }
            }
        } else if vlr.id == 2112 {
            let text = String::from_utf8_lossy(vlr.data).to_ascii_lowercase();
            let projected = ["projcs", "projcrs", "projectedcrs", "geoccs"].iter().any(|word| text.contains(word));
            let mut units = text.split("unit[\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
            if !projected && text.contains("geog") {
                return Some(DEGREES);
            }
            if units.any(|unit| unit.contains("foot") || unit.contains("feet") || unit == "ft") {
                return Some(FEET);
            }
        }
    }
    None
}

/// A dimension in the extra bytes of each record.
#[derive(Clone, Debug)]
pub(crate) struct Extra {
    pub(crate) name: String,
    /// Its type; `None` for raw bytes and arrays.
    pub(crate) scalar: Option<Scalar>,
    /// Offset in the record.
    pub(crate) offset: usize,
}

/// The dimensions that extra-byte records describe, as far as the record's length holds them.
pub(crate) fn extras(header: &Header, head: &[u8]) -> Vec<Extra> {
    let mut extras = Vec::new();
    let mut offset = RECORD[usize::from(header.point_format)];
    for vlr in vlrs(header, head).filter(|vlr| vlr.user == b"LASF_Spec" && vlr.id == 4) {
        for entry in vlr.data.chunks_exact(192) {
            let single = [
                Scalar::U8,
                Scalar::I8,
                Scalar::U16,
                Scalar::I16,
                Scalar::U32,
                Scalar::I32,
                Scalar::U64,
                Scalar::I64,
                Scalar::F32,
                Scalar::F64,
            ];
            let (kind, options) = (usize::from(entry[2]), usize::from(entry[3]));
            let (scalar, size) = match kind {
                0 => (None, options),
                1..=10 => (Some(single[kind - 1]), single[kind - 1].size()),
                11..=30 => (None, single[(kind - 1) % 10].size() * (1 + (kind - 1) / 10)),
                _ => return extras,
            };
            if offset + size > header.record {
                return extras;
            }
            let name = entry[4..36].split(|&b| b == 0).next().unwrap_or_default();
            extras.push(Extra { name: String::from_utf8_lossy(name).into_owned(), scalar, offset });
            offset += size;
        }
    }
    extras
}
