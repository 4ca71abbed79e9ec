//! The stage that answers as of times, on all shards: one keeps the tables, all make them.
//!
//! Tables of different as-of times do not depend on each other, so they can be made anywhere. Shard 0 is the *keeper*. It knows which
//! tables are to be made and what was given of them. A *site* has all live rows and makes its share of the tables. There is one site a
//! process: a site's own threads share a process's rows. Four phases an epoch:
//!
//! | phase | where | what |
//! | --- | --- | --- |
//! | 0 | where the rows arrived | sends them to the keeper |
//! | 1 | keeper | takes the rows, decides which tables are to be made, and sends both to the sites |
//! | 2 | each site | takes the rows, makes its share |
//! | 3 | keeper | gives the tables, or what differs from those given before; lets go of what is final |
//!
//! Who makes a table does not show in it: a table is a function of the live rows and of the bytes of the names.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Closing, Names};
use crate::stage::{Inbox, Outbox, Stage};
use crate::{BoxError, Epoch, Portable};

/// The shard that keeps the tables.
const KEEPER: usize = 0;

/// What rows of an epoch ask for.
#[derive(Clone, Debug)]
pub(crate) struct Asked<R> {
    /// The rows, without the late ones.
    pub rows: Vec<R>,
    /// What the newest of them makes final.
    pub closing: Option<Closing>,
    /// Whether all open tables are due.
    pub due: bool,
    /// The as-of times (ns) of tables that may be given, ascending.
    pub times: Vec<i64>,
    /// Those whose tables are to be made, ascending.
    pub make: Vec<i64>,
}

/// What a stage is that answers as of times. One value stands on each shard; the keeper's does all, a site's takes rows and makes tables.
pub(crate) trait Answering: 'static {
    /// A piece of input.
    type Input: Portable;
    /// A row, with its multiplicity.
    type Row: Portable + Clone;
    /// A table as it travels.
    type Made: Portable;
    /// A piece of output.
    type Output: Portable;

    /// The stage's name.
    fn name(&self) -> &'static str;

    /// The names behind the numbers of rows, as the source gives them.
    fn names(&self) -> &Names;

    /// Threads that make tables on one site: a process's workers.
    fn threads(&self) -> usize;

    /// The keeper sifts an epoch's rows, takes them into its live rows, and decides what they ask for.
    fn decide(&mut self, epoch: Epoch, batches: Vec<Self::Input>) -> Result<Asked<Self::Row>, BoxError>;

    /// Takes rows into the live rows.
    fn take(&mut self, rows: &[Self::Row]) -> Result<(), BoxError>;

    /// The tables of `times`; those from some time on are missing if a signal came.
    fn make(&mut self, times: &[i64], names: &Names) -> Result<Vec<Self::Made>, BoxError>;

    /// Lets go of rows that concern final tables only.
    fn evict(&mut self, closing: Closing);

    /// The keeper gives what was asked for, and lets go of what is final; `made` lacks tables if a signal came. What the other sites may let
    /// go of.
    fn give(
        &mut self,
        asked: Asked<Self::Row>,
        made: BTreeMap<i64, Self::Made>,
        give: &mut dyn FnMut(Self::Output),
    ) -> Result<Option<Closing>, BoxError>;
}

/// What shards send each other.
#[derive(Serialize, Deserialize)]
pub(crate) enum Letter<I, R, M> {
    /// Rows as they came.
    Came(I),
    /// Work for a site.
    Work(Work<R>),
    /// Tables, by as-of time.
    Made(Vec<(i64, M)>),
}

/// Work for a site.
#[derive(Serialize, Deserialize)]
pub(crate) struct Work<R> {
    /// Rows that came; none for the keeper's own site, which has them.
    rows: Vec<R>,
    /// Names that came.
    names: Vec<Arc<str>>,
    /// What became final in the epoch before; `None` for the keeper's own site.
    closed: Option<Closing>,
    /// The as-of times whose tables it makes.
    make: Vec<i64>,
}

/// The stage.
pub(crate) struct AsOfStage<A: Answering> {
    answering: A,
    /// How many names the sites know.
    told: usize,
    /// The names on a shard that is not the keeper's.
    names: Names,
    /// What this epoch asked for, at the keeper.
    asked: Option<Asked<A::Row>>,
    /// What became final and was not told to the other sites.
    closed: Option<Closing>,
}

impl<A: Answering> AsOfStage<A> {
    pub(crate) fn new(answering: A) -> Self {
        AsOfStage { answering, told: 0, names: Names::default(), asked: None, closed: None }
    }

    /// Phase 1.
    fn decide(
        &mut self,
        epoch: Epoch,
        came: Vec<A::Input>,
        out: &mut Outbox<<Self as Stage>::Exchange, A::Output>,
    ) -> Result<(), BoxError> {
        let mut asked = self.answering.decide(epoch, came)?;
        let sites: Vec<usize> = (KEEPER..out.shards()).step_by(self.answering.threads().max(1)).collect();
        let names = if sites.len() > 1 { self.answering.names().since(self.told) } else { Vec::new() };
        self.told += names.len();
        let (rows, closed) = (std::mem::take(&mut asked.rows), self.closed.take());
        for (number, &site) in sites.iter().enumerate() {
            let make = asked.make.iter().copied().skip(number).step_by(sites.len()).collect();
            let work = match site {
                KEEPER => Work { rows: Vec::new(), names: Vec::new(), closed: None, make },
                _ => Work { rows: rows.clone(), names: names.clone(), closed, make },
            };
            out.send(site, Letter::Work(work));
        }
        self.asked = Some(asked);
        Ok(())
    }

    /// Phase 2.
    fn work(
        &mut self,
        work: Work<A::Row>,
        out: &mut Outbox<<Self as Stage>::Exchange, A::Output>,
    ) -> Result<(), BoxError> {
        let own = out.shard() == KEEPER;
        if let Some(closed) = work.closed {
            self.answering.evict(closed);
        }
        self.answering.take(&work.rows)?;
        for name in &work.names {
            self.names.push(name);
        }
        let names = if own { self.answering.names().clone() } else { self.names.clone() };
        let made = self.answering.make(&work.make, &names)?;
        // The keeper goes on in any case.
        if own || !made.is_empty() {
            out.send(KEEPER, Letter::Made(work.make.into_iter().zip(made).collect()));
        }
        Ok(())
    }
}

impl<A: Answering> Stage for AsOfStage<A> {
    type Input = A::Input;
    type Exchange = Letter<A::Input, A::Row, A::Made>;
    type Output = A::Output;

    fn name(&self) -> &'static str {
        self.answering.name()
    }

    fn phases(&self) -> usize {
        4
    }

    fn step(
        &mut self,
        epoch: Epoch,
        phase: usize,
        inbox: Inbox<Self::Input, Self::Exchange>,
        out: &mut Outbox<Self::Exchange, Self::Output>,
    ) -> Result<(), BoxError> {
        let mail = match inbox {
            Inbox::Input(batches) => {
                batches.into_iter().for_each(|batch| out.send(KEEPER, Letter::Came(batch)));
                return Ok(());
            }
            Inbox::Exchange(mail) => mail,
        };
        let (mut came, mut made) = (Vec::new(), BTreeMap::new());
        for (_, letter) in mail {
            match letter {
                Letter::Came(batch) => came.push(batch),
                Letter::Work(work) => self.work(work, out)?,
                Letter::Made(tables) => made.extend(tables),
            }
        }
        if !came.is_empty() {
            self.decide(epoch, came, out)?;
        }
        if let Some(asked) = self.asked.take_if(|_| phase == 3) {
            self.closed = self.answering.give(asked, made, &mut |output| out.give(output))?.or(self.closed);
        }
        Ok(())
    }
}
