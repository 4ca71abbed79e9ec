//! Who was truly infected: a table `person,state[,…]` of everyone ever infected, with the state at the moment in question.

use std::path::Path;

use crate::error::{At, Error};
use crate::files::lines::Lines;
use crate::tables::csv::{header, split};

/// Reads (person, whether E or I) from CSV or TSV, gzipped or not. People who are not in it were never infected.
///
/// # Errors
/// A file that cannot be read, has no columns `person` and `state`, or another state than S, E, I, R.
pub fn truth(path: &Path) -> Result<Vec<(String, bool)>, Error> {
    let mut lines = Lines::open(path, false)?;
    let (delimiter, names) = header(lines.next()?.map_or(&[], |(_, line)| line));
    let cells = |line: &[u8]| {
        let mut cells = Vec::new();
        split(line, delimiter, |_, cell| cells.push(String::from_utf8_lossy(cell).into_owned()));
        cells
    };
    let place = |name: &str| {
        let missing = || Error::malformed(path, At::Header, names.join(", "), format!("a column {name}"));
        names.iter().position(|n| n == name).ok_or_else(missing)
    };
    let (person, state) = (place("person")?, place("state")?);
    let mut people = Vec::new();
    while let Some((number, line)) = lines.next()? {
        if line.is_empty() {
            continue;
        }
        let cells = cells(line);
        let infected = match cells.get(state).map(|state| state.trim()) {
            Some("E" | "I") => true,
            Some("S" | "R") => false,
            other => {
                let found = other.unwrap_or("no state");
                return Err(Error::malformed(path, At::Line(number), found, "a state S, E, I or R"));
            }
        };
        people.push((cells.get(person).cloned().unwrap_or_default(), infected));
    }
    Ok(people)
}
