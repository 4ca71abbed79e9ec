//! Whether a file that somebody may still be writing is whole, by what its format says of its own length.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::files::read_regular;
use crate::points::format::Format;
use crate::points::scalar::first;
use crate::points::{bin, las, npy, pcd, ply};

/// What a file's own word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// All is there.
    Yes,
    /// Something is missing.
    No,
    /// The format does not say.
    Unknown,
}

/// Bytes of a header that are looked at.
const HEAD: u64 = 1 << 16;

/// What a file of `size` bytes says of itself.
pub(crate) fn whole(format: &Format, path: &Path, size: u64) -> Whole {
    if size == 0 {
        return Whole::Unknown;
    }
    let by_length = |length: Option<u64>| match length {
        Some(length) if length <= size => Whole::Yes,
        Some(_) => Whole::No,
        None => Whole::Unknown,
    };
    let head = || {
        let mut head = Vec::new();
        File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).ok().map(|_| head)
    };
    match format.name {
        name if name == bin::KITTI.name && !(size.is_multiple_of(16) || size.is_multiple_of(20)) => Whole::No,
        name if name == bin::NUSCENES.name && !size.is_multiple_of(20) => Whole::No,
        name if name == pcd::FORMAT.name => match head() {
            Some(head) if cut(&head, format, b"\nDATA ") => Whole::No,
            head => by_length(head.and_then(|head| pcd::length(path, &head))),
        },
        name if name == ply::FORMAT.name => match head() {
            Some(head) if cut(&head, format, b"\nend_header") => Whole::No,
            head => match head.and_then(|head| ply::length(path, &head)) {
                Some(length) => by_length(Some(length)),
                // Lists have to be gone through.
                None => match read_regular(path).ok().and_then(|bytes| ply::with_lists(path, &bytes)) {
                    Some(true) => Whole::Yes,
                    Some(false) => Whole::No,
                    None => Whole::Unknown,
                },
            },
        },
        name if name == npy::FORMAT.name => match head() {
            Some(head) if cut(&head, format, b"}") => Whole::No,
            head => by_length(head.and_then(|head| npy::Header::parse(path, &head).ok()?.length())),
        },
        name if name == las::FORMAT.name => las_length(path).unwrap_or(Whole::Unknown),
        // The magic number stands at both ends, the length of the footer before the second.
        "parquet" => ends_with(path, size, b"PAR1"),
        "arrow" if head().is_some_and(|head| head.starts_with(b"ARROW1")) => ends_with(path, size, b"ARROW1"),
        _ => Whole::Unknown,
    }
}

/// True if a file begins as its format does, and ends before `end`, which ends its header, and the line in which it stands.
fn cut(head: &[u8], format: &Format, end: &[u8]) -> bool {
    let begins = format.magic.iter().any(|magic| head.starts_with(magic));
    let place = head.windows(end.len()).position(|window| window == end);
    begins && (head.len() as u64) < HEAD && place.is_none_or(|place| !head[place + 1..].contains(&b'\n'))
}

/// A file whose footer ends it: its length stands before the last bytes, `magic`.
fn ends_with(path: &Path, size: u64, magic: &[u8]) -> Whole {
    let tail = 4 + magic.len() as u64;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(size.saturating_sub(tail)))?;
        let mut end = Vec::new();
        file.take(tail).read_to_end(&mut end)?;
        Ok(end)
    };
    match read() {
        Ok(end) if end.len() as u64 == tail && end.ends_with(magic) => {
            let footer = u64::from(u32::from_le_bytes(first(&end)));
            if footer + tail + magic.len() as u64 <= size { Whole::Yes } else { Whole::No }
        }
        _ => Whole::No,
    }
}

/// LAS by its number of points, LAZ by its table of chunks. A header that counts no points may be one that is filled in at the end.
fn las_length(path: &Path) -> Option<Whole> {
    let opened = match las::Opened::open(path) {
        Ok(opened) => opened?,
        // What stands there begins as LAS does: the rest is missing.
        Err(_) => return Some(Whole::No),
    };
    if opened.header.points == 0 {
        return Some(Whole::Unknown);
    }
    Some(if !opened.header.compressed || opened.has_chunk_table(path) { Whole::Yes } else { Whole::No })
}
