//! The oracle: a forward pass over all joint states of a few people, kept near 1, whatever the stamps and rates.

use std::collections::BTreeSet;

use thalweg::contacts::{Parameters, Snapshot};

const S: usize = 0;
const E: usize = 1;
const I: usize = 2;
const R: usize = 3;

/// Each person's probability of being E or I at the as-of time, and the logarithm of that of all tests; none if that is 0.
pub fn infected(snapshot: &Snapshot, parameters: &Parameters) -> Option<(Vec<f64>, f64)> {
    let people = snapshot.people as usize;
    let joint = 4usize.pow(people as u32);
    let state = |joint: usize, person: usize| joint >> (2 * person) & 3;
    let prior = parameters.prior(snapshot.people);
    let mut weight = vec![0.0; joint];
    for (number, weight) in weight.iter_mut().enumerate() {
        *weight = (0..people)
            .map(|person| match state(number, person) {
                S => 1.0 - prior,
                I => prior,
                _ => 0.0,
            })
            .product();
    }
    let rows = snapshot.contacts.iter().map(|c| c.t).chain(snapshot.tests.iter().map(|t| t.t));
    let mut now = i128::from(rows.min().unwrap_or(snapshot.as_of)) - 1_000_000_000;
    let mut log = 0.0;
    let stamps: BTreeSet<i64> = snapshot
        .contacts
        .iter()
        .map(|c| c.t)
        .chain(snapshot.tests.iter().map(|t| t.t))
        .chain([snapshot.as_of])
        .collect();
    for t in stamps {
        let dt = (i128::from(t) - now) as f64 / 1e9;
        now = t.into();
        for person in 0..people {
            weight = wait(&weight, person, dt, parameters);
        }
        weight = meet(&weight, snapshot, t, parameters);
        for test in snapshot.tests.iter().filter(|test| test.t == t) {
            for (number, weight) in weight.iter_mut().enumerate() {
                let ill = matches!(state(number, test.person as usize), E | I);
                *weight *= match (parameters.ascertainment > 0.0, test.positive, ill) {
                    (true, positive, ill) => f64::from(u8::from(positive == ill)),
                    (false, true, true) => 1.0 - parameters.false_negative,
                    (false, true, false) => parameters.false_positive,
                    (false, false, true) => parameters.false_negative,
                    (false, false, false) => 1.0 - parameters.false_positive,
                };
            }
        }
        let all: f64 = weight.iter().sum();
        if all == 0.0 {
            return None;
        }
        log += all.ln();
        weight.iter_mut().for_each(|weight| *weight /= all);
    }
    if parameters.ascertainment > 0.0 {
        for person in 0..people {
            let seen = snapshot.tests.iter().any(|test| test.person as usize == person && test.positive);
            for (number, weight) in weight.iter_mut().enumerate() {
                if !seen && matches!(state(number, person), E | I) {
                    *weight *= 1.0 - parameters.ascertainment;
                }
            }
        }
    }
    let all: f64 = weight.iter().sum();
    let share = |person: usize| {
        let ill = (0..joint).filter(|&number| matches!(state(number, person), E | I));
        ill.map(|number| weight[number]).sum::<f64>() / all
    };
    (all > 0.0).then(|| ((0..people).map(share).collect(), log + all.ln()))
}

/// The waiting of one person: two exponential clocks, one after the other. A short waiting by its series, then doubled again and again, so
/// that nothing small is a difference of large numbers.
fn wait(weight: &[f64], person: usize, dt: f64, parameters: &Parameters) -> Vec<f64> {
    let (a, b) = (parameters.latency * dt, parameters.recovery * dt);
    let doublings = (a.max(b) * 1e4).max(1.0).log2().ceil();
    let (mut a, mut b) = (a / doublings.exp2(), b / doublings.exp2());
    let onset = a * (1.0 - (a + b) / 2.0 + (a * a + a * b + b * b) / 6.0);
    let both = a * b / 2.0 * (1.0 - (a + b) / 3.0 + (a * a + a * b + b * b) / 12.0);
    let (mut ei, mut er) = (onset, both);
    for _ in 0..doublings as u32 {
        let (ee, ii, ir) = ((-a).exp(), (-b).exp(), -(-b).exp_m1());
        (ei, er) = (ee * ei + ei * ii, ee * er + ei * ir + er);
        (a, b) = (2.0 * a, 2.0 * b);
    }
    let (ee, ii, ir) = ((-a).exp(), (-b).exp(), -(-b).exp_m1());
    let mut out = vec![0.0; weight.len()];
    for (number, weight) in weight.iter().enumerate() {
        let mut go = |to: usize, p: f64| out[number & !(3 << (2 * person)) | to << (2 * person)] += weight * p;
        match number >> (2 * person) & 3 {
            S => go(S, 1.0),
            E => {
                go(E, ee);
                go(I, ei);
                go(R, er);
            }
            I => {
                go(I, ii);
                go(R, ir);
            }
            _ => go(R, 1.0),
        }
    }
    out
}

/// The contacts of one stamp, all at once.
fn meet(weight: &[f64], snapshot: &Snapshot, t: i64, parameters: &Parameters) -> Vec<f64> {
    let people = snapshot.people as usize;
    let mut out = vec![0.0; weight.len()];
    for (number, &weight) in weight.iter().enumerate() {
        let state = |person: usize| number >> (2 * person) & 3;
        let mut exposed = vec![0.0; people];
        for contact in snapshot.contacts.iter().filter(|contact| contact.t == t) {
            let exposure = parameters.rate * contact.duration as f64 / 1e9;
            for (from, to) in [(contact.a as usize, contact.b as usize), (contact.b as usize, contact.a as usize)] {
                if state(from) == I && state(to) == S {
                    exposed[to] += exposure;
                }
            }
        }
        let infected = if parameters.latency > 0.0 { E } else { I };
        let mut reached = vec![(number, weight)];
        for person in (0..people).filter(|&person| exposed[person] > 0.0) {
            let (spared, caught) = ((-exposed[person]).exp(), -(-exposed[person]).exp_m1());
            for at in 0..reached.len() {
                let (number, weight) = reached[at];
                reached[at].1 = weight * spared;
                reached.push((number | infected << (2 * person), weight * caught));
            }
        }
        for (number, weight) in reached {
            out[number] += weight;
        }
    }
    out
}
