//! The shared cases with enumerated posteriors.

use super::data;
use thalweg::contacts::{Bp, RiskModel, RiskOptions};

#[test]
fn shared_exact_cases() {
    let Some(cases) = data::cases() else { return };
    for number in 0..8 {
        let folder = cases.join(format!("exact/{number:03}"));
        let params = data::json(&folder.join("params.json"));
        let (snapshot, names) = data::snapshot(&folder.join("contacts.csv"), &folder.join("tests.csv"), &params);
        let parameters = data::with_prior(data::parameters(&params), names.len());
        let risk = Bp::new(parameters).unwrap().until(1e-12, 2000).risk(&snapshot, &RiskOptions::new(1)).unwrap();
        let expected = data::rows(&folder.join("posterior.csv"));
        let off = names.iter().zip(&risk.score).map(|(name, found)| {
            let row = expected.iter().find(|row| row["person"] == *name).unwrap();
            (found - row["p_infected_now_indep"].parse::<f64>().unwrap()).abs()
        });
        let off = off.fold(0.0, f64::max);
        println!("exact {number:03}: {} rounds, largest difference {off:.2e} ({})", risk.rounds, params["note"]);
        assert!(risk.converged);
        assert!(off < if params["tree"] == true { 1e-9 } else { 0.02 }, "case {number}: {off}");
    }
}
