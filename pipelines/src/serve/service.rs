//! The pipelines of a service, each on a thread of its own by the code of `run`, or in processes of its own that the thread supervises.
//!
//! One that fails and keeps checkpoints goes on from the last of them after a pause, which doubles from failure to failure. One without
//! checkpoints has failed for good, as has one whose settings are found wrong.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thalweg::Report;
use thalweg::report::Stats;
use thalweg_connectors::Notices;
use thalweg_connectors::out::checkpoint;
use tracing::{error, info_span, warn};

use super::apart::{self, Told};
use super::config::Named;
use super::figures::{CheckpointFile, Counters, Done, Figures, Overview, Status, resident_bytes};
use crate::failure::Failure;
use crate::pipeline::Context;
use crate::supervise::{Seen, supervise};
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
    /// The counters of its last start, or what its own processes tell of it.
    run: Option<Counting>,
    /// Set where it failed although it was only to end.
    failed_while_draining: bool,
}

#[derive(Clone)]
enum Counting {
    Here(Counters),
    Apart(Box<Done>),
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
            let ran = match self.named.settings.processes {
                Some(count) => self.run_apart(count),
                None => self.run(),
            };
            let Err(failure) = ran else { return };
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
            let counting = Counting::Here(Counters { stats, written, notices });
            (state.run, state.status) = (Some(counting), Status::Running);
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

    /// One start in processes of its own to its end, or to a failure that starting them again did not mend.
    fn run_apart(self: &Arc<Member>, count: usize) -> Result<(), Failure> {
        let Named { name, ready, settings, table } = &self.named;
        let mut table = table.clone();
        table.retain(|key, _| !matches!(key, "processes" | "pipeline"));
        let (mut launch, _file) = apart::launch(name, ready.name, count, &table)?;
        let (member, listening) = (Arc::clone(self), Rc::new(RefCell::new(Vec::new())));
        let listeners = Rc::clone(&listening);
        launch.told = Some(Box::new(move |output| {
            let member = Arc::clone(&member);
            let thread = std::thread::Builder::new().name("listening".into());
            // Without a thread that listens there are no figures.
            listeners.borrow_mut().extend(thread.spawn(move || apart::hear(output, |told| member.heard(told))));
        }));
        let ended = supervise(&launch, settings, &self.drain, |seen| {
            warn!("{seen}");
            if let Seen::Died(text) = seen {
                let mut state = self.lock();
                state.restarts += 1;
                (state.status, state.error) = (Status::Restarting, Some(text));
            }
        });
        for listener in listening.take() {
            // One that panicked has said so.
            let _ = listener.join();
        }
        let code = ended?;
        if code == 0 {
            let asked = self.drain.load(Ordering::Relaxed);
            self.lock().status = if asked { Status::Stopped } else { Status::Done };
            return Ok(());
        }
        let said = self.lock().error.clone().unwrap_or_else(|| format!("found exit code {code}, expected 0"));
        Err(if code == 78 { Failure::Config(vec![said]) } else { Failure::Run(said) })
    }

    /// What its own processes tell.
    fn heard(&self, told: Told) {
        let mut state = self.lock();
        match told {
            Told::Done(done) => (state.run, state.status) = (Some(Counting::Apart(done)), Status::Running),
            Told::Failed(error) => state.error = Some(error),
        }
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
        let Named { name, ready, settings, .. } = &self.named;
        let (mut figures, run) = {
            let State { status, error, restarts, run, .. } = &*self.lock();
            let (name, pipeline, error) = (name.clone(), ready.name.into(), error.clone());
            let figures = Figures { name, pipeline, status: *status, error, restarts: *restarts, ..Figures::default() };
            (figures, run.clone())
        };
        figures.done = match run {
            None => Done::default(),
            Some(Counting::Here(counters)) => counters.done(),
            Some(Counting::Apart(done)) => *done,
        };
        figures.checkpoint = settings.checkpoint.as_deref().and_then(checkpoint::newest_file).map(|(at, bytes)| {
            // A clock that was set back makes no age below 0.
            let age_seconds = at.elapsed().unwrap_or_default().as_secs_f64();
            CheckpointFile { age_seconds, bytes }
        });
        figures
    }
}
