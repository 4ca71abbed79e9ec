//! The table of `models/tgnn.md`: each model with rates given right and wrong, on networks that were not trained on.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use thalweg::contacts::score::evaluate;
use thalweg::contacts::tgnn::Rates;
use thalweg::contacts::{MeanField, Parameters, RiskModel, Tgnn};

use crate::Result;
use crate::networks::Office;
use crate::random::Random;
use crate::settings::{Setting, kept_apart, scaled, settings};
use crate::spread::{Outbreak, spread};

/// Belief propagation with the rates given; averaged over rates, without the network; with it; and mean field.
const MODELS: [&str; 4] = ["bp", "bp averaged", "tgnn", "mean-field"];
/// What is wrong: nothing, all rates, or the rate of infection alone; and by how much.
const GIVEN: [(&str, bool, f64); 5] = [
    ("right", true, 1.0),
    ("all rates x 0.5", true, 0.5),
    ("all rates x 2", true, 2.0),
    ("infection x 0.5", false, 0.5),
    ("infection x 2", false, 2.0),
];

/// One model's scores over cases.
#[derive(Default, Clone)]
struct Pooled {
    score: Vec<f64>,
    infected: Vec<bool>,
    positive: Vec<bool>,
    aucs: Vec<f64>,
}

/// A case of a setting.
struct Case<'a> {
    setting: &'a Setting,
    outbreak: Outbreak,
}

pub fn print(data: &Path, model: &Path, cases: u64, seed: u64) -> Result<()> {
    let office = Office::read(&data.join("invs13.csv.gz"))?;
    let weights = std::fs::read(model)?;
    println!(
        "| setting | cases | given | model | AUC | Brier | ECE | AUC less bp's |\n|---|---|---|---|---|---|---|---|"
    );
    for (number, setting) in settings().iter().enumerate() {
        let outbreaks = outbreaks(number, setting, &office, cases, seed)?;
        let outbreaks: Vec<_> = outbreaks.into_iter().map(|outbreak| Case { setting, outbreak }).collect();
        // Where only the rate of infection is a rate, all rates are that one.
        let given = GIVEN.iter().filter(|(_, all, _)| *all || setting.truth.recovery > 0.0);
        for (name, all, factor) in given {
            let truth = &setting.truth;
            let given = if *all { scaled(truth, *factor) } else { Parameters { rate: truth.rate * factor, ..*truth } };
            let scores = in_parallel(&outbreaks, |case| scores(case, given, &weights).map_err(|e| e.to_string()))?;
            print!("{}", rows(name, &outbreaks, &scores));
        }
    }
    Ok(())
}

/// The outbreaks of a setting.
fn outbreaks(number: usize, setting: &Setting, office: &Office, cases: u64, seed: u64) -> Result<Vec<Outbreak>> {
    let mut outbreaks = Vec::new();
    for which in 0.. {
        if outbreaks.len() as u64 == cases {
            break;
        }
        let random = &mut Random::new(seed, 1_000_000 + 100_000 * number as u64 + which);
        let network = kept_apart(number, which, office, random)?;
        let outbreak = spread(&network, &setting.truth, setting.testing, random);
        let positive = outbreak.positive();
        let mut hidden = outbreak.infected.iter().zip(&positive);
        if outbreak.ever >= 2 && hidden.any(|(infected, positive)| *infected && !*positive) {
            outbreaks.push(outbreak);
        }
    }
    Ok(outbreaks)
}

/// What each model says of a case.
fn scores(case: &Case, given: Parameters, weights: &[u8]) -> Result<[Vec<f64>; 4]> {
    let snapshot = &case.outbreak.snapshot;
    let mut rates = Rates::new(snapshot, &given, 1)?;
    let tgnn = Tgnn::from_bytes("tgnn", weights, given)?.score(snapshot, &rates)?;
    let field = MeanField::new(given)?.risk(snapshot, 1)?.score;
    Ok([std::mem::take(&mut rates.risk.score), rates.score, tgnn, field])
}

/// Does cases on all cores; results come in the order of cases.
fn in_parallel<T: Send>(
    cases: &[Case],
    work: impl Fn(&Case) -> std::result::Result<T, String> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(case) = cases.get(number)
        {
            done.push((number, work(case)));
        }
        done
    };
    let mut done = Vec::new();
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().for_each(|thread| done.extend(thread.join().unwrap_or_default()));
    });
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect::<std::result::Result<_, _>>()?)
}

/// A row for each model.
fn rows(given: &str, cases: &[Case], scores: &[[Vec<f64>; 4]]) -> String {
    let mut pooled = vec![Pooled::default(); MODELS.len()];
    for (case, scores) in cases.iter().zip(scores) {
        let positive = case.outbreak.positive();
        for (score, pooled) in scores.iter().zip(&mut pooled) {
            pooled.aucs.extend(evaluate(score, &case.outbreak.infected, &positive).auc);
            pooled.score.extend(score);
            pooled.infected.extend(&case.outbreak.infected);
            pooled.positive.extend(&positive);
        }
    }
    let mut text = String::new();
    for (model, of) in MODELS.iter().zip(&pooled) {
        let scores = evaluate(&of.score, &of.infected, &of.positive);
        let (auc, error) = mean(&of.aucs);
        let less: Vec<f64> = of.aucs.iter().zip(&pooled[0].aucs).map(|(own, bp)| own - bp).collect();
        let (less, less_error) = mean(&less);
        let (name, brier, ece) = (cases[0].setting.name, scores.brier, scores.ece);
        text +=
            &format!("| {name} | {} | {given} | {model} | {auc:.4} ± {error:.4} | {brier:.4} | {ece:.4} ", cases.len());
        text += &format!("| {less:+.4} ± {less_error:.4} |\n");
    }
    text
}

/// Mean and standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}
