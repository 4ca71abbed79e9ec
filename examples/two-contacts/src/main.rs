//! People within two contacts of a positive test, live: a differential query over contacts and tests as they come in, late or taken back.
//!
//!     two-contacts contacts.csv tests.csv [--follow]
//!
//! prints `+ name` when somebody comes within two contacts, `- name` when somebody no longer is.

use std::sync::Arc;

use thalweg::contacts::{Fact, Names};
use thalweg::dataflow::VecCollection;
use thalweg::plan::Delta;
use thalweg::{BoxError, Epoch, Pipeline, Sink};
use thalweg_connectors::contacts::{FilesOptions, Pace, Rejected, source};

/// The query: whoever tested positive, whom they met, and whom those met.
fn within_two<'scope>(facts: VecCollection<'scope, Epoch, Fact, isize>) -> VecCollection<'scope, Epoch, u32, isize> {
    // A row is live while its diffs add up to more than 0.
    let live = facts.threshold(|_, sum| isize::from(*sum > 0));
    let met = live
        .clone()
        .flat_map(|fact| match fact {
            Fact::Contact(c) if c.a != c.b => vec![(c.a, c.b), (c.b, c.a)],
            _ => Vec::new(),
        })
        .distinct();
    let positive = live
        .flat_map(|fact| match fact {
            Fact::Test(test) if test.positive => Some(test.person),
            _ => None,
        })
        .distinct();
    let one = positive.clone().concat(met.clone().semijoin(positive).map(|(_, other)| other)).distinct();
    one.clone().concat(met.semijoin(one).map(|(_, other)| other)).distinct()
}

/// Prints what changes.
struct Print(Names);

impl Sink<Delta<u32>> for Print {
    fn name(&self) -> String {
        "stdout".into()
    }
    fn write(&mut self, _: Epoch, delta: Delta<u32>) -> Result<(), BoxError> {
        let names = self.0.list();
        for (person, diff) in delta.rows {
            println!("{} {}", if diff > 0 { '+' } else { '-' }, names[person as usize]);
        }
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

fn main() -> Result<(), BoxError> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let follow = arguments.last().is_some_and(|last| last == "--follow");
    arguments.truncate(arguments.len() - usize::from(follow));
    let [contacts, tests] = arguments.as_slice() else {
        return Err("usage: two-contacts CONTACTS TESTS [--follow]".into());
    };
    let options =
        FilesOptions { contacts: vec![contacts.into()], tests: vec![tests.into()], follow, ..FilesOptions::default() };
    let rejected = Arc::new(Rejected::beside("two-contacts"));
    let rows = source(&options, None, Pace::default(), &Arc::default(), &rejected)?;
    let print = Print(rows.names());
    Pipeline::from_source(rows).workers(2).run(|rows| rows.facts(within_two), print)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use thalweg::contacts::{ContactRow, FactRows, TestRow};
    use thalweg::{Next, Source, sink::Collect};

    struct Batches(std::vec::IntoIter<Vec<(Fact, i32)>>);

    impl Source for Batches {
        type Item = FactRows;
        fn name(&self) -> String {
            "batches".into()
        }
        fn next(&mut self) -> Result<Next<FactRows>, BoxError> {
            Ok(self.0.next().map_or(Next::End, |rows| Next::Item(FactRows { rows, due: false })))
        }
    }

    #[test]
    fn the_answer_follows_what_comes_late_and_what_is_taken_back() {
        let met = |t, i, j, diff| (Fact::Contact(ContactRow::new(t, i, j, 20)), diff);
        let test = |person, diff| (Fact::Test(TestRow { t: 5, person, positive: true }), diff);
        // A chain 0 - 1 - 2 - 3 - 4; by hand.
        let epochs = [
            (vec![met(1, 0, 1, 1), met(2, 1, 2, 1), met(3, 2, 3, 1), met(3, 3, 4, 1)], vec![]),
            (vec![test(0, 1)], vec![0, 1, 2]),
            (vec![met(1, 0, 1, 1), test(4, 1)], vec![0, 1, 2, 3, 4]),
            (vec![met(1, 0, 1, -1)], vec![0, 1, 2, 3, 4]),
            (vec![met(1, 0, 1, -1)], vec![0, 2, 3, 4]),
            (vec![test(4, -1), met(1, 3, 0, 1)], vec![0, 2, 3, 4]),
            (vec![test(0, -1)], vec![]),
        ];
        for workers in [1, 2, 4] {
            let sink = Collect::default();
            let batches: Vec<_> = epochs.iter().map(|(rows, _)| rows.clone()).collect();
            let source = Batches(batches.into_iter());
            Pipeline::from_source(source).workers(workers).run(|rows| rows.facts(within_two), sink.clone()).unwrap();
            let (mut items, mut answer) = (sink.items().into_iter().peekable(), BTreeSet::new());
            for (epoch, (_, expected)) in epochs.iter().enumerate() {
                if let Some((_, delta)) = items.next_if(|(at, _)| *at == epoch as Epoch) {
                    for (person, diff) in delta.rows {
                        if diff > 0 {
                            answer.insert(person)
                        } else {
                            answer.remove(&person)
                        };
                    }
                }
                assert!(answer.iter().eq(expected), "epoch {epoch}: {answer:?}, {workers} workers");
            }
        }
    }
}
