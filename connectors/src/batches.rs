//! Results as Arrow record batches: the columns that the program's outputs promise.
//!
//! A frame becomes batches of at most 65,536 rows, cut by rows alone.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt8Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use thalweg::{KnnGraph, Segmentation};

use crate::error::Error;

/// Most rows in a batch.
pub const ROWS: usize = 65_536;

fn field(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
    RecordBatch::try_new(schema, columns).map_err(|e| Error::Value {
        what: "columns of one batch",
        found: e.to_string(),
        expected: "the schema's types, of one length".into(),
    })
}

/// Cuts `rows` rows into ranges of at most [`ROWS`].
fn cuts(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows.div_ceil(ROWS)).map(move |i| i * ROWS..rows.min((i + 1) * ROWS))
}

/// `frame` i64, `point` u32, `class` u8, `class_name` dictionary of utf8, `confidence` f32, `instance` u32.
pub fn segmentation_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        field("frame", DataType::Int64),
        field("point", DataType::UInt32),
        field("class", DataType::UInt8),
        field("class_name", dictionary()),
        field("confidence", DataType::Float32),
        field("instance", DataType::UInt32),
    ]))
}

/// One row per point read, in point order, under [`segmentation_schema`]. A class that is not in the table is an error.
pub fn segmentation_batches(item: &Segmentation) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    // The names stand in the dictionary in ascending order of their codes, the same for every frame.
    let names: Vec<&str> = item.classes.iter().map(|(_, name)| name).collect();
    let mut key_of_class = [-1i32; 256];
    for (key, (code, _)) in item.classes.iter().enumerate() {
        key_of_class[usize::from(code)] = key as i32;
    }
    let names: ArrayRef = Arc::new(StringArray::from(names));
    let schema = segmentation_schema();
    Box::new(cuts(item.class.len()).map(move |rows| {
        let class = &item.class[rows.clone()];
        let keys = Int32Array::from_iter_values(class.iter().map(|&c| key_of_class[usize::from(c)]));
        let class_names = DictionaryArray::<Int32Type>::try_new(keys, names.clone());
        let class_names = class_names.map_err(|e| Error::Value {
            what: "class of a point",
            found: e.to_string(),
            expected: "a code of the class table".into(),
        })?;
        batch(
            schema.clone(),
            vec![
                Arc::new(Int64Array::from_value(item.frame.id, rows.len())),
                Arc::new(UInt32Array::from_iter_values(rows.start as u32..rows.end as u32)),
                Arc::new(UInt8Array::from(class.to_vec())),
                Arc::new(class_names),
                Arc::new(Float32Array::from(item.confidence[rows.clone()].to_vec())),
                Arc::new(UInt32Array::from(item.instance[rows].to_vec())),
            ],
        )
    }))
}

/// `frame` i64, `src` u64, `rank` u8, `dst` u64, `d2` f32.
pub fn knn_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        field("frame", DataType::Int64),
        field("src", DataType::UInt64),
        field("rank", DataType::UInt8),
        field("dst", DataType::UInt64),
        field("d2", DataType::Float32),
    ]))
}

/// One row per node and neighbour under [`knn_schema`], sorted by (`src`, `rank`); ids are point indices.
pub fn knn_batches(graph: &KnnGraph) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    let point = &graph.nodes.point;
    let k = graph.k.max(1);
    let schema = knn_schema();
    // Whole nodes a batch: no division an edge.
    let nodes = (ROWS / k).max(1);
    Box::new((0..graph.dst.len() / k).step_by(nodes).map(move |first| {
        let of_batch = &point[first..point.len().min(first + nodes)];
        let rows = first * k..(first + of_batch.len()) * k;
        let mut src = Vec::with_capacity(rows.len());
        let mut rank = Vec::with_capacity(rows.len());
        for &point in of_batch {
            src.extend(std::iter::repeat_n(u64::from(point), k));
            rank.extend(0..k as u8);
        }
        let dst: Vec<u64> = graph.dst[rows.clone()].iter().map(|&node| u64::from(point[node as usize])).collect();
        batch(
            schema.clone(),
            vec![
                Arc::new(Int64Array::from_value(graph.nodes.frame.id, rows.len())),
                Arc::new(UInt64Array::from(src)),
                Arc::new(UInt8Array::from(rank)),
                Arc::new(UInt64Array::from(dst)),
                Arc::new(Float32Array::from(graph.d2[rows].to_vec())),
            ],
        )
    }))
}
