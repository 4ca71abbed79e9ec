//! Who sends messages when: those whose neighbours' messages moved most, in an order that no thread has a say in.
//!
//! Each person keeps the largest change of a message to it since it last spoke (its *residual*). A round visits everybody whose residual is
//! above the level; when nobody's is, the level is halved, down to the tolerance, at which the run is at rest (residual belief propagation:
//! Elidan, McGraw, Koller, UAI 2006). So big changes are settled before anybody spends work on their small consequences.
//!
//! A round goes through four groups of people, drawn by number. Whoever of a group is due reads what was said before the group began; then
//! all of it is published together. Hence the bits are a function of the snapshot, for any number of threads, while three quarters of the
//! neighbours hear each other within the round.
//!
//! Loops may swing. Each arc has a damping of its own, the share of its old message kept: where a change turns back against
//! the one before, the undamped share is cut; else damping wears off, the slower the oftener the arc has swung. On a tree nothing is damped,
//! and messages go on until nothing moves but rounding.
//!
//! Rates far too high for the contacts leave messages that swing for ever, often those of a few people alone. Then the level does not fall
//! any more. Once somebody was visited [`PATIENCE`] times since it last fell, or [`MOST_VISITS`] times in all, the run is given up. In a small
//! network, whose rounds cost little, it may take more ([`EFFORT`]). Trees always come to rest and do not count.
//!
//! Visits a person until a town of 4,000 comes to rest: 93 if everybody hears of every change in the round after; 61 with groups; 34 with
//! levels too; 19 with damping that wears off.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::course::{Course, Courses, Shape};
use super::message::{Message, damp};
use super::network::Network;
use super::person::{Room, send, weigh};
use crate::Error;
use crate::contacts::{Parameters, Risk, RiskOptions, Stop, largest};

/// A person whose tests are less probable than this, given all else, is a contradiction.
const UNEXPLAINED: f64 = 1e-18;
/// So is one whose history is excluded by the model with more than this probability.
const EXCLUDED: f64 = 1e-3;
/// Groups of people in a round.
const GROUPS: usize = 4;
/// Contacts in a piece of work, about.
const PIECE: usize = 4096;
/// What is left of the undamped share of an arc's messages when they turn back.
const CUT: f64 = 0.8;
/// The share of its damping that an arc which has not swung yet would lose in a visit, and what is left of that share after each swing.
const WEAR: f32 = 0.4;
const TIRES: f32 = 0.8;
const MOST_DAMPED: f64 = 0.98;
/// A change of a message that is none.
const ROUNDING: f64 = 1e-13;

/// Visits of one person on a loop in which the level has to fall. Towns that came to rest took at most 166.
const PATIENCE: u32 = 400;
/// Visits of one person on a loop in all. Towns that came to rest took at most 1,059.
const MOST_VISITS: u32 = 2000;
/// Visits of all people on loops together that are allowed before either counts. Networks of 217 people came to rest after up to 2,862 rounds.
const EFFORT: u32 = 600_000;

/// The messages of one run, for windows in strips of Q quads.
pub(super) struct Rounds<'a, const Q: usize> {
    network: &'a Network,
    parameters: &'a Parameters,
    shape: Shape,
    courses: Courses,
    tolerance: f64,
    level: f64,
    /// By person on a loop: visits in all, and how many of them were before the level last fell.
    visits: Vec<[u32; 2]>,
    /// The most visits of a person, and the most since the level fell; and the bounds of both.
    most_visits: [u32; 2],
    patience: [u32; 2],
    options: &'a RiskOptions,
    /// People of each piece of work.
    pieces: Vec<Range<usize>>,
    /// By slot of the sender: what it says; and what it said before or, while a group is visited, will say next.
    says: Vec<Message>,
    spare: Vec<Message>,
    arcs: Vec<Arc>,
    /// By person: its residual, the bits of an f32.
    residual: Vec<AtomicU32>,
    visited: Vec<bool>,
}

/// How an arc's messages move.
#[derive(Clone, Copy, Debug)]
struct Arc {
    /// The share of the old message kept, and the part of it lost in a visit.
    damping: f32,
    wear: f32,
    /// The last change, before damping.
    change: f32,
}

/// People, and their part of what a round writes.
struct Piece<'a> {
    people: Range<usize>,
    says: &'a mut [Message],
    spare: &'a mut [Message],
    arcs: &'a mut [Arc],
    visited: &'a mut [bool],
}

impl<'a, const Q: usize> Rounds<'a, Q> {
    /// Before the first message.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(
        network: &'a Network,
        parameters: &'a Parameters,
        tolerance: f64,
        options: &'a RiskOptions,
    ) -> Result<Self, Error> {
        let people = network.people();
        let mut pieces = Vec::new();
        let mut start = 0;
        for end in 1..=people {
            if end == people || network.slots_of(start..end).len() > PIECE {
                pieces.push(start..end);
                start = end;
            }
        }
        let slots = network.stamp.len();
        let looped = network.tree.iter().filter(|tree| !**tree).count().max(1) as u32;
        let patience = [MOST_VISITS.max(5 * EFFORT / looped), PATIENCE.max(EFFORT / looped)];
        Ok(Rounds {
            network,
            parameters,
            shape: Shape::new(parameters),
            courses: Courses::new(network, parameters, &options.stop)?,
            tolerance,
            level: 0.5f64.max(tolerance),
            visits: vec![[0; 2]; people],
            most_visits: [0; 2],
            patience,
            options,
            pieces,
            says: vec![Message::default(); slots],
            spare: vec![Message::default(); slots],
            arcs: vec![Arc { damping: 0.0, wear: WEAR, change: 0.0 }; network.peer.len()],
            residual: (0..people).map(|_| AtomicU32::new(f32::MAX.to_bits())).collect(),
            visited: vec![false; people],
        })
    }

    /// One round; gives the largest residual left.
    ///
    /// # Errors
    /// [`Error::Interrupted`], after which there is no going on.
    pub fn go_on(&mut self) -> Result<f64, Error> {
        for group in 0..GROUPS {
            self.visit(group)?;
            for ((visits, visited), tree) in self.visits.iter_mut().zip(&self.visited).zip(&self.network.tree) {
                let [all, before] = visits;
                *all += u32::from(*visited && !*tree);
                self.most_visits[0] = self.most_visits[0].max(*all);
                self.most_visits[1] = self.most_visits[1].max(*all - *before);
            }
            self.publish()?;
        }
        // By their bits, in whose order what is no number would be largest.
        let residuals = self.residual.iter().map(|residual| residual.load(Ordering::Relaxed));
        let largest = f64::from(f32::from_bits(residuals.max().unwrap_or(0)));
        while self.level > self.tolerance && largest <= self.level {
            self.level = (0.5 * self.level).max(self.tolerance);
            self.visits.iter_mut().for_each(|[all, before]| *before = *all);
            self.most_visits[1] = 0;
        }
        Ok(largest)
    }

    /// True if the run does not come to rest any more, as far as can be told.
    pub fn stuck(&self) -> bool {
        self.most_visits.iter().zip(self.patience).any(|(visits, bound)| *visits > bound)
    }

    /// Has those of a group who are due write what they will say.
    fn visit(&mut self, group: usize) -> Result<(), Error> {
        let (network, shape, level, courses) = (self.network, self.shape, self.level, &self.courses);
        let says = std::mem::take(&mut self.says);
        let (inbox, residual) = (&says[..], &self.residual[..]);
        let pieces = pieces(network, &self.pieces, &mut [], &mut self.spare, &mut self.arcs, &mut self.visited);
        let done = shared(self.options, &pieces, |(room, older): &mut (Room<Q>, Vec<Message>), piece: Piece| {
            let (mut spare, mut arcs) = (piece.spare, piece.arcs);
            for (person, visited) in piece.people.zip(piece.visited) {
                let slots = network.slots_of(person..person + 1);
                let out = spare.split_off_mut(..slots.len()).unwrap_or_default();
                let moves = arcs.split_off_mut(..network.arcs(person).len()).unwrap_or_default();
                let due = f64::from(f32::from_bits(residual[person].load(Ordering::Relaxed))) > level;
                *visited = due && group_of(person) == group;
                if !*visited {
                    continue;
                }
                residual[person].store(0, Ordering::Relaxed);
                older.clear();
                older.extend_from_slice(out);
                weigh(room, network, shape, person, courses.of(network, person), inbox);
                send(room, network, shape, person, out);
                let own = &inbox[slots.clone()];
                let tree = network.tree[person];
                for (arc, moves) in network.arcs(person).zip(moves) {
                    let of_arc = network.slots(arc);
                    let part = of_arc.start - slots.start..of_arc.end - slots.start;
                    let (new, own, older) = (&mut out[part.clone()], &own[part.clone()], &older[part]);
                    let damping = f64::from(moves.damping);
                    let (change, back) = damp(new, own, older, &network.escape[of_arc], damping);
                    moves.change = change as f32;
                    if tree {
                        // At once, whatever the level. What is left is rounding: a message is made with the answer to it, and without it again.
                        moves.change = if change > ROUNDING { f32::MAX } else { 0.0 };
                    } else {
                        let kept = 1.0 - (1.0 - damping) * CUT;
                        moves.damping =
                            if back { kept.min(MOST_DAMPED) as f32 } else { moves.damping * (1.0 - moves.wear) };
                        moves.wear *= if back { TIRES } else { 1.0 };
                    }
                }
            }
        });
        self.says = says;
        done.map(drop)
    }

    /// Publishes what those just visited say.
    fn publish(&mut self) -> Result<(), Error> {
        let (network, residual) = (self.network, &self.residual[..]);
        let (says, spare) = (&mut self.says, &mut self.spare);
        let pieces = pieces(network, &self.pieces, says, spare, &mut self.arcs, &mut self.visited);
        let done = shared(self.options, &pieces, |(): &mut (), piece: Piece| {
            let (mut says, mut spare, mut arcs) = (piece.says, piece.spare, piece.arcs);
            for (person, visited) in piece.people.zip(piece.visited) {
                let slots = network.slots_of(person..person + 1).len();
                let says = says.split_off_mut(..slots).unwrap_or_default();
                let spare = spare.split_off_mut(..slots).unwrap_or_default();
                let moves = arcs.split_off_mut(..network.arcs(person).len()).unwrap_or_default();
                if !*visited {
                    continue;
                }
                says.swap_with_slice(spare);
                let mut largest: f32 = 0.0;
                for (peer, moves) in network.peer[network.arcs(person)].iter().zip(moves) {
                    // Numbers from 0 have the order of their bits, so the largest does not depend on who comes first.
                    residual[*peer as usize].fetch_max(moves.change.to_bits(), Ordering::Relaxed);
                    // A damped message has not arrived.
                    largest = largest.max(if moves.damping > 0.0 { moves.change } else { 0.0 });
                }
                residual[person].fetch_max(largest.to_bits(), Ordering::Relaxed);
            }
        });
        done.map(drop)
    }

    /// Reads everybody's risk from the messages.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn read(&self, risk: &mut Risk) -> Result<(), Error> {
        let pieces: Vec<_> = self.pieces.iter().map(|people| Mutex::new(Some(people.clone()))).collect();
        let (network, parameters, shape, inbox) = (self.network, self.parameters, self.shape, &self.says[..]);
        let prior = parameters.prior(network.people() as u32);
        let most = self.options.because;
        let read = shared(self.options, &pieces, |(room, course): &mut (Room<Q>, Course), people: Range<usize>| {
            let (mut weights, mut outbox) = (Vec::new(), Vec::new());
            let mut part = Risk::default();
            let mut evidence = 0.0;
            for person in people {
                let tested = !network.tests(person).is_empty();
                let untested = tested.then(|| {
                    course.fill(network, parameters, person, false);
                    weigh(room, network, shape, person, course.weights(), inbox);
                    room.belief(shape, course.weights()).evidence
                });
                let course = self.courses.of(network, person);
                weigh(room, network, shape, person, course, inbox);
                let belief = room.belief(shape, course);
                outbox.resize(network.slots_of(person..person + 1).len(), Message::default());
                send(room, network, shape, person, &mut outbox);
                evidence += belief.evidence - room.shared(&belief);
                let excluded = room.infected_by(shape, prior, &mut weights);
                let unexplained = untested.is_some_and(|untested| belief.evidence - untested < libm::log2(UNEXPLAINED));
                part.contradictions += u32::from(unexplained || excluded > EXCLUDED);
                part.score.push(belief.now);
                part.because.push(because(network, person, &weights, most));
            }
            part.log_evidence = Some(evidence * std::f64::consts::LN_2);
            part
        })?;
        risk.log_evidence = Some(0.0);
        for part in read {
            risk.score.extend(part.score);
            risk.because.extend(part.because);
            risk.contradictions += part.contradictions;
            risk.log_evidence = risk.log_evidence.zip(part.log_evidence).map(|(all, part)| all + part);
        }
        Ok(())
    }
}

/// The group in which a person is visited: neighbours by number, as members of a household often are, seldom share one.
fn group_of(person: usize) -> usize {
    ((person as u32).wrapping_mul(0x9e37_79b1) >> 16) as usize % GROUPS
}

/// What each piece of work writes; `says` may be left out.
fn pieces<'a>(
    network: &Network,
    people: &[Range<usize>],
    mut says: &'a mut [Message],
    mut spare: &'a mut [Message],
    mut arcs: &'a mut [Arc],
    mut visited: &'a mut [bool],
) -> Vec<Mutex<Option<Piece<'a>>>> {
    let of = |people: &Range<usize>| {
        let slots = network.slots_of(people.clone()).len();
        let of_people = network.arcs(people.end - 1).end - network.arcs(people.start).start;
        let piece = Piece {
            people: people.clone(),
            says: says.split_off_mut(..slots).unwrap_or_default(),
            spare: spare.split_off_mut(..slots).unwrap_or_default(),
            arcs: arcs.split_off_mut(..of_people).unwrap_or_default(),
            visited: visited.split_off_mut(..people.len()).unwrap_or_default(),
        };
        Mutex::new(Some(piece))
    };
    people.iter().map(of).collect()
}

/// The `most` by whom a person was infected most probably.
fn because(network: &Network, person: usize, weights: &[f64], most: usize) -> Vec<(u32, f32)> {
    let first = network.slots_of(person..person + 1).start;
    let by = network.arcs(person).map(|arc| {
        let slots = network.slots(arc);
        let weight = weights[slots.start - first..slots.end - first].iter().sum::<f64>();
        (network.peer[arc], weight)
    });
    largest(by, most)
}

/// Does the pieces on several threads, each with room of its own; results come in the order of pieces.
///
/// # Errors
/// [`Error::Interrupted`], with some of the pieces not done.
fn shared<T: Default, P: Send, R: Send>(
    options: &RiskOptions,
    pieces: &[Mutex<Option<P>>],
    work: impl Fn(&mut T, P) -> R + Sync,
) -> Result<Vec<R>, Error> {
    let (threads, stop): (usize, &Stop) = (options.threads.max(1), &options.stop);
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<R>>> = pieces.iter().map(|_| Mutex::new(None)).collect();
    let run = || {
        let mut room = T::default();
        while !stop.raised() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((piece, done)) = pieces.get(number).zip(done.get(number)) else { break };
            let piece = piece.lock().ok().and_then(|mut piece| piece.take());
            let result = piece.map(|piece| work(&mut room, piece));
            if let Ok(mut done) = done.lock() {
                *done = result;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(pieces.len()) {
            scope.spawn(run);
        }
        run();
    });
    let done: Vec<R> = done.into_iter().filter_map(|done| done.into_inner().ok().flatten()).collect();
    if done.len() == pieces.len() { Ok(done) } else { Err(Error::Interrupted) }
}
