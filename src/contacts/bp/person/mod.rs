//! One person's round: its neighbours' messages in, the weight of each of its histories, its messages out.
//!
//! With the messages' values M_j(τ, u, v) and the course's weights w, a history weighs `P = w Π_j M_j` if everybody spared the person up
//! to τ, and `D = P · (1 - Π_j (1 - h_j))`, `h_j = infects_j / M_j`, if somebody infected it at τ, j running over those met then; at the
//! seeding `D = P`. A message out is made of sums of D and P over histories, without the receiver's own factor.
//!
//! Histories lie in strips of windows, in each a row for every stamp τ. From stamp to stamp the product of the messages changes only by
//! those met there, so a round costs a few operations for each contact and window, one of them a division. A history that cannot be (its
//! window begins at or before τ) weighs 0 by the course, whatever it is multiplied by. Products and sums run in the order of stamps and
//! arcs, and nothing is fused, so that the bits are a function of the snapshot on every processor.

mod belief;
mod inbox;
mod outbox;
mod windows;

use std::ops::Range;
use std::rc::Rc;

use super::course::{OUTSIDE, QUAD, Shape, Weights, first_stamp};
use super::message::Message;
use super::network::Network;
use crate::layers::widened;
use windows::{Row, Windows};

/// Stamps whose rows are also summed up as one.
const BLOCK: usize = 8;

/// Room for one person's round.
#[derive(Default)]
pub(super) struct Room<const Q: usize> {
    /// By number of epochs.
    known: Vec<Option<Rc<Windows<Q>>>>,
    windows: Rc<Windows<Q>>,
    stamps: usize,
    arcs: Range<usize>,
    /// Of each stamp its epoch, from stamp number 1 at index 0.
    epoch: Vec<usize>,
    /// Of each slot its arc's number among the person's.
    owner: Vec<usize>,
    /// The slots of each stamp.
    by_stamp: Vec<usize>,
    stamp_start: Vec<usize>,
    next: Vec<usize>,
    /// `1 - Σ_{p<c} infects[p]` for c = 0..=contacts of each arc `[slots + arcs]`.
    spared: Vec<f64>,
    /// What is said to the person at each slot.
    inbox: Vec<Message>,
    never: f64,
    /// log2 of what all weights were multiplied by.
    raised: f64,
    /// Factors of (E, I, R) at the middle of each epoch after infection `[strips, epochs + 1]`.
    prior: Vec<[Row<Q>; 3]>,
    rest: Vec<f64>,
    /// Weights without the infection at τ, then with it `[strips, stamps + 1]`.
    p: Vec<Row<Q>>,
    d: Vec<Row<Q>>,
    /// d summed over runs of [`BLOCK`] stamps `[strips, blocks]`.
    blocks: Vec<Row<Q>>,
    /// Inverse of a message for τ between contacts c - 1 and c of its arc, c = 0..=contacts `[strips, slots + arcs]`.
    between: Vec<Row<Q>>,
    /// The same for τ at a contact `[strips, slots]`; empty in latent shapes, where it is that of `between` wherever a history has weight.
    at: Vec<Row<Q>>,
    /// What the product of messages is multiplied by at a contact (not in latent shapes) and after it `[strips, slots]`.
    enter: Vec<Row<Q>>,
    leave: Vec<Row<Q>>,
    /// Probability of infection at a slot's stamp by others than its arc `[strips, slots]`.
    others: Vec<Row<Q>>,
    /// Product of all messages before the first contact `[strips]`; and, where messages span far, log2 of what it is to be multiplied by.
    first: Vec<Row<Q>>,
    first_lift: Vec<Row<Q>>,
    /// log2 of what is to be multiplied to each of p, where messages span far `[strips, stamps + 1]`.
    lift: Vec<Row<Q>>,
    sums: Vec<[[f64; QUAD]; 4]>,
    /// What all histories weigh without what an arc's other end says `[arcs]`; known once messages are sent.
    without: Vec<f64>,
}

widened! {
    /// Weighs the histories of one person by its course and by the messages in `says` (by slot of the sender).
    pub(super) fn weigh<const Q: usize>(
        room: &mut Room<Q>,
        network: &Network,
        shape: Shape,
        person: usize,
        course: Weights,
        says: &[Message],
    ) {
        room.weigh(network, shape, person, course, says);
    }
}

widened! {
    /// The messages of a weighed person, to be written by its slots.
    pub(super) fn send<const Q: usize>(
        room: &mut Room<Q>,
        network: &Network,
        shape: Shape,
        person: usize,
        outbox: &mut [Message],
    ) {
        room.send(network, shape, person, outbox);
    }
}

impl<const Q: usize> Room<Q> {
    #[inline(always)]
    fn weigh(&mut self, network: &Network, shape: Shape, person: usize, course: Weights, says: &[Message]) {
        self.lay_out(network, shape, person, course);
        let near = self.read(network, shape, person, says);
        if !near {
            self.lift_first(network, person);
        }
        for strip in 0..self.windows.strips {
            if shape.latent {
                self.infect::<true>(course, strip, near);
            } else {
                self.infect::<false>(course, strip, near);
            }
        }
        self.raised = 0.0;
        if near {
            let spared = self.arcs.clone().map(|arc| self.spared_by(network, person, arc));
            self.never = course.never * spared.product::<f64>();
        } else {
            self.bring_near(network, person, course.never);
        }
        self.blocks.clear();
        for strip in self.d.chunks_exact(self.stamps + 1) {
            for block in strip.chunks(BLOCK) {
                let mut sum = [[0.0; QUAD]; Q];
                add_rows(&mut sum, block);
                self.blocks.push(sum);
            }
        }
    }

    #[inline(always)]
    fn lay_out(&mut self, network: &Network, shape: Shape, person: usize, course: Weights) {
        let stamps = network.times(person).len();
        let epochs = course.step.len();
        self.stamps = stamps;
        self.arcs = network.arcs(person);
        if self.known.len() <= epochs {
            self.known.resize(epochs + 1, None);
        }
        self.windows = self.known[epochs].get_or_insert_with(|| Rc::new(Windows::new(shape, epochs))).clone();
        self.windows.prior(shape, course, &mut self.rest, &mut self.prior);

        self.epoch.clear();
        for epoch in 0..epochs {
            self.epoch.resize(first_stamp(epoch + 1, stamps, epochs) - 1, epoch);
        }
        let slots = network.slots_of(person..person + 1);
        self.owner.clear();
        for (number, arc) in self.arcs.clone().enumerate() {
            self.owner.resize(network.slots(arc).end - slots.start, number);
        }
        let stamp = &network.stamp[slots];
        self.stamp_start.clear();
        self.stamp_start.resize(stamps + 2, 0);
        for &stamp in stamp {
            self.stamp_start[stamp as usize + 1] += 1;
        }
        for number in 1..self.stamp_start.len() {
            self.stamp_start[number] += self.stamp_start[number - 1];
        }
        self.by_stamp.clear();
        self.by_stamp.resize(stamp.len(), 0);
        self.next.clear();
        self.next.extend_from_slice(&self.stamp_start);
        for (slot, &stamp) in stamp.iter().enumerate() {
            let next = &mut self.next[stamp as usize];
            self.by_stamp[*next] = slot;
            *next += 1;
        }
    }

    /// Goes from stamp to stamp: weights, and the probability of infection at each, by all and, for each contact, by the others.
    #[inline(always)]
    fn infect<const LATENT: bool>(&mut self, course: Weights, strip: usize, near: bool) {
        let (stamps, slots, epochs) = (self.stamps, self.owner.len(), self.windows.epochs);
        let rows = strip * (stamps + 1)..;
        let (p, d) = (&mut self.p[rows.clone()][..stamps + 1], &mut self.d[rows][..stamps + 1]);
        let others = &mut self.others[strip * slots..][..slots];
        let leave = &self.leave[strip * slots..][..slots];
        let enter = if LATENT { &[] } else { &self.enter[strip * slots..][..slots] };
        let prior = &self.prior[strip * (epochs + 1)..][..epochs + 1];
        let owner = &self.owner[..];
        let (inverses, shift) = if LATENT {
            (&self.between[strip * (slots + self.arcs.len())..], 1)
        } else {
            (&self.at[strip * slots..], 0)
        };
        let inverse = |slot: usize| &inverses[slot + shift * owner[slot]];
        let mut product = self.first[strip];
        let mut lifted = if near { [[0.0; QUAD]; Q] } else { self.first_lift[strip] };
        for tau in 0..=stamps {
            let slots = &self.by_stamp[self.stamp_start[tau]..self.stamp_start[tau + 1]];
            if !LATENT {
                for &slot in slots {
                    for q in 0..Q {
                        for l in 0..QUAD {
                            product[q][l] *= enter[slot][q][l];
                        }
                    }
                    if !near {
                        lift(&mut product, &mut lifted);
                    }
                }
            }
            if !near {
                self.lift.push(lifted);
            }
            let next = if tau == 0 { 0 } else { self.epoch[tau - 1] + 1 };
            let [e, i, r] = course.start[tau];
            let [of_e, of_i, of_r] = &prior[next];
            let mut here = [[0.0; QUAD]; Q];
            for q in 0..Q {
                for l in 0..QUAD {
                    here[q][l] = (e * of_e[q][l] + i * of_i[q][l] + r * of_r[q][l]) * product[q][l];
                }
            }
            p[tau] = here;
            let mut any = [[OUTSIDE; QUAD]; Q];
            for &slot in slots {
                others[slot] = any;
                let (infects, inverse) = (self.inbox[slot].infects, inverse(slot));
                for q in 0..Q {
                    for l in 0..QUAD {
                        any[q][l] += (1.0 - any[q][l]) * (infects * inverse[q][l]).min(1.0);
                    }
                }
            }
            if tau == 0 {
                any = [[1.0; QUAD]; Q];
            }
            for q in 0..Q {
                for l in 0..QUAD {
                    here[q][l] *= any[q][l];
                }
            }
            d[tau] = here;
            if slots.len() > 1 {
                let mut later = [[0.0; QUAD]; Q];
                for &slot in slots.iter().rev() {
                    let (infects, inverse) = (self.inbox[slot].infects, inverse(slot));
                    for q in 0..Q {
                        for l in 0..QUAD {
                            others[slot][q][l] += (1.0 - others[slot][q][l]) * later[q][l];
                            later[q][l] += (1.0 - later[q][l]) * (infects * inverse[q][l]).min(1.0);
                        }
                    }
                }
            }
            for &slot in slots {
                for q in 0..Q {
                    for l in 0..QUAD {
                        product[q][l] *= leave[slot][q][l];
                    }
                }
                if !near {
                    lift(&mut product, &mut lifted);
                }
            }
        }
    }

    /// The product of all messages before the first contact, each message as large or small as it may be.
    #[cold]
    fn lift_first(&mut self, network: &Network, person: usize) {
        let slots = self.owner.len();
        self.first_lift.clear();
        for (strip, first) in self.first.iter_mut().enumerate() {
            let between = &self.between[strip * (slots + self.arcs.len())..];
            let mut lifted = [[0.0; QUAD]; Q];
            *first = [[1.0; QUAD]; Q];
            for (number, arc) in self.arcs.clone().enumerate() {
                let inverse = &between[network.slots_from(person, arc).start + number];
                for (first, inverse) in first.as_flattened_mut().iter_mut().zip(inverse.as_flattened()) {
                    *first /= inverse;
                }
                lift(first, &mut lifted);
            }
            self.first_lift.push(lifted);
        }
    }

    /// Brings weights that were kept near 1 window by window to one scale, the largest near 1.
    #[cold]
    fn bring_near(&mut self, network: &Network, person: usize, never: f64) {
        let (mut never, mut never_lift) = (never, 0.0);
        for arc in self.arcs.clone() {
            let (rest, exponent) = libm::frexp(never * self.spared_by(network, person, arc));
            (never, never_lift) = (rest, never_lift + f64::from(exponent));
        }
        let reach = |p: f64, lift: f64| f64::from(libm::frexp(p).1) + lift;
        let mut top = if never > 0.0 { reach(never, never_lift) } else { f64::NEG_INFINITY };
        for (p, lift) in self.p.as_flattened().as_flattened().iter().zip(self.lift.as_flattened().as_flattened()) {
            if *p > 0.0 {
                top = top.max(reach(*p, *lift));
            }
        }
        let down = |p: &mut f64, lift: f64| *p = libm::ldexp(*p, (lift - top).max(-4096.0) as i32);
        down(&mut never, never_lift);
        for rows in [&mut self.p, &mut self.d] {
            let lifts = self.lift.as_flattened().as_flattened();
            rows.as_flattened_mut().as_flattened_mut().iter_mut().zip(lifts).for_each(|(p, lift)| down(p, *lift));
        }
        (self.never, self.raised) = (never, -top);
    }

    /// The probability of never being infected by an arc's other end, whom the person does not infect.
    #[inline(always)]
    fn spared_by(&self, network: &Network, person: usize, arc: usize) -> f64 {
        self.spared[network.slots_from(person, arc).end + arc - self.arcs.start]
    }
}

/// Brings each of a row's products near 1, and takes what it was divided by into account.
#[inline(always)]
fn lift<const Q: usize>(product: &mut Row<Q>, lifted: &mut Row<Q>) {
    for (product, lifted) in product.as_flattened_mut().iter_mut().zip(lifted.as_flattened_mut()) {
        let (rest, exponent) = libm::frexp(*product);
        (*product, *lifted) = (rest, *lifted + f64::from(exponent));
    }
}

/// Adds rows to one.
#[inline(always)]
fn add_rows<const Q: usize>(sum: &mut Row<Q>, rows: &[Row<Q>]) {
    for row in rows {
        for q in 0..Q {
            for l in 0..QUAD {
                sum[q][l] += row[q][l];
            }
        }
    }
}

/// A row's sum.
#[inline(always)]
fn total<const Q: usize>(row: &Row<Q>) -> f64 {
    let mut sum = [0.0; QUAD];
    for quad in row {
        for l in 0..QUAD {
            sum[l] += quad[l];
        }
    }
    across(sum)
}

/// A quad's sum.
#[inline(always)]
fn across([a, b, c, d]: [f64; QUAD]) -> f64 {
    (a + b) + (c + d)
}
