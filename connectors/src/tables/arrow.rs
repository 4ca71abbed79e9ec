//! Arrow IPC (Feather version 2), file or stream: a file is a stream between two marks.
//!
//! Messages are taken whole from the bytes that have come; what a message declares (lengths, buffers, lengths after decompression) is
//! checked against them before the decoder reserves anything.

use std::collections::VecDeque;
use std::path::PathBuf;

use ::arrow::array::RecordBatch;
use ::arrow::buffer::Buffer;
use ::arrow::ipc::reader::StreamDecoder;
use ::arrow::ipc::root_as_message;
use thalweg::Next;

use super::names::{ColumnNames, Kind};
use super::table::{Block, Table};
use super::text::Text;
use crate::error::{At, Error};
use crate::files::got::Got;
use crate::files::guard::guarded;

const MAGIC: &[u8] = b"ARROW1";
const EXPECTED: &str = "an Arrow IPC file";
/// A compressed buffer may declare this much (bytes), and 64 times its own length, whatever the number of rows.
const LARGEST_BUFFER: u64 = 16 << 20;
/// Longest head of a message (bytes).
const LONGEST_HEAD: usize = 16 << 20;

/// An open stream of record batches.
pub(super) struct ArrowTable {
    bytes: Text,
    path: PathBuf,
    kind: &'static Kind,
    names: ColumnNames,
    decoder: StreamDecoder,
    /// By slot the column.
    slots: Option<Vec<Option<usize>>>,
    /// Offset in the stream of what comes next.
    offset: u64,
    file: bool,
    done: bool,
    row: u64,
    /// Batches decoded and not handed out.
    pending: VecDeque<RecordBatch>,
}

/// A message at the place of reading.
enum Message {
    /// So many bytes.
    Whole(usize),
    /// The mark of the end.
    End,
    /// More bytes are wanted.
    Open,
}

impl ArrowTable {
    /// Opens a stream; its schema is read if it has come.
    pub(super) fn open(bytes: Text, kind: &'static Kind, names: &ColumnNames) -> Result<ArrowTable, Error> {
        let path = bytes.path().to_path_buf();
        let mut table = ArrowTable {
            bytes,
            path,
            kind,
            names: names.clone(),
            decoder: StreamDecoder::new(),
            slots: None,
            offset: 0,
            file: false,
            done: false,
            row: 0,
            pending: VecDeque::new(),
        };
        while table.slots.is_none() && !table.done && table.step()? != Got::Nothing {}
        Ok(table)
    }

    fn bad<T>(&self, at: u64, found: impl Into<String>, expected: &str) -> Result<T, Error> {
        Err(Error::malformed(&self.path, At::Offset(at), found, expected))
    }

    /// Finds the message that the bytes at hand begin with.
    fn message(&mut self) -> Result<Message, Error> {
        let bytes = self.bytes.bytes();
        if self.offset == 0 && !self.file {
            if bytes.len() < 8 {
                return Ok(Message::Open);
            }
            if bytes.starts_with(MAGIC) {
                self.file = true;
                self.bytes.pass(8);
                self.offset = 8;
                return self.message();
            }
        }
        let bytes = self.bytes.bytes();
        let Some(first) = bytes.first_chunk::<8>() else { return Ok(Message::Open) };
        let (prefix, length) = if first[..4] == [0xff; 4] {
            (8, i32::from_le_bytes([first[4], first[5], first[6], first[7]]))
        } else {
            (4, i32::from_le_bytes([first[0], first[1], first[2], first[3]]))
        };
        if length == 0 && self.file && self.slots.is_none() {
            // Some writers pad the mark at the beginning of a file to 64 bytes.
            self.bytes.pass(8);
            self.offset += 8;
            return self.message();
        }
        if length == 0 {
            return Ok(Message::End);
        }
        let Some(head) = usize::try_from(length).ok().filter(|&length| length <= LONGEST_HEAD) else {
            return self.bad(self.offset, format!("a message of {length} bytes"), EXPECTED);
        };
        let Some(head_bytes) = bytes.get(prefix..prefix + head) else { return Ok(Message::Open) };
        let message = root_as_message(head_bytes)
            .or_else(|e| self.bad(self.offset, format!("no message of Arrow's ({e})"), EXPECTED))?;
        let Ok(body) = usize::try_from(message.bodyLength()) else {
            return self.bad(self.offset, format!("a message with {} bytes", message.bodyLength()), EXPECTED);
        };
        let whole = prefix.saturating_add(head).saturating_add(body);
        let Some(whole_bytes) = bytes.get(..whole) else { return Ok(Message::Open) };
        let batch = message.header_as_record_batch();
        let batch = batch.or_else(|| message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()));
        if let Some(batch) = batch {
            self.check(&batch, &whole_bytes[prefix + head..])?;
        }
        Ok(Message::Whole(whole))
    }

    /// Checks what the buffers of a record batch declare: their places, and their lengths after decompression.
    fn check(&self, batch: &::arrow::ipc::RecordBatch, body: &[u8]) -> Result<(), Error> {
        let expected = "a record batch";
        let Ok(rows) = u64::try_from(batch.length()) else {
            return self.bad(self.offset, format!("{} rows", batch.length()), expected);
        };
        for buffer in batch.buffers().into_iter().flatten() {
            let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
            let Some(bytes) = place.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?)) else {
                let found = format!("a buffer of {} bytes at {}", buffer.length(), buffer.offset());
                return self.bad(self.offset, found, expected);
            };
            if let (Some(_), Some(declared)) = (batch.compression(), bytes.first_chunk::<8>()) {
                let declared = i64::from_le_bytes(*declared);
                // The widest column in use has three f64 a row; −1 says that the buffer is not compressed.
                let limit = rows.saturating_mul(24).min(body.len() as u64 * 4096);
                let limit = limit.max(LARGEST_BUFFER + 64 * bytes.len() as u64).saturating_add(64);
                if declared < -1 || declared.max(0) as u64 > limit {
                    return self.bad(
                        self.offset,
                        format!("a compressed buffer that declares {declared} bytes"),
                        expected,
                    );
                }
            }
        }
        Ok(())
    }

    /// Takes one message, or fetches bytes; [`Got::Nothing`] where there are none at present.
    fn step(&mut self) -> Result<Got, Error> {
        let length = match self.message()? {
            Message::Whole(length) => length,
            Message::End => {
                self.done = true;
                return Ok(Got::End);
            }
            Message::Open => {
                let had = self.bytes.bytes().len();
                return match self.bytes.more()? {
                    Got::End if had == 0 && self.offset > 0 && !self.file => {
                        self.done = true;
                        Ok(Got::End)
                    }
                    Got::End => {
                        let found = format!("{had} bytes");
                        let what = if self.slots.is_some() { "a whole record batch" } else { EXPECTED };
                        self.bad(self.offset, found, what)
                    }
                    Got::Anew { .. } => {
                        Err(Error::unsupported(&self.path, "another file under its name", "one stream to follow"))
                    }
                    got => Ok(got),
                };
            }
        };
        let mut buffer = Buffer::from(self.bytes.bytes()[..length].to_vec());
        let (path, offset, decoder) = (&self.path, self.offset, &mut self.decoder);
        let batch = guarded(path, EXPECTED, || {
            let decoded = decoder.decode(&mut buffer);
            decoded.map_err(|e| Error::malformed(path, At::Offset(offset), e.to_string(), EXPECTED))
        })?;
        self.bytes.pass(length);
        self.offset += length as u64;
        if self.slots.is_none()
            && let Some(schema) = self.decoder.schema()
        {
            let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
            self.slots = Some(self.names.find(&self.path, self.kind, &names)?);
        }
        self.pending.extend(batch.filter(|batch| batch.num_rows() > 0));
        Ok(Got::Bytes)
    }
}

impl Table for ArrowTable {
    fn next(&mut self) -> Result<Next<Block>, Error> {
        loop {
            if let (Some(batch), Some(slots)) = (self.pending.pop_front(), &self.slots) {
                let first = self.row;
                self.row += batch.num_rows() as u64;
                return Ok(Next::Item(Block::of_batch(&batch, slots, first)));
            }
            if self.done {
                return Ok(Next::End);
            }
            if self.step()? == Got::Nothing {
                return Ok(Next::Idle);
            }
        }
    }

    fn has(&self, slot: usize) -> bool {
        self.slots.as_ref().is_some_and(|slots| slots[slot].is_some())
    }

    fn close(&mut self) {
        self.bytes.close();
    }
}
