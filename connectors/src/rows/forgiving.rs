//! Feeds whose errors do not end the run: what cannot be read is said, counted as `unreadable` and passed over, a part of a table where it has
//! parts, else the rest of it.

use thalweg::Next;

use super::feed::{Feed, FoundAt};
use super::ids::Ids;
use crate::error::Error;
use crate::notices::Notices;

/// Says and counts what is passed over; an option of the caller's that is wrong is not.
pub(super) fn pass_over(error: Error, notices: &Notices) -> Result<(), Error> {
    if matches!(error, Error::Value { .. }) {
        return Err(error);
    }
    notices.passed_over(&error);
    Ok(())
}

/// A feed that is passed over where it cannot be read.
pub(super) struct Forgiving<F> {
    feed: Box<dyn Feed<F>>,
    notices: Notices,
    ended: bool,
}

impl<F> Forgiving<F> {
    /// Passes over `feed` once it fails.
    pub(super) fn new(feed: Box<dyn Feed<F>>, notices: &Notices) -> Self {
        Forgiving { feed, notices: notices.clone(), ended: false }
    }
}

impl<F> Feed<F> for Forgiving<F> {
    fn next(&mut self, ids: &mut Ids) -> Result<Next<(F, i32)>, Error> {
        if self.ended {
            return Ok(Next::End);
        }
        self.feed.next(ids).or_else(|error| {
            self.ended = !self.feed.pass();
            pass_over(error, &self.notices).map(|()| if self.ended { Next::End } else { Next::Idle })
        })
    }

    fn name(&self) -> &str {
        self.feed.name()
    }

    fn found(&self) -> FoundAt {
        self.feed.found()
    }

    fn leave_out(&mut self, kind: &'static str, reason: &str) -> Result<(), Error> {
        self.feed.leave_out(kind, reason)
    }

    fn close(&mut self) {
        self.feed.close();
    }
}
