//! The adapter: a stage as a chain of operators, one a phase, that own capabilities, frontiers and exchanges.
//!
//! An operator keeps what it gets for an epoch, with a capability, until its frontier has passed the epoch; only then
//! does it order the inbox by input and sender and call the stage. Every phase waits besides until the last one has done
//! all earlier epochs on this shard, so the stage's state never sees two epochs at once: the last phase's frontier says
//! when. Without that wait a shard that gets a letter of epoch e + 1 from a faster one could begin it before its own last
//! phase of e.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;
use timely::scheduling::Activator;

use super::Control;
use super::mail::{Held, Mail, MailBuilder, MailStream, by_address, hold};
use crate::plan::{AnyStage, Item};
use crate::stage::Outbox;
use crate::{Epoch, Error};

/// What the phases of one stage on one shard share.
struct Shared {
    name: String,
    stage: RefCell<Box<dyn AnyStage>>,
    phases: usize,
    /// The last phase has done every epoch below this.
    done: Cell<Epoch>,
    /// Wakes the phases before the last.
    earlier: RefCell<Vec<Activator>>,
    control: Arc<Control>,
}

/// Installs a stage behind `input`; its output stays on the shard that gave it.
pub(crate) fn phases<'scope>(
    input: MailStream<'scope>,
    name: String,
    stage: Box<dyn AnyStage>,
    control: &Arc<Control>,
) -> MailStream<'scope> {
    let shared = Rc::new(Shared {
        name,
        phases: stage.phases().max(1),
        stage: RefCell::new(stage),
        done: Cell::new(0),
        earlier: RefCell::default(),
        control: Arc::clone(control),
    });
    (0..shared.phases).fold(input, |stream, number| phase(stream, &shared, number))
}

/// One phase as an operator.
fn phase<'scope>(stream: MailStream<'scope>, shared: &Rc<Shared>, number: usize) -> MailStream<'scope> {
    let scope = stream.scope();
    let (shard, shards) = (scope.index(), scope.peers());
    let shared = Rc::clone(shared);
    let last = number + 1 == shared.phases;
    let name = shared.name.clone();
    stream.unary_frontier::<MailBuilder, _, _, _>(by_address(), &name, move |own, info| {
        if !last {
            shared.earlier.borrow_mut().push(scope.activator_for(info.address));
        }
        let mut held: Held = Held::new();
        // For what no item calls for: epochs without input, and what the stage gives at the end.
        let every = number == 0 && shared.stage.borrow().every_epoch();
        let mut own = Some(own).filter(|_| every || last);
        move |(input, frontier), output| {
            input.for_each(|capability, mail| hold(&mut held, capability, mail));
            let control = &shared.control;
            let open = frontier.frontier().first().copied();
            let closed = control.closed(open);
            if let Some(own) = own.as_ref().filter(|_| every) {
                for epoch in *own.time()..closed {
                    held.entry(epoch).or_insert_with(|| (own.delayed(&epoch), Vec::new()));
                }
            }
            while let Some(entry) = held.first_entry() {
                let epoch = *entry.key();
                let waits = !last && shared.done.get() < epoch;
                if frontier.less_equal(&epoch) || waits || control.failed() {
                    break;
                }
                let (capability, mail) = entry.remove();
                step(&shared, number, epoch, mail, &capability, (shard, shards), output);
            }
            let first_held = held.first_key_value().map_or(Epoch::MAX, |(epoch, _)| *epoch);
            if open.is_none() && first_held == Epoch::MAX {
                if let Some(own) = own.take().filter(|_| last && !control.failed()) {
                    let mut out = Outbox::new(shard, shards);
                    let epoch = closed.max(*own.time());
                    match shared.stage.borrow_mut().end(epoch, &mut out) {
                        Ok(()) => send(out.output, &own.delayed(&epoch), shard, output),
                        Err(error) => fail(&shared, epoch, error),
                    }
                }
            } else if let Some(own) = &mut own {
                let time = closed.min(first_held).max(*own.time());
                own.downgrade(&time);
            }
            let done = first_held.min(open.unwrap_or(Epoch::MAX));
            if last && shared.phases > 1 && done > shared.done.replace(done) {
                shared.earlier.borrow().iter().for_each(Activator::activate);
            }
        }
    })
}

/// One phase of one epoch.
fn step(
    shared: &Shared,
    number: usize,
    epoch: Epoch,
    mut mail: Vec<((u32, usize), Item)>,
    capability: &Capability<Epoch>,
    (shard, shards): (usize, usize),
    output: &mut timely::dataflow::operators::generic::OutputBuilderSession<'_, Epoch, MailBuilder>,
) {
    mail.sort_by_key(|(sender, _)| *sender);
    let mut out = Outbox::new(shard, shards);
    let mut stage = shared.stage.borrow_mut();
    let stepped = if number == 0 {
        stage.input(epoch, mail.into_iter().map(|((port, _), item)| (port, item)).collect(), &mut out)
    } else {
        stage.exchange(epoch, number, mail.into_iter().map(|((_, src), item)| (src, item)).collect(), &mut out)
    };
    match stepped {
        Ok(()) if number + 1 == shared.phases => send(out.output, capability, shard, output),
        Ok(()) => send(out.letters, capability, shard, output),
        Err(error) => fail(shared, epoch, error),
    }
}

fn fail(shared: &Shared, epoch: Epoch, error: crate::BoxError) {
    let place = shared.control.place(epoch);
    shared.control.fail(Error::Stage { stage: shared.name.clone(), epoch, place, error });
}

fn send(
    batches: Vec<(usize, Item)>,
    capability: &Capability<Epoch>,
    src: usize,
    output: &mut timely::dataflow::operators::generic::OutputBuilderSession<'_, Epoch, MailBuilder>,
) {
    let mut session = output.session_with_builder(capability);
    for (dst, batch) in batches {
        session.give_container(&mut Mail::new(src, dst, batch));
    }
}
