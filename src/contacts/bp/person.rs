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

/// What a person's histories come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Belief {
    /// Probability of being E or I at the as-of time.
    pub now: f64,
    /// log2 of the weight of all histories.
    pub evidence: f64,
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

    /// The messages of a weighed person, to be written by its slots.
    pub fn send(&mut self, network: &Network, shape: Shape, person: usize, inbox: &[Message], outbox: &mut [Message]) {
        self.nest(shape);
        for arc in network.arcs(person) {
            let pair = pair(network, person, arc, inbox);
            let m = pair.stamp.len();
            spared(pair.message, &mut self.spared);
            self.first_contacts(&pair);
            for sums in [&mut self.open, &mut self.with, &mut self.without, &mut self.infectious] {
                sums.clear();
                sums.resize(m + 1, 0.0);
            }
            self.meet(&pair);
            self.miss(shape, &pair);
            self.hold(shape, &pair);
            // after[p]: histories not infected before contact p.
            let out = &mut outbox[pair.slot..][..m];
            let mut after = self.open[m] + self.never / self.spared[m];
            for p in (0..m).rev() {
                after += self.without[p];
                out[p].gain = (1.0 - pair.escape[p]) * (self.with[p] - after);
                out[p].infects = (1.0 - pair.escape[p]) * self.infectious[p];
                after += self.open[p];
            }
            for contact in out {
                contact.gain /= after;
                contact.infects /= after;
            }
        }
    }

    /// Sums over panels inside a span of epochs: for latent shapes `nested[u, v][τ] = Σ_{u≤u', v'≤v} D`, else `nested[v][τ] = Σ_{v'≤v} D`.
    fn nest(&mut self, shape: Shape) {
        let long = self.stamps + 1;
        self.nested.clear();
        self.nested.resize(self.panels.len() * long, 0.0);
        let count = self.panels.len() - usize::from(shape.latent);
        for number in if shape.latent { (0..count).rev().collect::<Vec<_>>() } else { Vec::new() } {
            let panel = self.panels[number];
            let (own, later) = self.nested[number * long..].split_at_mut(long);
            if panel.u + 1 < panel.v {
                own.copy_from_slice(&later[..long]);
            }
            for (sum, d) in own.iter_mut().zip(&self.d[panel.offset..][..panel.len]) {
                *sum += d;
            }
        }
        for number in 0..count {
            let panel = self.panels[number];
            let before = match shape.latent {
                false => number.checked_sub(1),
                true if shape.recovers && panel.u + 1 < panel.v => Some(number + 1 - panel.v),
                true => None,
            };
            if let Some(before) = before {
                let (earlier, own) = self.nested.split_at_mut(number * long);
                for (sum, d) in own[..long].iter_mut().zip(&earlier[before * long..][..long]) {
                    *sum += d;
                }
            }
            if !shape.latent {
                let d = &self.d[panel.offset..][..panel.len];
                self.nested[number * long..][..panel.len].iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
            }
        }
    }

    /// Histories that begin at a contact of the pair, the receiver's factor taken out.
    fn meet(&mut self, pair: &Pair) {
        let width = self.panels.len();
        for (c, &stamp) in pair.stamp.iter().enumerate() {
            let tau = stamp as usize;
            let slot = (pair.slot + c) * width;
            let (mut with, mut without) = (0.0, 0.0);
            let (at, others) = (&self.at[slot..][..width], &mut self.others[slot..][..width]);
            for ((panel, at), others) in self.panels.iter().zip(at).zip(others) {
                let p = if tau < panel.len { self.p[panel.offset + tau] * at } else { 0.0 };
                *others *= p;
                with += p;
                without += *others;
            }
            (self.with[c], self.without[c]) = (with, without);
        }
    }

    /// Histories that begin between contacts and whose window holds none.
    fn miss(&mut self, shape: Shape, pair: &Pair) {
        let long = self.stamps + 1;
        let number = |u: usize, v: usize| match (shape.latent, shape.recovers) {
            (true, true) if u < v => Some(v * (v - 1) / 2 + u),
            (true, false) if u < v && v == self.epochs => Some(u),
            (false, true) => Some(v),
            (false, false) if v == self.epochs => Some(0),
            _ => None,
        };
        if shape.latent {
            // The same for all τ: the spans between the epochs of contacts, and no window at all.
            self.row.clear();
            self.row.extend_from_slice(&self.d[self.panels[self.panels.len() - 1].offset..]);
            let mut from = 0;
            let met = pair.stamp.iter().map(|&stamp| self.epoch[stamp as usize - 1]);
            for epoch in met.chain([self.epochs]) {
                if let Some(number) = number(from, epoch) {
                    let nested = &self.nested[number * long..][..long];
                    self.row.iter_mut().zip(nested).for_each(|(sum, nested)| *sum += nested);
                }
                from = epoch + 1;
            }
        }
        for c in 0..=pair.stamp.len() {
            let taus = pair.between(c, long);
            let row = if shape.latent {
                &self.row[taus]
            } else {
                let epoch = pair.stamp.get(c).map_or(self.epochs, |&stamp| self.epoch[stamp as usize - 1]);
                match number(0, epoch) {
                    Some(number) => &self.nested[number * long..][taus],
                    None => continue,
                }
            };
            self.open[c] += sum(row) / self.spared[c];
        }
    }

    /// Histories that begin between contacts and whose window holds one at least; and from all, who is infectious at each contact.
    fn hold(&mut self, shape: Shape, pair: &Pair) {
        let width = self.panels.len();
        let mut known = usize::MAX;
        for (number, panel) in self.panels.iter().enumerate() {
            let y = self.first[panel.v];
            let x = if shape.latent { self.first[panel.u] } else { 0 };
            if x >= y {
                continue;
            }
            if y != known {
                gains(pair.message, pair.escape, y, &mut self.gains);
                known = y;
            }
            self.enter.clear();
            self.enter.resize(y + 1, 0.0);
            let d = &self.d[panel.offset..][..panel.len];
            for c in 0..if shape.latent { x + 1 } else { y } {
                let x = if shape.latent { x } else { c };
                let taus = pair.between(c, panel.len);
                if !taus.is_empty() {
                    let value = (1.0 + self.gains[x] / self.spared[c]).max(LEAST) * self.spared[c];
                    let sum = sum(&d[taus]) / value;
                    self.open[c] += sum;
                    self.enter[x] += sum;
                }
                if !shape.latent {
                    self.enter[c + 1] += self.others[(pair.slot + c) * width + number];
                } else if c < x {
                    self.enter[x] += self.others[(pair.slot + c) * width + number];
                }
            }
            let mut infectious = 0.0;
            let each = self.infectious[x..y].iter_mut().zip(&self.enter[x..y]).zip(&pair.escape[x..y]);
            for ((sum, enter), escape) in each {
                infectious += enter;
                *sum += infectious;
                infectious *= escape;
            }
        }
    }

    /// What the histories of a weighed person come to.
    pub fn belief(&mut self, shape: Shape) -> Belief {
        let (course, epochs) = (&self.course, self.epochs);
        let infected = |e: f64, i: f64, r: f64| if e + i > 0.0 { (e + i) / (e + i + r) } else { 0.0 };
        let share = course.step.last().map_or(0.0, |step| infected(0.0, step.ii, step.ir));
        let next = |tau: usize| if tau == 0 { 0 } else { self.epoch[tau - 1] + 1 };
        let (mut now, mut ever) = (0.0, 0.0);
        let windows = self.panels.len() - usize::from(shape.latent);
        for panel in &self.panels[..windows] {
            for (tau, d) in self.d[panel.offset..][..panel.len].iter().enumerate() {
                ever += d;
                if panel.v == epochs {
                    let [e, i, r] = course.start[tau];
                    now += d * if next(tau) == epochs { infected(e, i, r) } else { share };
                }
            }
        }
        if let Some(panel) = self.panels.get(windows) {
            let (mut still, mut all, mut reached) = (1.0, 1.0, epochs);
            let mut rest = 1.0;
            for tau in (0..panel.len).rev() {
                let [e, i, r] = course.start[tau];
                let d = self.d[panel.offset + tau];
                while reached > next(tau) {
                    reached -= 1;
                    let step = &course.step[reached];
                    if reached + 1 == epochs {
                        (still, all) = (step.ee + step.ei, step.ee + step.ei + step.er);
                    } else {
                        (still, all) = (step.ee * still, step.ee * all + step.er * rest);
                    }
                    rest *= step.rr;
                }
                ever += d;
                now += d * if reached == epochs {
                    infected(e, i, r)
                } else {
                    let sum = e * all + r * rest;
                    if sum > 0.0 { e * still / sum } else { 0.0 }
                };
            }
        }
        let all = ever + self.never;
        Belief { now: now / all, evidence: libm::log2(all) - self.raised + self.course.scale }
    }

    /// The probability of having been infected at each slot's contact by its other end, to be called before [`Room::send`]; gives that
    /// of a history that the model excludes: infection from outside, a seed or none against a certain `prior`.
    pub fn infected_by(&mut self, prior: f64, weights: &mut Vec<f64>) -> f64 {
        let width = self.panels.len();
        let all = self.d.iter().sum::<f64>() + self.never;
        let seeds = self.panels.iter().map(|panel| self.d[panel.offset]).sum::<f64>();
        let mut excluded = if prior < OUTSIDE { seeds } else { 0.0 };
        if 1.0 - prior < OUTSIDE {
            excluded += all - seeds;
        }
        weights.clear();
        weights.resize(self.infects.len(), 0.0);
        for tau in 1..=self.stamps {
            let slots = &self.by_stamp[self.stamp_start[tau]..self.stamp_start[tau + 1]];
            self.row.clear();
            self.row.resize(width, OUTSIDE);
            for &slot in slots {
                let at = &self.at[slot * width..][..width];
                self.row.iter_mut().zip(at).for_each(|(sum, at)| *sum += self.infects[slot] * at);
            }
            let reached = self.panels.iter().zip(&self.row).filter(|(panel, _)| tau < panel.len);
            excluded += reached.map(|(panel, sum)| self.d[panel.offset + tau] * OUTSIDE / sum).sum::<f64>();
            for &slot in slots {
                let at = &self.at[slot * width..][..width];
                for ((panel, sum), at) in self.panels.iter().zip(&self.row).zip(at) {
                    if tau < panel.len {
                        weights[slot] += self.d[panel.offset + tau] * self.infects[slot] * at / sum;
                    }
                }
                weights[slot] /= all;
            }
        }
        excluded / all
    }
}

/// A sum in four interleaved parts, which need not wait for each other.
fn sum(values: &[f64]) -> f64 {
    let (fours, rest) = values.as_chunks::<4>();
    let mut parts = [0.0; 4];
    for four in fours {
        parts.iter_mut().zip(four).for_each(|(part, value)| *part += value);
    }
    (parts[0] + parts[1]) + (parts[2] + parts[3]) + rest.iter().sum::<f64>()
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
