//! Opens the tables of an input: files, and folders of files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use thalweg::Next;
use thalweg::asof::Stamped;

use super::feed::{Feed, Parse, Summed};
use super::file::{self, Reading};
use super::forgiving::{Forgiving, pass_over};
use super::ids::Ids;
use super::merge::{Merge, Pace};
use super::rejected::Rejected;
use crate::error::Error;
use crate::files::{is_hidden, leads_nowhere};
use crate::notices::Notices;
use crate::on_error::OnError;
use crate::order;
use crate::tables;
use crate::tables::format::TableFormat;
use crate::tables::names::Kind;
use crate::tables::options::{Opening, TableOptions};

/// Tables of one kind, and what parses each of them.
pub(crate) struct Tables<'a, F> {
    pub paths: &'a [PathBuf],
    pub kind: &'static Kind,
    pub options: &'a TableOptions,
    pub parse: &'a dyn Fn(&Path) -> Box<dyn Parse<F>>,
}

/// The files that were looked at, so that a folder can be looked at again.
#[derive(Default)]
pub(crate) struct Known {
    files: HashSet<PathBuf>,
    /// Whether anybody has looked before.
    looked: bool,
    /// Whether this is the last look: what cannot be read now will not be.
    last: bool,
}

/// How the tables of a folder end, for messages.
const ENDINGS: &str = ".csv, .tsv, .jsonl, .parquet or .arrow";

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
    let (mut feeds, first): (Vec<Box<dyn Feed<F>>>, bool) = (Vec::new(), !known.looked);
    // Who names a file twice has its rows twice.
    let mut opened = Vec::new();
    let mut named: u16 = 0;
    for Tables { paths, kind, options, parse } in tables {
        let reading = Reading { tables: options, ..reading };
        for path in paths.iter() {
            named = named.saturating_add(1);
            let Found { files, others } = tables_in(path, reading.follow)?;
            let stands = |file: &PathBuf| first || known.last || settled(file);
            let others = others.into_iter().filter(|file| !known.files.contains(file) && stands(file));
            let others: Vec<PathBuf> = others.collect();
            if let Some(text) = passed_over(&others, kind, options) {
                reading.notices.warn(path, text);
            }
            opened.extend(others);
            for file in files {
                if known.files.contains(&file) {
                    continue;
                }
                // A Parquet file in a folder does not grow: it comes whole. So does a packed one, which does not say when it is.
                let parquet = reading.format.or_else(|| TableFormat::by_ending(&file)) == Some(TableFormat::Parquet);
                let packed = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
                let follow = reading.follow && !((parquet || packed) && path.is_dir());
                if packed && reading.follow && !follow && !known.last && !settled(&file) {
                    continue;
                }
                let reading = Reading { follow, ..reading };
                match file::open(&file, named, kind, parse(&file), &reading, rejected, &asked) {
                    Ok(feed) if reading.on_error == OnError::Skip => {
                        feeds.push(Box::new(Forgiving::new(feed, reading.notices)));
                    }
                    Ok(feed) => feeds.push(feed),
                    Err(error) if known.last => pass_over(error, reading.notices)?,
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
    known.files.extend(opened);
    known.looked = true;
    // The keys of JSON and the header of a pipe come later: the feed that ends last looks for these.
    let known = |path: &PathBuf| TableFormat::has_header(path, reading.format);
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
    let mut known = Known::default();
    let merge = Merge::new(name, new(&mut known)?, ids, pace, follow, Arc::clone(stop));
    let folders = paths.iter().any(|path| path.is_dir());
    let more = move |last: bool| {
        known.last = last;
        new(&mut known)
    };
    Ok(if folders { merge.with_more(Box::new(more)) } else { merge })
}

/// True if nobody has written into a file for a while.
fn settled(path: &Path) -> bool {
    let written = std::fs::metadata(path).and_then(|file| file.modified());
    written.ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age >= SETTLED)
}

/// What a path means.
struct Found {
    /// Tables: itself, or those in the folder that it is, in the order of their names.
    files: Vec<PathBuf>,
    /// Other files of the folder.
    others: Vec<PathBuf>,
}

/// The tables that a path means; a folder that is followed may be empty.
fn tables_in(path: &Path, follow: bool) -> Result<Found, Error> {
    if !path.is_dir() {
        return Ok(Found { files: vec![path.into()], others: Vec::new() });
    }
    let io = |e| Error::io(path, e);
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        match TableFormat::by_ending(&file) {
            _ if is_hidden(&file) => {}
            Some(_) if file.is_file() || leads_nowhere(&file) => files.push(file),
            None if file.is_file() => others.push(file),
            _ => {}
        }
    }
    files.sort_by(|a, b| order::compare(a, b));
    others.sort_by(|a, b| order::compare(a, b));
    if files.is_empty() && !follow {
        return Err(Error::unsupported(path, "a folder without tables", "files .csv, .tsv, .jsonl, .parquet, .arrow"));
    }
    Ok(Found { files, others })
}

/// What is said of files of a folder that are tables by what they hold, and not by their names.
fn passed_over(others: &[PathBuf], kind: &'static Kind, options: &TableOptions) -> Option<String> {
    // What is found here is not what a name of `--columns` asked for.
    let options = TableOptions { columns: options.columns.apart(), ..options.clone() };
    let holds_rows = |file: &&PathBuf| {
        let opening = Opening { kind, options: &options, follow: false, notices: &Notices::default() };
        let first = tables::open(file, None, opening).and_then(|mut table| table.next());
        matches!(first, Ok(Next::Item(block)) if block.rows > 0)
    };
    let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = others.iter().filter(holds_rows).map(name).collect();
    let more = names.len().saturating_sub(5);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("passed over {shown}{more}: the tables of a folder end in {ENDINGS}"))
}

/// What is said of the tables in a folder that a run over rows of a kind would not read.
pub(crate) fn passed_over_in(folder: &Path, kind: &'static Kind) -> Option<String> {
    let found = tables_in(folder, true).ok()?;
    passed_over(&found.others, kind, &TableOptions::default())
}
