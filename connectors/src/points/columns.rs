//! Which columns of a table are what, and Arrow record batches as runs of rows.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, Schema, TimeUnit};

use crate::error::{At, Error};
use crate::points::fields::Scalar;
use crate::points::table::{Coordinates, Places, Rows};

/// Where the columns that make a frame stand in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub frame: Option<usize>,
    pub position: Position,
    pub intensity: Option<usize>,
    pub class: Option<usize>,
    pub instance: Option<usize>,
    /// The column, and whether it counts nanoseconds; else seconds.
    pub time: Option<(usize, bool)>,
}

/// Where the coordinates stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// A column an axis.
    Axes([usize; 3]),
    /// One column of lists of three.
    List(usize),
}

impl Default for Position {
    fn default() -> Self {
        Position::Axes([0, 1, 2])
    }
}

impl Layout {
    /// Finds the columns by name, case not counting.
    ///
    /// # Errors
    /// No `x`, `y`, `z` and no `xyz`: the message names the columns that are there.
    pub(crate) fn of<N: AsRef<str>>(path: &Path, names: &[N]) -> Result<Layout, Error> {
        let one = |name: &str| names.iter().position(|n| n.as_ref().eq_ignore_ascii_case(name));
        let any = |list: &[&str]| list.iter().find_map(|name| one(name));
        let position = match (one("x"), one("y"), one("z"), one("xyz")) {
            (Some(x), Some(y), Some(z), _) => Position::Axes([x, y, z]),
            (.., Some(xyz)) => Position::List(xyz),
            (x, y, _, None) => {
                let missing = if x.is_none() {
                    "x"
                } else if y.is_none() {
                    "y"
                } else {
                    "z"
                };
                let found = names.iter().map(N::as_ref).collect::<Vec<_>>().join(", ");
                let found = if found.is_empty() { "no columns".to_string() } else { format!("columns {found}") };
                return Err(Error::malformed(path, At::Header, found, format!("a column {missing} (x, y, z)")));
            }
        };
        let seconds = any(&["time", "timestamp"]).map(|i| (i, false));
        Ok(Layout {
            frame: one("frame"),
            position,
            intensity: any(&["intensity", "remission"]),
            class: any(&["class", "label", "classification"]),
            instance: one("instance"),
            time: any(&["time_ns", "timestamp_ns"]).map(|i| (i, true)).or(seconds),
        })
    }

    /// As [`Layout::of`]; columns of a type that cannot be meant are left out where the table can do without them.
    ///
    /// # Errors
    /// As [`Layout::of`], and coordinates or frame numbers that are none.
    pub(crate) fn of_schema(path: &Path, schema: &Schema) -> Result<Layout, Error> {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let mut layout = Layout::of(path, &names)?;
        let kind = |i: usize| schema.field(i).data_type();
        let wrong = |i: usize, expected: &str| {
            Err(Error::malformed(path, At::Field(names[i].into()), kind(i).to_string(), expected))
        };
        match layout.position {
            Position::Axes(axes) => {
                if let Some(&i) = axes.iter().find(|&&i| !kind(i).is_numeric()) {
                    return wrong(i, "numbers");
                }
            }
            Position::List(i) => match kind(i) {
                DataType::FixedSizeList(item, 3) | DataType::List(item) if item.data_type().is_numeric() => {}
                _ => return wrong(i, "lists of three numbers"),
            },
        }
        if let Some(i) = layout.frame.filter(|&i| !kind(i).is_integer()) {
            return wrong(i, "integers");
        }
        let number = |i: &usize| kind(*i).is_numeric();
        layout.intensity = layout.intensity.filter(number);
        layout.class = layout.class.filter(number);
        layout.instance = layout.instance.filter(number);
        layout.time = layout.time.filter(|(i, _)| number(i) || matches!(kind(*i), DataType::Timestamp(..)));
        Ok(layout)
    }

    /// The columns in use, ascending.
    pub(crate) fn columns(&self) -> Vec<usize> {
        let position = match self.position {
            Position::Axes(axes) => axes.to_vec(),
            Position::List(i) => vec![i],
        };
        let time = self.time.map(|(i, _)| i);
        let mut all: Vec<usize> = [self.frame, self.intensity, self.class, self.instance, time]
            .into_iter()
            .flatten()
            .chain(position)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The rows of a batch, the first of them row `first` of the file.
    ///
    /// # Errors
    /// A number outside its column's range: the message names the row.
    pub(crate) fn rows(&self, path: &Path, batch: &RecordBatch, first: u64) -> Result<Rows, Error> {
        let column = |index: usize| Column {
            path,
            name: batch.schema_ref().field(index).name(),
            array: batch.column(index),
            first,
        };
        let xyz = match self.position {
            Position::Axes(axes) => coordinates(axes.map(column))?,
            Position::List(index) => list_coordinates(&column(index))?,
        };
        let frame = self.frame.map(|i| column(i).integers()?.required()).transpose()?;
        let class = self.class.map(|i| column(i).integers()?.within::<u8>()).transpose()?;
        let instance = self.instance.map(|i| column(i).integers()?.within::<u32>()).transpose()?;
        let intensity = self.intensity.map(|i| column(i).singles()).transpose()?;
        // A missing intensity is no reflection.
        let intensity = intensity.map(|v| v.into_iter().map(|v| if v.is_nan() { 0.0 } else { v }).collect());
        let scale = match self.intensity.map(|i| batch.column(i).data_type()) {
            Some(DataType::UInt8) => Scalar::U8,
            Some(DataType::UInt16) => Scalar::U16,
            _ => Scalar::F32,
        };
        let time_ns = self.time.map(|(i, ns)| column(i).nanoseconds(ns)).transpose()?;
        Ok(Rows {
            frame,
            xyz,
            intensity,
            scale,
            class,
            instance,
            time_ns,
            places: Places::From(first),
            malformed: Vec::new(),
        })
    }
}

/// One column of a batch, and how to name it.
struct Column<'a> {
    path: &'a Path,
    name: &'a str,
    array: &'a ArrayRef,
    first: u64,
}

/// The integers of a column, null where it has none.
struct Integers<'a>(&'a Column<'a>, Vec<Option<i64>>);

impl Column<'_> {
    fn cast(&self, to: &DataType) -> Result<ArrayRef, Error> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(self.array, to, &options)
            .map_err(|e| Error::malformed(self.path, At::Field(self.name.into()), e.to_string(), to.to_string()))
    }

    /// f32, null = NaN.
    fn singles(&self) -> Result<Vec<f32>, Error> {
        let array = self.cast(&DataType::Float32)?;
        Ok(array.as_primitive::<Float32Type>().iter().map(|v| v.unwrap_or(f32::NAN)).collect())
    }

    /// f64, null = NaN.
    fn doubles(&self) -> Result<Vec<f64>, Error> {
        let array = self.cast(&DataType::Float64)?;
        Ok(array.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }

    fn integers(&self) -> Result<Integers<'_>, Error> {
        let array = self.cast(&DataType::Int64)?;
        Ok(Integers(self, array.as_primitive::<Int64Type>().iter().collect()))
    }

    fn nanoseconds(&self, counts_ns: bool) -> Result<Vec<Option<i64>>, Error> {
        if let DataType::Timestamp(_, zone) = self.array.data_type() {
            let stamps = self.cast(&DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()))?;
            return Ok(Column { array: &stamps, ..*self }.integers()?.1);
        }
        if counts_ns {
            return Ok(self.integers()?.1);
        }
        Ok(self.doubles()?.into_iter().map(seconds_to_ns).collect())
    }
}

impl Integers<'_> {
    fn malformed<T>(&self, row: usize, found: String, expected: &str) -> Result<T, Error> {
        let at = At::Row(self.0.first + row as u64);
        Err(Error::malformed(self.0.path, at, format!("{found} in column {}", self.0.name), expected))
    }

    /// Every row must have one.
    fn required(self) -> Result<Vec<i64>, Error> {
        match self.1.iter().position(Option::is_none) {
            Some(row) => self.malformed(row, "null".into(), "an integer"),
            None => Ok(self.1.into_iter().flatten().collect()),
        }
    }

    /// Null = 0.
    fn within<T: TryFrom<i64> + Default>(self) -> Result<Vec<T>, Error> {
        let mut out = Vec::with_capacity(self.1.len());
        for (row, value) in self.1.iter().enumerate() {
            match value.map(T::try_from) {
                None => out.push(T::default()),
                Some(Ok(value)) => out.push(value),
                Some(Err(_)) => {
                    let found = value.unwrap_or_default().to_string();
                    return self.malformed(
                        row,
                        found,
                        &format!("a number from 0 that fits {} bits", 8 * size_of::<T>()),
                    );
                }
            }
        }
        Ok(out)
    }
}

/// Seconds as nanoseconds; `None` for what is no time.
pub(crate) fn seconds_to_ns(seconds: f64) -> Option<i64> {
    let ns = (seconds * 1e9).round();
    (ns.abs() < i64::MAX as f64).then_some(ns as i64)
}

/// Types that f32 holds exactly stay f32; others go through f64.
fn narrow(kind: &DataType) -> bool {
    use DataType::{Float16, Float32, Int8, Int16, UInt8, UInt16};
    matches!(kind, Float16 | Float32 | Int8 | Int16 | UInt8 | UInt16)
}

fn coordinates([x, y, z]: [Column<'_>; 3]) -> Result<Coordinates, Error> {
    if [&x, &y, &z].iter().all(|c| narrow(c.array.data_type())) {
        return Ok(Coordinates::F32([x.singles()?, y.singles()?, z.singles()?]));
    }
    Ok(Coordinates::F64([x.doubles()?, y.doubles()?, z.doubles()?]))
}

/// A column of lists of three numbers; a null list is three times NaN.
fn list_coordinates(column: &Column<'_>) -> Result<Coordinates, Error> {
    let lists = column.array;
    let item = match lists.data_type() {
        DataType::FixedSizeList(item, _) | DataType::List(item) => item.data_type().clone(),
        other => {
            let at = At::Field(column.name.into());
            return Err(Error::malformed(column.path, at, other.to_string(), "lists of three numbers"));
        }
    };
    let start = |row: usize| -> Option<(usize, usize)> {
        if lists.is_null(row) {
            return None;
        }
        Some(match lists.as_list_opt::<i32>() {
            Some(list) => (list.value_offsets()[row] as usize, list.value_length(row) as usize),
            None => (lists.as_fixed_size_list().value_offset_at(row), 3),
        })
    };
    let starts: Vec<_> = (0..lists.len()).map(start).collect();
    if let Some(row) = starts.iter().position(|s| s.is_some_and(|(_, length)| length != 3)) {
        let length = starts[row].map_or(0, |s| s.1);
        let at = At::Row(column.first + row as u64);
        return Err(Error::malformed(column.path, at, format!("{length} numbers in column {}", column.name), "three"));
    }
    let values = match lists.as_list_opt::<i32>() {
        Some(list) => list.values(),
        None => lists.as_fixed_size_list().values(),
    };
    let flat = Column { array: values, ..*column };
    fn split<T: Copy>(flat: &[T], starts: &[Option<(usize, usize)>], nan: T) -> [Vec<T>; 3] {
        [0, 1, 2].map(|axis| starts.iter().map(|s| s.map_or(nan, |(start, _)| flat[start + axis])).collect())
    }
    Ok(if narrow(&item) {
        Coordinates::F32(split(&flat.singles()?, &starts, f32::NAN))
    } else {
        Coordinates::F64(split(&flat.doubles()?, &starts, f64::NAN))
    })
}
