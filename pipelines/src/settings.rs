//! What a run is told, from a TOML file and from options; both go through one check that names every problem.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thalweg_connectors::OnError;
use toml::{Table, Value};

use crate::failure::Failure;
use crate::options::{self, OPTIONS};

/// The settings of a run, checked one by one; what a pipeline makes of `set` is checked by the pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `pipeline`: which one, in a configuration file that says so.
    pub pipeline: Option<String>,
    /// `input`: paths or URIs.
    pub input: Vec<String>,
    /// `output`: a path; one that ends in `/` is a folder of segments.
    pub output: Option<String>,
    /// `output_format`: `label` or `las` instead of a table.
    pub output_format: Option<OutputFormat>,
    /// `format`: the format of every input file, else guessed.
    pub format: Option<String>,
    /// `model`: a shipped model's name or a file.
    pub model: Option<String>,
    /// `truth`: a file of labels, for `eval`.
    pub truth: Option<PathBuf>,
    /// `workers`: threads.
    pub workers: usize,
    /// `processes`: processes of this machine, each with so many workers; none where it is not said.
    pub processes: Option<usize>,
    /// `hosts`: a file with the address of each process of the run.
    pub hosts: Option<PathBuf>,
    /// `process`: which of them this one is.
    pub process: Option<usize>,
    /// `json`: one JSON object on stdout at the end.
    pub json: bool,
    /// `rate`: replay speed; 0 = as fast as possible.
    pub rate: f64,
    /// `follow`: go on as files or folders grow.
    pub follow: bool,
    /// `loop`: begin again at the end, for ever.
    pub looped: bool,
    /// `start_offset`: position of the first frame.
    pub start_offset: u64,
    /// `checkpoint`: the folder of a run's checkpoints.
    pub checkpoint: Option<PathBuf>,
    /// `plot`: a picture of what `eval` found.
    pub plot: Option<PathBuf>,
    /// `allow_model_change`: go on from a checkpoint of another model.
    pub allow_model_change: bool,
    /// `until`: position of the first frame that is not read any more.
    pub until: Option<u64>,
    /// `contacts`: tables of contacts.
    pub contacts: Vec<PathBuf>,
    /// `tests`: tables of tests.
    pub tests: Vec<PathBuf>,
    /// `edges`: tables of edges.
    pub edges: Vec<PathBuf>,
    /// `nodes`: tables of nodes.
    pub nodes: Vec<PathBuf>,
    /// `as_of`: the time to give the risk at (ns).
    pub as_of: Option<i64>,
    /// `every`: give it at each multiple of so much (ns).
    pub every: Option<i64>,
    /// `columns`: what tables call their columns, where not by the usual names.
    pub columns: BTreeMap<String, String>,
    /// `on_error`: what becomes of an unreadable file or frame, where it is said.
    pub on_error: Option<OnError>,
    /// `set`: a pipeline's own keys.
    pub set: BTreeMap<String, String>,
    /// The options that were given, and their values as a person would write them.
    pub given: BTreeMap<&'static str, String>,
}

/// Outputs that are not tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// SemanticKITTI `.label` files.
    Label,
    /// LAS/LAZ with its classification replaced.
    Las,
}

impl Settings {
    /// Reads a configuration file into a table.
    ///
    /// # Errors
    /// A file that cannot be read (exit 1) or is no TOML (exit 78).
    pub fn table(path: &Path) -> Result<Table, Failure> {
        let text =
            std::fs::read_to_string(path).map_err(|error| Failure::run(format!("{}: {error}", path.display())))?;
        text.parse::<Table>().map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            Failure::config(format!("{}, line {line}: {}", path.display(), error.message()))
        })
    }

    /// Checks a table, naming every problem; `place` is how messages call it.
    ///
    /// # Errors
    /// All problems found (exit 78).
    pub fn check(place: &str, table: &Table) -> Result<Settings, Failure> {
        let (settings, problems) = Settings::examine(place, table);
        if problems.is_empty() { Ok(settings) } else { Err(Failure::Config(problems)) }
    }

    /// What of a table can be used, and every problem of the rest.
    pub fn examine(place: &str, table: &Table) -> (Settings, Vec<String>) {
        let mut settings = Settings { workers: 1, ..Settings::default() };
        let mut problems = Vec::new();
        for (key, value) in table {
            let name = key.replace('-', "_");
            if let Some(option) = options::by_name(&name)
                && *value != Value::Boolean(false)
            {
                settings.given.insert(option.name, plain(value));
            }
            if let Err((found, expected)) = settings.take(&name, value) {
                problems.push(format!("{place}: {key}: found {found}, expected {expected}"));
            }
        }
        if settings.follow && settings.looped {
            problems.push(format!("{place}: follow and loop: found both, expected at most one"));
        }
        if settings.as_of.is_some() && settings.every.is_some() {
            problems.push(format!("{place}: as_of and every: found both, expected at most one"));
        }
        if settings.until.is_some_and(|until| until < settings.start_offset) {
            problems.push(format!("{place}: until: found a position before start_offset, expected one at or after it"));
        }
        (settings, problems)
    }

    /// The options given that are not among those `used`: a problem each. `command` is what does not use them.
    pub fn unused(&self, used: &[&str], command: &str) -> Vec<String> {
        let idle = self.given.iter().filter(|(name, _)| !used.contains(name) && !options::ALWAYS.contains(name));
        idle.map(|(name, value)| {
            let expected = format!("`{command}` does not use it: `thalweg {command} --help` has what it uses");
            format!("{name}: found {value}, expected none: {expected}")
        })
        .collect()
    }

    /// The options given that are of no use beside the input: a problem each.
    ///
    /// # Errors
    /// Those problems (exit 78).
    pub fn refuse(&self, names: &[&str], why: &str) -> Result<(), Failure> {
        let found = names.iter().filter_map(|name| self.given.get_key_value(name));
        let problems: Vec<_> =
            found.map(|(name, value)| format!("{name}: found {value}, expected none: {why}")).collect();
        if problems.is_empty() { Ok(()) } else { Err(Failure::Config(problems)) }
    }

    /// Everything on disk that a run reads, and how messages call it.
    pub fn reads(&self) -> Vec<(&'static str, &Path)> {
        let input = self.input.iter().filter(|input| !input.starts_with("sim:") && *input != "-");
        let model = self.model.as_deref().filter(|model| model.ends_with(".safetensors")).map(Path::new);
        let one = [("the model", model), ("the truth", self.truth.as_deref())];
        let key = self.set.get("hash_ids").map(Path::new);
        let mut all: Vec<_> = input.map(|input| ("the input", Path::new(input))).collect();
        all.extend(self.contacts.iter().map(|path| ("the contacts", path.as_path())));
        all.extend(self.tests.iter().map(|path| ("the tests", path.as_path())));
        all.extend(self.edges.iter().map(|path| ("the edges", path.as_path())));
        all.extend(self.nodes.iter().map(|path| ("the nodes", path.as_path())));
        all.extend(one.into_iter().chain([("the key", key)]).filter_map(|(what, path)| Some((what, path?))));
        all
    }

    fn take(&mut self, key: &str, value: &Value) -> Result<(), (String, String)> {
        match key {
            "pipeline" => self.pipeline = Some(text(value)?),
            "input" => self.input = texts(value)?,
            "contacts" => self.contacts = texts(value)?.into_iter().map(PathBuf::from).collect(),
            "tests" => self.tests = texts(value)?.into_iter().map(PathBuf::from).collect(),
            "edges" => self.edges = texts(value)?.into_iter().map(PathBuf::from).collect(),
            "nodes" => self.nodes = texts(value)?.into_iter().map(PathBuf::from).collect(),
            "as_of" => {
                let wrong = || (plain(value), "whole seconds below 1e11, an RFC 3339 time or a date".to_string());
                let whole = |t: &i64| t % 1_000_000_000 == 0;
                self.as_of =
                    Some(thalweg_connectors::contacts::time_ns(&plain(value)).filter(whole).ok_or_else(wrong)?);
            }
            "every" => {
                let whole = |n: &i64| (1..=9_000_000_000).contains(n);
                self.every = Some(number(value, "whole seconds, 1 or more", whole)? * 1_000_000_000);
            }
            "columns" => {
                let pairs = match value {
                    Value::Table(table) => flat(table),
                    other => text(other)?.split(',').map(pair).collect::<Option<Vec<_>>>(),
                };
                let wrong = || (plain(value), "NAME=HEADER, divided by commas, each name once".to_string());
                let pairs = pairs.ok_or_else(wrong)?;
                let count = pairs.len();
                self.columns = pairs.into_iter().collect();
                if self.columns.len() != count {
                    return Err(wrong());
                }
            }
            "output" => self.output = Some(text(value)?),
            "output_format" => {
                self.output_format = match text(value)?.as_str() {
                    "table" => None,
                    "label" => Some(OutputFormat::Label),
                    "las" => Some(OutputFormat::Las),
                    other => return Err((other.into(), "table, label or las".into())),
                }
            }
            "format" => {
                let name = text(value)?;
                if thalweg_connectors::points::registry::by_name(&name).is_err() {
                    let names: Vec<_> = thalweg_connectors::FORMATS.iter().map(|f| f.name).collect();
                    return Err((name, names.join(", ")));
                }
                self.format = Some(name);
            }
            "model" => self.model = Some(text(value)?),
            "truth" => self.truth = Some(text(value)?.into()),
            "workers" => {
                self.workers = number(value, "a whole number from 1 to 256", |n| (1..=256).contains(n))? as usize
            }
            "processes" => {
                let range = |n: &i64| (1..=64).contains(n);
                self.processes = Some(number(value, "a whole number from 1 to 64", range)? as usize);
            }
            "hosts" => self.hosts = Some(text(value)?.into()),
            "process" => self.process = Some(number(value, "a number, 0 or more", |n| *n >= 0)? as usize),
            "json" => self.json = truth(value)?,
            "follow" => self.follow = truth(value)?,
            "loop" => self.looped = truth(value)?,
            "checkpoint" => self.checkpoint = Some(text(value)?.into()),
            "plot" => self.plot = Some(text(value)?.into()),
            "allow_model_change" => self.allow_model_change = truth(value)?,
            "rate" => {
                let rate = match value {
                    Value::Float(rate) => Some(*rate),
                    Value::Integer(rate) => Some(*rate as f64),
                    Value::String(rate) => rate.parse().ok(),
                    _ => None,
                };
                self.rate = rate
                    .filter(|rate| rate.is_finite() && *rate >= 0.0)
                    .ok_or_else(|| (plain(value), "a speed, 0 or more".to_string()))?;
            }
            "start_offset" => self.start_offset = number(value, "a position, 0 or more", |n| *n >= 0)? as u64,
            "until" => self.until = Some(number(value, "a position, 0 or more", |n| *n >= 0)? as u64),
            "on_error" => {
                self.on_error = match text(value)?.as_str() {
                    "stop" => Some(OnError::Stop),
                    "skip" => Some(OnError::Skip),
                    other => return Err((other.into(), "stop or skip".into())),
                }
            }
            "set" => {
                let Value::Table(set) = value else {
                    return Err((plain(value), "a table of key = value".into()));
                };
                self.set = set.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
            }
            other => {
                let names = OPTIONS.iter().map(|option| option.name).filter(|name| *name != "config");
                let names: Vec<_> = ["pipeline"].into_iter().chain(names).collect();
                return Err((format!("the unknown key {other}"), format!("one of {}", names.join(", "))));
            }
        }
        Ok(())
    }
}

/// A value as a person would write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text(value: &Value) -> Result<String, (String, String)> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        other => Err((plain(other), "a text".into())),
    }
}

fn texts(value: &Value) -> Result<Vec<String>, (String, String)> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, header) = text.split_once('=')?;
    (!name.trim().is_empty() && !header.is_empty()).then(|| (name.trim().to_string(), header.to_string()))
}

/// Pairs of a table, those of a table in it under its name: `contacts.t`.
fn flat(table: &Table) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                pairs.extend(flat(inner)?.into_iter().map(|(column, header)| (format!("{name}.{column}"), header)));
            }
            one => pairs.push((name.clone(), text(one).ok()?)),
        }
    }
    Some(pairs)
}

fn truth(value: &Value) -> Result<bool, (String, String)> {
    match value {
        Value::Boolean(truth) => Ok(*truth),
        other => Err((plain(other), "true or false".into())),
    }
}

fn number(value: &Value, expected: &str, fits: impl Fn(&i64) -> bool) -> Result<i64, (String, String)> {
    let found = match value {
        Value::Integer(number) => Some(*number),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    found.filter(fits).ok_or_else(|| (plain(value), expected.into()))
}
