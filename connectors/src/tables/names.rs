//! Which column of a file is what: by name, case and surrounding blanks not counting, or by what the user says that files call it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{At, Error};

/// A column that rows of a kind have.
#[derive(Debug)]
pub(crate) struct Column {
    pub name: &'static str,
    /// Other usual names.
    pub aliases: &'static [&'static str],
    pub must: bool,
    /// Whether it holds an id: a number there is a name, too.
    pub id: bool,
}

impl Column {
    pub(crate) const fn must(name: &'static str) -> Column {
        Column { name, aliases: &[], must: true, id: false }
    }

    pub(crate) const fn id(name: &'static str) -> Column {
        Column { id: true, ..Column::must(name) }
    }

    pub(crate) const fn may(name: &'static str, aliases: &'static [&'static str]) -> Column {
        Column { name, aliases, must: false, id: false }
    }
}

/// A kind of rows.
#[derive(Debug)]
pub(crate) struct Kind {
    /// What a table of such rows is, in a word; `--columns WORD.NAME=…` speaks of it alone.
    pub what: &'static str,
    /// Which columns there must be, for messages.
    pub needs: &'static str,
    /// Its columns; a place in this list is a slot.
    pub columns: &'static [Column],
    /// A column that may stand for the first `n` ones: (its slot, n).
    pub instead: Option<(usize, usize)>,
    /// Whether a first line that names nothing may be a row of the first columns: what its cells must be.
    pub bare: Option<fn(&[&str]) -> bool>,
}

/// What the files call the columns, where not by their usual names: `t=recorded_at`, or for one kind of table alone
/// `contacts.t=recorded_at`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames(BTreeMap<String, String>);

/// Every column of every kind: what `--columns` may name.
fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    let kinds = [&crate::contacts::CONTACTS, &crate::contacts::TESTS, &crate::points::table::POINTS];
    kinds.into_iter().flat_map(|kind| kind.columns.iter().map(|column| (kind.what, column.name)))
}

impl ColumnNames {
    /// From pairs (column, what files call it).
    ///
    /// # Errors
    /// A column that no kind of row has.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<ColumnNames, Error> {
        let columns: BTreeMap<String, String> =
            pairs.into_iter().map(|(column, name)| (column.trim().to_lowercase(), name.trim().to_string())).collect();
        let is = |column: &str| match column.split_once('.') {
            Some((what, name)) => known().any(|known| known == (what, name)),
            None => known().any(|(_, name)| name == column),
        };
        match columns.iter().find(|(column, name)| !is(column) || name.is_empty()) {
            Some((column, name)) => {
                let found = format!("{column}={name}");
                let mut names: Vec<_> = known().map(|(what, name)| format!("{what}.{name}")).collect();
                names.dedup();
                Err(Error::Value { what: "columns", found, expected: format!("NAME=HEADER of {}", names.join(", ")) })
            }
            None => Ok(ColumnNames(columns)),
        }
    }

    /// What files of a kind call a column, and whether that was said of this kind alone.
    fn said(&self, kind: &Kind, column: &str) -> Option<(&str, bool)> {
        let own = self.0.get(&format!("{}.{column}", kind.what)).map(|name| (name.as_str(), true));
        own.or_else(|| self.0.get(column).map(|name| (name.as_str(), false)))
    }

    /// Where a kind's columns stand among the names of a header, by slot. A name that was said of all kinds may be missing where the usual
    /// one is there: it is another table's.
    ///
    /// # Errors
    /// A column that must be there, or was named for this kind, and is not: the message has the names that are there.
    pub(crate) fn find(&self, path: &Path, kind: &Kind, names: &[String]) -> Result<Vec<Option<usize>>, Error> {
        let place = |name: &str| {
            let same = |n: &&String| n.trim().eq_ignore_ascii_case(name.trim());
            names.iter().position(|n| n == name).or_else(|| names.iter().position(|n| same(&n)))
        };
        let mut found = Vec::with_capacity(kind.columns.len());
        for column in kind.columns {
            let usual = || place(column.name).or_else(|| column.aliases.iter().find_map(|alias| place(alias)));
            found.push(match self.said(kind, column.name) {
                None => usual(),
                Some((name, own)) => match (place(name), own) {
                    (None, true) => return Err(missing(path, kind, name, names)),
                    (None, false) => Some(usual().ok_or_else(|| missing(path, kind, name, names))?),
                    (there, _) => there,
                },
            });
        }
        let stands_in = kind.instead.filter(|(slot, _)| found[*slot].is_some()).map_or(0, |(_, n)| n);
        for (slot, column) in kind.columns.iter().enumerate().filter(|(_, column)| column.must) {
            if found[slot].is_none() && slot >= stands_in {
                let name = self.said(kind, column.name).map_or(column.name, |(name, _)| name);
                return Err(missing(path, kind, name, names));
            }
        }
        Ok(found)
    }
}

fn missing(path: &Path, kind: &Kind, column: &str, names: &[String]) -> Error {
    let found = if names.is_empty() { "no header".to_string() } else { format!("columns {}", names.join(", ")) };
    let expected = format!("a column {column} ({})", kind.needs);
    Error::malformed(path, At::Header, found, expected)
}
