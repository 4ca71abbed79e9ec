//! Who was truly infected: a table `person,state[,…]` of everyone ever infected, with the state at the moment in question.

use std::path::Path;

use crate::error::Error;
use crate::tables::names::{Column, Kind};
use crate::tables::options::TableOptions;
use crate::tables::values::{Cell, shown};
use crate::tables::whole;

static TRUTH: Kind = Kind {
    what: "truth",
    shares: false,
    may_be_empty: false,
    needs: "truth has person, state",
    columns: &[Column::id("person"), Column::must("state")],
    instead: None,
    bare: None,
};

/// Reads (person, whether E or I) from a table of any format. People who are not in it were never infected.
///
/// # Errors
/// A file that cannot be read, has no columns `person` and `state`, or another state than S, E, I, R.
pub fn truth(path: &Path) -> Result<Vec<(String, bool)>, Error> {
    let mut people = Vec::new();
    whole::rows(path, &TRUTH, &TableOptions::default(), |block, cells, row| {
        let malformed = |found: String, expected| Err(Error::malformed(path, block.places.at(row), found, expected));
        let infected = match cells[1].text(row) {
            Cell::Good(word) if matches!(&*word, "E" | "I") => true,
            Cell::Good(word) if matches!(&*word, "S" | "R") => false,
            Cell::Good(word) => return malformed(shown(&word), "a state S, E, I or R"),
            _ => return malformed("no state".into(), "a state S, E, I or R"),
        };
        match cells[0].text(row) {
            Cell::Good(id) => people.push((id.into_owned(), infected)),
            _ => return malformed("no person".into(), "an id"),
        }
        Ok(())
    })?;
    Ok(people)
}
