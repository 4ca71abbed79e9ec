//! Checkpoints: what a run must know to go on where it was killed, one file each in a folder or bucket of their own.
//!
//! A checkpoint is written whole and claims its number, which fails where the number is taken: in a folder by a link, in a bucket by a put on condition.
//! It names the segments that are the output up to its position. A segment becomes part of the output by a checkpoint alone. The newest whole
//! checkpoint counts; the newest three are kept, so that one that was damaged costs seconds of work and no rows.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thalweg::source::Position;

use super::lock::Lock;
use super::manifest::Segment;
use super::store::Store;
use crate::error::{At, Error};
use crate::notices::Notices;

const VERSION: u32 = 2;
/// The list beside the checkpoints of the order in which the files of a followed folder came.
pub const ARRIVALS: &str = "arrivals.jsonl";
/// Checkpoints that are kept.
const KEPT: usize = 3;

/// One checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Checkpoint {
    /// Version of this layout: 2.
    version: u32,
    /// Its number, from 1.
    pub number: u64,
    /// What must be the same for a run to go on from here: settings and models, by name.
    pub identity: BTreeMap<String, String>,
    /// How far the source was read for the output that there is.
    pub position: Position,
    /// Where a run begins to read again, to have the items that its stages retain.
    pub restart: Position,
    /// Segments of the output.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
    /// The newest of the segments: those that the folder's manifest may not list yet.
    pub fresh: Vec<Segment>,
    /// Bytes of [`ARRIVALS`] that stand behind it; 0 where there is no such list.
    pub arrivals: u64,
    /// True once the input has ended and nothing will follow.
    pub complete: bool,
    /// What the input was when the run began that came to its end: a checksum of names and lengths. None in checkpoints of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u32>,
    /// CRC-32 of this object as compact JSON with this field 0.
    crc32: u32,
}

impl Checkpoint {
    /// The first, before anything was done.
    pub fn first(identity: BTreeMap<String, String>) -> Checkpoint {
        Checkpoint {
            version: VERSION,
            number: 0,
            identity,
            position: Position::default(),
            restart: Position::default(),
            segments: 0,
            rows: 0,
            fresh: Vec::new(),
            arrivals: 0,
            complete: false,
            input: None,
            crc32: 0,
        }
    }

    fn sum(&self) -> u32 {
        let plain = Checkpoint { crc32: 0, ..self.clone() };
        // Maps of texts and numbers: there is nothing in it that JSON has not.
        serde_json::to_vec(&plain).map_or(0, |bytes| crc32fast::hash(&bytes))
    }

    fn read(store: &Store, number: u64) -> Result<Checkpoint, Error> {
        let (file, path) = (name(number), &store.path(&name(number)));
        let bytes = store.read(&file)?;
        let malformed =
            |e: serde_json::Error| Error::malformed(path, At::Line(e.line() as u64), e.to_string(), "a checkpoint");
        let Version { version } = serde_json::from_slice(&bytes).map_err(malformed)?;
        if version != VERSION {
            return Err(Error::unsupported(path, format!("version {version}"), format!("version {VERSION}")));
        }
        let read: Checkpoint = serde_json::from_slice(&bytes).map_err(malformed)?;
        let sum = read.sum();
        if read.crc32 != sum {
            let found = format!("checksum {}", read.crc32);
            return Err(Error::malformed(path, At::Field("crc32".into()), found, sum.to_string()));
        }
        if read.number != number {
            let found = format!("checkpoint {}", read.number);
            return Err(Error::malformed(path, At::Field("number".into()), found, "the number in the file's name"));
        }
        Ok(read)
    }
}

/// What any version says of itself.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// A folder of checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    store: Store,
    /// The greatest number that was ever taken.
    last: u64,
    lock: Lock,
    /// Bytes of [`ARRIVALS`] that a bucket has.
    sent: u64,
}

impl Checkpoints {
    /// Opens a folder to write into, and makes it where there is none; while this lives no other run writes into it.
    ///
    /// # Errors
    /// A folder that cannot be made, or that another run writes into.
    pub fn open(folder: &Path) -> Result<Checkpoints, Error> {
        let store = Store::at(folder)?;
        store.make()?;
        let lock = Lock::take(&store)?;
        let last = numbers(&store)?.last().copied().unwrap_or(0);
        let mut sent = 0;
        if store.is_remote()
            && let Some(length) = store.length(ARRIVALS)?
        {
            store.fetch(ARRIVALS)?;
            sent = length;
        }
        Ok(Checkpoints { store, last, lock, sent })
    }

    /// The newest checkpoint that is whole; those that are not are said. `None` in a folder without any.
    ///
    /// # Errors
    /// Checkpoints of which none is whole: the error of the newest. A list of arrivals that ends before it may.
    pub fn newest(&self, notices: &Notices) -> Result<Option<Checkpoint>, Error> {
        let mut first = None;
        for number in numbers(&self.store)?.into_iter().rev() {
            let path = self.store.path(&name(number));
            match Checkpoint::read(&self.store, number) {
                Ok(checkpoint) => {
                    let list = self.store.path(ARRIVALS);
                    let found = if checkpoint.arrivals > 0 { length(&self.store.local(ARRIVALS))? } else { 0 };
                    if found < checkpoint.arrivals {
                        let expected = format!("{} or more: put the list back as it was", checkpoint.arrivals);
                        return Err(Error::malformed(
                            &list,
                            At::File,
                            format!("{found} bytes of whole lines"),
                            expected,
                        ));
                    }
                    if let Some(error) = first {
                        notices.warn(&path, format!("is the newest whole checkpoint: {error}"));
                    }
                    return Ok(Some(checkpoint));
                }
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        first.map_or(Ok(None), Err)
    }

    /// Makes a checkpoint durable under the next number, which it is given. Older ones than the newest three go.
    ///
    /// # Errors
    /// A folder that cannot be written; a number that somebody else took.
    pub fn commit(&mut self, checkpoint: &mut Checkpoint) -> Result<(), Error> {
        self.lock.still_held()?;
        self.last += 1;
        checkpoint.number = self.last;
        checkpoint.arrivals = length(&self.store.local(ARRIVALS))?;
        if self.store.is_remote() && checkpoint.arrivals > self.sent {
            let list = self.store.local(ARRIVALS);
            let bytes = std::fs::read(&list).map_err(|e| Error::io(&list, e))?;
            self.store.put(ARRIVALS, &bytes)?;
            self.sent = checkpoint.arrivals;
        }
        checkpoint.crc32 = checkpoint.sum();
        let name = name(self.last);
        let mut bytes =
            serde_json::to_vec_pretty(checkpoint).map_err(|e| Error::io(&self.store.path(&name), e.into()))?;
        bytes.push(b'\n');
        self.store.claim(&name, &bytes)?;
        let numbers = numbers(&self.store)?;
        for old in &numbers[..numbers.len().saturating_sub(KEPT)] {
            // One that stays is passed over: it is not the newest.
            let _ = self.store.remove(&self::name(*old));
        }
        Ok(())
    }
}

/// The length (bytes) of the whole lines of a list, which are durable from here on; 0 where there is none.
pub(crate) fn length(list: &Path) -> Result<u64, Error> {
    let io = |e| Error::io(list, e);
    let mut file = match std::fs::File::open(list) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        file => file.map_err(io)?,
    };
    file.sync_all().map_err(io)?;
    let mut end = file.metadata().map_err(io)?.len();
    let mut bytes = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(1 << 16);
        bytes.resize((end - begin) as usize, 0);
        file.seek(SeekFrom::Start(begin)).and_then(|_| file.read_exact(&mut bytes)).map_err(io)?;
        if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// A checkpoint's path, and the checkpoint, or what is wrong with it.
pub type Listed = (PathBuf, Result<Checkpoint, Error>);

/// All checkpoints of a folder, oldest first: each with its path, and what is wrong with it where it is not whole.
///
/// # Errors
/// A folder that cannot be read.
pub fn list(folder: &Path) -> Result<Vec<Listed>, Error> {
    let store = Store::at(folder)?;
    let read = |number| (store.path(&name(number)), Checkpoint::read(&store, number));
    Ok(numbers(&store)?.into_iter().map(read).collect())
}

/// When the newest checkpoint of a folder was made, and its size; `None` where there is none. It is not read.
pub fn newest_file(folder: &Path) -> Option<(SystemTime, u64)> {
    let entries = Store::at(folder).and_then(|store| store.list()).ok()?;
    let newest = entries.into_iter().filter_map(|entry| Some((number(&entry.name)?, entry))).max_by_key(|(n, _)| *n)?;
    Some((newest.1.modified?, newest.1.bytes))
}

fn name(number: u64) -> String {
    format!("checkpoint-{number:08}.json")
}

/// The number of a checkpoint's file.
fn number(name: &str) -> Option<u64> {
    name.strip_prefix("checkpoint-")?.strip_suffix(".json")?.parse().ok()
}

/// The numbers of the checkpoints that are there, ascending.
fn numbers(store: &Store) -> Result<Vec<u64>, Error> {
    let mut numbers: Vec<u64> = store.list()?.iter().filter_map(|entry| number(&entry.name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
