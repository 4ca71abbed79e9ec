//! Blocks of a table as runs of points: what each column means, which rows are none, and which optional columns cannot be used.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use crate::error::Error;
use crate::points::intensity::SYNONYMS;
use crate::points::options::ReadOptions;
use crate::points::scalar::Scalar;
use crate::tables::names::{Column, ColumnNames, Kind};
use crate::tables::table::{Block, Places};
use crate::tables::values::{Cell, Cells};

/// A table of points.
pub(crate) static POINTS: Kind = Kind {
    what: "points",
    shares: false,
    may_be_empty: true,
    needs: "x, y, z",
    columns: &[
        Column::must("x"),
        Column::must("y"),
        Column::must("z"),
        Column::may("xyz", &[]),
        Column::may("frame", &[]),
        Column::may("intensity", SYNONYMS),
        Column::may("class", &["classification"]),
        Column::may("label", &[]),
        Column::may("instance", &[]),
        Column::may("time", &["timestamp"]),
        Column::may("time_ns", &["timestamp_ns"]),
        Column::may("doppler", &["velocity", "radial_velocity"]),
    ],
    instead: Some((XYZ, 3)),
    bare: Some(|cells| cells.len() >= 3 && cells.iter().take(3).all(|cell| cell.trim().parse::<f64>().is_ok())),
};

/// What tables of points call their columns, from pairs (column, what files call it).
///
/// # Errors
/// A column that no such table has.
pub fn column_names(pairs: impl IntoIterator<Item = (String, String)>) -> Result<ColumnNames, Error> {
    ColumnNames::of(&[&POINTS], pairs)
}

const XYZ: usize = 3;
pub(super) const FRAME: usize = 4;
const INTENSITY: usize = 5;
const CLASS: usize = 6;
const LABEL: usize = 7;
const INSTANCE: usize = 8;
const TIME: usize = 9;
const TIME_NS: usize = 10;
const DOPPLER: usize = 11;

/// What else a column may be called.
pub(super) fn aliases(name: &str) -> &'static [&'static str] {
    POINTS.columns.iter().find(|column| column.name == name).map_or(&[], |column| column.aliases)
}

/// Where a column stands that frames are to carry; `None` for one that no table of points is asked for.
pub(super) fn slot(name: &str) -> Option<usize> {
    [INTENSITY, DOPPLER].into_iter().find(|&slot| POINTS.columns[slot].name == name)
}

/// Coordinates of a run of rows (m), one vector an axis.
#[derive(Debug)]
pub(super) enum Coordinates {
    /// Taken as they are.
    F32([Vec<f32>; 3]),
    /// To be reduced by the run's origin.
    F64([Vec<f64>; 3]),
}

impl Coordinates {
    pub(super) fn len(&self) -> usize {
        match self {
            Coordinates::F32([x, ..]) => x.len(),
            Coordinates::F64([x, ..]) => x.len(),
        }
    }

    /// Appends some rows; the whole is f64 as soon as a part is.
    pub(super) fn append(&mut self, rows: &Coordinates, range: &std::ops::Range<usize>) {
        if let (Coordinates::F32(narrow), Coordinates::F64(_)) = (&*self, rows) {
            *self = Coordinates::F64(narrow.each_ref().map(|axis| axis.iter().map(|&v| f64::from(v)).collect()));
        }
        for axis in 0..3 {
            match (&mut *self, rows) {
                (Coordinates::F32(to), Coordinates::F32(from)) => {
                    to[axis].extend_from_slice(&from[axis][range.clone()])
                }
                (Coordinates::F64(to), Coordinates::F64(from)) => {
                    to[axis].extend_from_slice(&from[axis][range.clone()])
                }
                (Coordinates::F64(to), Coordinates::F32(from)) => {
                    to[axis].extend(from[axis][range.clone()].iter().map(|&v| f64::from(v)));
                }
                (Coordinates::F32(_), Coordinates::F64(_)) => {} // widened above
            }
        }
    }

    /// Keeps the rows that are good.
    fn keep(&mut self, good: &[bool]) {
        fn keep<T: Copy>(column: &mut Vec<T>, good: &[bool]) {
            let mut row = 0;
            column.retain(|_| {
                row += 1;
                good[row - 1]
            });
        }
        match self {
            Coordinates::F32(axes) => axes.iter_mut().for_each(|axis| keep(axis, good)),
            Coordinates::F64(axes) => axes.iter_mut().for_each(|axis| keep(axis, good)),
        }
    }
}

/// A run of consecutive rows; every column that is there has one entry a row.
#[derive(Debug)]
pub(super) struct Rows {
    pub frame: Option<Vec<i64>>,
    pub xyz: Coordinates,
    pub intensity: Option<Vec<f32>>,
    /// The type that gives the intensity its scale.
    pub scale: Scalar,
    pub class: Option<Vec<i64>>,
    pub label: Option<Vec<i64>>,
    pub instance: Option<Vec<u32>>,
    pub time_ns: Option<Vec<Option<i64>>>,
    /// The columns to be carried, in the order in which they were asked for.
    pub carried: Vec<Option<Vec<f32>>>,
    pub places: Places,
    /// For each row that is none: how many good rows of this run stand before it, ascending, and what is wrong.
    pub malformed: Vec<(usize, String)>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.xyz.len()
    }

    /// Reads a block of the table at `path`.
    pub(super) fn of(block: &Block, path: &Path, options: &ReadOptions) -> Rows {
        let (rows, comma) = (block.rows, block.decimal_comma);
        let mut wrong: Vec<Option<String>> = Vec::new();
        let mut refuse = |row: usize, why: String| {
            if wrong.is_empty() {
                wrong.resize(rows, None);
            }
            wrong[row].get_or_insert(why);
        };
        let mut xyz = match block.columns[XYZ].as_ref().filter(|_| block.columns[0].is_none()) {
            Some(lists) => of_lists(lists, &mut refuse),
            None => of_axes(block, comma, &mut refuse),
        };
        let mut frame = block.columns[FRAME].as_ref().map(|column| {
            let cells = Cells::of(column);
            let id = |row| match cells.frame(row, comma) {
                Cell::Good(id) => id,
                Cell::Missing => {
                    refuse(row, "frame: found nothing, expected a whole number".into());
                    0
                }
                Cell::Bad(found) => {
                    refuse(row, format!("frame: found {found}, expected a whole number"));
                    0
                }
            };
            (0..rows).map(id).collect::<Vec<i64>>()
        });
        let good: Vec<usize> = (0..rows).filter(|&row| wrong.get(row).is_none_or(Option::is_none)).collect();
        let mut places = block.places.clone();
        if good.len() < rows {
            let mask: Vec<bool> = wrong.iter().map(Option::is_none).collect();
            xyz.keep(&mask);
            frame = frame.map(|frame| good.iter().map(|&row| frame[row]).collect());
            places = block.places.of(&good);
        }
        let optional = Optional { block, path, options, good: &good };
        let scale = match block.columns[INTENSITY].as_ref().map(|column| column.data_type()) {
            Some(DataType::UInt8) => Scalar::U8,
            Some(DataType::UInt16) => Scalar::U16,
            _ => Scalar::F32,
        };
        let number = |cells: &Cells, row: usize| match cells.number(row, comma) {
            Cell::Good(value) => Cell::Good(value as f32),
            Cell::Missing => Cell::Missing,
            Cell::Bad(found) => Cell::Bad(found),
        };
        // A missing intensity is no reflection, a missing or negative label or object none.
        let some = |n: i64| n.max(0);
        let wanted = !options.carries("intensity");
        let intensity = wanted.then(|| optional.column(INTENSITY, "a number", 0.0, number)).flatten();
        let class = optional.column(CLASS, "a whole number up to 255", 0, |cells, row| match cells.whole(row, comma) {
            Cell::Good(code) if code > 255 => Cell::Bad(code.to_string()),
            Cell::Good(code) => Cell::Good(some(code)),
            other => other,
        });
        let label =
            optional.column(LABEL, "a whole number below 2^32", 0, |cells, row| match cells.whole(row, comma) {
                Cell::Good(label) if label > i64::from(u32::MAX) => Cell::Bad(label.to_string()),
                other => other,
            });
        let instance =
            optional.column(INSTANCE, "a whole number below 2^32", 0, |cells, row| match cells.whole(row, comma) {
                Cell::Good(number) => {
                    u32::try_from(some(number)).map_or_else(|_| Cell::Bad(number.to_string()), Cell::Good)
                }
                Cell::Missing => Cell::Missing,
                Cell::Bad(found) => Cell::Bad(found),
            });
        let mut more = POINTS.columns.len();
        let carried = options.carry.iter().map(|name| {
            let slot = slot(name).unwrap_or_else(|| {
                more += 1;
                more - 1
            });
            optional.named(slot, name, "a number", f32::NAN, number)
        });
        let carried = carried.collect();
        let unit = options.tables.time_unit;
        let time_ns = optional
            .column(TIME_NS, "a whole number of nanoseconds", None, |cells, row| stamp(cells.whole(row, comma)))
            .or_else(|| optional.column(TIME, "a time", None, |cells, row| stamp(cells.time(row, unit, comma))));

        let before = |row: usize| good.partition_point(|&g| g < row);
        let mut malformed: Vec<(usize, usize, String)> = block
            .broken
            .iter()
            .map(|broken| (broken.before, before(broken.before), format!("{}: {}", broken.at, broken.reason)))
            .chain(wrong.iter().enumerate().filter_map(|(row, why)| {
                Some((row, before(row), format!("{}: {}", block.places.at(row), why.as_ref()?)))
            }))
            .collect();
        malformed.sort_by_key(|(row, ..)| *row);
        let malformed = malformed.into_iter().map(|(_, before, why)| (before, why)).collect();
        Rows { frame, xyz, intensity, scale, class, label, instance, time_ns, carried, places, malformed }
    }
}

fn stamp(cell: Cell<i64>) -> Cell<Option<i64>> {
    match cell {
        Cell::Good(ns) => Cell::Good(Some(ns)),
        Cell::Missing => Cell::Missing,
        Cell::Bad(found) => Cell::Bad(found),
    }
}

/// The optional columns of a block.
struct Optional<'a> {
    block: &'a Block,
    path: &'a Path,
    options: &'a ReadOptions,
    good: &'a [usize],
}

impl Optional<'_> {
    /// A column's cells at the good rows. One that cannot be used leaves the column out from its frame on, with a warning: the cells before
    /// it are all there are.
    fn column<T: Clone>(
        &self,
        slot: usize,
        expected: &str,
        missing: T,
        read: impl Fn(&Cells, usize) -> Cell<T>,
    ) -> Option<Vec<T>> {
        self.named(slot, POINTS.columns[slot].name, expected, missing, read)
    }

    /// The same for a column of that name.
    fn named<T: Clone>(
        &self,
        slot: usize,
        name: &str,
        expected: &str,
        missing: T,
        read: impl Fn(&Cells, usize) -> Cell<T>,
    ) -> Option<Vec<T>> {
        let column = self.block.columns[slot].as_ref().filter(|_| !self.options.left_out.has(name))?;
        let cells = Cells::of(column);
        let mut values = Vec::with_capacity(self.good.len());
        for &row in self.good {
            match read(&cells, row) {
                Cell::Good(value) => values.push(value),
                Cell::Missing => values.push(missing.clone()),
                Cell::Bad(found) => {
                    self.options.left_out.add(name);
                    let place = self.block.places.at(row);
                    let aliases = POINTS.columns.get(slot).map_or(String::new(), |column| column.aliases.join(", "));
                    let called = if aliases.is_empty() { name.to_string() } else { format!("{name} ({aliases})") };
                    let what = format!(
                        "{place}: found {found} as {called}, expected {expected}: read without {name} from this frame on"
                    );
                    self.options.notices.warn(self.path, what);
                    break;
                }
            }
        }
        Some(values)
    }
}

/// Types that f32 holds exactly stay f32; others go through f64.
fn narrow(kind: &DataType) -> bool {
    use DataType::{Float16, Float32, Int8, Int16, UInt8, UInt16};
    matches!(kind, Float16 | Float32 | Int8 | Int16 | UInt8 | UInt16)
}

fn singles(array: &ArrayRef) -> Vec<f32> {
    let Ok(array) = cast(array, &DataType::Float32) else { return vec![f32::NAN; array.len()] };
    let values = array.as_primitive::<Float32Type>();
    if values.null_count() == 0 {
        values.values().to_vec()
    } else {
        values.iter().map(|v| v.unwrap_or(f32::NAN)).collect()
    }
}

fn doubles(array: &ArrayRef) -> Vec<f64> {
    let Ok(array) = cast(array, &DataType::Float64) else { return vec![f64::NAN; array.len()] };
    let values = array.as_primitive::<Float64Type>();
    if values.null_count() == 0 {
        values.values().to_vec()
    } else {
        values.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
    }
}

/// A column an axis; what is missing is NaN.
fn of_axes(block: &Block, comma: bool, refuse: &mut impl FnMut(usize, String)) -> Coordinates {
    let nothing: ArrayRef = Arc::new(arrow::array::NullArray::new(block.rows));
    let axes = [0, 1, 2].map(|axis| block.columns[axis].as_ref().unwrap_or(&nothing));
    if axes.iter().all(|axis| narrow(axis.data_type())) {
        return Coordinates::F32(axes.map(singles));
    }
    Coordinates::F64([0, 1, 2].map(|axis| {
        let array = axes[axis];
        if array.data_type().is_floating() || array.data_type().is_integer() {
            return doubles(array);
        }
        let cells = Cells::of(array);
        let value = |row| match cells.number(row, comma) {
            Cell::Good(value) => value,
            Cell::Missing => f64::NAN,
            Cell::Bad(found) => {
                refuse(row, format!("{}: found {found}, expected a number", POINTS.columns[axis].name));
                f64::NAN
            }
        };
        (0..block.rows).map(value).collect()
    }))
}

/// A column of lists of three numbers, in text one of JSON's each; a null list is three times NaN.
fn of_lists(lists: &ArrayRef, refuse: &mut impl FnMut(usize, String)) -> Coordinates {
    if matches!(lists.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        let cells = Cells::of(lists);
        let mut axes = [(); 3].map(|()| Vec::with_capacity(lists.len()));
        for row in 0..lists.len() {
            let place = match cells.list(row) {
                Cell::Good(list) => <[f64; 3]>::try_from(list).map_err(|list| format!("{} numbers", list.len())),
                Cell::Missing => Ok([f64::NAN; 3]),
                Cell::Bad(found) => Err(found),
            };
            let place = place.unwrap_or_else(|found| {
                refuse(row, format!("xyz: found {found}, expected a list of three numbers"));
                [f64::NAN; 3]
            });
            axes.iter_mut().zip(place).for_each(|(axis, value)| axis.push(value));
        }
        return Coordinates::F64(axes);
    }
    let none = Arc::new(arrow::array::NullArray::new(0)) as ArrayRef;
    let (values, spans): (&ArrayRef, Vec<(usize, usize)>) = if let Some(list) = lists.as_list_opt::<i32>() {
        let ends = list.value_offsets().windows(2).map(|w| (w[0] as usize, (w[1] - w[0]) as usize));
        (list.values(), ends.collect())
    } else if let Some(list) = lists.as_list_opt::<i64>() {
        let ends = list.value_offsets().windows(2).map(|w| (w[0] as usize, (w[1] - w[0]) as usize));
        (list.values(), ends.collect())
    } else if let Some(list) = lists.as_fixed_size_list_opt() {
        let length = list.value_length() as usize;
        (list.values(), (0..list.len()).map(|row| (list.value_offset_at(row), length)).collect())
    } else {
        (&none, vec![(0, 0); lists.len()])
    };
    for (row, (_, length)) in spans.iter().enumerate().filter(|(row, _)| !lists.is_null(*row)) {
        if *length != 3 {
            refuse(row, format!("xyz: found {length} numbers, expected three"));
        }
    }
    let start = |row: usize| (!lists.is_null(row) && spans[row].1 == 3).then_some(spans[row].0);
    fn split<T: Copy>(flat: &[T], rows: usize, start: impl Fn(usize) -> Option<usize>, nan: T) -> [Vec<T>; 3] {
        [0, 1, 2].map(|axis| {
            (0..rows).map(|row| start(row).and_then(|at| flat.get(at + axis)).copied().unwrap_or(nan)).collect()
        })
    }
    if narrow(values.data_type()) {
        Coordinates::F32(split(&singles(values), lists.len(), start, f32::NAN))
    } else {
        Coordinates::F64(split(&doubles(values), lists.len(), start, f64::NAN))
    }
}
