//! The order in which the files of a followed folder came: what no folder tells afterwards, and a run that goes on must know.
//!
//! One line of JSON each: a file's name as it is taken; `{"unreadable": name}` for one that was taken and could not be read; `{"origin": [x, y,
//! z]}` (m) once a frame has decided the run's. Lines are durable before what they stand for is handed out. A run that goes on takes the files of
//! the list first, in its order, and appends those that come. A last line without its end is taken away: its file was not handed out.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{At, Error};

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Name(String),
    Unreadable { unreadable: String },
    Origin { origin: [f64; 3] },
}

/// A file that a run before this one took.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) name: String,
    /// It took its turn and gave nothing.
    pub(crate) unreadable: bool,
}

/// The list, to be appended to.
#[derive(Debug)]
pub(crate) struct Arrivals {
    path: PathBuf,
    file: File,
    /// What runs before this one took, in order.
    pub(crate) taken: Vec<Taken>,
    /// The origin (m) that they had.
    pub(crate) origin: Option<[f64; 3]>,
}

impl Arrivals {
    /// Opens the list, and makes it where there is none.
    ///
    /// # Errors
    /// A file that cannot be read or written, or a line that is none of the list's.
    pub(crate) fn open(path: &Path) -> Result<Arrivals, Error> {
        let io = |e| Error::io(path, e);
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(io)?;
        let mut arrivals = Arrivals { path: path.into(), file, taken: Vec::new(), origin: None };
        for (number, line) in
            bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty())
        {
            let line = serde_json::from_slice(line).map_err(|e| {
                Error::malformed(
                    path,
                    At::Line(number as u64 + 1),
                    e.to_string(),
                    "a file's name, as this list has them",
                )
            })?;
            match line {
                Line::Name(name) => arrivals.taken.push(Taken { name, unreadable: false }),
                Line::Unreadable { unreadable } => {
                    let taken = arrivals.taken.iter_mut().rev().find(|taken| taken.name == unreadable);
                    taken.into_iter().for_each(|taken| taken.unreadable = true);
                }
                Line::Origin { origin } => arrivals.origin = Some(origin),
            }
        }
        Ok(arrivals)
    }

    fn append(&mut self, line: &Line) -> Result<(), Error> {
        let io = |e| Error::io(&self.path, e);
        let mut bytes = serde_json::to_vec(line).map_err(|e| io(e.into()))?;
        bytes.push(b'\n');
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

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let named = |name: &str, unreadable| Taken { name: name.into(), unreadable };
        assert_eq!(found.taken, [named("b.bin", true), named("a.bin", false)]);
        std::fs::write(&path, "\"a.bin\"\n17\n").unwrap();
        assert!(Arrivals::open(&path).unwrap_err().to_string().contains("line 2"));
    }
}
