//! Who was truly infected: a table `person,state[,…]` of everyone ever infected, with the state at the moment in question.

use std::path::Path;

use thalweg::Next;

use crate::error::Error;
use crate::notices::Notices;
use crate::tables::names::{Column, Kind};
use crate::tables::values::{Cell, Cells, shown};
use crate::tables::{self, Opening, TableOptions};

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
    let (options, notices) = (TableOptions::default(), Notices::default());
    let opening = Opening { kind: &TRUTH, options: &options, follow: false, notices: &notices };
    let mut table = tables::open(path, None, opening)?;
    let mut people = Vec::new();
    loop {
        let block = match table.next()? {
            Next::Item(block) => block,
            Next::Idle => {
                std::thread::sleep(std::time::Duration::from_millis(1));
                continue;
            }
            Next::End => return Ok(people),
        };
        if let Some(broken) = block.broken.first() {
            return Err(Error::malformed(path, broken.at.clone(), broken.reason.clone(), TRUTH.needs));
        }
        let cells: Vec<_> = block.columns.iter().flatten().map(Cells::of).collect();
        let [person, state] = &cells[..] else { return Ok(people) };
        for row in 0..block.rows {
            let malformed =
                |found: String, expected| Err(Error::malformed(path, block.places.at(row), found, expected));
            let infected = match state.text(row) {
                Cell::Good(word) if matches!(&*word, "E" | "I") => true,
                Cell::Good(word) if matches!(&*word, "S" | "R") => false,
                Cell::Good(word) => return malformed(shown(&word), "a state S, E, I or R"),
                _ => return malformed("no state".into(), "a state S, E, I or R"),
            };
            match person.text(row) {
                Cell::Good(id) => people.push((id.into_owned(), infected)),
                _ => return malformed("no person".into(), "an id"),
            }
        }
    }
}
