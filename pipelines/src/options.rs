//! The options of `run` and `eval`, each once: the command line, configuration files, help and the check of what a pipeline uses go by this table.

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is on or off.
    Nothing,
    /// One value.
    One,
    /// One value, which may be a number below 0.
    Number,
    /// One value or more.
    Many,
    /// `KEY=VALUE`, as often as it is given.
    Pairs,
}

/// An option.
#[derive(Debug)]
pub struct CliOption {
    /// What configuration files call it; on the command line with `-` for `_`.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// How help calls its value.
    pub value: &'static str,
    /// What it does, its default included.
    pub what: &'static str,
}

impl CliOption {
    /// What the command line calls it, without the dashes before it.
    pub fn long(&self) -> String {
        self.name.replace('_', "-")
    }
}

const fn option(name: &'static str, takes: Takes, value: &'static str, what: &'static str) -> CliOption {
    CliOption { name, takes, value, what }
}

/// All of them, in the order of help.
pub static OPTIONS: &[CliOption] = &[
    option("input", Takes::Many, "PATH|URI", "Files, folders, or a simulation (sim:street, sim:town)"),
    option("contacts", Takes::Many, "FILE", "Tables of contacts: columns t, i, j, and where there duration, diff"),
    option("tests", Takes::Many, "FILE", "Tables of tests: columns t, person, result, and where there diff"),
    option("edges", Takes::Many, "FILE", "Tables of edges: columns t, src, dst, attributes, and where there diff"),
    option(
        "nodes",
        Takes::Many,
        "FILE",
        "Tables of nodes: columns t, node, features (or one column of lists), and where there diff",
    ),
    option(
        "truth",
        Takes::One,
        "FILE",
        "The labels, where they are not beside the input: a table, or of points also a .label file or a folder of these",
    ),
    option(
        "output",
        Takes::One,
        "PATH",
        "One file (.parquet, .arrow, .csv, .jsonl), or a folder of segments (a name ending in /)",
    ),
    option(
        "output_format",
        Takes::One,
        "NAME",
        "table (the default), label (SemanticKITTI), or las (the input with its classification replaced)",
    ),
    option("format", Takes::One, "NAME", "The format of every input file; else guessed from the path"),
    option("model", Takes::One, "NAME|FILE", "A model by name, or FILE.safetensors"),
    option(
        "as_of",
        Takes::Number,
        "T",
        "The time to answer for: seconds, an RFC 3339 time or a date; else that of the last record",
    ),
    option("every", Takes::Number, "SECONDS", "Answer for each multiple of so many seconds"),
    option(
        "columns",
        Takes::One,
        "NAME=HEADER,...",
        "What tables call their columns: t=time,i=from; contacts.t=..., tests.t=..., edges.t=..., nodes.t=... for one kind alone",
    ),
    option("workers", Takes::Number, "N", "Threads, 1 to 256; the output does not depend on them [default: 1]"),
    option(
        "processes",
        Takes::Number,
        "N",
        "Processes of this machine, 1 to 64, each with so many workers; if one dies, all go on from the last checkpoint",
    ),
    option("hosts", Takes::One, "FILE", "The processes of a run on several machines: a line HOST:PORT for each"),
    option("process", Takes::Number, "I", "With --hosts, which of them this one is: 0 reads and writes"),
    option("json", Takes::Nothing, "", "One JSON object on stdout when the run ends"),
    option("follow", Takes::Nothing, "", "Go on as files or folders grow, until SIGINT or SIGTERM"),
    option("loop", Takes::Nothing, "", "Begin again at the end, for ever"),
    option("rate", Takes::Number, "X", "Replay speed: 1 as recorded, 0 as fast as possible [default: 0]"),
    option(
        "start_offset",
        Takes::Number,
        "N",
        "Position of the first frame or row to read, over all inputs [default: 0]",
    ),
    option("until", Takes::Number, "N", "Position of the first frame or row that is not read any more"),
    option(
        "on_error",
        Takes::One,
        "stop|skip",
        "An unreadable file or frame ends the run, or is counted and passed over [default: stop; skip where files are followed]",
    ),
    option("plot", Takes::One, "FILE.png", "Draw what was found"),
    option(
        "checkpoint",
        Takes::One,
        "DIR",
        "Keep checkpoints in this folder, or s3://BUCKET/PREFIX: the same command goes on where it was killed (with an output ending in /)",
    ),
    option("allow_model_change", Takes::Nothing, "", "Go on from a checkpoint with another model from there on"),
    option("set", Takes::Pairs, "KEY=VALUE", "A key of the pipeline's own, repeatable"),
    option("config", Takes::One, "FILE", "A TOML file in which all of these may stand; options win"),
];

/// The option of a name.
pub fn by_name(name: &str) -> Option<&'static CliOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// Names of options in groups, as the commands of pipelines list those that they use.
pub type Used = &'static [&'static [&'static str]];

/// What every `run` uses.
pub const RUN: &[&str] = &[
    "output",
    "format",
    "workers",
    "processes",
    "hosts",
    "process",
    "json",
    "start_offset",
    "until",
    "on_error",
    "checkpoint",
];

/// What a `run` with a model uses.
pub const MODEL: &[&str] = &["model", "allow_model_change"];

/// What a `run` over frames or rows of tables uses, which have times and may go on coming.
pub const STREAM: &[&str] = &["columns", "follow", "rate"];

/// What every `eval` uses.
pub const EVAL: &[&str] = &["format", "model", "workers", "json", "start_offset", "until", "on_error"];

/// Options that no pipeline can do without.
pub const ALWAYS: [&str; 2] = ["set", "config"];
