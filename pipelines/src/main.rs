//! The program `thalweg`: arguments, signals, progress and exit codes; everything else is in the library.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use thalweg::knn::Simd;
use thalweg::report::Stats;
use thalweg_pipelines::input::Drive;
use thalweg_pipelines::pipeline::{self, Context};
use thalweg_pipelines::settings::Keys;
use thalweg_pipelines::{Failure, Settings, eval, models};
use toml::{Table, Value};

/// Streaming geometric deep learning: exact graphs over spatial streams, and graph networks as dataflow stages.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a pipeline: segment, knn or risk
    Run {
        /// The pipeline; may stand in --config instead
        pipeline: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Metrics of a pipeline against the labels found beside the input
    Eval {
        /// The pipeline: segment or risk
        pipeline: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// List pipelines, connectors and models
    List,
    /// Say what a file or folder is: format, frames, points, fields, extent, problems
    Inspect {
        /// The file or folder
        path: PathBuf,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write a built-in simulation's input and truth: street or town
    Simulate {
        /// The simulation
        simulation: String,
        /// The folder to write
        #[arg(long)]
        output: String,
        /// key=value: frames, seed; people, days, seed
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Check a configuration file, naming every problem
    Validate {
        /// The TOML file
        config: PathBuf,
    },
}

#[derive(Args)]
struct Options {
    /// Files, folders or URIs (sim:street, sim:town)
    #[arg(long, num_args = 1.., value_name = "PATH|URI")]
    input: Vec<String>,
    /// One file (.parquet, .arrow, .csv, .jsonl), or a folder of segments (a name ending in /)
    #[arg(long)]
    output: Option<String>,
    /// table, label (SemanticKITTI) or las
    #[arg(long)]
    output_format: Option<String>,
    /// A TOML file in which all of these may stand; options win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The input's format, else guessed from the path
    #[arg(long)]
    format: Option<String>,
    /// driving, airborne, or FILE.safetensors; for risk: bp, mean-field or tracing
    #[arg(long)]
    model: Option<String>,
    /// Labels for eval, where they are not beside the input: for risk a table person,state
    #[arg(long, value_name = "FILE")]
    truth: Option<String>,
    /// Worker threads; the output does not depend on them
    #[arg(long, allow_hyphen_values = true, value_name = "N")]
    workers: Option<String>,
    /// One JSON object on stdout when the run ends
    #[arg(long)]
    json: bool,
    /// Replay speed: 1 as recorded, 0 as fast as possible
    #[arg(long, allow_hyphen_values = true, value_name = "X")]
    rate: Option<String>,
    /// Go on as files or folders grow
    #[arg(long)]
    follow: bool,
    /// Begin again at the end, for ever
    #[arg(long = "loop")]
    looped: bool,
    /// Position of the first frame to read
    #[arg(long, allow_hyphen_values = true, value_name = "N")]
    start_offset: Option<String>,
    /// Position of the first frame not to read any more
    #[arg(long, allow_hyphen_values = true, value_name = "N")]
    until: Option<String>,
    /// Contacts: tables with columns t, i, j and where there duration, diff
    #[arg(long, num_args = 1.., value_name = "FILE")]
    contacts: Vec<String>,
    /// Tests: tables with columns t, person, result and where there diff
    #[arg(long, num_args = 1.., value_name = "FILE")]
    tests: Vec<String>,
    /// The time to give the risk at: seconds, an RFC 3339 time or a date; else that of the last record
    #[arg(long, allow_hyphen_values = true, value_name = "T")]
    as_of: Option<String>,
    /// Give the risk at each multiple of so many seconds
    #[arg(long, allow_hyphen_values = true, value_name = "SECONDS")]
    every: Option<String>,
    /// What tables call their columns: t=time,i=from,j=to
    #[arg(long, value_name = "NAME=HEADER,...")]
    columns: Option<String>,
    /// A key of the pipeline's own, repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Options {
    /// Options over the configuration file, checked together.
    fn settings(self, pipeline: Option<String>) -> Result<Settings, Failure> {
        let (mut table, place) = match &self.config {
            Some(path) => (Settings::table(path)?, path.display().to_string()),
            None => (Table::new(), "options".to_string()),
        };
        let texts = [
            ("pipeline", pipeline),
            ("output", self.output),
            ("output_format", self.output_format),
            ("format", self.format),
            ("model", self.model),
            ("truth", self.truth),
            ("workers", self.workers),
            ("rate", self.rate),
            ("start_offset", self.start_offset),
            ("until", self.until),
            ("as_of", self.as_of),
            ("every", self.every),
            ("columns", self.columns),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                table.remove(&key.replace('_', "-"));
                table.insert(key.into(), Value::String(value));
            }
        }
        for (key, on) in [("json", self.json), ("follow", self.follow), ("loop", self.looped)] {
            if on {
                table.insert(key.into(), Value::Boolean(true));
            }
        }
        for (key, values) in [("input", self.input), ("contacts", self.contacts), ("tests", self.tests)] {
            if !values.is_empty() {
                table.insert(key.into(), Value::Array(values.into_iter().map(Value::String).collect()));
            }
        }
        let set = pairs(&self.set)?;
        if !set.is_empty() {
            let entry = table.entry("set").or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(own) = entry {
                own.extend(set);
            }
        }
        Settings::check(&place, &table)
    }
}

fn pairs(set: &[String]) -> Result<Table, Failure> {
    set.iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_string(), Value::String(value.to_string()))),
            _ => Err(Failure::config(format!("--set: found {pair}, expected KEY=VALUE"))),
        })
        .collect()
}

fn main() -> ExitCode {
    thalweg_connectors::quiet_decoder_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
                ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8 => 78,
                _ => 2,
            };
            // Where the terminal has gone there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.to_string().lines().for_each(|line| eprintln!("thalweg: {line}"));
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run { pipeline, options } => run(options.settings(pipeline)?),
        Command::Eval { pipeline, options } => evaluate(options.settings(pipeline)?),
        Command::List => list(),
        Command::Inspect { path, json } => inspect(&path, json),
        Command::Simulate { simulation, output, set } => simulate(&simulation, &output, &set),
        Command::Validate { config } => validate(&config),
    }
}

/// Prints a line on stdout; a reader that has gone ends the program quietly.
fn say(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failure::run(format!("stdout: {error}")))
}

fn chosen(settings: &Settings) -> Result<&'static pipeline::Ready, Failure> {
    let expected = || Failure::Usage("pipeline: found none, expected one; `thalweg list` has them".into());
    pipeline::by_name(settings.pipeline.as_deref().ok_or_else(expected)?)
}

fn run(settings: Settings) -> Result<(), Failure> {
    let ready = chosen(&settings)?;
    let (context, progress) = context()?;
    let report = (ready.run)(&settings, &context);
    progress.finish_and_clear();
    let report = report?;
    if settings.json {
        let mut object = json!(report);
        object["pipeline"] = json!(ready.name);
        object["dense_path"] = json!(thalweg::layers::dense_path());
        say(&object.to_string())?;
    } else if std::io::stderr().is_terminal() {
        let total = report.latency.get("total").copied().unwrap_or_default();
        eprintln!(
            "{} frames, {} nodes, {} edges in {:.1} s; a frame {:.0} ms (p99 {:.0})",
            report.frames, report.nodes, report.edges, report.seconds, total.p50, total.p99
        );
        report.dropped.iter().for_each(|(reason, count)| eprintln!("dropped {count}: {reason}"));
    }
    Ok(())
}

fn evaluate(settings: Settings) -> Result<(), Failure> {
    let ready = chosen(&settings)?;
    let (context, progress) = context()?;
    let scores = match ready.name {
        "segment" => eval::segment(&settings, &context).map(|scores| (json!(scores), scores.to_string())),
        "risk" => eval::risk::risk(&settings, &context).map(|scores| (json!(scores), scores.to_string())),
        other => Err(Failure::Usage(format!("eval: found {other}, expected segment or risk"))),
    };
    progress.finish_and_clear();
    let (json, text) = scores?;
    say(&if settings.json { json.to_string() } else { text })
}

fn list() -> Result<(), Failure> {
    for ready in &pipeline::READY {
        say(&format!("pipeline   {:10} {}", ready.name, ready.what))?;
    }
    for format in thalweg_connectors::FORMATS {
        let endings: Vec<_> = format.extensions.iter().map(|e| format!(".{e}")).collect();
        say(&format!("connector  {:10} {} ({})", format.name, format.what, endings.join(" ")))?;
    }
    say(
        "connector  kitti      a KITTI odometry sequence folder (velodyne/, poses.txt, calib.txt, times.txt, labels/)",
    )?;
    say("connector  sim:street the built-in simulated drive of a 64-beam sensor")?;
    say("connector  contacts   tables of contacts and tests, gzipped or not (.csv .tsv .jsonl .ndjson .parquet)")?;
    say("connector  sim:town   the built-in simulated town: contacts, tests, an outbreak")?;
    for (name, what, _) in &models::SHIPPED {
        say(&format!("model      {name:10} {what}"))?;
    }
    for (name, what, _) in &thalweg_pipelines::risk::MODELS {
        say(&format!("model      {name:10} {what}"))?;
    }
    Ok(())
}

fn inspect(path: &std::path::Path, json: bool) -> Result<(), Failure> {
    if let Err(error) = std::fs::metadata(path) {
        return Err(Failure::run(format!("{}: {error}", path.display())));
    }
    let report = thalweg_connectors::inspect(path);
    say(&if json { json!(report).to_string() } else { report.to_string().trim_end().to_string() })
}

fn simulate(simulation: &str, output: &str, set: &[String]) -> Result<(), Failure> {
    let table = pairs(set)?;
    let set = table.into_iter().map(|(k, v)| (k, v.as_str().unwrap_or_default().to_string())).collect();
    let mut keys = Keys::of(&set);
    match simulation {
        "street" => {
            let drive = Drive::take(&mut keys);
            keys.done()?;
            thalweg_connectors::sim::street::write_kitti(output.as_ref(), drive.frames, drive.seed)
                .map_err(|error| Failure::run(format!("{output}: {error}")))
        }
        "town" => {
            let town = thalweg_pipelines::risk::town(&mut keys);
            keys.done()?;
            Ok(thalweg_connectors::sim::town::write(output.as_ref(), town)?)
        }
        _ => Err(Failure::Usage(format!("simulation: found {simulation}, expected street or town"))),
    }
}

fn validate(config: &std::path::Path) -> Result<(), Failure> {
    let settings = Settings::check(&config.display().to_string(), &Settings::table(config)?)?;
    let Some(name) = &settings.pipeline else { return Ok(()) };
    let ready = pipeline::by_name(name).map_err(Failure::config)?;
    (ready.check)(&settings)
}

/// Signals and progress of a run. The first SIGINT or SIGTERM drains, the second stops at once.
fn context() -> Result<(Context, ProgressBar), Failure> {
    Simd::wanted().map_err(|error| Failure::config(error.to_string()))?;
    let drain = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let failed = |error| Failure::run(format!("signal {signal}: {error}"));
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&drain)).map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&drain)).map_err(failed)?;
    }
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    let watch = move |stats: Arc<Stats>| {
        if shown.is_hidden() {
            return;
        }
        let bar = shown.clone();
        std::thread::spawn(move || {
            while !bar.is_finished() {
                let report = stats.report(0.0);
                let rate = report.frames as f64 / bar.elapsed().as_secs_f64().max(1e-3);
                bar.set_message(format!("{} frames, {rate:.1} a second", report.frames));
                bar.tick();
                std::thread::sleep(Duration::from_millis(200));
            }
        });
    };
    let warn = |warning: &str| eprintln!("thalweg: warning: {warning}");
    Ok((Context { drain, watch: Box::new(watch), warn }, bar))
}
