//! The records of a capture file, one after the other: link type, time and bytes of each captured packet.
//!
//! Classic pcap in both byte orders, with microseconds or nanoseconds, and pcapng with any number of sections and interfaces. The parser is that
//! of `pcap-parser`. Its buffer grows to [`MOST`] bytes and no further, whatever a record says of its own length. Formats:
//! draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng, IETF.

use std::fs::File;
use std::path::{Path, PathBuf};

use pcap_parser::traits::{PcapNGPacketBlock as _, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use crate::error::{At, Error};
use crate::files::guard::guarded;
use crate::files::open_regular;

/// Bytes of the buffer at the beginning.
const BUFFER: usize = 1 << 17;

/// Most bytes of a record.
const MOST: usize = 1 << 20;

/// What a record says of its packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Offset of the record in the file.
    pub(super) offset: u64,
    /// When it was captured (ns since 1970), where the file says so.
    pub(super) time_ns: Option<i64>,
    /// The link type, by its number at tcpdump.org.
    pub(super) link: i32,
    /// How many bytes the packet had; the record may hold less.
    pub(super) length: u64,
}

/// What a section says of the packets of an interface.
struct Interface {
    link: i32,
    /// Units of its stamps a second.
    resolution: Option<u64>,
    /// What its stamps are to be shifted by (s).
    shift: i64,
}

impl Interface {
    /// Nanoseconds of a stamp.
    fn time(&self, high: u32, low: u32) -> Option<i64> {
        let stamp = i128::from(u64::from(high) << 32 | u64::from(low));
        let ns = stamp * 1_000_000_000 / i128::from(self.resolution?.max(1)) + i128::from(self.shift) * 1_000_000_000;
        i64::try_from(ns).ok()
    }
}

/// A capture file that is open.
pub(super) struct Records {
    path: PathBuf,
    /// `None` for an empty file.
    reader: Option<Box<dyn PcapReaderIterator + Send>>,
    capacity: usize,
    offset: u64,
    /// Of a classic capture: its link type, and nanoseconds of a unit of the second part of its stamps.
    classic: (i32, i64),
    interfaces: Vec<Interface>,
}

/// What the parser is to do next.
enum Step {
    /// A record is at hand.
    Packet(Record),
    /// A block without a packet is passed.
    Passed,
    Refill,
    Grow,
    End,
    Wrong(&'static str),
}

impl Records {
    /// Opens a capture file.
    ///
    /// # Errors
    /// A file that cannot be read, or does not begin as a capture does.
    pub(super) fn open(path: &Path) -> Result<Records, Error> {
        let file: File = open_regular(path)?;
        let size = file.metadata().map_err(|e| Error::io(path, e))?.len();
        let expected = "the header of a packet capture (pcap or pcapng)";
        let opened = guarded(path, expected, || Ok(create_reader(BUFFER, file).map_err(|e| e.to_string())))?;
        let reader = match opened {
            _ if size == 0 => None,
            Ok(reader) => Some(reader),
            Err(_) => {
                let found = format!("{size} bytes that begin otherwise");
                return Err(Error::malformed(path, At::Header, found, expected));
            }
        };
        let (offset, classic, interfaces) = (0, (0, 1000), Vec::new());
        Ok(Records { path: path.into(), reader, capacity: BUFFER, offset, classic, interfaces })
    }

    /// The next record; its packet is put into `packet`.
    ///
    /// # Errors
    /// A record that breaks the format, or that the file does not hold to its end.
    pub(super) fn next(&mut self, packet: &mut Vec<u8>) -> Result<Option<Record>, Error> {
        let path = self.path.clone();
        loop {
            let Some(reader) = &mut self.reader else { return Ok(None) };
            let (offset, classic, interfaces) = (self.offset, &mut self.classic, &mut self.interfaces);
            let step = guarded(&path, "records of a packet capture", || {
                let (size, step) = match reader.next() {
                    Ok((size, block)) => (size, step(block, offset, classic, interfaces, packet)),
                    Err(PcapError::Eof) => (0, Step::End),
                    Err(PcapError::Incomplete(_)) => (0, Step::Refill),
                    Err(PcapError::BufferTooSmall) => (0, Step::Grow),
                    Err(PcapError::UnexpectedEof) => (0, Step::Wrong("a last record that is cut off")),
                    Err(_) => (0, Step::Wrong("bytes that are no record")),
                };
                if size > 0 {
                    reader.consume(size);
                }
                Ok((size as u64, step))
            });
            let (size, step) = step?;
            self.offset += size;
            match step {
                Step::Packet(record) => return Ok(Some(record)),
                Step::Passed if size > 0 => {}
                Step::End => return Ok(None),
                Step::Refill => self.refill(false)?,
                Step::Grow => self.refill(true)?,
                Step::Passed => return Err(self.wrong("a record of no bytes")),
                Step::Wrong(found) => return Err(self.wrong(found)),
            }
        }
    }

    /// Reads on, into a larger buffer if it has to be.
    fn refill(&mut self, grow: bool) -> Result<(), Error> {
        let full = self.reader.as_ref().is_some_and(|reader| reader.data().len() >= self.capacity);
        if grow || full {
            self.capacity *= 2;
            if self.capacity > MOST {
                return Err(self.wrong("a record of more than a megabyte"));
            }
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        reader.grow(self.capacity);
        match reader.refill() {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = std::io::Error::other(format!("offset {}: cannot be read: {error}", self.offset));
                Err(Error::io(&self.path, error))
            }
        }
    }

    fn wrong(&self, found: &str) -> Error {
        Error::malformed(&self.path, At::Offset(self.offset), found, "a whole record of a packet capture")
    }
}

/// What a block says, and its packet if it has one.
fn step(
    block: PcapBlockOwned<'_>,
    offset: u64,
    classic: &mut (i32, i64),
    interfaces: &mut Vec<Interface>,
    packet: &mut Vec<u8>,
) -> Step {
    let mut take = |bytes: &[u8], link: i32, time_ns: Option<i64>, length: u32| {
        packet.clear();
        packet.extend_from_slice(bytes);
        Step::Packet(Record { offset, time_ns, link, length: u64::from(length) })
    };
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            *classic = (header.network.0 & 0xffff, if header.is_nanosecond_precision() { 1 } else { 1000 });
            Step::Passed
        }
        PcapBlockOwned::Legacy(block) => {
            let time = i64::from(block.ts_sec) * 1_000_000_000 + i64::from(block.ts_usec) * classic.1;
            take(block.data, classic.0, Some(time), block.origlen)
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            Step::Passed
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
            let (resolution, shift) = (block.ts_resolution(), block.ts_offset());
            interfaces.push(Interface { link: block.linktype.0, resolution, shift });
            Step::Passed
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
            let Some(interface) = interfaces.get(block.if_id as usize) else {
                return Step::Wrong("a packet of an interface that is not described");
            };
            let time = interface.time(block.ts_high, block.ts_low);
            take(block.packet_data(), interface.link, time, block.origlen)
        }
        PcapBlockOwned::NG(Block::SimplePacket(block)) => {
            let Some(interface) = interfaces.first() else {
                return Step::Wrong("a packet before any interface is described");
            };
            take(block.packet_data(), interface.link, None, block.origlen)
        }
        PcapBlockOwned::NG(_) => Step::Passed,
    }
}
