//! An outbreak on a network, and the tests that are made of it.

use thalweg::contacts::{Parameters, Snapshot, Test};

use crate::SECOND;
use crate::networks::{DAY, Network};
use crate::random::Random;

/// Who is tested, apart from what `Parameters` says of results.
#[derive(Clone, Copy, Debug, Default)]
pub struct Testing {
    /// Probability of a test on an evening (20:00), whatever the state.
    pub daily: f64,
    /// Probability that somebody whose infectiousness began that day is tested; models are told nothing of it.
    pub symptoms: f64,
}

/// An outbreak: what is known of it, and who is infected (E or I) at the as-of time.
pub struct Outbreak {
    pub snapshot: Snapshot,
    pub infected: Vec<bool>,
    pub ever: usize,
}

impl Outbreak {
    /// People without a positive test are those scored.
    pub fn positive(&self) -> Vec<bool> {
        let mut positive = vec![false; self.infected.len()];
        self.snapshot.tests.iter().for_each(|test| positive[test.person as usize] |= test.positive);
        positive
    }
}

/// Lets one outbreak run. Seeds are drawn by the prior, at least one of them.
pub fn spread(network: &Network, truth: &Parameters, testing: Testing, random: &mut Random) -> Outbreak {
    let people = network.people as usize;
    let seeded = network.contacts.first().map_or(network.as_of, |contact| contact.t) - SECOND;
    // Infected, infectious, recovered (ns).
    let never = [i64::MAX; 3];
    let mut course = vec![never; people];
    let prior = truth.prior(network.people);
    let mut seeds: Vec<usize> = (0..people).filter(|_| random.chance(prior)).collect();
    if seeds.is_empty() {
        seeds.push(random.below(people as u64) as usize);
    }
    for seed in seeds {
        course[seed] = [seeded, seeded, seeded.saturating_add(random.wait(truth.recovery))];
    }
    for stamp in network.contacts.chunk_by(|a, b| a.t == b.t) {
        let t = stamp[0].t;
        let gives = |course: &[i64; 3]| course[0] < t && course[1] <= t && t < course[2];
        let mut caught = Vec::new();
        for contact in stamp {
            let passes = 1.0 - (-truth.rate * contact.duration as f64 * 1e-9).exp();
            for (from, to) in [(contact.a, contact.b), (contact.b, contact.a)] {
                let (from, to) = (from as usize, to as usize);
                if course[to][0] == i64::MAX && gives(&course[from]) && random.chance(passes) {
                    caught.push(to);
                }
            }
        }
        for person in caught.into_iter().filter(|person| course[*person][0] == i64::MAX).collect::<Vec<_>>() {
            let onset = if truth.latency > 0.0 { t.saturating_add(random.wait(truth.latency)) } else { t };
            course[person] = [t, onset, onset.saturating_add(random.wait(truth.recovery))];
        }
    }
    let infected_at = |course: &[i64; 3], t: i64| course[0] <= t && t < course[2];
    let mut tests = Vec::new();
    let as_of = network.as_of;
    if truth.ascertainment > 0.0 {
        let seen = (0..).zip(&course).filter(|(_, course)| infected_at(course, as_of));
        let seen = seen.filter(|_| random.chance(truth.ascertainment)).map(|(person, _)| person);
        tests.extend(seen.map(|person| Test { t: as_of, person, positive: true }));
    } else {
        for day in seeded / DAY..as_of / DAY {
            let t = day * DAY + 20 * 3600 * SECOND;
            for (person, course) in (0..).zip(&course) {
                let fresh = (t - DAY..t).contains(&course[1]) && random.chance(testing.symptoms);
                if fresh || random.chance(testing.daily) {
                    let infected = infected_at(course, t);
                    let p = if infected { 1.0 - truth.false_negative } else { truth.false_positive };
                    tests.push(Test { t, person, positive: random.chance(p) });
                }
            }
        }
    }
    tests.sort_unstable();
    let infected = course.iter().map(|course| infected_at(course, as_of)).collect();
    let ever = course.iter().filter(|course| course[0] <= as_of).count();
    let snapshot = Snapshot { as_of, people: network.people, contacts: network.contacts.clone(), tests };
    Outbreak { snapshot, infected, ever }
}
