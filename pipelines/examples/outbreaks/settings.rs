//! The outbreaks to simulate: at random for training, fixed for the table; and how wrongly their rates are given.

use thalweg::contacts::{Parameters, Prior};
use thalweg_connectors::sim::town::Town;

use crate::Result;
use crate::networks::{Network, Office, town};
use crate::random::Random;
use crate::spread::{Outbreak, Testing, spread};

/// Seconds of a day.
const DAYS: f64 = 86_400.0;

/// A network to train on; in some a few people more are known, who met nobody.
pub fn network(office: &Office, random: &mut Random) -> Result<Network> {
    let mut network = those_who_met(office, random)?;
    if random.chance(0.3) {
        network.people += 1 + (f64::from(network.people) * random.between(0.0, 0.1)) as u32;
    }
    Ok(network)
}

fn those_who_met(office: &Office, random: &mut Random) -> Result<Network> {
    if random.chance(0.4) {
        let people = random.about(60.0, 400.0) as u32;
        let days = 7 + random.below(8) as u32;
        return town(Town { people, days, seed: random.below(1_000_000) }, random.chance(0.5));
    }
    let bin = [86_400, 86_400, 21_600, 3600, 900][random.below(5) as usize];
    let days = 4 + random.below(9) as i64;
    let share = [1.0, 0.7, 0.4][random.below(3) as usize];
    let salt = random.bits();
    let stay = |person: u32| Random::new(salt, u64::from(person)).chance(share);
    Ok(office.network(bin, random.below((13 - days) as u64) as i64, days, stay))
}

/// An outbreak of a sensible size, with the parameters that it followed.
pub fn outbreak(network: &Network, random: &mut Random) -> (Outbreak, Parameters) {
    loop {
        let model = random.below(10);
        let mut truth = Parameters::default();
        if model >= 3 {
            truth.recovery = 1.0 / random.about(1.5, 10.0) / DAYS;
        }
        if model >= 6 {
            truth.latency = 1.0 / random.about(0.5, 4.0) / DAYS;
        }
        let infectious = (1.0 / truth.recovery / DAYS).min(0.5 * network.days());
        truth.rate = random.about(0.8, 25.0) / (network.activity() * infectious).max(1.0);
        truth.prior = Prior::Seeds(random.about(0.7, 4.0).max(f64::from(network.people) / 300.0));
        let mut testing = Testing::default();
        if random.chance(if model < 3 { 0.7 } else { 0.15 }) {
            truth.ascertainment = random.between(0.15, 0.85);
        } else {
            testing.daily = random.about(0.015, 0.25);
            truth.false_negative = if random.chance(0.2) { 0.0 } else { random.between(0.0, 0.3) };
            truth.false_positive = if random.chance(0.4) { 0.0 } else { random.about(1e-3, 0.04) };
            testing.symptoms = if random.chance(0.85) { 0.0 } else { random.between(0.1, 0.5) };
        }
        let outbreak = spread(network, &truth, testing, random);
        if (2..=network.people as usize * 95 / 100).contains(&outbreak.ever) {
            return (outbreak, truth);
        }
    }
}

/// What a model is given: rates off by a factor between 1/2.5 and 2.5, together or each by its own, testing and seeds sometimes too.
pub fn misjudged(truth: &Parameters, random: &mut Random) -> Parameters {
    let mut given = *truth;
    let which = random.below(6);
    let off = |random: &mut Random| random.about(1.0 / 2.5, 2.5);
    let factor = off(random);
    match which {
        0 => {}
        1 | 2 => given.rate *= factor,
        3 | 4 => given = truth.scaled(factor, factor),
        _ => {
            given.rate *= factor;
            given.latency *= off(random);
            given.recovery *= off(random);
        }
    }
    if which > 0 && random.chance(0.4) {
        if let Prior::Seeds(seeds) = given.prior {
            given.prior = Prior::Seeds(seeds * off(random));
        }
        given.false_negative = (given.false_negative * random.about(0.6, 1.6)).min(0.5);
        given.false_positive = (given.false_positive * random.about(0.6, 1.6)).min(0.1);
        given.ascertainment = (given.ascertainment * random.about(0.8, 1.25)).min(0.95);
    }
    given
}

/// A setting of the table.
pub struct Setting {
    pub name: &'static str,
    pub truth: Parameters,
    pub testing: Testing,
}

/// The settings of the table; each has its kind of network.
pub fn settings() -> [Setting; 5] {
    let tests = |daily| Testing { daily, symptoms: 0.0 };
    let p = Parameters::default();
    let errors = Parameters { false_negative: 0.1, ..p };
    let per = |days: f64| 1.0 / days / DAYS;
    [
        Setting { name: "invs13 SI", truth: Parameters { rate: 1.5e-3, ascertainment: 0.5, ..p }, testing: tests(0.0) },
        Setting {
            name: "invs13 SIR",
            truth: Parameters { rate: 4e-3, recovery: per(4.0), false_positive: 0.02, ..errors },
            testing: tests(0.1),
        },
        Setting {
            name: "invs13 hourly SEIR",
            truth: Parameters { rate: 5e-3, latency: per(1.0), recovery: per(4.0), ..errors },
            testing: tests(0.07),
        },
        Setting {
            name: "town SEIR",
            truth: Parameters {
                rate: 3e-5,
                latency: per(2.0),
                recovery: per(5.0),
                false_positive: 0.002,
                prior: Prior::Seeds(5.0),
                ..errors
            },
            testing: tests(0.05),
        },
        Setting {
            name: "proximity SIR",
            truth: Parameters { rate: 3e-4, recovery: per(6.0), prior: Prior::Seeds(2.0), ..errors },
            testing: tests(0.07),
        },
    ]
}

/// The network of a case of the table.
pub fn kept_apart(setting: usize, case: u64, office: &Office, random: &mut Random) -> Result<Network> {
    match setting {
        0 | 1 => Ok(office.network(86_400, 0, 10, |_| true)),
        2 => Ok(office.network(3600, 0, 10, |_| true)),
        3 => {
            let people = [300, 600][(case % 2) as usize];
            town(Town { people, days: 14, seed: 1_000_000_000 + random.below(1_000_000_000) }, false)
        }
        _ => Ok(crate::networks::proximity(200, 15, random)),
    }
}
