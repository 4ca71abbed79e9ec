//! The true classes of nodes: a column of whole numbers in a table of nodes, or a table `node,label`.

use std::path::Path;

use crate::error::Error;
use crate::tables::names::{Column, ColumnNames, Kind};
use crate::tables::options::TableOptions;
use crate::tables::values::Cell;
use crate::tables::whole;

static LABELS: Kind = Kind {
    what: "labels",
    shares: false,
    may_be_empty: false,
    needs: "labels have node, label",
    columns: &[Column::id("node"), Column::must("label")],
    instead: None,
    bare: None,
};

/// Reads (node, class) from a table of any format, whose column `label` holds classes from 0. A negative label or a missing one is none; of
/// two labels of one node the last counts.
///
/// # Errors
/// A file that cannot be read, has no such columns, or a label that is no whole number.
pub fn labels(path: &Path, label: &str) -> Result<Vec<(String, usize)>, Error> {
    let options = TableOptions { columns: ColumnNames::one("label", label), ..TableOptions::default() };
    let mut labels = Vec::new();
    whole::rows(path, &LABELS, &options, |block, cells, row| {
        let malformed = |found: String, expected| Err(Error::malformed(path, block.places.at(row), found, expected));
        let class = match cells[1].whole(row, block.decimal_comma) {
            Cell::Missing => return Ok(()),
            Cell::Good(class) => class,
            Cell::Bad(found) => return malformed(found, "a class, a whole number from 0"),
        };
        let Ok(class) = usize::try_from(class) else { return Ok(()) };
        match cells[0].text(row) {
            Cell::Good(id) => labels.push((id.into_owned(), class)),
            _ => return malformed("no node".into(), "an id"),
        }
        Ok(())
    })?;
    Ok(labels)
}
