//! Energies of molecules as Arrow record batches: `frame` i64, `energy` f64 (eV) and `forces`, a list of f32 (eV/Å), three an atom; or
//! `frame`, `value` f64 and `unit` utf8 for a property. A frame whose molecule is unknown has no row.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::batches::{batch, field, float_list_column, float_lists};
use super::writer::Batches;
use crate::error::Error;

/// One row of the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// The frame's number.
    pub frame: i64,
    /// The energy (eV), or the property in `unit`.
    pub value: f64,
    /// Forces (eV/Å), three an atom.
    pub forces: Vec<f32>,
    /// The unit of a property.
    pub unit: Cow<'static, str>,
}

/// `frame`, `energy`, `forces`.
pub fn energy_schema() -> SchemaRef {
    let forces = field("forces", float_lists());
    Arc::new(Schema::new(vec![field("frame", DataType::Int64), field("energy", DataType::Float64), forces]))
}

/// `frame`, `value`, `unit`.
pub fn value_schema() -> SchemaRef {
    let value = field("value", DataType::Float64);
    Arc::new(Schema::new(vec![field("frame", DataType::Int64), value, field("unit", DataType::Utf8)]))
}

/// A row a frame under [`energy_schema`].
pub const ENERGIES: Batches<Vec<Energy>> = |rows| {
    let forces = float_list_column("column forces", rows.iter().map(|row| &row.forces[..]));
    one(rows, forces.and_then(|forces| batch(energy_schema(), vec![frames(rows), values(rows), forces])))
};

/// A row a frame under [`value_schema`].
pub const VALUES: Batches<Vec<Energy>> = |rows| {
    let units: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &*row.unit)));
    one(rows, batch(value_schema(), vec![frames(rows), values(rows), units]))
};

fn frames(rows: &[Energy]) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.frame)))
}

fn values(rows: &[Energy]) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.value)))
}

/// The batch, if there are rows.
fn one<'a>(
    rows: &[Energy],
    batch: Result<RecordBatch, Error>,
) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + 'a> {
    Box::new((!rows.is_empty()).then_some(batch).into_iter())
}
