//! Belief propagation over infection times (Altarelli, Braunstein, Dall'Asta, Ingrosso, Zecchina, PRX 4, 021024, 2014; Baker et al., PNAS
//! 118, e2106548118, 2021) in SI, SIR and SEIR with imperfect tests.
//!
//! Rounds are synchronous from messages that say nothing: each computes everybody's messages from those of the round before, then damps
//! those that swing. They stop when the largest change of a message, before damping, is below the tolerance, or after the most rounds allowed. A
//! person none of whose messages, in or out, moved by the tolerance keeps its own. On a tree the result is exact, for people whose stamps fit the budget
//! (`course.rs`); on loops it is BP's approximation.

mod course;
mod message;
mod network;
mod person;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Error;
use crate::contacts::{Parameters, Risk, RiskModel, Snapshot, largest};
use course::Shape;
use message::{Message, damp};
use network::Network;
use person::Room;

/// A person whose tests are less probable than this, given all else, is a contradiction.
const UNEXPLAINED: f64 = 1e-18;
/// So is one whose history is excluded by the model with more than this probability.
const EXCLUDED: f64 = 1e-3;
// Each arc has a damping of its own, the share of the old message kept. Where a change turns back against the one before, the undamped
// share is cut; else damping wears off slowly, until a round from which it only grows. Loops that swing are few, and so are slowed alone.
const CUT: f64 = 0.7;
const DECAY: f64 = 0.998;
const SETTLED: u32 = 300;
const MOST_DAMPED: f64 = 0.98;

/// Belief propagation.
#[derive(Clone, Debug)]
pub struct Bp {
    parameters: Parameters,
    tolerance: f64,
    most_rounds: u32,
}

impl Bp {
    /// Belief propagation with tolerance 1e-5 of a message, which leaves about 1e-6 of a score, and at most 2000 rounds.
    ///
    /// # Errors
    /// Those of [`Parameters::check`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.check()?;
        Ok(Bp { parameters, tolerance: 1e-5, most_rounds: 2000 })
    }

    /// Stops at a largest change below `tolerance`, or after `most_rounds`.
    #[must_use]
    pub fn until(self, tolerance: f64, most_rounds: u32) -> Self {
        Bp { tolerance, most_rounds, ..self }
    }
}

impl RiskModel for Bp {
    fn name(&self) -> &'static str {
        "bp"
    }

    fn risk(&mut self, snapshot: &Snapshot, threads: usize) -> Result<Risk, Error> {
        let network = Network::build(snapshot, &self.parameters);
        let mut rounds = Rounds::new(&network, &self.parameters, self.tolerance, threads);
        let mut risk = Risk { converged: network.stamp.is_empty(), ..Risk::default() };
        while !risk.converged && risk.rounds < self.most_rounds {
            risk.change = rounds.step(risk.rounds);
            risk.rounds += 1;
            risk.converged = risk.change < self.tolerance;
        }
        rounds.read(&mut risk);
        Ok(risk)
    }
}

/// The messages of one run.
struct Rounds<'a> {
    network: &'a Network,
    parameters: &'a Parameters,
    shape: Shape,
    tolerance: f64,
    threads: usize,
    /// People of each piece of work.
    pieces: Vec<Range<usize>>,
    /// By slot of the sender, of the round before and of this one.
    old: Vec<Message>,
    new: Vec<Message>,
    /// By arc: whether its messages moved in the round before, and in this one.
    moved: Vec<bool>,
    moves: Vec<bool>,
    /// By arc: the share of the old message kept.
    damping: Vec<f32>,
}

/// A piece of a round: people, and their part of what the round writes.
struct Piece<'a> {
    people: Range<usize>,
    outbox: &'a mut [Message],
    moves: &'a mut [bool],
    damping: &'a mut [f32],
}

impl<'a> Rounds<'a> {
    fn new(network: &'a Network, parameters: &'a Parameters, tolerance: f64, threads: usize) -> Self {
        let people = network.people();
        let mut pieces = Vec::new();
        let mut start = 0;
        for end in 1..=people {
            if end == people || network.slots_of(start..end).len() > 4096 {
                pieces.push(start..end);
                start = end;
            }
        }
        let slots = network.stamp.len();
        Rounds {
            network,
            parameters,
            shape: Shape::new(parameters),
            tolerance,
            threads: threads.max(1),
            pieces,
            old: vec![Message::default(); slots],
            new: vec![Message::default(); slots],
            moved: vec![true; network.peer.len()],
            moves: vec![false; network.peer.len()],
            damping: vec![0.0; network.peer.len()],
        }
    }

    /// One round; gives the largest change.
    fn step(&mut self, round: u32) -> f64 {
        let decay = if round < SETTLED { DECAY } else { 1.0 };
        let (mut outbox, mut moves, mut dampings) = (&mut self.new[..], &mut self.moves[..], &mut self.damping[..]);
        let pieces = self.pieces.iter().map(|people| {
            let slots = self.network.slots_of(people.clone()).len();
            let arcs = self.network.arcs(people.end - 1).end - self.network.arcs(people.start).start;
            let piece = Piece {
                people: people.clone(),
                outbox: outbox.split_off_mut(..slots).unwrap_or_default(),
                moves: moves.split_off_mut(..arcs).unwrap_or_default(),
                damping: dampings.split_off_mut(..arcs).unwrap_or_default(),
            };
            Mutex::new(Some(piece))
        });
        let pieces: Vec<_> = pieces.collect();
        let (network, parameters, shape, still) = (self.network, self.parameters, self.shape, self.tolerance);
        let (old, moved) = (&self.old[..], &self.moved[..]);
        let changes = shared(self.threads, &pieces, |room: &mut Room, piece: Piece| {
            let mut largest: f64 = 0.0;
            let (mut outbox, mut moves, mut dampings) = (piece.outbox, piece.moves, piece.damping);
            let mut older = Vec::new();
            for person in piece.people {
                let slots = network.slots_of(person..person + 1);
                let arcs = network.arcs(person);
                let out = outbox.split_off_mut(..slots.len()).unwrap_or_default();
                let moves = moves.split_off_mut(..arcs.len()).unwrap_or_default();
                let dampings = dampings.split_off_mut(..arcs.len()).unwrap_or_default();
                let own = &old[slots.clone()];
                older.clear();
                older.extend_from_slice(out);
                if !arcs.clone().any(|arc| moved[network.reverse[arc]] || moved[arc]) {
                    out.copy_from_slice(own);
                    moves.fill(false);
                    continue;
                }
                room.course.fill(network, parameters, person, true);
                room.weigh(network, shape, person, old);
                room.send(network, shape, person, old, out);
                for ((arc, moves), damping) in arcs.zip(moves).zip(dampings) {
                    let of_arc = network.slots(arc);
                    let part = of_arc.start - slots.start..of_arc.end - slots.start;
                    let (new, own, older) = (&mut out[part.clone()], &own[part.clone()], &older[part]);
                    let damped = f64::from(*damping);
                    let (change, back) = damp(new, own, older, &network.escape[of_arc], damped);
                    let damped = if back { 1.0 - (1.0 - damped) * CUT } else { damped * decay };
                    *damping = damped.min(MOST_DAMPED) as f32;
                    *moves = change > still;
                    largest = largest.max(change);
                }
            }
            largest
        });
        std::mem::swap(&mut self.old, &mut self.new);
        std::mem::swap(&mut self.moved, &mut self.moves);
        changes.into_iter().fold(0.0, f64::max)
    }

    /// Reads everybody's risk from the messages.
    fn read(&self, risk: &mut Risk) {
        let pieces: Vec<_> = self.pieces.iter().map(|people| Mutex::new(Some(people.clone()))).collect();
        let (network, parameters, shape, inbox) = (self.network, self.parameters, self.shape, &self.old[..]);
        let prior = parameters.prior(network.people() as u32);
        let read = shared(self.threads, &pieces, |room: &mut Room, people: Range<usize>| {
            let mut weights = Vec::new();
            let mut part = Risk::default();
            for person in people {
                let tested = !network.tests(person).is_empty();
                let untested = tested.then(|| {
                    room.course.fill(network, parameters, person, false);
                    room.weigh(network, shape, person, inbox);
                    room.belief(shape).evidence
                });
                room.course.fill(network, parameters, person, true);
                room.weigh(network, shape, person, inbox);
                let belief = room.belief(shape);
                let excluded = room.infected_by(prior, &mut weights);
                let unexplained = untested.is_some_and(|untested| belief.evidence - untested < libm::log2(UNEXPLAINED));
                part.contradictions += u32::from(unexplained || excluded > EXCLUDED);
                part.score.push(belief.now);
                part.because.push(because(network, person, &weights));
            }
            part
        });
        for part in read {
            risk.score.extend(part.score);
            risk.because.extend(part.because);
            risk.contradictions += part.contradictions;
        }
    }
}

/// The few by whom a person was infected most probably.
fn because(network: &Network, person: usize, weights: &[f64]) -> Vec<(u32, f32)> {
    let first = network.slots_of(person..person + 1).start;
    let by = network.arcs(person).map(|arc| {
        let slots = network.slots(arc);
        let weight = weights[slots.start - first..slots.end - first].iter().sum::<f64>();
        (network.peer[arc], weight)
    });
    largest(by)
}

/// Does the pieces on `threads` threads, each with room of its own; results come in the order of pieces.
fn shared<P: Send, R: Send>(
    threads: usize,
    pieces: &[Mutex<Option<P>>],
    work: impl Fn(&mut Room, P) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<R>>> = pieces.iter().map(|_| Mutex::new(None)).collect();
    let run = || {
        let mut room = Room::default();
        loop {
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
    done.into_iter().filter_map(|done| done.into_inner().ok().flatten()).collect()
}
