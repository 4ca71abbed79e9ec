//! The adapter: a stage as a chain of operators, one a phase, that own capabilities, frontiers and exchanges.
//!
//! An operator keeps what it gets for an epoch, with a capability, until its frontier has passed the epoch; only then
//! does it order the inbox by sender and call the stage. Phase 0 waits besides until the last phase has done all earlier
//! epochs on this shard, so the stage's state never sees two epochs at once: the last phase's frontier says when.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::operators::generic::operator::Operator;
use timely::scheduling::Activator;

use super::Control;
use super::mail::{Held, Mail, MailBuilder, MailStream, by_address};
use crate::stage::{Inbox, Outbox, Stage};
use crate::{Epoch, Error};

/// What the phases of one stage on one shard share.
struct Shared<S> {
    stage: RefCell<S>,
    /// The last phase has done every epoch below this.
    done: Cell<Epoch>,
    /// Wakes phase 0.
    first: RefCell<Option<Activator>>,
}

/// Makes a stage's inbox of sorted mail.
type Opens<S, T> = fn(Vec<(usize, T)>) -> Inbox<<S as Stage>::Input, <S as Stage>::Exchange>;

/// Picks what goes on of a stage's outbox.
type Sends<S, T> = fn(Outbox<<S as Stage>::Exchange, <S as Stage>::Output>) -> Vec<(usize, T)>;

/// Installs a stage behind `input`; its output stays on the shard that gave it.
pub(crate) fn phases<'scope, S: Stage>(
    input: MailStream<'scope, S::Input>,
    stage: S,
    control: &Arc<Control>,
) -> MailStream<'scope, S::Output> {
    let count = stage.phases().max(1);
    let shared = Rc::new(Shared { stage: RefCell::new(stage), done: Cell::new(0), first: RefCell::new(None) });
    if count == 1 {
        return phase(input, &shared, control, 0, count, inputs::<S>, |out| out.output);
    }
    let mut letters = phase(input, &shared, control, 0, count, inputs::<S>, |out| out.letters);
    for number in 1..count - 1 {
        letters = phase(letters, &shared, control, number, count, Inbox::Exchange, |out| out.letters);
    }
    phase(letters, &shared, control, count - 1, count, Inbox::Exchange, |out| out.output)
}

/// The inbox of phase 0: who sent what does not matter, the order by sender does.
fn inputs<S: Stage>(mail: Vec<(usize, S::Input)>) -> Inbox<S::Input, S::Exchange> {
    Inbox::Input(mail.into_iter().map(|(_, item)| item).collect())
}

/// One phase as an operator.
fn phase<'scope, S: Stage, T: Send + 'static, U: Send + 'static>(
    stream: MailStream<'scope, T>,
    shared: &Rc<Shared<S>>,
    control: &Arc<Control>,
    number: usize,
    count: usize,
    inbox: Opens<S, T>,
    sent: Sends<S, U>,
) -> MailStream<'scope, U> {
    let scope = stream.scope();
    let (shard, shards) = (scope.index(), scope.peers());
    let (shared, control) = (Rc::clone(shared), Arc::clone(control));
    let name = shared.stage.borrow().name();
    stream.unary_frontier::<MailBuilder<U>, _, _, _>(by_address(), name, move |_, info| {
        if number == 0 && count > 1 {
            *shared.first.borrow_mut() = Some(scope.activator_for(info.address));
        }
        let mut held: Held<T> = Held::new();
        move |(input, frontier), output| {
            input.for_each(|capability, mail| {
                if let (Some(batch), Some(capability)) = (mail.batch.take(), capability.retain_least(0)) {
                    held.entry(*capability.time())
                        .or_insert_with(|| (capability, Vec::new()))
                        .1
                        .push((mail.src, batch));
                }
            });
            while let Some(entry) = held.first_entry() {
                let epoch = *entry.key();
                let waits = number == 0 && count > 1 && shared.done.get() < epoch;
                if frontier.less_equal(&epoch) || waits || control.failed() {
                    break;
                }
                let (capability, mut mail) = entry.remove();
                mail.sort_by_key(|(src, _)| *src);
                let mut out = Outbox::new(shard, shards);
                if let Err(error) = shared.stage.borrow_mut().step(epoch, number, inbox(mail), &mut out) {
                    control.fail(Error::Stage { stage: name, epoch, error });
                    break;
                }
                let mut session = output.session_with_builder(&capability);
                for (dst, batch) in sent(out) {
                    session.give_container(&mut Mail { dst, src: shard, batch: Some(batch) });
                }
            }
            if number + 1 == count && count > 1 {
                let open = frontier.frontier().first().copied().unwrap_or(Epoch::MAX);
                let done = held.first_key_value().map_or(open, |(epoch, _)| open.min(*epoch));
                if done > shared.done.replace(done) {
                    shared.first.borrow().iter().for_each(Activator::activate);
                }
            }
        }
    })
}
