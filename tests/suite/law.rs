//! The harness of the law: random edit scripts with printed seeds, a naive live set beside them, and one assertion that a
//! stage gives the same answer for 1, 2 and 4 shards and for any order of the messages within an epoch.

use std::collections::BTreeMap;

use crate::random::Random;
use thalweg::changes::{Changes, Columns, PointColumns};
use thalweg::stage::{Inbox, Outbox};
use thalweg::{BoxError, Epoch, Stage};

/// Edits for `epochs` epochs on a small grid, full of ties: inserts, removals, moves, and ids that come back.
pub fn script(seed: u64, epochs: usize) -> Vec<Changes<PointColumns>> {
    let mut rng = Random::new(seed);
    let mut live: BTreeMap<u64, [f32; 3]> = BTreeMap::new();
    (0..epochs)
        .map(|_| {
            let mut changes = Changes::<PointColumns>::default();
            let mut touched = BTreeMap::new();
            for _ in 0..rng.below(12) {
                let id = rng.below(40);
                if touched.insert(id, ()).is_some() {
                    continue;
                }
                let row = [rng.below(4) as f32, rng.below(4) as f32, rng.below(2) as f32];
                match (live.contains_key(&id), rng.below(3)) {
                    (false, _) => changes.inserted.push(id, row),
                    (true, 0) => changes.moved.push(id, row),
                    (true, _) => changes.removed.push(id),
                }
            }
            Changes::net([changes.clone()]).unwrap().apply(&mut live).unwrap();
            changes
        })
        .collect()
}

/// Cuts an epoch's changes into single changes, shuffles them and deals them out to `shards`.
fn deal(changes: &Changes<PointColumns>, shards: usize, rng: &mut Random) -> Vec<Vec<Changes<PointColumns>>> {
    let mut pieces = Vec::new();
    let one = |make: &dyn Fn(&mut Changes<PointColumns>)| {
        let mut piece = Changes::default();
        make(&mut piece);
        piece
    };
    pieces.extend(changes.removed.iter().map(|&id| one(&|piece| piece.removed.push(id))));
    pieces.extend(changes.inserted.rows().map(|(id, row)| one(&|piece| piece.inserted.push(id, row))));
    pieces.extend(changes.moved.rows().map(|(id, row)| one(&|piece| piece.moved.push(id, row))));
    let mut dealt: Vec<Vec<_>> = (0..shards).map(|_| Vec::new()).collect();
    while !pieces.is_empty() {
        let piece = pieces.swap_remove(rng.below(pieces.len() as u64) as usize);
        dealt[rng.below(shards as u64) as usize].push(piece);
    }
    dealt
}

/// Drives a stage by hand over `shards` shards: every phase of every epoch, mail in sender order as the adapter has it.
pub fn drive<S>(
    make: impl Fn() -> S,
    script: &[Changes<PointColumns>],
    shards: usize,
    rng: &mut Random,
) -> Vec<Vec<S::Output>>
where
    S: Stage<Input = Changes<PointColumns>>,
{
    let mut stages: Vec<S> = (0..shards).map(|_| make()).collect();
    let mut answers = Vec::new();
    for (epoch, changes) in script.iter().enumerate() {
        let mut inboxes: Vec<Option<Inbox<_, _>>> = deal(changes, shards, rng)
            .into_iter()
            .map(|pieces| (!pieces.is_empty()).then_some(Inbox::Input(pieces)))
            .collect();
        let mut answer = Vec::new();
        for phase in 0..stages[0].phases() {
            let mut mail: Vec<Vec<(usize, S::Exchange)>> = (0..shards).map(|_| Vec::new()).collect();
            for (shard, inbox) in inboxes.into_iter().enumerate() {
                let Some(inbox) = inbox else { continue };
                let mut out = Outbox::new(shard, shards);
                stages[shard].step(epoch as Epoch, phase, inbox, &mut out).unwrap();
                let (letters, output) = out.take();
                letters.into_iter().for_each(|(dst, letter)| mail[dst].push((shard, letter)));
                answer.extend(output);
            }
            inboxes = mail.into_iter().map(|mail| (!mail.is_empty()).then_some(Inbox::Exchange(mail))).collect();
        }
        answers.push(answer);
    }
    answers
}

/// Asserts the law for a stage whose output pieces, once sorted, do not depend on shards or order; returns the answers.
pub fn assert_law<S, O>(
    make: impl Fn() -> S + Copy,
    seeds: std::ops::Range<u64>,
    epochs: usize,
    oracle: impl Fn(&BTreeMap<u64, [f32; 3]>) -> Vec<O>,
) where
    S: Stage<Input = Changes<PointColumns>, Output = (Epoch, Vec<O>)>,
    O: Ord + PartialEq + std::fmt::Debug,
{
    for seed in seeds {
        let script = script(seed, epochs);
        for shards in [1, 2, 4] {
            for order in 0..3 {
                let answers = drive(make, &script, shards, &mut Random::new(seed * 31 + order));
                let mut live = BTreeMap::new();
                for (epoch, (changes, answer)) in script.iter().zip(answers).enumerate() {
                    changes.apply(&mut live).unwrap();
                    let mut found: Vec<O> = answer.into_iter().flat_map(|(_, rows)| rows).collect();
                    found.sort();
                    if !changes.is_empty() {
                        assert_eq!(found, oracle(&live), "seed {seed}, epoch {epoch}, {shards} shards, order {order}");
                    }
                }
            }
        }
    }
}

/// Who stands where: changes go to the shard of their id, which hands out its part of the live set.
#[derive(Default)]
struct Standing(BTreeMap<u64, [f32; 3]>);

impl Stage for Standing {
    type Input = Changes<PointColumns>;
    type Exchange = Changes<PointColumns>;
    type Output = (Epoch, Vec<(u64, [u32; 3])>);
    fn name(&self) -> &'static str {
        "standing"
    }
    fn phases(&self) -> usize {
        2
    }
    fn step(
        &mut self,
        epoch: Epoch,
        _: usize,
        inbox: Inbox<Self::Input, Self::Exchange>,
        out: &mut Outbox<Self::Exchange, Self::Output>,
    ) -> Result<(), BoxError> {
        match inbox {
            Inbox::Input(pieces) => {
                let net = Changes::net(pieces)?;
                let mut by_shard: Vec<Changes<PointColumns>> = (0..out.shards()).map(|_| Changes::default()).collect();
                let shards = out.shards() as u64;
                let to = |id: u64| (id % shards) as usize;
                net.removed.iter().for_each(|&id| by_shard[to(id)].removed.push(id));
                net.inserted.rows().for_each(|(id, row)| by_shard[to(id)].inserted.push(id, row));
                net.moved.rows().for_each(|(id, row)| by_shard[to(id)].moved.push(id, row));
                by_shard.into_iter().enumerate().for_each(|(shard, changes)| out.send(shard, changes));
            }
            Inbox::Exchange(mail) => {
                Changes::net(mail.into_iter().map(|(_, changes)| changes))?.apply(&mut self.0)?;
                out.give((epoch, self.0.iter().map(|(&id, row)| (id, row.map(f32::to_bits))).collect()));
            }
        }
        Ok(())
    }
}

#[test]
fn a_sharded_stage_over_changes_keeps_the_law() {
    assert_law(Standing::default, 0..20, 60, |live| {
        live.iter().map(|(&id, row)| (id, row.map(f32::to_bits))).collect()
    });
}

#[test]
fn changes_that_contradict_themselves_or_the_live_set_are_errors_and_change_nothing() {
    let mut twice = Changes::<PointColumns>::default();
    twice.removed.push(3);
    twice.inserted.push(3, [0.0; 3]);
    let error = Changes::net([twice]).unwrap_err().to_string();
    assert_eq!(error, "changes of one epoch: found two for id 3, expected one net change an id");

    let mut live = BTreeMap::from([(1, [1.0; 3])]);
    let mut wrong = Changes::<PointColumns>::default();
    wrong.removed.push(1);
    wrong.moved.push(2, [0.0; 3]);
    assert_eq!(wrong.apply(&mut live).unwrap_err().to_string(), "move: found id 2, expected a live id");
    assert_eq!(live, BTreeMap::from([(1, [1.0; 3])]));
    assert_eq!(PointColumns::default().len(), 0);
}
