//! The one error enum of the core: which part of a run failed, and why.

/// What a source, a stage or a sink may fail with; its message names the file, the place, what was found and what was expected.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a run, a model or a graph could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A source could not deliver its next item.
    #[error("{}", named(name, error))]
    Source {
        /// The source's name.
        name: String,
        /// Its own error.
        error: BoxError,
    },
    /// A stage refused its input.
    #[error("stage {stage}, epoch {epoch}{}: {error}", bracketed(place))]
    Stage {
        /// The name of its node in the plan.
        stage: String,
        /// The epoch it was working on.
        epoch: crate::Epoch,
        /// Where the items of that epoch stand in their sources; empty where these did not say.
        place: String,
        /// Its own error.
        error: BoxError,
    },
    /// A sink could not write or publish.
    #[error("{}", named(name, error))]
    Sink {
        /// The sink's name.
        name: String,
        /// Its own error.
        error: BoxError,
    },
    /// A thread of the run panicked: a defect of the program, reported instead of a hang.
    #[error("{thread} panicked: {message}")]
    Panic {
        /// Which thread.
        thread: String,
        /// The panic's message.
        message: String,
    },
    /// A process of the run has gone or does not answer. With checkpoints the run can be begun again.
    #[error("process {process}: {message}")]
    Lost {
        /// Which process.
        process: usize,
        /// What was seen of it.
        message: String,
    },
    /// A number that the caller chose is out of its range.
    #[error("{what}: found {found}, expected {expected}")]
    Value {
        /// The parameter.
        what: &'static str,
        /// The value given.
        found: String,
        /// The values allowed.
        expected: String,
    },
    /// Two things whose shapes must fit do not: matrices and graphs of a layer, columns of a frame.
    #[error("{what}: found {found}, expected {expected}")]
    Shape {
        /// What was to be computed, or the thing itself.
        what: String,
        /// The shape that came.
        found: String,
        /// The shape that fits the rest.
        expected: String,
    },
    /// A model file that is not what its architecture needs.
    #[error("model {name}: {place}: found {found}, expected {expected}")]
    Model {
        /// The model's name or path.
        name: String,
        /// The tensor or key.
        place: String,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// A model was stopped from outside before it had come to a result.
    #[error("stopped by a signal")]
    Interrupted,
    /// A plan that cannot run.
    #[error("plan: {0}")]
    Plan(String),
    /// The dataflow runtime could not start.
    #[error("dataflow runtime: {0}")]
    Runtime(String),
}

/// A place behind what it is said of.
fn bracketed(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" ({place})") }
}

/// The error with its name before it, unless it begins with that name of its own.
fn named(name: &str, error: &BoxError) -> String {
    let text = error.to_string();
    if text.starts_with(name) { text } else { format!("{name}: {text}") }
}

impl Error {
    /// An [`Error::Shape`] unless both are the same.
    pub(crate) fn unless_same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Error> {
        if found == expected {
            return Ok(());
        }
        Err(Error::Shape { what: what.into(), found: format!("{found:?}"), expected: format!("{expected:?}") })
    }
}
