//! `--processes N`: starts the processes of a run on this machine, and starts them all again when one dies.
//!
//! The supervisor reads and writes nothing. Its processes are this program with the same options, and with `--hosts` and `--process` as
//! several machines have them. Only process 0 has the supervisor's input and output. A process ends when its supervisor is gone.

use std::ffi::OsString;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tempfile::NamedTempFile;
use thalweg_connectors::out::checkpoint;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::supervised::{LOST, SUPERVISOR, supervised};
use crate::{processes, quarantine};

/// How often the supervisor looks at its processes.
const LOOK: Duration = Duration::from_millis(20);
/// How soon the process is seen to have ended that another has lost.
const SOON: Duration = Duration::from_millis(500);
/// How long the others may take once process 0 has done its part.
const LAST: Duration = Duration::from_secs(10);
/// Waiting times between tries: the first, and the longest.
const PATIENCE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];
/// A try that has lasted so long, or has made a checkpoint, begins the waiting times anew.
const STEADY: Duration = Duration::from_secs(30);

/// True if the settings ask for processes that are not there yet.
pub fn wanted(settings: &Settings) -> bool {
    settings.processes.is_some_and(|processes| processes > 1) && !supervised()
}

/// How the processes of a run are started.
pub struct Launch {
    /// How many.
    pub count: usize,
    /// What they are told, beside `--hosts` and `--process` where there are several.
    pub arguments: Vec<OsString>,
    /// What stands in their environment beside what stands in this one's.
    pub environment: Vec<(&'static str, String)>,
    /// Takes the standard output of process 0, of each try; without it that is the supervisor's.
    pub told: Option<Box<dyn Fn(ChildStdout)>>,
}

impl Launch {
    /// That of this program's run with `--processes`.
    pub fn again(settings: &Settings) -> Launch {
        let (count, arguments) = (settings.processes.unwrap_or(1), arguments());
        Launch { count, arguments, environment: Vec::new(), told: None }
    }
}

/// What a supervisor sees.
pub enum Seen {
    /// A process has died, and all are started again.
    Died(String),
    /// An item was put into quarantine.
    LeftOut(String),
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Seen::Died(text) | Seen::LeftOut(text) => f.write_str(text),
        }
    }
}

/// How a try has ended.
enum End {
    /// Process 0 has said all there is to say, with this exit code.
    Said(u8),
    /// A process died; of a fault of its own, or by the hand of another.
    Died { how: String, fault: bool },
}

/// Runs the processes of a run to its end, whatever becomes of one of them; the exit code. `stop` is set by a signal; `said` hears what
/// happens.
///
/// # Errors
/// Processes that cannot be started; one that died in a run without checkpoints (exit 1).
pub fn supervise(launch: &Launch, settings: &Settings, stop: &AtomicBool, said: impl Fn(Seen)) -> Result<u8, Failure> {
    settings.refuse(&["hosts", "process"], "a run without --processes, which starts its own")?;
    let (mut pause, mut careful) = (PATIENCE[0], false);
    loop {
        let (since, before) = (Instant::now(), newest(settings));
        settings.checkpoint.iter().for_each(|folder| quarantine::forget(folder));
        let (died, fault) = match Group::start(launch, careful)?.wait(stop) {
            End::Said(code) => return Ok(code),
            End::Died { how, fault } => (how, fault),
        };
        let Some(checkpoints) = &settings.checkpoint else {
            return Err(Failure::run(format!("{died}: found no --checkpoint, expected one to go on from")));
        };
        if careful
            && fault
            && let Some(position) = quarantine::condemn(checkpoints)?
        {
            said(Seen::LeftOut(format!("{position}: has killed a process twice, and is left out from now on")));
        }
        // A run that dies of itself is watched closely until it has made a checkpoint.
        careful = fault || (careful && newest(settings) == before);
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::run(format!("{died} while the run was ending: the same command goes on")));
        }
        if since.elapsed() > STEADY || newest(settings) != before {
            pause = PATIENCE[0];
        }
        said(Seen::Died(format!("{died}: all go on from the last checkpoint in {:.1} s", pause.as_secs_f64())));
        std::thread::sleep(pause);
        pause = (2 * pause).min(PATIENCE[1]);
    }
}

/// What tells the newest checkpoint from others.
fn newest(settings: &Settings) -> Option<(SystemTime, u64)> {
    checkpoint::newest_file(settings.checkpoint.as_ref()?)
}

/// The processes of one try; those that still run are killed when it is dropped.
struct Group {
    processes: Vec<Child>,
    /// Their addresses: whoever starts reads it.
    _hosts: NamedTempFile,
}

impl Group {
    fn start(launch: &Launch, careful: bool) -> Result<Group, Failure> {
        let failed = |error: std::io::Error| Failure::run(format!("processes: {error}"));
        let mut hosts = NamedTempFile::new().map_err(failed)?;
        // Ports that are free now; should another program take one, the try fails and is made again.
        let listeners: Result<Vec<_>, _> = (0..launch.count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
        for listener in listeners.map_err(failed)? {
            writeln!(hosts, "{}", listener.local_addr().map_err(failed)?).map_err(failed)?;
        }
        let secret = secret()?;
        let program = std::env::current_exe().map_err(failed)?;
        let addresses = hosts.path().to_path_buf();
        let mut group = Group { processes: Vec::new(), _hosts: hosts };
        for process in 0..launch.count {
            let mut command = Command::new(&program);
            command.args(&launch.arguments).envs(launch.environment.iter().map(|(name, value)| (name, value)));
            if launch.count > 1 {
                command.arg("--hosts").arg(&addresses).arg("--process").arg(process.to_string());
            }
            command.env(SUPERVISOR, std::process::id().to_string()).env(processes::SECRET, &secret);
            if careful {
                command.env(quarantine::CAREFUL, "1");
            }
            if process > 0 {
                command.stdin(Stdio::null()).stdout(Stdio::null());
            } else if launch.told.is_some() {
                command.stdin(Stdio::null()).stdout(Stdio::piped());
            }
            let mut child = command.spawn().map_err(failed)?;
            if let (Some(told), Some(output)) = (&launch.told, child.stdout.take()) {
                told(output);
            }
            group.processes.push(child);
        }
        Ok(group)
    }

    /// Waits until process 0 has done its part, or one has died.
    fn wait(mut self, stop: &AtomicBool) -> End {
        let (mut told, mut done, mut lost) = (false, None, None);
        loop {
            if stop.load(Ordering::Relaxed) && !std::mem::replace(&mut told, true) {
                // What process 0 has in hand goes through all of them.
                terminate(&self.processes[0]);
            }
            let mut ended = Vec::new();
            for (process, child) in self.processes.iter_mut().enumerate() {
                match child.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) => ended.push((process, status)),
                    Err(error) => return End::Died { how: format!("process {process}: {error}"), fault: false },
                }
            }
            let killed = ended.iter().find(|(_, status)| status.code().is_none());
            if let Some((process, status)) = killed {
                return died(*process, *status);
            }
            match ended.first() {
                Some((0, status)) => {
                    let code = status.code().unwrap_or(1);
                    if code != i32::from(LOST) {
                        if ended.len() == self.processes.len() || code != 0 || since(&mut done) > LAST {
                            return End::Said(u8::try_from(code).unwrap_or(1));
                        }
                    } else if let Some((process, status)) = ended.get(1) {
                        return died(*process, *status);
                    } else if since(&mut lost) > SOON {
                        return End::Died { how: "process 0 lost another process".into(), fault: false };
                    }
                }
                // One that leaves before process 0 has failed, which that one hears of and tells; it may take its time to say so.
                Some((process, status)) if since(&mut done) > LAST => return died(*process, *status),
                _ => {}
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// How long ago this was first asked.
fn since(first: &mut Option<Instant>) -> Duration {
    first.get_or_insert_with(Instant::now).elapsed()
}

fn died(process: usize, status: ExitStatus) -> End {
    End::Died { how: format!("process {process} ended by {}", how(status)), fault: fault(status) }
}

impl Drop for Group {
    fn drop(&mut self) {
        for child in &mut self.processes {
            // One that has ended cannot be killed, and is as wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// This program's arguments without `--processes`.
fn arguments() -> Vec<OsString> {
    let mut arguments = Vec::new();
    let mut all = std::env::args_os().skip(1);
    while let Some(argument) = all.next() {
        if argument == "--processes" {
            all.next();
        } else if !argument.as_encoded_bytes().starts_with(b"--processes=") {
            arguments.push(argument);
        }
    }
    arguments
}

/// A secret for one try, so that no other program of this machine can join it.
fn secret() -> Result<String, Failure> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::run(format!("random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(unix)]
fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => format!("exit code {}", status.code().unwrap_or_default()),
    }
}

/// True for a signal that a process gives itself by what it does.
#[cfg(unix)]
fn fault(status: ExitStatus) -> bool {
    use signal_hook::consts::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    use std::os::unix::process::ExitStatusExt;
    status.signal().is_some_and(|signal| [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV].contains(&signal))
}

#[cfg(not(unix))]
fn fault(_: ExitStatus) -> bool {
    false
}

#[cfg(not(unix))]
fn how(status: ExitStatus) -> String {
    status.to_string()
}

#[cfg(unix)]
fn terminate(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // One that has ended needs no signal.
        let _ = kill_process(pid, Signal::TERM);
    }
}

#[cfg(not(unix))]
fn terminate(_: &Child) {}
