//! `risk`: contacts and tests in, everybody's probability of being infected out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;
use thalweg::contacts::{
    AsOf, Bp, Fact, Fits, Fitted, MeanField, Parameters, Prior, RiskModel, ScoringOptions, Stop, Tgnn, Tracing,
};
use thalweg::{Pipeline, Report, Source};
use thalweg_connectors::Notices;
use thalweg_connectors::contacts::{
    self, FilesOptions, Ids, Key as IdKey, Merge, Pace, Rejected, TableFormat, TableOptions, WithRejected,
};
use thalweg_connectors::out::batches::{risk_batches, risk_changes_batches, risk_changes_schema, risk_schema};
use thalweg_connectors::out::segments::Roll;
use thalweg_connectors::rows::Feed;
use thalweg_connectors::sim::town::{Town, TownFeed};

use crate::durable::{self, Durable};
use crate::failure::Failure;
use crate::finish::{Careful, note_rejected, rows_used};
use crate::keys::{Key, Keys, Listed, Maybe};
use crate::pipeline::{Context, Doing, Ready};
use crate::settings::Settings;
use crate::written::Counted;
use crate::{input, models, options, output, rows, sims};

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "risk",
    what: "everybody's probability of being infected, from contacts and tests",
    models: || MODELS.iter().map(|(name, what, _)| (*name, *what)).collect(),
    check: |settings| ask(settings, KEYS).map(drop),
    run: Doing {
        options: &[options::RUN, options::MODEL, options::STREAM, &["input", "contacts", "tests", "as_of", "every"]],
        keys: KEYS,
        example: "thalweg run risk --contacts contacts.csv --tests tests.csv --output risk.csv --set rate=2e-5",
        go: run,
    },
    eval: None,
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
    &rows::LATENESS,
    &rows::TESTS_LATENESS,
    &rows::AHEAD,
    &EMIT,
    &rows::HASH_IDS,
    &BECAUSE,
    &input::TIME_UNIT,
    &sims::PEOPLE,
    &sims::DAYS,
    &sims::SEED,
    &output::FRAMES,
    &output::SECONDS,
    &durable::SECONDS,
];

const BECAUSE: Key =
    key("because", "10", "a number of people, 0 to 1000", "how many contacts are named for each person");

const PER_SECOND: &str = "a rate per second, 0 or more";
const PROBABILITY: &str = "a probability, 0 to 1";

const fn key(name: &'static str, default: &'static str, expected: &'static str, what: &'static str) -> Key {
    Key { name, default, expected, what }
}

/// Infection.
pub const RATE: Key = key(
    "rate",
    "none: it must be given",
    PER_SECOND,
    "infection per second of contact: one of d seconds passes it on with probability 1 - exp(-rate * d)",
);
pub(crate) const LATENCY: Key = key("latency", "0", PER_SECOND, "from infected to infectious, per second; 0: at once");
pub(crate) const RECOVERY: Key = key("recovery", "0", PER_SECOND, "from infectious to recovered, per second; 0: never");
pub(crate) const FALSE_NEGATIVE: Key =
    key("false_negative", "0", PROBABILITY, "that a test of an infected person is negative");
pub(crate) const FALSE_POSITIVE: Key =
    key("false_positive", "0", PROBABILITY, "that a test of another person is positive");
pub(crate) const ASCERTAINMENT: Key = key(
    "ascertainment",
    "0",
    PROBABILITY,
    "that an infected person has been found by a positive test; 0: tests are random",
);
pub(crate) const SEEDS: Key = key(
    "seeds",
    "1",
    "a number of people, 0 or more",
    "people infected one second before the first row, among all known",
);
pub(crate) const PRIOR: Key =
    key("prior", "seeds / people", PROBABILITY, "that a person is infected then, instead of seeds");
pub(crate) const WINDOW: Key =
    key("window", "none", "seconds, more than 0", "rows older than the as-of time less so many seconds are out");
const EMIT: Key =
    key("emit", "all", "all or changes", "the tables at the end, or revisions as they come, with a column diff");

/// What to say where no rate is given: no number fits all contacts.
const NO_RATE: &str = "--set rate: found none, expected a rate: infection per second of contact. A contact of d seconds passes infection on \
    with probability 1 - exp(-rate * d). No rate fits all contacts, so take it from your data: if a share p of those who met an infected person \
    for d seconds is infected by it (the secondary attack rate), rate = -ln(1 - p) / d. A tenth in an hour is rate=3e-5. Rows of face-to-face \
    sensors (20 s each, about a metre) are often given 1e-4 to 1e-3";

/// A model made of what it is told, or why not.
type Made = Result<Box<dyn RiskModel>, thalweg::Error>;

/// Makes a model that is part of the program.
type Shipped = fn(Parameters) -> Made;

/// Makes the model that was asked for.
pub(crate) type Make = Arc<dyn Fn(Parameters) -> Made + Send + Sync>;

/// (name, what it is, how it is made); the first is the default.
pub const MODELS: [(&str, &str, Shipped); 4] = [
    ("bp", "belief propagation over infection times: a probability from all contacts and tests", |p| {
        Ok(Box::new(Bp::new(p)?))
    }),
    (
        "tgnn",
        "a graph network over belief propagation: for rates that are known roughly, on which it needs a guess",
        |p| Ok(Box::new(Tgnn::from_bytes("tgnn", models::TGNN, p)?)),
    ),
    ("mean-field", "forward spread with the tests seen so far, people taken as independent", |p| {
        Ok(Box::new(MeanField::new(p)?))
    }),
    ("tracing", "contact tracing: meetings of the last seven days with people who tested positive", |p| {
        Ok(Box::new(Tracing::new(p)?))
    }),
];

/// What the settings ask for.
pub(crate) struct Ask {
    pub make: Make,
    pub parameters: Parameters,
    pub town: Option<Town>,
    pub as_of: AsOf,
    pub window: Option<i64>,
    lateness: Option<i64>,
    pub changes: bool,
    pub because: usize,
    pub files: FilesOptions,
    pub pace: Pace,
    key: Option<PathBuf>,
    roll: Roll,
    every: Duration,
}

/// True if the input is the simulated town; contacts and tests from files are no `--input`.
pub(crate) fn is_town(settings: &Settings) -> Result<bool, Failure> {
    let files = !settings.contacts.is_empty() || !settings.tests.is_empty();
    match settings.input.as_slice() {
        [] => Ok(false),
        [one] if one == "sim:town" && !files => Ok(true),
        [one] if one == "sim:town" => {
            Err(Failure::config("input: found sim:town beside files, expected one of the two"))
        }
        [first, ..] => {
            Err(Failure::config(format!("input: found {first}, expected sim:town, or --contacts and --tests")))
        }
    }
}

/// Reads the parameters of the spread from `keys`: over those of a town, or the defaults, among which there is no rate.
pub(crate) fn parameters(keys: &mut Keys<'_>, town: Option<Parameters>) -> Parameters {
    let positive = |x: &f64| x.is_finite() && *x >= 0.0;
    let share = |x: &f64| (0.0..=1.0).contains(x);
    if town.is_none() && !keys.has(&RATE) {
        keys.problem(NO_RATE.into());
    }
    let default = town.unwrap_or_default();
    let usual = match default.prior {
        Prior::Seeds(seeds) => seeds,
        Prior::Each(_) => 1.0,
    };
    let seeds = keys.take_or(&SEEDS, usual, positive);
    if keys.has(&PRIOR) {
        keys.refuse(&[&SEEDS], "no prior beside it: both say how likely people are infected at first");
    }
    let each: Maybe<f64> = keys.take(&PRIOR, |prior: &Maybe<f64>| prior.0.is_some_and(|prior| share(&prior)));
    Parameters {
        rate: keys.take_or(&RATE, default.rate, positive),
        latency: keys.take_or(&LATENCY, default.latency, positive),
        recovery: keys.take_or(&RECOVERY, default.recovery, positive),
        false_negative: keys.take_or(&FALSE_NEGATIVE, default.false_negative, share),
        false_positive: keys.take_or(&FALSE_POSITIVE, default.false_positive, share),
        ascertainment: keys.take_or(&ASCERTAINMENT, default.ascertainment, share),
        prior: each.0.map_or(Prior::Seeds(seeds), Prior::Each),
    }
}

/// The model that the settings name: a shipped one, or `tgnn` with weights of a `.safetensors` file.
pub(crate) fn model(settings: &Settings) -> Result<Make, Failure> {
    let wanted = settings.model.as_deref().unwrap_or(MODELS[0].0);
    if let Some((.., make)) = MODELS.iter().find(|(name, ..)| *name == wanted) {
        return Ok(Arc::new(make));
    }
    if wanted.ends_with(".safetensors") {
        let bytes = models::read(Path::new(wanted))?;
        let name = wanted.to_string();
        return Ok(Arc::new(move |p| Ok(Box::new(Tgnn::from_bytes(&name, &bytes, p)?))));
    }
    let names: Vec<_> = MODELS.iter().map(|(name, ..)| *name).collect();
    let names = names.join(", ");
    Err(Failure::config(format!("model: found {wanted}, expected {names} or a file ending in .safetensors")))
}

pub(crate) fn ask(settings: &Settings, listed: Listed) -> Result<Ask, Failure> {
    let mut keys = Keys::of(&settings.set, listed);
    let listed = |key: &Key| listed.iter().any(|listed| listed.name == key.name);
    let town = is_town(settings)?.then(|| sims::town(&mut keys));
    if town.is_some() {
        settings.refuse(&["format", "columns", "follow"], "a simulation has no files")?;
    } else {
        keys.refuse(&[&sims::PEOPLE, &sims::DAYS, &sims::SEED], "--input sim:town beside it");
    }
    let parameters = parameters(&mut keys, town.map(Town::parameters));
    let window = rows::window(&mut keys, &WINDOW);
    let key = rows::hash_ids(&mut keys);
    let (mut lateness, mut times) = (None, Pace::default());
    let mut changes = false;
    let mut because = 10;
    let (mut roll, mut every) = (Roll::default(), Duration::default());
    if listed(&EMIT) {
        changes = keys.take(&EMIT, |emit: &String| emit == "all" || emit == "changes") == "changes";
        roll = output::roll(&mut keys, settings);
        every = durable::seconds(&mut keys, settings);
        (lateness, times) = rows::times(&mut keys, settings, window, (&rows::TESTS_LATENESS, "tests"));
        because = keys.take(&BECAUSE, |n| (0..=1000).contains(n));
    }
    let time_unit = input::time_unit(&mut keys);
    keys.done()?;
    let as_of = rows::as_of(settings);
    let make = model(settings)?;
    make(parameters)?;
    let files = FilesOptions {
        contacts: settings.contacts.clone(),
        tests: settings.tests.clone(),
        format: settings.format.as_deref().map(TableFormat::by_name).transpose()?,
        tables: TableOptions { columns: contacts::column_names(settings.columns.clone())?, time_unit },
        follow: settings.follow,
        on_error: input::on_error(settings),
        notices: Notices::default(),
    };
    let pace = rows::pace(settings, changes.then_some(as_of), times);
    Ok(Ask { make, parameters, town, as_of, window, lateness, changes, because, files, pace, key, roll, every })
}

impl Ask {
    /// The key that hides ids.
    pub(crate) fn key(&self) -> Result<Option<IdKey>, Failure> {
        rows::id_key(self.key.as_deref())
    }

    /// The rows, and the names behind them.
    pub(crate) fn open(
        &self,
        stop: &Arc<AtomicBool>,
        notices: &Notices,
        rejected: &Arc<Rejected>,
    ) -> Result<Merge, Failure> {
        let key = self.key()?;
        if let Some(town) = self.town {
            let feeds: Vec<Box<dyn Feed<Fact>>> = vec![Box::new(TownFeed::new(town))];
            return Ok(Merge::new("sim:town".into(), feeds, Ids::new(key), self.pace, false, Arc::clone(stop)));
        }
        let files = FilesOptions { notices: notices.clone(), ..self.files.clone() };
        Ok(contacts::source(&files, key, self.pace, stop, rejected)?)
    }
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    output::destination(settings)?;
    if settings.contacts.is_empty() && settings.tests.is_empty() && settings.input.is_empty() {
        let expected = "expected a file of contacts, of --tests, or both";
        return Err(Failure::Usage(format!("--contacts: found none, {expected}")));
    }
    let ask = ask(settings, KEYS)?;
    let rejected = Arc::new(Rejected::beside(settings.output.as_deref().unwrap_or_default()));
    let source = if context.follows() {
        contacts::source(&FilesOptions::default(), None, ask.pace, &context.drain, &rejected)?
    } else {
        ask.open(&context.drain, &context.notices, &rejected)?
    };
    let names = source.names();
    let called = source.name();
    let model = settings.model.as_deref().unwrap_or(MODELS[0].0);
    let durable = Durable::open(settings, context, ask.every, "risk", Some(model))?;
    if !ask.changes {
        durable.is_final(settings)?;
        if settings.follow && ask.window.is_none() && !context.follows() {
            let text = rows::at_the_end(settings);
            context.notices.warn(Path::new(output::destination(settings)?), text);
        }
    }
    let (source, done) = (durable.rows(source, settings.follow && !ask.changes)?, durable.done());
    let sink = if ask.changes {
        durable.table(settings, risk_changes_schema(), risk_changes_batches, ask.roll)?
    } else {
        durable.table(settings, risk_schema(), risk_batches, ask.roll)?
    };
    if done {
        return Ok(Report::default());
    }
    let source = Counted::new(source, &context.written);
    let options = ScoringOptions {
        window: ask.window,
        lateness: ask.lateness,
        changes: ask.changes,
        follow: ask.files.follow,
        threads: settings.workers,
        because: ask.because,
        stop: Stop::when(Arc::clone(&context.drain)).with_grace(rows::GRACE),
        ..ScoringOptions::new(ask.as_of, names)
    };
    let fits = options.fits.clone();
    // The source itself stops when asked to: what it has read is scored before the run ends.
    let pipeline = Pipeline::from_source(source).workers(settings.workers).cluster(context.cluster.clone());
    let stats = pipeline.stats();
    (context.watch)(Arc::clone(&stats));
    let used = rows_used(&stats, context, &rejected, settings.as_of.filter(|_| !settings.follow));
    let sink = WithRejected::new(Careful::new(sink, called, &context.written, used), Arc::clone(&rejected));
    let (make, parameters) = (Arc::clone(&ask.make), ask.parameters);
    let mut report = pipeline.run(|rows| rows.risk(options, move || make(parameters)), sink)?;
    note_rejected(&mut report, &rejected);
    summarise(&mut report, &fits);
    Ok(report)
}

/// Counts in the pipeline's own words, and warns of what the model had to say.
fn summarise(report: &mut Report, fits: &Fits) {
    // A frame of this pipeline is an as-of time, a node a person there, an edge a contact.
    let Fitted { fits: count, people, contacts, .. } = fits.sums();
    (report.frames, report.nodes, report.edges) = (count, people, contacts);
    let fits = fits.last();
    if !fits.is_empty() {
        report.extra.insert("fits".into(), json!(fits));
    }
    for fit in fits.iter().filter(|fit| fit.contradictions > 0) {
        let people = fit.contradictions;
        report.warnings.push(format!("as of {}: no history explains the tests of {people} people", fit.as_of));
    }
    for fit in fits.iter().filter(|fit| !fit.converged) {
        let why =
            if fit.stuck { ": its messages swing, as they do where rates are too high for the contacts" } else { "" };
        report.warnings.push(format!(
            "as of {}: the model had not come to rest after {} rounds{why}; its last step changed a message by {:.1e}",
            fit.as_of, fit.rounds, fit.change
        ));
    }
}
