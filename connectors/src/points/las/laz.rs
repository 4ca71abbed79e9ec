//! LASzip's compressed point data: the checks that crate `laz` does not make, then its decoders, one chunk at a time.
//!
//! Every size in the compressed data is compared with the bytes that are there before a decoder sees it: the items against the point format, the
//! chunk table against the file, the layers of a chunk against the chunk. A decoder is given the bytes of its chunk and no more.
//! Isenburg, "LASzip: lossless compression of LiDAR data", 2013.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use laz::laszip::ChunkTable;
use laz::record::{LayeredPointRecordDecompressor, RecordDecompressor, SequentialPointRecordDecompressor};
use laz::{DecompressionSelection, LazItem, LazVlr};

use crate::error::{At, Error};
use crate::files::guard::caught;
use crate::points::las::header::{Header, vlrs};
use crate::points::scalar::first;

/// Points that one byte of compressed data may stand for: real scans have 0.1 to 1.
pub(crate) const MOST_PER_BYTE: u64 = 64;
/// Extra bytes of a compressed record: each takes about 10 kB in the layered decoders.
const MOST_EXTRA: usize = 2048;

/// What the LASzip record says, checked.
struct Coding {
    /// One chunk without a table, as LASzip 1 wrote it.
    single: bool,
    /// Points of a chunk; `None` if the chunk table says.
    chunk: Option<u64>,
    items: Vec<LazItem>,
    /// Numbers of layer sizes in a chunk, if it is stored in layers.
    layers: Option<usize>,
}

/// Calls `take` with each record of a LAZ file, decompressed, in order. Where the file stores fields apart, those that are not
/// selected are left as in a chunk's first record
///
/// # Errors
/// Data that break the format, with the offset.
pub(crate) fn records(
    path: &Path,
    bytes: &[u8],
    header: &Header,
    fields: DecompressionSelection,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), Error> {
    if header.points == 0 {
        return Ok(());
    }
    let coding = Coding::find(path, bytes, header)?;
    let data = header.data as usize;
    let table = if coding.single { None } else { chunk_table(path, bytes, header, &coding)? };
    let mut next = if coding.single { data } else { data + 8 };
    let mut left = header.points;
    let mut record = vec![0; header.record];
    for chunk in 0.. {
        if left == 0 {
            break;
        }
        let (range, points) = match &table {
            Some(table) => table.get(chunk).cloned().ok_or_else(|| {
                let found = format!("{} chunks with {} points", table.len(), header.points - left);
                Error::malformed(path, At::Field("chunk table".into()), found, format!("{} points", header.points))
            })?,
            None => (next..bytes.len(), coding.chunk.unwrap_or(left)),
        };
        let place = Chunk { path, bytes, range, first: header.points - left, points: points.min(left) };
        next = place.decode(&coding, fields, &mut record, take)?;
        left -= place.points;
    }
    Ok(())
}

impl Coding {
    fn find(path: &Path, bytes: &[u8], header: &Header) -> Result<Coding, Error> {
        let head = &bytes[..header.data as usize];
        let Some(vlr) = vlrs(header, head).find(|vlr| vlr.user == b"laszip encoded" && vlr.id == 22204) else {
            return Err(Error::malformed(path, At::Header, "no LASzip record", "one, for the points are compressed"));
        };
        let at = |offset: u64| At::Offset(vlr.offset + offset);
        if vlr.data.len() < 34 {
            let found = format!("{} bytes", vlr.data.len());
            return Err(Error::malformed(path, at(0), found, "a LASzip record of at least 34 bytes"));
        }
        let u16_at = |at: usize| u16::from_le_bytes(first(&vlr.data[at..]));
        let (compressor, coder, count) = (u16_at(0), u16_at(2), usize::from(u16_at(32)));
        if !(1..=3).contains(&compressor) || coder != 0 {
            let found = format!("LASzip compressor {compressor} with coder {coder}");
            return Err(Error::unsupported(path, found, "compressor 1, 2 or 3 with coder 0"));
        }
        if vlr.data.len() < 34 + 6 * count {
            let found = format!("{count} items in {} bytes", vlr.data.len());
            return Err(Error::malformed(path, at(32), found, "6 bytes an item"));
        }
        let found: Vec<_> = (0..count).map(|i| [0, 2, 4].map(|field| u16_at(34 + 6 * i + field))).collect();
        let expected = items(header);
        if found.iter().map(|[kind, size, _]| (*kind, *size)).ne(expected.iter().copied()) {
            let found = format!("{count} items {:?} (type, size, version)", &found[..count.min(8)]);
            let expected = format!("{expected:?} for point format {} in {} bytes", header.point_format, header.record);
            return Err(Error::malformed(path, at(34), found, expected));
        }
        let layered = header.point_format >= 6;
        let versions = if layered { 3..=4 } else { 1..=2 };
        if found.iter().any(|item| !versions.contains(&item[2])) || layered != (compressor == 3) {
            let found = format!("items {found:?} (type, size, version) with compressor {compressor}");
            return Err(Error::unsupported(path, found, format!("versions {versions:?} for this point format")));
        }
        if header.extra() > MOST_EXTRA {
            let found = format!("{} extra bytes in a compressed point", header.extra());
            return Err(Error::unsupported(path, found, format!("at most {MOST_EXTRA}")));
        }
        let items = LazVlr::from_buffer(vlr.data)
            .map_err(|e| Error::malformed(path, at(0), e.to_string(), "a LASzip record"))?
            .items()
            .clone();
        let chunk = u32::from_le_bytes(first(&vlr.data[12..]));
        let variable = chunk == 0 || chunk == u32::MAX;
        Ok(Coding {
            single: compressor == 1,
            chunk: (!variable && compressor != 1).then_some(u64::from(chunk)),
            items,
            layers: layered.then(|| layers(header)),
        })
    }
}

/// Type and size of the items that a point format is stored as.
fn items(header: &Header) -> Vec<(u16, u16)> {
    let (format, extra) = (header.point_format, header.extra() as u16);
    let all = [
        (format < 6, 6, 20),
        (matches!(format, 1 | 3 | 4 | 5), 7, 8),
        (matches!(format, 2 | 3 | 5), 8, 6),
        (matches!(format, 4 | 5), 9, 29),
        (format < 6 && extra > 0, 0, extra),
        (format >= 6, 10, 30),
        (format == 7, 11, 6),
        (matches!(format, 8 | 10), 12, 8),
        (matches!(format, 9 | 10), 13, 29),
        (format >= 6 && extra > 0, 14, extra),
    ];
    all.into_iter().filter(|item| item.0).map(|(_, kind, size)| (kind, size)).collect()
}

/// Layers of a chunk: nine of the point, one of RGB, two of RGB and NIR, one of the wave packet, one an extra byte.
fn layers(header: &Header) -> usize {
    let (colour, wave) = match header.point_format {
        7 => (1, 0),
        8 => (2, 0),
        9 => (0, 1),
        10 => (2, 1),
        _ => (0, 0),
    };
    9 + colour + wave + header.extra()
}

/// True if the table of chunks is whole, or the file needs none.
pub(crate) fn has_table(path: &Path, bytes: &[u8], header: &Header) -> bool {
    let whole = |coding: Coding| coding.single || chunk_table(path, bytes, header, &coding).is_ok_and(|t| t.is_some());
    Coding::find(path, bytes, header).is_ok_and(whole)
}

/// Bytes and points of each chunk.
type Table = Vec<(Range<usize>, u64)>;

/// The chunk table; `None` if the file has no table and needs none.
fn chunk_table(path: &Path, bytes: &[u8], header: &Header, coding: &Coding) -> Result<Option<Table>, Error> {
    let data = header.data as usize;
    let bad = |offset: usize, found: String, expected: &str| {
        Err(Error::malformed(path, At::Offset(offset as u64), found, expected))
    };
    if bytes.len() < data + 8 {
        return bad(data, "the end of the file".into(), "the offset of the chunk table");
    }
    let offset_at = |at: usize| i64::from_le_bytes(first(&bytes[at..]));
    // A writer that could not seek back leaves the offset at the end of the file.
    let stated = [data, bytes.len() - 8].map(offset_at).into_iter().find(|&offset| offset > header.data as i64);
    let Some(stated) = stated else {
        return match coding.chunk {
            Some(_) => Ok(None),
            None => bad(data, "no chunk table".into(), "one, for chunks vary in size"),
        };
    };
    let Some(at) = usize::try_from(stated).ok().filter(|&at| at >= data + 8 && at + 8 <= bytes.len()) else {
        return bad(data, format!("a chunk table at {stated}"), "behind the points and within the file");
    };
    let chunks = u32::from_le_bytes(first(&bytes[at + 4..])) as usize;
    if chunks > (at - data - 8) / header.record {
        let found = format!("{chunks} chunks in {} bytes", at - data - 8);
        return bad(at + 4, found, &format!("at least {} bytes a chunk, its first point", header.record));
    }
    let read = || ChunkTable::read(&mut Cursor::new(&bytes[at..]), coding.chunk.is_none());
    let table = match caught(read) {
        Ok(Ok(table)) => table,
        Ok(Err(e)) => return bad(at, e.to_string(), "a chunk table"),
        Err(_) => return bad(at, "bytes that no encoder writes".into(), "a chunk table"),
    };
    let mut start = data + 8;
    let mut ranges = Vec::with_capacity(table.len());
    for entry in &table {
        let end = usize::try_from(entry.byte_count).ok().and_then(|size| start.checked_add(size));
        let Some(end) = end.filter(|&end| end <= at) else {
            let found = format!("a chunk of {} bytes at {start}", entry.byte_count);
            return bad(at, found, &format!("chunks that end before the table at {at}"));
        };
        ranges.push((start..end, coding.chunk.unwrap_or(entry.point_count)));
        start = end;
    }
    Ok(Some(ranges))
}

/// One chunk: where it lies, and which points of the file it holds.
struct Chunk<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    range: Range<usize>,
    first: u64,
    points: u64,
}

impl Chunk<'_> {
    fn broken(&self, offset: usize, found: String, expected: String) -> Error {
        Error::malformed(self.path, At::Offset((self.range.start + offset) as u64), found, expected)
    }

    /// Decompresses the chunk; the offset behind what it used.
    fn decode(
        &self,
        coding: &Coding,
        fields: DecompressionSelection,
        record: &mut [u8],
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Error> {
        let chunk = &self.bytes[self.range.clone()];
        if let Some(layers) = coding.layers {
            self.check_layers(chunk, record.len(), layers)?;
        }
        let mut done = 0;
        let run = || -> Result<usize, (usize, String)> {
            let input = Cursor::new(chunk);
            let mut decoder: Box<dyn RecordDecompressor<Cursor<&[u8]>>> = if coding.layers.is_some() {
                Box::new(LayeredPointRecordDecompressor::new(input))
            } else {
                Box::new(SequentialPointRecordDecompressor::new(input))
            };
            decoder.set_fields_from(&coding.items).map_err(|e| (0, e.to_string()))?;
            decoder.set_selection(fields);
            while done < self.points {
                let step = decoder.decompress_next(record);
                step.map_err(|e| (decoder.get().position() as usize, e.to_string()))?;
                take(record);
                done += 1;
            }
            Ok(decoder.get().position() as usize)
        };
        // The decoders follow any bits they are given; what they cannot follow they may still meet with a panic.
        let outcome = caught(run).unwrap_or_else(|_| Err((0, "bits that no encoder writes".into())));
        outcome.map(|used| self.range.start + used).map_err(|(offset, found)| {
            self.broken(offset.min(chunk.len()), found, format!("point {}", self.first + done))
        })
    }

    /// A layered chunk is its first point, its number of points, the size of each layer, and the layers.
    fn check_layers(&self, chunk: &[u8], record: usize, layers: usize) -> Result<(), Error> {
        let head = record + 4 + 4 * layers;
        if chunk.len() < head {
            return Err(self.broken(0, format!("a chunk of {} bytes", chunk.len()), format!("at least {head}")));
        }
        let number = |at: usize| u64::from(u32::from_le_bytes(first(&chunk[at..])));
        let points = number(record);
        if points < self.points {
            let expected = format!("{} points", self.points);
            return Err(self.broken(record, format!("a chunk of {points} points"), expected));
        }
        let size: u64 = (0..layers).map(|layer| number(record + 4 + 4 * layer)).sum();
        if size > (chunk.len() - head) as u64 {
            let found = format!("layers of {size} bytes");
            return Err(self.broken(record + 4, found, format!("at most {}", chunk.len() - head)));
        }
        Ok(())
    }
}
