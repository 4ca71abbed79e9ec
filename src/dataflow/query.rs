//! The relational face of a stage: its output as a differential collection, and a query's answer back as changes an epoch.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::{AsCollection, ExchangeData, VecCollection};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use super::Control;
use super::mail::{Mail, MailBuilder, MailStream};
use crate::plan::{CopyItem, Delta, Item};
use crate::{BoxError, Epoch, Error};

/// What came of an epoch's answer so far.
type Answer<R> = (Capability<Epoch>, Vec<(R, isize)>);

/// Feeds `updates` of each item, (row, epoch, diff) with epochs at or after the item's, through `logic`.
///
/// The answer arrives on shard 0, one [`Delta`] an epoch that changed it: consolidated, ascending by row.
pub(crate) fn query<'scope, D, R>(
    stream: MailStream<'scope>,
    updates: impl Fn(Epoch, Item, &mut Vec<(D, Epoch, isize)>) -> Result<(), BoxError> + 'static,
    logic: impl FnOnce(VecCollection<'scope, Epoch, D, isize>) -> VecCollection<'scope, Epoch, R, isize>,
    copy: Option<CopyItem>,
    control: &Arc<Control>,
) -> MailStream<'scope>
where
    D: ExchangeData,
    R: ExchangeData,
{
    let control = Arc::clone(control);
    let rows =
        stream.unary::<CapacityContainerBuilder<Vec<(D, Epoch, isize)>>, _, _, _>(Pipeline, "rows", move |_, _| {
            let mut buffer = Vec::new();
            move |input, output| {
                input.for_each(|capability, mail| {
                    if let (Some(item), Some(capability)) = (mail.batch.take(), capability.retain_least(0)) {
                        let epoch = *capability.time();
                        if let Err(error) = updates(epoch, item, &mut buffer) {
                            let place = control.place(epoch);
                            return control.fail(Error::Stage { stage: "query".into(), epoch, place, error });
                        }
                        output.session(&capability).give_iterator(buffer.drain(..));
                    }
                });
            }
        });
    let answer = logic(rows.as_collection()).inner;
    answer.unary_frontier::<MailBuilder, _, _, _>(Exchange::new(|_: &(R, Epoch, isize)| 0), "answer", move |_, _| {
        let mut held: BTreeMap<Epoch, Answer<R>> = BTreeMap::new();
        move |(input, frontier), output| {
            input.for_each(|capability, batch| {
                for (row, epoch, diff) in batch.drain(..) {
                    let (_, rows) = held.entry(epoch).or_insert_with(|| (capability.delayed(&epoch, 0), Vec::new()));
                    rows.push((row, diff));
                }
            });
            while let Some(entry) = held.first_entry() {
                if frontier.less_equal(entry.key()) {
                    break;
                }
                let (capability, mut rows) = entry.remove();
                consolidate(&mut rows);
                if !rows.is_empty() {
                    let mut session = output.session_with_builder(&capability);
                    session.give_container(&mut Mail::new(0, 0, Item::new(Delta { rows }, copy)));
                }
            }
        }
    })
}
