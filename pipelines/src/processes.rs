//! From `--hosts` and `--process` to the processes of a run.

use std::net::ToSocketAddrs;
use std::path::Path;

use thalweg::cluster::Cluster;

use crate::failure::Failure;
use crate::models;
use crate::secret::Secret;
use crate::settings::Settings;

/// The secret of a run, or the file that holds it: what keeps strangers out of a run of several processes.
pub const SECRET: &str = "THALWEG_SECRET";
/// See [`SECRET`].
pub const SECRET_FILE: &str = "THALWEG_SECRET_FILE";

/// The processes that the settings name, if they do.
///
/// # Errors
/// A file that cannot be read (exit 1); addresses, a process or a secret that do not fit (exit 78).
pub fn cluster(settings: &Settings) -> Result<Option<Cluster>, Failure> {
    let Some(hosts) = &settings.hosts else {
        settings.refuse(&["process"], "--hosts beside it")?;
        return Ok(None);
    };
    let Some(process) = settings.process else {
        return Err(Failure::config("process: found none, expected --process beside --hosts: which one this is"));
    };
    let (addresses, secret) = (addresses(hosts)?, secret()?);
    if secret.is_none()
        && let Some(open) = addresses.iter().find(|address| !is_loopback(address))
    {
        let expected = format!("{SECRET} or {SECRET_FILE} in the environment, the same on all machines");
        return Err(Failure::config(format!(
            "hosts: found {open} without a secret, expected {expected}: whoever reaches that port could join the run"
        )));
    }
    Ok(Some(Cluster::new(addresses, process, secret.unwrap_or_default())?.with_settings(common(settings)?)))
}

/// The lines of a file, each an address.
fn addresses(path: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::run(format!("{}: {error}", path.display())))?;
    let mut addresses = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        if !line.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
            let place = format!("{}, line {}", path.display(), number + 1);
            return Err(Failure::config(format!("{place}: found {line}, expected HOST:PORT")));
        }
        addresses.push(line.to_string());
    }
    Ok(addresses)
}

fn is_loopback(address: &str) -> bool {
    address.to_socket_addrs().is_ok_and(|mut found| found.all(|address| address.ip().is_loopback()))
}

/// The secret from the environment, or from the file that it names; `None` where neither is set.
fn secret() -> Result<Option<Vec<u8>>, Failure> {
    let secret = match (std::env::var_os(SECRET), std::env::var_os(SECRET_FILE)) {
        (Some(_), _) => Secret::in_variable("environment", SECRET),
        (None, Some(path)) => Secret::in_file(SECRET_FILE, path),
        (None, None) => return Ok(None),
    };
    secret.bytes().map(Some)
}

/// What all processes must be told alike: whatever makes their plans. Inputs and outputs are the leader's alone.
fn common(settings: &Settings) -> Result<String, Failure> {
    let told = ["model", "as_of", "every"].map(|name| settings.given.get(name).cloned().unwrap_or_default());
    let sum = settings.model.as_deref().map(models::checksum).transpose()?.flatten();
    Ok(format!("{:?} {:?} {:?} {told:?} {sum:?}", settings.pipeline, settings.set, settings.workers))
}
