//! Contacts and tests: rows of people who met and people who were tested, from tables in files, as a source of net changes.
//!
//! | file | columns | default |
//! | --- | --- | --- |
//! | contacts | `t,i,j[,duration][,diff]` | duration 20 s, diff 1 |
//! | tests | `t,person,result[,diff]` | diff 1 |
//!
//! Of any table format. A row that cannot be read is malformed: it is noted in [`Rejected`] and the run goes on.

mod file;
mod hash;
mod merge;
mod people;
mod rejected;
mod rows;
mod truth;

pub use hash::Key;
pub use merge::{Merge, Pace};
pub use people::People;
pub use rejected::{Rejected, WithRejected};
pub(crate) use rows::{CONTACTS, TESTS};
pub use truth::truth;

pub use crate::tables::times::time_ns;
pub use crate::tables::{ColumnNames, TableFormat, TableOptions, TimeUnit};

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thalweg::Next;
use thalweg::contacts::Fact;

use crate::error::Error;
use crate::notices::Notices;

/// Rows one after the other, in the order in which they came in.
pub trait Feed: Send {
    /// The next row and its diff; [`Next::Idle`] where there is none at present.
    ///
    /// # Errors
    /// An input that cannot be read any further.
    fn next(&mut self, people: &mut People) -> Result<Next<(Fact, i32)>, Error>;

    /// The input grows no more: what is left of it may be read.
    fn close(&mut self) {}
}

/// Which files to read, and how.
#[derive(Clone, Debug, Default)]
pub struct FilesOptions {
    /// Tables of contacts.
    pub contacts: Vec<PathBuf>,
    /// Tables of tests.
    pub tests: Vec<PathBuf>,
    /// The format of every file, else guessed from each.
    pub format: Option<TableFormat>,
    /// What columns are called, and what times count.
    pub tables: TableOptions,
    /// Go on as the files grow, until stopped.
    pub follow: bool,
    /// Where readers say what is no error.
    pub notices: Notices,
}

/// Opens every file.
///
/// # Errors
/// One that cannot be opened, lacks a column in its header, or cannot be followed though it should.
pub fn open(options: &FilesOptions, rejected: &Arc<Rejected>) -> Result<Vec<Box<dyn Feed>>, Error> {
    let contacts = options.contacts.iter().map(|path| (path, &CONTACTS));
    let tests = options.tests.iter().map(|path| (path, &TESTS));
    contacts.chain(tests).map(|(path, kind)| file::open(path, kind, options, rejected)).collect()
}

/// Rows from files as a source; see [`Merge`] for its order and its epochs.
///
/// # Errors
/// See [`open`].
pub fn source(
    options: &FilesOptions,
    key: Option<Key>,
    pace: Pace,
    stop: &Arc<AtomicBool>,
    rejected: &Arc<Rejected>,
) -> Result<Merge, Error> {
    let names = options.contacts.iter().chain(&options.tests).map(|path| path.display().to_string());
    let name = names.collect::<Vec<_>>().join(", ");
    Ok(Merge::new(name, open(options, rejected)?, People::new(key), pace, options.follow, Arc::clone(stop)))
}
