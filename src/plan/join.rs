//! Flows that come together: `concat`, `join_epoch`, `join_latest`.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::erased::Item;
use super::flow::Flow;
use crate::stage::{Inbox, Map, Outbox, Stage};
use crate::{BoxError, Epoch, Portable};

/// An item of one of two flows.
#[derive(Serialize, Deserialize)]
enum Either<L, R> {
    Left(L),
    Right(R),
}

fn either<L: Portable, R: Portable>(input: u32, item: Item) -> Result<Either<L, R>, BoxError> {
    Ok(if input == 0 { Either::Left(item.take()?) } else { Either::Right(item.take()?) })
}

impl<'p, T: Portable> Flow<'p, T> {
    /// The items of both flows. In an epoch those of `self` come first.
    pub fn concat(self, other: Flow<'p, T>) -> Flow<'p, T> {
        let inputs = self.with(&other);
        Self::stage_of(self.plan, inputs, |_, item| item.take(), |_| Map::new("concat", Ok))
    }

    /// Pairs of items of one epoch, such as two branches of one source: `join` makes an item of each, in the order of the left items, then
    /// of the right ones. An item that finds none in its epoch gives nothing.
    pub fn join_epoch<R, O, F>(self, right: Flow<'p, R>, join: F) -> Flow<'p, O>
    where
        R: Portable,
        O: Portable,
        F: Fn(&T, &R) -> Result<O, BoxError> + Send + Sync + Clone + 'static,
    {
        let inputs = self.with(&right);
        let make = move |_: &_| JoinEpoch { join: join.clone(), types: PhantomData };
        Self::stage_of(self.plan, inputs, either, make)
    }

    /// An as-of join: each left item with the newest right item at or before its event time, or `None` where there is none yet.
    ///
    /// Epochs of several sources follow event time ([`crate::Source::time`]), so the newest right item is that of the newest epoch up to the
    /// left item's. The answer does not depend on which source was faster. An epoch holds one item of a source: of several right items of one
    /// time a left item of that time sees the first.
    pub fn join_latest<R, O, F>(self, right: Flow<'p, R>, join: F) -> Flow<'p, O>
    where
        R: Clone + Portable,
        O: Portable,
        F: Fn(T, Option<&R>) -> Result<O, BoxError> + Send + Sync + Clone + 'static,
    {
        let inputs = self.with(&right);
        let make = move |_: &_| JoinLatest { join: join.clone(), latest: None, types: PhantomData };
        Self::stage_of(self.plan, inputs, either, make)
    }

    /// The nodes of both flows; a problem of the plan where they are not of one pipeline.
    fn with<R>(&self, other: &Flow<'p, R>) -> Vec<usize> {
        if !std::ptr::eq(self.plan, other.plan) {
            let problem = "found flows of two pipelines that come together, expected flows of one".to_string();
            other.plan.borrow_mut().problem = Some(problem.clone());
            self.plan.borrow_mut().problem = Some(problem);
            return vec![self.node];
        }
        vec![self.node, other.node]
    }
}

/// Shards deal the epochs out among them.
struct JoinEpoch<F, L, R, O> {
    join: F,
    types: PhantomData<fn(L, R) -> O>,
}

impl<F, L, R, O> Stage for JoinEpoch<F, L, R, O>
where
    F: Fn(&L, &R) -> Result<O, BoxError> + 'static,
    L: Portable,
    R: Portable,
    O: Portable,
{
    type Input = Either<L, R>;
    type Exchange = Either<L, R>;
    type Output = O;

    fn name(&self) -> &'static str {
        "join_epoch"
    }

    fn phases(&self) -> usize {
        2
    }

    fn step(
        &mut self,
        epoch: Epoch,
        _: usize,
        inbox: Inbox<Self::Input, Self::Exchange>,
        out: &mut Outbox<Self::Exchange, O>,
    ) -> Result<(), BoxError> {
        let mail = match inbox {
            Inbox::Input(items) => {
                let shards = out.shards() as Epoch;
                items.into_iter().for_each(|item| out.send((epoch % shards) as usize, item));
                return Ok(());
            }
            Inbox::Exchange(mail) => mail,
        };
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (_, item) in mail {
            match item {
                Either::Left(item) => left.push(item),
                Either::Right(item) => right.push(item),
            }
        }
        for left in &left {
            for right in &right {
                out.give((self.join)(left, right)?);
            }
        }
        Ok(())
    }
}

/// Every shard hears of every right item and keeps the newest; left items stay where they are.
struct JoinLatest<F, L, R, O> {
    join: F,
    latest: Option<R>,
    types: PhantomData<fn(L) -> O>,
}

impl<F, L, R, O> Stage for JoinLatest<F, L, R, O>
where
    F: Fn(L, Option<&R>) -> Result<O, BoxError> + 'static,
    L: Portable,
    R: Clone + Portable,
    O: Portable,
{
    type Input = Either<L, R>;
    type Exchange = Either<L, R>;
    type Output = O;

    fn name(&self) -> &'static str {
        "join_latest"
    }

    fn phases(&self) -> usize {
        2
    }

    fn step(
        &mut self,
        _: Epoch,
        _: usize,
        inbox: Inbox<Self::Input, Self::Exchange>,
        out: &mut Outbox<Self::Exchange, O>,
    ) -> Result<(), BoxError> {
        let (shard, shards) = (out.shard(), out.shards());
        let mail = match inbox {
            Inbox::Input(items) => {
                for item in items {
                    match item {
                        Either::Left(item) => out.send(shard, Either::Left(item)),
                        Either::Right(item) => (0..shards).for_each(|dst| out.send(dst, Either::Right(item.clone()))),
                    }
                }
                return Ok(());
            }
            Inbox::Exchange(mail) => mail,
        };
        let mut left = Vec::new();
        for (_, item) in mail {
            match item {
                Either::Left(item) => left.push(item),
                Either::Right(item) => self.latest = Some(item),
            }
        }
        left.into_iter().try_for_each(|item| {
            out.give((self.join)(item, self.latest.as_ref())?);
            Ok(())
        })
    }
}
