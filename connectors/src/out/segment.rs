//! A segment of a folder's output: rows as they are written, then its line in a manifest with length and checksum of what is on disk.

use std::io::Read;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};

use super::manifest::Segment;
use super::parquet::ParquetWriter;
use super::store::Store;
use super::writer::RecordWriter;
use crate::error::{At, Error};

/// A segment being written.
pub(super) struct OpenSegment {
    writer: ParquetWriter,
    store: Store,
    /// What its file is called at first.
    name: String,
    segment: Segment,
    /// Items (frames) in it.
    pub(super) items: u64,
}

impl OpenSegment {
    /// Segment `number` of a place; `ending` stands behind the name of its file until that is renamed.
    pub(super) fn create(store: &Store, number: u64, ending: &str, schema: SchemaRef) -> Result<OpenSegment, Error> {
        let file = format!("segment-{number:08}.parquet");
        let name = format!("{file}{ending}");
        let segment = Segment { file, rows: 0, first: None, last: None, bytes: 0, crc32: 0 };
        let writer = ParquetWriter::create(&store.local(&name), schema)?;
        Ok(OpenSegment { writer, store: store.clone(), name, segment, items: 0 })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let keys = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
        if let (Some(first), Some(last)) = (keys.and_then(|k| k.values().first()), keys.and_then(|k| k.values().last()))
        {
            self.segment.first.get_or_insert(*first);
            self.segment.last = Some(*last);
        }
        self.segment.rows += batch.num_rows() as u64;
        self.writer.write(batch)
    }

    /// Makes the segment durable under its first name; its length and checksum are those of what is on disk.
    pub(super) fn publish(self) -> Result<Segment, Error> {
        let OpenSegment { writer, store, name, segment, .. } = self;
        writer.end()?.publish()?;
        let (bytes, crc32) = sum_of(&store.local(&name))?;
        store.hand_over(&name)?;
        Ok(Segment { bytes, crc32, ..segment })
    }
}

/// Length and CRC-32 of a file.
fn sum_of(path: &Path) -> Result<(u64, u32), Error> {
    let io = |e| Error::io(path, e);
    let mut file = std::fs::File::open(path).map_err(io)?;
    let (mut buffer, mut crc32, mut bytes) = (vec![0; 1 << 18], crc32fast::Hasher::new(), 0);
    loop {
        let read = file.read(&mut buffer).map_err(io)?;
        if read == 0 {
            return Ok((bytes, crc32.finalize()));
        }
        bytes += read as u64;
        crc32.update(&buffer[..read]);
    }
}

/// Checks the content of the file of that name, which is to be the segment's; it stands at [`Store::local`] then.
///
/// # Errors
/// A file that is missing or has changed.
pub(super) fn check(store: &Store, name: &str, segment: &Segment) -> Result<(), Error> {
    let (path, shown) = (store.path(name), |(bytes, crc32): (u64, u32)| format!("{bytes} bytes of checksum {crc32}"));
    store.fetch(name)?;
    let found = sum_of(&store.local(name))?;
    if found != (segment.bytes, segment.crc32) {
        let expected = shown((segment.bytes, segment.crc32));
        return Err(Error::malformed(&path, At::File, shown(found), expected));
    }
    Ok(())
}
