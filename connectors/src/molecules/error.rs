//! Why a frame of atoms could not be read.

use std::io;
use std::path::Path;

use crate::error::{At, Error};

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoleculeError {
    /// The operating system refused, or gzip data are broken.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The frame breaks its format, or is no molecule.
    #[error("line {line}: found {found}, expected {expected}")]
    Malformed {
        /// The line, from 1.
        line: u64,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
        /// True if the next frame can be read.
        recoverable: bool,
    },
}

impl MoleculeError {
    /// One frame is lost; the next can be read.
    pub(super) fn frame(line: u64, found: impl Into<String>, expected: impl Into<String>) -> MoleculeError {
        MoleculeError::Malformed { line, found: found.into(), expected: expected.into(), recoverable: true }
    }

    /// The same, but nothing says where the next frame begins.
    pub(super) fn last(mut self) -> MoleculeError {
        if let MoleculeError::Malformed { recoverable, .. } = &mut self {
            *recoverable = false;
        }
        self
    }

    /// True if the error is about one frame, and the reader can go on with the next.
    pub fn recoverable(&self) -> bool {
        matches!(self, MoleculeError::Malformed { recoverable: true, .. })
    }

    /// The same as the connectors' error about a file.
    pub fn at(self, path: &Path) -> Error {
        match self {
            MoleculeError::Io(error) => Error::io(path, error),
            MoleculeError::Malformed { line, found, expected, .. } => {
                Error::malformed(path, At::Line(line), found, expected)
            }
        }
    }
}

/// Text as a message shows it: quoted, and no longer than 40 characters.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}
