//! The program `thalweg`: commands, signals and exit codes; everything else is in the library.

mod cli;
mod progress;

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ArgMatches;
use indicatif::ProgressBar;
use serde_json::json;
use thalweg::Report;
use thalweg::knn::Simd;
use thalweg::report::{Dropped, Stats};
use thalweg_connectors::Notices;
use thalweg_connectors::out::checkpoint;
use thalweg_pipelines::keys::Keys;
use thalweg_pipelines::pipeline::{Context, Measured, Ready};
use thalweg_pipelines::secret::Secret;
use thalweg_pipelines::serve::Counters;
use thalweg_pipelines::serve::apart::{self, Telling, Told};
use thalweg_pipelines::supervise::Launch;
use thalweg_pipelines::written::Written;
use thalweg_pipelines::{
    Failure, Settings, draw, finish, list, logs, processes, registry, serve, supervise, supervised,
};
use tracing::info_span;

/// Frames come and go by tens of megabytes: an allocator that keeps such blocks spares the page faults of mapping them anew.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Tests make the program die at points that they choose.
    let _points = fail::has_failpoints().then(fail::FailScenario::setup);
    thalweg_connectors::quiet_decoder_panics();
    thalweg::cluster::quiet_network_panics();
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let code = cli::code(&error);
            // Where the terminal has gone there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match dispatch(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        // The supervisor says what it sees of its processes.
        Err(failure @ Failure::Lost(_)) if supervised::supervised() => ExitCode::from(failure.code()),
        Err(failure) => {
            match apart::member() {
                // The service says what it is told.
                Some(_) => Told::Failed(failure.to_string()).say(),
                None => failure.to_string().lines().for_each(|line| eprintln!("thalweg: {line}")),
            }
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else { return say(cli::program_help().trim_end()) };
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    match name {
        "run" | "eval" if matches.get_flag("help") => say(cli::verb_help(name, text("pipeline"))?.trim_end()),
        "run" => run(cli::settings(matches)?),
        "eval" => evaluate(cli::settings(matches)?),
        "list" if text("what").is_some() => list::layers().iter().try_for_each(|line| say(line)),
        "list" => list::lines().iter().try_for_each(|line| say(line)),
        "inspect" => inspect(Path::new(text("path").unwrap_or_default()), matches.get_flag("json")),
        "read" => read(Path::new(text("path").unwrap_or_default()), Path::new(text("output").unwrap_or_default())),
        "checkpoints" => checkpoints(Path::new(text("path").unwrap_or_default()), matches.get_flag("json")),
        "draw" => draw::draw(
            Path::new(text("path").unwrap_or_default()),
            text("labels").map(Path::new),
            Path::new(text("output").unwrap_or_default()),
        ),
        "simulate" => simulate(matches, text("output").unwrap_or_default()),
        "serve" => serve::run(text("config").unwrap_or_default(), signals()?),
        "top" => top(matches),
        "validate" => validate(text("config").unwrap_or_default()),
        _ => match text("command") {
            Some(command) => say(cli::verb_help(command, text("pipeline"))?.trim_end()),
            None => say(cli::program_help().trim_end()),
        },
    }
}

/// Prints on stdout; a reader that has gone ends the program quietly.
fn say(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").map_err(|error| Failure::run(format!("stdout: {error}")))
}

fn warn(text: &str) {
    if apart::member().is_some() { tracing::warn!("{text}") } else { eprintln!("thalweg: warning: {text}") }
}

fn chosen(settings: &Settings) -> Result<&'static Ready, Failure> {
    let expected = || Failure::Usage("pipeline: found none, expected one; `thalweg list` has them".into());
    registry::by_name(settings.pipeline.as_deref().ok_or_else(expected)?)
}

fn run(settings: Settings) -> Result<(), Failure> {
    let ready = chosen(&settings)?;
    if supervise::wanted(&settings) {
        return supervised(&settings, ready);
    }
    supervised::watch_supervisor();
    let member = apart::member();
    logs::begin(if member.is_some() { logs::of_service(&settings) } else { logs::usual(&settings) })?;
    let _in = member.map(|name| info_span!("pipeline", %name).entered());
    let tables = [&settings.contacts, &settings.tests, &settings.edges, &settings.nodes];
    let unit = if tables.iter().all(|paths| paths.is_empty()) { "frames" } else { "rows" };
    let (mut context, progress) = context(unit, settings.follow)?;
    context.cluster = processes::cluster(&settings)?;
    if context.follows() {
        // The leader says what there is to say.
        context.notices = Notices::default();
    }
    logs::started(ready.name, &settings);
    let report = ready.run.with(&format!("run {}", ready.name), &settings, &context);
    progress.finish_and_clear();
    let mut report = report?;
    if context.follows() {
        return Ok(());
    }
    finish::complete(&mut report, &context.notices);
    logs::ended(&report, &context.written, context.drain.load(Ordering::Relaxed));
    tell(&report);
    if settings.json {
        let mut object = json!(report);
        object["pipeline"] = json!(ready.name);
        object["dense_path"] = json!(thalweg::layers::dense_path());
        say(&object.to_string())?;
    } else if std::io::stderr().is_terminal() {
        let output = settings.output.as_deref().unwrap_or_default();
        eprintln!("{}", progress::summary(&report, &context.written.counts(), output));
    }
    Ok(())
}

/// Runs a pipeline in several processes of this machine.
fn supervised(settings: &Settings, ready: &Ready) -> Result<(), Failure> {
    let problems = ready.problems(settings);
    if !problems.is_empty() {
        return Err(Failure::Config(problems));
    }
    let stop = signals()?;
    match supervise::supervise(&Launch::again(settings), settings, &stop, |seen| warn(&seen.to_string()))? {
        0 => Ok(()),
        code => std::process::exit(i32::from(code)),
    }
}

/// Says on stderr what a run warns of and what it left out.
fn tell(report: &Report) {
    report.warnings.iter().for_each(|warning| warn(warning));
    for (reason, count) in &report.dropped {
        let first = report.first_dropped.get(reason).cloned().unwrap_or_default();
        match apart::member() {
            Some(_) => tracing::warn!(%reason, count, first, "dropped"),
            None => eprintln!("thalweg: dropped {}", finish::line(reason, &Dropped { count: *count, first })),
        }
    }
}

fn evaluate(settings: Settings) -> Result<(), Failure> {
    let ready = chosen(&settings)?;
    let Some(eval) = &ready.eval else { return Err(cli::no_such("eval")) };
    let (context, progress) = context("frames", false)?;
    let measured = eval.with(&format!("eval {}", ready.name), &settings, &context);
    progress.finish_and_clear();
    let Measured { json, text, report } = measured?;
    tell(&report);
    say(if settings.json { json.to_string() } else { text }.trim_end())
}

fn inspect(path: &Path, json: bool) -> Result<(), Failure> {
    if let Err(error) = std::fs::metadata(path) {
        return Err(Failure::run(format!("{}: {error}", path.display())));
    }
    let report = thalweg_connectors::inspect(path);
    say(&if json { json!(report).to_string() } else { report.to_string().trim_end().to_string() })
}

/// The rows of a folder of segments as one file.
fn read(folder: &Path, output: &Path) -> Result<(), Failure> {
    // What stands in the folder is what is read, whatever its name.
    if output
        .parent()
        .and_then(|parent| parent.canonicalize().ok())
        .is_some_and(|at| folder.canonicalize().is_ok_and(|own| at == own))
    {
        let found = format!("{}, which lies in the folder that is read", output.display());
        return Err(Failure::config(format!("output: found {found}, expected a place of its own")));
    }
    let rows = thalweg_connectors::out::read::rows(folder, output)?;
    if std::io::stderr().is_terminal() {
        eprintln!("{rows} rows: {}", output.display());
    }
    Ok(())
}

/// The checkpoints of a folder, a line each; it is an error in the end if the newest is not whole, or there is none.
fn checkpoints(folder: &Path, json: bool) -> Result<(), Failure> {
    let listed = checkpoint::list(folder)?;
    let mut objects = Vec::new();
    for (path, read) in &listed {
        let (line, object) = match read {
            Ok(read) => {
                let state = if read.complete { "complete" } else { "to go on" };
                let line = format!(
                    "{}: {} rows in {} segments, {} read ({}), {state}",
                    path.display(),
                    read.rows,
                    read.segments,
                    read.position.items,
                    read.position
                );
                (line, json!(read))
            }
            Err(error) => (format!("{error}"), json!({"path": path, "error": error.to_string()})),
        };
        if json { objects.push(object) } else { say(&line)? }
    }
    if json {
        say(&json!(objects).to_string())?;
    }
    match listed.into_iter().next_back() {
        Some((_, Err(error))) => Err(error.into()),
        Some(_) => Ok(()),
        None => Err(Failure::run(format!("{}: found no checkpoint, expected one or more", folder.display()))),
    }
}

fn simulate(matches: &ArgMatches, output: &str) -> Result<(), Failure> {
    let simulation = cli::simulation(matches)?;
    let set = cli::pairs(matches)?;
    let set = set.into_iter().map(|(key, value)| (key, value.as_str().unwrap_or_default().to_string())).collect();
    let mut keys = Keys::of(&set, simulation.keys);
    let write = (simulation.writer)(&mut keys);
    keys.done()?;
    write(Path::new(output))
}

/// The figures of a running service; again and again, unless it is to be once.
fn top(matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let url = text("url").unwrap_or(serve::top::URL);
    let file = text("secret-file").map(|path| Secret::in_file("secret_file", path));
    let secret = file.or(text("secret-env").map(|name| Secret::in_variable("secret_env", name)));
    let secret = secret.map(|secret| secret.text()).transpose()?;
    loop {
        let table = serve::top::table(&serve::top::fetch(url, secret.as_deref())?);
        if matches.get_flag("once") {
            return say(table.trim_end());
        }
        // A terminal shows the newest table alone.
        let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[J" } else { "" };
        say(&format!("{clear}{table}"))?;
        std::thread::sleep(serve::top::EVERY);
    }
}

fn validate(config: &str) -> Result<(), Failure> {
    let table = Settings::table(config.as_ref())?;
    if serve::config::is_service(&table) {
        return serve::config::check(config, &table).map(drop);
    }
    let (settings, mut problems) = Settings::examine(config, &table);
    match settings.pipeline.as_deref().map(registry::by_name) {
        Some(Ok(ready)) => problems.extend(ready.problems(&settings)),
        Some(Err(failure)) => problems.push(failure.to_string()),
        None => {}
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::Config(problems)) }
}

/// What is set by the first SIGINT or SIGTERM; the second stops the program at once.
fn signals() -> Result<Arc<AtomicBool>, Failure> {
    Simd::wanted().map_err(|error| Failure::config(error.to_string()))?;
    let drain = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let failed = |error| Failure::run(format!("signal {signal}: {error}"));
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&drain)).map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&drain)).map_err(failed)?;
    }
    Ok(drain)
}

/// Signals and progress of a run.
fn context(unit: &'static str, follow: bool) -> Result<(Context, ProgressBar), Failure> {
    let drain = signals()?;
    let (bar, written) = (progress::bar(), Arc::new(Written::default()));
    let span = tracing::Span::current();
    let notices = Notices::spoken(move |text| span.in_scope(|| warn(text)));
    let (shown, counted, noted) = (bar.clone(), Arc::clone(&written), notices.clone());
    let (said, told) = (RefCell::new(None), RefCell::new(None));
    let watch = Box::new(move |stats: Arc<Stats>| {
        progress::watch(&shown, Arc::clone(&stats), Arc::clone(&counted), unit, follow);
        if apart::member().is_some() {
            let (stats, written, notices) = (Arc::clone(&stats), Arc::clone(&counted), noted.clone());
            *told.borrow_mut() = Telling::begin(Counters { stats, written, notices }).ok();
        }
        // Without a thread for them there are no such lines.
        *said.borrow_mut() = logs::Watch::begin(stats, Arc::clone(&counted), noted.clone(), follow).ok();
    });
    Ok((Context { drain, notices, written, cluster: None, watch }, bar))
}
