//! Which column of a file is what: by name, case and surrounding blanks not counting, or by what the user says that files call it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

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
    /// Whether its tables are read beside tables of another kind, which a name may be meant for.
    pub shares: bool,
    /// Whether a file without a line is a table without rows; else it lacks its header.
    pub may_be_empty: bool,
    /// Which columns there must be, for messages.
    pub needs: &'static str,
    /// Its columns; a place in this list is a slot.
    pub columns: &'static [Column],
    /// A column that may stand for the first `n` ones: (its slot, n).
    pub instead: Option<(usize, usize)>,
    /// Whether a first line that names nothing may be a row of the first columns: what its cells must be.
    pub bare: Option<fn(&[&str]) -> bool>,
}

/// Which columns a table hands out behind those of its kind.
#[derive(Clone, Debug, Default)]
pub(crate) enum Rest {
    /// None.
    #[default]
    None,
    /// These, by name; each must be there.
    Named(Arc<[String]>),
    /// All others but those of these names, in the order of the first file that was opened with a clone of this.
    All(Arc<[String]>, Order),
}

/// The names of a first file's columns, in its order.
pub(crate) type Order = Arc<OnceLock<Vec<String>>>;

/// What the files call the columns, where not by their usual names: `t=recorded_at`, or for one kind of table alone
/// `contacts.t=recorded_at`.
#[derive(Clone, Debug, Default)]
pub struct ColumnNames {
    names: BTreeMap<String, String>,
    /// Which columns beyond those of the kind there are to be.
    rest: Rest,
    /// The columns whose said names some table had; clones share them.
    found: Arc<Mutex<BTreeSet<String>>>,
}

impl ColumnNames {
    /// One column that files call so.
    pub(crate) fn one(column: &str, name: &str) -> ColumnNames {
        ColumnNames { names: [(column.to_string(), name.to_string())].into(), ..ColumnNames::default() }
    }

    /// For tables of these kinds, from pairs (column, what files call it).
    ///
    /// # Errors
    /// A column that no such table has.
    pub(crate) fn of(kinds: &[&Kind], pairs: impl IntoIterator<Item = (String, String)>) -> Result<ColumnNames, Error> {
        let names: BTreeMap<String, String> =
            pairs.into_iter().map(|(column, name)| (column.trim().to_lowercase(), name.trim().to_string())).collect();
        let known = || kinds.iter().flat_map(|kind| kind.columns.iter().map(|column| (kind.what, column.name)));
        let is = |column: &str| match column.split_once('.') {
            Some(qualified) => known().any(|known| known == qualified),
            None => known().any(|(_, name)| name == column),
        };
        match names.iter().find(|(column, name)| !is(column) || name.is_empty()) {
            Some((column, name)) => {
                let names: Vec<_> = known().map(|(what, name)| format!("{what}.{name}")).collect();
                let expected =
                    format!("NAME=HEADER, NAME one of {}, or these without the first word", names.join(", "));
                Err(Error::Value { what: "columns", found: format!("{column}={name}"), expected })
            }
            None => Ok(ColumnNames { names, rest: Rest::None, found: Arc::default() }),
        }
    }

    /// The same names, and what is found by them does not count.
    pub(crate) fn apart(&self) -> ColumnNames {
        ColumnNames { found: Arc::default(), ..self.clone() }
    }

    /// True if a table had a column of this name, which is none of the rest.
    pub fn left_out(&self, name: &str) -> bool {
        self.found.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains(&but(name))
    }

    /// The same names, and these columns behind them.
    #[must_use]
    pub(crate) fn with_rest(&self, rest: Rest) -> ColumnNames {
        ColumnNames { rest, ..self.clone() }
    }

    /// Whether a column of this name is one of the rest, as far as the kind's own do not take it.
    fn in_rest(&self, name: &str) -> bool {
        let among = |names: &[String]| names.iter().any(|n| n.trim().eq_ignore_ascii_case(name.trim()));
        match &self.rest {
            Rest::None => false,
            Rest::Named(names) => among(names),
            Rest::All(but, _) => !among(but),
        }
    }

    /// What files of a kind call a column, and whether that was said of this kind alone.
    fn said(&self, kind: &Kind, column: &str) -> Option<(&str, bool)> {
        let own = self.names.get(&format!("{}.{column}", kind.what)).map(|name| (name.as_str(), true));
        own.or_else(|| self.names.get(column).map(|name| (name.as_str(), !kind.shares)))
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
                    (there, _) => {
                        self.found.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(column.name.into());
                        there
                    }
                },
            });
        }
        for at in found.iter().flatten() {
            let twice = names.iter().enumerate().any(|(n, name)| n != *at && name.trim() == names[*at].trim());
            if twice {
                let (found, expected) = (format!("the column {} twice", names[*at].trim()), "each name once");
                return Err(Error::malformed(path, At::Header, found, expected));
            }
        }
        let stands_in = kind.instead.filter(|(slot, _)| found[*slot].is_some()).map_or(0, |(_, n)| n);
        for (slot, column) in kind.columns.iter().enumerate().filter(|(_, column)| column.must) {
            if found[slot].is_none() && slot >= stands_in {
                let name = self.said(kind, column.name).map_or(column.name, |(name, _)| name);
                return Err(missing(path, kind, name, names));
            }
        }
        match &self.rest {
            Rest::None => {}
            Rest::Named(wanted) => {
                for name in wanted.iter() {
                    found.push(Some(place(name).ok_or_else(|| missing(path, kind, name, names))?));
                }
            }
            Rest::All(out, order) => {
                let mut seen = self.found.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                seen.extend(out.iter().filter(|name| place(name).is_some()).map(|name| but(name)));
                let own = found.clone();
                let others = || (0..names.len()).filter(|i| !own.contains(&Some(*i)) && self.in_rest(&names[*i]));
                let first = order.get_or_init(|| others().map(|i| names[i].clone()).collect());
                let among = |name: &String| others().find(|i| names[*i].trim().eq_ignore_ascii_case(name.trim()));
                // Of the same columns in another order each has its place.
                let placed = first.iter().map(among).collect::<Option<Vec<_>>>();
                match placed.filter(|placed| placed.len() == others().count()) {
                    Some(placed) => found.extend(placed.into_iter().map(Some)),
                    None => found.extend(others().map(Some)),
                }
            }
        }
        Ok(found)
    }
}

impl ColumnNames {
    /// Checks that each name which was said of all kinds was there in one of the tables of `kinds`, which have been opened.
    ///
    /// # Errors
    /// One that was not.
    pub(crate) fn check(&self, kinds: &[&Kind]) -> Result<(), Error> {
        let found = self.found.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let asked = |column: &str| kinds.iter().any(|kind| kind.columns.iter().any(|known| known.name == column));
        match self.names.iter().find(|(column, _)| asked(column) && !found.contains(*column)) {
            Some((column, name)) => {
                let found = format!("{column}={name}, a name that no table has");
                Err(Error::Value { what: "columns", found, expected: "the name of a column that is there".into() })
            }
            None => Ok(()),
        }
    }
}

/// How a column that is left out stands among those that were found.
fn but(name: &str) -> String {
    format!("-{}", name.trim().to_lowercase())
}

fn missing(path: &Path, kind: &Kind, column: &str, names: &[String]) -> Error {
    let found = if names.is_empty() { "no header".to_string() } else { format!("columns {}", names.join(", ")) };
    let expected = format!("a column {column} ({})", kind.needs);
    Error::malformed(path, At::Header, found, expected)
}
