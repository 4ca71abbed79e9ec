//! The live rows of a stream of contacts and tests, and the snapshot of an as-of time.
//!
//! A row is live while the diffs of the rows equal to it add up to more than 0; every answer here is a function of those sums alone.
//! Rows lie in sorted runs whose lengths at least halve (a log-structured merge): a row is merged O(log n) times, and the rows of a
//! span of time are one slice. 32 bytes a contact row, twice that while the longest runs are merged.

use std::collections::BTreeSet;

use super::rows::{ContactRow, Fact, TestRow};
use super::{Contact, Names, Snapshot, Test};
use crate::asof::{ByName, Stamped};

/// Rows with the sum of their diffs, in sorted runs; no sum is 0 within the whole once compacted.
#[derive(Clone, Debug)]
struct Runs<K>(Vec<Vec<(K, i64)>>);

impl<K> Default for Runs<K> {
    fn default() -> Self {
        Runs(Vec::new())
    }
}

impl<K: Ord + Copy> Runs<K> {
    /// Adds a run, ascending, each row once.
    fn add(&mut self, run: Vec<(K, i64)>) {
        if run.is_empty() {
            return;
        }
        self.0.push(run);
        while let [.., longer, last] = self.0.as_slice()
            && longer.len() < 2 * last.len()
        {
            self.merge_last();
        }
    }

    fn merge_last(&mut self) {
        if let (Some(last), Some(before)) = (self.0.pop(), self.0.pop()) {
            self.0.push(merge(before, last));
        }
    }

    /// All rows in one ascending slice.
    fn all(&mut self) -> &[(K, i64)] {
        while self.0.len() > 1 {
            self.merge_last();
        }
        self.0.first().map_or(&[], Vec::as_slice)
    }

    /// Lets go of the first rows of a run that `old` holds for, once they are a quarter of it; `gone` is told of each.
    fn evict(&mut self, old: impl Fn(&K) -> bool, mut gone: impl FnMut(&K, i64)) {
        for run in &mut self.0 {
            let count = run.partition_point(|(row, _)| old(row));
            if count > 0 && count >= run.len() / 4 {
                run.drain(..count).for_each(|(row, n)| gone(&row, n));
                run.shrink_to_fit();
            }
        }
        self.0.retain(|run| !run.is_empty());
    }
}

/// Merges two ascending runs, adding the sums of equal rows and leaving out those that come to 0.
fn merge<K: Ord + Copy>(left: Vec<(K, i64)>, right: Vec<(K, i64)>) -> Vec<(K, i64)> {
    let mut out = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some((l, _)), Some((r, _))) => l.cmp(r),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return out,
        };
        match order {
            std::cmp::Ordering::Less => out.extend(left.next()),
            std::cmp::Ordering::Greater => out.extend(right.next()),
            std::cmp::Ordering::Equal => {
                if let (Some((row, l)), Some((_, r))) = (left.next(), right.next())
                    && l + r != 0
                {
                    out.push((row, l + r));
                }
            }
        }
    }
}

/// The rows whose stamp is in `from ..= to`, of rows ascending by stamp.
fn span<K>(rows: &[(K, i64)], t: impl Fn(&K) -> i64, from: i64, to: i64) -> &[(K, i64)] {
    let start = rows.partition_point(|(row, _)| t(row) < from);
    let end = rows.partition_point(|(row, _)| t(row) <= to);
    rows.get(start..end).unwrap_or(&[])
}

/// Net changes of rows in any order, as [`Live::apply`] takes them.
pub fn net(rows: Vec<(Fact, i32)>) -> Vec<(Fact, isize)> {
    let mut rows: Vec<(Fact, isize)> = rows.into_iter().map(|(fact, diff)| (fact, diff as isize)).collect();
    rows.sort_unstable_by_key(|(fact, _)| *fact);
    rows.dedup_by(|(fact, diff), (before, sum)| {
        let equal = fact == before;
        if equal {
            *sum += *diff;
        }
        equal
    });
    rows
}

/// Rows that do not count, for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// How many.
    pub count: u64,
    /// That of the least stamp.
    pub first: Option<Fact>,
}

impl Uncounted {
    fn add(&mut self, count: u64, fact: Fact) {
        self.count += count;
        if count > 0 && self.first.is_none_or(|first| fact.t() < first.t()) {
            self.first = Some(fact);
        }
    }
}

/// Rows that do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Copies beyond the first of contact rows equal in stamp, pair and duration, and of tests equal in stamp, person and result.
    pub duplicate: Uncounted,
    /// Contacts with oneself, copies included.
    pub self_contact: Uncounted,
    /// Rows that take back one that is not there.
    pub unmatched: Uncounted,
}

impl Drops {
    fn contact(&mut self, row: &ContactRow, n: i64) {
        if n > 0 && row.a == row.b {
            self.self_contact.add(n.unsigned_abs(), Fact::Contact(*row));
        } else {
            self.row(Fact::Contact(*row), n);
        }
    }

    fn row(&mut self, fact: Fact, n: i64) {
        if n > 0 {
            self.duplicate.add(n.unsigned_abs() - 1, fact);
        } else {
            self.unmatched.add(n.unsigned_abs(), fact);
        }
    }
}

/// The live rows.
#[derive(Clone, Debug, Default)]
pub struct Live {
    contacts: Runs<ContactRow>,
    tests: Runs<TestRow>,
    names: ByName,
    /// Of rows that were let go: what they did not count for, and the first stamp of a live one.
    gone: Drops,
    began: Option<i64>,
}

/// A snapshot, and who is who in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What a model is given.
    pub snapshot: Snapshot,
    /// Each person's number of arrival `[people]`.
    pub arrival: Vec<u32>,
}

impl Live {
    /// Adds net changes, ascending by row, each row once.
    pub fn apply(&mut self, changes: &[(Fact, isize)]) {
        let (mut contacts, mut tests) = (Vec::with_capacity(changes.len()), Vec::new());
        for &(fact, diff) in changes {
            match fact {
                Fact::Contact(row) => contacts.push((row, diff as i64)),
                Fact::Test(row) => tests.push((row, diff as i64)),
                Fact::Due(_) => {}
            }
        }
        self.contacts.add(contacts);
        self.tests.add(tests);
    }

    /// The first and the last stamp of a live row, contacts with oneself included; `None` if nothing is live.
    pub fn stamps(&mut self) -> Option<(i64, i64)> {
        let contacts = ends(self.contacts.all(), |row| row.t);
        let tests = ends(self.tests.all(), |row| row.t);
        match (contacts, tests) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        }
    }

    /// The first stamp of a row that is live, or was when it was let go.
    pub fn began(&mut self) -> Option<i64> {
        let first = self.stamps().map(|(first, _)| first);
        self.began.into_iter().chain(first).min()
    }

    /// What the rows so far hold beside those that count.
    pub fn drops(&mut self) -> Drops {
        let mut drops = self.gone;
        self.contacts.all().iter().for_each(|(row, n)| drops.contact(row, *n));
        self.tests.all().iter().for_each(|(row, n)| drops.row(Fact::Test(*row), *n));
        drops
    }

    /// Lets go of rows with stamps before `t` (ns), which nobody will ask for. Some may stay for a while: at most a third more than what is kept.
    pub fn evict(&mut self, t: i64) {
        let (gone, began) = (&mut self.gone, &mut self.began);
        let mut live = |t: i64, n: i64| {
            if n > 0 {
                *began = Some(began.map_or(t, |first| first.min(t)));
            }
        };
        self.contacts.evict(
            |row| row.t < t,
            |row, n| {
                live(row.t, n);
                gone.contact(row, n);
            },
        );
        self.tests.evict(
            |row| row.t < t,
            |row, n| {
                live(row.t, n);
                gone.row(Fact::Test(*row), n);
            },
        );
    }

    /// The two neighbouring stamps of live rows that lie farthest apart.
    pub fn widest_gap(&mut self) -> Option<(i64, i64)> {
        let contacts = self.contacts.all().iter().filter(|(_, n)| *n > 0).map(|(row, _)| row.t);
        let tests = self.tests.all().iter().filter(|(_, n)| *n > 0).map(|(row, _)| row.t);
        let (mut contacts, mut tests) = (contacts.peekable(), tests.peekable());
        let mut widest: Option<(i64, i64)> = None;
        let mut last = None;
        loop {
            let t = match (contacts.peek(), tests.peek()) {
                (Some(a), Some(b)) if b < a => tests.next(),
                (None, _) => tests.next(),
                _ => contacts.next(),
            };
            let Some(t) = t else { return widest };
            if let Some(last) = last.replace(t)
                && widest.is_none_or(|(from, to)| to.abs_diff(from) < t.abs_diff(last))
            {
                widest = Some((last, t));
            }
        }
    }

    /// Somebody tested, by number of arrival, if people were tested and met, but none of those tested met anybody: the ids of contacts and
    /// tests are then of two kinds.
    pub fn strangers(&mut self) -> Option<u32> {
        let live_tests = self.tests.all().iter().filter(|(_, n)| *n > 0);
        let tested: BTreeSet<u32> = live_tests.map(|(row, _)| row.person).collect();
        let first = *tested.first()?;
        let mut met = self.contacts.all().iter().filter(|(row, n)| *n > 0 && row.a != row.b).peekable();
        met.peek()?;
        met.all(|(row, _)| !tested.contains(&row.a) && !tested.contains(&row.b)).then_some(first)
    }

    /// What is known at `as_of` (ns), from rows not older than `as_of - window` (ns).
    pub fn view(&mut self, names: &Names, as_of: i64, window: Option<i64>) -> View {
        self.names.update(names);
        let from = window.map_or(i64::MIN, |window| as_of.saturating_sub(window));
        let contacts = span(self.contacts.all(), |row| row.t, from, as_of);
        let tests = span(self.tests.all(), |row| row.t, from, as_of);
        let live_contacts = || contacts.iter().filter(|(_, n)| *n > 0).map(|(row, _)| row);
        let live_tests = || tests.iter().filter(|(_, n)| *n > 0);

        let met = live_contacts().flat_map(|row| [row.a, row.b]);
        let (arrival, number) = self.names.places(met.chain(live_tests().map(|(row, _)| row.person)));

        let mut snapshot = Snapshot {
            as_of,
            people: arrival.len() as u32,
            contacts: Vec::with_capacity(contacts.len()),
            tests: Vec::with_capacity(tests.len()),
        };
        let mut stamp_begins = 0;
        for row in live_contacts().filter(|row| row.a != row.b) {
            let (i, j) = (number[row.a as usize], number[row.b as usize]);
            let (a, b) = (i.min(j), i.max(j));
            match snapshot.contacts.last_mut() {
                // Rows of one stamp and pair stand together in any numbering.
                Some(last) if (last.t, last.a, last.b) == (row.t, a, b) => {
                    last.duration = last.duration.saturating_add(row.duration);
                    continue;
                }
                Some(last) if last.t != row.t => {
                    sort_tail(&mut snapshot.contacts, stamp_begins);
                    stamp_begins = snapshot.contacts.len();
                }
                _ => {}
            }
            snapshot.contacts.push(Contact { t: row.t, a, b, duration: row.duration });
        }
        sort_tail(&mut snapshot.contacts, stamp_begins);
        let test = |row: &TestRow| Test { t: row.t, person: number[row.person as usize], positive: row.positive };
        snapshot.tests.extend(live_tests().map(|(row, _)| test(row)));
        snapshot.tests.sort_unstable();
        View { snapshot, arrival }
    }
}

fn sort_tail(contacts: &mut [Contact], from: usize) {
    contacts[from..].sort_unstable();
}

fn ends<K>(rows: &[(K, i64)], t: impl Fn(&K) -> i64) -> Option<(i64, i64)> {
    let first = rows.iter().find(|(_, n)| *n > 0)?;
    let last = rows.iter().rev().find(|(_, n)| *n > 0)?;
    Some((t(&first.0), t(&last.0)))
}
