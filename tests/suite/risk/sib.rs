//! The shared office outbreaks: `sib`'s marginals person by person, and its scores against the truth.

use std::time::Instant;

use super::data;
use thalweg::contacts::score::{Scores, evaluate};
use thalweg::contacts::{Bp, RiskModel, RiskOptions};

#[test]
fn office_outbreaks() {
    compare(&[("office_si", 1e-4), ("office_sir", 1e-4)]);
}

/// `sib` has no latent state, so its marginals are no oracle here: scores alone are compared.
#[test]
fn office_outbreaks_with_a_latent_state() {
    compare(&[("office_seir", 1.0)]);
}

fn compare(settings: &[(&str, f64)]) {
    let Some(cases) = data::cases() else { return };
    for &(setting, tolerance) in settings {
        let folder = cases.join(setting);
        let params = data::json(&folder.join("params.json"));
        let sib = data::json(&folder.join("sib.json"));
        let parameters = data::parameters(&params);
        let (mut pooled, mut aucs) = ((Vec::new(), Vec::new(), Vec::new()), Vec::new());
        let (mut converged, mut rounds, mut seconds) = (0, Vec::new(), Vec::new());
        for case in sib["cases"].as_array().unwrap() {
            let name = case["case"].as_str().unwrap();
            let tests = folder.join(format!("tests/{name}.csv"));
            let (snapshot, names) = data::snapshot(&folder.join("contacts.csv.gz"), &tests, &params);
            let clock = Instant::now();
            let risk = Bp::new(parameters).unwrap().until(1e-6, 5000).risk(&snapshot, &RiskOptions::new(1)).unwrap();
            seconds.push(clock.elapsed().as_secs_f64());
            rounds.push(risk.rounds);
            converged += usize::from(risk.converged);
            let marginals = data::rows(&folder.join(format!("marginals/{name}.csv")));
            let off = names.iter().zip(&risk.score).map(|(name, found)| {
                let row = marginals.iter().find(|row| row["person"] == *name).unwrap();
                (found - row["p_infected_now"].parse::<f64>().unwrap()).abs()
            });
            let off = off.fold(0.0, f64::max);
            let truth = data::rows(&folder.join(format!("truth/{name}.csv")));
            let infected =
                names.iter().map(|name| truth.iter().any(|row| row["person"] == *name && row["state"] != "R"));
            let infected: Vec<bool> = infected.collect();
            let mut positive = vec![false; names.len()];
            snapshot.tests.iter().filter(|test| test.positive).for_each(|test| positive[test.person as usize] = true);
            let auc = evaluate(&risk.score, &infected, &positive).auc.unwrap();
            println!(
                "{setting} {name}: converged {} (sib {}), {} rounds, {:.2} s, change {:.1e}, off {off:.1e}, contradictions {}, auc {auc:.4} (sib {:.4})",
                risk.converged,
                case["converged"],
                risk.rounds,
                seconds[seconds.len() - 1],
                risk.change,
                risk.contradictions,
                case["auc"].as_f64().unwrap()
            );
            if risk.converged && case["converged"] == true {
                assert!(off < tolerance, "{setting} {name}: {off}");
            }
            aucs.push(auc);
            pooled.0.extend(risk.score);
            pooled.1.extend(infected);
            pooled.2.extend(positive);
        }
        let Scores { brier, ece, .. } = evaluate(&pooled.0, &pooled.1, &pooled.2);
        let auc = aucs.iter().sum::<f64>() / aucs.len() as f64;
        rounds.sort_unstable();
        seconds.sort_by(f64::total_cmp);
        let theirs = |key: &str| sib["summary"][key].as_f64().unwrap();
        println!(
            "{setting}: AUC {auc:.4} (sib {:.4}), Brier {brier:.4} ({:.4}), ECE {ece:.4} ({:.4}), converged {converged}/20, median {} rounds, {:.3} s ({:.3})",
            theirs("auc"),
            theirs("brier"),
            theirs("ece"),
            rounds[10],
            seconds[10],
            theirs("median_seconds")
        );
        assert_eq!(converged, 20, "{setting}");
        assert!(auc > theirs("auc") - 0.003 && brier < theirs("brier") + 0.0005 && ece < theirs("ece") + 0.003);
    }
}
