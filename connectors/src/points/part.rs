//! One input of a run: a file, a folder, a sequence, a source of another kind; followed or not.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thalweg::{BoxError, Frame, Next, Source};

use crate::error::Error;
use crate::files::STDIN;
use crate::points::files_options::FilesOptions;
use crate::points::format::{Format, Reader};
use crate::points::kitti::{self, Sequence};
use crate::points::options::ReadOptions;
use crate::points::registry::{self, FORMATS};
use crate::points::watch::{Found, Watch};
use crate::points::{listing, table};
use crate::tables::format::TableFormat;

/// Frames of another kind than files, among the inputs.
pub(crate) type Made = Box<dyn Source<Item = Frame>>;

/// A table that is read as it grows.
fn follow(path: &Path, format: &Format, options: &ReadOptions) -> Result<Box<dyn Reader>, Error> {
    match table::of(format) {
        Some(TableFormat::Csv | TableFormat::Jsonl | TableFormat::Arrow) => table::follow(path, format, options),
        _ => {
            let found = format!("{} to follow", format.what);
            Err(Error::unsupported(path, found, "a folder, or a CSV or JSONL table"))
        }
    }
}

/// What an input gives.
pub(crate) enum Given {
    /// A frame; `numbered` by the input itself, `complete` if nothing that follows can belong to it.
    Frame {
        frame: Box<Frame>,
        numbered: bool,
        complete: bool,
    },
    /// A file of one frame that was passed over unread; one that gave a frame before is named.
    Skipped(Option<PathBuf>),
    Idle,
    End,
}

/// Why a frame could not be had.
pub(crate) enum Failed {
    /// A file, and whether it was one frame, whose position it keeps.
    File { error: Error, one_frame: bool },
    /// The input as a whole.
    Input(BoxError),
}

/// One input.
pub(crate) struct Part {
    path: PathBuf,
    supply: Supply,
    sequence: Option<Sequence>,
    open: Option<Open>,
    /// Scans taken.
    taken: usize,
    /// The scan that waits for its pose or time.
    waiting: Option<PathBuf>,
}

/// Where files come from.
enum Supply {
    /// Known beforehand, with the format of each.
    List(VecDeque<(PathBuf, &'static Format)>),
    /// A folder that is followed.
    Watch(Box<Watch>),
    /// A path to follow where nothing is yet.
    Await,
    /// A source of its own.
    Made(Made),
    /// What is open is all.
    Nothing,
}

struct Open {
    path: PathBuf,
    reader: Box<dyn Reader>,
    one_frame: bool,
    grows: bool,
    /// Its place among the scans of a sequence.
    scan: usize,
}

impl Part {
    /// Opens an input.
    ///
    /// # Errors
    /// Nothing at the path, or a folder without frames (unless followed); a sequence whose texts do not fit; a file to follow that is no
    /// CSV or JSONL table.
    pub(crate) fn open(path: &Path, options: &FilesOptions) -> Result<Part, Error> {
        let mut part =
            Part { path: path.into(), supply: Supply::Await, sequence: None, open: None, taken: 0, waiting: None };
        match std::fs::metadata(path) {
            _ if path == Path::new(STDIN) => part.piped(options)?,
            Ok(kind) if !kind.is_dir() && !kind.is_file() => part.piped(options)?,
            Ok(kind) => part.found(kind.is_dir(), options)?,
            Err(error) if !(options.follow && error.kind() == std::io::ErrorKind::NotFound) => {
                return Err(Error::io(path, error));
            }
            Err(_) => {}
        }
        Ok(part)
    }

    /// An input that is a source of its own.
    pub(crate) fn made(source: Made) -> Part {
        Part {
            path: source.name().into(),
            supply: Supply::Made(source),
            sequence: None,
            open: None,
            taken: 0,
            waiting: None,
        }
    }

    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// How many frames there are in all, where files are frames and none is followed.
    pub(crate) fn total(&self) -> Option<u64> {
        match &self.supply {
            Supply::List(files) if files.iter().all(|(_, format)| !format.many) => Some(files.len() as u64),
            Supply::Made(source) => source.total(),
            _ => None,
        }
    }

    /// The path is standard input, or a FIFO.
    fn piped(&mut self, options: &FilesOptions) -> Result<(), Error> {
        let format = options.format.or_else(|| registry::by_extension(&self.path));
        if let Some(format) = format.filter(|format| table::of(format).is_none()) {
            let found = format!("{} from a pipe", format.what);
            return Err(Error::unsupported(&self.path, found, "CSV, JSON lines or an Arrow stream"));
        }
        let reader = table::piped(&self.path, format, &options.read)?;
        self.open = Some(Open { path: self.path.clone(), reader, one_frame: false, grows: true, scan: 0 });
        self.supply = Supply::Nothing;
        Ok(())
    }

    /// There is something at the path.
    fn found(&mut self, folder: bool, options: &FilesOptions) -> Result<(), Error> {
        if !folder {
            let format = options.format.map_or_else(|| registry::guess(&self.path), Ok)?;
            if options.follow {
                let reader = follow(&self.path, format, &options.read)?;
                self.open = Some(Open { path: self.path.clone(), reader, one_frame: false, grows: true, scan: 0 });
                self.supply = Supply::Nothing;
            } else {
                self.supply = Supply::List([(self.path.clone(), format)].into());
            }
            return Ok(());
        }
        let scans = kitti::scans(&self.path);
        let folder = scans.as_deref().unwrap_or(&self.path);
        if options.follow {
            self.supply = Supply::Watch(Box::new(Watch::new(folder, options)?));
            return Ok(());
        }
        let Some(listing) = listing::list(folder, options.format)? else {
            let known: Vec<_> = FORMATS.iter().flat_map(|f| f.extensions).map(|e| format!(".{e}")).collect();
            let expected = format!("files {}", known.join(", "));
            return Err(Error::unsupported(&self.path, "a folder without frames", expected));
        };
        if let Some(warning) = listing.warning {
            options.read.notices.warn(folder, warning);
        }
        if scans.is_some() {
            self.sequence = Some(Sequence::load(&self.path, &listing.files, &options.read)?);
        }
        self.supply = Supply::List(listing.files.into_iter().map(|path| (path, listing.format)).collect());
        Ok(())
    }

    /// What comes next. `skip`: the next frame is not wanted, a file of one frame need not be read. `ending`: for how long the run has been asked
    /// to end. A file that cannot be read where it was read `before` is not noted as such.
    pub(crate) fn next(
        &mut self,
        options: &FilesOptions,
        skip: bool,
        before: bool,
        ending: Option<Duration>,
    ) -> Result<Given, Failed> {
        loop {
            if let Some(open) = &mut self.open {
                match next_of(open, &mut self.sequence, ending.is_some()) {
                    Ok(Some(given)) => return Ok(given),
                    Ok(None) => self.open = None,
                    Err(failed) if before => return Err(failed),
                    Err(failed) => {
                        self.give_up().map_err(|error| Failed::Input(error.into()))?;
                        return Err(failed);
                    }
                }
                continue;
            }
            let wrong = |error| Failed::Input(BoxError::from(error));
            let found = match &mut self.supply {
                Supply::Nothing => return Ok(Given::End),
                Supply::Made(source) => {
                    return Ok(match source.next().map_err(Failed::Input)? {
                        Next::Item(frame) => Given::Frame { frame: Box::new(frame), numbered: false, complete: true },
                        Next::Idle => Given::Idle,
                        Next::End => Given::End,
                    });
                }
                Supply::Await => {
                    match std::fs::metadata(&self.path) {
                        Ok(kind) => self.found(kind.is_dir(), options).map_err(wrong)?,
                        Err(_) if ending.is_some() => {
                            options.read.notices.warn(&self.path, "nothing was there when the run ended");
                            return Ok(Given::End);
                        }
                        Err(_) => return Ok(Given::Idle),
                    }
                    continue;
                }
                Supply::List(files) => match files.pop_front() {
                    Some((path, format)) => Found::listed(path, format),
                    None => return Ok(Given::End),
                },
                Supply::Watch(_) => match self.watched(options, ending).map_err(wrong)? {
                    Next::Item(found) => found,
                    Next::Idle => return Ok(Given::Idle),
                    Next::End => return Ok(Given::End),
                },
            };
            let scan = self.taken;
            self.taken += 1;
            let one_frame = !found.format.many;
            if (skip && one_frame) || found.passed {
                return Ok(Given::Skipped(Some(found.path).filter(|_| !found.passed)));
            }
            match (found.format.open)(&found.path, &options.read) {
                Ok(reader) => self.open = Some(Open { path: found.path, reader, one_frame, grows: false, scan }),
                Err(error) => {
                    if !before {
                        self.unreadable(&found.path).map_err(wrong)?;
                    }
                    // A file that cannot be opened keeps the position of a frame.
                    return Err(Failed::File { error, one_frame: true });
                }
            }
        }
    }

    /// The next file of a followed folder that is whole, and has its pose and time where it is to have some.
    fn watched(&mut self, options: &FilesOptions, ending: Option<Duration>) -> Result<Next<Found>, Error> {
        let Supply::Watch(watch) = &mut self.supply else { return Ok(Next::End) };
        if self.taken == 0 {
            // A sequence may become one while its folders are being made.
            let scans = kitti::scans(&self.path);
            if let Some(scans) = &scans {
                watch.move_to(scans, options)?;
                self.sequence.get_or_insert_with(|| Sequence::follow(&self.path, &options.read));
            }
        }
        let Some(found) = watch.next(ending)? else {
            return Ok(if ending.is_some() && !watch.hopes() {
                watch.leave();
                Next::End
            } else {
                Next::Idle
            });
        };
        if let Some(sequence) = &mut self.sequence
            && !sequence.has(&found.path, self.taken, options.poses)?
        {
            self.waiting = Some(found.path.clone());
            watch.put_back(found);
            return Ok(Next::Idle);
        }
        self.waiting = None;
        Ok(Next::Item(found))
    }

    /// The run ends: says what is left unread.
    pub(crate) fn leave(&mut self, options: &ReadOptions) {
        if let Some(scan) = &self.waiting {
            options.notices.warn(scan, "no line of poses.txt or times.txt had come for it when the run ended");
        }
        if let Supply::Watch(watch) = &mut self.supply {
            watch.leave();
        }
        if let Some(open) = self.open.as_ref().filter(|open| open.grows) {
            options.notices.warn(&open.path, "was not read to its end when the run ended");
        }
    }

    /// True if rows may be in hand that are no frame yet when the run is asked to end, or files that are whole.
    pub(crate) fn drains(&self) -> bool {
        matches!(self.supply, Supply::Watch(_) | Supply::Await) || self.open.as_ref().is_some_and(|open| open.grows)
    }

    /// True if it is not in the middle of a file.
    pub(crate) fn between_files(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.one_frame)
    }

    /// True if a list says in which order its files came to runs before this one.
    pub(crate) fn has_arrivals(&self) -> bool {
        matches!(&self.supply, Supply::Watch(watch) if watch.has_arrivals())
    }

    /// Notes the run's origin (m) for runs that go on.
    ///
    /// # Errors
    /// A list of arrivals that cannot be written.
    pub(crate) fn decided(&mut self, origin: Option<[f64; 3]>) -> Result<(), Error> {
        match &mut self.supply {
            Supply::Watch(watch) => watch.decided(origin),
            _ => Ok(()),
        }
    }

    /// True if another file may continue the last frame of the one before.
    pub(crate) fn goes_on(&self) -> bool {
        match &self.supply {
            Supply::Watch(watch) => !watch.at_rest(),
            Supply::List(files) => !files.is_empty(),
            Supply::Await | Supply::Made(_) | Supply::Nothing => false,
        }
    }

    /// Closes the file that is open, for it cannot be read.
    fn give_up(&mut self) -> Result<(), Error> {
        self.open.take().map_or(Ok(()), |open| self.unreadable(&open.path))
    }

    fn unreadable(&mut self, path: &Path) -> Result<(), Error> {
        match &mut self.supply {
            Supply::Watch(watch) => watch.unreadable(path),
            _ => Ok(()),
        }
    }
}

/// The next frame of a file that is open; `None` at its end.
fn next_of(open: &mut Open, sequence: &mut Option<Sequence>, ending: bool) -> Result<Option<Given>, Failed> {
    if open.grows && ending {
        open.reader.close();
    }
    let one_frame = open.one_frame;
    let failed = |error| Failed::File { error, one_frame };
    Ok(Some(match open.reader.next_frame().map_err(failed)? {
        Next::Item(mut frame) => {
            if let Some(sequence) = sequence {
                sequence.dress(open.scan, &mut frame).map_err(failed)?;
            }
            let numbered = open.reader.has_frame_ids();
            Given::Frame { frame: Box::new(frame), numbered, complete: open.grows && !ending }
        }
        Next::Idle => Given::Idle,
        Next::End => return Ok(None),
    }))
}
