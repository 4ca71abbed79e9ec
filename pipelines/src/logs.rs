//! Log lines on stderr: what a run says where nobody sits at a terminal.
//!
//! `THALWEG_LOG`, else `RUST_LOG`, says how much: a level (`off`, `error`, `warn`, `info`, `debug`), or `TARGET=LEVEL,...`. With
//! `THALWEG_LOG_FORMAT=json` a line is a JSON object.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use thalweg::Report;
use thalweg::report::Stats;
use thalweg_connectors::Notices;
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use crate::failure::Failure;
use crate::finish;
use crate::settings::Settings;
use crate::written::{Counts, Written};

/// How often a run is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks without anything new, and a followed input counts as caught up with.
const QUIET: u32 = 2;
/// The least time between two lines about drops of one reason.
const PAUSE: Duration = Duration::from_secs(60);

/// How much a run says where it is not told: one that goes on for long says what it does, unless somebody watches its progress.
pub fn usual(settings: &Settings) -> LevelFilter {
    let long = settings.follow || settings.looped || settings.checkpoint.is_some();
    // Of several processes the leader says what there is to say.
    let follows = settings.process.is_some_and(|process| process > 0);
    if long && !follows && !std::io::stderr().is_terminal() { LevelFilter::INFO } else { LevelFilter::OFF }
}

/// How much a process of a service's pipeline says where it is not told: the leader as much as the service.
pub fn of_service(settings: &Settings) -> LevelFilter {
    if settings.process.is_some_and(|process| process > 0) { LevelFilter::OFF } else { LevelFilter::INFO }
}

/// Turns log lines on.
///
/// # Errors
/// A level or a format that there is not (exit 78).
pub fn begin(usual: LevelFilter) -> Result<(), Failure> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let wanted = match set("THALWEG_LOG") {
        Some(text) => text.parse::<Targets>().map_err(|error| {
            let expected = "a level (off, error, warn, info, debug, trace) or TARGET=LEVEL,...";
            Failure::config(format!("THALWEG_LOG: found {text} ({error}), expected {expected}"))
        })?,
        // Meant for every program: one that reads nothing out of it takes its usual level.
        None => {
            set("RUST_LOG").and_then(|text| text.parse().ok()).unwrap_or_else(|| Targets::new().with_default(usual))
        }
    };
    // A reader of stderr that has gone must not end the run.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(wanted);
    // A second call, as in a test of the library, changes nothing.
    let _ = match set("THALWEG_LOG_FORMAT").as_deref() {
        None | Some("text") => tracing::subscriber::set_global_default(registry.with(lines.with_target(false))),
        Some("json") => tracing::subscriber::set_global_default(registry.with(lines.json())),
        Some(other) => {
            return Err(Failure::config(format!("THALWEG_LOG_FORMAT: found {other}, expected text or json")));
        }
    };
    Ok(())
}

/// Says that a run begins.
pub fn started(pipeline: &str, settings: &Settings) {
    let input: Vec<_> = settings.reads().iter().map(|(_, path)| path.display().to_string()).collect();
    let input = if input.is_empty() { settings.input.join(", ") } else { input.join(", ") };
    let (output, workers) = (settings.output.as_deref().unwrap_or_default(), settings.workers);
    info!(pipeline, %input, output, workers, "started");
}

/// Says that a run has ended well; `asked` is whether it was asked to, and did not come to the end of its input.
pub fn ended(report: &Report, written: &Written, asked: bool) {
    let (read, rows) = (written.read(), rows(&written.counts(), report));
    let (seconds, dropped) = (report.seconds, report.dropped.values().sum::<u64>());
    let why = if asked { "asked to" } else { "the input has ended" };
    info!(read, rows, dropped, seconds, why, "ended");
}

/// Rows written: those counted on the way, or the edges where rows are edges.
pub fn rows(counts: &Counts, report: &Report) -> u64 {
    if counts.rows > 0 { counts.rows } else { report.edges }
}

/// Says in log lines how a run goes on, until it is dropped.
pub struct Watch {
    /// The thread ends when this goes.
    _alive: Sender<()>,
}

impl Watch {
    /// Looks at a run's counters every second. `follow` is whether its input may be caught up with.
    ///
    /// # Errors
    /// A thread that cannot be started (exit 1).
    pub fn begin(stats: Arc<Stats>, written: Arc<Written>, notices: Notices, follow: bool) -> Result<Watch, Failure> {
        let (alive, gone) = channel();
        let mut looked = Looked { stats, written, notices, follow, read: 0, quiet: 0, dropped: BTreeMap::new() };
        let span = tracing::Span::current();
        let body = move || {
            let _in = span.enter();
            while gone.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                looked.look();
            }
        };
        std::thread::Builder::new().name("log".into()).spawn(body).map_err(Failure::run)?;
        Ok(Watch { _alive: alive })
    }
}

/// What was seen last.
struct Looked {
    stats: Arc<Stats>,
    written: Arc<Written>,
    notices: Notices,
    follow: bool,
    read: u64,
    quiet: u32,
    /// By reason, the count that was said last, and when.
    dropped: BTreeMap<String, (u64, Instant)>,
}

impl Looked {
    fn look(&mut self) {
        let read = self.written.read();
        let resting = read == self.read && self.stats.in_flight() == 0;
        self.quiet = if resting { self.quiet.saturating_add(1) } else { 0 };
        self.read = read;
        if self.follow && self.quiet == QUIET {
            let rows = rows(&self.written.counts(), &self.stats.report(0.0));
            info!(read, rows, "caught up");
        }
        let now = Instant::now();
        for (reason, dropped) in finish::dropped_so_far(&self.stats, &self.notices, &self.written) {
            let due = |(count, at): &(u64, Instant)| *count < dropped.count && now.duration_since(*at) >= PAUSE;
            if self.dropped.get(&reason).is_none_or(due) {
                warn!(%reason, count = dropped.count, first = %dropped.first, "dropped");
                self.dropped.insert(reason, (dropped.count, now));
            }
        }
    }
}
