//! The messages of one person out: sums of D and P over its histories, by where infection and window stand among a pair's contacts.
//!
//! A history without the receiver's factor `M(c, x, y)` counts D if it begins between contacts (`open`) or, at one, by the others
//! (`without`); P if the receiver infects it there (`with`). Going along the pair's contacts, `reach` holds for each window those that
//! began before and have not infected the receiver since the window opened.

use super::windows::Row;
use super::{BLOCK, Room, across, add_rows};
use crate::contacts::bp::course::{QUAD, Shape};
use crate::contacts::bp::message::Message;
use crate::contacts::bp::network::Network;

impl<const Q: usize> Room<Q> {
    /// The messages of a weighed person, to be written by its slots.
    #[inline(always)]
    pub(super) fn send(&mut self, network: &Network, shape: Shape, person: usize, outbox: &mut [Message]) {
        self.without.clear();
        for (number, arc) in self.arcs.clone().enumerate() {
            let own = network.slots(arc);
            let (slot, m) = (network.slots_from(person, arc).start, own.len());
            let (stamp, passes) = (&network.stamp[own.clone()], &network.passes[own]);
            let out = &mut outbox[slot..][..m];
            self.sums.clear();
            self.sums.resize(m + 1, [[0.0; QUAD]; 4]);
            for strip in 0..self.windows.strips {
                if shape.latent {
                    self.add::<true>(stamp, passes, (strip, number, slot));
                } else {
                    self.add::<false>(stamp, passes, (strip, number, slot));
                }
            }
            // after[p]: histories not infected before contact p.
            let mut after = across(self.sums[m][0]) + self.never / self.spared[slot + number + m];
            for p in (0..m).rev() {
                let [open, with, without, infectious] = self.sums[p].map(across);
                let passed = passes[p];
                after += without;
                out[p] = Message { infects: passed * infectious, gain: passed * (with - after) };
                after += open;
            }
            self.without.push(after);
            for contact in out {
                contact.gain /= after;
                contact.infects /= after;
            }
        }
    }

    /// Adds the histories of a strip to the sums of an arc that begins at `slot`.
    #[inline(always)]
    fn add<const LATENT: bool>(&mut self, stamp: &[u32], passes: &[f64], (strip, number, slot): (usize, usize, usize)) {
        let (slots, rows) = (self.owner.len(), self.stamps + 1);
        let (p, d) = (&self.p[strip * rows..][..rows], &self.d[strip * rows..][..rows]);
        let blocks = rows.div_ceil(BLOCK);
        let blocks = &self.blocks[strip * blocks..][..blocks];
        let inside = self.windows.inside(strip);
        let m = stamp.len();
        let between = &self.between[strip * (slots + self.arcs.len()) + slot + number..][..m + 1];
        let at = if LATENT { &between[..m] } else { &self.at[strip * slots + slot..][..m] };
        let others = &self.others[strip * slots + slot..][..m];
        let mut reach = [[0.0; QUAD]; Q];
        let mut from = 0;
        for c in 0..m {
            let until = stamp[c] as usize;
            let open = sum(d, blocks, from, until);
            from = until + 1;
            let (between, at, others, p, inside) =
                (&between[c], &at[c], &others[c], &p[until], &inside[self.epoch[until - 1]]);
            let mut sums = [[0.0; QUAD]; 4];
            let passed = passes[c];
            for q in 0..Q {
                for l in 0..QUAD {
                    let begin = open[q][l] * between[q][l];
                    let there = p[q][l] * at[q][l];
                    let by_others = there * others[q][l];
                    let so_far = reach[q][l] + begin;
                    let meets = so_far * inside[q][l];
                    reach[q][l] = so_far - meets * passed + by_others;
                    sums[0][l] += begin;
                    sums[1][l] += there;
                    sums[2][l] += by_others;
                    sums[3][l] += meets;
                }
            }
            for (all, sums) in self.sums[c].iter_mut().zip(sums) {
                for l in 0..QUAD {
                    all[l] += sums[l];
                }
            }
        }
        let open = sum(d, blocks, from, rows);
        for q in 0..Q {
            for l in 0..QUAD {
                self.sums[m][0][l] += open[q][l] * between[m][q][l];
            }
        }
    }
}

/// The sum of rows `from..until` of d, by whole blocks where it has any.
#[inline(always)]
fn sum<const Q: usize>(d: &[Row<Q>], blocks: &[Row<Q>], from: usize, until: usize) -> Row<Q> {
    let mut sum = [[0.0; QUAD]; Q];
    let mut add = |rows: &[Row<Q>]| add_rows(&mut sum, rows);
    let (first, last) = (from.div_ceil(BLOCK), until / BLOCK);
    if first < last {
        add(&d[from..first * BLOCK]);
        add(&blocks[first..last]);
        add(&d[last * BLOCK..until]);
    } else if from < until {
        add(&d[from..until]);
    }
    sum
}
