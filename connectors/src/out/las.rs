//! LAS and LAZ out: a copy of each frame's source file with the classification replaced and every other byte of its content kept.
//!
//! Records are patched as they lie in the file: header, variable length records, extra bytes, GPS time, point order, scale and offset go
//! through untouched. Between LAS and LAZ the LASzip record comes or goes, and offsets to what lies behind the points are moved.
//! LAS 1.4 R15, tables 7 and 16: point formats 0–5 hold a class of 5 bits, 6–10 one of 8.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use laz::DecompressionSelection;
use laz::laszip::{LasZipCompressor, LazItemRecordBuilder, LazVlr, LazVlrBuilder};
use thalweg::{BoxError, Epoch, Segmentation, Sink};

use crate::error::{At, Error};
use crate::files::read_regular;
use crate::out::publish::{StagedFile, StagedFolder};
use crate::points::las::Opened;
use crate::points::las::header::{Header, vlrs};
use crate::points::registry;
use crate::points::scalar::first;

/// Points of a compressed chunk where the source does not say.
const CHUNK: u32 = 50_000;

/// Writes LAS or LAZ: one file for one frame, if the path ends in `.las` or `.laz`; else a folder with a file for each frame under its
/// source's own name.
pub struct LasSink {
    path: PathBuf,
    staged: Option<Staged>,
}

enum Staged {
    File { compressed: bool, written: bool, file: StagedFile },
    Folder(StagedFolder),
}

impl LasSink {
    /// Starts the output under a temporary name.
    ///
    /// # Errors
    /// See [`StagedFile::create`] and [`StagedFolder::create`].
    pub fn create(path: &Path) -> Result<LasSink, Error> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let staged = match ending.as_deref() {
            Some(ending @ ("las" | "laz")) => {
                Staged::File { compressed: ending == "laz", written: false, file: StagedFile::create(path)? }
            }
            _ => Staged::Folder(StagedFolder::create(path)?),
        };
        Ok(LasSink { path: path.into(), staged: Some(staged) })
    }

    fn put(&self, staged: &mut Staged, item: &Segmentation) -> Result<(), Error> {
        let source = item.frame.path.as_deref();
        let las = source.filter(|p| registry::guess(p).is_ok_and(|f| f.name == crate::points::las::FORMAT.name));
        let Some((source, name)) = las.and_then(|p| Some((p, p.file_name()?.to_string_lossy()))) else {
            let found = source.map_or("a frame without a file".into(), |p| p.display().to_string());
            return Err(Error::unsupported(&self.path, found, "LAS or LAZ input"));
        };
        match staged {
            Staged::File { written: true, .. } => {
                let found = format!("a second frame, {}", source.display());
                Err(Error::unsupported(&self.path, found, "one frame, or the name of a folder"))
            }
            Staged::File { compressed, written, file } => {
                let bytes = relabel(source, &item.class, *compressed)?;
                *written = true;
                file.write_all(&bytes).map_err(|e| Error::io(&self.path, e))
            }
            Staged::Folder(folder) => {
                let compressed = name.to_lowercase().ends_with(".laz");
                folder.write(&name, &relabel(source, &item.class, compressed)?)
            }
        }
    }
}

impl Sink<Segmentation> for LasSink {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn write(&mut self, _: Epoch, item: Segmentation) -> Result<(), BoxError> {
        // Output that failed is dropped here, and the temporary files with it.
        if let Some(mut staged) = self.staged.take() {
            self.put(&mut staged, &item)?;
            self.staged = Some(staged);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        match self.staged.take() {
            Some(Staged::File { written: true, file, .. }) => Ok(file.publish()?),
            Some(Staged::Folder(folder)) => Ok(folder.publish()?),
            // A run that ended before its frame has no file to show.
            Some(Staged::File { .. }) | None => Ok(()),
        }
    }
}

/// The bytes of a LAS or LAZ file with other classes, as LAZ if `compress`, else as LAS.
///
/// # Errors
/// A source that cannot be read, has another number of points, or another layout than can be kept; a class that its point format cannot hold.
pub fn relabel(source: &Path, class: &[u8], compress: bool) -> Result<Vec<u8>, Error> {
    // Opening checks the header against the file.
    let Some(opened) = Opened::open(source)? else { return Ok(Vec::new()) };
    let (header, bytes) = (opened.header, read_regular(source)?);
    let head = bytes.get(..header.data as usize).unwrap_or(&bytes);
    if header.points != class.len() as u64 {
        let expected = format!("{}, as many as it had when it was read", class.len());
        return Err(Error::malformed(source, At::Header, format!("{} points", header.points), expected));
    }
    let wide = header.point_format >= 6;
    if let Some(point) = class.iter().position(|&code| !wide && code > 31) {
        let found = format!("class {} at point {point}", class[point]);
        let expected = format!("at most 31, for point format {} holds 5 bits", header.point_format);
        return Err(Error::unsupported(source, found, expected));
    }
    let put = |record: &mut [u8], code: u8| {
        if wide {
            record[16] = code;
        } else {
            record[15] = record[15] & 0xe0 | code;
        }
    };
    if !header.compressed && !compress {
        let mut out = bytes;
        let records = out[header.data as usize..].chunks_exact_mut(header.record);
        records.zip(class).for_each(|(record, &code)| put(record, code));
        return Ok(out);
    }
    let tail = tail(&header, &bytes);
    let (mut out, vlr) = match (header.compressed, compress) {
        (true, true) => (head.to_vec(), recompressed(source, &header, head)?),
        (false, true) => with_laszip(source, &header, head)?,
        (_, false) => (without_laszip(&header, head), None),
    };
    let mut codes = class.iter();
    let mut patched = |record: &[u8], to: &mut Vec<u8>| {
        to.clear();
        to.extend_from_slice(record);
        if let Some(&code) = codes.next() {
            put(to, code);
        }
    };
    let mut record = Vec::with_capacity(header.record);
    match vlr {
        None => records(source, &bytes, &header, &mut |raw| {
            patched(raw, &mut record);
            out.extend_from_slice(&record);
        })?,
        Some(_) if header.points == 0 => {}
        Some((vlr, chunk)) => {
            let failed = |e: String| Error::malformed(source, At::File, e, "points that LASzip can hold");
            let mut cursor = Cursor::new(out);
            cursor.set_position(cursor.get_ref().len() as u64);
            let variable = vlr.uses_variable_size_chunks();
            let mut coder = LasZipCompressor::new(cursor, vlr).map_err(|e| failed(e.to_string()))?;
            let (mut done, mut outcome) = (0u64, Ok(()));
            records(source, &bytes, &header, &mut |raw| {
                if outcome.is_err() {
                    return;
                }
                patched(raw, &mut record);
                outcome = coder.compress_one(&record);
                done += 1;
                if outcome.is_ok() && variable && done.is_multiple_of(u64::from(chunk)) && done < header.points {
                    outcome = coder.finish_current_chunk();
                }
            })?;
            outcome.and_then(|()| coder.done()).map_err(|e| failed(e.to_string()))?;
            out = coder.into_inner().into_inner();
        }
    }
    move_tail(&header, &mut out, tail.start);
    out.extend_from_slice(&bytes[tail]);
    Ok(out)
}

/// Hands out every record of the file whole, in order.
fn records(path: &Path, bytes: &[u8], header: &Header, take: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
    if header.compressed {
        return crate::points::las::laz::records(path, bytes, header, DecompressionSelection::all(), take);
    }
    let data = bytes.get(header.data as usize..).unwrap_or_default();
    data.chunks_exact(header.record).take(header.points as usize).for_each(take);
    Ok(())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(first(&bytes[at..]))
}

/// Header fields that are offsets of what may lie behind the points: wave data from version 1.3, extended records from 1.4.
fn behind(header: &Header) -> impl Iterator<Item = usize> {
    let fields = [(3, 227, 235), (4, 235, 243)];
    let (minor, size) = (header.version.1, header.size);
    fields.into_iter().filter(move |&(since, _, end)| minor >= since && size >= end).map(|(_, at, _)| at)
}

/// What lies behind the point data. Compressed points end where the header says that something else begins.
fn tail(header: &Header, bytes: &[u8]) -> std::ops::Range<usize> {
    let length = bytes.len() as u64;
    let start = if header.compressed {
        behind(header).map(|at| u64_at(bytes, at)).filter(|&at| at > header.data).min().unwrap_or(length)
    } else {
        header.data + header.points * header.record as u64
    };
    start.min(length) as usize..bytes.len()
}

/// Sets the offsets in the header of `out`, which ends where the tail from `start` on will stand.
fn move_tail(header: &Header, out: &mut [u8], start: usize) {
    let end = out.len() as u64;
    for at in behind(header) {
        let old = u64_at(out, at);
        if old >= start as u64 {
            out[at..at + 8].copy_from_slice(&(old - start as u64 + end).to_le_bytes());
        }
    }
}

/// What LASzip is told, and the points of a chunk where chunks could vary.
type Coding = Option<(LazVlr, u32)>;

/// The coding of a LAZ file, to be used again.
fn recompressed(source: &Path, header: &Header, head: &[u8]) -> Result<Coding, Error> {
    if vlrs(header, head).any(|vlr| vlr.user == b"copc") {
        return Err(Error::unsupported(
            source,
            "COPC to be written as LAZ",
            "a name that ends in .las: its index would not fit",
        ));
    }
    if header.points == 0 {
        return Ok(None);
    }
    let bad = |found: String| Error::malformed(source, At::Header, found, "a LASzip record");
    let vlr = vlrs(header, head).find(|vlr| vlr.user == LASZIP).ok_or_else(|| bad("none".into()))?;
    let vlr = LazVlr::from_buffer(vlr.data).map_err(|e| bad(e.to_string()))?;
    Ok(Some((vlr, CHUNK)))
}

const LASZIP: &[u8] = LazVlr::USER_ID.as_bytes();

/// The head of a LAZ file from that of a LAS file.
fn with_laszip(source: &Path, header: &Header, head: &[u8]) -> Result<(Vec<u8>, Coding), Error> {
    let bad = |e: String| Error::unsupported(source, e, "a point format that LASzip holds");
    let extra = header.extra() as u16;
    let items = LazItemRecordBuilder::default_for_point_format_id(header.point_format, extra)
        .map_err(|e| bad(e.to_string()))?;
    let vlr = LazVlrBuilder::new(items).with_fixed_chunk_size(CHUNK).build();
    let mut data = Vec::new();
    vlr.write_to(&mut data).map_err(|e| bad(e.to_string()))?;
    let mut record = vec![0; 54];
    record[2..2 + LASZIP.len()].copy_from_slice(LASZIP);
    record[18..20].copy_from_slice(&LazVlr::RECORD_ID.to_le_bytes());
    record[20..22].copy_from_slice(&(data.len() as u16).to_le_bytes());
    record[22..22 + LazVlr::DESCRIPTION.len()].copy_from_slice(LazVlr::DESCRIPTION.as_bytes());
    record.extend_from_slice(&data);
    // Behind the last record, before whatever else stands ahead of the points.
    let at = vlrs(header, head).last().map_or(header.size, |vlr| vlr.offset as usize + vlr.data.len());
    let mut out = [&head[..at], &record, &head[at..]].concat();
    set_head(&mut out, head.len() + record.len(), header.vlrs.saturating_add(1), header.point_format | 0x80);
    Ok((out, Some((vlr, CHUNK))))
}

/// The head of a LAS file from that of a LAZ file.
fn without_laszip(header: &Header, head: &[u8]) -> Vec<u8> {
    let mut out = head.to_vec();
    let mut removed = 0;
    if let Some(vlr) = vlrs(header, head).find(|vlr| vlr.user == LASZIP) {
        let (start, end) = (vlr.offset as usize - 54, vlr.offset as usize + vlr.data.len());
        out.drain(start..end);
        removed = 1;
    }
    let data = out.len();
    set_head(&mut out, data, header.vlrs - removed, header.point_format);
    out
}

/// Sets the offset of the point data, the number of records and the point format in a header.
fn set_head(out: &mut [u8], data: usize, vlrs: u32, point_format: u8) {
    out[96..100].copy_from_slice(&(data as u32).to_le_bytes());
    out[100..104].copy_from_slice(&vlrs.to_le_bytes());
    out[104] = point_format;
}
