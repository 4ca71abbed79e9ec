//! Random trees of up to five people: belief propagation is exact there, in SI, SIR and SEIR with every kind of evidence.

use std::collections::BTreeMap;

use super::Random;
use super::data::SECOND;
use super::enumeration::infected;
use thalweg::contacts::{Bp, Contact, Parameters, Prior, RiskModel, Snapshot, Test};

const HOUR: i64 = 3600 * SECOND;

/// A tree with contacts and tests that meet at stamps often.
pub fn tree(random: &mut Random, people: u64) -> Snapshot {
    let mut met = BTreeMap::new();
    let stamps = 2 + random.below(7);
    for child in 1..people {
        let parent = random.below(child);
        for _ in 0..1 + random.below(5) {
            let t = (1 + random.below(stamps) as i64) * 20 * HOUR;
            *met.entry((t, parent as u32, child as u32)).or_insert(0) += (1 + random.below(3000) as i64) * SECOND;
        }
    }
    let contacts: Vec<Contact> = met.into_iter().map(|((t, a, b), duration)| Contact { t, a, b, duration }).collect();
    let as_of = contacts.last().unwrap().t + random.below(30) as i64 * HOUR;
    let mut tests = Vec::new();
    for _ in 0..random.below(3 * people) {
        let t = contacts[0].t + random.below((as_of - contacts[0].t) as u64 / HOUR as u64 / 5 + 1) as i64 * 5 * HOUR;
        tests.push(Test { t, person: random.below(people) as u32, positive: random.below(3) == 0 });
    }
    tests.sort();
    Snapshot { as_of, people: people as u32, contacts, tests }
}

/// Parameters of one of the models.
pub fn parameters(random: &mut Random, model: u64) -> Parameters {
    let per_day = |random: &mut Random| (0.1 + 2.0 * random.unit()) / 86400.0;
    let mut parameters = Parameters { rate: 1e-3 * random.unit(), ..Parameters::default() };
    parameters.prior = Prior::Each(0.02 + 0.5 * random.unit());
    if model >= 1 {
        parameters.recovery = per_day(random);
    }
    if model >= 2 {
        parameters.latency = per_day(random);
    }
    if model == 3 {
        parameters.recovery = 0.0;
    }
    match random.below(3) {
        0 => parameters.ascertainment = random.unit(),
        1 => parameters.false_negative = 0.3 * random.unit(),
        _ => (parameters.false_negative, parameters.false_positive) = (0.3 * random.unit(), 0.2 * random.unit()),
    }
    parameters
}

#[test]
fn trees_equal_enumeration() {
    let (mut compared, mut worst) = (0, 0.0f64);
    for seed in 0..1500 {
        let random = &mut Random::new(seed);
        let people = 2 + random.below(4);
        let snapshot = tree(random, people);
        let parameters = parameters(random, seed % 4);
        let Some(expected) = infected(&snapshot, &parameters) else { continue };
        let risk = Bp::new(parameters).unwrap().until(1e-13, 200).risk(&snapshot, 1).unwrap();
        assert_eq!((risk.converged, risk.contradictions), (true, 0), "seed {seed}");
        for (person, (found, expected)) in risk.score.iter().zip(&expected).enumerate() {
            let off = (found - expected).abs();
            assert!(
                off < 1e-9,
                "seed {seed}, person {person}: found {found}, expected {expected}\n{parameters:?}\n{snapshot:#?}"
            );
            worst = worst.max(off);
        }
        compared += 1;
    }
    println!("{compared} trees, largest difference {worst:e}");
    assert!(compared > 700);
}
