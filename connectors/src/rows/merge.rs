//! Several feeds of rows as one source: each epoch a batch of rows, in the order of the feeds' own rows, the earliest stamp first among them.
//!
//! What is live at the end does not depend on that order. It makes revisions tell a story: rows of all tables come in together by event
//! time, and a row that stands late in its file comes late. Where revisions are asked for, a batch ends, due to be scored, before the first
//! row after an as-of time, and whenever a growing input is quiet; everything read is due at the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thalweg::asof::{AsOf, Names, RowBatch, Stamped};
use thalweg::source::{Place, Position};
use thalweg::{BoxError, Next, Portable, Source};

use super::feed::{Feed, FoundAt, Summed};
use super::ids::Ids;
use super::places::Places;
use crate::clock::Clock;
use crate::error::Error;

/// Most rows in a batch, and the longest it is waited for.
const ROWS: usize = 65_536;
const LONG: Duration = Duration::from_millis(80);
/// A growing input is quiet when nothing came for so long; what has waited longer than the second is due all the same.
const QUIET: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);
/// How often folders are looked into.
const LOOK: Duration = Duration::from_millis(200);

/// When rows are handed out, and when they are due to be scored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Score at these as-of times as they are passed, and at quiet moments; else at the end alone.
    pub revisions: Option<AsOf>,
    /// Event time in seconds a second; 0 = as fast as possible.
    pub rate: f64,
    /// Position of the first row to take, over all inputs.
    pub start_offset: u64,
    /// Position of the first row not to take any more.
    pub until: Option<u64>,
    /// A run that is asked to end before its input does will be gone on with.
    pub kept: bool,
    /// Where inputs grow, a row further (ns) behind the newest one than this is left out, `late`.
    pub behind: Option<i64>,
    /// The same for the tables that hold such rows.
    pub behind_of: Option<(&'static str, i64)>,
    /// Where inputs grow, a row further (ns) ahead of all before it in its input than this is left out, `out_of_range`, unless the one before
    /// it was too and lies within the same distance: time has gone on then.
    pub ahead: Option<i64>,
}

impl Pace {
    /// How far behind the newest row one of a feed may be.
    fn behind(&self, found: FoundAt) -> Option<i64> {
        let of = self.behind_of.filter(|(rows, _)| *rows == found.rows);
        of.map(|(_, behind)| behind).or(self.behind)
    }
}

/// Gives the feeds that have come since it was asked last: files that appear in folders. It is told whether it is asked for the last time.
pub type More<F> = Box<dyn FnMut(bool) -> Result<Vec<Box<dyn Feed<F>>>, Error> + Send>;

/// A feed with its next row.
struct Input<F> {
    feed: Box<dyn Feed<F>>,
    /// Its number among the tables of the input.
    table: u64,
    head: Option<(F, i32)>,
    /// Rows taken, and how many of them a run before this one handed out.
    taken: u64,
    begun: u64,
    /// Rows that are to come again before others, if they are, and their checksum.
    again: u64,
    again_sum: u32,
    /// Checksum of the rows taken, of a run that will be gone on with.
    sum: u32,
    /// The latest stamp of the rows taken; none of rows that count however old they are.
    newest: Option<i64>,
    /// The time of its rows.
    clock: Clock,
    /// Nothing there at present.
    dry: bool,
    /// Nothing there any more.
    ended: bool,
}

impl<F> Input<F> {
    fn of(feed: Box<dyn Feed<F>>, places: &mut Places) -> Input<F> {
        Input {
            table: places.number(feed.found().named, Path::new(feed.name())),
            feed,
            head: None,
            taken: 0,
            begun: 0,
            again: 0,
            again_sum: 0,
            sum: 0,
            newest: None,
            clock: Clock::default(),
            dry: false,
            ended: false,
        }
    }
}

/// The source; see the module.
pub struct Merge<F> {
    name: String,
    inputs: Vec<Input<F>>,
    places: Places,
    /// Tables of a run before this one that are gone and of which nothing is needed, by their place among its tables.
    gone: Vec<(usize, Place)>,
    /// Where more inputs come from, and when that was asked last.
    more: Option<More<F>>,
    looked: Instant,
    ids: Ids,
    pace: Pace,
    follow: bool,
    stop: Arc<AtomicBool>,
    closed: bool,
    drained: bool,
    ended: bool,
    position: u64,
    /// The latest stamp handed out, and that of a row that was not taken back.
    last: Option<i64>,
    newest: Option<i64>,
    /// When the first row not scored yet was handed out, and the last.
    unscored: Option<(Instant, Instant)>,
    /// The first row's moment and stamp: the schedule of a paced run.
    started: Option<(Instant, i64)>,
}

impl<F: Stamped + Summed> Merge<F> {
    /// Merges feeds; `stop` ends a source that goes on as its inputs grow.
    pub fn new(
        name: String,
        feeds: Vec<Box<dyn Feed<F>>>,
        ids: Ids,
        pace: Pace,
        follow: bool,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let mut places = Places::default();
        Merge {
            name,
            inputs: feeds.into_iter().map(|feed| Input::of(feed, &mut places)).collect(),
            places,
            gone: Vec::new(),
            more: None,
            looked: Instant::now(),
            ids,
            pace,
            follow,
            stop,
            closed: false,
            drained: false,
            ended: false,
            position: 0,
            last: None,
            newest: None,
            unscored: None,
            started: None,
        }
    }

    /// Takes the feeds that `more` gives while the source goes on as its inputs grow.
    #[must_use]
    pub fn with_more(mut self, more: More<F>) -> Self {
        self.more = Some(more);
        self
    }

    /// Takes the feeds that have come; at once if it is for the last time.
    fn look(&mut self, last: bool) -> Result<(), Error> {
        let now = self.follow && !self.closed && (last || self.looked.elapsed() >= LOOK);
        if let Some(more) = self.more.as_mut().filter(|_| now) {
            let places = &mut self.places;
            self.inputs.extend(more(last)?.into_iter().map(|feed| Input::of(feed, places)));
            self.looked = Instant::now();
        }
        Ok(())
    }

    /// True while files may come.
    fn waits(&self) -> bool {
        self.follow && self.more.is_some() && !self.closed
    }

    /// The names behind the numbers in the rows.
    pub fn names(&self) -> Names {
        self.ids.names().clone()
    }

    /// The input with the earliest row, after looking for rows where none is at hand.
    fn earliest(&mut self) -> Result<Option<usize>, Error> {
        let mut best: Option<(i64, usize)> = None;
        let mut waits = false;
        let again = self.again();
        for (i, input) in self.inputs.iter_mut().enumerate() {
            while input.head.is_none() && !input.dry && !input.ended {
                match input.feed.next(&mut self.ids)? {
                    Next::Item(_) if input.taken < input.begun => input.taken += 1,
                    Next::Item(row) => input.head = Some(row),
                    Next::Idle => input.dry = true,
                    Next::End => input.ended = true,
                }
            }
            // What grows is taken as it comes; what ends is taken in order, so a slow input is waited for.
            waits |= !self.follow && input.head.is_none() && !input.ended;
            if let Some((fact, _)) = &input.head
                && (!again || input.taken < input.again)
                && best.is_none_or(|(t, _)| stamp(fact) < t)
            {
                best = Some((stamp(fact), i));
            }
        }
        Ok(best.filter(|_| !waits).map(|(_, i)| i))
    }

    /// True while rows come again that a run before this one took.
    fn again(&self) -> bool {
        self.inputs.iter().any(|input| input.taken < input.again)
    }

    /// Has the rows up to a position come again, as a batch that is due behind them: they are the state that a run before this one had.
    ///
    /// # Errors
    /// A position in other files.
    pub fn catch_up(&mut self, position: &Position) -> Result<(), BoxError> {
        let there = self.check(position)?;
        self.position += self.gone.iter().map(|(_, place)| place.records).sum::<u64>();
        for (input, place) in self.inputs.iter_mut().zip(there) {
            (input.again, input.again_sum) = (place.records, place.sum);
        }
        Ok(())
    }

    /// Puts the inputs in the order of a position's places; the places of those that are there. Inputs that it does not know have come since, and
    /// stand behind the others.
    fn check<'a>(&mut self, position: &'a Position) -> Result<Vec<&'a Place>, BoxError> {
        let mut there = Vec::new();
        for (n, place) in position.places.iter().enumerate() {
            let from = there.len();
            let found = self.inputs[from..].iter().position(|input| input.feed.name() == place.input);
            match found {
                Some(at) => {
                    self.inputs[from..=from + at].rotate_right(1);
                    there.push(place);
                }
                None if self.is_past(place, position) => self.gone.push((n, place.clone())),
                None => {
                    let names = self.inputs.iter().map(|input| input.feed.name()).collect::<Vec<_>>().join(", ");
                    let text = format!("{}: found a start at {position}, expected places in {names}", self.name);
                    return Err(text.into());
                }
            }
        }
        Ok(there)
    }

    /// True if all rows of a place are so far behind that they can change nothing any more.
    fn is_past(&self, place: &Place, position: &Position) -> bool {
        let other = self.pace.behind_of.map_or(0, |(_, behind)| behind);
        let behind = self.pace.behind.filter(|_| self.follow).map(|behind| behind.max(other));
        let open = position.newest.zip(behind).map(|(newest, behind)| newest.saturating_sub(behind));
        place.newest.zip(open).is_some_and(|(last, open)| last < open)
    }

    /// Counts a row, and tells it where it stands. The last of those that come again must bring their checksum to what it was.
    fn take(&mut self, i: usize, (fact, diff): &mut (F, i32)) -> Result<(), Error> {
        let input = &mut self.inputs[i];
        fact.stands_at(input.table, input.taken);
        if fact.ages() {
            input.newest = input.newest.max(fact.t());
        }
        input.taken += 1;
        if self.pace.kept {
            let mut sum = crc32fast::Hasher::new_with_initial(input.sum);
            fact.add_to(&mut sum, &|number| self.ids.sum(number));
            sum.update(&diff.to_le_bytes());
            input.sum = sum.finalize();
            if input.taken == input.again && input.sum != input.again_sum {
                let found = format!("other rows among the first {}", input.taken);
                let expected = "those that the run before this one read: put the file back as it was";
                return Err(Error::unsupported(Path::new(input.feed.name()), found, expected));
            }
        }
        Ok(())
    }

    /// True if the row taken last is handed out; one whose stamp is too far from those before it is a dead letter.
    fn wanted(&mut self, i: usize, t: i64, again: bool) -> Result<bool, Error> {
        if !self.follow {
            return Ok(true);
        }
        let input = &mut self.inputs[i];
        if input.clock.leaps(t, self.pace.ahead) {
            let ahead = shown(self.pace.ahead.unwrap_or_default());
            input.feed.leave_out(
                "out_of_range",
                &format!("t: found {}, more than {ahead} after all rows before it", shown(t)),
            )?;
            return Ok(false);
        }
        // What comes again concerns nothing that is open if it was late before.
        if let Some((behind, newest)) = self.pace.behind(input.feed.found()).zip(self.newest).filter(|_| !again)
            && t < newest.saturating_sub(behind)
        {
            let reason =
                format!("t: found {}, more than {} before the newest, {}", shown(t), shown(behind), shown(newest));
            input.feed.leave_out("late", &reason)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// True if a row of this stamp may go out by now.
    fn in_time(&mut self, t: i64) -> bool {
        if self.pace.rate.is_nan() || self.pace.rate <= 0.0 || self.closed {
            return true;
        }
        let (began, first) = *self.started.get_or_insert((Instant::now(), t));
        let place = t.saturating_sub(first).max(0) as f64 / 1e9 / self.pace.rate;
        began.elapsed().as_secs_f64() >= place
    }

    fn read(&mut self) -> Result<Next<RowBatch<F>>, Error> {
        let stopped = self.drained || self.stop.load(Ordering::Relaxed);
        let closes = stopped && self.follow && !self.closed;
        self.look(closes)?;
        if closes {
            self.closed = true;
            self.inputs.iter_mut().for_each(|input| input.feed.close());
        }
        self.inputs.iter_mut().for_each(|input| input.dry = false);
        let (began, mut rows) = (Instant::now(), Vec::new());
        let over = loop {
            let full = rows.len() >= ROWS || (rows.len() % 1024 == 1023 && began.elapsed() >= LONG);
            if full || (stopped && !self.follow) || self.pace.until.is_some_and(|until| self.position >= until) {
                break !full;
            }
            let Some(i) = self.earliest()? else { break self.inputs.iter().all(|input| input.ended) && !self.waits() };
            let Some(t) = self.inputs[i].head.as_ref().map(|(fact, _)| stamp(fact)) else { continue };
            let again = self.again();
            if !again && !self.in_time(t) {
                break false;
            }
            let passed =
                self.pace.revisions.zip(self.last).is_some_and(|(as_of, last)| !again && as_of.passed(last, t));
            if passed && (self.unscored.is_some() || !rows.is_empty()) {
                self.unscored = None;
                return Ok(Next::Item(RowBatch { rows, due: true }));
            }
            let Some(mut row) = self.inputs[i].head.take() else { continue };
            self.position += 1;
            self.take(i, &mut row)?;
            if self.position > self.pace.start_offset && self.wanted(i, t, again)? {
                self.last = self.last.max(Some(t));
                self.newest = self.newest.max(Some(t).filter(|_| row.1 > 0));
                rows.push(row);
            }
            if again && !self.again() {
                return Ok(Next::Item(RowBatch { rows, due: true }));
            }
        };
        if over && self.pace.kept && stopped && !self.follow {
            // What is not due will come again in the run that goes on.
            self.ended = true;
            return Ok(Next::End);
        }
        if over && self.again() {
            let short = self.inputs.iter().find(|input| input.taken < input.again);
            let (found, expected) = short.map_or((0, 0), |input| (input.taken, input.again));
            let name = short.map_or("", |input| input.feed.name());
            let expected = format!("the {expected} that the run before this one read: put the file back as it was");
            return Err(Error::unsupported(Path::new(name), format!("an end after {found} rows"), expected));
        }
        if over {
            self.ended = true;
            return Ok(Next::Item(RowBatch { rows, due: true }));
        }
        let now = Instant::now();
        if !rows.is_empty() {
            self.unscored = Some((self.unscored.map_or(now, |(first, _)| first), now));
        }
        let waits = |(first, last): (Instant, Instant)| now - last >= QUIET || now - first >= PATIENCE;
        let due = self.follow && self.pace.revisions.is_some() && self.unscored.is_some_and(waits);
        if due {
            self.unscored = None;
        }
        if due || !rows.is_empty() {
            return Ok(Next::Item(RowBatch { rows, due }));
        }
        Ok(Next::Idle)
    }
}

/// A time (ns) as dead letters name it.
fn shown(t: i64) -> String {
    let (seconds, rest) = (t.div_euclid(1_000_000_000), t.rem_euclid(1_000_000_000));
    if rest == 0 { format!("{seconds} s") } else { format!("{:.3} s", t as f64 * 1e-9) }
}

fn stamp(fact: &impl Stamped) -> i64 {
    fact.t().unwrap_or(i64::MIN)
}

impl<F: Stamped + Summed + Portable> Source for Merge<F> {
    type Item = RowBatch<F>;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn time(&self, batch: &RowBatch<F>) -> Option<i64> {
        batch.rows.iter().filter_map(|(row, _)| row.t()).max().or(self.last)
    }

    fn position(&self) -> Option<Position> {
        let place = |input: &Input<F>| Place {
            input: input.feed.name().into(),
            records: input.taken,
            sum: input.sum,
            newest: input.newest,
        };
        // One of which nothing was read yet may have come since.
        let mut places: Vec<Place> = self.inputs.iter().filter(|input| input.taken > 0).map(place).collect();
        for (at, gone) in &self.gone {
            places.insert((*at).min(places.len()), gone.clone());
        }
        Some(Position { items: self.position, places, newest: self.newest })
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        let there = self.check(position)?;
        self.inputs.iter_mut().zip(there).for_each(|(input, place)| input.begun = place.records);
        self.position = position.items;
        Ok(())
    }

    fn drain(&mut self) -> bool {
        self.drained = true;
        true
    }

    fn next(&mut self) -> Result<Next<RowBatch<F>>, BoxError> {
        if self.ended {
            return Ok(Next::End);
        }
        Ok(self.read()?)
    }
}
