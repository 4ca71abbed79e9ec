//! Differential queries of a flow: its items as a collection of rows, any differential program over them, and the answer as a flow.

use serde::{Deserialize, Serialize};

use super::erased::Item;
use super::flow::Flow;
use super::nodes::Work;
use crate::dataflow::{self, ExchangeData, VecCollection};
use crate::{Epoch, Portable};

/// What changed in the answer of a query in one epoch: rows in ascending order, none with a difference of zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta<R> {
    /// (row, difference of its multiplicity).
    pub rows: Vec<(R, isize)>,
}

impl<'p, T: Portable> Flow<'p, T> {
    /// Asks a differential-dataflow query of this stage's output, seen as a collection of rows.
    ///
    /// `rows` lists the rows of one item, which stand in the collection for the item's epoch and are retracted in the
    /// next one: a sweep replaces the sweep before it. `logic` is any differential program. The answer comes out as
    /// [`Delta`]s, one an epoch in which it changed.
    pub fn query<D, R>(
        self,
        rows: impl Fn(T, &mut dyn FnMut(D)) + Send + Sync + Clone + 'static,
        logic: impl for<'scope> Fn(VecCollection<'scope, Epoch, D, isize>) -> VecCollection<'scope, Epoch, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Flow<'p, Delta<R>>
    where
        D: ExchangeData,
        R: ExchangeData,
    {
        let updates = move |epoch: Epoch, item, updates: &mut Vec<(D, Epoch, isize)>| {
            rows(item, &mut |row| {
                updates.push((row.clone(), epoch, 1));
                updates.push((row, epoch + 1, -1));
            });
        };
        self.query_updates(updates, logic)
    }

    /// Asks a differential-dataflow query of what this stage's output says of a collection that lasts: `updates` turns one
    /// item and its epoch into (row, epoch, difference), at that epoch or later ones.
    pub fn query_updates<D, R>(
        self,
        updates: impl Fn(Epoch, T, &mut Vec<(D, Epoch, isize)>) + Send + Sync + Clone + 'static,
        logic: impl for<'scope> Fn(VecCollection<'scope, Epoch, D, isize>) -> VecCollection<'scope, Epoch, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Flow<'p, Delta<R>>
    where
        D: ExchangeData,
        R: ExchangeData,
    {
        let work = Work::Query(Box::new(move |input, copy, control| {
            let updates = updates.clone();
            let of_item = move |epoch, item: Item, rows: &mut Vec<_>| {
                updates(epoch, item.take()?, rows);
                Ok(())
            };
            dataflow::query(input, of_item, &logic, copy, control)
        }));
        let node = self.plan.borrow_mut().add("query".into(), work, vec![self.node]);
        Flow::of(self.plan, node)
    }
}
