//! Panoptic quality (Kirillov et al., CVPR 2019): how well the objects of a class are found and outlined.
//!
//! In a frame a found segment and a true one of the same class match if their intersection over union is above 0.5.
//! PQ = Σ IoU of the matches / (matches + half of the found segments without a match + half of the true ones).
//! Segments are a class's objects where truth and prediction both number objects of that class, else all of its points in the frame.
//! As in SemanticKITTI's benchmark points without a true class are left out, and unmatched segments of fewer than 50 points
//! count on neither side.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use thalweg::Segmentation;

/// Points of the smallest segment that counts as missed or as made up.
pub(super) const FEWEST: u64 = 50;

/// Matches and misses of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// Sum of the IoU of the matches.
    iou: f64,
    matched: u64,
    /// Found segments, and true ones, without a match.
    unmatched: u64,
}

impl Quality {
    /// Panoptic quality, 0 to 1; `None` where neither truth nor prediction has a segment.
    pub fn value(&self) -> Option<f64> {
        let all = self.matched as f64 + self.unmatched as f64 / 2.0;
        (all > 0.0).then(|| self.iou / all)
    }
}

/// The segments of all frames so far.
#[derive(Debug, Default)]
pub struct Panoptic {
    /// By class: its points as objects, and as one segment a frame.
    classes: BTreeMap<u8, [Quality; 2]>,
    /// Classes of which the truth numbers objects, and those of which the prediction does.
    numbered: [BTreeSet<u8>; 2],
}

/// A segment of a frame: its class and number.
type Segment = (u8, u32);

impl Panoptic {
    /// Adds a frame with its truth; `known` are the classes that count.
    pub fn add(&mut self, item: &Segmentation, known: impl Fn(u8) -> bool) {
        let Some(truth) = &item.frame.truth else { return };
        for (as_one, number) in [(false, u32::MAX), (true, 0)] {
            let (mut found, mut true_, mut both) = (HashMap::new(), HashMap::new(), HashMap::new());
            for (i, (&class, &guess)) in truth.class.iter().zip(&item.class).enumerate() {
                if !known(class) {
                    continue;
                }
                let of = |class: u8, instance: &[u32]| (class, instance.get(i).copied().unwrap_or(0) & number);
                let (true_segment, found_segment) = (of(class, &truth.instance), of(guess, &item.instance));
                *true_.entry(true_segment).or_insert(0u64) += 1;
                for (numbered, (class, object)) in self.numbered.iter_mut().zip([true_segment, found_segment]) {
                    if object != 0 {
                        numbered.insert(class);
                    }
                }
                if guess != 0 {
                    *found.entry(found_segment).or_insert(0u64) += 1;
                    if guess == class {
                        *both.entry((true_segment, found_segment)).or_insert(0u64) += 1;
                    }
                }
            }
            self.settle(usize::from(as_one), &found, &true_, &both);
        }
    }

    fn settle(
        &mut self,
        way: usize,
        found: &HashMap<Segment, u64>,
        true_: &HashMap<Segment, u64>,
        both: &HashMap<(Segment, Segment), u64>,
    ) {
        // Above one half a segment matches one other at most, so the order of the table does not matter; sums do.
        let mut matches: Vec<_> = both
            .iter()
            .filter_map(|(&(t, f), &n)| {
                let iou = n as f64 / (true_[&t] + found[&f] - n) as f64;
                (iou > 0.5).then_some((t, f, iou))
            })
            .collect();
        matches.sort_by_key(|(t, ..)| *t);
        let (mut true_left, mut found_left) = (true_.clone(), found.clone());
        for (t, f, iou) in matches {
            true_left.remove(&t);
            found_left.remove(&f);
            let quality = &mut self.classes.entry(t.0).or_default()[way];
            quality.matched += 1;
            quality.iou += iou;
        }
        for (segment, points) in true_left.into_iter().chain(found_left) {
            if points >= FEWEST {
                self.classes.entry(segment.0).or_default()[way].unmatched += 1;
            }
        }
    }

    /// The quality of a class.
    pub fn of(&self, class: u8) -> Option<f64> {
        let way = usize::from(!self.has_objects(class));
        self.classes.get(&class).and_then(|ways| ways[way].value())
    }

    /// True if truth and prediction both number objects of a class.
    pub fn has_objects(&self, class: u8) -> bool {
        self.numbered.iter().all(|numbered| numbered.contains(&class))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use thalweg::{Classes, Frame, Truth};

    use super::*;

    /// A frame of points `(true class, true object, class, object)`, each `n` times.
    fn frame(points: &[(u8, u32, u8, u32, usize)]) -> Segmentation {
        let rows: Vec<_> = points.iter().flat_map(|p| std::iter::repeat_n(*p, p.4)).collect();
        let column = |of: fn(&(u8, u32, u8, u32, usize)) -> u32| rows.iter().map(of).collect::<Vec<u32>>();
        let class = |v: Vec<u32>| v.into_iter().map(|c| c as u8).collect::<Vec<u8>>();
        let truth = Truth { class: class(column(|r| r.0.into())), instance: column(|r| r.1) };
        let zeros = vec![0.0; rows.len()];
        let frame =
            Frame { x: zeros.clone(), y: zeros.clone(), z: zeros.clone(), truth: Some(truth), ..Frame::default() };
        Segmentation {
            frame: Arc::new(frame),
            class: class(column(|r| r.2.into())),
            confidence: zeros,
            instance: column(|r| r.3),
            classes: Arc::new(Classes::new([(1, "car".into()), (9, "road".into())])),
        }
    }

    #[test]
    fn matches_are_weighed_by_their_overlap_and_misses_by_half() {
        let mut panoptic = Panoptic::default();
        // A car found to three quarters (IoU 0.75), one missed, one made up of road, and road with IoU 100 / 260.
        panoptic.add(
            &frame(&[
                (1, 7, 1, 1, 75),
                (1, 7, 9, 0, 25),
                (1, 8, 9, 0, 60),
                (9, 0, 1, 2, 75),
                (9, 0, 9, 0, 100),
                (0, 0, 1, 3, 99),
            ]),
            |class| class != 0,
        );
        assert_eq!(panoptic.of(1), Some(0.75 / 2.0));
        assert_eq!(panoptic.of(9), Some(0.0));
        assert!(panoptic.has_objects(1) && !panoptic.has_objects(9));
        assert_eq!(panoptic.of(2), None);
    }

    #[test]
    fn small_segments_without_a_match_do_not_count() {
        let mut panoptic = Panoptic::default();
        panoptic.add(&frame(&[(1, 1, 1, 4, 60), (1, 2, 9, 0, 49), (9, 0, 9, 0, 500)]), |class| class != 0);
        assert_eq!(panoptic.of(1), Some(1.0));
        assert_eq!(panoptic.of(9), Some(500.0 / 549.0));
    }
}
