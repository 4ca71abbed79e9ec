//! What a format that holds frames is: its names, and its reader.

use std::path::{Path, PathBuf};

use thalweg::{Frame, Next};

use super::options::ReadOptions;
use crate::error::Error;

/// One open file that holds one or more frames.
///
/// [`Frame::id`] is the frame column's value if the format has one, else 0.
///
/// ```
/// use thalweg_connectors::ReadOptions;
/// use thalweg_connectors::points::registry;
///
/// let path = std::env::temp_dir().join("thalweg-doc-reader.ply");
/// let text = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n";
/// std::fs::write(&path, text)?;
/// let mut reader = registry::open(&path, &ReadOptions::default())?;
/// while let thalweg::Next::Item(frame) = reader.next_frame()? {
///     assert_eq!((frame.len(), frame.y[0]), (1, 2.0));
/// }
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Reader: Send {
    /// The next frame; [`Next::Idle`] where a file that may grow has no whole one at present.
    ///
    /// # Errors
    /// A file that cannot be read, or breaks its format.
    fn next_frame(&mut self) -> Result<Next<Frame>, Error>;

    /// The file grows no more: what is left of it is read, then comes [`Next::End`].
    fn close(&mut self) {}

    /// True if the input numbers its frames itself; else a frame's position among the input's files is its number.
    fn has_frame_ids(&self) -> bool {
        false
    }
}

/// Opens one file.
pub type Open = fn(&Path, &ReadOptions) -> Result<Box<dyn Reader>, Error>;

/// A format that holds frames.
#[derive(Debug)]
pub struct Format {
    /// What `--format` calls it.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Endings of file names, lower case, without the first dot; the longest that fits wins over all formats.
    pub extensions: &'static [&'static str],
    /// First bytes of its files, for a name without a known ending; empty if the format has none.
    pub magic: &'static [&'static [u8]],
    /// A file may hold several frames.
    pub many: bool,
    /// Opens a file of it.
    pub open: Open,
}

/// Reads the only frame of a file.
pub(crate) type ReadOne = fn(&Path, &ReadOptions) -> Result<Frame, Error>;

/// A reader of a format with one frame a file; the file is read when the frame is asked for.
pub(crate) fn one_frame(path: &Path, options: &ReadOptions, read: ReadOne) -> Box<dyn Reader> {
    Box::new(OneFrame { path: path.into(), options: options.clone(), read: Some(read) })
}

struct OneFrame {
    path: PathBuf,
    options: ReadOptions,
    read: Option<ReadOne>,
}

impl Reader for OneFrame {
    fn next_frame(&mut self) -> Result<Next<Frame>, Error> {
        Ok(match self.read.take() {
            Some(read) => {
                let frame = read(&self.path, &self.options)?;
                self.options.look(&frame);
                Next::Item(frame)
            }
            None => Next::End,
        })
    }
}
