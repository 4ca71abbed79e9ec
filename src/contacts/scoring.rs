//! The stage that keeps everybody's risk up to date: net changes of rows in, scores or their revisions out.
//!
//! The table of an as-of time is a function of the live rows; it is made again only where a row between `as_of - window` and `as_of`
//! changed. With revisions the tables given are kept, and what differs in its bits goes out as the old row (−1) and the new (+1).
//!
//! [`Tables`] says which times there are, and what a run without end lets go of. Tables are dealt out to the processes of a run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fits::{Fit, Fits};
use super::live::{Drops, Live, Uncounted};
use super::rows::Fact;
use super::{AsOf, Names, RiskModel, RiskOptions, Stop};
use crate::asof::{Answering, Asked, Closing, Stamped, Tables, stamp};
use crate::plan::Delta;
use crate::report::{Dropped, Stats};
use crate::{BoxError, Epoch, Error};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct ScoringOptions {
    /// The as-of times.
    pub as_of: AsOf,
    /// Rows older than as-of minus this (ns) are out.
    pub window: Option<i64>,
    /// How far (ns) behind the newest row a table may still be revised, where the inputs grow without end; the window where it is not said.
    pub lateness: Option<i64>,
    /// Revisions as they come; else each table once.
    pub changes: bool,
    /// Whether the inputs may grow without end: with a window, what is behind it is final then and forgotten.
    pub follow: bool,
    /// Threads of the model: those of a process, at least 1. Of a run's workers every so manieth makes tables.
    pub threads: usize,
    /// Contacts that `because` names, at most.
    pub because: usize,
    /// Gives up a run of the model that is under way when it is raised. Where the inputs grow, a scoring that begins afterwards is the last
    /// one, and is done in full.
    pub stop: Stop,
    /// Where it is noted how the model did.
    pub fits: Fits,
    /// The names behind the rows' numbers.
    pub names: Names,
}

impl ScoringOptions {
    /// One table of everybody in `names` as of some time; all else as [`RiskOptions::default`] has it.
    pub fn new(as_of: AsOf, names: Names) -> Self {
        let RiskOptions { threads, because, stop } = RiskOptions::default();
        let fits = Fits::default();
        let (window, lateness, changes, follow) = (None, None, false, false);
        ScoringOptions { as_of, window, lateness, changes, follow, threads, because, stop, fits, names }
    }
}

/// A person's risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Who, by number of arrival.
    pub person: u32,
    /// Probability of being infected at the as-of time.
    pub score: f32,
    /// Who carries the risk, by number of arrival, and how much of it each.
    pub because: Vec<(u32, f32)>,
    /// 1, or −1 for a row that is no longer so.
    pub diff: i8,
}

impl Score {
    fn same(&self, other: &Score) -> bool {
        let bits = |row: &Score| row.because.iter().map(|(who, weight)| (*who, weight.to_bits())).collect::<Vec<_>>();
        self.score.to_bits() == other.score.to_bits() && bits(self) == bits(other)
    }
}

/// The rows of one as-of time that came in one epoch, ascending by the bytes of the names; an old row stands before its new one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scores {
    /// The as-of time (ns).
    pub as_of: i64,
    /// The model.
    pub model: Cow<'static, str>,
    /// The rows.
    pub rows: Vec<Score>,
    /// Names by number of arrival.
    pub names: Arc<Vec<Arc<str>>>,
}

/// A table as it travels, and how the model did.
#[derive(Serialize, Deserialize)]
pub(crate) struct Made {
    rows: Vec<Score>,
    fit: Fit,
}

/// The model, and the rows that it is asked of.
pub(crate) struct Scoring {
    options: ScoringOptions,
    /// The model, or why there is none, which is told when it is asked.
    model: Result<Box<dyn RiskModel>, Error>,
    stats: Arc<Stats>,
    live: Live,
    tables: Tables<Vec<Score>>,
}

/// Where scores go, and who is who in them.
struct Output<'a> {
    give: &'a mut dyn FnMut(Scores),
    model: &'static str,
    names: Arc<Vec<Arc<str>>>,
}

impl Output<'_> {
    fn give(&mut self, as_of: i64, rows: Vec<Score>) {
        (self.give)(Scores { as_of, model: self.model.into(), rows, names: Arc::clone(&self.names) });
    }
}

impl Scoring {
    /// A stage that asks `model`.
    pub(crate) fn new(
        options: ScoringOptions,
        model: Result<Box<dyn RiskModel>, Error>,
        stats: &Arc<Stats>,
    ) -> Scoring {
        let tables = Tables::new(options.as_of, options.window, options.lateness, options.follow);
        Scoring { options, model, stats: Arc::clone(stats), live: Live::default(), tables }
    }

    /// The table of an as-of time; none if the model was stopped.
    fn table(&mut self, as_of: i64, names: &Names, stop: &Stop) -> Result<Option<Made>, BoxError> {
        let Scoring { options, model, stats, live, .. } = self;
        let model = model.as_mut().map_err(|error| error.to_string())?;
        let view = stats.time("snapshot", || live.view(names, as_of, options.window));
        let start = std::time::Instant::now();
        let of_model = RiskOptions { threads: options.threads, because: options.because, stop: stop.clone() };
        let risk = match stats.time("model", || model.risk(&view.snapshot, &of_model)) {
            Err(Error::Interrupted) => return Ok(None),
            risk => risk?,
        };
        let fit = Fit {
            as_of: as_of.div_euclid(1_000_000_000) + i64::from(as_of.rem_euclid(1_000_000_000) > 0),
            people: view.snapshot.people,
            contacts: view.snapshot.contacts.len() as u64,
            tests: view.snapshot.tests.len() as u64,
            rounds: risk.rounds,
            converged: risk.converged,
            stuck: risk.stuck,
            change: risk.change,
            contradictions: risk.contradictions,
            log_evidence: risk.log_evidence,
            seconds: start.elapsed().as_secs_f64(),
        };
        if risk.score.len() != view.arrival.len() || risk.because.len() != view.arrival.len() {
            return Err(format!("found {} scores, expected {}", risk.score.len(), view.arrival.len()).into());
        }
        let who = |&(person, weight): &(u32, f32)| view.arrival.get(person as usize).map(|&person| (person, weight));
        let rows = view.arrival.iter().zip(risk.score).zip(&risk.because).map(|((&person, score), because)| Score {
            person,
            score: score as f32,
            because: because.iter().filter_map(who).collect(),
            diff: 1,
        });
        Ok(Some(Made { rows: rows.collect(), fit }))
    }

    /// The as-of times whose tables are not final, for rows up to `last`.
    fn times(&mut self, last: i64) -> Result<Vec<i64>, Error> {
        let Some(first) = self.live.began() else { return Ok(Vec::new()) };
        self.tables.times(first, last, || self.live.widest_gap())
    }

    /// Gives what differs from the table of `as_of` that was given before, if the table was made again. False if the model was stopped.
    fn score(&mut self, as_of: i64, asked: &[i64], made: &mut BTreeMap<i64, Made>, output: &mut Output<'_>) -> bool {
        if asked.binary_search(&as_of).is_err() {
            return true;
        }
        let Some(Made { rows: table, fit }) = made.remove(&as_of) else {
            self.stats.warn(format!("as of {}: not scored: stopped by a signal", stamp(as_of)));
            return false;
        };
        self.options.fits.add(fit);
        if !self.options.changes {
            output.give(as_of, table);
            return true;
        }
        let old = self.tables.given.remove(&as_of).unwrap_or_default();
        let rows = revision(&old, &table, &output.names);
        self.tables.given.insert(as_of, table);
        if !rows.is_empty() {
            output.give(as_of, rows);
        }
        true
    }

    /// Says what of the rows does not count.
    fn tell(&mut self, names: &[Arc<str>]) {
        let name = |person: u32| names.get(person as usize).map_or("", |name| name);
        let place = |fact: Fact| match fact {
            Fact::Contact(row) => format!("a contact of {} and {} at {}", name(row.a), name(row.b), stamp(row.t)),
            Fact::Test(row) => format!("a test of {} at {}", name(row.person), stamp(row.t)),
            Fact::Due(_) => String::new(),
        };
        let Drops { duplicate, self_contact, unmatched } = self.live.drops();
        for (reason, Uncounted { count, first }) in
            [("duplicate", duplicate), ("self_contact", self_contact), ("unmatched", unmatched)]
        {
            self.stats.dropped_in_all(reason, Dropped { count, first: first.map(place).unwrap_or_default() });
        }
        let stranger = self.live.strangers().map(|person| {
            let name = name(person);
            format!(
                "none of those tested is in any contact, {name} for one: are the ids of contacts and tests of one kind?"
            )
        });
        self.stats.remark("strangers", stranger);
    }
}

impl Answering for Scoring {
    type Input = Delta<Fact>;
    type Row = (Fact, isize);
    type Made = Made;
    type Output = Scores;

    fn name(&self) -> &'static str {
        "risk"
    }

    fn names(&self) -> &Names {
        &self.options.names
    }

    fn threads(&self) -> usize {
        self.options.threads
    }

    fn decide(&mut self, epoch: Epoch, deltas: Vec<Delta<Fact>>) -> Result<Asked<Self::Row>, BoxError> {
        let rows: Vec<Self::Row> = deltas.into_iter().flat_map(|delta| delta.rows).collect();
        let due = rows.iter().any(|(fact, diff)| matches!(fact, Fact::Due(_)) && *diff > 0);
        let (rows, late) = self.tables.sift(rows);
        if late.count > 0 {
            self.stats.dropped(epoch as i64, "late", late);
        }
        self.take(&rows)?;
        for (t, diff) in rows.iter().filter_map(|(fact, diff)| Some((fact.t()?, *diff))) {
            self.tables.changed(t);
            if diff > 0 {
                self.tables.newest(t);
            }
        }
        let closing = self.tables.closing();
        let mut times = Vec::new();
        let open = closing.map_or(i64::MIN, Closing::last_before);
        if let Some(newest) = self.tables.now().filter(|_| open > i64::MIN) {
            times.extend(self.times(newest)?.into_iter().take_while(|as_of| *as_of < open));
        }
        if let Some((_, last)) = self.live.stamps().filter(|_| due) {
            times.extend(self.times(last)?.into_iter().filter(|as_of| *as_of >= open));
        }
        let stale = |as_of: &i64| !self.options.changes || self.tables.stale(*as_of, self.options.window);
        let make = times.iter().copied().filter(stale).collect();
        Ok(Asked { rows, closing, due, times, make })
    }

    fn take(&mut self, rows: &[Self::Row]) -> Result<(), BoxError> {
        self.live.apply(rows);
        Ok(())
    }

    fn make(&mut self, times: &[i64], names: &Names) -> Result<Vec<Made>, BoxError> {
        let options = &self.options;
        let stop = if options.follow && options.stop.signalled() { Stop::default() } else { options.stop.clone() };
        let mut made = Vec::with_capacity(times.len());
        for &as_of in times {
            let Some(table) = self.table(as_of, names, &stop)? else { break };
            made.push(table);
        }
        Ok(made)
    }

    fn evict(&mut self, closing: Closing) {
        self.live.evict(closing.from);
    }

    fn give(
        &mut self,
        Asked { closing, due, times, make, .. }: Asked<Self::Row>,
        mut made: BTreeMap<i64, Made>,
        give: &mut dyn FnMut(Scores),
    ) -> Result<Option<Closing>, BoxError> {
        let names = Arc::new(self.options.names.list());
        let model = self.model.as_ref().map_or("none", |model| model.name());
        let mut output = Output { give, model, names: Arc::clone(&names) };
        let open = closing.map_or(i64::MIN, Closing::last_before);
        let (last, times) = times.split_at(times.partition_point(|as_of| *as_of < open));
        if let Some(closing) = closing {
            for &as_of in last {
                if !self.score(as_of, &make, &mut made, &mut output) {
                    return Ok(None);
                }
            }
            let closed = self.tables.close(closing.open);
            if !closing.due {
                // That of the last row: it is taken back when another row is the last.
                self.tables.given.extend(closed);
            }
            self.evict(closing);
        }
        if !due {
            return Ok(closing);
        }
        self.tell(&names);
        let mut gone = std::mem::take(&mut self.tables.given);
        for &as_of in times {
            let before = gone.remove(&as_of);
            self.tables.given.extend(before.map(|table| (as_of, table)));
            if !self.score(as_of, &make, &mut made, &mut output) {
                self.tables.given.append(&mut gone);
                return Ok(closing);
            }
        }
        for (as_of, mut rows) in gone {
            rows.iter_mut().for_each(|row| row.diff = -1);
            output.give(as_of, rows);
        }
        self.tables.made();
        Ok(closing)
    }
}

/// What turns the old table into the new one; both ascend by name.
fn revision(old: &[Score], new: &[Score], names: &[Arc<str>]) -> Vec<Score> {
    let name = |row: &Score| names.get(row.person as usize).map(|name| name.as_bytes());
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut rows = Vec::new();
    loop {
        let (before, after) = match (old.peek(), new.peek()) {
            (None, None) => return rows,
            (Some(_), None) => (old.next(), None),
            (None, Some(_)) => (None, new.next()),
            (Some(o), Some(n)) => match name(o).cmp(&name(n)) {
                std::cmp::Ordering::Less => (old.next(), None),
                std::cmp::Ordering::Greater => (None, new.next()),
                std::cmp::Ordering::Equal => (old.next(), new.next()),
            },
        };
        if before.zip(after).is_some_and(|(before, after)| before.same(after)) {
            continue;
        }
        rows.extend(before.map(|row| Score { diff: -1, ..row.clone() }));
        rows.extend(after.cloned());
    }
}
