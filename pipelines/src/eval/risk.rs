//! `eval risk`: ranking and calibration of the risks of one case, or of a folder of cases, against who was truly infected.
//!
//! Scored are people without a positive test; the label is the state E or I at the as-of time. AUC is averaged over cases, with its standard
//! error; Brier score, calibration error (ECE, ten equal bins) and the reliability table are of all cases pooled. See `thalweg::contacts::score`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use thalweg::contacts::RiskOptions;
use thalweg::contacts::live::{Live, net};
use thalweg::contacts::score::{self, evaluate};
use thalweg::{Next, Report, Source};
use thalweg_connectors::Notices;
use thalweg_connectors::contacts::{Rejected, truth};
use thalweg_connectors::sim::town;

use crate::failure::Failure;
use crate::finish::{self, Unused};
use crate::keys::Listed;
use crate::pipeline::{Context, Doing, Measured};
use crate::risk::{
    self, ASCERTAINMENT, Ask, FALSE_NEGATIVE, FALSE_POSITIVE, LATENCY, PRIOR, RATE, RECOVERY, SEEDS, WINDOW,
};
use crate::rows::HASH_IDS;
use crate::settings::Settings;
use crate::{input, options, plot, sims};

/// The pipeline's `eval`.
pub const EVAL: Doing<Measured> = Doing {
    options: &[options::EVAL, &["input", "contacts", "tests", "truth", "as_of", "columns", "plot"]],
    keys: KEYS,
    example: "thalweg eval risk --input town/ --json",
    go: risk,
};

const KEYS: Listed = &[
    &RATE,
    &LATENCY,
    &RECOVERY,
    &FALSE_NEGATIVE,
    &FALSE_POSITIVE,
    &ASCERTAINMENT,
    &SEEDS,
    &PRIOR,
    &WINDOW,
    &HASH_IDS,
    &input::TIME_UNIT,
    &sims::PEOPLE,
    &sims::DAYS,
    &sims::SEED,
];

/// One case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Case {
    /// Its name.
    pub case: String,
    /// Area under the ROC curve; none where everybody is infected or nobody.
    pub auc: Option<f64>,
    /// Brier score.
    pub brier: f64,
    /// People scored.
    pub people: usize,
    /// How many of them are infected.
    pub infected: usize,
    /// The model's rounds.
    pub rounds: u32,
    /// Whether they came to rest.
    pub converged: bool,
    /// The model's time (s).
    pub seconds: f64,
}

/// One bin of the reliability table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Scores from here.
    pub from: f64,
    /// Up to here.
    pub to: f64,
    /// People with such scores.
    pub people: usize,
    /// Their mean score.
    pub score: Option<f64>,
    /// The share of them that are infected.
    pub infected: Option<f64>,
}

/// What `eval risk` found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// The model.
    pub model: String,
    /// Number of cases.
    pub cases: usize,
    /// People scored, over all cases.
    pub people: usize,
    /// How many of them are infected.
    pub infected: usize,
    /// Mean AUC over the cases that have one.
    pub auc: Option<f64>,
    /// Its standard error, of two cases or more.
    pub auc_se: Option<f64>,
    /// Brier score, pooled.
    pub brier: f64,
    /// Expected calibration error, pooled.
    pub ece: f64,
    /// The reliability table, pooled.
    pub reliability: Vec<Bin>,
    /// Cases in which the model did not come to rest.
    pub not_converged: usize,
    /// Case by case.
    pub per_case: Vec<Case>,
}

/// A case to run: its name, settings of its own, and the infected.
struct Task {
    name: String,
    settings: Settings,
    infected: HashMap<String, bool>,
}

/// Scores and labels of people, in one order.
#[derive(Default)]
struct Labelled {
    score: Vec<f64>,
    infected: Vec<bool>,
    positive: Vec<bool>,
}

impl Labelled {
    /// How far scores can be trusted, and how well they rank, over the people without a positive test.
    fn draw(&self, reliability: &[Bin], file: &Path) -> Result<(), Failure> {
        let bin = |bin: &Bin| plot::Bin {
            count: bin.people as u64,
            probability: bin.score.unwrap_or_default(),
            share: bin.infected.unwrap_or_default(),
        };
        let bins: Vec<plot::Bin> = reliability.iter().map(bin).collect();
        let people = self.score.iter().zip(&self.infected).zip(&self.positive);
        let people = people.filter(|(_, positive)| !**positive).map(|((score, infected), _)| (*score, *infected));
        let curve = plot::Curve::of(people);
        let curves: Vec<(&str, &plot::Curve)> = curve.iter().map(|curve| ("all cases", curve)).collect();
        plot::Figure::new("Infection risk", [640, 640])
            .panel(plot::Reliability { title: "reliability", bins: &bins })
            .panel(plot::Roc { title: "ranking", curves: &curves })
            .save(file)
    }

    fn measure(&self) -> score::Scores {
        evaluate(&self.score, &self.infected, &self.positive)
    }
}

/// Runs a model on one case, on files with `--truth`, or on every case of the folder `--input`. A signal ends it after the cases done.
///
/// # Errors
/// Inputs that cannot be read (exit 1); settings that do not fit (exit 78); no case (exit 2).
pub fn risk(settings: &Settings, context: &Context) -> Result<Measured, Failure> {
    let (mut pooled, mut per_case, mut model) = (Labelled::default(), Vec::new(), "none");
    let mut report = Report::default();
    let (mut strangers, mut stranger) = (0, None);
    for task in tasks(settings)? {
        let (name, notices) = (task.name.clone(), context.notices.clone());
        let Some(done) = unless(&context.drain, move |stop| run(&task, &stop, &notices))? else {
            let warning = format!("interrupted in {name}: the figures are those of {} cases", per_case.len());
            report.warnings.push(warning);
            break;
        };
        let Done { labelled, mut case, model: name, dropped, unknown } = done?;
        model = name;
        strangers += unknown.len();
        stranger = stranger.or_else(|| Some(format!("{} in {}", unknown.first()?, case.case)));
        for (reason, dropped) in dropped {
            *report.dropped.entry(reason.clone()).or_default() += dropped.count;
            report.first_dropped.entry(reason).or_insert(dropped.first);
        }
        let measured = labelled.measure();
        (case.auc, case.brier, case.people, case.infected) =
            (measured.auc, measured.brier, measured.people, measured.infected);
        per_case.push(case);
        pooled.score.extend(labelled.score);
        pooled.infected.extend(labelled.infected);
        pooled.positive.extend(labelled.positive);
    }
    if per_case.is_empty() {
        return Err(Failure::run("eval risk: found no case done, expected one at least: interrupted"));
    }
    if let Some(first) = stranger {
        let who = format!("{strangers} people of the truth are in no row up to the time asked for");
        report.warnings.push(format!("{who} and are not scored, first {first}"));
    }
    let scores = scores(&pooled, per_case, model);
    if let Some(file) = &settings.plot {
        pooled.draw(&scores.reliability, file)?;
    }
    Ok(Measured { json: json!(scores), text: scores.to_string(), report })
}

/// Runs `work` on a thread of its own; nothing if a signal comes before it is done. The thread ends with the program.
fn unless<T: Send + 'static>(
    drain: &Arc<AtomicBool>,
    work: impl FnOnce(Arc<AtomicBool>) -> T + Send + 'static,
) -> Result<Option<T>, Failure> {
    let (send, receive) = std::sync::mpsc::channel();
    let stop = Arc::clone(drain);
    std::thread::Builder::new()
        .name("eval".into())
        // Where nobody waits any more there is nobody to tell.
        .spawn(move || drop(send.send(work(stop))))
        .map_err(Failure::run)?;
    loop {
        match receive.recv_timeout(Duration::from_millis(50)) {
            Ok(done) => return Ok(Some(done)),
            Err(RecvTimeoutError::Timeout) if drain.load(Ordering::Relaxed) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::run("eval: the thread of a case ended early")),
        }
    }
}

/// All figures, of the cases pooled and case by case.
fn scores(pooled: &Labelled, per_case: Vec<Case>, model: &str) -> Scores {
    let measured = pooled.measure();
    let (auc, auc_se) = mean(&per_case.iter().filter_map(|case| case.auc).collect::<Vec<_>>());
    let bins = measured.reliability.len() as f64;
    let reliability = measured.reliability.iter().enumerate().map(|(i, bin)| Bin {
        from: i as f64 / bins,
        to: (i + 1) as f64 / bins,
        people: bin.people,
        score: (bin.people > 0).then(|| bin.score / bin.people as f64),
        infected: (bin.people > 0).then(|| bin.infected as f64 / bin.people as f64),
    });
    Scores {
        model: model.into(),
        cases: per_case.len(),
        people: measured.people,
        infected: measured.infected,
        auc,
        auc_se,
        brier: measured.brier,
        ece: measured.ece,
        reliability: reliability.collect(),
        not_converged: per_case.iter().filter(|case| !case.converged).count(),
        per_case,
    }
}

/// Mean and standard error.
fn mean(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (None, None);
    }
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (Some(mean), (values.len() > 1).then(|| (variance / n).sqrt()))
}

/// Every case that the settings name.
fn tasks(settings: &Settings) -> Result<Vec<Task>, Failure> {
    let read = |path: &Path| -> Result<HashMap<String, bool>, Failure> { Ok(truth(path)?.into_iter().collect()) };
    if let [input] = settings.input.as_slice()
        && input != "sim:town"
        && settings.contacts.is_empty()
        && settings.tests.is_empty()
    {
        return Folder::open(Path::new(input), settings)?.tasks(read);
    }
    if risk::is_town(settings)? {
        let town = risk::ask(settings, KEYS)?.town.unwrap_or(town::Town { people: 2, days: 1, seed: 0 });
        let settings = Settings { as_of: settings.as_of.or(Some(town.as_of() * 1_000_000_000)), ..settings.clone() };
        let infected = town::truth(town).into_iter().collect();
        return Ok(vec![Task { name: "sim:town".into(), settings, infected }]);
    }
    let Some(path) = &settings.truth else {
        let expected = "--truth FILE beside --contacts and --tests, or --input with a folder of cases";
        return Err(Failure::Usage(format!("--truth: found none, expected {expected}")));
    };
    Ok(vec![Task { name: path.display().to_string(), settings: settings.clone(), infected: read(path)? }])
}

/// A folder of cases: `contacts.*`, `params.json` where there, and `tests/NAME` with `truth/NAME`, or `tests.*` with `truth.*`.
struct Folder {
    path: PathBuf,
    settings: Settings,
}

impl Folder {
    fn open(path: &Path, settings: &Settings) -> Result<Folder, Failure> {
        let mut settings = Settings { input: Vec::new(), ..settings.clone() };
        let parameters = path.join("params.json");
        if parameters.exists() {
            let bad = |e: String| Failure::run(format!("{}: {e}", parameters.display()));
            let text = std::fs::read_to_string(&parameters).map_err(|e| bad(e.to_string()))?;
            let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
            for (key, value) in ["set", "set_extended"].iter().filter_map(|key| json[key].as_object()).flatten() {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
                settings.set.entry(key.clone()).or_insert(value);
            }
            if let (None, Some(as_of)) = (settings.as_of, json.get("as_of")) {
                let text = as_of.as_str().map_or_else(|| as_of.to_string(), str::to_string);
                let time = thalweg_connectors::contacts::time_ns(&text);
                settings.as_of =
                    Some(time.ok_or_else(|| bad(format!("as_of: found {text}, expected seconds, a time or a date")))?);
            }
        }
        let folder = Folder { path: path.into(), settings };
        let contacts = folder.files(&folder.path, "contacts.")?;
        if contacts.is_empty() {
            return Err(Failure::run(format!("{}: found no contacts.csv, expected a folder of cases", path.display())));
        }
        Ok(Folder { settings: Settings { contacts, ..folder.settings }, ..folder })
    }

    /// A folder's files whose names begin so, in name order.
    fn files(&self, folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, Failure> {
        let bad = |e: std::io::Error| Failure::run(format!("{}: {e}", folder.display()));
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(bad)? {
            let path = entry.map_err(bad)?.path();
            let named = path.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.starts_with(prefix) && !name.starts_with('.')
            });
            if named && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn tasks(&self, read: impl Fn(&Path) -> Result<HashMap<String, bool>, Failure>) -> Result<Vec<Task>, Failure> {
        let stem = |path: &Path| -> String {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.split('.').next().unwrap_or_default().to_string()
        };
        let task = |name: String, tests: Vec<PathBuf>, truth: &Path| -> Result<Task, Failure> {
            Ok(Task { name, settings: Settings { tests, ..self.settings.clone() }, infected: read(truth)? })
        };
        let inside = self.path.join("tests");
        if !inside.is_dir() {
            let truths = self.files(&self.path, "truth.")?;
            let truth = self.settings.truth.as_ref().or(truths.first());
            let truth = truth.ok_or_else(|| {
                Failure::run(format!("{}: found no truth.csv, expected one, or truth/", self.path.display()))
            })?;
            return Ok(vec![task(self.path.display().to_string(), self.files(&self.path, "tests.")?, truth)?]);
        }
        let truths: BTreeMap<_, _> =
            self.files(&self.path.join("truth"), "")?.into_iter().map(|path| (stem(&path), path)).collect();
        let mut tasks = Vec::new();
        for tests in self.files(&inside, "")? {
            let name = stem(&tests);
            let truth = truths.get(&name).ok_or_else(|| {
                Failure::run(format!("{}: found no truth of that name, expected truth/{name}.csv", tests.display()))
            })?;
            tasks.push(task(name, vec![tests.clone()], truth)?);
        }
        Ok(tasks)
    }
}

/// What became of a case.
struct Done {
    labelled: Labelled,
    case: Case,
    model: &'static str,
    dropped: Unused,
    /// People of the truth that the input does not have, in order.
    unknown: Vec<String>,
}

/// Asks the model about one case.
fn run(task: &Task, stop: &Arc<AtomicBool>, notices: &Notices) -> Result<Done, Failure> {
    let ask: Ask = risk::ask(&task.settings, KEYS)?;
    let rejected = Arc::new(Rejected::beside("eval"));
    let mut source = ask.open(stop, notices, &rejected)?;
    let names = source.names();
    let (mut live, mut rows) = (Live::default(), 0);
    loop {
        match source.next().map_err(Failure::run)? {
            Next::Item(item) => {
                rows += item.rows.len();
                live.apply(&net(item.rows));
            }
            Next::Idle => {}
            Next::End => break,
        }
    }
    let mut dropped = Unused::new();
    finish::count_rejected(&rejected, &mut dropped);
    if let Some((reason, first)) = dropped.first_key_value().filter(|_| rows == 0) {
        return Err(Failure::run(format!(
            "{}: found nothing that could be used: {}",
            source.name(),
            finish::line(reason, first)
        )));
    }
    let last = live.stamps().map_or(0, |(_, last)| last);
    let view = live.view(&names, task.settings.as_of.unwrap_or(last), ask.window);
    let mut asked = (ask.make)(ask.parameters)?;
    let start = Instant::now();
    let risk = asked.risk(&view.snapshot, &RiskOptions::new(task.settings.workers))?;
    let seconds = start.elapsed().as_secs_f64();

    let names = names.list();
    let key = ask.key()?;
    let infected: HashMap<String, bool> = match &key {
        None => task.infected.clone(),
        Some(key) => task.infected.iter().map(|(id, infected)| (key.hash(id), *infected)).collect(),
    };
    let mut positive = vec![false; view.arrival.len()];
    for test in view.snapshot.tests.iter().filter(|test| test.positive) {
        positive[test.person as usize] = true;
    }
    let known: HashSet<&str> = view.arrival.iter().map(|person| &*names[*person as usize]).collect();
    let mut unknown: Vec<String> = infected.keys().filter(|id| !known.contains(id.as_str())).cloned().collect();
    unknown.sort_unstable();
    let truly = |person: &u32| infected.get(&*names[*person as usize]).copied().unwrap_or(false);
    let infected = view.arrival.iter().map(truly).collect();
    let labelled = Labelled { score: risk.score, infected, positive };
    let case = Case {
        case: task.name.clone(),
        auc: None,
        brier: 0.0,
        people: 0,
        infected: 0,
        rounds: risk.rounds,
        converged: risk.converged,
        seconds,
    };
    Ok(Done { labelled, case, model: asked.name(), dropped, unknown })
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |v: Option<f64>| v.map_or_else(|| "-".into(), |v| format!("{v:.4}"));
        writeln!(
            f,
            "model {}, {} cases, {} people scored, {} infected",
            self.model, self.cases, self.people, self.infected
        )?;
        writeln!(
            f,
            "AUC {} ± {}, Brier {:.4}, calibration error {:.4}",
            show(self.auc),
            show(self.auc_se),
            self.brier,
            self.ece
        )?;
        writeln!(f, "cases in which the model did not come to rest: {}", self.not_converged)?;
        writeln!(f, "\nscore            people   mean score   infected")?;
        for bin in &self.reliability {
            let (score, infected) = (show(bin.score), show(bin.infected));
            writeln!(f, "{:.1} to {:.1} {:>12} {score:>12} {infected:>10}", bin.from, bin.to, bin.people)?;
        }
        Ok(())
    }
}
