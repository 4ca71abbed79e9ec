//! What a service tells of itself: one record a pipeline, from which `/status`, `/metrics` and `top` are made.

use std::collections::BTreeMap;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thalweg::report::{Latency, Stats};
use thalweg_connectors::Notices;

use crate::written::Written;
use crate::{finish, logs};

/// How a pipeline of a service stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its input and output are being opened.
    #[default]
    Starting,
    /// It runs.
    Running,
    /// It has failed and waits to go on from its last checkpoint.
    Restarting,
    /// Its input has ended.
    Done,
    /// It was asked to end, and has.
    Stopped,
    /// It has failed for good.
    Failed,
}

impl Status {
    /// All of them, as they are called outside.
    pub const ALL: [(Status, &'static str); 6] = [
        (Status::Starting, "starting"),
        (Status::Running, "running"),
        (Status::Restarting, "restarting"),
        (Status::Done, "done"),
        (Status::Stopped, "stopped"),
        (Status::Failed, "failed"),
    ];

    /// What it is called outside.
    pub fn name(self) -> &'static str {
        Status::ALL.iter().find(|(status, _)| *status == self).map_or("", |(_, name)| name)
    }
}

/// The newest checkpoint of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointFile {
    /// Since it was made (s).
    pub age_seconds: f64,
    /// Its size.
    pub bytes: u64,
}

/// The figures of one pipeline, counted from its last start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// What the configuration calls it.
    pub name: String,
    /// Which pipeline it is.
    pub pipeline: String,
    /// How it stands.
    pub status: Status,
    /// Its last error.
    pub error: Option<String>,
    /// How often it was started again.
    pub restarts: u64,
    /// What it has done.
    #[serde(flatten)]
    pub done: Done,
    /// The newest checkpoint, if there is one.
    pub checkpoint: Option<CheckpointFile>,
}

/// What a pipeline has done since its last start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Frames or rows read.
    pub read: u64,
    /// Rows written.
    pub rows: u64,
    /// Epochs closed.
    pub epochs: u64,
    /// Epochs read and not yet handed to the sink.
    pub in_flight: u64,
    /// How long the oldest of these has waited (s).
    pub lag_seconds: f64,
    /// What was left out, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Time a stage (ms).
    pub latency: BTreeMap<String, Latency>,
    /// Memory of the process that reads and writes, for a pipeline in processes of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_bytes: Option<u64>,
}

/// Where a run counts.
#[derive(Clone)]
pub struct Counters {
    /// Epochs, drops and times.
    pub stats: Arc<Stats>,
    /// What was read and written.
    pub written: Arc<Written>,
    /// What its readers said.
    pub notices: Notices,
}

impl Counters {
    /// The figures so far.
    pub fn done(&self) -> Done {
        let Counters { stats, written, notices } = self;
        let report = stats.report(0.0);
        let dropped = finish::dropped_so_far(stats, notices, written);
        Done {
            read: written.read(),
            rows: logs::rows(&written.counts(), &report),
            epochs: stats.epochs_closed(),
            in_flight: stats.in_flight(),
            lag_seconds: stats.lag().as_secs_f64(),
            dropped: dropped.into_iter().map(|(reason, dropped)| (reason, dropped.count)).collect(),
            latency: report.latency,
            leader_bytes: None,
        }
    }
}

/// Memory of this process, as Linux tells it.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The figures of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// Of the program.
    pub version: String,
    /// Since it began (s).
    pub uptime_seconds: f64,
    /// Memory that the process has; `None` where the system does not say.
    pub resident_bytes: Option<u64>,
    /// One for each pipeline.
    pub pipelines: Vec<Figures>,
}
