//! What a process knows of the supervisor that has started it.

use std::time::Duration;

/// Tells a process who its supervisor is.
pub const SUPERVISOR: &str = "THALWEG_SUPERVISOR";
/// How a process ends that has lost another one.
pub const LOST: u8 = 75;
/// How often it is seen whether the supervisor is still there.
const LOOK: Duration = Duration::from_millis(20);

/// True in a process that a supervisor has started.
pub fn supervised() -> bool {
    std::env::var_os(SUPERVISOR).is_some()
}

/// In a process that a supervisor has started: ends the program when that one is gone.
#[cfg(unix)]
pub fn watch_supervisor() {
    let Some(supervisor) = std::env::var(SUPERVISOR).ok().and_then(|id| id.parse::<u32>().ok()) else { return };
    std::thread::spawn(move || {
        while std::os::unix::process::parent_id() == supervisor {
            std::thread::sleep(LOOK);
        }
        std::process::exit(i32::from(LOST));
    });
}

#[cfg(not(unix))]
pub fn watch_supervisor() {}
