//! How the program fails: each kind with its exit code.

use std::fmt::Display;

use crate::supervised::{self, LOST};

/// A reason to stop, with its exit code.
#[derive(Debug)]
pub enum Failure {
    /// 1: failed while running; an unreadable input or model file.
    Run(String),
    /// 1, or [`LOST`] where a supervisor begins again: another process of the run has gone.
    Lost(String),
    /// 2: an unknown command, pipeline or option.
    Usage(String),
    /// 78: bad values, keys or names, each named.
    Config(Vec<String>),
}

impl Failure {
    /// Failed while running.
    pub fn run(error: impl Display) -> Failure {
        Failure::Run(error.to_string())
    }

    /// One bad value.
    pub fn config(problem: impl Display) -> Failure {
        Failure::Config(vec![problem.to_string()])
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Lost(_) if supervised::supervised() => LOST,
            Failure::Run(_) | Failure::Lost(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Config(_) => 78,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Run(message) | Failure::Lost(message) | Failure::Usage(message) => f.write_str(message),
            Failure::Config(problems) => f.write_str(&problems.join("\n")),
        }
    }
}

impl From<thalweg::Error> for Failure {
    fn from(error: thalweg::Error) -> Self {
        match error {
            thalweg::Error::Lost { .. } => Failure::Lost(error.to_string()),
            thalweg::Error::Value { .. } | thalweg::Error::Plan(_) => Failure::config(error),
            // An input that does not fit what was asked for, as it shows while it is read.
            thalweg::Error::Source { error: ref inner, .. } if is_value(inner) => Failure::config(error),
            other => Failure::run(other),
        }
    }
}

impl From<thalweg_connectors::Error> for Failure {
    fn from(error: thalweg_connectors::Error) -> Self {
        match error {
            thalweg_connectors::Error::Value { .. } => Failure::config(error),
            other => Failure::run(other),
        }
    }
}

fn is_value(error: &thalweg::BoxError) -> bool {
    matches!(error.downcast_ref(), Some(thalweg_connectors::Error::Value { .. }))
}
