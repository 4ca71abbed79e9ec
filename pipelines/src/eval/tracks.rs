//! How well objects keep their numbers over frames, against a truth that numbers objects over a drive.
//!
//! A true object of [`FEWEST`] points or more has the number that most of its points have. It counts where it has one in a frame and in
//! the labelled frame before: as kept if both are the same, else as a switch.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use thalweg::Segmentation;

use super::panoptic::FEWEST;

/// A true object: its class and number.
type Object = (u8, u32);

/// What became of the numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kept {
    /// True objects that were found in a frame and the one before.
    pub tracks: u64,
    /// How often that was, over all of them.
    pub pairs: u64,
    /// Share of these where the number was the same.
    pub kept: f64,
    /// How often a number changed, a track.
    pub switches: f64,
}

/// The numbers of all frames so far.
#[derive(Debug, Default)]
pub struct Tracks {
    last: HashMap<Object, u32>,
    /// By object: pairs, and those that kept their number.
    tracks: BTreeMap<Object, [u64; 2]>,
}

impl Tracks {
    /// Adds a frame with its truth.
    pub fn add(&mut self, item: &Segmentation) {
        let Some(truth) = &item.frame.truth else { return };
        let mut points: HashMap<Object, BTreeMap<u32, u64>> = HashMap::new();
        for ((&class, &object), &number) in truth.class.iter().zip(&truth.instance).zip(&item.instance) {
            if object != 0 {
                *points.entry((class, object)).or_default().entry(number).or_default() += 1;
            }
        }
        let most = |(object, numbers): (Object, BTreeMap<u32, u64>)| {
            let (number, _) = numbers.iter().max_by_key(|(_, points)| **points)?;
            (*number != 0 && numbers.values().sum::<u64>() >= FEWEST).then_some((object, *number))
        };
        let found: HashMap<Object, u32> = points.into_iter().filter_map(most).collect();
        for (object, number) in &found {
            if let Some(before) = self.last.get(object) {
                let [pairs, kept] = self.tracks.entry(*object).or_default();
                *pairs += 1;
                *kept += u64::from(before == number);
            }
        }
        self.last = found;
    }

    /// What became of them; `None` where no object was found twice.
    pub fn kept(&self) -> Option<Kept> {
        let sum = |of: usize| self.tracks.values().map(|track| track[of]).sum::<u64>();
        let (tracks, pairs, kept) = (self.tracks.len() as u64, sum(0), sum(1));
        let share = |n: u64, of: u64| n as f64 / of as f64;
        (pairs > 0).then(|| Kept { tracks, pairs, kept: share(kept, pairs), switches: share(pairs - kept, tracks) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use thalweg::{Classes, Frame, Truth};

    use super::*;

    /// A frame of points `(true class, true object, number)`, each `n` times.
    fn frame(points: &[(u8, u32, u32, usize)]) -> Segmentation {
        let rows: Vec<_> = points.iter().flat_map(|p| std::iter::repeat_n(*p, p.3)).collect();
        let (class, instance) = rows.iter().map(|row| (row.0, row.1)).unzip();
        Segmentation {
            frame: Arc::new(Frame { truth: Some(Truth { class, instance }), ..Frame::default() }),
            class: Vec::new(),
            confidence: Vec::new(),
            instance: rows.iter().map(|row| row.2).collect(),
            classes: Arc::new(Classes::new([])),
        }
    }

    #[test]
    fn what_is_found_twice_keeps_its_number_or_switches() {
        let mut tracks = Tracks::default();
        assert_eq!(tracks.kept(), None);
        // A car that keeps its number and is then lost, one that switches, one of too few points; what has no true number.
        tracks.add(&frame(&[(1, 1, 7, 60), (1, 1, 8, 40), (1, 2, 9, 50), (1, 3, 4, 49), (9, 0, 0, 99)]));
        tracks.add(&frame(&[(1, 1, 7, 60), (1, 2, 3, 50), (1, 3, 4, 49), (2, 1, 5, 70)]));
        tracks.add(&frame(&[(1, 1, 7, 60), (1, 1, 0, 61), (1, 2, 3, 50), (9, 0, 0, 99)]));
        let kept = Kept { tracks: 2, pairs: 3, kept: 2.0 / 3.0, switches: 0.5 };
        assert_eq!(tracks.kept(), Some(kept));
    }
}
