//! Contacts and tests: rows of people who met and people who were tested, from tables in files, as a source of net changes.
//!
//! | file | columns | default |
//! | --- | --- | --- |
//! | contacts | `t,i,j[,duration][,diff]` | duration 20 s, diff 1 |
//! | tests | `t,person,result[,diff]` | diff 1 |
//!
//! Of any table format. A row that cannot be read is malformed: it is noted in [`Rejected`] and the run goes on.

mod file;
mod forgiving;
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

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thalweg::Next;
use thalweg::contacts::Fact;

use crate::error::Error;
use crate::notices::Notices;
use crate::points::folder::OnError;
use crate::points::order;
use forgiving::{Forgiving, pass_over};

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
    /// What becomes of a file that cannot be read; one to follow must at least open.
    pub on_error: OnError,
    /// Where readers say what is no error.
    pub notices: Notices,
}

/// Opens every file.
///
/// # Errors
/// One that cannot be opened, lacks a column in its header, or cannot be followed though it should.
pub fn open(options: &FilesOptions, rejected: &Arc<Rejected>) -> Result<Vec<Box<dyn Feed>>, Error> {
    let inputs = [(&options.contacts, &CONTACTS), (&options.tests, &TESTS)];
    let kinds = inputs.iter().filter(|(paths, _)| !paths.is_empty()).map(|(_, kind)| *kind).collect();
    let asked = Arc::new(file::Asked { columns: options.tables.columns.clone(), kinds });
    let mut feeds: Vec<Box<dyn Feed>> = Vec::new();
    for (paths, kind) in inputs {
        for path in paths {
            for file in tables_in(path)? {
                match file::open(&file, kind, options, rejected, &asked) {
                    Ok(feed) if options.on_error == OnError::Skip => {
                        feeds.push(Box::new(Forgiving::new(feed, &options.notices)));
                    }
                    Ok(feed) => feeds.push(feed),
                    Err(error) if options.on_error == OnError::Skip && !options.follow => {
                        pass_over(error, &options.notices)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    // The keys of JSON and the header of a pipe come later: the feed that ends last looks for these.
    let known = |path: &PathBuf| {
        let format = options.format.or_else(|| TableFormat::by_ending(path));
        path.is_file() && format.is_some_and(|format| format != TableFormat::Jsonl)
    };
    if !options.follow && options.contacts.iter().chain(&options.tests).all(known) {
        asked.check()?;
    }
    Ok(feeds)
}

/// The tables that a path means: itself, or those in the folder that it is, in the order of their names.
fn tables_in(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let io = |e| Error::io(path, e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && file.is_file() && TableFormat::by_ending(&file).is_some() {
            files.push(file);
        }
    }
    files.sort_by(|a, b| order::compare(a, b));
    if files.is_empty() {
        return Err(Error::unsupported(path, "a folder without tables", "files .csv, .tsv, .jsonl, .parquet, .arrow"));
    }
    Ok(files)
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
