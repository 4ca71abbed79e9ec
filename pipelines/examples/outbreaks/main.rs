//! Simulated outbreaks, for the training of `tgnn` and for its table of figures.
//!
//! ```text
//! outbreaks features SOCIOPATTERNS OUT CASES SEED     inputs and truths of random outbreaks on the networks for training, as .npy
//! outbreaks evaluate SOCIOPATTERNS MODEL CASES SEED   AUC, Brier score and calibration error on the networks kept apart
//! ```
//! `SOCIOPATTERNS` is the folder of the CC0 networks. For training: InVS 2015, parts of it, and towns of seeds below 1,000,000. Kept apart: InVS
//! 2013, towns of other seeds and sizes, and people at random places.

mod features;
mod networks;
mod random;
mod settings;
mod spread;
mod table;

use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SECOND: i64 = 1_000_000_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, data, path, cases, seed] = &arguments[..] else {
        return Err("expected features|evaluate SOCIOPATTERNS OUT|MODEL CASES SEED".into());
    };
    let (data, path, cases, seed) = (Path::new(data), Path::new(path), cases.parse::<u64>()?, seed.parse::<u64>()?);
    match what.as_str() {
        "features" => features::write(data, path, cases as usize, seed),
        "evaluate" => table::print(data, path, cases, seed),
        other => Err(format!("found {other}, expected features or evaluate").into()),
    }
}
