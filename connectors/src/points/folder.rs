//! Frames from one file, a folder of files in name order, or a KITTI sequence; a folder or a table may be followed as it grows.
//!
//! A file is one frame, a table as many as its `frame` column says. Frame numbers are the input's own, else positions from 0.
//! Following a folder: a file counts as complete once two looks, 50 ms apart, saw the same size and time of change; files are taken
//! in name order, and one that appears with a name before the last one taken is passed over.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use thalweg::{BoxError, Frame, Next, Source};

use crate::error::Error;
use crate::points::format::{self, Format, ReadOptions, Reader};
use crate::points::kitti::{self, Sequence};
use crate::tables::TableFormat;

const POLL: Duration = Duration::from_millis(50);
/// An empty file may be one whose writer has not begun: it must stand this long.
const EMPTY: Duration = Duration::from_secs(1);

/// How to read a file or a folder.
#[derive(Clone, Debug, Default)]
pub struct FilesOptions {
    /// What every reader is told.
    pub read: ReadOptions,
    /// The format of every file, else guessed from each name.
    pub format: Option<&'static Format>,
    /// Position of the first frame to deliver.
    pub start_offset: u64,
    /// Position of the first frame not to deliver any more.
    pub until: Option<u64>,
    /// Go on as the folder or the file grows, until `stop`.
    pub follow: bool,
    /// Set from outside: ends the source after the frame in hand. A followed table's last frame is complete then.
    pub stop: Arc<AtomicBool>,
}

/// A source of frames; see the module.
pub struct Files {
    path: PathBuf,
    options: FilesOptions,
    /// Files not yet opened, last first.
    waiting: Vec<PathBuf>,
    folder: Option<Watch>,
    sequence: Option<Sequence>,
    open: Option<Open>,
    /// Position of the next frame.
    position: u64,
    ended: bool,
}

struct Open {
    reader: Box<dyn Reader>,
    grows: bool,
}

/// True if a file of the format may hold several frames.
pub(crate) fn holds_many(format: &Format) -> bool {
    crate::points::table::of(format).is_some()
}

impl Files {
    /// Opens a file, a folder of files, or a KITTI sequence folder.
    ///
    /// # Errors
    /// Nothing at the path; a folder without a file of a known format (unless followed); a sequence whose text files do not fit; a file
    /// to follow that is no CSV or JSONL table.
    pub fn open(path: &Path, options: FilesOptions) -> Result<Files, Error> {
        let kind = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        let mut files = Files {
            path: path.into(),
            options,
            waiting: Vec::new(),
            folder: None,
            sequence: None,
            open: None,
            position: 0,
            ended: false,
        };
        if !kind.is_dir() {
            files.open_single()?;
            return Ok(files);
        }
        let scans = kitti::scans(path);
        let watch = Watch::new(scans.as_deref().unwrap_or(path));
        if files.options.follow {
            files.folder = Some(watch);
            return Ok(files);
        }
        files.waiting = watch.list()?.into_iter().map(|(path, _)| path).rev().collect();
        if files.waiting.is_empty() {
            let known: Vec<_> = format::FORMATS.iter().flat_map(|f| f.extensions).map(|e| format!(".{e}")).collect();
            return Err(Error::unsupported(path, "a folder without frames", format!("files {}", known.join(", "))));
        }
        if scans.is_some() {
            files.sequence = Some(Sequence::load(path, files.waiting.len())?);
        }
        Ok(files)
    }

    fn open_single(&mut self) -> Result<(), Error> {
        let format = self.format_of(&self.path)?;
        if !self.options.follow {
            self.waiting.push(self.path.clone());
            return Ok(());
        }
        let growing = match crate::points::table::of(format) {
            Some(TableFormat::Csv | TableFormat::Jsonl | TableFormat::Arrow) => {
                crate::points::table::follow(&self.path, format, &self.options.read)?
            }
            _ => {
                return Err(Error::unsupported(
                    &self.path,
                    format!("{} to follow", format.what),
                    "a folder, or a CSV or JSONL table",
                ));
            }
        };
        self.open = Some(Open { reader: growing, grows: true });
        Ok(())
    }

    /// What the reader of the run should be told, once: a calibration that is missing.
    pub fn warnings(&self) -> &[String] {
        self.sequence.as_ref().map_or(&[], Sequence::warnings)
    }

    fn format_of(&self, path: &Path) -> Result<&'static Format, Error> {
        self.options.format.map_or_else(|| format::guess(path), Ok)
    }

    fn next_frame(&mut self) -> Result<Next<Frame>, Error> {
        loop {
            let stopped = self.options.stop.load(Ordering::Relaxed);
            let beyond = self.options.until.is_some_and(|until| self.position >= until);
            if self.ended || beyond || (stopped && !self.open.as_ref().is_some_and(|open| open.grows)) {
                return Ok(Next::End);
            }
            let (frame, numbered) = match &mut self.open {
                None => match self.next_file(stopped)? {
                    Next::Item(()) => continue,
                    Next::Idle => return Ok(Next::Idle),
                    Next::End => return Ok(Next::End),
                },
                Some(Open { reader, grows }) => {
                    if stopped && *grows {
                        reader.close();
                    }
                    match reader.next_frame()? {
                        Next::Item(frame) => (frame, reader.has_frame_ids()),
                        Next::Idle => return Ok(Next::Idle),
                        Next::End => {
                            self.ended = *grows;
                            self.open = None;
                            continue;
                        }
                    }
                }
            };
            let position = self.position;
            self.position += 1;
            if position < self.options.start_offset {
                continue;
            }
            let mut frame = frame;
            if !numbered {
                frame.id = position as i64;
            }
            if let Some(sequence) = &self.sequence {
                sequence.dress(position as usize, &mut frame)?;
            }
            return Ok(Next::Item(frame));
        }
    }

    /// Opens the next file, passing over whole files before the start offset without opening them.
    fn next_file(&mut self, stopped: bool) -> Result<Next<()>, Error> {
        let path = match &mut self.folder {
            None => self.waiting.pop(),
            Some(_) if stopped => None,
            Some(watch) => match watch.next()? {
                Some(path) => Some(path),
                None => return Ok(Next::Idle),
            },
        };
        let Some(path) = path else { return Ok(Next::End) };
        let format = self.format_of(&path)?;
        if self.position < self.options.start_offset && !holds_many(format) {
            self.position += 1;
        } else {
            self.open = Some(Open { reader: (format.open)(&path, &self.options.read)?, grows: false });
        }
        Ok(Next::Item(()))
    }
}

impl Source for Files {
    type Item = Frame;

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        let next = self.next_frame();
        self.ended |= next.is_err();
        Ok(next?)
    }
}

/// What one look at a file saw.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    size: u64,
    changed: Option<SystemTime>,
}

/// A folder that receives files.
struct Watch {
    folder: PathBuf,
    /// The last file taken.
    last: Option<PathBuf>,
    looks: HashMap<PathBuf, (Look, Instant)>,
    ready: Vec<PathBuf>,
    polled: Option<Instant>,
}

impl Watch {
    fn new(folder: &Path) -> Watch {
        Watch { folder: folder.into(), last: None, looks: HashMap::new(), ready: Vec::new(), polled: None }
    }

    /// The folder's files that have the ending of a known format and are not hidden, in name order.
    fn list(&self) -> Result<Vec<(PathBuf, Look)>, Error> {
        let io = |e| Error::io(&self.folder, e);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
            if hidden || format::by_extension(&path).is_none() {
                continue;
            }
            // A file may be gone or renamed between the listing and the look.
            if let Ok(kind) = std::fs::metadata(&path)
                && kind.is_file()
            {
                files.push((path, Look { size: kind.len(), changed: kind.modified().ok() }));
            }
        }
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(files)
    }

    /// The next complete file in name order.
    fn next(&mut self) -> Result<Option<PathBuf>, Error> {
        if self.ready.is_empty() && self.polled.is_none_or(|at| at.elapsed() >= POLL) {
            self.poll()?;
        }
        let next = self.ready.pop();
        if next.is_some() {
            self.last = next.clone();
        }
        Ok(next)
    }

    fn poll(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        self.polled = Some(now);
        let last = self.last.clone();
        let new: Vec<_> =
            self.list()?.into_iter().filter(|(path, _)| last.as_ref().is_none_or(|last| path > last)).collect();
        let mut complete = true;
        let mut looks = HashMap::new();
        for (path, look) in new {
            let since = match self.looks.get(&path) {
                Some((before, since)) if *before == look => *since,
                _ => now,
            };
            let age = now - since;
            // Name order: nothing may overtake a file that is still being written.
            complete &= if look.size == 0 { age >= EMPTY } else { age >= POLL };
            if complete {
                self.ready.push(path.clone());
            }
            looks.insert(path, (look, since));
        }
        self.ready.reverse();
        self.looks = looks;
        Ok(())
    }
}
