//! Edges and nodes of a graph: rows of tables with stamps, as a source for networks.
//!
//! | file | columns |
//! | --- | --- |
//! | edges | `t,src,dst[,attributes...][,diff]` |
//! | nodes | `t,node,features...[,diff]`, or one column of lists in place of the features |
//!
//! Of any table format. A row that cannot be read is malformed: it is noted in [`Rejected`] and the run goes on.

mod kinds;
mod labels;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thalweg::graph::GraphRow;

use crate::error::Error;
use crate::notices::Notices;
use crate::on_error::OnError;
use crate::rows::file::Reading;
use crate::rows::{self, Feed, Ids, Key, Known, Pace, Rejected, Tables};
use crate::tables::format::TableFormat;
use crate::tables::names::Rest;
use crate::tables::options::TableOptions;
use kinds::Columns;

pub(crate) use kinds::{EDGES, NODES};
pub use kinds::{Wanted, column_names};
pub use labels::labels;

/// Several feeds of edges and nodes as one source.
pub type Merge = rows::Merge<GraphRow>;

/// Which files to read, and how.
#[derive(Clone, Debug, Default)]
pub struct FilesOptions {
    /// Tables of edges.
    pub edges: Vec<PathBuf>,
    /// Tables of nodes.
    pub nodes: Vec<PathBuf>,
    /// The format of every file, else guessed from each.
    pub format: Option<TableFormat>,
    /// What columns are called, and what times count.
    pub tables: TableOptions,
    /// Edge attributes; none of an edge are read where the network wants none.
    pub attributes: Wanted,
    /// Node features.
    pub features: Wanted,
    /// A column of the nodes that is no feature: their labels.
    pub label: Option<String>,
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
pub fn open(options: &FilesOptions, rejected: &Arc<Rejected>) -> Result<Vec<Box<dyn Feed<GraphRow>>>, Error> {
    open_new(options, rejected, &mut Known::default())
}

/// Opens the files that are not known yet.
fn open_new(
    options: &FilesOptions,
    rejected: &Arc<Rejected>,
    known: &mut Known,
) -> Result<Vec<Box<dyn Feed<GraphRow>>>, Error> {
    let with = |wanted: &Wanted, but: Option<&String>| {
        let rest = match &wanted.names {
            Some(names) => Rest::Named(names.as_slice().into()),
            None => Rest::All(but.into_iter().cloned().collect(), Arc::clone(&wanted.order)),
        };
        TableOptions { columns: options.tables.columns.with_rest(rest), ..options.tables.clone() }
    };
    let (of_edges, of_nodes) = (with(&options.attributes, None), with(&options.features, options.label.as_ref()));
    let unit = options.tables.time_unit;
    let notices = &options.notices;
    let edges = |path: &Path| Box::new(Columns::of_edges(path, unit, &options.attributes, notices)) as _;
    let nodes = |path: &Path| Box::new(Columns::of_nodes(path, unit, &options.features, notices)) as _;
    let tables = [
        Tables { paths: &options.edges, kind: &EDGES, options: &of_edges, parse: &edges },
        Tables { paths: &options.nodes, kind: &NODES, options: &of_nodes, parse: &nodes },
    ];
    let FilesOptions { format, follow, on_error, .. } = *options;
    rows::open(&tables, Reading { format, tables: &options.tables, follow, on_error, notices }, rejected, known)
}

/// Rows from files as a source; see [`rows::Merge`] for its order and its epochs.
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
    rows::source(&[&options.edges, &options.nodes], options.follow, new, Ids::new(key), pace, stop)
}
