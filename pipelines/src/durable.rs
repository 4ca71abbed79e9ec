//! Runs that may be killed: `--checkpoint`, from the settings to a source that begins where it must and a sink that commits.
//!
//! A source begins early enough for its stages to have again what they retain: as many frames as a window holds, or all rows. The output
//! of what is read again is there already, and is not written twice. By the law the rest is what it would have been.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use thalweg::asof::Stamped;
use thalweg::{Sink, Source};
use thalweg_connectors::Notices;
use thalweg_connectors::out::checkpoint::{Checkpoint, Checkpoints};
use thalweg_connectors::out::durable::{DurableSink, Keeping, Marks};
use thalweg_connectors::out::segments::{Column, Manifest, Roll, columns};
use thalweg_connectors::out::writer::{Batches, SchemaRef};
use thalweg_connectors::rows::{Merge, Summed};

use crate::failure::Failure;
use crate::follower::Nothing;
use crate::identity::{self, MODEL};
use crate::keys::{Key, Keys};
use crate::marked::Marked;
use crate::pipeline::Context;
use crate::quarantine::Quarantine;
use crate::settings::Settings;
use crate::written::Read;
use crate::{input, output, supervised};

/// How long a source that goes on may take to find again what was read before.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a checkpoint is made.
pub const SECONDS: Key = Key {
    name: "checkpoint_seconds",
    default: "10",
    expected: "seconds, above 0",
    what: "with --checkpoint, how often one is made",
};

/// Keys that say how a run is done, and not what it gives.
const HOW_KEYS: [&str; 4] = [SECONDS.name, output::FRAMES.name, output::SECONDS.name, input::SETTLE.name];

/// What a run keeps.
pub enum Durable {
    /// Without `--checkpoint` nothing.
    Nothing,
    /// In a process that does not lead nothing, and it writes nothing either.
    Follows,
    /// Its checkpoints.
    Kept(Box<Kept>),
}

/// The checkpoints of a run, and where it goes on.
pub struct Kept {
    checkpoints: Checkpoints,
    from: Checkpoint,
    marks: Marks,
    every: Duration,
    drain: Arc<AtomicBool>,
    quarantine: Option<Quarantine>,
    notices: Notices,
    /// How long the source may find nothing before what was read before is missed; `None` for one that waits by itself.
    patience: Option<Duration>,
    /// The run had come to its end, and its input has changed since.
    more: bool,
}

/// Takes the key.
pub fn seconds(keys: &mut Keys<'_>, settings: &Settings) -> Duration {
    if settings.checkpoint.is_none() {
        keys.refuse(&[&SECONDS], "--checkpoint beside it");
        return Duration::default();
    }
    let seconds: f64 = keys.take(&SECONDS, |s: &f64| *s > 0.0 && *s <= 86_400.0);
    Duration::from_secs_f64(seconds)
}

impl Durable {
    /// Opens the checkpoints that the settings name, if they do; `model` is the name or path of the model that is used, if one is.
    ///
    /// # Errors
    /// An output that is no folder of segments, or a checkpoint of other settings (exit 78); checkpoints of which none is whole (exit 1).
    pub fn open(
        settings: &Settings,
        context: &Context,
        every: Duration,
        pipeline: &str,
        model: Option<&str>,
    ) -> Result<Durable, Failure> {
        if context.follows() {
            return Ok(Durable::Follows);
        }
        let Some(folder) = &settings.checkpoint else {
            settings.refuse(&["allow_model_change"], "--checkpoint beside it")?;
            return Ok(Durable::Nothing);
        };
        let output = output::destination(settings)?;
        settings.refuse(&["loop"], "a loop has no position to go on from")?;
        let identity = identity::identity(settings, pipeline, model, &HOW_KEYS)?;
        let checkpoints = Checkpoints::open(folder)?;
        let anew = format!("begin anew without {output} and {}", folder.display());
        let newest = checkpoints.newest(&context.notices);
        let from = match newest.map_err(|error| Failure::run(format!("{error}: put it back as it was, or {anew}")))? {
            None => Checkpoint::first(identity),
            Some(mut from) => {
                let place = format!("checkpoint {} in {}", from.number, folder.display());
                let differs = |name: &&String| {
                    from.identity.get(*name) != identity.get(*name)
                        && !(settings.allow_model_change && name.as_str() == MODEL)
                };
                let names: BTreeSet<&String> = from.identity.keys().chain(identity.keys()).filter(differs).collect();
                let shown =
                    |of: &BTreeMap<String, String>, name: &String| of.get(name).cloned().unwrap_or("none".into());
                let problems: Vec<_> = names
                    .into_iter()
                    .map(|name| {
                        let (found, expected) = (shown(&identity, name), shown(&from.identity, name));
                        let hint =
                            if name == MODEL { "; --allow-model-change takes the new one from there on" } else { "" };
                        format!("{name}: found {found}, expected {expected} as {place} has it{hint}")
                    })
                    .collect();
                if !problems.is_empty() {
                    return Err(Failure::Config(problems));
                }
                let (checkpoint, read, position) = (from.number, from.position.items, &from.position);
                tracing::info!(checkpoint, read, rows = from.rows, %position, complete = from.complete, "resumed");
                from.identity = identity;
                from
            }
        };
        let (mut from, input) = (from, identity::content(settings));
        let more = from.complete && from.input.is_some_and(|before| before != input);
        if more {
            let text = format!(
                "the input has changed since the run came to its end at checkpoint {}: it goes on",
                from.number
            );
            context.notices.warn(folder, text);
            from.complete = false;
        }
        from.input = Some(input);
        for path in identity::pipes(settings).iter().filter(|_| from.complete) {
            let text =
                format!("not read: the run came to its end at checkpoint {}. For other rows {anew}", from.number);
            context.notices.warn(path, text);
        }
        let drain = Arc::clone(&context.drain);
        let quarantine = supervised::supervised().then(|| Quarantine::open(folder)).transpose()?;
        let (marks, notices) = (Marks::default(), context.notices.clone());
        let settle = settings.set.get(input::SETTLE.name).map_or(input::SETTLE.default, String::as_str);
        let settle = settle.parse().unwrap_or_default();
        let settle = Duration::try_from_secs_f64(settle).unwrap_or_default();
        let patience = (settings.rate <= 0.0).then_some(PATIENCE + settle);
        Ok(Durable::Kept(Box::new(Kept {
            checkpoints,
            from,
            marks,
            every,
            drain,
            quarantine,
            notices,
            patience,
            more,
        })))
    }

    /// The number of items that a run before this one had read.
    pub fn before(&self) -> u64 {
        self.kept().map_or(0, |kept| kept.from.position.items)
    }

    fn kept(&self) -> Option<&Kept> {
        if let Durable::Kept(kept) = self { Some(kept) } else { None }
    }

    /// True where everything was done by a run before this one.
    pub fn done(&self) -> bool {
        self.kept().is_some_and(|kept| kept.from.complete)
    }

    /// Refuses to go on behind the end of a run whose output is a final state, which more input would make another one.
    ///
    /// # Errors
    /// An input that has changed since (exit 1).
    pub fn is_final(&self, settings: &Settings) -> Result<(), Failure> {
        if !self.kept().is_some_and(|kept| kept.more) {
            return Ok(());
        }
        let (output, folder) =
            (output::destination(settings)?, settings.checkpoint.as_deref().unwrap_or(Path::new("")));
        Err(Failure::run(format!(
            "{}: found another input than that of the run that has come to its end, expected the same: what stands in {output} is \
             that input's answer. Begin anew without both, or use --set emit=changes",
            folder.display()
        )))
    }

    /// Frames from where the run goes on; `retained` of those before are read again.
    ///
    /// # Errors
    /// A source without positions.
    pub fn frames<S: Source<Item: Read>>(&mut self, mut source: S, retained: usize) -> Result<Marked<S>, Failure> {
        let Durable::Kept(kept) = self else { return Ok(self.marked(source, retained, false)) };
        if kept.from.restart.items > 0 {
            source.start_at(&kept.from.restart).map_err(Failure::run)?;
        }
        let again = kept.from.position.items > kept.from.restart.items;
        let quarantine = kept.quarantine.take().map(|quarantine| (quarantine, kept.notices.clone()));
        Ok(Marked { quarantine, ..self.marked(source, retained, again) })
    }

    /// Rows, those from before where the run goes on as one batch. `finals` is whether a run that follows them writes final tables alone, so that
    /// it can go on behind any batch: what is not final will come again.
    ///
    /// # Errors
    /// Rows of other files.
    pub fn rows<F>(&self, mut source: Merge<F>, finals: bool) -> Result<Marked<Merge<F>>, Failure>
    where
        Merge<F>: Source<Item: Read>,
        F: Stamped + Summed,
    {
        let again = self.kept().is_some_and(|kept| kept.from.position.items > 0);
        if let Some(kept) = self.kept().filter(|_| again) {
            source.catch_up(&kept.from.position).map_err(Failure::run)?;
        }
        Ok(Marked { finals, ..self.marked(source, 0, again) })
    }

    fn marked<S>(&self, source: S, retained: usize, again: bool) -> Marked<S> {
        let marks = self.kept().map(|kept| kept.marks.clone());
        let from = self.kept().map(|kept| kept.from.clone());
        if let Some(marks) = marks.as_ref().filter(|_| again) {
            marks.again_until(u64::MAX);
        }
        let goal = from.as_ref().filter(|_| again).map(|from| from.position.items);
        let (restart, before) = from.map(|from| (from.restart, from.position)).unwrap_or_default();
        let patience = self.kept().and_then(|kept| kept.patience);
        let stop = self.kept().map(|kept| Arc::clone(&kept.drain)).unwrap_or_default();
        let recent = VecDeque::new();
        Marked {
            source,
            marks,
            retained,
            recent,
            restart,
            before,
            goal,
            patience,
            since: None,
            stop,
            quarantine: None,
            finals: false,
        }
    }

    /// The sink of a table; with checkpoints one that commits.
    ///
    /// # Errors
    /// Those of [`output::table`]; a folder whose segments are not those of the checkpoint, or of another model whose rows have other columns
    /// (exit 78).
    pub fn table<T: 'static>(
        self,
        settings: &Settings,
        schema: SchemaRef,
        batches: Batches<T>,
        roll: Roll,
    ) -> Result<Box<dyn Sink<T>>, Failure> {
        let Kept { checkpoints, from, marks, every, drain, .. } = match self {
            Durable::Nothing => return output::table(settings, schema, batches, roll),
            Durable::Follows => return Ok(Box::new(Nothing::default())),
            Durable::Kept(kept) => *kept,
        };
        let output = output::destination(settings)?;
        if settings.allow_model_change && from.number > 0 {
            same_columns(output, &schema)?;
        }
        let keeping = Keeping { checkpoints, from, marks, every, drain };
        let anew = settings.checkpoint.as_ref().map_or(String::new(), |folder| folder.display().to_string());
        let sink = DurableSink::create(Path::new(output), schema, batches, roll, keeping);
        let told = |error| format!("{error}: put it back as it was, or begin anew without {output} and {anew}");
        Ok(Box::new(sink.map_err(|error| Failure::run(told(error)))?))
    }
}

/// Refuses a model whose rows have other columns than those that the output holds. What is wrong with its manifest the sink says.
fn same_columns(output: &str, schema: &SchemaRef) -> Result<(), Failure> {
    let Ok(Manifest { schema: before, .. }) = Manifest::load(Path::new(output)) else { return Ok(()) };
    let found = columns(schema);
    if found == before {
        return Ok(());
    }
    let names = |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>().join(", ");
    Err(Failure::config(format!(
        "model: found one that gives the columns {}, expected {} as {output} has them",
        names(&found),
        names(&before)
    )))
}
