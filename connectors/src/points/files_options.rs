//! How the inputs of a run of frames are read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::format::Format;
use super::options::ReadOptions;
use crate::on_error::OnError;

/// How to read the inputs.
#[derive(Clone, Debug)]
pub struct FilesOptions {
    /// What every reader is told.
    pub read: ReadOptions,
    /// The format of every file, else guessed from each name.
    pub format: Option<&'static Format>,
    /// Position of the first frame to deliver, over all inputs.
    pub start_offset: u64,
    /// Position of the first frame not to deliver any more.
    pub until: Option<u64>,
    /// Go on as the folders or the files grow, until `stop`, or until the run is asked to drain (`Pipeline::drain_when`).
    pub follow: bool,
    /// How long a file of a followed folder must rest that does not say itself when it is whole.
    pub settle: Duration,
    /// What becomes of a file that cannot be read.
    pub on_error: OnError,
    /// Of a folder that is followed, a file that keeps the order in which its files come, so that a run can go on.
    pub arrivals: Option<PathBuf>,
    /// Of a folder that is followed, frames before this position were read by a run before this one: those that are read again must be there.
    pub before: u64,
    /// Of inputs that are followed, a frame further (ns) behind the newest one than this is left out, `late`.
    pub lateness: Option<i64>,
    /// Of inputs that are followed, a frame further (ns) ahead of all before it than this is left out, `out_of_range`, unless the one before it
    /// was too and lies within the same distance: time has gone on then.
    pub ahead: Option<i64>,
    /// Of a folder that is followed, files are read as far as the run keeps up: of those that are whole the newest, the others are left out,
    /// `overrun`.
    pub newest: bool,
    /// Whether positions have checksums of the frames.
    pub sums: bool,
    /// A frame without a pose is of no use: the scan of a followed sequence waits for its own.
    pub poses: bool,
    /// Ends this source alone when it is set: what is in a followed input already is delivered, as far as that takes no longer than about a second, then the source ends.
    pub stop: Arc<AtomicBool>,
}

impl Default for FilesOptions {
    fn default() -> FilesOptions {
        FilesOptions {
            read: ReadOptions::default(),
            format: None,
            start_offset: 0,
            until: None,
            follow: false,
            settle: Duration::from_secs(2),
            on_error: OnError::Stop,
            arrivals: None,
            before: 0,
            lateness: None,
            ahead: None,
            newest: false,
            sums: false,
            poses: false,
            stop: Arc::default(),
        }
    }
}
