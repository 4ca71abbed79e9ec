//! Who met whom and when, in flat arrays: people, directed pairs (arcs), and a slot for every contact of an arc.
//!
//! Person `i` owns `stamps[i]` (its distinct contact stamps, ascending; number 0 is the seeding, so the first is number 1), `arcs[i]`
//! (an arc `i -> j` for everybody it met, ascending by `j`) and the slots of its arcs, one a contact, ascending by stamp. The reverse
//! arc `j -> i` has the same contacts in the same order. All of it is linear in contacts.

use std::ops::Range;

use crate::Error;
use crate::contacts::{Parameters, Snapshot, Stop, Test, seeded};

/// Rows or people after which the wish to stop is looked at.
const LOOK: usize = 8192;

/// The contacts of a snapshot as a graph.
pub(super) struct Network {
    /// When people are seeded (ns).
    pub seeded: i128,
    /// The as-of time (ns).
    pub as_of: i64,
    times: Vec<i64>,
    time_start: Vec<usize>,
    /// The person at an arc's other end.
    pub peer: Vec<u32>,
    /// First slot of the arc the other way.
    pub back: Vec<usize>,
    arc_start: Vec<usize>,
    slot_start: Vec<usize>,
    /// Number (from 1) of a slot's stamp among those of the arc's owner.
    pub stamp: Vec<u32>,
    /// Probability that a slot's contact does not pass infection on; and that it does, which has digits of its own where it is small.
    pub escape: Vec<f64>,
    pub passes: Vec<f64>,
    tests: Vec<Test>,
    test_start: Vec<usize>,
    /// By person: whether everybody it is connected with forms a tree, pairs that met being its edges.
    pub tree: Vec<bool>,
}

impl Network {
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn build(snapshot: &Snapshot, parameters: &Parameters, stop: &Stop) -> Result<Self, Error> {
        let people = snapshot.people as usize;
        let mut owned = vec![0; people + 1];
        for contact in &snapshot.contacts {
            owned[contact.a as usize + 1] += 1;
            owned[contact.b as usize + 1] += 1;
        }
        accumulate(&mut owned);
        let slots = owned[people];

        // By person and stamp: contacts come ascending by stamp, so each person's rows do.
        let mut rows = vec![(0u32, 0u32, 0u32); slots];
        let mut next = owned.clone();
        let mut times = Vec::new();
        let mut stamps_of = vec![0usize; people + 1];
        let mut last = vec![i64::MIN; people];
        for (number, contact) in snapshot.contacts.iter().enumerate() {
            if number % LOOK == 0 {
                stop.check()?;
            }
            for (own, other) in [(contact.a, contact.b), (contact.b, contact.a)] {
                let i = own as usize;
                if last[i] != contact.t || stamps_of[i + 1] == 0 {
                    last[i] = contact.t;
                    stamps_of[i + 1] += 1;
                }
                rows[next[i]] = (other, stamps_of[i + 1] as u32, number as u32);
                next[i] += 1;
            }
        }
        let mut time_start = stamps_of;
        accumulate(&mut time_start);
        times.resize(time_start[people], 0);

        let mut network = Network {
            seeded: seeded(snapshot),
            as_of: snapshot.as_of,
            times,
            time_start,
            peer: Vec::new(),
            back: Vec::new(),
            arc_start: vec![0; people + 1],
            slot_start: Vec::new(),
            stamp: vec![0; slots],
            escape: vec![0.0; slots],
            passes: vec![0.0; slots],
            tests: Vec::new(),
            test_start: vec![0; people + 1],
            tree: Vec::new(),
        };
        for i in 0..people {
            if i % LOOK == 0 {
                stop.check()?;
            }
            let own = &mut rows[owned[i]..owned[i + 1]];
            own.sort_unstable();
            for (slot, &(other, stamp, number)) in own.iter().enumerate() {
                let slot = owned[i] + slot;
                let contact = &snapshot.contacts[number as usize];
                if network.peer.len() == network.arc_start[i] || network.peer.last() != Some(&other) {
                    network.peer.push(other);
                    network.slot_start.push(slot);
                }
                network.times[network.time_start[i] + stamp as usize - 1] = contact.t;
                network.stamp[slot] = stamp;
                network.escape[slot] = libm::exp(-parameters.rate * (contact.duration as f64 * 1e-9));
                network.passes[slot] = parameters.passes(contact.duration);
            }
            network.arc_start[i + 1] = network.peer.len();
        }
        network.slot_start.push(slots);
        network.pair_up();
        network.find_trees();
        network.take_tests(&snapshot.tests);
        Ok(network)
    }

    pub fn people(&self) -> usize {
        self.arc_start.len() - 1
    }

    /// A person's stamps among everybody's.
    pub fn stamps(&self, person: usize) -> Range<usize> {
        self.time_start[person]..self.time_start[person + 1]
    }

    /// Stamps (ns) of a person.
    pub fn times(&self, person: usize) -> &[i64] {
        &self.times[self.stamps(person)]
    }

    pub fn arcs(&self, person: usize) -> Range<usize> {
        self.arc_start[person]..self.arc_start[person + 1]
    }

    pub fn slots(&self, arc: usize) -> Range<usize> {
        self.slot_start[arc]..self.slot_start[arc + 1]
    }

    /// An arc's slots among those of its owner.
    pub fn slots_from(&self, owner: usize, arc: usize) -> Range<usize> {
        let (first, slots) = (self.slot_start[self.arc_start[owner]], self.slots(arc));
        slots.start - first..slots.end - first
    }

    /// The slots of all arcs of the people in a range.
    pub fn slots_of(&self, people: Range<usize>) -> Range<usize> {
        self.slot_start[self.arc_start[people.start]]..self.slot_start[self.arc_start[people.end]]
    }

    /// A person's tests, ascending by stamp.
    pub fn tests(&self, person: usize) -> &[Test] {
        &self.tests[self.test_start[person]..self.test_start[person + 1]]
    }

    fn pair_up(&mut self) {
        // Owners ascend, and an arc's peers do: each person's reverse arcs are met in the order in which they stand.
        let mut next = self.arc_start.clone();
        self.back = self
            .peer
            .iter()
            .map(|&peer| {
                let back = next[peer as usize];
                next[peer as usize] += 1;
                self.slot_start[back]
            })
            .collect();
    }

    fn find_trees(&mut self) {
        let people = self.people();
        self.tree = vec![false; people];
        let mut seen = vec![false; people];
        let mut component = Vec::new();
        for first in 0..people {
            if std::mem::replace(&mut seen[first], true) {
                continue;
            }
            component.clear();
            component.push(first);
            let (mut next, mut arcs) = (0, 0);
            while let Some(&person) = component.get(next) {
                next += 1;
                arcs += self.arcs(person).len();
                for &peer in &self.peer[self.arcs(person)] {
                    if !std::mem::replace(&mut seen[peer as usize], true) {
                        component.push(peer as usize);
                    }
                }
            }
            if arcs == 2 * (component.len() - 1) {
                component.iter().for_each(|&person| self.tree[person] = true);
            }
        }
    }

    fn take_tests(&mut self, tests: &[Test]) {
        self.tests = tests.to_vec();
        self.tests.sort_unstable_by_key(|test| (test.person, test.t, test.positive));
        for test in &self.tests {
            self.test_start[test.person as usize + 1] += 1;
        }
        accumulate(&mut self.test_start);
    }
}

fn accumulate(counts: &mut [usize]) {
    let mut sum = 0;
    for count in counts {
        sum += *count;
        *count = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contacts::Contact;

    #[test]
    fn arcs_and_slots_pair_up() {
        let contact = |t, a, b| Contact { t, a, b, duration: 1_000_000_000 };
        let contacts = vec![contact(5, 0, 1), contact(5, 0, 2), contact(5, 1, 2), contact(9, 0, 2)];
        let snapshot = Snapshot { as_of: 9, people: 4, contacts, tests: Vec::new() };
        let parameters = Parameters { rate: 1.0, ..Parameters::default() };
        let network = Network::build(&snapshot, &parameters, &Stop::default()).unwrap();
        assert_eq!((network.times(0), network.times(1), network.times(3)), (&[5, 9][..], &[5][..], &[][..]));
        let met: Vec<_> = (0..4).map(|i| network.peer[network.arcs(i)].to_vec()).collect();
        assert_eq!(met, [vec![1, 2], vec![0, 2], vec![0, 1], vec![]]);
        for owner in 0..4 {
            for arc in network.arcs(owner) {
                let back = (0..network.peer.len()).find(|&a| network.slots(a).start == network.back[arc]).unwrap();
                assert_eq!(network.peer[back] as usize, owner);
                assert_eq!(network.back[back], network.slots(arc).start);
                let times = |person: usize, arc: usize| {
                    network.slots(arc).map(|s| network.times(person)[network.stamp[s] as usize - 1]).collect::<Vec<_>>()
                };
                assert_eq!(times(owner, arc), times(network.peer[arc] as usize, back));
            }
        }
        assert_eq!(network.escape[0], libm::exp(-1.0));
    }
}
