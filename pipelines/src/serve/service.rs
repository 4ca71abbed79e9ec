//! The pipelines of a service, each on a thread of its own by the code of `run`.
//!
//! One that fails and keeps checkpoints goes on from the last of them after a pause, which doubles from failure to failure. One without
//! checkpoints has failed for good, as has one whose settings are found wrong.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thalweg::Report;
use thalweg::report::Stats;
use thalweg_connectors::Notices;
use thalweg_connectors::out::checkpoint;
use tracing::{error, info_span, warn};

use super::config::Named;
use super::figures::{CheckpointFile, Figures, Overview, Status};
use crate::failure::Failure;
use crate::pipeline::Context;
use crate::written::Written;
use crate::{finish, logs};

/// The first pause before a restart, and the longest; a run that lasts as long begins with the first again.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// How often a pause looks whether the service ends.
const LOOK: Duration = Duration::from_millis(50);

/// All pipelines of a service.
pub struct Service {
    members: Vec<Arc<Member>>,
    drain: Arc<AtomicBool>,
    began: Instant,
}

/// A pipeline, and how it stands.
struct Member {
    named: Named,
    drain: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    status: Status,
    error: Option<String>,
    restarts: u64,
    /// The counters of its last start.
    run: Option<Counters>,
    /// Set where it failed although it was only to end.
    failed_while_draining: bool,
}

#[derive(Clone)]
struct Counters {
    stats: Arc<Stats>,
    written: Arc<Written>,
    notices: Notices,
}

impl Service {
    /// Pipelines that end when `drain` is set.
    pub fn new(pipelines: Vec<Named>, drain: Arc<AtomicBool>) -> Service {
        let member = |named| Arc::new(Member { named, drain: Arc::clone(&drain), state: Mutex::default() });
        Service { members: pipelines.into_iter().map(member).collect(), drain, began: Instant::now() }
    }

    /// Starts all of them.
    ///
    /// # Errors
    /// A thread that cannot be started (exit 1).
    pub fn begin(&self) -> Result<Vec<JoinHandle<()>>, Failure> {
        let start = |member: &Arc<Member>| {
            let (name, member) = (member.named.name.clone(), Arc::clone(member));
            std::thread::Builder::new().name(name).spawn(move || member.live()).map_err(Failure::run)
        };
        self.members.iter().map(start).collect()
    }

    /// True once it was asked to end.
    pub fn draining(&self) -> bool {
        self.drain.load(Ordering::Relaxed)
    }

    /// The names of those that have not come to an end.
    pub fn running(&self) -> Vec<String> {
        self.names(|state| matches!(state.status, Status::Starting | Status::Running | Status::Restarting))
    }

    /// The names of those that failed although they were only to end.
    pub fn failed_while_draining(&self) -> Vec<String> {
        self.names(|state| state.failed_while_draining)
    }

    fn names(&self, which: impl Fn(&State) -> bool) -> Vec<String> {
        self.members.iter().filter(|member| which(&member.lock())).map(|member| member.named.name.clone()).collect()
    }

    /// The figures at present.
    pub fn overview(&self) -> Overview {
        Overview {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_seconds: self.began.elapsed().as_secs_f64(),
            resident_bytes: resident_bytes(),
            pipelines: self.members.iter().map(|member| member.figures()).collect(),
        }
    }
}

impl Member {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs the pipeline to its end, again and again where it fails and can go on.
    fn live(self: &Arc<Member>) {
        let _in = info_span!("pipeline", name = %self.named.name).entered();
        let mut pause = PAUSE;
        loop {
            self.lock().status = Status::Starting;
            let began = Instant::now();
            let Err(failure) = self.run() else { return };
            if began.elapsed() >= LONGEST {
                pause = PAUSE;
            }
            let draining = self.drain.load(Ordering::Relaxed);
            let again = self.named.settings.checkpoint.is_some() && matches!(failure, Failure::Run(_)) && !draining;
            let status = if again { Status::Restarting } else { Status::Failed };
            {
                let mut state = self.lock();
                (state.status, state.error) = (status, Some(failure.to_string()));
                state.failed_while_draining = draining;
            }
            if !again {
                return error!(error = %failure, "failed");
            }
            error!(error = %failure, restart_seconds = pause.as_secs_f64(), "failed");
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if self.drain.load(Ordering::Relaxed) {
                    self.lock().status = Status::Stopped;
                    return;
                }
                std::thread::sleep(LOOK);
            }
            pause = (2 * pause).min(LONGEST);
            self.lock().restarts += 1;
        }
    }

    /// One start to its end. A panic is an error like others.
    fn run(self: &Arc<Member>) -> Result<(), Failure> {
        let Named { ready, settings, .. } = &self.named;
        let span = tracing::Span::current();
        let notices = Notices::spoken(move |text| span.in_scope(|| warn!("{text}")));
        let written = Arc::new(Written::default());
        let (member, counted, noted) = (Arc::clone(self), Arc::clone(&written), notices.clone());
        let (follow, said) = (settings.follow, RefCell::new(None));
        let watch = Box::new(move |stats: Arc<Stats>| {
            let (written, notices) = (Arc::clone(&counted), noted.clone());
            // Without a thread for them there are no such lines.
            *said.borrow_mut() = logs::Watch::begin(Arc::clone(&stats), written.clone(), notices.clone(), follow).ok();
            let mut state = member.lock();
            (state.run, state.status) = (Some(Counters { stats, written, notices }), Status::Running);
        });
        let context =
            Context { drain: Arc::clone(&self.drain), notices: notices.clone(), written, cluster: None, watch };
        logs::started(ready.name, settings);
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| {
            ready.run.with(&format!("run {}", ready.name), settings, &context)
        }));
        let mut report = ran.unwrap_or_else(|_| Err(Failure::run("the thread of the pipeline panicked")))?;
        finish::complete(&mut report, &notices);
        self.end(&report, &context.written);
        Ok(())
    }

    /// Says that it has ended, and how it stands from here on.
    fn end(&self, report: &Report, written: &Written) {
        let asked = self.drain.load(Ordering::Relaxed);
        for warning in &report.warnings {
            warn!("{warning}");
        }
        for (reason, count) in &report.dropped {
            let first = report.first_dropped.get(reason).map_or("", String::as_str);
            warn!(%reason, count, first, "dropped");
        }
        logs::ended(report, written, asked);
        self.lock().status = if asked { Status::Stopped } else { Status::Done };
    }

    fn figures(&self) -> Figures {
        let Named { name, ready, settings } = &self.named;
        let (mut figures, run) = {
            let State { status, error, restarts, run, .. } = &*self.lock();
            let (name, pipeline) = (name.clone(), ready.name.into());
            let figures = Figures {
                name,
                pipeline,
                status: *status,
                error: error.clone(),
                restarts: *restarts,
                ..Figures::default()
            };
            (figures, run.clone())
        };
        if let Some(Counters { stats, written, notices }) = run {
            let report = stats.report(0.0);
            let dropped = finish::dropped_so_far(&stats, &notices, &written);
            figures.read = written.read();
            figures.rows = logs::rows(&written.counts(), &report);
            figures.epochs = stats.epochs_closed();
            figures.in_flight = stats.in_flight();
            figures.lag_seconds = stats.lag().as_secs_f64();
            figures.dropped = dropped.into_iter().map(|(reason, dropped)| (reason, dropped.count)).collect();
            figures.latency = report.latency;
        }
        figures.checkpoint = settings.checkpoint.as_deref().and_then(checkpoint::newest_file).map(|(at, bytes)| {
            // A clock that was set back makes no age below 0.
            let age_seconds = at.elapsed().unwrap_or_default().as_secs_f64();
            CheckpointFile { age_seconds, bytes }
        });
        figures
    }
}

/// Memory of this process, as Linux tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
