//! Results as Arrow record batches: the columns that the program's outputs promise.
//!
//! A frame becomes batches of at most 65,536 rows, cut by rows alone.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float32Array, Int8Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int32Type, Schema, SchemaRef};
use thalweg::contacts::{Score, Scores};
use thalweg::points::map::{MapChanges, MapGraph};
use thalweg::points::radar::{JOINT_NAMES, JOINTS, Skeleton};
use thalweg::{KnnGraph, Segmentation};

use crate::error::Error;
use crate::out::writer::Batches;

/// Most rows in a batch.
pub const ROWS: usize = 65_536;

pub(super) fn field(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(super) fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
    RecordBatch::try_new(schema, columns).map_err(|e| Error::Value {
        what: "columns of one batch",
        found: e.to_string(),
        expected: "the schema's types, of one length".into(),
    })
}

/// `frame` i64, `joint` u8, `joint_name` dictionary of utf8, `x`, `y`, `z`, `sigma` f32 (m).
pub fn pose_schema() -> SchemaRef {
    let mut fields =
        vec![field("frame", DataType::Int64), field("joint", DataType::UInt8), field("joint_name", dictionary())];
    fields.extend(["x", "y", "z", "sigma"].map(|name| field(name, DataType::Float32)));
    Arc::new(Schema::new(fields))
}

/// A row a joint, in their order, under [`pose_schema`].
pub fn pose_batches(item: &Skeleton) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    let axis =
        |axis: usize| Arc::new(Float32Array::from_iter_values(item.joint.iter().map(|place| place[axis]))) as ArrayRef;
    let keys = Int32Array::from_iter_values(0..JOINTS as i32);
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(JOINT_NAMES));
    let named = DictionaryArray::<Int32Type>::try_new(keys, names);
    let columns = named.map_err(|error| Error::Value {
        what: "names of joints",
        found: error.to_string(),
        expected: "a dictionary".into(),
    });
    Box::new(std::iter::once(columns.and_then(|named| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_value(item.frame, JOINTS)),
            Arc::new(UInt8Array::from_iter_values(0..JOINTS as u8)),
            Arc::new(named),
            axis(0),
            axis(1),
            axis(2),
            Arc::new(Float32Array::from_iter_values(item.sigma)),
        ];
        batch(pose_schema(), columns)
    })))
}

/// The type of a column of lists of f32.
pub(super) fn float_lists() -> DataType {
    DataType::List(item())
}

fn item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Float32, false))
}

/// A column of lists of f32; `column` is how a message calls it.
pub(super) fn float_list_column<'a>(
    column: &'static str,
    lists: impl Iterator<Item = &'a [f32]> + Clone,
) -> Result<ArrayRef, Error> {
    let values = Float32Array::from_iter_values(lists.clone().flatten().copied());
    let offsets = OffsetBuffer::from_lengths(lists.map(<[f32]>::len));
    let lists = ListArray::try_new(item(), offsets, Arc::new(values), None);
    let failed = |e: arrow::error::ArrowError| Error::Value {
        what: column,
        found: e.to_string(),
        expected: "a list a row".into(),
    };
    Ok(Arc::new(lists.map_err(failed)?))
}

/// Cuts `rows` rows into ranges of at most [`ROWS`].
pub(super) fn cuts(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows.div_ceil(ROWS)).map(move |i| i * ROWS..rows.min((i + 1) * ROWS))
}

/// Columns of labels beside the usual ones.
///
/// ```
/// use thalweg_connectors::out::batches::LabelColumns;
///
/// let columns: LabelColumns = "time, xyz".parse()?;
/// assert_eq!(columns, LabelColumns { xyz: true, path: false, time: true });
/// # Ok::<(), thalweg_connectors::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelColumns {
    /// `x`, `y`, `z` f32: the point as it was read (m).
    pub xyz: bool,
    /// `path`, a dictionary of utf8: the frame's file, null where it has none.
    pub path: bool,
    /// `time` i64: the frame's time (ns), null where it has none.
    pub time: bool,
}

impl std::str::FromStr for LabelColumns {
    type Err = Error;

    fn from_str(text: &str) -> Result<LabelColumns, Error> {
        let mut columns = LabelColumns::default();
        for name in text.split(',').map(str::trim) {
            match name {
                "xyz" => columns.xyz = true,
                "path" => columns.path = true,
                "time" => columns.time = true,
                _ => {
                    let expected = "xyz, path and time, divided by commas".into();
                    return Err(Error::Value { what: "columns", found: name.into(), expected });
                }
            }
        }
        Ok(columns)
    }
}

impl LabelColumns {
    const fn bits(self) -> u8 {
        self.xyz as u8 | (self.path as u8) << 1 | (self.time as u8) << 2
    }

    const fn of_bits(bits: u8) -> LabelColumns {
        LabelColumns { xyz: bits & 1 != 0, path: bits & 2 != 0, time: bits & 4 != 0 }
    }
}

/// `frame` i64, `point` u32, the columns asked for, `class` u8, `class_name` dictionary of utf8, `confidence` f32, `instance` u32.
pub fn segmentation_schema_with(columns: LabelColumns) -> SchemaRef {
    let mut fields = vec![field("frame", DataType::Int64), field("point", DataType::UInt32)];
    if columns.xyz {
        fields.extend(["x", "y", "z"].map(|name| field(name, DataType::Float32)));
    }
    if columns.path {
        fields.push(Field::new("path", dictionary(), true));
    }
    if columns.time {
        fields.push(Field::new("time", DataType::Int64, true));
    }
    fields.extend([
        field("class", DataType::UInt8),
        field("class_name", dictionary()),
        field("confidence", DataType::Float32),
        field("instance", DataType::UInt32),
    ]);
    Arc::new(Schema::new(fields))
}

/// [`segmentation_schema_with`] no more columns than usual.
pub fn segmentation_schema() -> SchemaRef {
    segmentation_schema_with(LabelColumns::default())
}

/// One row per point read, in point order, under [`segmentation_schema`]. A class that is not in the table is an error.
pub fn segmentation_batches(item: &Segmentation) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    labels::<0>(item)
}

/// [`segmentation_batches`] under [`segmentation_schema_with`] the same columns.
pub fn segmentation_batches_with(columns: LabelColumns) -> Batches<Segmentation> {
    match columns.bits() {
        0 => labels::<0>,
        1 => labels::<1>,
        2 => labels::<2>,
        3 => labels::<3>,
        4 => labels::<4>,
        5 => labels::<5>,
        6 => labels::<6>,
        _ => labels::<7>,
    }
}

/// The rows of a frame, with the columns whose bits are set.
fn labels<const COLUMNS: u8>(item: &Segmentation) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    // The names stand in the dictionary in ascending order of their codes, the same for every frame.
    let names: Vec<&str> = item.classes.iter().map(|(_, name)| name).collect();
    let mut key_of_class = [-1i32; 256];
    for (key, (code, _)) in item.classes.iter().enumerate() {
        key_of_class[usize::from(code)] = key as i32;
    }
    let names: ArrayRef = Arc::new(StringArray::from(names));
    let path: ArrayRef =
        Arc::new(StringArray::from_iter_values(item.frame.path.iter().map(|path| path.to_string_lossy())));
    let columns = LabelColumns::of_bits(COLUMNS);
    let schema = segmentation_schema_with(columns);
    let wrong = |what, expected: &str| {
        let expected = expected.to_string();
        move |e: arrow::error::ArrowError| Error::Value { what, found: e.to_string(), expected }
    };
    Box::new(cuts(item.class.len()).map(move |rows| {
        let frame = &item.frame;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_value(frame.id, rows.len())),
            Arc::new(UInt32Array::from_iter_values(rows.start as u32..rows.end as u32)),
        ];
        if columns.xyz {
            let axes = [&frame.x, &frame.y, &frame.z];
            arrays.extend(axes.map(|axis| Arc::new(Float32Array::from(axis[rows.clone()].to_vec())) as ArrayRef));
        }
        if columns.path {
            let keys = Int32Array::from_iter((0..rows.len()).map(|_| frame.path.as_ref().map(|_| 0)));
            let paths = DictionaryArray::<Int32Type>::try_new(keys, path.clone());
            arrays.push(Arc::new(paths.map_err(wrong("path of a frame", "text"))?));
        }
        if columns.time {
            arrays.push(Arc::new(Int64Array::from_iter((0..rows.len()).map(|_| frame.time_ns))));
        }
        let class = &item.class[rows.clone()];
        let keys = Int32Array::from_iter_values(class.iter().map(|&c| key_of_class[usize::from(c)]));
        let class_names = DictionaryArray::<Int32Type>::try_new(keys, names.clone());
        let class_names = class_names.map_err(wrong("class of a point", "a code of the class table"))?;
        arrays.extend([
            Arc::new(UInt8Array::from(class.to_vec())) as ArrayRef,
            Arc::new(class_names),
            Arc::new(Float32Array::from(item.confidence[rows.clone()].to_vec())),
            Arc::new(UInt32Array::from(item.instance[rows].to_vec())),
        ]);
        batch(schema.clone(), arrays)
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

/// The columns of [`knn_schema`], and `diff` i8: −1 for a row that stood before the frame, +1 for one that stands after it.
pub fn knn_changes_schema() -> SchemaRef {
    let columns = knn_schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    Arc::new(Schema::new([columns, vec![field("diff", DataType::Int8)]].concat()))
}

/// One row per node and neighbour under [`knn_schema`], sorted by (`src`, `rank`); ids are point indices.
pub fn knn_batches(graph: &KnnGraph) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    let (point, k) = (&graph.nodes.point, graph.k);
    let lists = point.iter().enumerate().map(move |(i, &src)| {
        let row = i * k..(i + 1) * k;
        let dst = graph.neighbor[row.clone()].iter().map(|&node| u64::from(point[node as usize]));
        List { src: u64::from(src), diff: 1, dst, d2: &graph.d2[row] }
    });
    edge_batches(graph.nodes.frame.id, knn_schema(), lists)
}

/// One row per voxel and neighbour under [`knn_schema`], sorted by (`src`, `rank`).
pub fn map_batches(graph: &MapGraph) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    let lists = graph.id.iter().enumerate().map(|(i, &src)| {
        let (dst, d2) = graph.lists.row(i);
        List { src, diff: 1, dst: dst.iter().copied(), d2 }
    });
    edge_batches(graph.frame, knn_schema(), lists)
}

/// One row per neighbour in the old (−1) and the new (+1) lists that a frame changed, under [`knn_changes_schema`], sorted by
/// (`src`, `diff`, `rank`).
pub fn map_changes_batches(changes: &MapChanges) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    let lists = changes.lists.src.iter().enumerate().flat_map(|(i, &src)| {
        [(-1, changes.lists.old.row(i)), (1, changes.lists.new.row(i))].map(|(diff, (dst, d2))| List {
            src,
            diff,
            dst: dst.iter().copied(),
            d2,
        })
    });
    edge_batches(changes.frame, knn_changes_schema(), lists)
}

/// One node's neighbours, nearest first, and the difference that they make.
struct List<'a, I> {
    src: u64,
    diff: i8,
    dst: I,
    d2: &'a [f32],
}

/// Rows of one batch.
struct Edges {
    src: Vec<u64>,
    rank: Vec<u8>,
    dst: Vec<u64>,
    d2: Vec<f32>,
    diff: Vec<i8>,
}

impl Edges {
    fn with_room() -> Edges {
        Edges {
            src: Vec::with_capacity(ROWS),
            rank: Vec::with_capacity(ROWS),
            dst: Vec::with_capacity(ROWS),
            d2: Vec::with_capacity(ROWS),
            diff: Vec::new(),
        }
    }

    fn extend(&mut self, list: List<'_, impl Iterator<Item = u64>>, differs: bool) {
        let k = list.d2.len();
        self.src.extend(std::iter::repeat_n(list.src, k));
        self.rank.extend(0..k as u8);
        self.dst.extend(list.dst);
        self.d2.extend_from_slice(list.d2);
        if differs {
            self.diff.extend(std::iter::repeat_n(list.diff, k));
        }
    }

    fn batch(self, frame: i64, schema: SchemaRef) -> Result<RecordBatch, Error> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_value(frame, self.src.len())),
            Arc::new(UInt64Array::from(self.src)),
            Arc::new(UInt8Array::from(self.rank)),
            Arc::new(UInt64Array::from(self.dst)),
            Arc::new(Float32Array::from(self.d2)),
        ];
        if !self.diff.is_empty() {
            columns.push(Arc::new(Int8Array::from(self.diff)));
        }
        batch(schema, columns)
    }
}

/// Lists as rows, whole lists a batch; with the column `diff` where the schema has it.
fn edge_batches<'a, I: Iterator<Item = u64> + 'a>(
    frame: i64,
    schema: SchemaRef,
    lists: impl Iterator<Item = List<'a, I>> + 'a,
) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + 'a> {
    let differs = schema.field_with_name("diff").is_ok();
    let mut lists = lists.filter(|list| !list.d2.is_empty()).peekable();
    Box::new(std::iter::from_fn(move || {
        lists.peek()?;
        let mut edges = Edges::with_room();
        while let Some(list) = lists.next_if(|list| edges.src.len() + list.d2.len() <= ROWS) {
            edges.extend(list, differs);
        }
        Some(edges.batch(frame, schema.clone()))
    }))
}

/// The structures in `because`.
fn because_fields() -> Fields {
    vec![field("person", DataType::Utf8), field("weight", DataType::Float32)].into()
}

fn because_item() -> Arc<Field> {
    Arc::new(field("item", DataType::Struct(because_fields())))
}

/// A time (ns) in whole seconds, up: no row that it has is after it.
pub(super) fn seconds(t: i64) -> i64 {
    t.div_euclid(1_000_000_000) + i64::from(t.rem_euclid(1_000_000_000) > 0)
}

/// `as_of` i64 (s), `person` utf8, `score` f32, `model` utf8, `because` list of (`person` utf8, `weight` f32).
pub fn risk_schema() -> SchemaRef {
    Arc::new(Schema::new(risk_fields()))
}

/// [`risk_schema`] with `diff` i8.
pub fn risk_changes_schema() -> SchemaRef {
    let mut fields = risk_fields();
    fields.push(field("diff", DataType::Int8));
    Arc::new(Schema::new(fields))
}

fn risk_fields() -> Vec<Field> {
    vec![
        field("as_of", DataType::Int64),
        field("person", DataType::Utf8),
        field("score", DataType::Float32),
        field("model", DataType::Utf8),
        field("because", DataType::List(because_item())),
    ]
}

/// One row a person under [`risk_schema`], ascending by the bytes of the name.
pub fn risk_batches(scores: &Scores) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    Box::new(cuts(scores.rows.len()).map(|rows| batch(risk_schema(), risk_columns(scores, &scores.rows[rows])?)))
}

/// [`risk_batches`] with the difference under [`risk_changes_schema`].
pub fn risk_changes_batches(scores: &Scores) -> Box<dyn Iterator<Item = Result<RecordBatch, Error>> + '_> {
    Box::new(cuts(scores.rows.len()).map(|rows| {
        let rows = &scores.rows[rows];
        let mut columns = risk_columns(scores, rows)?;
        columns.push(Arc::new(Int8Array::from_iter_values(rows.iter().map(|row| row.diff))));
        batch(risk_changes_schema(), columns)
    }))
}

fn risk_columns(scores: &Scores, rows: &[Score]) -> Result<Vec<ArrayRef>, Error> {
    let name = |person: u32| scores.names.get(person as usize).map_or("", |name| name);
    let all = || rows.iter().flat_map(|row| &row.because);
    let because: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(all().map(|(person, _)| name(*person)))),
        Arc::new(Float32Array::from_iter_values(all().map(|(_, weight)| *weight))),
    ];
    let wrong = |e: arrow::error::ArrowError| Error::Value {
        what: "column because",
        found: e.to_string(),
        expected: "a list a person".into(),
    };
    let because = StructArray::try_new(because_fields(), because, None).map_err(wrong)?;
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.because.len()));
    let because = ListArray::try_new(because_item(), offsets, Arc::new(because), None).map_err(wrong)?;
    Ok(vec![
        Arc::new(Int64Array::from_value(seconds(scores.as_of), rows.len())),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| name(row.person)))),
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.score))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| &*scores.model))),
        Arc::new(because),
    ])
}
