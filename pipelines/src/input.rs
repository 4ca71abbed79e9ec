//! From `--input` to one source of frames: paths, URIs, replay, follow and loop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thalweg::{BoxError, Frame, Next, Source};
use thalweg_connectors::points::folder::{Files, FilesOptions};
use thalweg_connectors::points::format::{self, ReadOptions};
use thalweg_connectors::points::replay::{Loop, Rate};
use thalweg_connectors::sim::street::Street;

use crate::settings::Keys;
use crate::{Failure, Settings};

/// Any source of frames.
pub type Frames = Box<dyn Source<Item = Frame>>;

/// What `sim:street` is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Drive {
    /// Frames, 0.1 s apart.
    pub frames: u64,
    /// Same seed, same drive.
    pub seed: u64,
}

impl Drive {
    /// Takes `frames` and `seed`.
    pub fn take(keys: &mut Keys<'_>) -> Drive {
        Drive {
            frames: keys.take("frames", 20, "a number of frames, 1 to 1000000", |n| (1..=1_000_000).contains(n)),
            seed: keys.take("seed", 1, "a whole number, 0 or more", |_| true),
        }
    }
}

/// True if the input is a built-in simulation.
pub fn is_street(input: &[String]) -> bool {
    input.iter().any(|input| input == "sim:street")
}

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

/// Opens the inputs, one after the other, as the settings say; `stop` ends what would go on for ever.
///
/// # Errors
/// No input (exit 2), an unreadable one (exit 1), an unknown URI (exit 78).
pub fn open(settings: &Settings, drive: Drive, stop: &Arc<AtomicBool>) -> Result<(Frames, Vec<String>), Failure> {
    if settings.input.is_empty() {
        return Err(Failure::Usage("--input: found none, expected a path or a URI".into()));
    }
    let read = ReadOptions::default();
    let (source, warnings) = open_all(settings, drive, stop, &read)?;
    if !settings.looped {
        return Ok((Box::new(Rate::new(source, settings.rate)), warnings));
    }
    let (rate, settings, stop, mut first) = (settings.rate, settings.clone(), Arc::clone(stop), Some(source));
    let again = move || match first.take() {
        Some(source) => Ok(source),
        None => match open_all(&settings, drive, &stop, &read) {
            Ok((source, _)) => Ok(source),
            Err(failure) => Err(BoxError::from(failure.to_string())),
        },
    };
    Ok((Box::new(Rate::new(Loop::new(again).map_err(Failure::run)?, rate)), warnings))
}

fn open_all(
    settings: &Settings,
    drive: Drive,
    stop: &Arc<AtomicBool>,
    read: &ReadOptions,
) -> Result<(Frames, Vec<String>), Failure> {
    let mut warnings = Vec::new();
    let mut parts = Vec::with_capacity(settings.input.len());
    for input in &settings.input {
        parts.push(open_one(input, settings, drive, stop, read, &mut warnings)?);
    }
    let one = parts.len() == 1;
    Ok(match parts.pop() {
        Some(only) if one => (only, warnings),
        last => {
            parts.extend(last);
            parts.reverse();
            (Box::new(Chain { left: parts, frames: 0 }), warnings)
        }
    })
}

fn open_one(
    input: &str,
    settings: &Settings,
    drive: Drive,
    stop: &Arc<AtomicBool>,
    read: &ReadOptions,
    warnings: &mut Vec<String>,
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
    warnings.extend_from_slice(files.warnings());
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
