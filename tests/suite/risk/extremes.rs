//! Gaps from seconds to centuries, rates from 1e-12 to 1e3 a second, stamps at the ends of their range: scores are probabilities in every
//! model, and belief propagation equals enumeration on trees.

use std::collections::BTreeSet;
use std::path::Path;

use super::Random;
use super::data::SECOND;
use super::enumeration::infected;
use thalweg::contacts::{
    Bp, Contact, MeanField, Parameters, Prior, Risk, RiskModel, RiskOptions, Snapshot, Test, Tgnn, Tracing,
};

/// A tenth of a second to three hundred years.
const LONGEST: f64 = 1e10;

fn log_uniform(random: &mut Random, from: f64, to: f64) -> f64 {
    from * (to / from).powf(random.unit())
}

/// People who meet at a few stamps, some of them far apart; with `tree`, each meets one of those before.
fn network(random: &mut Random, people: u64, tree: bool) -> Snapshot {
    let mut stamps = Vec::new();
    let mut t = i64::MIN + random.below(4) as i64 * (i64::MAX / 4);
    for _ in 0..2 + random.below(7) {
        stamps.push(t);
        t = t.saturating_add((log_uniform(random, 1.0, LONGEST) * 1e9) as i64);
    }
    let at = |random: &mut Random| stamps[random.below(stamps.len() as u64) as usize];
    let mut met = BTreeSet::new();
    for child in 1..people {
        for _ in 0..1 + random.below(if tree { 1 } else { 3 }) {
            let parent = random.below(child) as u32;
            for _ in 0..1 + random.below(4) {
                met.insert((at(random), parent, child as u32));
            }
        }
    }
    let contacts: Vec<Contact> = met
        .into_iter()
        .map(|(t, a, b)| Contact { t, a, b, duration: (log_uniform(random, 1.0, 1e5) * 1e9) as i64 })
        .collect();
    let as_of = t.max(*stamps.last().unwrap());
    let mut tests: Vec<Test> = (0..random.below(2 * people))
        .map(|_| {
            let late = (log_uniform(random, 1.0, LONGEST) * 1e9) as i64;
            let t = if random.below(2) == 0 { at(random) } else { at(random).saturating_add(late).min(as_of) };
            Test { t, person: random.below(people) as u32, positive: random.below(3) == 0 }
        })
        .collect();
    if random.below(4) == 0 {
        let t = contacts[0].t.saturating_sub((log_uniform(random, 1.0, LONGEST) * 1e9) as i64);
        tests.push(Test { t, person: random.below(people) as u32, positive: random.below(2) == 0 });
    }
    tests.sort();
    tests.dedup();
    Snapshot { as_of, people: people as u32, contacts, tests }
}

/// Parameters of SI, SIR or SEIR.
fn parameters(random: &mut Random, model: u64) -> Parameters {
    let rate = |random: &mut Random| log_uniform(random, 1e-12, 1e3);
    let mut parameters = Parameters { rate: rate(random), ..Parameters::default() };
    parameters.prior = Prior::Each(0.02 + 0.5 * random.unit());
    if model >= 1 {
        parameters.recovery = rate(random);
    }
    if model >= 2 {
        parameters.latency = rate(random);
    }
    match random.below(4) {
        0 => parameters.ascertainment = random.unit(),
        1 => parameters.false_negative = 0.3 * random.unit(),
        2 => {}
        _ => (parameters.false_negative, parameters.false_positive) = (0.3 * random.unit(), 0.2 * random.unit()),
    }
    parameters
}

fn probabilities(risk: &Risk, of: &str) {
    assert!(risk.score.iter().all(|score| (0.0..=1.0).contains(score)), "{of}: {:?}", risk.score);
    let because = risk.because.iter().flatten();
    assert!(because.clone().all(|(_, weight)| (0.0..=1.0).contains(weight)), "{of}: {:?}", risk.because);
    assert!(risk.change.is_finite() && risk.log_evidence.is_none_or(f64::is_finite), "{of}: {risk:?}");
}

fn models(parameters: Parameters) -> Vec<Box<dyn RiskModel>> {
    let tgnn = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tgnn.safetensors")).unwrap();
    vec![
        Box::new(Bp::new(parameters).unwrap().until(1e-5, 100)),
        Box::new(MeanField::new(parameters).unwrap()),
        Box::new(Tracing::new(parameters).unwrap()),
        Box::new(Tgnn::from_bytes("tgnn", &tgnn, parameters).unwrap()),
    ]
}

#[test]
fn trees_equal_enumeration_whatever_the_gaps_and_rates() {
    let (mut compared, mut worst) = (0, 0.0f64);
    for seed in 0..6000 {
        let random = &mut Random::new(seed);
        let people = 2 + random.below(3);
        let snapshot = network(random, people, true);
        let parameters = parameters(random, seed % 3);
        let risk = Bp::new(parameters).unwrap().until(1e-13, 200).risk(&snapshot, &RiskOptions::default()).unwrap();
        let of = format!("seed {seed}: {parameters:?}\n{snapshot:?}");
        probabilities(&risk, &of);
        // A message is 1 less what it has seen, so tests of probability p cost it as many digits as 1 / p has.
        let Some((expected, tests)) = infected(&snapshot, &parameters).filter(|(_, tests)| *tests > -14.0) else {
            continue;
        };
        assert!(risk.converged, "{of}");
        for (found, expected) in risk.score.iter().zip(&expected) {
            worst = worst.max((found - expected).abs());
            assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}, tests {tests}; {of}");
        }
        let evidence = risk.log_evidence.unwrap();
        assert!((evidence - tests).abs() < 1e-9, "found {evidence}, expected {tests}; {of}");
        compared += 1;
    }
    println!("{compared} trees, largest difference {worst:e}");
    assert!(compared > 3000, "{compared}");
}

#[test]
fn every_model_gives_probabilities() {
    for seed in 0..1200 {
        let random = &mut Random::new(seed);
        let people = 2 + random.below(5);
        let mut snapshot = network(random, people, false);
        let mut parameters = parameters(random, seed % 3);
        // Many tests, of which most have no explanation; and the ends of what parameters may be.
        if seed % 5 == 0 {
            let times: Vec<i64> = snapshot.contacts.iter().map(|contact| contact.t).collect();
            for _ in 0..random.below(100) {
                let t = times[random.below(times.len() as u64) as usize].saturating_add(random.below(50) as i64);
                snapshot.tests.push(Test { t, person: random.below(people) as u32, positive: random.below(2) == 0 });
            }
            snapshot.tests.retain(|test| test.t <= snapshot.as_of);
            snapshot.tests.sort();
            snapshot.tests.dedup();
            parameters.prior = Prior::Each([0.0, 1.0, 1e-300][(seed / 5 % 3) as usize]);
        }
        if seed % 7 == 0 {
            parameters.rate = [0.0, 1e-300, f64::MAX][(seed / 7 % 3) as usize];
            parameters.recovery = [0.0, 1e-300, f64::MAX][(seed / 21 % 3) as usize];
        }
        for mut model in models(parameters) {
            let risk = model.risk(&snapshot, &RiskOptions::new(2)).unwrap();
            probabilities(&risk, &format!("seed {seed}, {}: {parameters:?}\n{snapshot:?}", model.name()));
        }
    }
}

#[test]
fn a_gap_of_half_a_century_leaves_those_before_it_recovered() {
    let contact = |t: i64, a, b, seconds: i64| Contact { t: t * SECOND, a, b, duration: seconds * SECOND };
    let contacts = vec![contact(0, 3, 4, 60), contact(1_700_000_000, 0, 1, 600), contact(1_700_003_600, 1, 2, 600)];
    let snapshot = Snapshot { as_of: 1_700_003_600 * SECOND, people: 5, contacts, tests: Vec::new() };
    let parameters = Parameters { latency: 5e-6, recovery: 1e-5, ..Parameters::default() };
    for mut model in models(parameters) {
        let risk = model.risk(&snapshot, &RiskOptions::default()).unwrap();
        probabilities(&risk, model.name());
        // Mean field has nobody go from E to R between two stamps, and `tgnn` is a guess.
        if model.name() == "bp" {
            assert!(risk.converged && risk.score[3] < 1e-12 && risk.score[4] < 1e-12, "{}: {risk:?}", model.name());
        }
    }
}

#[test]
fn recovery_runs_from_a_second_before_the_earliest_test() {
    let contacts = vec![Contact { t: 0, a: 0, b: 1, duration: 600 * SECOND }];
    let tests = vec![Test { t: -31_536_000 * SECOND, person: 0, positive: true }];
    let snapshot = Snapshot { as_of: 0, people: 2, contacts, tests };
    let prior = Prior::Each(0.01);
    let parameters = Parameters { rate: 1e-4, recovery: 1.16e-6, prior, ..Parameters::default() };
    let still = (-1.16e-6f64 * 31_536_001.0).exp();
    for mut model in
        [Box::new(Bp::new(parameters).unwrap()) as Box<dyn RiskModel>, Box::new(MeanField::new(parameters).unwrap())]
    {
        let risk = model.risk(&snapshot, &RiskOptions::default()).unwrap();
        // A seed, since nothing else was there to infect it, a second before its test: it has recovered since.
        assert!(risk.score[0] < 2.0 * still + 1e-12, "{}: {risk:?}", model.name());
    }
}

#[test]
fn a_model_that_is_stopped_says_so() {
    let random = &mut Random::new(3);
    let snapshot = network(random, 6, false);
    let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let options = RiskOptions { stop: thalweg::contacts::Stop::when(flag), ..RiskOptions::new(2) };
    for mut model in models(Parameters { latency: 1e-5, recovery: 1e-5, ..Parameters::default() }) {
        let error = model.risk(&snapshot, &options).unwrap_err();
        assert!(matches!(error, thalweg::Error::Interrupted), "{}: {error}", model.name());
    }
}

#[test]
fn because_names_as_many_as_asked_for() {
    let contacts = (0..30).map(|other| Contact { t: SECOND, a: other, b: 30, duration: 600 * SECOND }).collect();
    let tests = (0..30).map(|person| Test { t: 0, person, positive: true }).collect();
    let snapshot = Snapshot { as_of: SECOND, people: 31, contacts, tests };
    for mut model in models(Parameters { rate: 1e-4, ..Parameters::default() }) {
        for because in [0, 3, 10, 25, 100] {
            let options = RiskOptions { because, ..RiskOptions::default() };
            let named = model.risk(&snapshot, &options).unwrap().because[30].len();
            assert_eq!(named, because.min(30), "{}", model.name());
        }
    }
}
