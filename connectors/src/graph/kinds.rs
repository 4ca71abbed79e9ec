//! From cells to rows of a graph: what each column of edges and nodes may hold, and why a row is refused.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use thalweg::graph::{EdgeRow, GraphRow, NodeRow, Place};

use crate::error::Error;
use crate::notices::Notices;
use crate::rows::Ids;
use crate::rows::feed::{self, Parse, Refused, Summed};
use crate::tables::names::{Column, ColumnNames, Kind, Order};
use crate::tables::table::Block;
use crate::tables::times::TimeUnit;
use crate::tables::values::{Cell, Cells};

impl Summed for GraphRow {
    fn add_to(&self, sum: &mut crc32fast::Hasher, name: &dyn Fn(u32) -> u32) {
        let (t, names, values) = match self {
            GraphRow::Edge(EdgeRow { t, src, dst, attributes, .. }) => (t, &[*src, *dst][..], attributes),
            GraphRow::Node(NodeRow { t, node, features, .. }) => (t, &[*node][..], features),
        };
        sum.update(&t.to_le_bytes());
        names.iter().for_each(|number| sum.update(&name(*number).to_le_bytes()));
        values.iter().for_each(|value| sum.update(&value.to_le_bytes()));
    }

    fn ages(&self) -> bool {
        // Features last until another row of the node comes.
        matches!(self, GraphRow::Edge(_))
    }

    fn stands_at(&mut self, table: u64, row: u64) {
        match self {
            GraphRow::Edge(edge) => edge.place = Place { table, row },
            GraphRow::Node(node) => node.place = Place { table, row },
        }
    }
}

/// A table of edges.
pub(crate) static EDGES: Kind = Kind {
    what: "edges",
    shares: true,
    may_be_empty: false,
    needs: "edges have t, src, dst",
    columns: &[Column::must("t"), Column::id("src"), Column::id("dst"), Column::may("diff", &[])],
    instead: None,
    bare: None,
};

/// A table of nodes.
pub(crate) static NODES: Kind = Kind {
    what: "nodes",
    shares: true,
    may_be_empty: false,
    needs: "nodes have t, node",
    columns: &[Column::must("t"), Column::id("node"), Column::may("diff", &[])],
    instead: None,
    bare: None,
};

/// What tables of edges and nodes call their columns, from pairs (column, what files call it).
///
/// # Errors
/// A column that no such table has.
pub fn column_names(pairs: impl IntoIterator<Item = (String, String)>) -> Result<ColumnNames, Error> {
    ColumnNames::of(&[&EDGES, &NODES], pairs)
}

/// The values that a network wants of each row.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// How many; any number where it is not said.
    pub count: Option<usize>,
    /// The columns that hold them; else all columns that have no other meaning, in the file's order.
    pub names: Option<Vec<String>>,
    /// The names of the first file's, where no names are said.
    pub(super) order: Order,
}

impl Wanted {
    /// So many, by these names if there are any.
    pub fn new(count: Option<usize>, names: Option<Vec<String>>) -> Wanted {
        Wanted { count, names, order: Order::default() }
    }
}

/// The columns of a block, to make rows of.
pub(super) struct Columns {
    path: PathBuf,
    edges: bool,
    unit: Option<TimeUnit>,
    wanted: Option<usize>,
    named: bool,
    notices: Notices,
    comma: bool,
    /// The kind's own columns.
    own: Vec<Option<Cells>>,
    values: Values,
    /// Whether a row had the right number of values.
    fits: bool,
}

/// Where a row's values stand.
enum Values {
    Columns(Vec<Option<Cells>>),
    Lists(Cells),
}

impl Columns {
    pub(super) fn of_edges(path: &Path, unit: Option<TimeUnit>, wanted: &Wanted, notices: &Notices) -> Columns {
        Columns {
            path: path.into(),
            edges: true,
            unit,
            wanted: wanted.count,
            named: wanted.names.is_some(),
            notices: notices.clone(),
            comma: false,
            own: Vec::new(),
            values: Values::Columns(Vec::new()),
            fits: false,
        }
    }

    pub(super) fn of_nodes(path: &Path, unit: Option<TimeUnit>, wanted: &Wanted, notices: &Notices) -> Columns {
        Columns { edges: false, ..Columns::of_edges(path, unit, wanted, notices) }
    }

    fn cell<'a, T>(&'a self, slot: usize, read: impl FnOnce(&'a Cells) -> Cell<T>) -> Cell<T> {
        self.own.get(slot).and_then(Option::as_ref).map_or(Cell::Missing, read)
    }

    fn id(&self, slot: usize, column: &'static str, row: usize) -> Result<Cow<'_, str>, Refused> {
        match self.cell(slot, |cells| cells.text(row)) {
            Cell::Good(id) => Ok(id),
            _ => Err(Refused { column, found: None, expected: "an id" }),
        }
    }

    /// What the values are called.
    fn what(&self) -> &'static str {
        if self.edges { "attributes" } else { "features" }
    }

    /// A row's values; nothing where there are none.
    fn values(&self, row: usize) -> Result<Box<[f32]>, Refused> {
        let column = self.what();
        let refused = |found: String| Refused { column, found: Some(found), expected: "a finite number each" };
        let number = |value: f64| Some(value as f32).filter(|value| value.is_finite());
        let cells = match &self.values {
            Values::Lists(cells) => {
                let list = match cells.list(row) {
                    Cell::Missing => return Ok(Box::default()),
                    Cell::Bad(found) => return Err(refused(found)),
                    Cell::Good(list) => list,
                };
                if self.wanted.is_some_and(|wanted| wanted != list.len()) {
                    let found = Some(format!("{} values", list.len()));
                    return Err(Refused { column, found, expected: "as many as the model takes" });
                }
                let values = list.into_iter().map(|value| number(value).ok_or_else(|| refused(value.to_string())));
                return values.collect();
            }
            Values::Columns(cells) => cells,
        };
        let mut values = Vec::with_capacity(cells.len());
        let mut missing = 0;
        for cells in cells {
            match cells.as_ref().map_or(Cell::Missing, |cells| cells.number(row, self.comma)) {
                Cell::Good(value) => values.push(number(value).ok_or_else(|| refused(value.to_string()))?),
                Cell::Bad(found) => return Err(refused(found)),
                Cell::Missing => missing += 1,
            }
        }
        if missing > 0 && !values.is_empty() {
            return Err(refused("nothing in one of them".into()));
        }
        Ok(values.into())
    }
}

impl Parse<GraphRow> for Columns {
    fn begin(&mut self, block: &Block) -> Result<(), Error> {
        let cells =
            |columns: &[Option<_>]| columns.iter().map(|column| column.as_ref().map(Cells::of)).collect::<Vec<_>>();
        let own = if self.edges { EDGES.columns.len() } else { NODES.columns.len() };
        let (of_kind, rest) = block.columns.split_at(own.min(block.columns.len()));
        (self.own, self.comma) = (cells(of_kind), block.decimal_comma);
        if block.rows == 0 {
            return Ok(());
        }
        let mut rest = cells(rest);
        let lists = rest.iter().position(|column| column.as_ref().is_some_and(Cells::has_lists));
        let (what, path) = (self.what(), self.path.display());
        if self.edges && self.wanted == Some(0) {
            if !rest.is_empty() {
                let count = rest.len();
                self.notices
                    .warn(&self.path, format!("{count} columns of attributes are left out: the model takes none"));
            }
            self.values = Values::Columns(Vec::new());
            return Ok(());
        }
        let expected = || format!("{} as the model takes", self.wanted.unwrap_or(0));
        if let Some(cells) = lists.and_then(|lists| rest[lists].take()) {
            let length = (0..block.rows).find_map(|row| match cells.list(row) {
                Cell::Good(list) => Some(list.len()),
                _ => None,
            });
            if let Some(found) = length.filter(|found| self.wanted.is_some_and(|n| n != *found) && !self.fits) {
                let found = format!("lists of {found} {what} in {path}");
                return Err(Error::Value { what: "model", found, expected: expected() });
            }
            (self.wanted, self.fits) = (self.wanted.or(length), true);
            self.values = Values::Lists(cells);
            return Ok(());
        }
        if self.wanted.is_some_and(|wanted| wanted != rest.len()) && !self.named {
            let found = format!("{} columns of {what} in {path}", rest.len());
            return Err(Error::Value { what: "model", found, expected: expected() });
        }
        (self.wanted, self.fits) = (Some(rest.len()), true);
        self.values = Values::Columns(rest);
        Ok(())
    }

    fn row(&self, row: usize, ids: &mut Ids) -> Result<(GraphRow, i32), Refused> {
        let t = feed::time(self.cell(0, |cells| cells.time(row, self.unit, self.comma)))?;
        let diff = |slot| feed::diff(self.cell(slot, |cells| cells.whole(row, self.comma)));
        let all = |values: Box<[f32]>, diff: i32| {
            if diff > 0 && self.wanted.is_some_and(|wanted| wanted != values.len()) {
                let found = Some(String::new());
                return Err(Refused { column: self.what(), found, expected: "a finite number each" });
            }
            Ok(values)
        };
        if self.edges {
            let (src, dst) = (self.id(1, "src", row)?, self.id(2, "dst", row)?);
            let diff = diff(3)?;
            let attributes = all(self.values(row)?, diff)?;
            let (src, dst) = (ids.number(&src), ids.number(&dst));
            let row = EdgeRow { t, src, dst, attributes, place: Place::default() };
            return Ok((GraphRow::Edge(row), diff));
        }
        let node = self.id(1, "node", row)?;
        let diff = diff(2)?;
        let features = if diff > 0 { all(self.values(row)?, diff)? } else { Box::default() };
        let node = ids.number(&node);
        Ok((GraphRow::Node(NodeRow { t, node, features, place: Place::default() }), diff))
    }
}
