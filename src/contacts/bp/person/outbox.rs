//! The messages of one person out: sums of D and P over its histories, by where infection and window stand among a pair's contacts.
//!
//! A history without the receiver's factor `M(c, x, y)` counts D if it begins between contacts (`open`) or, at one, by the others
//! (`without`); P if the receiver infects it there (`with`). `infectious[q]` sums those that reach contact q infectious without having
//! infected the receiver before.

use super::{Pair, Room, pair};
use crate::contacts::bp::course::Shape;
use crate::contacts::bp::message::{LEAST, Message, gains, spared};
use crate::contacts::bp::network::Network;

impl Room {
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
