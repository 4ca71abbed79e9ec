//! Small tables read as a whole: a row that cannot be used is an error.

use std::path::Path;

use thalweg::Next;

use super::names::Kind;
use super::open;
use super::options::{Opening, TableOptions};
use super::table::Block;
use super::values::Cells;
use crate::error::Error;
use crate::notices::Notices;

/// Hands every row of a table of any format to `each`: its block, the kind's columns, and its place in the block.
///
/// # Errors
/// A file that cannot be read, lacks a column of the kind, or has a broken record; those of `each`.
pub(crate) fn rows(
    path: &Path,
    kind: &'static Kind,
    options: &TableOptions,
    mut each: impl FnMut(&Block, &[Cells], usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let opening = Opening { kind, options, follow: false, notices: &Notices::default() };
    let mut table = open(path, None, opening)?;
    loop {
        let block = match table.next()? {
            Next::Item(block) => block,
            Next::Idle => {
                std::thread::sleep(std::time::Duration::from_millis(1));
                continue;
            }
            Next::End => return Ok(()),
        };
        if let Some(broken) = block.broken.first() {
            return Err(Error::malformed(path, broken.at.clone(), broken.reason.clone(), kind.needs));
        }
        let cells: Vec<Cells> = block.columns.iter().flatten().map(Cells::of).collect();
        (0..block.rows).filter(|_| cells.len() == kind.columns.len()).try_for_each(|row| each(&block, &cells, row))?;
    }
}
