//! From `--input` to one source of frames: paths, URIs, replay, follow and loop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thalweg::{BoxError, Frame, Next, Source};
use thalweg_connectors::points::folder::{Files, FilesOptions};
use thalweg_connectors::points::format::{self, ReadOptions};
use thalweg_connectors::points::replay::{Loop, Rate};
use thalweg_connectors::sim::street::Street;

use crate::pipeline::Context;
use crate::sims::Drive;
use crate::{Failure, Settings};

/// Any source of frames.
pub type Frames = Box<dyn Source<Item = Frame>>;

/// True if every input is LAS or LAZ, by format or name: it is then the airborne model's.
pub fn is_las(settings: &Settings) -> bool {
    let las = |path: &Path| format::by_extension(path).is_some_and(|f| f.name == "las");
    if let Some(format) = &settings.format {
        return format == "las";
    }
    !settings.input.is_empty()
        && settings.input.iter().all(|input| {
            let path = Path::new(input);
            match std::fs::read_dir(path) {
                Ok(entries) => {
                    let files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                    files.iter().any(|f| las(f)) && files.iter().all(|f| las(f) || format::by_extension(f).is_none())
                }
                Err(_) => las(path),
            }
        })
}

/// How messages call the inputs.
pub fn name(settings: &Settings) -> String {
    settings.input.join(", ")
}

/// Opens the inputs, one after the other, as the settings say; what readers have to say goes to the context's notices.
///
/// # Errors
/// No input (exit 2), an unreadable one (exit 1), an unknown URI or an option that such an input does not use (exit 78).
pub fn open(settings: &Settings, drive: Drive, context: &Context) -> Result<Frames, Failure> {
    if settings.input.is_empty() {
        return Err(Failure::Usage("--input: found none, expected a path or a URI".into()));
    }
    if settings.input.iter().all(|input| input.starts_with("sim:")) {
        settings.refuse(&["format", "columns"], "a simulation has no files")?;
    }
    let (stop, read) = (&context.drain, ReadOptions { notices: context.notices.clone(), ..ReadOptions::default() });
    let source = open_all(settings, drive, stop, &read)?;
    if !settings.looped {
        return Ok(Box::new(Rate::new(source, settings.rate)));
    }
    let (rate, settings, stop, mut first) = (settings.rate, settings.clone(), Arc::clone(stop), Some(source));
    let again = move || match first.take() {
        Some(source) => Ok(source),
        None => open_all(&settings, drive, &stop, &read).map_err(|failure| BoxError::from(failure.to_string())),
    };
    Ok(Box::new(Rate::new(Loop::new(again).map_err(Failure::run)?, rate)))
}

fn open_all(settings: &Settings, drive: Drive, stop: &Arc<AtomicBool>, read: &ReadOptions) -> Result<Frames, Failure> {
    let mut parts = Vec::with_capacity(settings.input.len());
    for input in &settings.input {
        parts.push(open_one(input, settings, drive, stop, read)?);
    }
    let one = parts.len() == 1;
    Ok(match parts.pop() {
        Some(only) if one => only,
        last => {
            parts.extend(last);
            parts.reverse();
            Box::new(Chain { left: parts, frames: 0 })
        }
    })
}

fn open_one(
    input: &str,
    settings: &Settings,
    drive: Drive,
    stop: &Arc<AtomicBool>,
    read: &ReadOptions,
) -> Result<Frames, Failure> {
    if input == "sim:street" {
        let street = Street::new(drive.frames, drive.seed);
        let (first, end) = (settings.start_offset, settings.until.unwrap_or(drive.frames).min(drive.frames));
        return Ok(Box::new(Slice { source: street, position: 0, first, end }));
    }
    if input.starts_with("sim:") {
        return Err(Failure::config(format!("input: found {input}, expected sim:street or a path")));
    }
    let options = FilesOptions {
        read: read.clone(),
        format: match &settings.format {
            Some(name) => Some(format::by_name(name)?),
            None => None,
        },
        start_offset: settings.start_offset,
        until: settings.until,
        follow: settings.follow,
        stop: Arc::clone(stop),
    };
    let files = Files::open(Path::new(input), options)?;
    files.warnings().iter().for_each(|warning| read.notices.say(warning));
    Ok(Box::new(files))
}

/// The frames `first..end` of a source that has no offsets of its own.
struct Slice<S> {
    source: S,
    position: u64,
    first: u64,
    end: u64,
}

impl<S: Source<Item = Frame>> Source for Slice<S> {
    type Item = Frame;

    fn name(&self) -> String {
        self.source.name()
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        if self.position >= self.end {
            return Ok(Next::End);
        }
        let next = self.source.next()?;
        if matches!(next, Next::Item(_)) {
            self.position += 1;
            if self.position <= self.first {
                return Ok(Next::Idle);
            }
        }
        Ok(next)
    }
}

/// Several inputs, one after the other; frames are numbered through.
struct Chain {
    left: Vec<Frames>,
    frames: i64,
}

impl Source for Chain {
    type Item = Frame;

    fn name(&self) -> String {
        self.left.last().map_or_else(|| "inputs".into(), |source| source.name())
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        while let Some(source) = self.left.last_mut() {
            match source.next()? {
                Next::Item(mut frame) => {
                    frame.id = self.frames;
                    self.frames += 1;
                    return Ok(Next::Item(frame));
                }
                Next::Idle => return Ok(Next::Idle),
                Next::End => drop(self.left.pop()),
            }
        }
        Ok(Next::End)
    }
}
