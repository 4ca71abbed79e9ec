//! The order in which the files of a followed folder came: what no folder tells afterwards, and a run that goes on must know.
//!
//! One line of JSON each, `[checksum, entry]`. An entry is a file's name as it is taken; `{"unreadable": name}` for one that was taken and could
//! not be read; `{"overrun": name}` for one that was left out because newer ones had come; `{"origin": [x, y, z]}` (m) once a frame has decided the run's. The checksum is the CRC-32 of all entries up to this one as compact
//! JSON. Lines are durable before what they stand for is handed out. A run that goes on takes the files of the list first, in its order, and
//! appends those that come. A last line without its end is taken away: its file was not handed out. How much of the list a checkpoint needs
//! stands in the checkpoint.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{At, Error};

/// What a line says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Name(String),
    Unreadable { unreadable: String },
    Overrun { overrun: String },
    Origin { origin: [f64; 3] },
}

/// A file that a run before this one took.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) name: String,
    /// It could not be read.
    pub(crate) unreadable: bool,
    /// It was left out.
    pub(crate) overrun: bool,
}

/// The list, to be appended to.
#[derive(Debug)]
pub(crate) struct Arrivals {
    path: PathBuf,
    file: File,
    /// Checksum of all entries.
    sum: u32,
    /// What runs before this one took, in order.
    pub(crate) taken: Vec<Taken>,
    /// The origin (m) that they had.
    pub(crate) origin: Option<[f64; 3]>,
}

impl Arrivals {
    /// Opens the list, and makes it where there is none.
    ///
    /// # Errors
    /// A file that cannot be read or written, a line that is none of the list's or has changed.
    pub(crate) fn open(path: &Path) -> Result<Arrivals, Error> {
        let io = |e| Error::io(path, e);
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(io)?;
        let mut arrivals = Arrivals { path: path.into(), file, sum: 0, taken: Vec::new(), origin: None };
        for (number, line) in
            bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty())
        {
            let malformed = |found: String| {
                let expected = "a checksum and an entry, as this list has them: put the list back as it was";
                Error::malformed(path, At::Line(number as u64 + 1), found, expected)
            };
            let (sum, entry): (u32, &RawValue) = serde_json::from_slice(line).map_err(|e| malformed(e.to_string()))?;
            let line = serde_json::from_str(entry.get()).map_err(|e| malformed(e.to_string()))?;
            arrivals.sum = summed(arrivals.sum, entry.get().as_bytes());
            if sum != arrivals.sum {
                return Err(malformed(format!("checksum {sum} where the entries give {}", arrivals.sum)));
            }
            match line {
                Line::Name(name) => arrivals.taken.push(Taken { name, unreadable: false, overrun: false }),
                Line::Unreadable { unreadable } => {
                    let taken = arrivals.taken.iter_mut().rev().find(|taken| taken.name == unreadable);
                    taken.into_iter().for_each(|taken| taken.unreadable = true);
                }
                Line::Overrun { overrun } => {
                    let taken = arrivals.taken.iter_mut().rev().find(|taken| taken.name == overrun);
                    taken.into_iter().for_each(|taken| taken.overrun = true);
                }
                Line::Origin { origin } => arrivals.origin = Some(origin),
            }
        }
        Ok(arrivals)
    }

    fn append(&mut self, line: &Line) -> Result<(), Error> {
        let io = |e| Error::io(&self.path, e);
        let entry = serde_json::to_vec(line).map_err(|e| io(e.into()))?;
        self.sum = summed(self.sum, &entry);
        let mut bytes = format!("[{},", self.sum).into_bytes();
        bytes.extend(entry);
        bytes.extend(b"]\n");
        self.file.write_all(&bytes).and_then(|()| self.file.sync_data()).map_err(io)
    }

    /// A file is taken.
    ///
    /// # Errors
    /// A list that cannot be written.
    pub(crate) fn take(&mut self, path: &Path) -> Result<(), Error> {
        self.append(&Line::Name(name(path)))
    }

    /// A file that was taken could not be read.
    ///
    /// # Errors
    /// A list that cannot be written.
    pub(crate) fn unreadable(&mut self, path: &Path) -> Result<(), Error> {
        self.append(&Line::Unreadable { unreadable: name(path) })
    }

    /// A file that was taken is left out.
    ///
    /// # Errors
    /// A list that cannot be written.
    pub(crate) fn overrun(&mut self, path: &Path) -> Result<(), Error> {
        self.append(&Line::Overrun { overrun: name(path) })
    }

    /// Notes the run's origin (m), once.
    ///
    /// # Errors
    /// A list that cannot be written.
    pub(crate) fn decided(&mut self, origin: Option<[f64; 3]>) -> Result<(), Error> {
        match (self.origin, origin) {
            (None, Some(origin)) => {
                self.origin = Some(origin);
                self.append(&Line::Origin { origin })
            }
            _ => Ok(()),
        }
    }
}

fn summed(before: u32, entry: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new_with_initial(before);
    sum.update(entry);
    sum.finalize()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::checkpoint::length;

    #[test]
    fn a_torn_line_goes_and_a_strange_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arrivals.jsonl");
        let mut arrivals = Arrivals::open(&path).unwrap();
        arrivals.take(Path::new("in/b.bin")).unwrap();
        arrivals.take(Path::new("in/a.bin")).unwrap();
        arrivals.unreadable(Path::new("in/b.bin")).unwrap();
        arrivals.decided(Some([1000.0, 0.0, -2000.0])).unwrap();
        drop(arrivals);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            let found = Arrivals::open(&path).unwrap();
            assert_eq!(found.taken.len(), lines.min(2));
            assert_eq!(std::fs::read(&path).unwrap().iter().filter(|byte| **byte == b'\n').count(), lines);
        }
        std::fs::write(&path, &whole).unwrap();
        let found = Arrivals::open(&path).unwrap();
        assert_eq!(found.origin, Some([1000.0, 0.0, -2000.0]));
        let named = |name: &str, unreadable| Taken { name: name.into(), unreadable, overrun: false };
        assert_eq!(found.taken, [named("b.bin", true), named("a.bin", false)]);
        // A bit of any byte that ends up as another entry, or as another end of the list, is named, or shows in the length.
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, bytes).unwrap();
            match Arrivals::open(&path) {
                Err(error) => assert!(error.to_string().contains("arrivals.jsonl: line "), "{error}"),
                Ok(_) => {
                    assert!(bit / 8 == whole.len() - 1 && length(&path).unwrap() < whole.len() as u64, "bit {bit}")
                }
            }
        }
    }
}
