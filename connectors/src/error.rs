//! The one error enum of the connectors: which file, which place in it, what was found there and what was expected.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place inside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// The file as a whole.
    File,
    /// Somewhere in the header.
    Header,
    /// A byte offset from the file's first byte, from 0.
    Offset(u64),
    /// A line of text, from 1.
    Line(u64),
    /// A row of a table or a record of a list, from 0.
    Row(u64),
    /// A column, property, key or header field, by its name.
    Field(String),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::File => f.write_str("the file"),
            At::Header => f.write_str("header"),
            At::Offset(offset) => write!(f, "offset {offset}"),
            At::Line(line) => write!(f, "line {line}"),
            At::Row(row) => write!(f, "row {row}"),
            At::Field(name) => write!(f, "field {name}"),
        }
    }
}

/// Why an input could not be read or an output could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        error: std::io::Error,
    },
    /// The content breaks its format.
    #[error("{}: {at}: found {found}, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The place in it.
        at: At,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// The content is sound, but of a kind that is not read or written here.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Unsupported {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What is read or written here.
        expected: String,
    },
    /// A name or number that the caller chose is not among those there are.
    #[error("{what}: found {found}, expected {expected}")]
    Value {
        /// The option.
        what: &'static str,
        /// The value given.
        found: String,
        /// The values allowed.
        expected: String,
    },
}

impl Error {
    /// The file or folder that it is about; empty where it is about an option.
    pub fn path(&self) -> &Path {
        match self {
            Error::Io { path, .. } | Error::Malformed { path, .. } | Error::Unsupported { path, .. } => path,
            Error::Value { .. } => Path::new(""),
        }
    }

    /// An [`Error::Io`] at `path`.
    pub fn io(path: &Path, error: std::io::Error) -> Error {
        Error::Io { path: path.into(), error }
    }

    /// An [`Error::Malformed`] at a place of `path`.
    pub fn malformed(path: &Path, at: At, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::Malformed { path: path.into(), at, found: found.into(), expected: expected.into() }
    }

    /// An [`Error::Unsupported`] for `path`.
    pub fn unsupported(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::Unsupported { path: path.into(), found: found.into(), expected: expected.into() }
    }
}
