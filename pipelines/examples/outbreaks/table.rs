//! The table of `models/tgnn.md`: each model with rates given right and wrong, on networks that were not trained on.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use thalweg::contacts::score::evaluate;
use thalweg::contacts::tgnn::Rates;
use thalweg::contacts::{MeanField, Parameters, RiskModel, RiskOptions, Tgnn};

use crate::Result;
use crate::networks::Office;
use crate::random::Random;
use crate::settings::{Setting, kept_apart, settings};
use crate::spread::{Outbreak, spread};

/// Belief propagation with the rates given; averaged over rates, without the network; with it; and mean field.
const MODELS: [&str; 4] = ["bp", "bp averaged", "tgnn", "mean-field"];
/// What is wrong: nothing, all rates, or the rate of infection alone; and what infection and the other rates are multiplied by.
const GIVEN: [(&str, f64, f64); 5] = [
    ("right", 1.0, 1.0),
    ("all rates x 0.5", 0.5, 0.5),
    ("all rates x 2", 2.0, 2.0),
    ("infection x 0.5", 0.5, 1.0),
    ("infection x 2", 2.0, 1.0),
];

/// One model's scores over cases.
#[derive(Default, Clone)]
struct Pooled {
    score: Vec<f64>,
    infected: Vec<bool>,
    positive: Vec<bool>,
    aucs: Vec<f64>,
}

pub fn print(data: &Path, model: &Path, cases: u64, seed: u64) -> Result<()> {
    let office = Office::read(&data.join("invs13.csv.gz"))?;
    let weights = std::fs::read(model)?;
    println!(
        "| setting | cases | given | model | AUC | Brier | ECE | AUC less bp's |\n|---|---|---|---|---|---|---|---|"
    );
    for (number, setting) in settings().iter().enumerate() {
        let outbreaks = outbreaks(number, setting, &office, cases, seed)?;
        // Where only the rate of infection is a rate, all rates are that one.
        for (given, infection, clocks) in GIVEN {
            if infection != clocks && setting.truth.recovery == 0.0 {
                continue;
            }
            let told = setting.truth.scaled(infection, clocks);
            let scores =
                in_parallel(&outbreaks, |outbreak| scores(outbreak, told, &weights).map_err(|e| e.to_string()))?;
            print!("{}", rows(setting.name, given, &outbreaks, &scores));
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

/// What each model says of an outbreak.
fn scores(outbreak: &Outbreak, given: Parameters, weights: &[u8]) -> Result<[Vec<f64>; 4]> {
    let snapshot = &outbreak.snapshot;
    let mut rates = Rates::new(snapshot, &given, &RiskOptions::new(1))?;
    let tgnn = Tgnn::from_bytes("tgnn", weights, given)?.score(snapshot, &rates)?;
    let field = MeanField::new(given)?.risk(snapshot, &RiskOptions::new(1))?.score;
    Ok([std::mem::take(&mut rates.risk.score), rates.score, tgnn, field])
}

/// Does outbreaks on all cores; results come in their order.
fn in_parallel<T: Send>(
    outbreaks: &[Outbreak],
    work: impl Fn(&Outbreak) -> std::result::Result<T, String> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(outbreak) = outbreaks.get(number)
        {
            done.push((number, work(outbreak)));
        }
        done
    };
    let mut done = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for thread in running {
            done.extend(thread.join().map_err(|_| "a model panicked")?);
        }
        Ok(())
    })?;
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect::<std::result::Result<_, _>>()?)
}

/// A row for each model.
fn rows(setting: &str, given: &str, outbreaks: &[Outbreak], scores: &[[Vec<f64>; 4]]) -> String {
    let mut pooled = vec![Pooled::default(); MODELS.len()];
    for (outbreak, scores) in outbreaks.iter().zip(scores) {
        let positive = outbreak.positive();
        for (score, pooled) in scores.iter().zip(&mut pooled) {
            pooled.aucs.extend(evaluate(score, &outbreak.infected, &positive).auc);
            pooled.score.extend(score);
            pooled.infected.extend(&outbreak.infected);
            pooled.positive.extend(&positive);
        }
    }
    let mut text = String::new();
    for (model, of) in MODELS.iter().zip(&pooled) {
        let scores = evaluate(&of.score, &of.infected, &of.positive);
        let (auc, error) = mean(&of.aucs);
        let less: Vec<f64> = of.aucs.iter().zip(&pooled[0].aucs).map(|(own, bp)| own - bp).collect();
        let (less, less_error) = mean(&less);
        let (cases, brier, ece) = (outbreaks.len(), scores.brier, scores.ece);
        text += &format!("| {setting} | {cases} | {given} | {model} | {auc:.4} ± {error:.4} | {brier:.4} | {ece:.4} ");
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
