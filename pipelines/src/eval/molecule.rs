//! `eval molecule`: energies and forces against those in the file: mean absolute and root mean square errors.
//!
//! A file's truth is in the unit that it states, else in the model's; errors are in the unit asked for.
//!
//! Potentials of one molecule may differ from a file by a constant, so errors are also given with the mean difference subtracted.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::json;
use thalweg::molecules::Evaluated;
use thalweg::{BoxError, Epoch, Sink};
use thalweg_connectors::molecules::{UNITS, Unit};

use crate::failure::Failure;
use crate::keys::Listed;
use crate::molecule::{self, Asked, UNIT, model, open};
use crate::pipeline::{Context, Doing, Measured};
use crate::settings::Settings;
use crate::{finish, options, plot};

/// The pipeline's `eval`.
pub const EVAL: Doing<Measured> = Doing {
    options: &[options::EVAL, &["input", "plot"]],
    keys: KEYS,
    example: "thalweg eval molecule --input trajectory.xyz",
    go: molecule,
};

const KEYS: Listed = &[&UNIT];

/// Errors of energies, or of a property.
#[derive(Debug, Serialize)]
struct Energies {
    frames: u64,
    mae: f64,
    rmse: f64,
    /// With the mean difference subtracted.
    mae_shifted: f64,
    mean_difference: f64,
}

/// Errors of the components of forces.
#[derive(Debug, Serialize)]
struct Forces {
    components: u64,
    mae: f64,
    rmse: f64,
}

/// What `eval molecule` found.
#[derive(Debug, Serialize)]
struct Scores {
    model: String,
    /// The unit of energies; forces are in that unit per Å.
    unit: &'static str,
    energies: Option<Energies>,
    forces: Option<Forces>,
}

/// What is true beside what was found, in one order.
#[derive(Debug, Default)]
struct Pairs {
    truth: Vec<f64>,
    found: Vec<f64>,
}

impl Pairs {
    fn push(&mut self, truth: f64, found: f64) {
        self.truth.push(truth);
        self.found.push(found);
    }

    /// Found less true.
    fn differences(&self) -> Vec<f64> {
        self.found.iter().zip(&self.truth).map(|(found, truth)| found - truth).collect()
    }
}

/// Energies, or the property, and components of forces.
#[derive(Debug, Default)]
struct Compared {
    energies: Pairs,
    forces: Pairs,
}

struct Kept {
    compared: Arc<Mutex<Compared>>,
    /// From the model's unit to the one that was asked for.
    scale: f64,
    /// True if the truth is the property `value`.
    property: bool,
}

impl Sink<Evaluated> for Kept {
    fn name(&self) -> String {
        "evaluation".into()
    }
    fn write(&mut self, _: Epoch, item: Evaluated) -> Result<(), BoxError> {
        let mut kept = self.compared.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let truth = if self.property { item.molecule.value } else { item.molecule.energy };
        if let Some((found, truth)) = item.energy.zip(truth) {
            kept.energies.push(self.scale * truth, self.scale * found);
        }
        if let Some(truth) = item.molecule.forces.as_ref().filter(|_| !self.property) {
            let pairs = item.forces.as_flattened().iter().zip(truth.as_flattened());
            pairs.for_each(|(found, truth)| kept.forces.push(*truth, *found));
        }
        Ok(())
    }
    fn finish(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Runs the model over the input and compares with what the files say.
///
/// # Errors
/// Those of the run; files without energies and forces.
pub fn molecule(settings: &Settings, context: &Context) -> Result<Measured, Failure> {
    let asked = Asked::of(settings, KEYS)?;
    let (name, potential) = model(settings)?;
    let (unit, scale) = asked.scale(&potential)?;
    let compared = Arc::new(Mutex::new(Compared::default()));
    let sink = Kept { compared: Arc::clone(&compared), scale, property: potential.unit() != "eV" };
    let source = open(settings, context, &potential, Some(molecule::unit(&potential)?))?;
    let mut report = finish::over(settings, context, source, |frames| frames.infer_energies(&potential), sink)?;
    finish::complete(&mut report, &context.notices);
    let kept = std::mem::take(&mut *compared.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    if let Some(file) = &settings.plot {
        draw(&kept, unit, file)?;
    }
    report.warnings.extend(doubtful_unit(&kept, molecule::unit(&potential)?));
    let scores = Scores {
        model: name,
        unit,
        energies: energies(&kept.energies.differences()),
        forces: forces(&kept.forces.differences()),
    };
    if scores.energies.is_none() && scores.forces.is_none() {
        let expected = if potential.unit() == "eV" { "energy= or a column forces" } else { "value=" };
        return Err(Failure::run(format!("found no frame with a truth, expected {expected} in the files")));
    }
    Ok(Measured { json: json!(scores), text: scores.to_string(), report })
}

/// Found against true, and energies frame by frame.
fn draw(kept: &Compared, unit: &str, file: &Path) -> Result<(), Failure> {
    let (Pairs { truth: true_energies, found: found_energies }, forces) = (&kept.energies, &kept.forces);
    let frames: Vec<f64> = (0..true_energies.len()).map(|frame| frame as f64).collect();
    let label = format!("energy ({unit})");
    let per = format!("{unit}/Å");
    let lines = [
        plot::Line { name: "true", x: &frames, y: true_energies },
        plot::Line { name: "found", x: &frames, y: found_energies },
    ];
    let mut figure = plot::Figure::new("Energies and forces", [720, 640]).panel(plot::Parity {
        title: "energies",
        quantity: "energy",
        unit,
        reference: true_energies,
        predicted: found_energies,
    });
    if !forces.truth.is_empty() {
        let (reference, predicted) = (&forces.truth[..], &forces.found[..]);
        figure = figure.panel(plot::Parity { title: "forces", quantity: "force", unit: &per, reference, predicted });
    }
    let panel = plot::Series { title: "frame by frame", x_label: "frame", y_label: &label, lines: &lines };
    figure.panel(panel).save(file)
}

/// What the truth's unit seems to be, if not `own`: the quotient of true and found energies, or else of forces, says so to one part in fifty.
fn doubtful_unit(kept: &Compared, own: Unit) -> Option<String> {
    let size = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let quotient = |pairs: &Pairs| size(&pairs.truth) / size(&pairs.found);
    let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.02;
    let others = || UNITS.into_iter().filter(|unit| *unit != own);
    let energies = quotient(&kept.energies);
    if let Some(unit) = others().find(|unit| near(energies, own.per(*unit))) {
        let (own, unit) = (own.name, unit.name);
        return Some(format!(
            "true energies are {energies:.3} times those found: are they {unit}? They were read as {own}; unit={unit} says so"
        ));
    }
    let opposite = kept.energies.truth.iter().zip(&kept.energies.found).filter(|(a, b)| **a * **b < 0.0).count();
    if opposite > 0 && opposite == kept.energies.truth.len() && near(energies, 1.0) {
        return Some("true energies have the other sign than those found".into());
    }
    let forces = quotient(&kept.forces);
    // Forces per bohr are 1.89 times smaller in number than those per Å.
    let bohr = 0.529_177_210_9;
    let per = [("Å", 1.0), ("bohr", bohr)];
    let units = UNITS.into_iter().flat_map(|unit| per.map(|(length, factor)| (unit, length, factor)));
    let other = units.filter(|(unit, length, _)| *unit != own || *length != "Å");
    let likely = other.min_by(|a, b| {
        let off = |(unit, _, factor): &(Unit, &str, f64)| (forces / (own.per(*unit) * factor)).ln().abs();
        off(a).total_cmp(&off(b))
    });
    let (unit, length, factor) = likely?;
    near(forces, own.per(unit) * factor).then(|| {
        let (own, unit) = (own.name, unit.name);
        format!("true forces are {forces:.3} times those found: are they {unit}/{length}? They were read as {own}/Å")
    })
}

fn mean(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    values.sum::<f64>() / count as f64
}

fn energies(differences: &[f64]) -> Option<Energies> {
    let count = differences.len();
    let offset = mean(differences.iter().copied(), count);
    (count > 0).then(|| Energies {
        frames: count as u64,
        mae: mean(differences.iter().map(|d| d.abs()), count),
        rmse: mean(differences.iter().map(|d| d * d), count).sqrt(),
        mae_shifted: mean(differences.iter().map(|d| (d - offset).abs()), count),
        mean_difference: offset,
    })
}

fn forces(differences: &[f64]) -> Option<Forces> {
    let count = differences.len();
    (count > 0).then(|| Forces {
        components: count as u64,
        mae: mean(differences.iter().map(|d| d.abs()), count),
        rmse: mean(differences.iter().map(|d| d * d), count).sqrt(),
    })
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = self.unit;
        writeln!(f, "model {}", self.model)?;
        if let Some(found) = &self.energies {
            writeln!(
                f,
                "energies of {} frames: MAE {:.5} {unit}, RMSE {:.5} {unit}",
                found.frames, found.mae, found.rmse
            )?;
            let (shifted, offset) = (found.mae_shifted, found.mean_difference);
            writeln!(f, "  with the mean difference {offset:.5} {unit} subtracted: MAE {shifted:.5} {unit}")?;
        }
        if let Some(found) = &self.forces {
            let (mae, rmse) = (found.mae, found.rmse);
            writeln!(f, "forces, {} components: MAE {mae:.5} {unit}/Å, RMSE {rmse:.5} {unit}/Å", found.components)?;
        }
        Ok(())
    }
}
