//! Changes of one epoch: what left, what came, what moved, as columns ordered by id; good for points and for contacts alike.
//!
//! A source sends at most one net change per id and epoch. Pieces of an epoch may come in any order and from any shard:
//! [`Changes::net`] puts them in one, and applying it removes before it inserts, so the live set depends on no order.

use std::collections::BTreeMap;

use crate::Error;

/// Rows of some shape in columns: positions, contact stamps, ….
pub trait Columns: Default {
    /// One row.
    type Row: Clone + PartialEq;

    /// Number of rows.
    fn len(&self) -> usize;

    /// True if there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row `i`.
    fn row(&self, i: usize) -> Self::Row;

    /// Appends a row.
    fn push(&mut self, row: Self::Row);
}

/// Positions in metres.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointColumns {
    /// `[rows]`
    pub x: Vec<f32>,
    /// `[rows]`
    pub y: Vec<f32>,
    /// `[rows]`
    pub z: Vec<f32>,
}

impl Columns for PointColumns {
    type Row = [f32; 3];
    fn len(&self) -> usize {
        self.x.len()
    }
    fn row(&self, i: usize) -> [f32; 3] {
        [self.x[i], self.y[i], self.z[i]]
    }
    fn push(&mut self, [x, y, z]: [f32; 3]) {
        self.x.push(x);
        self.y.push(y);
        self.z.push(z);
    }
}

/// Rows with ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keyed<C> {
    /// `[rows]`
    pub id: Vec<u64>,
    /// `[rows]`
    pub columns: C,
}

impl<C: Columns> Keyed<C> {
    /// Appends a row.
    pub fn push(&mut self, id: u64, row: C::Row) {
        self.id.push(id);
        self.columns.push(row);
    }

    /// (id, row) pairs.
    pub fn rows(&self) -> impl Iterator<Item = (u64, C::Row)> {
        self.id.iter().enumerate().map(|(i, &id)| (id, self.columns.row(i)))
    }
}

/// What one epoch changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes<C> {
    /// Ids that leave.
    pub removed: Vec<u64>,
    /// Rows that come.
    pub inserted: Keyed<C>,
    /// Rows that take the place of the live row of their id.
    pub moved: Keyed<C>,
}

/// One change of one id.
#[derive(Clone, Debug, PartialEq)]
enum Change<R> {
    Remove,
    Insert(R),
    Move(R),
}

fn twice(id: u64) -> Error {
    Error::Value {
        what: "changes of one epoch",
        found: format!("two for id {id}"),
        expected: "one net change an id".into(),
    }
}

impl<C: Columns> Changes<C> {
    /// Number of changes.
    pub fn len(&self) -> usize {
        self.removed.len() + self.inserted.id.len() + self.moved.id.len()
    }

    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One batch, each column ascending by id, of the pieces of an epoch, whatever their order.
    ///
    /// # Errors
    /// [`Error::Value`] if an id occurs twice.
    pub fn net(pieces: impl IntoIterator<Item = Changes<C>>) -> Result<Changes<C>, Error> {
        let mut all = BTreeMap::new();
        for piece in pieces {
            let removed = piece.removed.iter().map(|&id| (id, Change::Remove));
            let inserted = piece.inserted.rows().map(|(id, row)| (id, Change::Insert(row)));
            let moved = piece.moved.rows().map(|(id, row)| (id, Change::Move(row)));
            for (id, change) in removed.chain(inserted).chain(moved) {
                if all.insert(id, change).is_some() {
                    return Err(twice(id));
                }
            }
        }
        let mut net = Changes::default();
        for (id, change) in all {
            match change {
                Change::Remove => net.removed.push(id),
                Change::Insert(row) => net.inserted.push(id, row),
                Change::Move(row) => net.moved.push(id, row),
            }
        }
        Ok(net)
    }

    /// Applies the changes to a live set: removals, then moves, then insertions. Nothing changes where there is an error.
    ///
    /// # Errors
    /// [`Error::Value`]: a removal or a move of what is not there, an insertion of what is.
    pub fn apply(&self, live: &mut BTreeMap<u64, C::Row>) -> Result<(), Error> {
        let wrong = |what, id: u64, expected: &str| {
            Err(Error::Value { what, found: format!("id {id}"), expected: expected.into() })
        };
        if let Some(&id) = self.removed.iter().find(|id| !live.contains_key(id)) {
            return wrong("removal", id, "a live id");
        }
        if let Some(&id) = self.moved.id.iter().find(|id| !live.contains_key(id)) {
            return wrong("move", id, "a live id");
        }
        if let Some(&id) = self.inserted.id.iter().find(|id| live.contains_key(id)) {
            return wrong("insertion", id, "an id that is not live");
        }
        self.removed.iter().for_each(|id| drop(live.remove(id)));
        live.extend(self.moved.rows());
        live.extend(self.inserted.rows());
        Ok(())
    }
}
