//! One person's round: its neighbours' messages in, the weight of each of its histories, its messages out.
//!
//! With the messages' values M_j(τ, u, v) and the course's weights w, a history weighs `P = w Π_j M_j` if everybody spared the person up
//! to τ, and `D = P · (1 - Π_j (1 - h_j))`, `h_j = infects_j / M_j`, if somebody infected it at τ, j running over those met then; at the
//! seeding `D = P`. A message out is made of sums of D and P over histories, without the receiver's own factor. Products and sums run
//! in the order of arcs, stamps and panels, so that the bits are a function of the snapshot.
//!
//! Histories lie in panels, one a window (u, v), each a run over τ. A window without a contact of the pair has `M_j = spared_j`, which is
//! one factor for all panels; only windows that hold a contact are visited, pair by pair: the work is linear in contacts, at most
//! [the budget](super::course) times an arc.

mod belief;
mod outbox;

use super::course::{Course, OUTSIDE, Shape, first_stamp};
use super::message::{LEAST, Message, gains, spared};
use super::network::Network;

/// Histories with one window.
#[derive(Clone, Copy, Debug)]
struct Panel {
    /// First infectious epoch; unused where infectiousness starts with infection.
    u: usize,
    /// First epoch no longer infectious; the number of epochs where there is none.
    v: usize,
    /// τ is less than this.
    len: usize,
    offset: usize,
}

/// An arc as its owner sees it.
struct Pair<'a> {
    message: &'a [Message],
    escape: &'a [f64],
    stamp: &'a [u32],
    /// Its first slot among the person's.
    slot: usize,
}

impl Pair<'_> {
    /// The τ between contacts `c - 1` and `c`, those of both excluded.
    fn between(&self, c: usize, end: usize) -> std::ops::Range<usize> {
        let from = if c == 0 { 0 } else { self.stamp[c - 1] as usize + 1 };
        let to = self.stamp.get(c).map_or(end, |&s| s as usize).min(end);
        from..to.max(from)
    }
}

/// Room for one person's round.
#[derive(Default)]
pub(super) struct Room {
    pub course: Course,
    stamps: usize,
    epochs: usize,
    panels: Vec<Panel>,
    /// Of each stamp its epoch, from stamp number 1 at index 0.
    epoch: Vec<usize>,
    /// Weights without the infection at τ, then with it `[histories]`.
    p: Vec<f64>,
    d: Vec<f64>,
    never: f64,
    /// log2 of what p, d and never were multiplied by.
    raised: f64,
    /// Of each slot and panel the message's value at τ = the slot's stamp, then its inverse `[slots, panels]`.
    at: Vec<f64>,
    /// Of each slot and panel the probability of infection at the stamp by others `[slots, panels]`, then times p · at.
    others: Vec<f64>,
    by_stamp: Vec<usize>,
    stamp_start: Vec<usize>,
    nested: Vec<f64>,
    spared: Vec<f64>,
    gains: Vec<f64>,
    first: Vec<usize>,
    row: Vec<f64>,
    open: Vec<f64>,
    with: Vec<f64>,
    without: Vec<f64>,
    infectious: Vec<f64>,
    enter: Vec<f64>,
    infects: Vec<f64>,
    /// Bits by which weights may have drifted apart since they were last brought near 1.
    reach: f64,
}

impl Room {
    /// Weighs the histories of one person, whose course is filled in, by the messages `inbox` (by slot of the sender).
    pub fn weigh(&mut self, network: &Network, shape: Shape, person: usize, inbox: &[Message]) {
        self.lay_out(network, shape, person);
        self.prior(shape);
        self.spare(network, person, inbox);
        for arc in network.arcs(person) {
            self.multiply(shape, &pair(network, person, arc, inbox));
        }
        self.infect(network, person, inbox);
    }

    fn lay_out(&mut self, network: &Network, shape: Shape, person: usize) {
        let stamps = network.times(person).len();
        let epochs = shape.epochs(stamps);
        (self.stamps, self.epochs) = (stamps, epochs);
        self.panels.clear();
        let mut offset = 0;
        let mut panel = |u, v, len: usize| {
            let panel = Panel { u, v, len, offset };
            offset += len;
            panel
        };
        let until = |epoch: usize| first_stamp(epoch, stamps, epochs).min(stamps + 1);
        for v in if shape.recovers { 0 } else { epochs }..=epochs {
            if shape.latent {
                self.panels.extend((0..v).map(|u| panel(u, v, until(u))));
            } else {
                self.panels.push(panel(0, v, until(v)));
            }
        }
        if shape.latent {
            self.panels.push(panel(epochs, epochs, stamps + 1));
        }
        self.p.clear();
        self.p.resize(offset, 0.0);
        self.d.clear();
        self.d.resize(offset, 0.0);
        self.epoch.clear();
        let mut epoch = 0;
        for number in 1..=stamps {
            while epoch + 1 < epochs && number >= first_stamp(epoch + 1, stamps, epochs) {
                epoch += 1;
            }
            self.epoch.push(epoch);
        }

        let slots = network.slots_of(person..person + 1);
        self.stamp_start.clear();
        self.stamp_start.resize(stamps + 2, 0);
        for &stamp in &network.stamp[slots.clone()] {
            self.stamp_start[stamp as usize + 1] += 1;
        }
        for number in 1..self.stamp_start.len() {
            self.stamp_start[number] += self.stamp_start[number - 1];
        }
        self.by_stamp.clear();
        self.by_stamp.resize(slots.len(), 0);
        self.first.clear();
        self.first.extend_from_slice(&self.stamp_start);
        for (slot, &stamp) in network.stamp[slots].iter().enumerate() {
            let next = &mut self.first[stamp as usize];
            self.by_stamp[*next] = slot;
            *next += 1;
        }
    }

    /// The weights as the course has them.
    fn prior(&mut self, shape: Shape) {
        let (course, epochs) = (&self.course, self.epochs);
        // rest[e]: in R from middle e on. stay: in I at middle u, out of it before epoch v.
        let rest = &mut self.row;
        rest.clear();
        rest.resize(epochs + 1, 1.0);
        for e in (0..epochs).rev() {
            rest[e] = rest[e + 1] * course.step[e].rr;
        }
        let leave = |v: usize| {
            if v < epochs { course.step[v - 1].ir * rest[v] } else { course.step[v - 1].ii + course.step[v - 1].ir }
        };
        let next = |tau: usize| if tau == 0 { 0 } else { self.epoch[tau - 1] + 1 };
        if !shape.latent {
            for panel in &self.panels {
                let mut stay = 1.0;
                let mut entered = panel.v;
                for tau in (0..panel.len).rev() {
                    let [_, i, r] = course.start[tau];
                    let epoch = next(tau);
                    self.p[panel.offset + tau] = if epoch == panel.v {
                        if epoch < epochs { r * rest[epoch] } else { i + r }
                    } else {
                        if entered == panel.v {
                            entered -= 1;
                            stay = leave(panel.v);
                        }
                        while entered > epoch {
                            entered -= 1;
                            stay *= course.step[entered].ii;
                        }
                        i * stay
                    };
                }
            }
            return;
        }
        let (last, panels) = match self.panels.split_last() {
            Some(split) => split,
            None => return,
        };
        for panel in panels {
            let stay = (panel.u..panel.v - 1).map(|e| course.step[e].ii).product::<f64>() * leave(panel.v);
            let mut wait = 1.0;
            let mut entered = panel.u;
            for tau in (0..panel.len).rev() {
                let [e, i, _] = course.start[tau];
                let epoch = next(tau);
                self.p[panel.offset + tau] = stay
                    * if epoch == panel.u {
                        i
                    } else {
                        if entered == panel.u {
                            entered -= 1;
                            wait = course.step[entered].ei;
                        }
                        while entered > epoch {
                            entered -= 1;
                            wait *= course.step[entered].ee;
                        }
                        e * wait
                    };
            }
        }
        // Without an infectious middle: from E past I within a step, or in E to the end.
        let mut passes = 1.0;
        let mut reached = epochs;
        for tau in (0..last.len).rev() {
            let [e, i, r] = course.start[tau];
            let epoch = next(tau);
            while reached > epoch {
                reached -= 1;
                let step = &course.step[reached];
                passes = if reached + 1 == epochs {
                    step.ee + step.ei + step.er
                } else {
                    step.ee * passes + step.er * rest[reached + 1]
                };
            }
            self.p[last.offset + tau] = if epoch == epochs { e + i + r } else { e * passes + r * rest[epoch] };
        }
    }

    /// Multiplies by everybody's `spared`, which is one factor for all panels.
    fn spare(&mut self, network: &Network, person: usize, inbox: &[Message]) {
        self.row.clear();
        self.row.resize(self.stamps + 2, 1.0);
        for arc in network.arcs(person) {
            let pair = pair(network, person, arc, inbox);
            spared(pair.message, &mut self.spared);
            for (p, &stamp) in pair.stamp.iter().enumerate() {
                self.row[stamp as usize + 1] *= self.spared[p + 1] / self.spared[p];
            }
        }
        for tau in 1..self.row.len() {
            self.row[tau] = (self.row[tau] * self.row[tau - 1]).max(1e-250);
        }
        // row[τ] holds the contacts before τ: a contact at stamp number s counts from s + 1 on.
        for panel in &self.panels {
            for (p, spared) in self.p[panel.offset..][..panel.len].iter_mut().zip(&self.row) {
                *p *= spared;
            }
        }
        self.never = self.course.never * self.row[self.stamps + 1];
        (self.raised, self.reach) = (0.0, 0.0);
        let room = network.slots_of(person..person + 1).len() * self.panels.len();
        self.at.clear();
        self.at.resize(room, 1.0);
        self.others.clear();
        self.others.resize(room, 0.0);
    }

    /// First contact of the pair in each epoch or later `[epochs + 1]`.
    fn first_contacts(&mut self, pair: &Pair) {
        self.first.clear();
        let mut p = 0;
        for epoch in 0..=self.epochs {
            while pair.stamp.get(p).is_some_and(|&stamp| self.epoch[stamp as usize - 1] < epoch) {
                p += 1;
            }
            self.first.push(p);
        }
    }

    /// Multiplies the panels whose window holds a contact of the pair by its message, and notes the message at the pair's stamps.
    fn multiply(&mut self, shape: Shape, pair: &Pair) {
        spared(pair.message, &mut self.spared);
        let (m, width) = (pair.stamp.len(), self.panels.len());
        for (c, at) in self.at[pair.slot * width..][..m * width].chunks_exact_mut(width).enumerate() {
            at.fill(self.spared[c]);
        }
        if pair.message.iter().all(|contact| contact.gain == 0.0) {
            return;
        }
        self.first_contacts(pair);
        self.row.clear();
        self.row.extend(self.spared.iter().map(|spared| 1.0 / spared));
        let (mut least, mut most) = (1.0f64, 1.0f64);
        let mut known = usize::MAX;
        for (number, panel) in self.panels.iter().enumerate() {
            let y = self.first[panel.v];
            if y == 0 {
                continue;
            }
            if y != known {
                gains(pair.message, pair.escape, y, &mut self.gains);
                known = y;
            }
            let p = &mut self.p[panel.offset..][..panel.len];
            let (inverse, gains) = (&self.row[..], &self.gains[..]);
            let mut value = |c: usize, x: usize| {
                let value = (1.0 + gains[x] * inverse[c]).max(LEAST);
                least = least.min(value);
                most = most.max(value);
                value
            };
            if shape.latent {
                let x = self.first[panel.u];
                if x >= y {
                    continue;
                }
                for c in 0..=x {
                    let value = value(c, x);
                    let mut taus = pair.between(c, panel.len);
                    if c < x {
                        taus.end = pair.stamp[c] as usize + 1;
                        self.at[(pair.slot + c) * width + number] *= value;
                    }
                    p[taus].iter_mut().for_each(|p| *p *= value);
                }
            } else {
                for c in 0..y {
                    let inside = value(c, c);
                    p[pair.between(c, panel.len)].iter_mut().for_each(|p| *p *= inside);
                    if c + 1 < y {
                        let value = value(c, c + 1);
                        p[pair.stamp[c] as usize] *= value;
                        self.at[(pair.slot + c) * width + number] *= value;
                    }
                }
            }
        }
        self.rescale(least, most);
    }

    /// Keeps the largest weight near 1 where messages reach far.
    fn rescale(&mut self, least: f64, most: f64) {
        self.reach += f64::from(libm::frexp(most).1 - libm::frexp(least).1);
        if self.reach < 256.0 {
            return;
        }
        self.reach = 0.0;
        let (_, exponent) = libm::frexp(self.p.iter().fold(self.never, |a, &b| a.max(b)));
        let factor = libm::ldexp(1.0, -exponent);
        self.p.iter_mut().for_each(|p| *p *= factor);
        self.never *= factor;
        self.raised -= f64::from(exponent);
    }

    /// The probability of infection at each stamp, given its histories: by all and, for each contact, by the others.
    fn infect(&mut self, network: &Network, person: usize, inbox: &[Message]) {
        let width = self.panels.len();
        self.at.iter_mut().for_each(|at| *at = 1.0 / *at);
        self.infects.clear();
        for arc in network.arcs(person) {
            self.infects.extend(pair(network, person, arc, inbox).message.iter().map(|contact| contact.infects));
        }
        for panel in &self.panels {
            self.d[panel.offset] = self.p[panel.offset];
        }
        for tau in 1..=self.stamps {
            let slots = &self.by_stamp[self.stamp_start[tau]..self.stamp_start[tau + 1]];
            self.row.clear();
            self.row.resize(width, OUTSIDE);
            for &slot in slots {
                let infects = self.infects[slot];
                let (at, others) = (&self.at[slot * width..][..width], &mut self.others[slot * width..][..width]);
                for ((any, at), others) in self.row.iter_mut().zip(at).zip(others) {
                    *others = *any;
                    *any += (1.0 - *any) * (infects * at).min(1.0);
                }
            }
            for (panel, any) in self.panels.iter().zip(&self.row) {
                if tau < panel.len {
                    self.d[panel.offset + tau] = self.p[panel.offset + tau] * any;
                }
            }
            self.row.fill(0.0);
            for &slot in slots.iter().rev() {
                let infects = self.infects[slot];
                let (at, others) = (&self.at[slot * width..][..width], &mut self.others[slot * width..][..width]);
                for ((later, at), others) in self.row.iter_mut().zip(at).zip(others) {
                    *others += (1.0 - *others) * *later;
                    *later += (1.0 - *later) * (infects * at).min(1.0);
                }
            }
        }
    }
}

fn pair<'a>(network: &'a Network, person: usize, arc: usize, inbox: &'a [Message]) -> Pair<'a> {
    let own = network.slots(arc);
    let slot = own.start - network.slots_of(person..person + 1).start;
    Pair {
        message: &inbox[network.slots(network.reverse[arc])],
        escape: &network.escape[own.clone()],
        stamp: &network.stamp[own],
        slot,
    }
}
