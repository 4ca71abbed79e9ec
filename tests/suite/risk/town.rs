//! A town of households, groups and strangers: what a run costs as people grow, and that it ranks the infected.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Random;
use super::data::SECOND;
use thalweg::contacts::score::evaluate;
use thalweg::contacts::{Bp, Contact, Parameters, Prior, RiskModel, RiskOptions, Snapshot, Test};

const HOUR: i64 = 3600 * SECOND;
const DAYS: i64 = 14;
const PARAMETERS: Parameters = Parameters {
    rate: 3e-5,
    latency: 1.0 / 86_400.0 / 2.0,
    recovery: 1.0 / 86_400.0 / 5.0,
    false_negative: 0.1,
    false_positive: 0.001,
    ascertainment: 0.0,
    prior: Prior::Each(1e-3),
};

/// Households of three, groups of twenty and strangers: 11 contacts a person-day; 7 % are tested a day. With who is infected at the end.
fn town(people: u32, seed: u64) -> (Snapshot, Vec<bool>) {
    let random = &mut Random::new(seed);
    let mut met: BTreeMap<(i64, u32, u32), i64> = BTreeMap::new();
    let mut meet = |t: i64, i: u32, j: u32, seconds: i64| {
        if i != j && i.max(j) < people {
            *met.entry((t, i.min(j), i.max(j))).or_insert(0) += seconds * SECOND;
        }
    };
    for day in 0..DAYS {
        let at = |hour: u64| (day * 24 + hour as i64) * HOUR;
        for i in 0..people {
            for j in i + 1..(i / 3 * 3 + 3) {
                meet(at(20), i, j, 3600);
            }
            for _ in 0..4 {
                let group = (i % 20 * (people / 20) + i / 20) / 20 * 20 + random.below(20) as u32;
                let j = (group % (people / 20).max(1)) * 20 + group / (people / 20).max(1);
                meet(at(9 + random.below(8)), i, j, 300 + random.below(1500) as i64);
            }
            let stranger = random.below(u64::from(people)) as u32;
            meet(at([8, 18][random.below(2) as usize]), i, stranger, 120 + random.below(600) as i64);
        }
    }
    let contacts: Vec<Contact> = met.into_iter().map(|((t, a, b), duration)| Contact { t, a, b, duration }).collect();
    let as_of = DAYS * 24 * HOUR;
    // Onset and recovery of everybody infected so far.
    let never = (i64::MAX, i64::MAX);
    let wait = |random: &mut Random, rate: f64| (-(1.0 - random.unit()).ln() / rate * 1e9) as i64;
    let mut course: Vec<(i64, i64)> = (0..people)
        .map(|_| if random.unit() < 1e-3 { (-HOUR, wait(random, PARAMETERS.recovery)) } else { never })
        .collect();
    let mut tests = Vec::new();
    let mut day = 0;
    let mut test = |until: i64, course: &[(i64, i64)], infected: &[bool], random: &mut Random| {
        while day < DAYS && day * 24 * HOUR + 22 * HOUR < until {
            let t = day * 24 * HOUR + 22 * HOUR;
            for person in (0..people).filter(|_| random.unit() < 0.07).collect::<Vec<_>>() {
                let ill = infected[person as usize] && t < course[person as usize].1;
                tests.push(Test { t, person, positive: random.unit() < if ill { 0.9 } else { 0.001 } });
            }
            day += 1;
        }
    };
    let mut infected: Vec<bool> = course.iter().map(|course| *course != never).collect();
    for stamp in contacts.chunk_by(|a, b| a.t == b.t) {
        let t = stamp[0].t;
        test(t, &course, &infected, random);
        let mut caught = Vec::new();
        for contact in stamp {
            let passes = 1.0 - (-PARAMETERS.rate * contact.duration as f64 * 1e-9).exp();
            for (from, to) in [(contact.a, contact.b), (contact.b, contact.a)] {
                let (onset, end) = course[from as usize];
                if onset < t && t < end && !infected[to as usize] && random.unit() < passes {
                    caught.push(to);
                }
            }
        }
        for person in caught {
            infected[person as usize] = true;
            let onset = t + wait(random, PARAMETERS.latency);
            course[person as usize] = (onset, onset.saturating_add(wait(random, PARAMETERS.recovery)));
        }
    }
    test(as_of, &course, &infected, random);
    let now = infected.iter().zip(&course).map(|(infected, course)| *infected && as_of < course.1).collect();
    (Snapshot { as_of, people, contacts, tests }, now)
}

fn run(people: u32, threads: usize) -> (f64, f64) {
    let (snapshot, infected) = town(people, 1);
    let clock = Instant::now();
    let risk = Bp::new(PARAMETERS).unwrap().risk(&snapshot, &RiskOptions::new(threads)).unwrap();
    let seconds = clock.elapsed().as_secs_f64();
    let mut positive = vec![false; people as usize];
    snapshot.tests.iter().for_each(|test| positive[test.person as usize] |= test.positive);
    let scores = evaluate(&risk.score, &infected, &positive);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_string();
    println!(
        "{people} people, {} contacts, {} tests, {} infected: {seconds:.1} s on {threads} threads, {} rounds, converged {}, AUC {:.4}, \
         Brier {:.5}, ECE {:.5}, {memory}",
        snapshot.contacts.len(),
        snapshot.tests.len(),
        scores.infected,
        risk.rounds,
        risk.converged,
        scores.auc.unwrap_or(f64::NAN),
        scores.brier,
        scores.ece,
    );
    assert!(risk.converged);
    (scores.auc.unwrap_or(f64::NAN), scores.ece)
}

#[test]
fn a_town_is_ranked_and_calibrated() {
    let (auc, ece) = run(1000, 2);
    assert!(auc > 0.75 && ece < 0.015, "AUC {auc}, ECE {ece}");
}

#[test]
fn no_bit_depends_on_the_number_of_threads() {
    let (snapshot, _) = town(500, 3);
    let si = Parameters { latency: 0.0, recovery: 0.0, rate: 3e-6, ..PARAMETERS };
    for parameters in [PARAMETERS, Parameters { latency: 0.0, ..PARAMETERS }, si] {
        let run = |threads| {
            Bp::new(parameters).unwrap().until(1e-3, 1000).risk(&snapshot, &RiskOptions::new(threads)).unwrap()
        };
        let one = run(1);
        assert!(one.converged && one.score.iter().all(|score| (0.0..=1.0).contains(score)), "{parameters:?}");
        for threads in [2, 3, 8] {
            assert_eq!(one, run(threads), "{threads} threads, {parameters:?}");
        }
    }
}
