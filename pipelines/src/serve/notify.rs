//! What the service manager (systemd) is told: ready, stopping, and a sign of life as often as it asks for one.

use std::time::{Duration, Instant};

/// The manager's socket, if there is one.
pub struct Notifier {
    /// How often a sign of life is due, and when the last was given.
    every: Option<Duration>,
    last: Instant,
}

impl Notifier {
    /// As the environment says.
    pub fn new() -> Notifier {
        // Twice as often as asked for, as systemd recommends.
        Notifier { every: watchdog().map(|every| every / 2), last: Instant::now() }
    }

    /// The service has begun.
    pub fn ready(&self) {
        say("READY=1");
    }

    /// It ends.
    pub fn stopping(&self) {
        say("STOPPING=1");
    }

    /// A sign of life, if one is due.
    pub fn alive(&mut self) {
        if self.every.is_some_and(|every| self.last.elapsed() >= every) {
            self.last = Instant::now();
            say("WATCHDOG=1");
        }
    }
}

/// Says something; where nobody listens nothing happens.
#[cfg(unix)]
fn say(state: &str) {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Custom(state)]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

#[cfg(unix)]
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

#[cfg(not(unix))]
fn say(_: &str) {}

#[cfg(not(unix))]
fn watchdog() -> Option<Duration> {
    None
}
