//! `risk`: contacts and tests in, everybody's probability of being infected out.

use std::path::Path;
use std::sync::Arc;

use thalweg::contacts::{
    AsOf, Bp, FactRows, MeanField, Names, Parameters, Prior, RiskModel, Scores, ScoringOptions, Stop, Tgnn, Tracing,
};
use thalweg::{Pipeline, Report, Sink, Source};
use thalweg_connectors::contacts::{
    self, Columns, Feed, FilesOptions, Key, Merge, Pace, People, Rejected, TableFormat, WithRejected,
};
use thalweg_connectors::out::batches::{risk_batches, risk_changes_batches, risk_changes_schema, risk_schema};
use thalweg_connectors::out::segments::Roll;
use thalweg_connectors::sim::town::{Town, TownFeed};

use crate::pipeline::{Context, Ready};
use crate::settings::Keys;
use crate::{Failure, Settings, models, output};

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "risk",
    what: "everybody's probability of being infected, from contacts and tests",
    check: |settings| ask(settings).map(drop),
    run,
};

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
    pub changes: bool,
    pub files: FilesOptions,
    pub pace: Pace,
    key: Option<String>,
    roll: Roll,
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

/// Takes the size of a town.
pub fn town(keys: &mut Keys<'_>) -> Town {
    Town {
        people: keys.take("people", 1000, "a number of people, 2 to 1000000", |n| (2..=1_000_000).contains(n)),
        days: keys.take("days", 14, "a number of days, 1 to 1000", |n| (1..=1000).contains(n)),
        seed: keys.take("seed", 1, "a whole number, 0 or more", |_| true),
    }
}

/// Reads the parameters of the spread from `keys`, over `default`.
pub(crate) fn parameters(keys: &mut Keys<'_>, default: Parameters) -> Parameters {
    let rate = "a rate per second, 0 or more";
    let probability = "a probability, 0 to 1";
    let positive = |x: &f64| x.is_finite() && *x >= 0.0;
    let share = |x: &f64| (0.0..=1.0).contains(x);
    let usual = match default.prior {
        Prior::Seeds(seeds) => seeds,
        Prior::Each(_) => 1.0,
    };
    let seeds = keys.take("seeds", usual, "a number of people, 0 or more", positive);
    let each = keys.take("prior", f64::NAN, probability, share);
    Parameters {
        rate: keys.take("rate", default.rate, rate, positive),
        latency: keys.take("latency", default.latency, rate, positive),
        recovery: keys.take("recovery", default.recovery, rate, positive),
        false_negative: keys.take("false_negative", default.false_negative, probability, share),
        false_positive: keys.take("false_positive", default.false_positive, probability, share),
        ascertainment: keys.take("ascertainment", default.ascertainment, probability, share),
        prior: if each.is_nan() { Prior::Seeds(seeds) } else { Prior::Each(each) },
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

pub(crate) fn ask(settings: &Settings) -> Result<Ask, Failure> {
    let mut keys = Keys::of(&settings.set);
    let town = is_town(settings)?.then(|| town(&mut keys));
    let parameters = parameters(&mut keys, town.map_or_else(Parameters::default, Town::parameters));
    let window = keys.take("window", 0.0, "seconds, more than 0", |s: &f64| *s > 0.0 && *s <= 9e9);
    let emit = keys.take("emit", "all".to_string(), "all or changes", |emit| emit == "all" || emit == "changes");
    let key = keys.take("hash_ids", String::new(), "the path of a key's file", |path| !path.is_empty());
    let roll = output::roll(&mut keys);
    keys.done()?;
    let unfit = [
        (settings.output_format.is_some(), "output_format: found label or las, expected table: risk writes no points"),
        (settings.looped, "loop: found true, expected false: contacts do not begin again"),
    ];
    if let Some((_, problem)) = unfit.iter().find(|(unfit, _)| *unfit) {
        return Err(Failure::config(problem));
    }
    let as_of = match (settings.as_of, settings.every) {
        (Some(t), _) => AsOf::At(t),
        (None, Some(step)) => AsOf::Every(step),
        (None, None) => AsOf::Last,
    };
    let changes = emit == "changes";
    let make = model(settings)?;
    make(parameters)?;
    let files = FilesOptions {
        contacts: settings.contacts.clone(),
        tests: settings.tests.clone(),
        format: settings.format.as_deref().map(TableFormat::by_name).transpose()?,
        columns: Columns::new(settings.columns.clone())?,
        follow: settings.follow,
    };
    let pace = Pace {
        revisions: changes.then_some(as_of),
        rate: settings.rate,
        start_offset: settings.start_offset,
        until: settings.until,
    };
    let window = settings.set.contains_key("window").then_some((window * 1e9).round() as i64);
    let key = Some(key).filter(|path| !path.is_empty());
    Ok(Ask { make, parameters, town, as_of, window, changes, files, pace, key, roll })
}

impl Ask {
    /// The key that hides ids.
    pub(crate) fn key(&self) -> Result<Option<Key>, Failure> {
        Ok(self.key.as_deref().map(|path| Key::load(Path::new(path))).transpose()?)
    }

    /// The rows, and the names behind them.
    pub(crate) fn open(
        &self,
        settings: &Settings,
        context: &Context,
        rejected: &Arc<Rejected>,
    ) -> Result<(Box<dyn Source<Item = FactRows>>, Names), Failure> {
        let key = self.key()?;
        let stop = Arc::clone(&context.drain);
        if let Some(town) = self.town {
            let feeds: Vec<Box<dyn Feed>> = vec![Box::new(TownFeed::new(town))];
            let source = Merge::new("sim:town".into(), feeds, People::new(key), self.pace, false, stop);
            let names = source.names();
            return Ok((Box::new(source), names));
        }
        if settings.contacts.is_empty() && settings.tests.is_empty() {
            return Err(Failure::Usage(
                "--contacts: found none, expected a file of contacts, of --tests, or both".into(),
            ));
        }
        let source = contacts::source(&self.files, key, self.pace, &stop, rejected)?;
        let names = source.names();
        Ok((Box::new(source), names))
    }
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    let ask = ask(settings)?;
    let rejected = Arc::new(Rejected::beside(settings.output.as_deref().unwrap_or_default()));
    let (source, names) = ask.open(settings, context, &rejected)?;
    let sink = if ask.changes {
        output::table(settings, risk_changes_schema(), risk_changes_batches, ask.roll)?
    } else {
        output::table(settings, risk_schema(), risk_batches, ask.roll)?
    };
    score(&ask, settings.workers, source, names, WithRejected::new(sink, Arc::clone(&rejected)), &rejected, context)
}

/// Runs the rows through differential to the model and into `sink`.
pub(crate) fn score(
    ask: &Ask,
    workers: usize,
    source: Box<dyn Source<Item = FactRows>>,
    names: Names,
    sink: impl Sink<Scores> + 'static,
    rejected: &Rejected,
    context: &Context,
) -> Result<Report, Failure> {
    let options = ScoringOptions {
        window: ask.window,
        changes: ask.changes,
        follow: ask.files.follow,
        threads: workers,
        stop: Stop::when(Arc::clone(&context.drain)),
        ..ScoringOptions::new(ask.as_of, names)
    };
    // The source itself stops when asked to: what it has read is scored before the run ends.
    let pipeline = Pipeline::from_source(source).workers(workers);
    (context.watch)(pipeline.stats());
    let (make, parameters) = (Arc::clone(&ask.make), ask.parameters);
    let mut report = pipeline.run(|rows| rows.risk(options, move || make(parameters)), sink)?;
    if rejected.count() > 0 {
        report.dropped.insert("malformed".into(), rejected.count());
    }
    // An input without a row is no frame, and takes no time.
    report.latency.entry("total".into()).or_default();
    // A frame of this pipeline is an as-of time, a node a person there, an edge a contact.
    (report.frames, report.nodes, report.edges) = (report.fitted.fits, report.fitted.people, report.fitted.contacts);
    for fit in report.fits.iter().filter(|fit| fit.contradictions > 0) {
        let people = fit.contradictions;
        (context.warn)(&format!("as of {}: no history explains the tests of {people} people", fit.as_of));
    }
    for fit in report.fits.iter().filter(|fit| !fit.converged) {
        (context.warn)(&format!(
            "as of {}: the model had not come to rest after {} rounds; its last step changed a message by {:.1e}",
            fit.as_of, fit.rounds, fit.change
        ));
    }
    Ok(report)
}
