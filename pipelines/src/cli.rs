//! The command line: `clap` commands made from the registries, so that help and checks cannot fall behind them.

use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use thalweg_pipelines::keys::Listed;
use thalweg_pipelines::options::{self, CliOption, OPTIONS, Takes};
use thalweg_pipelines::pipeline::Ready;
use thalweg_pipelines::registry::{self, READY};
use thalweg_pipelines::sims::{self, SIMS};
use thalweg_pipelines::{Failure, Settings, serve};
use toml::{Table, Value};

/// What a command uses of a pipeline: options, keys, an example.
type Uses = (Vec<&'static str>, Listed, &'static str);

/// A command of a pipeline: `run` or `eval`.
struct Verb {
    name: &'static str,
    about: &'static str,
    /// What it uses; nothing where the pipeline has no such command.
    uses: fn(&'static Ready) -> Option<Uses>,
}

const VERBS: [Verb; 2] = [
    Verb {
        name: "run",
        about: "Run a pipeline over an input",
        uses: |ready| Some((ready.run.used(), ready.run.keys, ready.run.example)),
    },
    Verb {
        name: "eval",
        about: "Measure a pipeline against the labels found beside the input",
        uses: |ready| ready.eval.as_ref().map(|eval| (eval.used(), eval.keys, eval.example)),
    },
];

/// The whole command line.
pub fn command() -> Command {
    let path = |name: &'static str, what: &'static str| Arg::new(name).required(true).value_name("PATH").help(what);
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("As one JSON object");
    let simulations: Vec<_> = SIMS.iter().map(|sim| sim.name).collect();
    let simulate = Command::new("simulate")
        .about("Write a built-in simulation's input and truth")
        .arg(Arg::new("simulation").required(true).help(simulations.join(" or ")))
        .arg(Arg::new("output").long("output").required(true).value_name("DIR").help("The folder to write"))
        .arg(argument(&SET))
        .after_help(
            SIMS.iter().fold(String::new(), |text, sim| text + &keys(&format!("Keys of {}", sim.name), sim.keys)),
        );
    let mut command = Command::new("thalweg")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Streaming geometric deep learning: exact graphs over spatial streams, and graph networks as dataflow stages")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .after_help(format!("{}\n`thalweg run <pipeline> --help` has a pipeline's own options and keys.", pipelines(&VERBS[0])));
    for verb in &VERBS {
        let pipeline = Arg::new("pipeline").help("The pipeline; it may stand in --config instead");
        let bare = Command::new(verb.name).about(verb.about).disable_help_flag(true).arg(pipeline).arg(help());
        command = command.subcommand(OPTIONS.iter().fold(bare, |command, option| command.arg(argument(option))));
    }
    command
        .subcommand(
            Command::new("list")
                .about("List pipelines, connectors and models, one line each; or the layers of `gnn`'s networks")
                .arg(Arg::new("what").value_parser(["layers"]).help("layers: those that a network may have")),
        )
        .subcommand(
            Command::new("inspect")
                .about("Say what a file or folder is: format, frames, points, fields, extent, problems")
                .arg(path("path", "The file or folder"))
                .arg(json()),
        )
        .subcommand(
            Command::new("read")
                .about("Write the published rows of a folder of segments to one file (.parquet, .arrow, .csv, .jsonl)")
                .arg(path("path", "The folder that a run wrote into"))
                .arg(Arg::new("output").long("output").required(true).value_name("FILE").help("The file to write")),
        )
        .subcommand(
            Command::new("checkpoints")
                .about("List the checkpoints in a folder, and what each of them stands for")
                .arg(path("path", "The folder that --checkpoint named"))
                .arg(json()),
        )
        .subcommand(
            Command::new("draw")
                .about("Draw the first frame of an input: points from above, a molecule, or a pose over its points")
                .arg(path("path", "The file or folder"))
                .arg(
                    Arg::new("labels")
                        .value_name("LABELS")
                        .help("Labels of the points, or joints as `run pose` writes them"),
                )
                .arg(Arg::new("output").long("output").required(true).value_name("FILE.png").help("The picture")),
        )
        .subcommand(simulate)
        .subcommand(
            Command::new("serve")
                .about("Run the pipelines of a configuration until SIGINT or SIGTERM, with figures over HTTP")
                .arg(
                    path("config", "The TOML file: [serve], and a [[pipeline]] table for each pipeline")
                        .value_name("FILE"),
                )
                .after_help(SERVE_HELP),
        )
        .subcommand(
            Command::new("top")
                .about("Show the pipelines of a running `thalweg serve`")
                .arg(Arg::new("url").value_name("URL").help(format!("Where it listens [default: {}]", serve::top::URL)))
                .arg(Arg::new("once").long("once").action(ArgAction::SetTrue).help("Show them once and end"))
                .arg(Arg::new("secret-file").long("secret-file").value_name("FILE").help("The file of its secret"))
                .arg(
                    Arg::new("secret-env")
                        .long("secret-env")
                        .value_name("NAME")
                        .conflicts_with("secret-file")
                        .help("The variable of its secret"),
                ),
        )
        .subcommand(
            Command::new("validate")
                .about("Check a configuration file, of one run or of `serve`, naming every problem")
                .arg(path("config", "The TOML file").value_name("FILE")),
        )
        .subcommand(
            Command::new("help")
                .about("Show the help of a command, or of a pipeline's")
                .arg(Arg::new("command").help("The command"))
                .arg(Arg::new("pipeline").help("The pipeline")),
        )
}

const SERVE_HELP: &str = "A configuration:
  [serve]
  listen = \"127.0.0.1:9464\"     another address wants a secret beside it
  secret_file = \"token\"         or secret_env = \"NAME\": what a request must bring as bearer token
  drain_seconds = 30            how long pipelines have to end after a signal

  [[pipeline]]
  name = \"street\"
  pipeline = \"segment\"          and all keys of a configuration of `run`
  input = \"incoming/\"
  follow = true
  output = \"labels/\"
  checkpoint = \"labels.ck\"

It answers GET /healthz, /readyz, /metrics (Prometheus) and /status (JSON).
THALWEG_LOG sets the level of its log lines, THALWEG_LOG_FORMAT=json makes them JSON.";

const SET: CliOption = CliOption { name: "set", takes: Takes::Pairs, value: "KEY=VALUE", what: "A key, repeatable" };

fn help() -> Arg {
    Arg::new("help").short('h').long("help").action(ArgAction::SetTrue).help("Show help; with a pipeline, its own")
}

fn argument(option: &CliOption) -> Arg {
    let arg = Arg::new(option.name).long(option.long()).help(option.what);
    let valued = |arg: Arg| arg.value_name(option.value);
    match option.takes {
        Takes::Nothing => arg.action(ArgAction::SetTrue),
        Takes::One => valued(arg),
        Takes::Number => valued(arg).allow_hyphen_values(true),
        Takes::Many => valued(arg).num_args(1..).action(ArgAction::Append),
        Takes::Pairs => valued(arg).action(ArgAction::Append),
    }
}

/// The help of `run` or `eval`: with a pipeline its own options, keys, models and an example, else what all have in common.
///
/// # Errors
/// An unknown pipeline, or one without such a command (exit 2).
pub fn verb_help(verb: &str, name: Option<&str>) -> Result<String, Failure> {
    let Some(verb) = VERBS.iter().find(|known| known.name == verb) else { return plain_help(verb) };
    let Some(name) = name else {
        let all: Vec<_> = READY.iter().filter_map(|ready| Some((verb.uses)(ready)?.0)).collect();
        let common = |option: &&CliOption| {
            options::ALWAYS.contains(&option.name) || all.iter().all(|used| used.contains(&option.name))
        };
        let after = format!(
            "{}\n`thalweg {} <pipeline> --help` has a pipeline's own options and keys.",
            pipelines(verb),
            verb.name
        );
        let usage = format!("thalweg {} <PIPELINE> [OPTIONS]", verb.name);
        return Ok(render(verb.about.into(), usage, OPTIONS.iter().filter(common), after));
    };
    let ready = registry::by_name(name)?;
    let Some((used, listed, example)) = (verb.uses)(ready) else { return Err(no_such(verb.name)) };
    let own = |option: &&CliOption| options::ALWAYS.contains(&option.name) || used.contains(&option.name);
    let mut after = keys("Keys of --set", listed);
    let models = (ready.models)();
    if !models.is_empty() {
        after += "\nModels (the first is the default):\n";
        models.iter().for_each(|(name, what)| line(&mut after, name, what));
        after.truncate(after.trim_end().len());
    }
    let _ = write!(after, "\n\nExample:\n  {example}");
    let usage = format!("thalweg {} {name} [OPTIONS]", verb.name);
    Ok(render(format!("{}: {}", ready.name, ready.what), usage, OPTIONS.iter().filter(own), after))
}

/// The help of another command.
fn plain_help(name: &str) -> Result<String, Failure> {
    let mut whole = command();
    let names: Vec<_> = whole.get_subcommands().map(|command| command.get_name().to_string()).collect();
    match whole.find_subcommand_mut(name) {
        Some(command) => Ok(command.render_help().to_string()),
        None => Err(Failure::Usage(format!("command: found {name}, expected {}", names.join(", ")))),
    }
}

/// The help of the program.
pub fn program_help() -> String {
    command().render_help().to_string()
}

/// Why a pipeline cannot be evaluated.
pub fn no_such(verb: &str) -> Failure {
    let names: Vec<_> = READY.iter().filter(|ready| ready.eval.is_some()).map(|ready| ready.name).collect();
    Failure::Usage(format!("{verb}: found a pipeline without it, expected {}", names.join(" or ")))
}

fn render<'a>(about: String, usage: String, options: impl Iterator<Item = &'a CliOption>, after: String) -> String {
    let bare = Command::new("thalweg").about(about).override_usage(usage).disable_help_flag(true).after_help(after);
    let mut command = options.fold(bare, |command, option| command.arg(argument(option))).arg(help());
    command.render_help().to_string()
}

/// A line of a list: a name and what it is.
fn line(text: &mut String, name: &str, what: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {name:<22} {what}");
}

fn keys(title: &str, listed: Listed) -> String {
    let mut text = format!("{title}:\n");
    for key in listed {
        let name = if key.default.contains(' ') || key.default == "none" {
            key.name.into()
        } else {
            format!("{}={}", key.name, key.default)
        };
        let default = if name == key.name { format!(" [default: {}]", key.default) } else { String::new() };
        line(&mut text, &name, &format!("{} ({}){default}", key.what, key.expected));
    }
    text
}

fn pipelines(verb: &Verb) -> String {
    let mut text = String::from("Pipelines:\n");
    for ready in READY.iter().filter(|ready| (verb.uses)(ready).is_some()) {
        line(&mut text, ready.name, ready.what);
        let models: Vec<_> = (ready.models)().into_iter().map(|(name, _)| name).collect();
        if !models.is_empty() {
            line(&mut text, "", &format!("--model {}, or FILE.safetensors", models.join(", ")));
        }
    }
    text
}

/// The exit code of an error of the command line: a known option where it is of no use is a bad value, an unknown one bad usage.
pub fn code(error: &clap::Error) -> u8 {
    let known = |text: &str| {
        let name = text.trim_start_matches('-').split('=').next().unwrap_or_default().replace('-', "_");
        text.starts_with("--") && options::by_name(&name).is_some()
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8 => 78,
        ErrorKind::UnknownArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(text)) if known(text) => 78,
            _ => 2,
        },
        _ => 2,
    }
}

/// Options over the configuration file, checked together.
///
/// # Errors
/// A configuration file that cannot be read, and all problems of the settings.
pub fn settings(matches: &ArgMatches) -> Result<Settings, Failure> {
    let one = |name: &str| matches.get_one::<String>(name).cloned();
    let (mut table, place) = match one("config") {
        Some(path) => (Settings::table(path.as_ref())?, path),
        None => (Table::new(), "options".to_string()),
    };
    if let Some(pipeline) = one("pipeline") {
        if let Some(other) = table.get("pipeline").and_then(Value::as_str).filter(|other| *other != pipeline) {
            let found = format!("{place}: pipeline: found {other} beside `run {pipeline}`");
            return Err(Failure::config(format!("{found}, expected the same, or none in the file")));
        }
        table.insert("pipeline".into(), Value::String(pipeline));
    }
    for option in OPTIONS.iter().filter(|option| option.name != "config") {
        let value = match option.takes {
            Takes::Nothing => matches.get_flag(option.name).then_some(Value::Boolean(true)),
            Takes::One | Takes::Number => one(option.name).map(Value::String),
            Takes::Many => {
                let values = matches.get_many::<String>(option.name);
                values.map(|values| Value::Array(values.cloned().map(Value::String).collect()))
            }
            Takes::Pairs => {
                let set = pairs(matches)?;
                if set.is_empty() {
                    continue;
                }
                match table.entry(option.name).or_insert_with(|| Value::Table(Table::new())) {
                    Value::Table(own) => own.extend(set),
                    other => *other = Value::Table(set),
                }
                continue;
            }
        };
        if let Some(value) = value {
            table.remove(&option.long());
            table.insert(option.name.into(), value);
        }
    }
    Settings::check(&place, &table)
}

/// The pairs of `--set`.
///
/// # Errors
/// One that is no `KEY=VALUE` (exit 78).
pub fn pairs(matches: &ArgMatches) -> Result<Table, Failure> {
    matches
        .get_many::<String>("set")
        .into_iter()
        .flatten()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_string(), Value::String(value.to_string()))),
            _ => Err(Failure::config(format!("--set: found {pair}, expected KEY=VALUE"))),
        })
        .collect()
}

/// The simulation that `simulate` names.
///
/// # Errors
/// An unknown one (exit 2).
pub fn simulation(matches: &ArgMatches) -> Result<&'static sims::Sim, Failure> {
    sims::by_name(matches.get_one::<String>("simulation").map_or("", String::as_str))
}
