//! The table of `models/tgnn.md`: each model with rates given right and wrong, on networks that were not trained on.

use std::path::Path;

use thalweg::contacts::score::evaluate;
use thalweg::contacts::{Bp, MeanField, Parameters, RiskModel, Tgnn};

use crate::Result;
use crate::networks::Office;
use crate::random::Random;
use crate::settings::{Setting, kept_apart, scaled, settings};
use crate::spread::spread;

const MODELS: [&str; 3] = ["bp", "mean-field", "tgnn"];
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

pub fn print(data: &Path, model: &Path, cases: u64, seed: u64) -> Result<()> {
    let office = Office::read(&data.join("invs13.csv.gz"))?;
    let weights = std::fs::read(model)?;
    println!(
        "| setting | cases | given | model | AUC | Brier | ECE | AUC less bp's |\n|---|---|---|---|---|---|---|---|"
    );
    let settings = settings();
    let rows = |number| rows(number, &settings[number], &office, &weights, cases, seed).map_err(|e| e.to_string());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..settings.len()).map(|number| scope.spawn(move || rows(number))).collect();
        for rows in running {
            print!("{}", rows.join().map_err(|_| "a setting panicked")??);
        }
        Ok(())
    })
}

/// The rows of one setting.
fn rows(number: usize, setting: &Setting, office: &Office, weights: &[u8], cases: u64, seed: u64) -> Result<String> {
    let truth = &setting.truth;
    // Where only the rate of infection is a rate, all rates are that one.
    let given: Vec<_> = GIVEN.iter().filter(|(_, all, _)| *all || truth.recovery > 0.0).collect();
    let mut pooled = vec![vec![Pooled::default(); MODELS.len()]; given.len()];
    let (mut which, mut done) = (0, 0);
    while done < cases {
        let random = &mut Random::new(seed, 1_000_000 + 100_000 * number as u64 + which);
        which += 1;
        let network = kept_apart(number, which, office, random)?;
        let outbreak = spread(&network, truth, setting.testing, random);
        let positive = outbreak.positive();
        let mut hidden = outbreak.infected.iter().zip(&positive);
        if outbreak.ever < 2 || !hidden.any(|(infected, positive)| *infected && !*positive) {
            continue;
        }
        done += 1;
        for ((_, all, factor), pooled) in given.iter().zip(&mut pooled) {
            let given = if *all { scaled(truth, *factor) } else { Parameters { rate: truth.rate * factor, ..*truth } };
            let mut models: [Box<dyn RiskModel>; 3] = [
                Box::new(Bp::new(given)?),
                Box::new(MeanField::new(given)?),
                Box::new(Tgnn::from_bytes("tgnn", weights, given)?),
            ];
            for (model, pooled) in models.iter_mut().zip(pooled) {
                let score = model.risk(&outbreak.snapshot, 1)?.score;
                pooled.aucs.extend(evaluate(&score, &outbreak.infected, &positive).auc);
                pooled.score.extend(score);
                pooled.infected.extend(&outbreak.infected);
                pooled.positive.extend(&positive);
            }
        }
    }
    let mut text = String::new();
    for ((given, ..), pooled) in given.iter().zip(&pooled) {
        for (model, of) in MODELS.iter().zip(pooled) {
            let scores = evaluate(&of.score, &of.infected, &of.positive);
            let (auc, error) = mean(&of.aucs);
            let less: Vec<f64> = of.aucs.iter().zip(&pooled[0].aucs).map(|(own, bp)| own - bp).collect();
            let (less, less_error) = mean(&less);
            let (name, brier, ece) = (setting.name, scores.brier, scores.ece);
            text += &format!("| {name} | {cases} | {given} | {model} | {auc:.4} ± {error:.4} | {brier:.4} | {ece:.4} ");
            text += &format!("| {less:+.4} ± {less_error:.4} |\n");
        }
    }
    Ok(text)
}

/// Mean and standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}
