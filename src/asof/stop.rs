//! A wish to stop, from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::Error;

/// A flag that somebody else raises when a model's run is no longer wanted. The default is never raised.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    flag: Option<Arc<AtomicBool>>,
    grace: Duration,
    /// When the flag was first seen raised.
    seen: Arc<OnceLock<Instant>>,
}

impl Stop {
    /// Stops when `flag` becomes true.
    pub fn when(flag: Arc<AtomicBool>) -> Stop {
        Stop { flag: Some(flag), ..Stop::default() }
    }

    /// Stops so long after the flag was first seen true: what takes less is still done.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Stop {
        Stop { grace, ..self }
    }

    /// True once the flag is.
    pub fn signalled(&self) -> bool {
        let signalled = self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed));
        if signalled {
            self.seen.get_or_init(Instant::now);
        }
        signalled
    }

    /// True once it is time to stop.
    pub fn raised(&self) -> bool {
        self.signalled() && (self.grace.is_zero() || self.seen.get().is_some_and(|seen| seen.elapsed() >= self.grace))
    }

    /// Looks whether to go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once it is time to stop.
    pub fn check(&self) -> Result<(), Error> {
        if self.raised() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_less_than_the_grace_is_done() {
        let flag = Arc::new(AtomicBool::new(false));
        let at_once = Stop::when(Arc::clone(&flag));
        let later = at_once.clone().with_grace(Duration::from_millis(30));
        assert!(!at_once.raised() && !later.raised() && !Stop::default().raised());
        flag.store(true, Ordering::Relaxed);
        assert!(at_once.raised() && later.signalled());
        while !later.clone().raised() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(later.seen.get().unwrap().elapsed() >= Duration::from_millis(30));
    }
}
