//! `eval risk`: ranking and calibration of the risks of one case, or of a folder of cases, against who was truly infected.
//!
//! Scored are people without a positive test; the label is the state E or I at the as-of time. AUC is averaged over cases, with its standard
//! error; Brier score, calibration error (ECE, ten equal bins) and the reliability table are of all cases pooled. See `thalweg::contacts::score`.

mod cases;

use std::collections::{HashMap, HashSet};
use std::path::Path;
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
use thalweg_connectors::contacts::Rejected;

use self::cases::Task;
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
    for task in cases::tasks(settings, KEYS)? {
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
