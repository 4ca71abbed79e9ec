//! Frames from all inputs of a run as one source: files, folders in the order of names, KITTI sequences, other sources among them; folders and
//! tables may be followed as they grow.
//!
//! A file is one frame, a table as many as its `frame` column says, a packet capture a frame a revolution. A frame's number is the input's own,
//! else its position, from 0, over all inputs. Rows of one frame that lie in several files are one frame; a frame that comes again after another
//! is an error.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thalweg::source::{Place, Position};
use thalweg::{BoxError, Frame, Next, Pose, Source};

use crate::clock::Clock;
use crate::error::{At, Error};
use crate::on_error::OnError;
use crate::points::files_options::FilesOptions;
use crate::points::format::Format;
use crate::points::origin::{self, OriginRule};
use crate::points::part::{Failed, Given, Made, Part};
use crate::points::{join, kitti, listing, registry};

/// How long the source goes on after it was asked to end, for what is in a followed input already.
const ENDING: Duration = Duration::from_millis(800);

/// Frames of a followed input before another one has its turn.
const TURN: u32 = 64;

/// Most ranges of frames' numbers that are kept apart.
const RANGES: usize = 100_000;

/// One input of a run.
pub enum Input {
    /// A file or a folder.
    Path(PathBuf),
    /// A source of its own; its frames are numbered with those of the other inputs.
    Source(Made),
}

/// A source of frames; see the module.
pub struct Files {
    name: String,
    options: FilesOptions,
    /// Inputs that have not ended, the one to ask next first.
    parts: VecDeque<Part>,
    /// A frame that the next file may go on with, and since when it waits.
    held: Option<(Frame, Instant)>,
    /// Frames that are complete, and whether the input numbered them.
    complete: VecDeque<(Frame, bool)>,
    /// Frames that came from the first of the inputs without a turn of another.
    turn: u32,
    /// Position of the next frame.
    position: u64,
    /// The position that a run before this one had, behind which this one begins.
    begun: Option<Position>,
    /// Checksum of the frames handed out so far.
    sum: u32,
    /// Event time so far.
    clock: Clock,
    /// What was handed out last, and the frames of it so far.
    place: Option<Place>,
    /// The numbers that inputs gave their frames, ascending, as ranges (first, last).
    numbered: Vec<(i64, i64)>,
    /// First position among the frames that have theirs as their number, and the last.
    counted: Option<(i64, i64)>,
    ending: Option<Instant>,
    ended: bool,
    /// Frames of PCD files so far whose pose moves nothing.
    unmoved: u32,
    /// All inputs, where they can be read from their beginning once more: until the origin is sure.
    again: Option<Vec<PathBuf>>,
    /// The frame that is held, or was held last, came in several files.
    joined: bool,
}

impl Files {
    /// Opens a file, a folder of files, or a KITTI sequence folder.
    ///
    /// # Errors
    /// See [`Files::over`].
    pub fn open(path: &Path, options: FilesOptions) -> Result<Files, Error> {
        Files::over([Input::Path(path.into())], options)
    }

    /// Opens all inputs of a run.
    ///
    /// # Errors
    /// Nothing at a path, or a folder without a file of a known format (unless followed); a sequence whose texts do not fit; a file to follow that
    /// is no CSV or JSONL table.
    pub fn over(inputs: impl IntoIterator<Item = Input>, options: FilesOptions) -> Result<Files, Error> {
        let inputs: Vec<Input> = inputs.into_iter().collect();
        let path = |input: &Input| match input {
            Input::Path(path) if path.is_file() || path.is_dir() => Some(path.clone()),
            Input::Path(_) | Input::Source(_) => None,
        };
        let again = inputs.iter().map(path).collect::<Option<Vec<_>>>();
        let again = again.filter(|_| !options.follow && options.read.origin.get().is_none());
        let open = |input| match input {
            Input::Path(path) => Part::open(&path, &options),
            Input::Source(source) => Ok(Part::made(source)),
        };
        let parts = inputs.into_iter().map(open).collect::<Result<VecDeque<_>, _>>()?;
        let names: Vec<_> = parts.iter().map(Part::name).collect();
        Ok(Files {
            name: names.join(", "),
            options,
            parts,
            held: None,
            complete: VecDeque::new(),
            turn: 0,
            position: 0,
            begun: None,
            sum: 0,
            clock: Clock::default(),
            place: None,
            numbered: Vec::new(),
            counted: None,
            ending: None,
            ended: false,
            unmoved: 0,
            again,
            joined: false,
        })
    }

    fn next_frame(&mut self) -> Result<Next<Frame>, BoxError> {
        loop {
            let beyond = self.options.until.is_some_and(|until| self.position >= until);
            if self.ended || beyond {
                return Ok(Next::End);
            }
            if let Some((frame, numbered)) = self.complete.pop_front() {
                if let Some(frame) = self.deliver(frame, numbered)? {
                    return Ok(Next::Item(frame));
                }
                continue;
            }
            match self.ask() {
                Ok(Given::Frame { frame, numbered, complete }) => self.take(*frame, numbered, complete),
                Ok(Given::Skipped(path)) => {
                    if let Some(path) = path {
                        self.stands(path.display().to_string());
                    }
                    self.advance()?;
                }
                Ok(Given::Idle) => {
                    let settled = self.held.as_ref().is_some_and(|(_, since)| since.elapsed() >= self.options.settle);
                    if !settled || self.parts.iter().any(Part::goes_on) {
                        return Ok(Next::Idle);
                    }
                    self.release();
                }
                Ok(Given::End) if self.held.is_none() => return Ok(Next::End),
                Ok(Given::End) => self.release(),
                Err(failed) => self.fail(failed)?,
            }
        }
    }

    /// Asks the inputs, one after the other; those that are followed in turn.
    fn ask(&mut self) -> Result<Given, Failed> {
        if self.ending.is_none() && self.options.stop.load(Ordering::Relaxed) {
            self.ending = Some(Instant::now());
        }
        let ending = self.ending.map(|since| since.elapsed());
        if let Some(ending) = ending {
            let late = ending > ENDING;
            self.parts.iter_mut().filter(|_| late).for_each(|part| part.leave(&self.options.read));
            self.parts.retain(|part| !late && part.drains());
        }
        // The first frame of a run decides on the origin of all.
        let before = self.position < self.options.start_offset;
        // With a list of arrivals it is known already.
        let first = self.options.start_offset == self.position && !self.parts.iter().any(Part::has_arrivals);
        let done = self.options.start_offset <= self.position && !first && self.position < self.begun();
        let read_before = self.position < self.options.before;
        let skip = self.held.is_none() && (before || done);
        let mut asked = 0;
        while asked < self.parts.len() {
            let Some(part) = self.parts.front_mut() else { break };
            match part.next(&self.options, skip, read_before, ending)? {
                Given::End => drop(self.parts.pop_front()),
                Given::Idle if self.options.follow => {
                    asked += 1;
                    self.parts.rotate_left(1);
                    self.turn = 0;
                }
                given => {
                    // None of those that are followed may keep the others waiting for long.
                    self.turn += 1;
                    if self.options.follow && self.turn >= TURN && part.between_files() {
                        self.parts.rotate_left(1);
                        self.turn = 0;
                    }
                    return Ok(given);
                }
            }
        }
        Ok(if self.parts.is_empty() { Given::End } else { Given::Idle })
    }

    /// Takes a frame that was read: one that others may belong to is held.
    fn take(&mut self, frame: Frame, numbered: bool, complete: bool) {
        if let Some((held, since)) = self.held.as_mut().filter(|(held, _)| numbered && held.id == frame.id) {
            join::append(held, frame, &self.options.read);
            *since = Instant::now();
            self.joined = true;
        } else {
            self.release();
            if !numbered {
                return self.complete.push_back((frame, false));
            }
            self.held = Some((frame, Instant::now()));
        }
        if complete {
            self.release();
        }
    }

    /// The frame that was held is complete.
    fn release(&mut self) {
        self.complete.extend(self.held.take().map(|(frame, _)| (frame, true)));
    }

    /// Numbers a frame and checks that it is wanted.
    fn deliver(&mut self, mut frame: Frame, numbered: bool) -> Result<Option<Frame>, BoxError> {
        let id = i64::try_from(self.position).unwrap_or(i64::MAX);
        if let Some(inputs) = self.again.take().filter(|_| self.joined && self.options.read.origin.get().is_some())
            && let Some(origin) = origin::of_whole(&frame).filter(|origin| *origin != frame.origin)
        {
            self.begin_again(&inputs, origin)?;
            return Ok(None);
        }
        let within = |(first, last): (i64, i64), id: i64| (first..=last).contains(&id);
        if numbered {
            if self.numbered.last().is_some_and(|(_, last)| *last >= frame.id)
                || self.counted.is_some_and(|c| within(c, frame.id))
            {
                self.fail(self.again(&frame))?;
                return Ok(None);
            }
            self.note_number(frame.id);
        } else {
            frame.id = id;
            if self.numbered.iter().rev().any(|range| within(*range, id)) {
                self.fail(self.again(&frame))?;
                return Ok(None);
            }
            self.counted = Some(self.counted.map_or((id, id), |(first, _)| (first, id)));
        }
        if let Some(part) = self.parts.front_mut() {
            part.decided(self.options.read.origin.get())?;
        }
        self.stands(frame.path.as_ref().map_or_else(|| self.name.clone(), |path| path.display().to_string()));
        self.look_at_pose(&frame);
        let wanted = self.position >= self.options.start_offset.max(self.begun()) && self.in_time(&frame);
        if wanted && self.options.sums {
            self.sum = sum(self.sum, &frame);
        }
        self.advance()?;
        Ok(wanted.then_some(frame))
    }

    /// Notes a number that an input gave, larger than those before it.
    fn note_number(&mut self, id: i64) {
        match self.numbered.last_mut() {
            Some((_, last)) if *last == id.saturating_sub(1) => *last = id,
            _ => self.numbered.push((id, id)),
        }
        // So many gaps are those between stamps, far above all positions.
        if self.numbered.len() > RANGES {
            let first = self.numbered[0].0;
            self.numbered = vec![(first, id)];
        }
    }

    /// Reads all from the beginning with another origin (m): the first frame goes on in the next file, and its first part alone has decided.
    fn begin_again(&mut self, inputs: &[PathBuf], origin: [f64; 3]) -> Result<(), Error> {
        self.options.read.origin = OriginRule::fixed(origin);
        self.parts = inputs.iter().map(|path| Part::open(path, &self.options)).collect::<Result<_, _>>()?;
        (self.held, self.turn) = (None, 0);
        self.complete.clear();
        Ok(())
    }

    /// Warns of PCD files whose poses are wanted and move nothing: PCL writes that pose where it knows none.
    fn look_at_pose(&mut self, frame: &Frame) {
        let pcd = || frame.path.as_deref().and_then(Path::extension).is_some_and(|e| e.eq_ignore_ascii_case("pcd"));
        if !self.options.poses || frame.pose != Some(Pose::IDENTITY) || !pcd() {
            return;
        }
        self.unmoved = self.unmoved.saturating_add(1);
        if let (2, Some(path)) = (self.unmoved, &frame.path) {
            let found = "VIEWPOINT 0 0 0 1 0 0 0, as a file before it has";
            self.options.read.notices.warn(path, format!("{found}: the map takes it that the sensor stands still"));
        }
    }

    /// True if a frame is to be handed out by its event time; one that is not is said and counted.
    fn in_time(&mut self, frame: &Frame) -> bool {
        let Some(t) = frame.time_ns.filter(|_| self.options.follow) else { return true };
        let seconds = |ns: i64| ns as f64 * 1e-9;
        let left_out = |reason, what: String| {
            let text = format!("{}: time {:.3} s: {what}", frame.name(), seconds(t));
            self.options.read.notices.dropped(reason, || text.clone());
        };
        if self.clock.leaps(t, self.options.ahead) {
            let ahead = seconds(self.options.ahead.unwrap_or_default());
            left_out("out_of_range", format!("more than {ahead} s after all before it"));
            return false;
        }
        if let Some((lateness, newest)) = self.options.lateness.zip(self.clock.newest)
            && t < newest.saturating_sub(lateness)
        {
            let (lateness, newest) = (seconds(lateness), seconds(newest));
            left_out("late", format!("more than {lateness} s before the newest, {newest:.3} s"));
            return false;
        }
        true
    }

    /// Frames before this position were handed out by a run before this one.
    fn begun(&self) -> u64 {
        self.begun.as_ref().map_or(0, |begun| begun.items)
    }

    /// Notes where the frame stands that is at hand.
    fn stands(&mut self, place: String) {
        match &mut self.place {
            Some(last) if last.input == place => last.records += 1,
            last => *last = Some(Place { input: place, records: 1, ..Place::default() }),
        }
    }

    /// A frame's position is behind it. Where the run before this one stood it must have been the same frame.
    fn advance(&mut self) -> Result<(), BoxError> {
        self.position += 1;
        self.compare()
    }

    fn compare(&mut self) -> Result<(), BoxError> {
        if let Some(begun) = self.begun.as_ref().filter(|begun| begun.items == self.position) {
            self.sum = begun.places.first().map_or(0, |place| place.sum);
            self.clock = Clock::at(begun.newest);
            let here = self.position();
            here.map_or(Ok(()), |here| here.check(begun))?;
        }
        Ok(())
    }

    fn again(&self, frame: &Frame) -> Failed {
        let before = self.numbered.last().copied().or(self.counted).map_or(0, |(_, last)| last);
        let path = frame.path.as_deref().unwrap_or(Path::new(&self.name));
        let found = format!("frame {} after frame {before}", frame.id);
        let error = Error::malformed(path, At::File, found, "ascending frames, each in one piece");
        Failed::File { error, one_frame: false }
    }

    /// Passes over what could not be read, if that is wanted; else it is the source's error.
    fn fail(&mut self, failed: Failed) -> Result<(), BoxError> {
        let (error, one_frame) = match failed {
            Failed::File { error, .. } if self.position < self.options.before => {
                return Err(format!("{error}: the run before this one has read it, put it back as it was").into());
            }
            Failed::File { error, one_frame } if self.options.on_error == OnError::Skip => (error, one_frame),
            Failed::File { error, .. } => return Err(error.into()),
            Failed::Input(error) => return Err(error),
        };
        self.options.read.notices.passed_over(&error);
        if one_frame { self.advance() } else { Ok(()) }
    }
}

/// Checksum of frames: that of those before, and one more.
fn sum(before: u32, frame: &Frame) -> u32 {
    let mut sum = crc32fast::Hasher::new_with_initial(before);
    let mut bytes = Vec::new();
    let mut floats = |values: &[f32]| {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        sum.update(&bytes);
    };
    [&frame.x, &frame.y, &frame.z].into_iter().chain(&frame.intensity).for_each(|values| floats(values));
    frame.columns.values().for_each(|values| floats(values));
    sum.update(&frame.id.to_le_bytes());
    frame.time_ns.iter().for_each(|time| sum.update(&time.to_le_bytes()));
    frame.origin.iter().for_each(|value| sum.update(&value.to_le_bytes()));
    let pose = frame.pose.iter().flat_map(|pose| pose.0.as_flattened());
    pose.for_each(|value| sum.update(&value.to_le_bytes()));
    sum.finalize()
}

/// The format that the frames at a path are read as: of a folder, that of the files that are its frames.
pub fn format_of(path: &Path, asked: Option<&'static Format>) -> Option<&'static Format> {
    if !path.is_dir() {
        return asked.or_else(|| registry::guess(path).ok());
    }
    let scans = kitti::scans(path);
    listing::list(scans.as_deref().unwrap_or(path), asked).ok().flatten().map(|listing| listing.format)
}

impl Source for Files {
    type Item = Frame;

    fn time(&self, frame: &Frame) -> Option<i64> {
        frame.time_ns
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn total(&self) -> Option<u64> {
        let all: u64 = self.parts.iter().map(Part::total).sum::<Option<u64>>()?;
        let end = self.options.until.map_or(all, |until| until.min(all));
        Some(end.saturating_sub(self.options.start_offset))
    }

    fn drain(&mut self) -> bool {
        self.ending.get_or_insert_with(Instant::now);
        true
    }

    fn position(&self) -> Option<Position> {
        let place = self.place.clone().map(|place| Place { sum: self.sum, ..place });
        Some(Position { items: self.position, places: place.into_iter().collect(), newest: self.clock.newest })
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        self.begun = Some(position.clone());
        self.compare()
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        let next = self.next_frame();
        self.ended |= next.is_err();
        next
    }
}
