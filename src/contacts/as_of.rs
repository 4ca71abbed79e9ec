//! Which as-of times a run gives: one, every so often, or the last record's.

/// The rule, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// The time of the last live row.
    Last,
    /// This time.
    At(i64),
    /// The multiples of this (positive), from the first at or after the first row to the first at or after the last.
    Every(i64),
}

impl AsOf {
    /// The as-of times of rows whose stamps run from `first` to `last`, ascending.
    pub fn times(self, first: i64, last: i64) -> impl Iterator<Item = i64> {
        let (from, to, step) = match self {
            AsOf::Last => (last, last, 1),
            AsOf::At(t) => (t, t, 1),
            AsOf::Every(step) => (multiple(first, step), multiple(last, step), step),
        };
        std::iter::successors(Some(from), move |t| t.checked_add(step)).take_while(move |t| *t <= to)
    }

    /// True if a row at `t`, after rows up to `last`, leaves an as-of time behind it.
    pub fn passed(self, last: i64, t: i64) -> bool {
        match self {
            AsOf::Last => false,
            AsOf::At(at) => last <= at && at < t,
            AsOf::Every(step) => multiple(last, step) < t,
        }
    }
}

/// The first multiple of `step` at or after `t`; at the end of time, the last one there is.
fn multiple(t: i64, step: i64) -> i64 {
    let below = t.div_euclid(step) * step;
    if below == t { t } else { below.checked_add(step).unwrap_or(below) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_takes_the_multiples_around_the_rows() {
        let every = |first, last| AsOf::Every(10).times(first, last).collect::<Vec<_>>();
        assert_eq!(every(1, 30), [10, 20, 30]);
        assert_eq!(every(10, 31), [10, 20, 30, 40]);
        assert_eq!(every(-5, -5), [0]);
        assert_eq!(every(-10, -9), [-10, 0]);
        assert!(!every(i64::MAX - 1, i64::MAX).is_empty());
        assert_eq!(AsOf::Last.times(1, 30).collect::<Vec<_>>(), [30]);
        assert_eq!(AsOf::At(7).times(10, 30).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn an_as_of_time_is_passed_by_the_first_row_after_it() {
        assert!(!AsOf::Every(10).passed(1, 10) && AsOf::Every(10).passed(1, 11) && !AsOf::Every(10).passed(11, 20));
        assert!(AsOf::At(7).passed(7, 8) && !AsOf::At(7).passed(8, 9) && !AsOf::At(7).passed(6, 7));
    }
}
