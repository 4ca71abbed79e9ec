//! A text with a line for each scan of a sequence, which may grow: poses or times.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use crate::error::{At, Error};
use crate::order;

/// Lines that are remembered: a sequence without end must not be kept without end.
const KEPT: usize = 1 << 20;

/// Numbers up to here are those of frames, those above are stamps: what a text that grows cannot tell from the number of its lines.
pub(crate) const MOST_FRAMES: u64 = 100_000_000;

/// What a line says.
#[derive(Clone, Debug)]
pub(crate) struct Row<T> {
    pub(crate) value: T,
    /// The number of the frame, if the line has it.
    pub(crate) number: Option<u64>,
}

/// A line: its number in the file, from 1, and what it says, or itself where it does not parse.
type Line<T> = (u64, Result<Row<T>, String>);

/// Such a text.
#[derive(Debug)]
pub(crate) struct Beside<T> {
    path: PathBuf,
    expected: &'static str,
    parse: fn(&str) -> Option<Row<T>>,
    /// Lines that hold something, and how many of the first are forgotten.
    lines: VecDeque<Line<T>>,
    forgotten: usize,
    /// Bytes that were read, and lines in them.
    read: u64,
    numbered: u64,
    inode: u64,
    /// A last line without its end.
    rest: Vec<u8>,
    /// Which line a scan takes, by its position.
    assigned: Assigned,
}

/// Which line a scan takes.
#[derive(Debug)]
enum Assigned {
    /// That of its position.
    InOrder,
    /// These, by position.
    To(Vec<usize>),
    /// These, by position, as scans are met.
    AsMet(BTreeMap<usize, usize>),
}

impl<T: Clone> Beside<T> {
    pub(crate) fn new(path: PathBuf, expected: &'static str, parse: fn(&str) -> Option<Row<T>>) -> Beside<T> {
        let (lines, rest) = (VecDeque::new(), Vec::new());
        let assigned = Assigned::AsMet(BTreeMap::new());
        Beside { path, expected, parse, lines, forgotten: 0, read: 0, numbered: 0, inode: 0, rest, assigned }
    }

    /// Reads what was written since; a last line without its end is one if the text is `whole`.
    ///
    /// # Errors
    /// A text that cannot be read.
    pub(crate) fn read(&mut self, whole: bool) -> Result<(), Error> {
        let io = |e| Error::io(&self.path, e);
        let kind = std::fs::metadata(&self.path).map_err(io)?;
        // A text that is written anew, in its place or under another name first, is read anew.
        let inode = inode(&kind);
        if kind.len() < self.read || inode != self.inode {
            self.lines.clear();
            self.rest.clear();
            (self.forgotten, self.read, self.numbered, self.inode) = (0, 0, 0, inode);
        }
        if kind.len() > self.read {
            let mut file: File = crate::files::open_regular(&self.path)?;
            file.seek(SeekFrom::Start(self.read)).map_err(io)?;
            self.read += file.read_to_end(&mut self.rest).map_err(io)? as u64;
        }
        let end = self.rest.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
        let end = if whole { self.rest.len() } else { end };
        for line in String::from_utf8_lossy(&self.rest[..end]).lines() {
            self.numbered += 1;
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            self.lines.push_back((self.numbered, (self.parse)(line).ok_or_else(|| line.to_string())));
        }
        self.rest.drain(..end);
        while !whole && self.lines.len() > KEPT {
            self.lines.pop_front();
            self.forgotten += 1;
        }
        Ok(())
    }

    fn error(&self, (number, line): &(u64, String)) -> Error {
        Error::malformed(&self.path, At::Line(*number), format!("{line:?}"), self.expected)
    }

    /// The lines that do not parse.
    pub(crate) fn bad(&self) -> impl Iterator<Item = Error> {
        let bad = |(number, row): &Line<T>| row.as_ref().err().map(|line| self.error(&(*number, line.clone())));
        self.lines.iter().filter_map(bad)
    }

    /// Decides which line each scan takes: that of its number, where all have one; else they are as many, in order. A text that numbers its own
    /// lines by frames is taken at its word.
    ///
    /// # Errors
    /// More or fewer lines than scans; a text of numbered lines that has none for a scan, or two.
    pub(crate) fn assign(&mut self, scans: &[PathBuf]) -> Result<(), Error> {
        let numbers: Option<Vec<u64>> = scans.iter().map(|scan| order::number(scan)).collect();
        let line_of = |number: u64| usize::try_from(number).ok().filter(|&number| number < self.lines.len());
        let own: BTreeMap<u64, usize> = self.numbers();
        if let Some(numbers) = &numbers {
            self.check_numbers(&own, numbers)?;
        }
        let by_own = numbers.as_ref().and_then(|numbers| numbers.iter().map(|n| own.get(n).copied()).collect());
        let by_line = || numbers.as_ref().and_then(|numbers| numbers.iter().map(|&n| line_of(n)).collect());
        if let Some(lines) = by_own.or_else(by_line) {
            self.assigned = Assigned::To(lines);
        } else if self.lines.len() == scans.len() {
            self.assigned = Assigned::InOrder;
        } else {
            let last = self.lines.back().map_or(0, |(number, _)| *number);
            let expected = format!("{}, one for each scan", scans.len());
            let found = format!("{} lines", self.lines.len());
            return Err(Error::malformed(&self.path, At::Line(last), found, expected));
        }
        Ok(())
    }

    /// Checks a text that numbers its lines by frames, `own`: it must have one line for each of the scans' `numbers`.
    fn check_numbers(&self, own: &BTreeMap<u64, usize>, numbers: &[u64]) -> Result<(), Error> {
        // Whole seconds are no numbers of frames: then no scan has its number among them, but by chance.
        let known = numbers.iter().filter(|number| own.contains_key(number)).count();
        if 2 * known <= numbers.len() || own.keys().any(|number| *number >= MOST_FRAMES) {
            return Ok(());
        }
        // Of two lines of one number `own` has the last.
        let first = |(i, (_, row)): &(usize, &Line<T>)| {
            let number = row.as_ref().ok().and_then(|row| row.number);
            number.is_some_and(|number| own.get(&number) != Some(&(i + self.forgotten)))
        };
        if let Some((_, (line, _))) = self.lines.iter().enumerate().find(first) {
            let found = "a frame that another line has too";
            return Err(Error::malformed(&self.path, At::Line(*line), found, "a line for each frame"));
        }
        match numbers.iter().find(|number| !own.contains_key(number)) {
            Some(lacks) => {
                let found = format!("no line that begins with {lacks}");
                Err(Error::malformed(&self.path, At::File, found, "a line for each scan, by its number"))
            }
            None => Ok(()),
        }
    }

    /// The lines of frames that the text itself numbers; none if a line has no number.
    fn numbers(&self) -> BTreeMap<u64, usize> {
        let number = |(i, (_, row)): (usize, &Line<T>)| Some((row.as_ref().ok()?.number?, i + self.forgotten));
        self.lines.iter().enumerate().map(number).collect::<Option<_>>().unwrap_or_default()
    }

    /// Of a text that grows: true if the line for the scan at `position` is there, by the text's own number `line`, else the line of that number.
    pub(crate) fn expect(&mut self, position: usize, line: usize) -> bool {
        let own = match self.lines.back() {
            Some((_, Ok(Row { number: Some(number), .. }))) if *number < MOST_FRAMES => {
                let fits = |(i, (_, row)): (usize, &Line<T>)| {
                    (row.as_ref().ok()?.number? == line as u64).then_some(i + self.forgotten)
                };
                self.lines.iter().enumerate().rev().find_map(fits)
            }
            _ => (line < self.forgotten + self.lines.len()).then_some(line),
        };
        if let (Some(own), Assigned::AsMet(met)) = (own, &mut self.assigned) {
            met.insert(position, own);
        }
        own.is_some()
    }

    /// What the line of the scan at `position` says; `None` if there is none.
    ///
    /// # Errors
    /// A line that does not parse.
    pub(crate) fn get(&mut self, position: usize) -> Result<Option<T>, Error> {
        let line = match &mut self.assigned {
            Assigned::InOrder => Some(position),
            Assigned::To(lines) => lines.get(position).copied(),
            Assigned::AsMet(met) => met.remove(&position),
        };
        let Some(index) = line.and_then(|line| line.checked_sub(self.forgotten)) else { return Ok(None) };
        match self.lines.get(index) {
            Some((_, Ok(row))) => Ok(Some(row.value.clone())),
            Some((number, Err(line))) => Err(self.error(&(*number, line.clone()))),
            None => Ok(None),
        }
    }
}

fn inode(kind: &std::fs::Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::ino(kind);
    #[cfg(not(unix))]
    return u64::from(kind.is_file());
}
