//! `molecule`: frames of atoms in, energies and forces out, or a property.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thalweg::molecules::{Evaluated, Molecule, Potential};
use thalweg::{Report, Source};
use thalweg_connectors::molecules::{Molecules, MoleculesOptions, UNIT_NAMES, Unit};
use thalweg_connectors::out::energies::{ENERGIES, Energy, VALUES, energy_schema, value_schema};
use thalweg_connectors::out::segments::Roll;

use crate::durable::{self, Durable};
use crate::failure::Failure;
use crate::follower::Nothing;
use crate::keys::{Key, Keys, Listed};
use crate::pipeline::{Context, Doing, Ready};
use crate::settings::Settings;
use crate::{finish, input, models, options, output};

pub(crate) const UNIT: Key = Key {
    name: "unit",
    default: "the model's own",
    expected: UNIT_NAMES,
    what: "with a model of a property, the unit of the column value",
};

const KEYS: Listed = &[&UNIT, &output::FRAMES, &output::SECONDS, &durable::SECONDS];

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "molecule",
    what: "energies and forces of molecules, or atomisation energies",
    models: || models::named(&models::MOLECULE),
    check: |settings| {
        Asked::of(settings, KEYS)?;
        settings.model.as_deref().map_or(Ok(()), |name| models::potential(name).map(drop))
    },
    run: Doing {
        options: &[options::RUN, options::MODEL, &["input"]],
        keys: KEYS,
        example: "thalweg run molecule --input trajectory.xyz --output energies.parquet",
        go: run,
    },
    eval: None,
};

/// What the settings ask for.
pub(crate) struct Asked {
    /// The unit that a property is wanted in.
    unit: Option<Unit>,
    roll: Roll,
    every: Duration,
}

impl Asked {
    pub fn of(settings: &Settings, listed: Listed) -> Result<Asked, Failure> {
        let mut keys = Keys::of(&settings.set, listed);
        let unit = keys.take_or(&UNIT, String::new(), |unit: &String| Unit::by_name(unit).is_some());
        let (mut roll, mut every) = (Roll::default(), Duration::default());
        if listed.iter().any(|key| key.name == output::FRAMES.name) {
            (roll, every) = (output::roll(&mut keys, settings), durable::seconds(&mut keys, settings));
        }
        keys.done()?;
        Ok(Asked { unit: Unit::by_name(&unit), roll, every })
    }

    /// The unit of the values that a potential gives, and what its own are to be multiplied by.
    ///
    /// # Errors
    /// A unit beside a potential of energies and forces, which are eV and eV/Å; a potential of an unknown one.
    pub fn scale(&self, potential: &Potential) -> Result<(&'static str, f64), Failure> {
        let own = unit(potential)?;
        match self.unit {
            Some(wanted) if own.name == "eV" => Err(Failure::config(format!(
                "--set unit: found {}, expected a model of a property beside it: energies are eV, forces eV/Å",
                wanted.name
            ))),
            Some(wanted) => Ok((wanted.name, own.per(wanted))),
            None => Ok((own.name, 1.0)),
        }
    }
}

/// The unit of what a potential gives: eV of energies and forces, another one of a property.
///
/// # Errors
/// An unknown one.
pub(crate) fn unit(potential: &Potential) -> Result<Unit, Failure> {
    let unknown = || Failure::config(format!("model: found the unit {}, expected {UNIT_NAMES}", potential.unit()));
    Unit::by_name(potential.unit()).ok_or_else(unknown)
}

/// The model that the settings name, else the first.
pub(crate) fn model(settings: &Settings) -> Result<(String, Arc<Potential>), Failure> {
    let name = settings.model.as_deref().unwrap_or(models::MOLECULE[0].0);
    Ok((name.into(), Arc::new(models::potential(name)?)))
}

/// The frames for a potential; `unit` is that of a true `value`, where one is wanted. A property is one of many molecules, energies and
/// forces are mostly of one that moves.
pub(crate) fn open(
    settings: &Settings,
    context: &Context,
    potential: &Potential,
    unit: Option<Unit>,
) -> Result<Box<dyn Source<Item = Molecule>>, Failure> {
    if settings.input.is_empty() {
        return Err(Failure::Usage("--input: found none, expected a file .xyz, .extxyz, .sdf or .mol".into()));
    }
    if context.follows() {
        return Ok(Box::new(Nothing::default()));
    }
    let unknown = |name: &String| Failure::config(format!("format: found {name}, expected xyz or sdf"));
    let format = settings.format.as_ref().map(|name| name.parse().map_err(|()| unknown(name))).transpose()?;
    let options = MoleculesOptions {
        format,
        trajectory: potential.unit() == "eV",
        unit,
        start_offset: settings.start_offset,
        until: settings.until,
        on_error: input::on_error(settings),
        notices: context.notices.clone(),
        stop: Arc::clone(&context.drain),
    };
    let paths: Vec<PathBuf> = settings.input.iter().map(PathBuf::from).collect();
    Ok(Box::new(Molecules::open(&paths, options)?))
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    output::destination(settings)?;
    let asked = Asked::of(settings, KEYS)?;
    let (name, potential) = model(settings)?;
    let (unit, scale) = asked.scale(&potential)?;
    let mut durable = Durable::open(settings, context, asked.every, "molecule", Some(&name))?;
    let source = durable.frames(open(settings, context, &potential, None)?, 0)?;
    let done = durable.done();
    let energies = unit == "eV" && asked.unit.is_none();
    let sink = if energies {
        durable.table(settings, energy_schema(), ENERGIES, asked.roll)?
    } else {
        durable.table(settings, value_schema(), VALUES, asked.roll)?
    };
    if done {
        return Ok(Report::default());
    }
    let row = move |evaluated: Evaluated| {
        let row = |energy: f64| Energy {
            frame: evaluated.molecule.frame,
            value: scale * energy,
            forces: evaluated.forces.as_flattened().iter().map(|force| *force as f32).collect(),
            unit: unit.into(),
        };
        Ok(evaluated.energy.map(row).into_iter().collect::<Vec<Energy>>())
    };
    let mut report =
        finish::over(settings, context, source, |frames| frames.infer_energies(&potential).map("rows", row), sink)?;
    let errors: serde_json::Map<String, serde_json::Value> = potential
        .known()
        .map(|(name, energy, forces)| (name.to_string(), serde_json::json!({"energy": energy, "forces": forces})))
        .collect();
    report.extra.insert("typical_error".into(), errors.into());
    Ok(report)
}
