//! From `--output` to a sink: one file, a folder of segments, `.label` files, or LAS/LAZ.

use std::path::Path;
use std::time::Duration;

use thalweg::{Segmentation, Sink};
use thalweg_connectors::out::label::LabelSink;
use thalweg_connectors::out::las::LasSink;
use thalweg_connectors::out::records::SchemaRef;
use thalweg_connectors::out::records::{Batches, TableSink};
use thalweg_connectors::out::segments::{Roll, SegmentSink};

use crate::settings::{Keys, OutputFormat};
use crate::{Failure, Settings};

/// When a segment of a folder is full.
pub fn roll(keys: &mut Keys<'_>) -> Roll {
    let default = Roll::default();
    Roll {
        items: keys.take("segment_frames", default.items, "a number of frames, 1 or more", |n| *n > 0),
        age: Duration::from_secs(keys.take("segment_seconds", default.age.as_secs(), "seconds, 1 or more", |n| *n > 0)),
    }
}

/// A table in one file, or in a folder of segments.
///
/// # Errors
/// No output (exit 2), an ending that names no table format (exit 78), a place that cannot be written (exit 1).
pub fn table<T: 'static>(
    settings: &Settings,
    schema: SchemaRef,
    batches: Batches<T>,
    roll: Roll,
) -> Result<Box<dyn Sink<T>>, Failure> {
    let output = destination(settings)?;
    if output.ends_with('/') {
        return Ok(Box::new(SegmentSink::create(Path::new(output), schema, batches, roll)?));
    }
    Ok(Box::new(TableSink::create(Path::new(output), schema, batches)?))
}

/// Labels as a table, as `.label` files, or as LAS/LAZ.
///
/// # Errors
/// See [`table`].
pub fn labels(settings: &Settings, roll: Roll) -> Result<Box<dyn Sink<Segmentation>>, Failure> {
    let path = Path::new(destination(settings)?);
    Ok(match settings.output_format {
        Some(OutputFormat::Label) => Box::new(LabelSink::create(path)?),
        Some(OutputFormat::Las) => Box::new(LasSink::create(path)?),
        None => {
            let (schema, batches) = (
                thalweg_connectors::out::batches::segmentation_schema(),
                thalweg_connectors::out::batches::segmentation_batches,
            );
            table(settings, schema, batches, roll)?
        }
    })
}

fn destination(settings: &Settings) -> Result<&str, Failure> {
    settings.output.as_deref().ok_or_else(|| Failure::Usage("--output: found none, expected a path".into()))
}
