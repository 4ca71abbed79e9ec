//! Arrow IPC files (Feather version 2) in.
//!
//! Reading goes by record batch; footer, blocks and declared uncompressed lengths are checked against the file before anything is
//! reserved for them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::arrow::array::RecordBatch;
use ::arrow::buffer::Buffer;
use ::arrow::ipc::convert::try_fb_to_schema;
use ::arrow::ipc::reader::FileDecoder;
use ::arrow::ipc::{Block, root_as_footer, root_as_message};

use crate::error::{At, Error};
use crate::files::guard::guarded;
use crate::files::open_regular;
use crate::points::columns::Layout;
use crate::points::format::Format;
use crate::points::table::{RowSource, Rows, Table};

/// An Arrow IPC table of points.
pub const FORMAT: Format = Format {
    name: "arrow",
    what: "Arrow IPC file (Feather 2) with frame, x, y, z",
    extensions: &["arrow", "feather", "ipc"],
    magic: &[MAGIC],
    open: |path, options| Ok(Box::new(Table::new(path, options, Batches::open(path)?))),
};

const MAGIC: &[u8] = b"ARROW1";
const EXPECTED: &str = "an Arrow IPC file";
/// A compressed buffer may declare this much (bytes), and 64 times its own length, whatever the number of rows.
const LARGEST_BUFFER: u64 = 16 << 20;

/// The rows of an Arrow IPC file.
struct Batches {
    path: PathBuf,
    file: File,
    decoder: FileDecoder,
    blocks: Vec<Block>,
    layout: Layout,
    next: usize,
    row: u64,
}

impl Batches {
    fn open(path: &Path) -> Result<Batches, Error> {
        let file = open_regular(path)?;
        let io = |e| Error::io(path, e);
        let length = file.metadata().map_err(io)?.len();
        let bad = |at, found: String| Err(Error::malformed(path, at, found, EXPECTED));
        // Magic, padding to 8 bytes, blocks, footer, the footer's length (i32), magic.
        let Some(room) = length.checked_sub(8 + 10) else { return bad(At::File, format!("{length} bytes")) };
        let (mut head, mut tail) = ([0; 6], [0; 10]);
        file.read_exact_at(&mut head, 0).map_err(io)?;
        file.read_exact_at(&mut tail, length - 10).map_err(io)?;
        if head != MAGIC || tail[4..] != *MAGIC {
            return bad(At::File, "no ARROW1 at its start and end".into());
        }
        let declared = i32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
        let Some(size) = u64::try_from(declared).ok().filter(|&size| size <= room) else {
            return bad(At::Offset(length - 10), format!("a footer of {declared} bytes"));
        };
        let start = length - 10 - size;
        let mut footer = vec![0; size as usize];
        file.read_exact_at(&mut footer, start).map_err(io)?;
        guarded(path, EXPECTED, || Batches::of_footer(path, file, &footer, start))
    }

    fn of_footer(path: &Path, file: File, footer: &[u8], end: u64) -> Result<Batches, Error> {
        let bad = |found: String| Error::malformed(path, At::Offset(end), found, "the footer of an Arrow IPC file");
        let footer = root_as_footer(footer).map_err(|e| bad(e.to_string()))?;
        let schema = footer.schema().ok_or_else(|| bad("no schema".into()))?;
        let schema = Arc::new(try_fb_to_schema(schema).map_err(|e| bad(e.to_string()))?);
        let blocks: Vec<Block> = footer.recordBatches().map(|all| all.iter().copied().collect()).unwrap_or_default();
        for block in &blocks {
            let (offset, head, body) = (block.offset(), i64::from(block.metaDataLength()), block.bodyLength());
            let stop = offset.checked_add(head).and_then(|o| o.checked_add(body));
            if offset < 8 || head < 8 || body < 0 || stop.is_none_or(|stop| stop > end as i64) {
                return Err(bad(format!("a block of {head} + {body} bytes at offset {offset}")));
            }
        }
        let columns = Layout::of_schema(path, &schema)?.columns();
        let projected = schema.project(&columns).map_err(|e| bad(e.to_string()))?;
        let layout = Layout::of_schema(path, &projected)?;
        let decoder = FileDecoder::new(schema, footer.version()).with_projection(columns);
        Ok(Batches { path: path.into(), file, decoder, blocks, layout, next: 0, row: 0 })
    }

    fn decode(&self, block: &Block) -> Result<Option<RecordBatch>, Error> {
        let at = block.offset() as u64;
        let head = block.metaDataLength() as usize;
        let mut bytes = vec![0; head + block.bodyLength() as usize];
        self.file.read_exact_at(&mut bytes, at).map_err(|e| Error::io(&self.path, e))?;
        self.check(at, &bytes[..head], &bytes[head..])?;
        let batch = self.decoder.read_record_batch(block, &Buffer::from_vec(bytes));
        batch.map_err(|e| Error::malformed(&self.path, At::Offset(at), e.to_string(), "a record batch"))
    }

    /// Checks what the buffers of a record batch declare: their places, and their lengths after decompression.
    fn check(&self, at: u64, head: &[u8], body: &[u8]) -> Result<(), Error> {
        let bad = |found: String| Error::malformed(&self.path, At::Offset(at), found, "a record batch");
        let prefix = if head[..4] == [0xff; 4] { 8 } else { 4 };
        let message = root_as_message(&head[prefix..]).map_err(|e| bad(e.to_string()))?;
        let Some(batch) = message.header_as_record_batch() else { return Err(bad("another message".into())) };
        let rows = u64::try_from(batch.length()).map_err(|_| bad(format!("{} rows", batch.length())))?;
        for buffer in batch.buffers().into_iter().flatten() {
            let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
            let bytes = place.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?));
            let bytes =
                bytes.ok_or_else(|| bad(format!("a buffer of {} bytes at {}", buffer.length(), buffer.offset())))?;
            if let (Some(_), Some(declared)) = (batch.compression(), bytes.first_chunk::<8>()) {
                let declared = i64::from_le_bytes(*declared);
                // The widest column in use has three f64 a row; −1 says that the buffer is not compressed.
                let limit = rows.saturating_mul(24).max(LARGEST_BUFFER + 64 * bytes.len() as u64).saturating_add(64);
                if declared < -1 || declared.max(0) as u64 > limit {
                    return Err(bad(format!("a compressed buffer that declares {declared} bytes")));
                }
            }
        }
        Ok(())
    }
}

impl RowSource for Batches {
    fn next_rows(&mut self) -> Result<Option<Rows>, Error> {
        while let Some(block) = self.blocks.get(self.next) {
            self.next += 1;
            if let Some(batch) = guarded(&self.path, EXPECTED, || self.decode(block))? {
                let first = self.row;
                self.row += batch.num_rows() as u64;
                return guarded(&self.path, EXPECTED, || self.layout.rows(&self.path, &batch, first)).map(Some);
            }
        }
        Ok(None)
    }

    fn has_frames(&self) -> bool {
        self.layout.frame.is_some()
    }
}
