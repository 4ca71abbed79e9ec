//! `knn`: frames in, the exact k nearest neighbours of every point out.

use std::sync::Arc;

use thalweg::{Pipeline, Report};
use thalweg_connectors::batches::{knn_batches, knn_schema};
use thalweg_connectors::segments::Roll;

use crate::input::{self, Drive};
use crate::output;
use crate::pipeline::{Context, Ready};
use crate::settings::Keys;
use crate::{Failure, Settings};

/// The pipeline's line in the registry.
pub const READY: Ready = Ready {
    name: "knn",
    what: "exact k nearest neighbours of every point (k=16, 1 to 64)",
    check: |s| keys(s).map(drop),
    run,
};

fn keys(settings: &Settings) -> Result<(usize, Drive, Roll), Failure> {
    let mut keys = Keys::of(&settings.set);
    let k = keys.take("k", 16, "1 to 64", |k| (1..=64).contains(k));
    let drive = if input::is_street(&settings.input) { Drive::take(&mut keys) } else { Drive { frames: 0, seed: 0 } };
    let roll = output::roll(&mut keys);
    keys.done()?;
    if settings.output_format.is_some() {
        return Err(Failure::config("output_format: found label or las, expected table: knn writes edges, not labels"));
    }
    if settings.model.is_some() {
        return Err(Failure::config("model: found a model, expected none: knn has no network"));
    }
    Ok((k, drive, roll))
}

fn run(settings: &Settings, context: &Context) -> Result<Report, Failure> {
    let (k, drive, roll) = keys(settings)?;
    let (source, warnings) = input::open(settings, drive, &context.drain)?;
    warnings.iter().for_each(|warning| (context.warn)(warning));
    let sink = output::table(settings, knn_schema(), knn_batches, roll)?;
    let pipeline = Pipeline::from_source(source).workers(settings.workers).drain_when(Arc::clone(&context.drain));
    (context.watch)(pipeline.stats());
    Ok(pipeline.run(|points| points.knn_graph(k), sink)?)
}
