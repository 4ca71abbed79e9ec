//! Random trees of up to five people: belief propagation is exact there, in SI, SIR and SEIR with every kind of evidence.

use std::collections::BTreeMap;

use super::Random;
use super::data::SECOND;
use super::enumeration::infected;
use thalweg::contacts::{Bp, Contact, Parameters, Prior, RiskModel, RiskOptions, Snapshot, Test};

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
    tests.dedup();
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
        let Some((expected, tests)) = infected(&snapshot, &parameters) else { continue };
        let risk = Bp::new(parameters).unwrap().until(1e-13, 200).risk(&snapshot, &RiskOptions::new(1)).unwrap();
        assert_eq!((risk.converged, risk.contradictions), (true, 0), "seed {seed}");
        for (person, (found, expected)) in risk.score.iter().zip(&expected).enumerate() {
            let off = (found - expected).abs();
            assert!(
                off < 1e-9,
                "seed {seed}, person {person}: found {found}, expected {expected}\n{parameters:?}\n{snapshot:#?}"
            );
            worst = worst.max(off);
        }
        let evidence = risk.log_evidence.unwrap();
        assert!((evidence - tests).abs() < 1e-9, "seed {seed}: {evidence}, expected {tests}");
        compared += 1;
    }
    println!("{compared} trees, largest difference {worst:e}");
    assert!(compared > 700);
}

#[test]
fn threads_and_contradictions_change_nothing_else() {
    for seed in 0..200 {
        let random = &mut Random::new(seed);
        let mut snapshot = tree(random, 5);
        let mut parameters = parameters(random, seed % 4);
        // Perfect tests at random, and no prior: most have no explanation.
        (parameters.false_negative, parameters.false_positive) = (0.0, 0.0);
        parameters.prior = Prior::Each([0.0, 1.0, 1e-7][(seed % 3) as usize]);
        for _ in 0..seed % 40 {
            let t = snapshot.contacts[0].t + random.below(200) as i64 * HOUR;
            snapshot.tests.push(Test { t, person: random.below(5) as u32, positive: random.below(2) == 0 });
        }
        snapshot.tests.sort();
        snapshot.tests.dedup();
        snapshot.as_of += 200 * HOUR;
        let run = |threads| Bp::new(parameters).unwrap().risk(&snapshot, &RiskOptions::new(threads)).unwrap();
        let risk = run(1);
        assert!(risk.score.iter().all(|score| (0.0..=1.0).contains(score)), "seed {seed}: {risk:?}\n{parameters:?}");
        assert_eq!(risk, run(3), "seed {seed}");
        if infected(&snapshot, &parameters).is_none() {
            assert!(risk.contradictions > 0, "seed {seed}: {risk:?}\n{parameters:?}\n{snapshot:?}");
        } else {
            assert_eq!(risk.contradictions, 0, "seed {seed}: {risk:?}\n{parameters:?}\n{snapshot:?}");
        }
    }
}

#[test]
fn a_positive_test_without_a_source_is_believed() {
    let contacts = vec![Contact { t: 0, a: 0, b: 1, duration: 600 * SECOND }];
    let tests = vec![Test { t: HOUR, person: 1, positive: true }];
    let snapshot = Snapshot { as_of: HOUR, people: 3, contacts, tests };
    let parameters = Parameters { prior: Prior::Each(0.0), ..Parameters::default() };
    let risk = Bp::new(parameters).unwrap().risk(&snapshot, &RiskOptions::new(1)).unwrap();
    // Either was infected from outside.
    assert_eq!(risk.contradictions, 2);
    assert!(risk.score[1] > 0.999 && risk.score[2] < 1e-9, "{risk:?}");
}

#[test]
fn people_without_contacts_and_nobody_at_all() {
    let none = Bp::new(Parameters::default()).unwrap().risk(&Snapshot::default(), &RiskOptions::new(2)).unwrap();
    assert_eq!((none.score.len(), none.converged), (0, true));
    let tests = vec![Test { t: 5, person: 1, positive: true }];
    let snapshot = Snapshot { as_of: 9, people: 4, contacts: Vec::new(), tests };
    let parameters = Parameters { false_positive: 0.1, false_negative: 0.2, ..Parameters::default() };
    let risk = Bp::new(parameters).unwrap().risk(&snapshot, &RiskOptions::new(2)).unwrap();
    // Bayes: 1/4 · 0.8 against 3/4 · 0.1.
    assert!((risk.score[1] - 0.2 / 0.275).abs() < 1e-12 && (risk.score[0] - 0.25).abs() < 1e-12, "{risk:?}");
}

#[test]
fn because_is_the_share_of_each_source() {
    // Two are known to be infected when a third, who is not, meets both at one stamp: by symmetry either is as probably its source.
    let contacts = vec![
        Contact { t: 0, a: 3, b: 4, duration: SECOND },
        Contact { t: HOUR, a: 0, b: 2, duration: 600 * SECOND },
        Contact { t: HOUR, a: 1, b: 2, duration: 600 * SECOND },
        Contact { t: 2 * HOUR, a: 2, b: 3, duration: 60 * SECOND },
    ];
    let tests = [0, 1, 2, 3].map(|person| Test { t: 0, person, positive: person < 2 });
    let snapshot = Snapshot { as_of: 2 * HOUR, people: 5, contacts, tests: tests.to_vec() };
    let parameters = Parameters { prior: Prior::Each(1e-6), ..Parameters::default() };
    let risk = Bp::new(parameters).unwrap().risk(&snapshot, &RiskOptions::new(1)).unwrap();
    let once = 1.0 - (-1.2f64).exp();
    let [(0, a), (1, b)] = risk.because[2][..] else { panic!("{risk:?}") };
    assert!((f64::from(a) - once / 2.0).abs() < 1e-4 && a == b, "{a} {b} {once}");
    assert!((risk.score[2] - once).abs() < 1e-4);
    let [(2, c)] = risk.because[3][..] else { panic!("{risk:?}") };
    assert!((f64::from(c) - once * (1.0 - (-0.06f64).exp())).abs() < 1e-4);
}

#[test]
fn a_fortnight_of_contacts_every_few_minutes() {
    // 3 people, 4,000 stamps, 60 tests that contradict each other: sums stay finite and fast in every model.
    let contacts: Vec<Contact> = (0..4000)
        .flat_map(|k| [(0, 1), (1, 2)].map(|(a, b)| Contact { t: k * 300 * SECOND, a, b, duration: 20 * SECOND }))
        .collect();
    let as_of = 4000 * 300 * SECOND;
    let tests = (0..60).map(|k| Test { t: k * 20_000 * SECOND, person: k as u32 % 3, positive: k % 7 < 3 }).collect();
    let snapshot = Snapshot { as_of, people: 3, contacts, tests };
    for model in 0..4 {
        let parameters = Parameters { rate: 1e-2, ..parameters(&mut Random::new(model), model) };
        let errors = Parameters { false_negative: 0.2, false_positive: 0.05, ascertainment: 0.0, ..parameters };
        for parameters in [parameters, errors] {
            let risk = Bp::new(parameters).unwrap().until(1e-5, 50).risk(&snapshot, &RiskOptions::new(2)).unwrap();
            assert!(risk.score.iter().all(|score| (0.0..=1.0).contains(score)), "{risk:?}\n{parameters:?}");
        }
    }
}
