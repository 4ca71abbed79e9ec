//! What the network is shown: of every person, of the whole population, and of every pair that met.
//!
//! Training reads the same numbers from here (`pipelines/examples/outbreaks`), so the two cannot differ. All are bounded, whatever the rows
//! and parameters; all sums go in the order of the snapshot.

use super::rates::{LANES, Rates};
use crate::Error;
use crate::contacts::{MeanField, Parameters, RiskModel, RiskOptions, Snapshot, seeded};
use crate::layers::{Matrix, Neighbors};

/// Numbers of a person.
pub const NODE: usize = 21;
/// Numbers of a population.
pub const POPULATION: usize = 28 + 2 * LANES;
/// Weights of an edge: its contacts as they fade in a day, in four, and the older.
pub const AGES: usize = 3;

const DAY: f64 = 86_400e9;
/// Tests of so many days before the as-of time are recent.
const RECENT: f64 = 3.0;
/// Log odds kept apart.
const LEAST: f64 = 1e-9;

/// The inputs of one snapshot.
pub struct Inputs {
    /// Log odds of belief propagation, averaged over rates `[people]`.
    pub base: Vec<f64>,
    /// The rates that the tests make likely; what is counted in infections is at these.
    pub likely: Parameters,
    /// `[people, NODE]`.
    pub node: Matrix,
    /// `[1, POPULATION]`.
    pub population: Matrix,
    /// Who met whom.
    pub graph: Neighbors,
    /// `[edges, AGES]`: expected infections through the pair's contacts at the likely rate, by age, as a share of 1 + all of the person's.
    pub weight: Matrix,
}

/// A person's tests.
#[derive(Clone, Copy, Default)]
struct Tested {
    /// Number of them, and weight that fades from the last one on in three days: negative, positive.
    number: [f64; 2],
    fresh: [f64; 2],
}

impl Inputs {
    /// The inputs for a snapshot, of which belief propagation says `rates` with the `parameters` given.
    ///
    /// # Errors
    /// A snapshot that contradicts itself: numbers of people out of range.
    pub fn new(snapshot: &Snapshot, parameters: &Parameters, rates: &Rates) -> Result<Self, Error> {
        let people = snapshot.people as usize;
        let (bp, likely) = (&rates.score[..], rates.likely(parameters));
        let parameters = &likely;
        let field = MeanField::new(likely)?.risk(snapshot, &RiskOptions::default())?.score;
        let start = seeded(snapshot);
        let mut tested = vec![Tested::default(); people];
        for test in &snapshot.tests {
            let (own, which) = (&mut tested[test.person as usize], usize::from(test.positive));
            own.number[which] += 1.0;
            own.fresh[which] = libm::exp(-age(snapshot, test.t) / 3.0);
        }
        let (graph, weight, met) = graph(snapshot, parameters)?;
        let mut node = Vec::with_capacity(people * NODE);
        for person in 0..people {
            let own = &tested[person];
            let (mut risk, mut seen) = ([0.0; AGES], [0.0; AGES]);
            for (&other, edge) in graph.of(person).iter().zip(graph.edges_of(person)) {
                let other = other as usize;
                for (k, &w) in weight.row(edge).iter().enumerate() {
                    risk[k] += f64::from(w) * bp[other];
                    seen[k] += f64::from(w) * f64::from(u8::from(tested[other].number[1] > 0.0));
                }
            }
            let scale = 1.0 + met[person];
            let first = node.len();
            let odds = |scores: &[f64]| 0.5 * log_odds(scores[person]);
            let [given, half, double, .., slow, fast] = &rates.lanes;
            node.extend([odds(bp), odds(given), odds(double) - odds(half), odds(fast) - odds(slow), odds(&field)]);
            for which in [0, 1] {
                let any = f64::from(u8::from(own.number[which] > 0.0));
                node.extend([any, own.fresh[which], libm::log1p(own.number[which])]);
            }
            node.extend([
                f64::from(u8::from(met[person] == 0.0)),
                libm::log1p(graph.of(person).len() as f64),
                libm::log(met[person] + 1e-2),
                libm::log(scale),
            ]);
            node.extend(risk.map(|risk| libm::log(scale * risk + 1e-4)));
            node.extend(seen.map(|seen| libm::log(scale * seen + 1e-3)));
            debug_assert_eq!(node.len() - first, NODE);
        }
        let population = population(snapshot, parameters, rates, &field, &tested, &met, start);
        Ok(Inputs {
            base: bp.iter().map(|p| log_odds(*p)).collect(),
            likely,
            node: matrix(people, NODE, node),
            population: matrix(1, POPULATION, population),
            graph,
            weight,
        })
    }
}

impl Inputs {
    /// What the network takes of the nodes: [`NODE`] numbers of each person, then [`POPULATION`] numbers that are everybody's.
    pub fn x(&self) -> Matrix {
        let mut x = Matrix::zeros(self.node.rows(), NODE + POPULATION);
        for person in 0..x.rows() {
            let (own, all) = x.row_mut(person).split_at_mut(NODE);
            own.copy_from_slice(self.node.row(person));
            all.copy_from_slice(self.population.data());
        }
        x
    }
}

/// Days before the as-of time.
fn age(snapshot: &Snapshot, t: impl Into<i128>) -> f64 {
    (i128::from(snapshot.as_of) - t.into()).max(0) as f64 / DAY
}

fn log_odds(p: f64) -> f64 {
    let p = p.clamp(LEAST, 1.0 - LEAST);
    libm::log(p / (1.0 - p))
}

fn matrix(rows: usize, cols: usize, values: Vec<f64>) -> Matrix {
    let bounded = |v: f64| if v.is_nan() { 0.0 } else { v.clamp(-12.0, 12.0) as f32 };
    Matrix::from_rows(rows, cols, values.into_iter().map(bounded).collect())
        .unwrap_or_else(|| Matrix::zeros(rows, cols))
}

/// Who met whom, the weights of the pairs, and everybody's expected infections through all its contacts if the others were infectious.
fn graph(snapshot: &Snapshot, parameters: &Parameters) -> Result<(Neighbors, Matrix, Vec<f64>), Error> {
    let people = snapshot.people as usize;
    let mut meetings: Vec<(u32, u32, u32)> = (0u32..)
        .zip(&snapshot.contacts)
        .flat_map(|(number, contact)| [(contact.a, contact.b, number), (contact.b, contact.a, number)])
        .collect();
    meetings.sort_unstable();
    let (mut src, mut dst, mut passes, mut met) = (Vec::new(), Vec::new(), Vec::new(), vec![0.0; people]);
    for pair in meetings.chunk_by(|x, y| (x.0, x.1) == (y.0, y.1)) {
        let (own, other, _) = pair[0];
        let mut by_age = [0.0; AGES];
        for &(_, _, number) in pair {
            let contact = &snapshot.contacts[number as usize];
            let passes = parameters.passes(contact.duration);
            let age = age(snapshot, contact.t);
            let (day, days) = (libm::exp(-age), libm::exp(-0.25 * age));
            for (sum, share) in by_age.iter_mut().zip([day, days - day, 1.0 - days]) {
                *sum += passes * share;
            }
            met[own as usize] += passes;
        }
        dst.push(own);
        src.push(other);
        passes.push(by_age);
    }
    let weight = dst.iter().zip(&passes).flat_map(|(own, by_age)| by_age.map(|sum| sum / (1.0 + met[*own as usize])));
    let weight = matrix(dst.len(), AGES, weight.collect());
    Ok((Neighbors::from_edges(people, &src, &dst)?, weight, met))
}

/// What the tests make of the rates, and what the likely ones and the tests are.
fn population(
    snapshot: &Snapshot,
    parameters: &Parameters,
    rates: &Rates,
    field: &[f64],
    tested: &[Tested],
    met: &[f64],
    start: i128,
) -> Vec<f64> {
    let people = f64::from(snapshot.people.max(1));
    let days = age(snapshot, start).max(1e-3);
    let (mut tests, mut positives) = ([0.0; 2], [0.0; 2]);
    for test in &snapshot.tests {
        let recent = usize::from(age(snapshot, test.t) <= RECENT);
        tests[recent] += 1.0;
        positives[recent] += f64::from(u8::from(test.positive));
    }
    let ever = |which: usize| tested.iter().filter(|own| own.number[which] > 0.0).count() as f64;
    let (seen, cleared) = (ever(1), ever(0));
    let unseen = |scores: &[f64], power: i32| -> f64 {
        let scores = scores.iter().zip(tested).filter(|(_, own)| own.number[1] == 0.0);
        scores.map(|(score, _)| score.powi(power)).sum()
    };
    let (risk, risk2, field) = (unseen(&rates.score, 1), unseen(&rates.score, 2), unseen(field, 1));
    // What positives see: each result, or, told to follow infection, each person.
    let follows = parameters.ascertainment > 0.0;
    let results = if follows { seen } else { positives[0] + positives[1] };
    let asked = if follows { people } else { tests[0] + tests[1] };
    let ratio = |a: f64, b: f64| libm::log((a + 0.5) / (b + 0.5));
    let counted = rates.weight.iter().zip(&rates.evidence).filter(|(_, evidence)| evidence.is_finite());
    let mean = counted.map(|(weight, evidence)| weight * evidence).sum::<f64>();
    let mut out: Vec<f64> = rates.evidence.iter().map(|evidence| libm::asinh(evidence - mean)).collect();
    out.extend(rates.weight);
    let scale = |scores: &[f64]| libm::log(unseen(scores, 1) / people + 1e-4);
    out.extend([scale(&rates.lanes[2]) - scale(&rates.lanes[1]), scale(&rates.lanes[0])]);
    let hidden = seen * (1.0 - parameters.ascertainment) / parameters.ascertainment.max(1e-2);
    let activity = met.iter().sum::<f64>() / people / days;
    let infectious = (1.0 / parameters.recovery.max(1e-12) / 86_400.0).min(0.5 * days);
    out.extend([
        if follows { ratio(hidden, risk) } else { 0.0 },
        libm::log(risk / people + 1e-4),
        libm::log((risk2 + 1e-6) / (risk + 1e-3)),
        libm::log(field / people + 1e-4),
        libm::log((seen + 0.5) / people),
        libm::log((cleared + 0.5) / people),
        libm::log(people) - 5.0,
        libm::log(days) - 2.0,
        libm::log1p(asked) - 5.0,
        libm::log1p(results) - 2.0,
        libm::log1p(tests[1]) - 4.0,
        libm::log((positives[1] + 0.5) / (tests[1] + 1.0)),
        libm::log((positives[0] + 0.5) / (tests[0] + 1.0)),
        ratio(positives[1], tests[1] * (risk + seen * 0.5) / people),
        libm::log(activity + 1e-3),
        libm::log(activity * infectious + 1e-3),
        libm::log(met.iter().map(|m| m * m).sum::<f64>() / people / days / days + 1e-6) * 0.5,
        f64::from(u8::from(parameters.latency > 0.0)),
        if parameters.latency > 0.0 { libm::log(parameters.latency * 86_400.0 + 1e-3) } else { 0.0 },
        f64::from(u8::from(parameters.recovery > 0.0)),
        libm::log(infectious + 1e-3),
        f64::from(u8::from(follows)),
        log_odds(parameters.ascertainment.clamp(1e-2, 1.0 - 1e-2)),
        parameters.false_negative,
        libm::log(parameters.false_positive + 1e-4),
        libm::log(parameters.prior(snapshot.people) * people + 1e-2),
    ]);
    debug_assert_eq!(out.len(), POPULATION);
    out
}
