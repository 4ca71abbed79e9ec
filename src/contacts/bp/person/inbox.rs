//! What the neighbours say, read for each window.

use super::Room;
use super::windows::Row;
use crate::contacts::bp::course::{QUAD, Shape};
use crate::contacts::bp::message::{LEAST, Message};
use crate::contacts::bp::network::Network;

/// Messages that span no more in all are multiplied as they are; else every window's product is kept near 1.
const NEAR: f64 = 1e77;

impl<const Q: usize> Room<Q> {
    /// Reads the messages; false if their product may leave the range of numbers.
    #[inline(always)]
    pub(super) fn read(&mut self, network: &Network, shape: Shape, person: usize, says: &[Message]) -> bool {
        let (slots, arcs, strips) = (self.owner.len(), self.arcs.len(), self.windows.strips);
        // A copy of its own, so that one walk through far memory serves all.
        self.inbox.clear();
        for arc in self.arcs.clone() {
            let contacts = network.slots(arc).len();
            self.inbox.extend_from_slice(&says[network.back[arc]..][..contacts]);
        }
        self.spared.clear();
        for arc in self.arcs.clone() {
            let mut left: f64 = 1.0;
            self.spared.push(left);
            for contact in &self.inbox[network.slots_from(person, arc)] {
                left -= contact.infects;
                self.spared.push(left.max(LEAST));
            }
        }
        let resize = |rows: &mut Vec<Row<Q>>, count: usize| rows.resize(strips * count, [[0.0; QUAD]; Q]);
        resize(&mut self.p, self.stamps + 1);
        resize(&mut self.d, self.stamps + 1);
        resize(&mut self.between, slots + arcs);
        resize(&mut self.leave, slots);
        resize(&mut self.others, slots);
        resize(&mut self.at, if shape.latent { 0 } else { slots });
        resize(&mut self.enter, if shape.latent { 0 } else { slots });
        self.first.clear();
        self.lift.clear();
        let mut near = true;
        for strip in 0..strips {
            let span = if shape.latent {
                self.read_latent(network, person, strip)
            } else {
                self.read_open(network, person, strip)
            };
            near &= span < NEAR;
        }
        near
    }

    /// Where the window does not depend on τ.
    #[inline(always)]
    fn read_latent(&mut self, network: &Network, person: usize, strip: usize) -> f64 {
        let slots = network.slots_of(person..person + 1);
        let inside = self.windows.inside(strip);
        let between = &mut self.between[strip * (slots.len() + self.arcs.len())..];
        let leave = &mut self.leave[strip * slots.len()..];
        let mut first = [[1.0; QUAD]; Q];
        let mut span = 1.0;
        for (number, arc) in self.arcs.clone().enumerate() {
            let own = network.slots(arc);
            let slot = own.start - slots.start;
            let m = own.len();
            let message = &self.inbox[slot..][..m];
            let mut gain = [[0.0; QUAD]; Q];
            for ((contact, &stamp), &escape) in
                message.iter().zip(&network.stamp[own.clone()]).zip(&network.escape[own]).rev()
            {
                gain = gained(gain, &inside[self.epoch[stamp as usize - 1]], contact.gain, escape);
            }
            let spared = &self.spared[slot + number..][..m + 1];
            let between = &mut between[slot + number..][..m + 1];
            let mut value = message_value(1.0, &gain);
            for q in 0..Q {
                for l in 0..QUAD {
                    first[q][l] *= value[q][l];
                }
            }
            // The first values are the largest, the last the least.
            let most = value.as_flattened().iter().fold(1.0, |most, &value| f64::max(most, value));
            for c in 0..=m {
                for q in 0..Q {
                    for l in 0..QUAD {
                        between[c][q][l] = 1.0 / value[q][l];
                    }
                }
                if c < m {
                    value = message_value(spared[c + 1], &gain);
                    for q in 0..Q {
                        for l in 0..QUAD {
                            leave[slot + c][q][l] = value[q][l] * between[c][q][l];
                        }
                    }
                }
            }
            let least = value.as_flattened().iter().fold(1.0, |least, &value| f64::min(least, value));
            span *= f64::max(most, 1.0 / least);
        }
        self.first.push(first);
        span
    }

    /// Where the window begins with infection.
    #[inline(always)]
    fn read_open(&mut self, network: &Network, person: usize, strip: usize) -> f64 {
        let slots = network.slots_of(person..person + 1);
        let inside = self.windows.inside(strip);
        let between = &mut self.between[strip * (slots.len() + self.arcs.len())..];
        let rows = strip * slots.len()..(strip + 1) * slots.len();
        let (at, enter) = (&mut self.at[rows.clone()], &mut self.enter[rows.clone()]);
        let leave = &mut self.leave[rows];
        let mut first = [[1.0; QUAD]; Q];
        let mut span = 1.0;
        for (number, arc) in self.arcs.clone().enumerate() {
            let own = network.slots(arc);
            let slot = own.start - slots.start;
            let m = own.len();
            let message = &self.inbox[slot..][..m];
            let (stamp, escape) = (&network.stamp[own.clone()], &network.escape[own]);
            let spared = &self.spared[slot + number..][..m + 1];
            let between = &mut between[slot + number..][..m + 1];
            let mut gain = [[0.0; QUAD]; Q];
            let mut later = message_value(spared[m], &gain);
            let (mut most, mut least) = ([[1.0f64; QUAD]; Q], later);
            for q in 0..Q {
                for l in 0..QUAD {
                    between[m][q][l] = 1.0 / later[q][l];
                }
            }
            for c in (0..m).rev() {
                let here = message_value(spared[c], &gain);
                gain = gained(gain, &inside[self.epoch[stamp[c] as usize - 1]], message[c].gain, escape[c]);
                let before = message_value(spared[c], &gain);
                for q in 0..Q {
                    for l in 0..QUAD {
                        at[slot + c][q][l] = 1.0 / here[q][l];
                        between[c][q][l] = 1.0 / before[q][l];
                        enter[slot + c][q][l] = here[q][l] * between[c][q][l];
                        leave[slot + c][q][l] = later[q][l] * at[slot + c][q][l];
                        most[q][l] = most[q][l].max(here[q][l]).max(before[q][l]);
                        least[q][l] = least[q][l].min(here[q][l]).min(before[q][l]);
                    }
                }
                later = before;
            }
            let (mut largest, mut smallest) = (1.0f64, 1.0f64);
            for q in 0..Q {
                for l in 0..QUAD {
                    first[q][l] *= later[q][l];
                    largest = largest.max(most[q][l]);
                    smallest = smallest.min(least[q][l]);
                }
            }
            span *= largest.max(1.0 / smallest);
        }
        self.first.push(first);
        span
    }
}

/// `Σ gain[p] Π q[r]` over the contacts of a window, with one contact more before them.
#[inline(always)]
fn gained<const Q: usize>(mut gain: Row<Q>, inside: &Row<Q>, own: f64, escape: f64) -> Row<Q> {
    for q in 0..Q {
        for l in 0..QUAD {
            gain[q][l] = inside[q][l] * (own + escape * gain[q][l]) + (1.0 - inside[q][l]) * gain[q][l];
        }
    }
    gain
}

/// `M = spared + gain`.
#[inline(always)]
fn message_value<const Q: usize>(spared: f64, gain: &Row<Q>) -> Row<Q> {
    let least = spared * LEAST;
    let mut value = *gain;
    for quad in &mut value {
        for value in quad {
            *value = (spared + *value).max(least);
        }
    }
    value
}
