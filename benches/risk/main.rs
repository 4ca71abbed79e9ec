//! Infection risk with the program itself, from files to scores, the models side by side: runs interleaved, medians. `bp` has no peer that takes
//! these inputs here: beside it stand the baselines, which do less, and what `sib` took elsewhere for the shared cases.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs of each case and contestant.
const ROUNDS: usize = 3;

fn main() {
    // A run of all benchmarks passes flags; a test run wants nothing done.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("thalweg-bench-risk-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for towns can be made");
    let mut rows = Vec::new();
    let sizes = std::env::var("THALWEG_TOWNS").unwrap_or("10000 20000 50000 100000".into());
    for people in sizes.split_whitespace() {
        rows.extend(town(people, &folder.join(people)));
    }
    let data = std::env::var_os("THALWEG_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    for setting in ["office_si", "office_sir", "office_seir"] {
        let cases = data.join("contacts/risk-cases").join(setting);
        if cases.is_dir() {
            rows.push(office(setting, &cases));
        } else {
            eprintln!("{setting}: skipped, no {}", cases.display());
        }
    }
    std::fs::remove_dir_all(&folder).ok();
    let out = root().join("target/bench");
    std::fs::create_dir_all(&out).expect("target/bench can be made");
    let text = serde_json::to_string_pretty(&rows).expect("rows are JSON");
    std::fs::write(out.join("risk.json"), text + "\n").expect("target/bench/risk.json can be written");
    rows.iter().for_each(|row| println!("{row}"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a run took: wall and processor seconds, megabytes at most.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    processor: f64,
    memory: f64,
}

/// Runs the program to its end.
fn run(arguments: &[&str]) -> Cost {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program runs");
    let (mut processor, mut memory) = (0.0f64, 0.0f64);
    // The kernel forgets a process with its end: what it said last stands.
    let status = loop {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
        let stat = of("stat");
        let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        processor = processor.max(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0);
        let peak = of("status").lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::to_string));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        memory = memory.max(peak.unwrap_or(0.0) / 1e3);
        if let Some(status) = child.try_wait().expect("the program can be waited for") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{arguments:?}: {status}");
    Cost { wall: start.elapsed().as_secs_f64(), processor, memory }
}

/// The middle one.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A town of two weeks from files to scores at its end: seconds by models and workers, processor seconds, memory.
fn town(people: &str, folder: &Path) -> Vec<Value> {
    let path = |file: &str| folder.join(file).display().to_string();
    run(&["simulate", "town", "--output", &folder.display().to_string(), "--set", &format!("people={people}")]);
    let text = std::fs::read_to_string(folder.join("params.json")).expect("the town has parameters");
    let params: Value = serde_json::from_str(&text).expect("parameters are JSON");
    let contestants = [("bp", "2"), ("bp", "1"), ("mean-field", "2"), ("tracing", "2")];
    let mut costs = contestants.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((model, workers), costs) in contestants.iter().zip(&mut costs) {
            let mut arguments: Vec<String> =
                ["run", "risk", "--model", model, "--workers", workers].map(String::from).into();
            for (option, file) in
                [("--contacts", "contacts.csv"), ("--tests", "tests.csv"), ("--output", "risk.parquet")]
            {
                arguments.extend([option.into(), path(file)]);
            }
            arguments.extend(["--as-of".into(), params["as_of"].to_string()]);
            for (key, value) in params["set"].as_object().into_iter().flatten() {
                arguments.extend(["--set".into(), format!("{key}={value}")]);
            }
            costs.push(run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
    let of = |number: usize, what: fn(&Cost) -> f64| median(costs[number].iter().map(what));
    let case = |what: &str| format!("sim:town, {people} people, 14 days, files to scores, {what}");
    let row = |case: String, unit: &str, number: usize, what: fn(&Cost) -> f64, goal: Option<f64>| {
        let peers = json!({ "mean-field": of(2, what), "tracing": of(3, what) });
        json!({ "case": case, "unit": unit, "ours": of(number, what), "peers": peers, "goal": goal })
    };
    let most = (people == "100000").then_some(());
    vec![
        row(case("2 threads"), "s", 0, |cost| cost.wall, most.map(|()| 60.0)),
        row(case("1 thread"), "s", 1, |cost| cost.wall, None),
        row(case("2 threads, processor time"), "s", 0, |cost| cost.processor, None),
        row(case("2 threads, memory"), "MB", 0, |cost| cost.memory, most.map(|()| 4000.0)),
    ]
}

/// Seconds a case of the shared outbreaks, reading them included, one thread.
fn office(setting: &str, cases: &Path) -> Value {
    let costs: Vec<_> = (0..ROUNDS).map(|_| run(&["eval", "risk", "--input", &cases.display().to_string()])).collect();
    let sib = std::fs::read_to_string(cases.join("sib.json")).unwrap_or_default();
    let sib: Value = serde_json::from_str(&sib).unwrap_or_default();
    let count = sib["cases"].as_array().map_or(20, Vec::len).max(1) as f64;
    json!({
        "case": format!("{setting}, seconds a case, reading included, 1 thread; sib: on another machine, belief propagation alone"),
        "unit": "s",
        "ours": median(costs.iter().map(|cost| cost.wall)) / count,
        "peers": { "sib": sib["summary"]["median_seconds"] },
        "goal": null,
    })
}
