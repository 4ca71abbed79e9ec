//! A pipeline of a service in processes of its own: it tells the service its figures, a line of JSON a second on its standard output.
//!
//! What kills such a pipeline leaves the service and its other pipelines alone.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::ChildStdout;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use toml::Table;

use super::figures::{Counters, Done, resident_bytes};
use crate::failure::Failure;
use crate::supervise::Launch;

/// Tells a process the name of the pipeline that it is for a service.
pub const MEMBER: &str = "THALWEG_MEMBER";
/// How often figures are told.
const EVERY: Duration = Duration::from_secs(1);

/// The name of the pipeline that this process is for a service, if it is one.
pub fn member() -> Option<String> {
    std::env::var(MEMBER).ok()
}

/// What a process tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Its figures so far.
    Done(Box<Done>),
    /// Why it fails.
    Failed(String),
}

impl Told {
    /// Tells it on standard output.
    pub fn say(&self) {
        // A service that has gone hears nothing, and takes this process with it.
        let _ = serde_json::to_string(self).map(|line| writeln!(std::io::stdout(), "{line}"));
    }
}

/// Tells a run's figures until it is dropped, then once more.
pub struct Telling {
    /// The thread ends when this goes.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Telling {
    /// Begins to tell.
    ///
    /// # Errors
    /// A thread that cannot be started (exit 1).
    pub fn begin(counters: Counters) -> Result<Telling, Failure> {
        let (alive, gone) = channel();
        let tell = move || {
            let tell = || Told::Done(Box::new(Done { leader_bytes: resident_bytes(), ..counters.done() })).say();
            tell();
            while gone.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                tell();
            }
            tell();
        };
        let thread = std::thread::Builder::new().name("telling".into()).spawn(tell).map_err(Failure::run)?;
        Ok(Telling { alive: Some(alive), thread: Some(thread) })
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.alive = None;
        // A thread that panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Calls `heard` with each line that a process tells, until it says no more.
pub fn hear(from: ChildStdout, mut heard: impl FnMut(Told)) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        // A line of another kind is nothing that was told.
        let _ = serde_json::from_str(&line).map(&mut heard);
    }
}

/// How the processes of a pipeline are started, and the file of its settings, which must stand as long as they start.
///
/// # Errors
/// A file that cannot be written (exit 1).
pub fn launch(name: &str, pipeline: &str, count: usize, table: &Table) -> Result<(Launch, NamedTempFile), Failure> {
    let failed = |error: std::io::Error| Failure::run(format!("{name}: {error}"));
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().map_err(failed)?;
    let text = toml::to_string(table).map_err(Failure::run)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    let path = file.path().as_os_str().to_owned();
    let arguments: Vec<OsString> = vec!["run".into(), pipeline.into(), "--config".into(), path];
    Ok((Launch { count, arguments, environment: vec![(MEMBER, name.to_string())], told: None }, file))
}
