//! Output without end: a folder of Parquet segments, published by a manifest.
//!
//! A segment is written under a temporary name, made durable and renamed to `segment-00000000.parquet`; then `manifest.json`, which lists
//! it, takes the place of the one before in one rename. What the manifest does not list is not part of the output.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};
use serde::{Deserialize, Serialize};
use thalweg::{BoxError, Epoch, Sink};

use super::crc32::crc32;
use super::parquet::ParquetWriter;
use crate::error::{At, Error};
use crate::files::read_regular;
use crate::out::publish::StagedFile;
use crate::out::records::{Batches, RecordWriter};

/// The manifest's file name.
pub const MANIFEST: &str = "manifest.json";
const VERSION: u32 = 1;

/// When a segment is full.
#[derive(Clone, Copy, Debug)]
pub struct Roll {
    /// After so many items (frames).
    pub items: u64,
    /// Or, at an item's end, once it is so old.
    pub age: Duration,
}

impl Default for Roll {
    /// 600 items, or 60 s.
    fn default() -> Self {
        Roll { items: 600, age: Duration::from_secs(60) }
    }
}

/// One published segment.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Segment {
    /// Its file's name in the folder.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    /// The first row's value of the first column (`frame`, `as_of`, …), if there is a row.
    pub first: Option<i64>,
    /// The last row's.
    pub last: Option<i64>,
    /// Length of the file.
    pub bytes: u64,
    /// CRC-32 of the file.
    pub crc32: u32,
}

/// A column's name and Arrow type.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its Arrow type, as the `arrow` crate shows it.
    pub kind: String,
}

/// What a folder of segments holds.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Manifest {
    /// Version of this layout: 1.
    pub version: u32,
    /// The columns of every segment.
    pub schema: Vec<Column>,
    /// True once the run has ended and no segment will follow.
    pub complete: bool,
    /// The segments, in order.
    pub segments: Vec<Segment>,
    /// CRC-32 of this object as compact JSON with this field 0.
    pub crc32: u32,
}

impl Manifest {
    fn new(schema: &SchemaRef) -> Manifest {
        let column =
            |f: &arrow::datatypes::FieldRef| Column { name: f.name().clone(), kind: f.data_type().to_string() };
        let schema = schema.fields().iter().map(column).collect();
        Manifest { version: VERSION, schema, complete: false, segments: Vec::new(), crc32: 0 }
    }

    fn seal(&self, path: &Path) -> Result<u32, Error> {
        let bare = Manifest { crc32: 0, ..self.clone() };
        let bytes = serde_json::to_vec(&bare).map_err(|e| Error::io(path, e.into()))?;
        Ok(crc32(0, &bytes))
    }

    /// Reads a folder's manifest.
    ///
    /// # Errors
    /// No manifest; one that is torn or of another version; a segment of it that is missing or has another length.
    pub fn load(folder: &Path) -> Result<Manifest, Error> {
        let path = folder.join(MANIFEST);
        let bytes = read_regular(&path)?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| Error::malformed(&path, At::Line(e.line() as u64), e.to_string(), "a manifest of segments"))?;
        if manifest.version != VERSION {
            let found = format!("manifest version {}", manifest.version);
            return Err(Error::unsupported(&path, found, format!("version {VERSION}")));
        }
        let seal = manifest.seal(&path)?;
        if seal != manifest.crc32 {
            let found = format!("checksum {}", manifest.crc32);
            return Err(Error::malformed(&path, At::Field("crc32".into()), found, seal.to_string()));
        }
        for segment in &manifest.segments {
            let file = folder.join(&segment.file);
            let length = std::fs::metadata(&file).map_err(|e| Error::io(&file, e))?.len();
            if length != segment.bytes {
                return Err(Error::malformed(&file, At::File, format!("{length} bytes"), format!("{}", segment.bytes)));
            }
        }
        Ok(manifest)
    }

    fn publish(&mut self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(MANIFEST);
        self.crc32 = self.seal(&path)?;
        let mut file = StagedFile::create(&path)?;
        serde_json::to_writer_pretty(&mut file, self).map_err(|e| Error::io(&path, e.into()))?;
        file.write_all(b"\n").map_err(|e| Error::io(&path, e))?;
        file.publish()
    }
}

/// A sink that writes every item's rows into a folder of segments.
pub struct SegmentSink<T> {
    folder: PathBuf,
    schema: SchemaRef,
    batches: Batches<T>,
    roll: Roll,
    manifest: Manifest,
    open: Option<Growing>,
    /// True if this sink made the folder: it goes again if nothing is published in it.
    made: bool,
    failed: bool,
}

/// The segment being written.
struct Growing {
    writer: ParquetWriter,
    path: PathBuf,
    segment: Segment,
    items: u64,
    since: Instant,
}

impl<T> SegmentSink<T> {
    /// A sink into `folder`, which may exist but not hold a manifest.
    ///
    /// # Errors
    /// A folder with a manifest, or that cannot be made.
    pub fn create(folder: &Path, schema: SchemaRef, batches: Batches<T>, roll: Roll) -> Result<SegmentSink<T>, Error> {
        if folder.join(MANIFEST).exists() {
            return Err(Error::unsupported(folder, "a published manifest", "a folder without one"));
        }
        let made = !folder.exists();
        if made {
            std::fs::create_dir(folder).map_err(|e| Error::io(folder, e))?;
        }
        let manifest = Manifest::new(&schema);
        Ok(SegmentSink { folder: folder.into(), schema, batches, roll, manifest, open: None, made, failed: false })
    }

    fn put(&mut self, item: &T) -> Result<(), Error> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Growing::create(&self.folder, self.manifest.segments.len(), self.schema.clone())?,
        };
        for batch in (self.batches)(item) {
            open.write(&batch?)?;
        }
        open.items += 1;
        if open.items >= self.roll.items || open.since.elapsed() >= self.roll.age {
            self.manifest.segments.push(open.publish()?);
            self.manifest.publish(&self.folder)?;
        } else {
            self.open = Some(open);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        if let Some(open) = self.open.take() {
            self.manifest.segments.push(open.publish()?);
        }
        self.manifest.complete = true;
        self.manifest.publish(&self.folder)
    }
}

impl Growing {
    fn create(folder: &Path, number: usize, schema: SchemaRef) -> Result<Growing, Error> {
        let file = format!("segment-{number:08}.parquet");
        let path = folder.join(&file);
        let segment = Segment { file, rows: 0, first: None, last: None, bytes: 0, crc32: 0 };
        let writer = ParquetWriter::create(&path, schema)?;
        Ok(Growing { writer, path, segment, items: 0, since: Instant::now() })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let keys = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
        if let (Some(first), Some(last)) = (keys.and_then(|k| k.values().first()), keys.and_then(|k| k.values().last()))
        {
            self.segment.first.get_or_insert(*first);
            self.segment.last = Some(*last);
        }
        self.segment.rows += batch.num_rows() as u64;
        self.writer.write(batch)
    }

    /// Gives the segment its name; its length and checksum are those of what is on disk.
    fn publish(self) -> Result<Segment, Error> {
        let Growing { writer, path, mut segment, .. } = self;
        writer.end()?.publish()?;
        let io = |e| Error::io(&path, e);
        let mut file = std::fs::File::open(&path).map_err(io)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = file.read(&mut buffer).map_err(io)?;
            if read == 0 {
                return Ok(segment);
            }
            segment.bytes += read as u64;
            segment.crc32 = crc32(segment.crc32, &buffer[..read]);
        }
    }
}

impl<T> Sink<T> for SegmentSink<T> {
    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn write(&mut self, _: Epoch, item: T) -> Result<(), BoxError> {
        self.failed = true;
        self.put(&item)?;
        self.failed = false;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        if !self.failed && !self.manifest.complete {
            self.end()?;
        }
        Ok(())
    }
}

impl<T> Drop for SegmentSink<T> {
    fn drop(&mut self) {
        self.open = None;
        if self.made && !self.folder.join(MANIFEST).exists() {
            // Only an empty folder goes; a segment whose manifest could not be written stays for who looks into it.
            let _ = std::fs::remove_dir(&self.folder);
        }
    }
}
