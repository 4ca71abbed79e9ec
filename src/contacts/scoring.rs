//! The stage that keeps everybody's risk up to date: net changes of rows in, scores or their revisions out.
//!
//! The table of an as-of time is a function of the live rows; it is made again only where a row between `as_of - window` and `as_of`
//! changed. With revisions the tables given are kept, and what differs in its bits goes out as the old row (−1) and the new (+1).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::live::Live;
use super::rows::{Fact, Names};
use super::{AsOf, RiskModel};
use crate::pipeline::Delta;
use crate::report::{Dropped, Stats};
use crate::stage::{Inbox, Outbox, Stage};
use crate::{BoxError, Epoch, Error};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The as-of times.
    pub as_of: AsOf,
    /// Rows older than as-of minus this (ns) are out.
    pub window: Option<i64>,
    /// Revisions as they come; else the tables at the end.
    pub changes: bool,
    /// Threads of the model.
    pub threads: usize,
    /// The names behind the rows' numbers.
    pub names: Names,
}

/// A person's risk.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug)]
pub struct Scores {
    /// The as-of time (ns).
    pub as_of: i64,
    /// The model.
    pub model: &'static str,
    /// The rows.
    pub rows: Vec<Score>,
    /// Names by number of arrival.
    pub names: Arc<Vec<Arc<str>>>,
}

/// How the model did at one as-of time.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Fit {
    /// The as-of time (s, rounded down).
    pub as_of: i64,
    /// People known.
    pub people: u32,
    /// Contacts that count.
    pub contacts: u64,
    /// Tests.
    pub tests: u64,
    /// Rounds, where the model has any.
    pub rounds: u32,
    /// Whether the rounds came to rest below the tolerance.
    pub converged: bool,
    /// The largest change of the last round.
    pub change: f64,
    /// People whose tests no history explains.
    pub contradictions: u32,
    /// log of the probability of all tests, from models that know it: see [`Risk::log_evidence`](super::Risk::log_evidence).
    pub log_evidence: Option<f64>,
    /// Time the model took (s).
    pub seconds: f64,
}

/// The state machine; it works on the one shard that gets the rows.
pub struct Scoring {
    asked: Asked,
    /// The model, or why there is none, which is told when it is asked.
    model: Result<Box<dyn RiskModel>, Error>,
    stats: Arc<Stats>,
    live: Live,
    /// Stamps between which rows changed since the tables were made.
    changed: Option<(i64, i64)>,
    tables: BTreeMap<i64, Vec<Score>>,
}

impl Scoring {
    /// A stage that asks `model`.
    pub fn new(asked: Asked, model: Result<Box<dyn RiskModel>, Error>, stats: &Arc<Stats>) -> Scoring {
        Scoring {
            asked,
            model,
            stats: Arc::clone(stats),
            live: Live::default(),
            changed: None,
            tables: BTreeMap::new(),
        }
    }

    fn take(&mut self, rows: &[(Fact, isize)]) {
        self.live.apply(rows);
        for t in rows.iter().filter_map(|(fact, _)| fact.t()) {
            let (first, last) = self.changed.unwrap_or((t, t));
            self.changed = Some((first.min(t), last.max(t)));
        }
    }

    /// True if the table of `as_of` may have changed.
    fn stale(&self, as_of: i64) -> bool {
        let from = self.asked.window.map_or(i64::MIN, |window| as_of.saturating_sub(window));
        !self.tables.contains_key(&as_of) || self.changed.is_some_and(|(first, last)| first <= as_of && last >= from)
    }

    /// The table of an as-of time.
    fn table(&mut self, as_of: i64) -> Result<Vec<Score>, BoxError> {
        let Scoring { asked, model, stats, live, .. } = self;
        let model = model.as_mut().map_err(|error| error.to_string())?;
        let view = stats.time("snapshot", || live.view(&asked.names, as_of, asked.window));
        let start = std::time::Instant::now();
        let risk = stats.time("model", || model.risk(&view.snapshot, asked.threads))?;
        stats.fit(Fit {
            as_of: as_of.div_euclid(1_000_000_000),
            people: view.snapshot.people,
            contacts: view.snapshot.contacts.len() as u64,
            tests: view.snapshot.tests.len() as u64,
            rounds: risk.rounds,
            converged: risk.converged,
            change: risk.change,
            contradictions: risk.contradictions,
            log_evidence: risk.log_evidence,
            seconds: start.elapsed().as_secs_f64(),
        });
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
        Ok(rows.collect())
    }

    fn score(&mut self, out: &mut Outbox<(), Scores>) -> Result<(), BoxError> {
        let names = Arc::new(self.asked.names.list());
        let scores = |as_of, model, rows| Scores { as_of, model, rows, names: Arc::clone(&names) };
        let model = self.model.as_ref().map_or("none", |model| model.name());
        let times = self.live.stamps().map(|(first, last)| self.asked.as_of.times(first, last));
        if !self.asked.changes {
            for as_of in times.into_iter().flatten() {
                let rows = self.table(as_of)?;
                out.give(scores(as_of, model, rows));
            }
            return Ok(());
        }
        let mut gone = std::mem::take(&mut self.tables);
        for as_of in times.into_iter().flatten() {
            let before = gone.remove(&as_of);
            self.tables.extend(before.map(|table| (as_of, table)));
            if self.stale(as_of) {
                let table = self.table(as_of)?;
                let old = self.tables.insert(as_of, table).unwrap_or_default();
                let rows = revision(&old, &self.tables[&as_of], &names);
                if !rows.is_empty() {
                    out.give(scores(as_of, model, rows));
                }
            }
        }
        for (as_of, mut rows) in gone {
            rows.iter_mut().for_each(|row| row.diff = -1);
            out.give(scores(as_of, model, rows));
        }
        self.changed = None;
        Ok(())
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

impl Stage for Scoring {
    type Input = Delta<Fact>;
    type Exchange = ();
    type Output = Scores;

    fn name(&self) -> &'static str {
        "risk"
    }

    fn step(
        &mut self,
        _: Epoch,
        _: usize,
        inbox: Inbox<Delta<Fact>, ()>,
        out: &mut Outbox<(), Scores>,
    ) -> Result<(), BoxError> {
        let Inbox::Input(deltas) = inbox else { return Ok(()) };
        let mut due = false;
        for delta in &deltas {
            due |= delta.rows.iter().any(|(fact, diff)| matches!(fact, Fact::Due(_)) && *diff > 0);
            self.take(&delta.rows);
        }
        if due {
            let drops = self.live.drops();
            self.stats.dropped_in_all("duplicate", Dropped { count: drops.duplicate, ..Dropped::default() });
            self.stats.dropped_in_all("self_contact", Dropped { count: drops.self_contact, ..Dropped::default() });
            self.score(out)?;
        }
        Ok(())
    }
}
