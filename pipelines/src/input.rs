//! From `--input` to one source of frames: paths, URIs, replay, follow and loop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thalweg::points::radar::JOINTS;
use thalweg::{BoxError, Frame, Report, Source};
use thalweg_connectors::contacts::{TableOptions, TimeUnit};
use thalweg_connectors::out::checkpoint::ARRIVALS;
use thalweg_connectors::out::store::Store;
use thalweg_connectors::points::files_options::FilesOptions;
use thalweg_connectors::points::folder::{self, Files, Input};
use thalweg_connectors::points::map_origin::{MapOrigin, WorldOrigin};
use thalweg_connectors::points::registry;
use thalweg_connectors::points::replay::{Loop, Rate};
use thalweg_connectors::sim::person::{Person, Sensor};
use thalweg_connectors::sim::street::Street;
use thalweg_connectors::{OnError, OriginRule, ReadOptions, points};

use crate::failure::Failure;
use crate::follower::Nothing;
use crate::keys::{Key, Keys, Maybe};
use crate::nodes::Nodes;
use crate::pipeline::Context;
use crate::settings::Settings;
use crate::sims::Drive;

/// Any source of frames.
pub type Frames = Box<dyn Source<Item = Frame>>;

/// How long a followed file must rest.
pub const SETTLE: Key = Key {
    name: "settle",
    default: "2",
    expected: "seconds, 0 to 86400",
    what: "with --follow, how long a file must not change that does not say itself when it is whole",
};

/// How far behind a frame may come.
pub const LATENESS: Key = Key {
    name: "lateness",
    default: "none",
    expected: "seconds, 0 or more",
    what: "with --follow: a frame whose time lies further than this behind the newest is left out, late",
};

/// How far ahead a frame may be.
pub const AHEAD: Key = Key {
    name: "ahead",
    default: "none",
    expected: "seconds, more than 0",
    what: "with --follow: a frame so far ahead of all before it is out_of_range, unless the one before it was so too",
};

/// What becomes of frames that come faster than they are worked on.
pub const LOAD: Key = Key {
    name: "load",
    default: "lossless",
    expected: "lossless or newest",
    what: "with --follow of a folder of files: every file waits for its turn, or of those that wait only the newest is read (overrun)",
};

/// What times count that are plain numbers.
pub const TIME_UNIT: Key = Key {
    name: "time_unit",
    default: "seconds",
    expected: "ms, us or ns",
    what: "what times in tables count that are plain numbers",
};

/// How the inputs are read, beyond what stands in the settings.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What `sim:street` is asked for.
    drive: Drive,
    settle: Duration,
    /// How far (ns) a followed frame may be behind the newest, and ahead of all before it.
    lateness: Option<i64>,
    ahead: Option<i64>,
    /// Of the files that wait only the newest is read.
    newest: bool,
    time_unit: Option<TimeUnit>,
    /// What looks at `sim:person`.
    sensor: Sensor,
    /// Frames of a radar: raw intensities and Doppler, coordinates as they are.
    radar: bool,
    /// Edge of the voxels of a map (m), if the frames make one.
    voxel: Option<f64>,
    /// What a map's world loses.
    world: WorldOrigin,
    /// Frames that a run before this one read.
    before: u64,
}

impl Reading {
    /// Takes the keys of the simulation, if it is an input, `time_unit`, and `settle`, if the inputs are followed.
    pub fn take(keys: &mut Keys<'_>, settings: &Settings) -> Reading {
        let drive = Drive::of(keys, &settings.input);
        let sensor = Sensor::Lidar;
        let mut reading = Reading { drive, sensor, time_unit: time_unit(keys), ..Reading::default() };
        if settings.follow {
            let seconds: f64 = keys.take(&SETTLE, |s| (0.0..=86_400.0).contains(s));
            reading.settle = Duration::from_secs_f64(seconds);
            (reading.lateness, reading.ahead) = (keys.nanoseconds(&LATENESS, true), keys.nanoseconds(&AHEAD, false));
            reading.newest = keys.take(&LOAD, |load: &String| load == "lossless" || load == "newest") == "newest";
            let file = |input: &&String| input.starts_with("sim:") || *input == "-" || Path::new(input).is_file();
            if let Some(input) = settings.input.iter().find(file).filter(|_| reading.newest) {
                keys.problem(format!(
                    "--set load: found newest with --input {input}, expected a folder: a file is read from its beginning to its end"
                ));
            }
        } else {
            let expected = "--follow beside it: an input that is not followed is whole, and is read whole";
            keys.refuse(&[&SETTLE, &LATENESS, &AHEAD, &LOAD], expected);
        }
        reading
    }

    /// The same for these nodes; `voxel` is the edge of a map's voxels (m) where none is set.
    #[must_use]
    pub fn of_nodes(mut self, nodes: Nodes, voxel: f64) -> Reading {
        if let Nodes::Map { voxel: set, .. } = nodes {
            self.voxel = Some(set.unwrap_or(voxel));
        }
        self
    }

    /// The same for frames of a radar; `sensor` looks at a simulated person.
    #[must_use]
    pub fn of_radar(self, sensor: Sensor) -> Reading {
        Reading { sensor, radar: true, ..self }
    }

    /// The same for a run that goes on where the one before it stood.
    #[must_use]
    pub fn behind(&self, before: u64) -> Reading {
        Reading { before, ..self.clone() }
    }

    /// True joints of the simulated person, by frame.
    pub fn person(&self, sensor: Sensor) -> BTreeMap<i64, [[f32; 3]; JOINTS]> {
        let person = Person::new(self.drive.frames, self.drive.seed, sensor);
        (0..self.drive.frames).map(|number| (number as i64, person.truth(number).joint)).collect()
    }

    /// Puts into a report what the poses of a map lost (m), if they lost anything.
    pub fn tell(&self, report: &mut Report) {
        if let Some(origin) = self.world.get().filter(|origin| *origin != [0.0; 3]) {
            report.extra.insert("map_origin".into(), serde_json::json!(origin));
        }
    }
}

impl Reading {
    /// What every reader is told.
    fn options(&self, context: &Context, tables: TableOptions) -> ReadOptions {
        let read = ReadOptions { notices: context.notices.clone(), tables, ..ReadOptions::default() };
        if !self.radar {
            return read;
        }
        let carry = ["doppler", "intensity"].map(String::from);
        ReadOptions { carry: carry.into(), origin: OriginRule::fixed([0.0; 3]), ..read }
    }
}

/// Takes `time_unit`.
pub fn time_unit(keys: &mut Keys<'_>) -> Option<TimeUnit> {
    let unit: Maybe<Unit> = keys.take(&TIME_UNIT, |_| true);
    unit.0.map(|unit| unit.0)
}

/// A unit as a key's value.
struct Unit(TimeUnit);

impl std::str::FromStr for Unit {
    type Err = ();
    fn from_str(text: &str) -> Result<Unit, ()> {
        text.parse().map(Unit)
    }
}

/// True if every input is LAS or LAZ, by format or name: it is then the airborne model's.
pub fn is_las(settings: &Settings) -> bool {
    let asked = settings.format.as_deref().and_then(|name| registry::by_name(name).ok());
    let las = |input: &String| folder::format_of(Path::new(input), asked).is_some_and(|format| format.name == "las");
    !settings.input.is_empty() && settings.input.iter().all(las)
}

/// How messages call the inputs.
pub fn name(settings: &Settings) -> String {
    settings.input.join(", ")
}

/// Opens the inputs as one source, as the settings say; what readers have to say goes to the context's notices.
///
/// # Errors
/// No input (exit 2), an unreadable one (exit 1), an unknown URI or an option that such an input does not use (exit 78).
pub fn open(settings: &Settings, reading: &Reading, context: &Context) -> Result<Frames, Failure> {
    if settings.input.is_empty() {
        return Err(Failure::Usage("--input: found none, expected a path or a URI".into()));
    }
    if context.follows() {
        return Ok(Box::new(Nothing::default()));
    }
    if settings.input.iter().all(|input| input.starts_with("sim:")) {
        settings.refuse(&["format", "columns"], "a simulation has no files")?;
    }
    let tables =
        TableOptions { columns: points::column_names(settings.columns.clone())?, time_unit: reading.time_unit };
    let options = FilesOptions {
        read: ReadOptions { skip: on_error(settings) == OnError::Skip, ..reading.options(context, tables) },
        format: settings.format.as_deref().map(registry::by_name).transpose()?,
        start_offset: settings.start_offset,
        until: settings.until,
        follow: settings.follow,
        settle: reading.settle,
        on_error: on_error(settings),
        arrivals: arrivals(settings)?,
        before: if settings.follow { reading.before } else { 0 },
        sums: settings.checkpoint.is_some(),
        lateness: reading.lateness,
        ahead: reading.ahead,
        newest: reading.newest,
        poses: reading.voxel.is_some(),
        stop: context.drain.clone(),
    };
    let folders = settings.input.iter().filter(|input| Path::new(input).is_dir()).count();
    if reading.voxel.is_some() && folders > 1 {
        context.notices.say(format!(
            "input: found {folders} folders for one map: they are laid over one another, as if their poses had one origin"
        ));
    }
    let drive = reading.drive;
    let sensor = reading.sensor;
    let first = open_all(&settings.input, drive, sensor, &options)?;
    let source: Frames = if settings.looped {
        let (inputs, mut first) = (settings.input.clone(), Some(first));
        let again = move || match first.take() {
            Some(source) => Ok(source),
            None => open_all(&inputs, drive, sensor, &options).map_err(|failure| BoxError::from(failure.to_string())),
        };
        Box::new(Rate::new(Loop::new(again).map_err(Failure::run)?, settings.rate))
    } else {
        Box::new(Rate::new(first, settings.rate))
    };
    Ok(match reading.voxel {
        Some(voxel) => Box::new(MapOrigin::new(source, voxel, reading.world.clone())),
        None => source,
    })
}

/// Where a run that follows a folder keeps the order in which its files come, if it is to go on after a kill.
fn arrivals(settings: &Settings) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = settings.checkpoint.as_ref().filter(|_| settings.follow) else { return Ok(None) };
    if settings.input.len() > 1 {
        return Err(Failure::config(format!(
            "input: found {} inputs that are followed, expected one with --checkpoint: their order cannot be told again",
            settings.input.len()
        )));
    }
    Ok(Some(Store::at(folder)?.local(ARRIVALS)))
}

/// What becomes of a file that cannot be read: it ends a run, unless the run goes on for ever.
pub(crate) fn on_error(settings: &Settings) -> OnError {
    settings.on_error.unwrap_or(if settings.follow { OnError::Skip } else { OnError::Stop })
}

fn open_all(inputs: &[String], drive: Drive, sensor: Sensor, options: &FilesOptions) -> Result<Files, Failure> {
    let one = |input: &String| -> Result<Input, Failure> {
        match input.as_str() {
            "sim:street" => Ok(Input::Source(Box::new(Street::new(drive.frames, drive.seed)))),
            "sim:person" => Ok(Input::Source(Box::new(Person::new(drive.frames, drive.seed, sensor)))),
            uri if uri.starts_with("sim:") => {
                Err(Failure::config(format!("input: found {uri}, expected sim:street, sim:person or a path")))
            }
            path => Ok(Input::Path(path.into())),
        }
    };
    let inputs = inputs.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    Ok(Files::over(inputs, options.clone())?)
}
