//! A network's answers as Arrow record batches: `as_of` i64 (s), `node` utf8, `y` list of f32, with differences `diff` i8.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use thalweg::graph::{Answer, Answers};

use super::batches::{batch, cuts, field, float_list_column, float_lists};
use crate::error::Error;

fn fields() -> Vec<Field> {
    vec![field("as_of", DataType::Int64), field("node", DataType::Utf8), field("y", float_lists())]
}

/// `as_of`, `node`, `y`.
pub fn answers_schema() -> SchemaRef {
    Arc::new(Schema::new(fields()))
}

/// [`answers_schema`] with `diff`.
pub fn answer_changes_schema() -> SchemaRef {
    let mut fields = fields();
    fields.push(field("diff", DataType::Int8));
    Arc::new(Schema::new(fields))
}

/// One row a node under [`answers_schema`], ascending by the bytes of its name.
pub fn answers_batches(answers: &Answers) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    Box::new(cuts(answers.rows.len()).map(|rows| batch(answers_schema(), columns(answers, &answers.rows[rows])?)))
}

/// [`answers_batches`] with the difference under [`answer_changes_schema`].
pub fn answer_changes_batches(answers: &Answers) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    Box::new(cuts(answers.rows.len()).map(|rows| {
        let rows = &answers.rows[rows];
        let mut columns = columns(answers, rows)?;
        columns.push(Arc::new(Int8Array::from_iter_values(rows.iter().map(|row| row.diff))));
        batch(answer_changes_schema(), columns)
    }))
}

fn columns(answers: &Answers, rows: &[Answer]) -> Result<Vec<ArrayRef>, Error> {
    let name = |node: u32| answers.names.get(node as usize).map_or("", |name| name);
    Ok(vec![
        Arc::new(Int64Array::from_value(super::batches::seconds(answers.as_of), rows.len())),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| name(row.node)))),
        float_list_column("column y", rows.iter().map(|row| &*row.y))?,
    ])
}
