//! Contacts and tests in the dataflow: any differential query over the live rows, and the stage that scores them.

use super::scoring::Scoring;
use super::{Fact, FactRows, RiskModel, Scores, ScoringOptions};
use crate::asof::AsOfStage;
use crate::dataflow::{ExchangeData, VecCollection};
use crate::plan::{Delta, Flow};
use crate::{Epoch, Error};

/// Rows as updates of a collection that lasts.
fn updates(epoch: Epoch, item: FactRows, updates: &mut Vec<(Fact, Epoch, isize)>) {
    updates.extend(item.rows.into_iter().map(|(fact, diff)| (fact, epoch, diff as isize)));
    if item.due {
        updates.push((Fact::Due(epoch), epoch, 1));
        updates.push((Fact::Due(epoch), epoch + 1, -1));
    }
}

impl<'p> Flow<'p, FactRows> {
    /// Asks a differential query of the rows: a row is in the collection as often as its diffs add up to.
    ///
    /// ```
    /// use thalweg::contacts::{Fact, FactRows};
    /// use thalweg::dataflow::operators::CountTotal;
    /// # use thalweg::{Flow, plan::Delta};
    /// # fn plan(rows: Flow<'_, FactRows>) -> Flow<'_, Delta<(u32, isize)>> {
    /// // How many positive tests each person has.
    /// rows.facts(|facts| {
    ///     facts
    ///         .flat_map(|fact| match fact {
    ///             Fact::Test(test) if test.positive => Some(test.person),
    ///             _ => None,
    ///         })
    ///         .count_total()
    /// })
    /// # }
    /// ```
    pub fn facts<R: ExchangeData>(
        self,
        logic: impl for<'scope> Fn(VecCollection<'scope, Epoch, Fact, isize>) -> VecCollection<'scope, Epoch, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Flow<'p, Delta<R>> {
        self.query_updates(updates, logic)
    }

    /// Everybody's risk by the model that `make` makes, whenever the source says that it is due. Each worker makes one; a process's first
    /// worker asks it, as of some of the times.
    pub fn risk(
        self,
        options: ScoringOptions,
        make: impl Fn() -> Result<Box<dyn RiskModel>, Error> + Send + Sync + 'static,
    ) -> Flow<'p, Scores> {
        self.facts(|facts| facts.consolidate())
            .stage(move |stats| AsOfStage::new(Scoring::new(options.clone(), make(), stats)))
    }
}
