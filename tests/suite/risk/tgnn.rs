//! The graph network of risk: its forward pass against plain sums, the shipped weights, and files that are no model.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use thalweg::contacts::tgnn::{AGES, Inputs, LANES, NODE, POPULATION, Rates};
use thalweg::contacts::{Bp, Contact, Parameters, Prior, RiskModel, RiskOptions, Snapshot, Test, Tgnn};

use super::Random;
use super::data::SECOND;
use super::trees::parameters;

const HOUR: i64 = 3600 * SECOND;
const CHANNELS: usize = 8;

/// Tensors of a model: shape and values, by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A network of random weights.
fn random_tensors(random: &mut Random) -> Tensors {
    let c = CHANNELS;
    let mut tensors = Tensors::new();
    let mut layer = |name: &str, outputs: usize, inputs: usize, bias: bool| {
        let mut values = |n: usize| -> Vec<f32> {
            (0..n).map(|_| ((random.unit() - 0.5) / (inputs as f64).sqrt()) as f32).collect()
        };
        tensors.insert(format!("{name}.weight"), (vec![outputs, inputs], values(outputs * inputs)));
        if bias {
            tensors.insert(format!("{name}.bias"), (vec![outputs], values(outputs)));
        }
    };
    layer("population.0", c, POPULATION, true);
    layer("population.1", c, c, true);
    layer("scale", 2, c, true);
    layer("input", c, NODE, true);
    layer("mix", c, c, false);
    for conv in ["conv.0", "conv.1"] {
        layer(&format!("{conv}.lin_rel"), c, AGES * c, true);
        layer(&format!("{conv}.lin_root"), c, c, false);
    }
    layer("head.0", c, 3 * c, true);
    layer("head.1", 1, c, true);
    tensors
}

fn file(tensors: &Tensors, about: &str) -> Vec<u8> {
    let bytes: BTreeMap<_, Vec<u8>> = tensors
        .iter()
        .map(|(name, (_, values))| (name, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views: HashMap<&String, TensorView> = tensors
        .iter()
        .map(|(name, (shape, _))| (name, TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap()))
        .collect();
    safetensors::serialize(views, Some(HashMap::from([("thalweg".to_string(), about.to_string())]))).unwrap()
}

const ABOUT: &str = r#"{"architecture": "TemporalGraphNetwork", "channels": 8, "inputs": 2}"#;

fn shipped() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tgnn.safetensors")).unwrap()
}

/// People who meet at random, some of them never, with random tests.
fn snapshot(random: &mut Random, people: u64) -> Snapshot {
    let mut met = BTreeMap::new();
    for _ in 0..people * random.below(12) {
        let (i, j) = (random.below(people) as u32, random.below(people) as u32);
        if i != j {
            let t = random.below(12 * 24) as i64 * HOUR;
            *met.entry((t, i.min(j), i.max(j))).or_insert(0) += (1 + random.below(3000) as i64) * SECOND;
        }
    }
    let contacts: Vec<Contact> = met.into_iter().map(|((t, a, b), duration)| Contact { t, a, b, duration }).collect();
    let tests = (0..random.below(2 * people)).map(|_| {
        let t = random.below(12 * 24) as i64 * HOUR;
        Test { t, person: random.below(people) as u32, positive: random.below(4) == 0 }
    });
    let mut tests: Vec<Test> = tests.collect();
    tests.sort();
    Snapshot { as_of: 12 * 24 * HOUR, people: people as u32, contacts, tests }
}

/// `W x + b`, with plain sums in f64.
fn dense(tensors: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let (shape, weight) = &tensors[&format!("{name}.weight")];
    assert_eq!(shape[1], x.len(), "{name}");
    (0..shape[0])
        .map(|o| {
            let bias = tensors.get(&format!("{name}.bias")).map_or(0.0, |bias| f64::from(bias.1[o]));
            bias + (0..x.len()).map(|i| f64::from(weight[o * x.len() + i]) * x[i]).sum::<f64>()
        })
        .collect()
}

fn relu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|v| v.max(0.0)).collect()
}

fn plus(x: Vec<f64>, y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

/// Expected infections by pair and age at the given rate: share of 1 + all of `own`'s, from every contact, one by one.
fn pair(snapshot: &Snapshot, rate: f64, own: u32, other: u32) -> [f64; AGES] {
    let passes = |contact: &Contact| 1.0 - (-rate * (contact.duration / SECOND) as f64).exp();
    let mine = |contact: &&Contact| contact.a == own || contact.b == own;
    let all = 1.0 + snapshot.contacts.iter().filter(mine).map(passes).sum::<f64>();
    let mut ages = [0.0; AGES];
    for contact in snapshot.contacts.iter().filter(mine).filter(|c| c.a == other || c.b == other) {
        let days = (snapshot.as_of - contact.t) as f64 / 24.0 / HOUR as f64;
        let (day, four) = ((-days).exp(), (-days / 4.0).exp());
        for (sum, share) in ages.iter_mut().zip([day, four - day, 1.0 - four]) {
            *sum += passes(contact) * share / all;
        }
    }
    ages
}

/// The equations of `src/contacts/tgnn/network.rs`.
fn oracle(tensors: &Tensors, snapshot: &Snapshot, rate: f64, inputs: &Inputs) -> Vec<f64> {
    let wide = |row: &[f32]| row.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let people = snapshot.people;
    let g = relu(dense(tensors, "population.0", &wide(inputs.population.row(0))));
    let g = relu(dense(tensors, "population.1", &g));
    let (scale, mix) = (dense(tensors, "scale", &g), dense(tensors, "mix", &g));
    let h0: Vec<_> =
        (0..people as usize).map(|i| relu(plus(dense(tensors, "input", &wide(inputs.node.row(i))), &mix))).collect();
    let conv = |name: &str, h: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let one = |i: u32| {
            let mut sums = vec![0.0; AGES * CHANNELS];
            for j in (0..people).filter(|j| *j != i) {
                for (k, w) in pair(snapshot, rate, i, j).into_iter().enumerate() {
                    (0..CHANNELS).for_each(|c| sums[k * CHANNELS + c] += w * h[j as usize][c]);
                }
            }
            let own = dense(tensors, &format!("{name}.lin_root"), &h[i as usize]);
            relu(plus(dense(tensors, &format!("{name}.lin_rel"), &sums), &own))
        };
        (0..people).map(one).collect()
    };
    let h1 = conv("conv.0", &h0);
    let h2 = conv("conv.1", &h1);
    let odds = (0..people as usize).map(|i| {
        let head = relu(dense(tensors, "head.0", &[&h0[i][..], &h1[i], &h2[i]].concat()));
        (1.0 + scale[0]) * inputs.base[i] + scale[1] + dense(tensors, "head.1", &head)[0]
    });
    odds.map(|odds| 1.0 / (1.0 + (-odds).exp())).collect()
}

#[test]
fn the_forward_pass_is_that_of_plain_sums() {
    for seed in 0..40 {
        let random = &mut Random::new(seed);
        let tensors = random_tensors(random);
        let people = 2 + random.below(30);
        let snapshot = snapshot(random, people);
        let parameters = parameters(random, seed % 4);
        let found = Tgnn::from_bytes("random", &file(&tensors, ABOUT), parameters)
            .unwrap()
            .risk(&snapshot, &RiskOptions::new(1))
            .unwrap();
        let rates = Rates::new(&snapshot, &parameters, &RiskOptions::new(1)).unwrap();
        let inputs = Inputs::new(&snapshot, &parameters, &rates).unwrap();
        let expected = oracle(&tensors, &snapshot, inputs.likely.rate, &inputs);
        for (person, (found, expected)) in found.score.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() < 1e-5,
                "seed {seed}, person {person}: found {found}, expected {expected}"
            );
        }
        assert_eq!((found.because, found.rounds), (rates.risk.because, rates.risk.rounds), "seed {seed}");
    }
}

/// Belief propagation's scores and log evidence with infection and the other rates times two factors.
fn lane(snapshot: &Snapshot, given: &Parameters, infection: f64, clocks: f64) -> Option<(Vec<f64>, f64)> {
    let Parameters { rate, latency, recovery, .. } = *given;
    let rates = Parameters { rate: rate * infection, latency: latency * clocks, recovery: recovery * clocks, ..*given };
    let bp = Bp::new(rates).unwrap();
    let mut bp = if (infection, clocks) == (1.0, 1.0) { bp } else { bp.until(1e-3, 200) };
    let risk = bp.risk(snapshot, &RiskOptions::new(1)).unwrap();
    risk.converged.then(|| (risk.score, risk.log_evidence.unwrap()))
}

#[test]
fn rates_are_averaged_by_prior_and_evidence() {
    let factors = [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (0.25, 1.0), (4.0, 1.0), (0.5, 0.5), (2.0, 2.0)];
    let (mut moved, mut left_out) = (0, 0);
    for seed in 0..60 {
        let random = &mut Random::new(seed);
        let people = 2 + random.below(30);
        let snapshot = snapshot(random, people);
        let given = parameters(random, seed % 4);
        let clocks = given.latency > 0.0 || given.recovery > 0.0;
        let asked = factors.iter().filter(|(_, by)| clocks || *by == 1.0);
        let lanes: Vec<_> = asked.filter_map(|&(a, b)| Some((a, lane(&snapshot, &given, a, b)?))).collect();
        let log = |a: f64, evidence: f64| 0.6 * evidence - 0.5 * (a.ln() / 0.55).powi(2);
        let most = lanes.iter().map(|(a, lane)| log(*a, lane.1)).fold(f64::NEG_INFINITY, f64::max);
        let weight: Vec<f64> = lanes.iter().map(|(a, lane)| (log(*a, lane.1) - most).exp()).collect();
        let all: f64 = weight.iter().sum();
        let rates = Rates::new(&snapshot, &given, &RiskOptions::new(1)).unwrap();
        assert!((rates.weight.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        if lanes.is_empty() {
            assert_eq!((rates.weight[0], &rates.score), (1.0, &rates.lanes[0]), "seed {seed}");
            continue;
        }
        for person in 0..people as usize {
            let expected = lanes.iter().zip(&weight).map(|((_, lane), w)| w * lane.0[person]).sum::<f64>() / all;
            // A lane left out since the one before it weighs next to nothing is missing here.
            assert!((rates.score[person] - expected).abs() < 1e-4, "seed {seed}, person {person}");
        }
        moved += u32::from(rates.weight[0] < 0.3);
        left_out += u32::from(rates.evidence.iter().any(|evidence| evidence.is_infinite()));
    }
    assert!(moved > 5 && left_out > 5, "{moved} {left_out}");
    assert_eq!(factors.len(), LANES);
}

#[test]
fn without_its_last_layers_it_is_the_average() {
    let random = &mut Random::new(1);
    let mut tensors = random_tensors(random);
    for name in ["scale.weight", "scale.bias", "head.1.weight", "head.1.bias"] {
        tensors.get_mut(name).unwrap().1.fill(0.0);
    }
    let snapshot = snapshot(random, 20);
    let parameters = parameters(random, 2);
    let found = Tgnn::from_bytes("bp", &file(&tensors, ABOUT), parameters)
        .unwrap()
        .risk(&snapshot, &RiskOptions::new(1))
        .unwrap();
    let rates = Rates::new(&snapshot, &parameters, &RiskOptions::new(1)).unwrap();
    assert!(found.score.iter().zip(&rates.score).all(|(found, average)| (found - average).abs() < 1e-8));
}

#[test]
fn no_bit_depends_on_threads_and_nothing_much_on_numbers() {
    let bytes = shipped();
    for seed in 0..30 {
        let random = &mut Random::new(seed);
        let people = 2 + random.below(60);
        let snapshot = snapshot(random, people);
        let parameters = parameters(random, seed % 4);
        let run = |snapshot: &Snapshot, threads| {
            Tgnn::from_bytes("tgnn", &bytes, parameters).unwrap().risk(snapshot, &RiskOptions::new(threads)).unwrap()
        };
        let one = run(&snapshot, 1);
        assert!(one.score.iter().all(|score| (0.0..=1.0).contains(score)), "seed {seed}");
        for threads in [2, 4] {
            assert_eq!(one, run(&snapshot, threads), "seed {seed}");
        }
        // The same people in the opposite order: sums go another way round, and messages come to rest on another way.
        let turn = |person: u32| people as u32 - 1 - person;
        let mut turned = snapshot.clone();
        turned.contacts.iter_mut().for_each(|c| (c.a, c.b) = (turn(c.b), turn(c.a)));
        turned.contacts.sort();
        turned.tests.iter_mut().for_each(|test| test.person = turn(test.person));
        turned.tests.sort();
        for (found, expected) in run(&turned, 1).score.iter().rev().zip(&one.score) {
            assert!((found - expected).abs() < 5e-3, "seed {seed}: found {found}, expected {expected}");
        }
    }
}

#[test]
fn nobody_people_who_met_nobody_and_contradictions_get_probabilities() {
    let bytes = shipped();
    let run = |snapshot: &Snapshot, parameters| {
        let risk = Tgnn::from_bytes("tgnn", &bytes, parameters).unwrap().risk(snapshot, &RiskOptions::new(2)).unwrap();
        assert!(risk.score.iter().all(|score| (0.0..=1.0).contains(score)), "{risk:?}");
        risk
    };
    assert_eq!(run(&Snapshot::default(), Parameters::default()).score.len(), 0);
    let alone = Snapshot { as_of: 9, people: 3, contacts: Vec::new(), tests: Vec::new() };
    assert_eq!(run(&alone, Parameters::default()).score.len(), 3);
    let tests = (0..9).map(|n| Test { t: n, person: 1, positive: n % 2 == 0 }).collect();
    run(&Snapshot { tests, ..alone }, Parameters::default());
    for seed in 0..60 {
        let random = &mut Random::new(seed);
        let mut snapshot = snapshot(random, 6);
        let mut parameters = parameters(random, seed % 4);
        // Perfect tests that contradict each other, priors and rates at the ends of what is allowed.
        (parameters.false_negative, parameters.false_positive) = (0.0, 0.0);
        parameters.prior = Prior::Each([0.0, 1.0, 1e-7][(seed % 3) as usize]);
        parameters.rate = [0.0, 1e-4, 1e9][(seed / 3 % 3) as usize];
        parameters.ascertainment = [0.0, 1.0][(seed / 9 % 2) as usize];
        let again: Vec<Test> = snapshot.tests.iter().map(|test| Test { positive: !test.positive, ..*test }).collect();
        snapshot.tests.extend(again);
        snapshot.tests.sort();
        run(&snapshot, parameters);
    }
}

#[test]
fn files_that_are_no_such_model_are_refused() {
    let tensors = random_tensors(&mut Random::new(5));
    let refused = |bytes: &[u8], expected: &str| {
        let error = Tgnn::from_bytes("x", bytes, Parameters::default()).unwrap_err().to_string();
        assert!(error.starts_with("model x: ") && error.contains(expected), "{error}");
    };
    refused(b"no model", "header");
    refused(&file(&tensors, r#"{"architecture": "GraphUNet", "channels": 8, "inputs": 2}"#), "found GraphUNet");
    refused(
        &file(&tensors, r#"{"architecture": "TemporalGraphNetwork", "channels": 8, "inputs": 0}"#),
        "inputs: found 0",
    );
    refused(
        &file(&tensors, r#"{"architecture": "TemporalGraphNetwork", "channels": 9, "inputs": 2}"#),
        "expected [9, ",
    );
    let mut without = tensors.clone();
    without.remove("head.1.bias");
    refused(&file(&without, ABOUT), "head.1.bias");
    let mut not_finite = tensors.clone();
    not_finite.get_mut("mix.weight").unwrap().1[3] = f32::NAN;
    refused(&file(&not_finite, ABOUT), "mix.weight: found NaN, expected finite weights");
    let whole = file(&tensors, ABOUT);
    refused(&whole[..whole.len() - 4], "header");
    let wrong = Parameters { rate: -1.0, ..Parameters::default() };
    assert!(Tgnn::from_bytes("x", &whole, wrong).is_err());
}
