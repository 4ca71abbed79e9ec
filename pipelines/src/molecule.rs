//! `molecule`: frames of atoms in, energies and forces out, or a property.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thalweg::molecules::{Evaluated, Molecule, Potential};
use thalweg::{Report, Source};
use thalweg_connectors::molecules::{Molecules, MoleculesOptions};
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
    expected: "kcal/mol, eV, meV, kJ/mol or hartree",
    what: "with a model of a property, the unit of the column value",
};

/// Units of energy, and what one of them is in eV (CODATA 2018; 1 cal = 4.184 J).
const UNITS: [(&str, f64); 5] = [
    ("kcal/mol", 4184.0 / 96_485.332_123_31),
    ("eV", 1.0),
    ("meV", 1e-3),
    ("kJ/mol", 1000.0 / 96_485.332_123_31),
    ("hartree", 27.211_386_245_988),
];

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
    unit: Option<&'static str>,
    roll: Roll,
    every: Duration,
}

impl Asked {
    pub fn of(settings: &Settings, listed: Listed) -> Result<Asked, Failure> {
        let mut keys = Keys::of(&settings.set, listed);
        let unit = keys.take_or(&UNIT, String::new(), |unit: &String| UNITS.iter().any(|(name, _)| name == unit));
        let (mut roll, mut every) = (Roll::default(), Duration::default());
        if listed.iter().any(|key| key.name == output::FRAMES.name) {
            (roll, every) = (output::roll(&mut keys), durable::seconds(&mut keys, settings));
        }
        keys.done()?;
        let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(name, _)| *name);
        Ok(Asked { unit, roll, every })
    }

    /// The unit of the values that a potential gives, and what its own are to be multiplied by.
    ///
    /// # Errors
    /// A unit beside a potential of energies and forces, which are eV and eV/Å; a potential of an unknown one.
    pub fn scale(&self, potential: &Potential) -> Result<(&'static str, f64), Failure> {
        let own = UNITS.iter().find(|(name, _)| *name == potential.unit());
        let own = own.ok_or_else(|| Failure::config(format!("model: found the unit {}", potential.unit())))?;
        match self.unit {
            Some(unit) if own.0 == "eV" => Err(Failure::config(format!(
                "--set unit: found {unit}, expected a model of a property beside it: energies are eV, forces eV/Å"
            ))),
            Some(unit) => {
                let wanted = UNITS.iter().find(|(name, _)| *name == unit).unwrap_or(own);
                Ok((wanted.0, own.1 / wanted.1))
            }
            None => Ok((own.0, 1.0)),
        }
    }
}

/// The model that the settings name, else the first.
pub(crate) fn model(settings: &Settings) -> Result<(String, Arc<Potential>), Failure> {
    let name = settings.model.as_deref().unwrap_or(models::MOLECULE[0].0);
    Ok((name.into(), Arc::new(models::potential(name)?)))
}

/// The frames.
pub(crate) fn open(settings: &Settings, context: &Context) -> Result<Box<dyn Source<Item = Molecule>>, Failure> {
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
    let source = durable.frames(open(settings, context)?, 0)?;
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
