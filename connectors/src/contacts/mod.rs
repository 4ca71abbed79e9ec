//! Contacts and tests: rows of people who met and people who were tested, from tables in files, as a source of net changes.
//!
//! | file | columns | default |
//! | --- | --- | --- |
//! | contacts | `t,i,j[,duration][,diff]` | duration 20 s, diff 1 |
//! | tests | `t,person,result[,diff]` | diff 1 |
//!
//! Of any table format. A row that cannot be read is malformed: it is noted in [`Rejected`] and the run goes on.

mod kinds;
mod truth;

pub use kinds::column_names;
pub(crate) use kinds::{CONTACTS, TESTS};
pub use truth::truth;

pub use crate::rows::{Ids, Key, Pace, Rejected, WithRejected};
pub use crate::tables::format::TableFormat;
pub use crate::tables::names::ColumnNames;
pub use crate::tables::options::TableOptions;
pub use crate::tables::times::{TimeUnit, time_ns};

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thalweg::contacts::Fact;

use crate::error::Error;
use crate::notices::Notices;
use crate::on_error::OnError;
use crate::rows::file::Reading;
use crate::rows::{self, Feed, Known, Tables};
use kinds::Columns;

/// Several feeds of contacts and tests as one source.
pub type Merge = rows::Merge<Fact>;

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
    /// What becomes of a file that cannot be read; one to follow must at least open.
    pub on_error: OnError,
    /// Where readers say what is no error.
    pub notices: Notices,
}

/// Opens every file.
///
/// # Errors
/// One that cannot be opened, lacks a column in its header, or cannot be followed though it should.
pub fn open(options: &FilesOptions, rejected: &Arc<Rejected>) -> Result<Vec<Box<dyn Feed<Fact>>>, Error> {
    open_new(options, rejected, &mut Known::default())
}

/// Opens the files that are not known yet.
fn open_new(
    options: &FilesOptions,
    rejected: &Arc<Rejected>,
    known: &mut Known,
) -> Result<Vec<Box<dyn Feed<Fact>>>, Error> {
    let unit = options.tables.time_unit;
    let contacts = |_: &std::path::Path| Box::new(Columns::of(&CONTACTS, unit)) as _;
    let tests = |_: &std::path::Path| Box::new(Columns::of(&TESTS, unit)) as _;
    let tables = [
        Tables { paths: &options.contacts, kind: &CONTACTS, options: &options.tables, parse: &contacts },
        Tables { paths: &options.tests, kind: &TESTS, options: &options.tables, parse: &tests },
    ];
    let FilesOptions { format, tables: ref table_options, follow, on_error, ref notices, .. } = *options;
    rows::open(&tables, Reading { format, tables: table_options, follow, on_error, notices }, rejected, known)
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
    let (files, rejected) = (options.clone(), Arc::clone(rejected));
    let new = move |known: &mut Known| open_new(&files, &rejected, known);
    rows::source(&[&options.contacts, &options.tests], options.follow, new, Ids::new(key), pace, stop)
}
