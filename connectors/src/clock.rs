//! Event time of one input: the latest so far, and stamps that leap ahead of it.

/// A wild stamp is left out; a second one beside it says that time has gone on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// The latest time (ns) that was not left out.
    pub(crate) newest: Option<i64>,
    /// That of the item before, if it was left out.
    doubted: Option<i64>,
}

impl Clock {
    /// A clock that stands at a time (ns).
    pub(crate) fn at(newest: Option<i64>) -> Clock {
        Clock { newest, doubted: None }
    }

    /// Takes the time (ns) of the next item. `true` if the item is to be left out: it is further than `ahead` (ns) after all before it, and the
    /// one before was not, or lies further than that from it.
    pub(crate) fn leaps(&mut self, t: i64, ahead: Option<i64>) -> bool {
        if let Some((ahead, newest)) = ahead.zip(self.newest)
            && t.saturating_sub(newest) > ahead
        {
            let before = self.doubted.replace(t);
            if before.is_none_or(|before| t.abs_diff(before) > ahead.unsigned_abs()) {
                return true;
            }
        }
        self.doubted = None;
        self.newest = self.newest.max(Some(t));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_stamp_is_left_out_and_a_second_beside_it_is_believed() {
        let mut clock = Clock::default();
        let left_out: Vec<bool> =
            [5, 7, 1000, 8, 2000, 900, 905, 6, 910].map(|t| clock.leaps(t, Some(10))).into_iter().collect();
        assert_eq!(left_out, [false, false, true, false, true, true, false, false, false]);
        assert_eq!(clock.newest, Some(910));
        assert!(!clock.leaps(i64::MAX, None) && !Clock::at(Some(i64::MAX)).leaps(i64::MIN, Some(0)));
    }
}
