//! Several processes that run one plan.
//!
//! Every process makes the same plan and installs it on its workers. Process 0 leads: its sources read and its sinks write, so all that must
//! survive a crash stands in one place. It deals epochs out to all workers in turn. Messages between stages travel by timely's own protocol,
//! as columns ([`crate::Portable`]). A second connection, of each process with the leader, carries what the dataflow does not: items from the
//! sources, how many epochs there were, errors, counters.
//!
//! - `meet`: how processes find each other, and make sure of it;
//! - `link`: what goes over the second connection.

mod link;
mod meet;

pub(crate) use link::{Ear, News, Order, Post, Told};
pub(crate) use meet::{Met, meet};

use std::sync::Once;
use std::time::Duration;

use crate::Error;

/// The processes of a run, and which of them this one is. All of them must be given the same.
///
/// ```
/// use thalweg::cluster::Cluster;
///
/// let addresses = vec!["127.0.0.1:7001".to_string(), "127.0.0.1:7002".to_string()];
/// assert!(Cluster::new(addresses.clone(), 1, b"secret".to_vec()).is_ok());
/// assert!(Cluster::new(addresses, 2, Vec::new()).is_err());
/// ```
#[derive(Clone)]
pub struct Cluster {
    /// `host:port` of each process, on which it listens.
    pub(crate) addresses: Vec<String>,
    pub(crate) process: usize,
    pub(crate) secret: Vec<u8>,
    /// What must be the same in all processes beside the plan, such as the settings that it was made of.
    pub(crate) settings: String,
    pub(crate) patience: Duration,
}

/// The leader's number.
const LEADER: usize = 0;

impl Cluster {
    /// Process `process` of those at `addresses`. Whoever does not know `secret` is not let in; it may be empty.
    ///
    /// # Errors
    /// No address, or a process that is none of them.
    pub fn new(addresses: Vec<String>, process: usize, secret: Vec<u8>) -> Result<Cluster, Error> {
        if process >= addresses.len() {
            let expected = match addresses.len() {
                0 => "addresses of processes".to_string(),
                count => format!("0 to {}: there are {count} addresses", count - 1),
            };
            return Err(Error::Value { what: "process", found: process.to_string(), expected });
        }
        let patience = Duration::from_secs(30);
        Ok(Cluster { addresses, process, secret, settings: String::new(), patience })
    }

    /// Refuses processes with other settings than these.
    #[must_use]
    pub fn with_settings(self, settings: impl Into<String>) -> Cluster {
        Cluster { settings: settings.into(), ..self }
    }

    /// How long to wait for the others [default: 30 s].
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Cluster {
        Cluster { patience, ..self }
    }

    /// True for the process that reads and writes.
    pub fn leads(&self) -> bool {
        self.process == LEADER
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.addresses.len()
    }
}

/// Makes the process's panic hook pass over panics of timely's network, which is how it says that another process has gone: the run says so
/// as its error. All other panics go to the hook that was there. A program calls this where it begins.
pub fn quiet_network_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let network = |name: &str| name.starts_with("timely:send") || name.starts_with("timely:recv");
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
            let gone = text.is_some_and(|text| text.contains("MergeQueue"));
            if !std::thread::current().name().is_some_and(network) && !gone {
                before(info);
            }
        }));
    });
}
