//! What a ready pipeline is: what it is called, what it uses, how it is run and evaluated, and what a run needs beside its settings.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use thalweg::Report;
use thalweg::cluster::Cluster;
use thalweg::report::Stats;
use thalweg_connectors::Notices;

use crate::failure::Failure;
use crate::keys::Listed;
use crate::options::Used;
use crate::output;
use crate::settings::Settings;
use crate::written::Written;

/// What a pipeline needs beside its settings.
pub struct Context {
    /// Set by a signal: read no more, finish, publish.
    pub drain: Arc<AtomicBool>,
    /// Where readers say what is no error; each is said once, at once.
    pub notices: Notices,
    /// What was read and written.
    pub written: Arc<Written>,
    /// The processes of the run, where there are several.
    pub cluster: Option<Cluster>,
    /// Shows the run's counters while it goes on.
    pub watch: Box<dyn Fn(Arc<Stats>)>,
}

impl Context {
    /// True in a process that does not lead: it reads and writes nothing of its own.
    pub fn follows(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| !cluster.leads())
    }
}

/// What `eval` measured.
#[derive(Debug)]
pub struct Measured {
    /// As one JSON object.
    pub json: Value,
    /// As text.
    pub text: String,
    /// What it left out and warned of on the way.
    pub report: Report,
}

/// A command of a pipeline: what it uses, and how it is done.
#[derive(Debug)]
pub struct Doing<T> {
    /// The options that it uses, as configuration files call them; `set` and `config` always are.
    pub options: Used,
    /// Its keys of `--set`.
    pub keys: Listed,
    /// A command line that shows it.
    pub example: &'static str,
    /// Does it.
    pub go: fn(&Settings, &Context) -> Result<T, Failure>,
}

/// A ready pipeline.
#[derive(Debug)]
pub struct Ready {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// The names of its models and what they are; the first is the default.
    pub models: fn() -> Vec<(&'static str, &'static str)>,
    /// Checks its settings without opening an input.
    pub check: fn(&Settings) -> Result<(), Failure>,
    /// `thalweg run`.
    pub run: Doing<Report>,
    /// `thalweg eval`, where it has one; the registry knows it.
    pub eval: Option<Doing<Measured>>,
}

impl<T> Doing<T> {
    /// The names of the options that it uses.
    pub fn used(&self) -> Vec<&'static str> {
        self.options.concat()
    }

    /// Does it, once every option has been found to be of use and the output to be no input; `command` is how messages call it.
    ///
    /// # Errors
    /// Those of the settings (exit 78) and of the command itself.
    pub fn with(&self, command: &str, settings: &Settings, context: &Context) -> Result<T, Failure> {
        let unused = settings.unused(&self.used(), command);
        if !unused.is_empty() {
            return Err(Failure::Config(unused));
        }
        let problems = output::problems(settings);
        if !problems.is_empty() {
            return Err(Failure::Config(problems));
        }
        if let Some(plot) = &settings.plot {
            output::picture("plot", plot, &settings.reads())?;
        }
        (self.go)(settings, context)
    }
}

impl Ready {
    /// The same pipeline with its `eval`.
    #[must_use]
    pub const fn evaluated(self, eval: Doing<Measured>) -> Ready {
        Ready { eval: Some(eval), ..self }
    }

    /// Checks a configuration file's settings for `run`, or for `eval` where there is one; nothing is opened.
    pub fn problems(&self, settings: &Settings) -> Vec<String> {
        let mut options = self.run.used();
        options.extend(self.eval.iter().flat_map(Doing::used));
        let mut problems = settings.unused(&options, &format!("run {}", self.name));
        if let Err(failure) = (self.check)(settings) {
            problems.extend(failure.to_string().lines().map(str::to_string));
        }
        problems.extend(output::problems(settings));
        problems
    }
}
