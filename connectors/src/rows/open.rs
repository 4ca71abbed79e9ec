//! Opens the tables of an input: files, and folders of files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use thalweg::asof::Stamped;

use super::feed::{Feed, Parse, Summed};
use super::file::{self, Reading};
use super::forgiving::{Forgiving, pass_over};
use super::ids::Ids;
use super::merge::{Merge, Pace};
use super::rejected::Rejected;
use crate::error::Error;
use crate::on_error::OnError;
use crate::order;
use crate::tables::format::TableFormat;
use crate::tables::names::Kind;
use crate::tables::options::TableOptions;

/// Tables of one kind, and what parses each of them.
pub(crate) struct Tables<'a, F> {
    pub paths: &'a [PathBuf],
    pub kind: &'static Kind,
    pub options: &'a TableOptions,
    pub parse: &'a dyn Fn(&Path) -> Box<dyn Parse<F>>,
}

/// The files that were opened, so that a folder can be looked at again.
pub(crate) type Known = HashSet<PathBuf>;

/// How long a file that cannot be read must have stood unchanged to count as whole, where it came into a folder that is followed.
const SETTLED: Duration = Duration::from_secs(2);

/// Opens every file that is not known yet.
///
/// # Errors
/// One that cannot be opened, lacks a column in its header, or cannot be followed though it should.
pub(crate) fn open<F: Send + 'static>(
    tables: &[Tables<F>],
    reading: Reading,
    rejected: &Arc<Rejected>,
    known: &mut Known,
) -> Result<Vec<Box<dyn Feed<F>>>, Error> {
    let kinds = tables.iter().filter(|tables| !tables.paths.is_empty()).map(|tables| tables.kind).collect();
    let asked = Arc::new(file::Asked { columns: reading.tables.columns.clone(), kinds });
    let (mut feeds, first): (Vec<Box<dyn Feed<F>>>, bool) = (Vec::new(), known.is_empty());
    // Who names a file twice has its rows twice.
    let mut opened = Vec::new();
    for Tables { paths, kind, options, parse } in tables {
        let reading = Reading { tables: options, ..reading };
        for path in paths.iter() {
            for file in tables_in(path, reading.follow)? {
                if known.contains(&file) {
                    continue;
                }
                // A Parquet file in a folder does not grow: it comes whole.
                let parquet = reading.format.or_else(|| TableFormat::by_ending(&file)) == Some(TableFormat::Parquet);
                let follow = reading.follow && !(parquet && path.is_dir());
                let reading = Reading { follow, ..reading };
                match file::open(&file, kind, parse(&file), &reading, rejected, &asked) {
                    Ok(feed) if reading.on_error == OnError::Skip => {
                        feeds.push(Box::new(Forgiving::new(feed, reading.notices)));
                    }
                    Ok(feed) => feeds.push(feed),
                    Err(_) if !first && !settled(&file) => continue,
                    Err(error) if reading.on_error == OnError::Skip && !(reading.follow && first) => {
                        pass_over(error, reading.notices)?;
                    }
                    Err(error) => return Err(error),
                }
                opened.push(file);
            }
        }
    }
    known.extend(opened);
    // The keys of JSON and the header of a pipe come later: the feed that ends last looks for these.
    let known = |path: &PathBuf| {
        let format = reading.format.or_else(|| TableFormat::by_ending(path));
        path.is_file() && format.is_some_and(|format| format != TableFormat::Jsonl)
    };
    if !reading.follow && tables.iter().flat_map(|tables| tables.paths).all(known) {
        asked.check()?;
    }
    Ok(feeds)
}

/// The rows of files as a source, those among them that come into followed folders. `new` opens the files that are not known yet.
///
/// # Errors
/// See [`open`].
pub(crate) fn source<F: Stamped + Summed>(
    paths: &[&[PathBuf]],
    follow: bool,
    mut new: impl FnMut(&mut Known) -> Result<Vec<Box<dyn Feed<F>>>, Error> + Send + 'static,
    ids: Ids,
    pace: Pace,
    stop: &Arc<AtomicBool>,
) -> Result<Merge<F>, Error> {
    let paths = paths.concat();
    let name = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let mut known = Known::new();
    let merge = Merge::new(name, new(&mut known)?, ids, pace, follow, Arc::clone(stop));
    let folders = paths.iter().any(|path| path.is_dir());
    Ok(if folders { merge.with_more(Box::new(move || new(&mut known))) } else { merge })
}

/// True if nobody has written into a file for a while.
fn settled(path: &Path) -> bool {
    let written = std::fs::metadata(path).and_then(|file| file.modified());
    written.ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age >= SETTLED)
}

/// The tables that a path means: itself, or those in the folder that it is, in the order of their names.
///
/// One that is followed may be empty.
fn tables_in(path: &Path, follow: bool) -> Result<Vec<PathBuf>, Error> {
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
    if files.is_empty() && !follow {
        return Err(Error::unsupported(path, "a folder without tables", "files .csv, .tsv, .jsonl, .parquet, .arrow"));
    }
    Ok(files)
}
