//! The configuration of a service: `[serve]`, and a `[[pipeline]]` table for each pipeline with the keys that `run` knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use crate::failure::Failure;
use crate::pipeline::Ready;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::{output, registry};

const DRAIN: Duration = Duration::from_secs(30);

/// A service, checked.
#[derive(Debug)]
pub struct ServeSettings {
    /// `listen`: where its figures are to be had.
    pub listen: SocketAddr,
    /// `secret_file` or `secret_env`: where the token stands that a request must bring.
    pub secret: Option<Secret>,
    /// `drain_seconds`: how long pipelines have to end after a signal.
    pub drain: Duration,
    /// The pipelines, in the order of the file.
    pub pipelines: Vec<Named>,
}

/// A pipeline of a service.
#[derive(Debug)]
pub struct Named {
    /// `name`, by which logs and figures call it.
    pub name: String,
    /// Which pipeline it is.
    pub ready: &'static Ready,
    /// As for `run`.
    pub settings: Settings,
    /// The settings as they stand in the file, for processes of its own.
    pub table: Table,
}

/// True for the configuration of a service, which `validate` tells from that of one run.
pub fn is_service(table: &Table) -> bool {
    table.contains_key("serve") || table.get("pipeline").is_some_and(Value::is_array)
}

/// Checks a table, naming every problem; `place` is how messages call it.
///
/// # Errors
/// All problems found (exit 78).
pub fn check(place: &str, table: &Table) -> Result<ServeSettings, Failure> {
    let mut problems = Vec::new();
    let mut settings = service(place, table.get("serve"), &mut problems);
    for key in table.keys().filter(|key| !matches!(key.as_str(), "serve" | "pipeline")) {
        problems.push(format!("{place}: found the unknown key {key}, expected [serve] and [[pipeline]]"));
    }
    match table.get("pipeline") {
        Some(Value::Array(tables)) if !tables.is_empty() => {
            for (number, table) in tables.iter().enumerate() {
                settings.pipelines.extend(named(place, number, table, &mut problems));
            }
        }
        other => {
            let found = other.map_or("none".to_string(), shown);
            problems.push(format!("{place}: pipeline: found {found}, expected a [[pipeline]] table or more"));
        }
    }
    apart(place, &settings.pipelines, &mut problems);
    if problems.is_empty() { Ok(settings) } else { Err(Failure::Config(problems)) }
}

/// `[serve]`.
fn service(place: &str, table: Option<&Value>, problems: &mut Vec<String>) -> ServeSettings {
    let listen = SocketAddr::from(([127, 0, 0, 1], 9464));
    let mut settings = ServeSettings { listen, secret: None, drain: DRAIN, pipelines: Vec::new() };
    let empty = Table::new();
    let table = match table {
        None => &empty,
        Some(Value::Table(table)) => table,
        Some(other) => {
            problems.push(format!("{place}: serve: found {}, expected a table", shown(other)));
            &empty
        }
    };
    let mut secrets = 0;
    for (key, value) in table {
        let text = value.as_str().filter(|text| !text.is_empty());
        let expected = match (key.replace('-', "_").as_str(), text) {
            ("listen", Some(text)) => match text.parse() {
                Ok(address) => {
                    settings.listen = address;
                    continue;
                }
                Err(_) => "an address and a port, as 127.0.0.1:9464 or [::1]:9464",
            },
            ("listen", None) => "an address and a port, as 127.0.0.1:9464",
            ("drain_seconds", _) => match value.as_float().or(value.as_integer().map(|n| n as f64)) {
                Some(seconds) if (0.0..=86_400.0).contains(&seconds) => {
                    settings.drain = Duration::from_secs_f64(seconds);
                    continue;
                }
                _ => "seconds, 0 to 86400",
            },
            ("secret_file", Some(path)) => {
                (settings.secret, secrets) = (Some(Secret::in_file("secret_file", path)), secrets + 1);
                continue;
            }
            ("secret_env", Some(name)) => {
                (settings.secret, secrets) = (Some(Secret::in_variable("secret_env", name)), secrets + 1);
                continue;
            }
            ("secret_file" | "secret_env", None) => "a text: the path of a file, or the name of a variable",
            ("secret", _) => {
                let expected = "secret_file or secret_env: a secret does not stand in a configuration";
                problems.push(format!("{place}: serve: secret: found a value, expected {expected}"));
                continue;
            }
            (_, _) => {
                let expected = "listen, secret_file, secret_env or drain_seconds";
                problems.push(format!("{place}: serve: found the unknown key {key}, expected {expected}"));
                continue;
            }
        };
        problems.push(format!("{place}: serve: {key}: found {}, expected {expected}", shown(value)));
    }
    if secrets > 1 {
        problems.push(format!("{place}: serve: secret_file and secret_env: found both, expected at most one"));
    }
    if !settings.listen.ip().is_loopback() && settings.secret.is_none() {
        let found = format!("listen: found {}, which is not loopback", settings.listen);
        problems.push(format!("{place}: serve: {found}, expected secret_file or secret_env beside it"));
    }
    settings
}

/// One `[[pipeline]]`.
fn named(place: &str, number: usize, table: &Value, problems: &mut Vec<String>) -> Option<Named> {
    let place = format!("{place}, pipeline {}", number + 1);
    let Some(table) = table.as_table() else {
        problems.push(format!("{place}: found {}, expected a table", shown(table)));
        return None;
    };
    let mut table = table.clone();
    let fits = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=64).contains(&name.len()) && name.chars().all(plain)
    };
    let name = table.remove("name");
    let name = match name.as_ref().and_then(Value::as_str).filter(|name| fits(name)) {
        Some(name) => name.to_string(),
        None => {
            let found = name.as_ref().map_or("none".to_string(), shown);
            problems.push(format!("{place}: name: found {found}, expected 1 to 64 letters, digits, - or _"));
            String::new()
        }
    };
    let place = if name.is_empty() { place } else { format!("{place} ({name})") };
    let (settings, found) = Settings::examine(&place, &table);
    problems.extend(found);
    let ready = match settings.pipeline.as_deref().map(registry::by_name) {
        Some(Ok(ready)) => ready,
        Some(Err(failure)) => {
            problems.push(format!("{place}: {failure}"));
            return None;
        }
        None => {
            if !table.contains_key("pipeline") {
                problems.push(format!("{place}: pipeline: found none, expected one; `thalweg list` has them"));
            }
            return None;
        }
    };
    let mut more = settings.unused(&ready.run.used(), &format!("run {}", ready.name));
    if let Err(failure) = (ready.check)(&settings) {
        more.extend(failure.to_string().lines().map(str::to_string));
    }
    more.extend(output::problems(&settings));
    if settings.output.is_none() {
        more.push("output: found none, expected a path".into());
    }
    if settings.json {
        more.push("json: found true, expected none: a service tells its figures at /status".into());
    }
    for name in ["hosts", "process"] {
        if let Some(found) = settings.given.get(name) {
            more.push(format!("{name}: found {found}, expected processes: those of a service are on its own machine"));
        }
    }
    if settings.input.iter().any(|input| input == "-") {
        more.push("input: found -, expected a path: a service has no standard input".into());
    }
    problems.extend(more.into_iter().map(|problem| format!("{place}: {problem}")));
    Some(Named { name, ready, settings, table })
}

/// Names, outputs and folders of checkpoints that two pipelines share.
fn apart(place: &str, pipelines: &[Named], problems: &mut Vec<String>) {
    let mut taken: BTreeMap<(&str, PathBuf), &str> = BTreeMap::new();
    for Named { name, settings, .. } in pipelines {
        // The same place however it is written: `out`, `out/`, `./out`.
        let path = |path: &Path| -> PathBuf {
            std::path::absolute(path).unwrap_or_else(|_| path.into()).components().collect()
        };
        let checkpoint = settings.checkpoint.as_deref();
        let own = [
            Some(("name", name.clone(), name.into())).filter(|_| !name.is_empty()),
            settings.output.as_ref().map(|output| ("output", output.clone(), path(Path::new(output)))),
            checkpoint.map(|folder| ("checkpoint", folder.display().to_string(), path(folder))),
        ];
        for (what, shown, key) in own.into_iter().flatten() {
            if let Some(other) = taken.insert((what, key), name) {
                let expected = "one of its own for each";
                problems
                    .push(format!("{place}: {other} and {name}: found {what} {shown} in both, expected {expected}"));
            }
        }
    }
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Table(_) => "a table".into(),
        Value::Array(_) => "a list".into(),
        other => other.to_string(),
    }
}
