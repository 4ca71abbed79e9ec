//! What a neighbour says to a person: two numbers for every contact of theirs, and how the person reads them.
//!
//! For a neighbour j of i with contacts p = 0..m, escaped with probability `q[p]`: `infects[p]` is the probability that j, whom i does
//! not infect, would infect i at p and not before; `gain[p]` is `1 - q[p]` times the relative gain of the likelihood of all that is
//! known beyond j if i infects j at p. The message is a function of i's history through the number c of contacts before i's infection and
//! the contacts x..y inside i's infectious window, c ≤ x:
//!
//! `M(c, x, y) = 1 - Σ_{p<c} infects[p] + Σ_{x≤p<y} gain[p] · Π_{x≤r<p} q[r]`
//!
//! It follows from summing the history of j out: j infected before x sees no window, and each later one either escapes the window's
//! first contacts or is infected by one of them. So a message is linear in the contacts of its pair, and exact.

/// One contact of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Message {
    /// Probability that the sender infects the receiver at this contact first.
    pub infects: f64,
    /// Relative gain of the sender's likelihood if the receiver infects it at this contact.
    pub gain: f64,
}

/// Least value that a message takes.
pub(super) const LEAST: f64 = 1e-48;

/// A message's largest value, about: 1 where it cannot win from a window.
fn largest(message: &[Message], escape: &[f64]) -> f64 {
    let mut gain = 0.0;
    let mut largest: f64 = 0.0;
    for (contact, q) in message.iter().zip(escape).rev() {
        gain = contact.gain + q * gain;
        largest = largest.max(gain);
    }
    1.0 + largest
}

/// Mixes `damping` of the `old` message into the `new` one, both scaled to a largest value of 1; `older` is the one before the old. Gives the
/// change before the mixing, infinite if it is no number, and whether it turned back.
pub(super) fn damp(
    new: &mut [Message],
    old: &[Message],
    older: &[Message],
    escape: &[f64],
    damping: f64,
) -> (f64, bool) {
    let (largest_new, largest_old) = (largest(new, escape), largest(old, escape));
    let scale = largest_new.max(largest_old);
    let (weight_new, weight_old) = ((1.0 - damping) / largest_new, damping / largest_old);
    let keep = weight_old / (weight_new + weight_old);
    let mut change: f64 = 0.0;
    let mut along = 0.0;
    for ((new, old), older) in new.iter_mut().zip(old).zip(older) {
        let (infects, gain) = (old.infects - new.infects, old.gain - new.gain);
        change = change.max(infects.abs()).max(gain.abs() / scale);
        along += (older.infects - old.infects) * infects + (older.gain - old.gain) * gain / (scale * scale);
        if damping > 0.0 {
            new.infects += keep * infects;
            new.gain += keep * gain;
        }
    }
    let numbers = new.iter().all(|contact| contact.infects.is_finite() && contact.gain.is_finite());
    (if numbers { change } else { f64::INFINITY }, along < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_no_number_has_not_come_to_rest() {
        let old = [Message { infects: 0.5, gain: 0.1 }; 2];
        for bad in [f64::NAN, f64::INFINITY] {
            let mut new = [old[0], Message { infects: 0.5, gain: bad }];
            assert_eq!(damp(&mut new, &old, &old, &[0.5; 2], 0.0).0, f64::INFINITY);
        }
        assert_eq!(damp(&mut old.clone(), &old, &old, &[0.5; 2], 0.0).0, 0.0);
    }
}
