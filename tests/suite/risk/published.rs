//! The published setting of Biazzo, Braunstein, Dall'Asta, Mazza, Sci. Rep. 12, 19673 (2022): outbreaks simulated on the contacts of an
//! office (SocioPatterns InVS 2013, CC0), half of the infected seen at the end, AUC over everybody not seen.

use std::collections::BTreeMap;

use super::{Random, data};
use thalweg::contacts::score::evaluate;
use thalweg::contacts::{Bp, Contact, MeanField, Parameters, RiskModel, RiskOptions, Snapshot, Test, Tracing};

const DAY: i64 = 86_400 * data::SECOND;
const OUTBREAKS: usize = 300;
/// AUC of belief propagation (`sib`) in the paper's own runs, and what ours may be less.
const PUBLISHED: (f64, f64) = (0.886, 0.02);

/// Contacts of a day added up, 20 s a row, stamped at the day's end.
fn office() -> Option<(u32, Vec<Contact>)> {
    let path = data::cases()?.parent()?.join("sociopatterns-cc0/invs13.csv.gz");
    let mut numbers = BTreeMap::new();
    let mut met = BTreeMap::new();
    for row in data::rows(&path) {
        let next = numbers.len() as u32;
        let i = *numbers.entry(row["i"].clone()).or_insert(next);
        let next = numbers.len() as u32;
        let j = *numbers.entry(row["j"].clone()).or_insert(next);
        let day = row["t"].parse::<i64>().unwrap() * data::SECOND / DAY;
        *met.entry((day, i.min(j), i.max(j))).or_insert(0) += 20 * data::SECOND;
    }
    let contacts = met.into_iter().map(|((day, a, b), duration)| Contact { t: (day + 1) * DAY, a, b, duration });
    Some((numbers.len() as u32, contacts.collect()))
}

/// Who is infected at the end, from one seed; none if the seed infects nobody.
fn outbreak(people: u32, contacts: &[Contact], rate: f64, random: &mut Random) -> Option<Vec<bool>> {
    let mut infected = vec![false; people as usize];
    infected[random.below(u64::from(people)) as usize] = true;
    for day in contacts.chunk_by(|a, b| a.t == b.t) {
        let before = infected.clone();
        for contact in day {
            let passes = 1.0 - (-rate * contact.duration as f64 * 1e-9).exp();
            for (from, to) in [(contact.a, contact.b), (contact.b, contact.a)] {
                infected[to as usize] |= before[from as usize] && random.unit() < passes;
            }
        }
    }
    (infected.iter().filter(|infected| **infected).count() > 1).then_some(infected)
}

#[test]
fn the_published_setting() {
    let Some((people, contacts)) = office() else { return };
    let parameters = Parameters { rate: 1e-3, ascertainment: 0.5, ..Parameters::default() };
    let as_of = contacts.last().unwrap().t;
    let mut models: Vec<Box<dyn RiskModel>> = vec![
        Box::new(Bp::new(parameters).unwrap()),
        Box::new(Bp::new(Parameters { ascertainment: 0.0, ..parameters }).unwrap()),
        Box::new(MeanField::new(parameters).unwrap()),
        Box::new(Tracing::new(parameters).unwrap()),
    ];
    let mut aucs = vec![Vec::new(); models.len()];
    let mut pooled = (Vec::new(), Vec::new(), Vec::new());
    let random = &mut Random::new(2022);
    let mut at_rest = 0;
    while aucs[0].len() < OUTBREAKS {
        let Some(infected) = outbreak(people, &contacts, parameters.rate, random) else { continue };
        let seen: Vec<bool> = infected.iter().map(|infected| *infected && random.unit() < 0.5).collect();
        let tests = (0..people).filter(|&person| seen[person as usize]);
        let tests = tests.map(|person| Test { t: as_of, person, positive: true }).collect();
        let snapshot = Snapshot { as_of, people, contacts: contacts.clone(), tests };
        for (number, (model, aucs)) in models.iter_mut().zip(&mut aucs).enumerate() {
            let risk = model.risk(&snapshot, &RiskOptions::new(1)).unwrap();
            // Nobody is left to find in a few: they rank nothing.
            aucs.extend(evaluate(&risk.score, &infected, &seen).auc);
            if number == 0 {
                at_rest += usize::from(risk.converged);
                pooled.0.extend(risk.score);
            }
        }
        pooled.1.extend(infected);
        pooled.2.extend(seen);
    }
    let mean = |aucs: &[f64]| aucs.iter().sum::<f64>() / aucs.len() as f64;
    let names = ["bp", "bp, not told that half are seen", "mean-field", "tracing"];
    for (name, aucs) in names.into_iter().zip(&aucs) {
        let mean = mean(aucs);
        let deviation = (aucs.iter().map(|auc| (auc - mean).powi(2)).sum::<f64>() / (aucs.len() - 1) as f64).sqrt();
        println!("{name}: AUC {mean:.4} ± {:.4}", deviation / (aucs.len() as f64).sqrt());
    }
    let scores = evaluate(&pooled.0, &pooled.1, &pooled.2);
    println!("bp: Brier {:.4}, ECE {:.4}, {at_rest} of the outbreaks at rest", scores.brier, scores.ece);
    let auc = mean(&aucs[0]);
    assert!(auc > PUBLISHED.0 - PUBLISHED.1, "{auc}");
    assert!(scores.ece < 0.015, "{}", scores.ece);
}
