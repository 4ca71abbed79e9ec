//! The shared contact data: cases as snapshots, with their parameters and what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use thalweg::contacts::{Contact, Parameters, Prior, Snapshot, Test};

pub const SECOND: i64 = 1_000_000_000;

/// The folder of cases, if the shared data is there: `$THALWEG_DATA` or `../shared/data`.
pub fn cases() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let folder = std::env::var_os("THALWEG_DATA").map(PathBuf::from).into_iter().chain(beside);
    let found = folder.map(|data| data.join("contacts/risk-cases")).find(|cases| cases.is_dir());
    if found.is_none() {
        println!("skipped: no shared/data beside the repository, and THALWEG_DATA does not name it");
    }
    found
}

/// Rows of a CSV file, by column name.
pub fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = if path.extension().is_some_and(|end| end == "gz") {
        let out = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    } else {
        std::fs::read_to_string(path).unwrap()
    };
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    lines.map(|line| names.iter().map(|n| n.to_string()).zip(line.split(',').map(str::to_string)).collect()).collect()
}

pub fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn parameters(params: &Value) -> Parameters {
    let mut parameters = Parameters::default();
    for set in ["set", "set_extended"] {
        for (key, value) in params[set].as_object().unwrap() {
            let value = value.as_f64().unwrap();
            match key.as_str() {
                "rate" => parameters.rate = value,
                "latency" => parameters.latency = value,
                "recovery" => parameters.recovery = value,
                "false_negative" => parameters.false_negative = value,
                "false_positive" => parameters.false_positive = value,
                "ascertainment" => parameters.ascertainment = value,
                other => panic!("unknown key {other}"),
            }
        }
    }
    parameters
}

/// A case's snapshot and its people's names; people as known in the whole contacts file.
pub fn snapshot(contacts: &Path, tests: &Path, params: &Value) -> (Snapshot, Vec<String>) {
    let as_of = (params["as_of"].as_f64().unwrap() * 1e9) as i64;
    let (contacts, tests) = (rows(contacts), rows(tests));
    let names: BTreeSet<&str> = contacts.iter().flat_map(|row| [row["i"].as_str(), row["j"].as_str()]).collect();
    let names: Vec<String> = names.into_iter().map(str::to_string).collect();
    let number = |name: &str| names.binary_search_by(|n| n.as_str().cmp(name)).unwrap() as u32;
    let seconds = |text: &str| (text.parse::<f64>().unwrap() * 1e9) as i64;
    let mut met = BTreeMap::new();
    for row in &contacts {
        let (t, i, j) = (seconds(&row["t"]), number(&row["i"]), number(&row["j"]));
        let duration = row.get("duration").map_or(20 * SECOND, |text| seconds(text));
        if t <= as_of {
            *met.entry((t, i.min(j), i.max(j))).or_insert(0) += duration;
        }
    }
    let contacts = met.into_iter().map(|((t, a, b), duration)| Contact { t, a, b, duration }).collect();
    let mut tests: Vec<_> = tests
        .iter()
        .map(|row| Test {
            t: seconds(&row["t"]),
            person: number(&row["person"]),
            positive: row["result"] == "positive",
        })
        .filter(|test| test.t <= as_of)
        .collect();
    tests.sort();
    (Snapshot { as_of, people: names.len() as u32, contacts, tests }, names)
}

/// The prior of every person of the contacts file, also where some are met only later.
pub fn with_prior(parameters: Parameters, people: usize) -> Parameters {
    Parameters { prior: Prior::Each(1.0 / people as f64), ..parameters }
}
