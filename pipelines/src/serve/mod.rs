//! `thalweg serve`: several pipelines for as long as it is let, with figures over HTTP, restarts, and a drain at the end.

pub mod apart;
pub mod config;
mod figures;
mod http;
mod metrics;
mod notify;
mod service;
pub mod top;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use figures::{CheckpointFile, Counters, Done, Figures, Overview, Status};
use notify::Notifier;
use service::Service;
use tracing::level_filters::LevelFilter;
use tracing::{error, info};

use crate::failure::Failure;
use crate::logs;
use crate::secret::Secret;
use crate::settings::Settings;

/// How often the pipelines and the wish to stop are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the service of a configuration file until `drain` is set, then ends its pipelines.
///
/// # Errors
/// A configuration with problems (exit 78). A port that is taken, or pipelines that do not end in time or fail while they end (exit 1).
pub fn run(path: &str, drain: Arc<AtomicBool>) -> Result<(), Failure> {
    let settings = config::check(path, &Settings::table(path.as_ref())?)?;
    logs::begin(LevelFilter::INFO)?;
    let secret = settings.secret.as_ref().map(Secret::text).transpose()?;
    let listen = settings.listen;
    let taken = |error: std::io::Error| Failure::run(format!("listen: {listen}: {error}"));
    let listener = TcpListener::bind(listen).map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let service = Arc::new(Service::new(settings.pipelines, Arc::clone(&drain)));
    let requests = http::begin(listener, Arc::clone(&service), secret)?;
    let threads = service.begin()?;
    info!(pipelines = threads.len(), address = %address, "serving");

    let mut notifier = Notifier::new();
    notifier.ready();
    while !drain.load(Ordering::Relaxed) {
        if requests.is_finished() {
            drain.store(true, Ordering::Relaxed);
            error!("the thread that answers requests has ended");
        }
        notifier.alive();
        std::thread::sleep(LOOK);
    }
    notifier.stopping();
    info!(seconds = settings.drain.as_secs_f64(), "stopping");
    let until = Instant::now() + settings.drain;
    while Instant::now() < until && threads.iter().any(|thread| !thread.is_finished()) {
        notifier.alive();
        std::thread::sleep(LOOK);
    }
    let late = service.running();
    if !late.is_empty() {
        let seconds = settings.drain.as_secs_f64();
        return Err(Failure::run(format!(
            "found {} at work after {seconds} s, expected an end by then",
            late.join(", ")
        )));
    }
    let failed = service.failed_while_draining();
    if !failed.is_empty() {
        return Err(Failure::run(format!("found {} failed while it ended; the log says why", failed.join(", "))));
    }
    info!("stopped");
    Ok(())
}
