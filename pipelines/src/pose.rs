//! `pose`: radar frames in, 19 joints a frame with their uncertainty out.

use std::time::Duration;

use thalweg::Report;
use thalweg::points::radar::PoseModel;
use thalweg_connectors::out::batches::{pose_batches, pose_schema};
use thalweg_connectors::out::segments::Roll;
use thalweg_connectors::sim::person::Sensor;

use crate::durable::{self, Durable};
use crate::failure::Failure;
use crate::input::Reading;
use crate::keys::{Key, Keys, Listed};
use crate::pipeline::{Context, Doing, Ready};
use crate::settings::Settings;
use crate::{finish, input, models, options, output, sims};

pub(crate) const SENSOR: Key = Key {
    name: "sensor",
    default: "radar",
    expected: "radar or lidar",
    what: "of sim:person: what looks at the person (radar or lidar)",
};

const KEYS: Listed = &[
    &sims::FRAMES,
    &sims::SEED,
    &SENSOR,
    &input::SETTLE,
    &input::LATENESS,
    &input::AHEAD,
    &input::LOAD,
    &input::TIME_UNIT,
    &output::FRAMES,
    &output::SECONDS,
    &durable::SECONDS,
];

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "pose",
    what: "19 joints of the person that a radar sees, in every frame",
    models: || models::named(&models::POSE),
    check: |settings| {
        Asked::of(settings, KEYS)?;
        settings.model.as_deref().map_or(Ok(()), |name| models::pose(name).map(drop))
    },
    run: Doing {
        options: &[options::RUN, options::MODEL, options::STREAM, &["input"]],
        keys: KEYS,
        example: "thalweg run pose --input radar.parquet --output pose.parquet",
        go: run,
    },
    eval: None,
};

/// What the settings ask for.
pub(crate) struct Asked {
    pub reading: Reading,
    pub sensor: Sensor,
    roll: Roll,
    every: Duration,
}

impl Asked {
    /// From the keys that a command has.
    pub fn of(settings: &Settings, listed: Listed) -> Result<Asked, Failure> {
        let mut keys = Keys::of(&settings.set, listed);
        let mut sensor = Sensor::Radar;
        if settings.input.iter().any(|input| input == "sim:person") {
            sensor = keys.take(&SENSOR, |_| true);
        } else {
            keys.refuse(&[&SENSOR], "sim:person as the input beside it");
        }
        let reading = Reading::take(&mut keys, settings).of_radar(sensor);
        let (mut roll, mut every) = (Roll::default(), Duration::default());
        if listed.iter().any(|key| key.name == output::FRAMES.name) {
            (roll, every) = (output::roll(&mut keys, settings), durable::seconds(&mut keys, settings));
        }
        keys.done()?;
        Ok(Asked { reading, sensor, roll, every })
    }
}

/// The model that the settings name, else the shipped one.
pub(crate) fn model(settings: &Settings) -> Result<PoseModel, Failure> {
    models::pose(settings.model.as_deref().unwrap_or(models::POSE[0].0))
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    let Asked { reading, roll, every, .. } = Asked::of(settings, KEYS)?;
    let model = model(settings)?;
    let mut durable = Durable::open(settings, context, every, "pose", Some(model.name()))?;
    let source = durable.frames(input::open(settings, &reading.behind(durable.before()), context)?, model.frames())?;
    let done = durable.done();
    let sink = durable.table(settings, pose_schema(), pose_batches, roll)?;
    if done {
        return Ok(Report::default());
    }
    let mut report = finish::over(settings, context, source, |frames| frames.infer_pose(&model), sink)?;
    reading.tell(&mut report);
    Ok(report)
}
