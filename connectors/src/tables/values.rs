//! What cells mean: numbers, whole numbers, times, spans of time, words and ids, from a column of any type.
//!
//! Text is trimmed; nothing, `NA`, `NaN` and `null` are missing values in every format, and so are nulls and NaN in typed columns.

use std::borrow::Cow;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray};
use ::arrow::compute::{CastOptions, cast_with_options};
use ::arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type, TimeUnit as Unit, UInt64Type,
};
use ::arrow::error::ArrowError;
use ::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::times::{SECOND, TimeUnit, float_ns, seconds_ns, time_in, too_large};

/// Whole numbers up to this are exact as floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Numbers from here on that have a point count no frames: as seconds they lie in 1973 and after.
const MOMENT: f64 = 1e8;

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<T> {
    /// Nothing there.
    Missing,
    /// Something else: what stands there.
    Bad(String),
    /// A value.
    Good(T),
}

impl<T> Cell<T> {
    fn map<U>(self, f: impl FnOnce(T) -> Option<U>, shown: impl FnOnce() -> String) -> Cell<U> {
        match self {
            Cell::Missing => Cell::Missing,
            Cell::Bad(found) => Cell::Bad(found),
            Cell::Good(value) => f(value).map_or_else(|| Cell::Bad(shown()), Cell::Good),
        }
    }
}

/// True for a word that says that nothing is there, as R, pandas, spreadsheets and databases write it. (`Nan` may be somebody.)
pub(crate) fn is_missing(word: &str) -> bool {
    word.is_empty() || ["NA", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "Null", "\\N", "#N/A"].contains(&word)
}

/// True for a word that is nobody's name, as people write it where nothing is. (`None` may be somebody.)
fn is_nobody(word: &str) -> bool {
    ["N/A", "n/a"].contains(&word)
}

/// The first characters of a cell, for messages.
pub(crate) fn shown(word: &str) -> String {
    let short: String = word.chars().take(40).collect();
    if short.len() < word.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

/// A column whose cells are asked for one by one.
pub(crate) struct Cells {
    family: Family,
    /// The column in the widest type of its family.
    array: ArrayRef,
    /// The column as it came: it knows what was null.
    given: ArrayRef,
}

/// What kind of values a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Whole,
    Unsigned,
    Float,
    /// Moments (ns).
    Stamp,
    /// Spans of time (ns).
    Span,
    Truth,
    Other,
}

impl Cells {
    /// Brings a column to the widest type of its family.
    pub(crate) fn of(array: &ArrayRef) -> Cells {
        use DataType as T;
        let cast = |to: DataType| cast_with_options(array, &to, &CastOptions { safe: true, ..CastOptions::default() });
        let integers = |array: ArrayRef| ::arrow::compute::cast(&array, &T::Int64);
        let (family, wide) = match array.data_type() {
            T::Utf8 => (Family::Text, Ok(array.clone())),
            T::LargeUtf8 | T::Utf8View => (Family::Text, cast(T::Utf8)),
            T::Binary | T::LargeBinary | T::BinaryView => (Family::Text, cast(T::Utf8)),
            T::FixedSizeBinary(16) => (Family::Text, Ok(Arc::new(uuids(array)) as ArrayRef)),
            T::FixedSizeBinary(_) => (Family::Text, texts(array)),
            // A column without a value has no type: writers that infer types call it so.
            T::Null => (Family::Text, cast(T::Utf8)),
            T::Int8 | T::Int16 | T::Int32 | T::Int64 => (Family::Whole, cast(T::Int64)),
            T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => (Family::Unsigned, cast(T::UInt64)),
            T::Float16 | T::Float32 | T::Float64 => (Family::Float, cast(T::Float64)),
            T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => {
                (Family::Text, decimals(array))
            }
            T::Boolean => (Family::Truth, Ok(array.clone())),
            T::Timestamp(..) | T::Date32 | T::Date64 => {
                (Family::Stamp, cast(T::Timestamp(Unit::Nanosecond, None)).and_then(integers))
            }
            T::Duration(_) => (Family::Span, cast(T::Duration(Unit::Nanosecond)).and_then(integers)),
            T::Dictionary(_, values) if !matches!(**values, T::Dictionary(..)) => match cast((**values).clone()) {
                Ok(flat) => return Cells::of(&flat),
                Err(error) => (Family::Other, Err(error)),
            },
            T::RunEndEncoded(_, values) if !matches!(values.data_type(), T::RunEndEncoded(..)) => {
                match cast(values.data_type().clone()) {
                    Ok(flat) => return Cells::of(&flat),
                    Err(error) => (Family::Other, Err(error)),
                }
            }
            _ => (Family::Other, Ok(array.clone())),
        };
        match wide {
            Ok(wide) => Cells { family, array: wide, given: array.clone() },
            Err(_) => Cells { family: Family::Other, array: array.clone(), given: array.clone() },
        }
    }

    /// Nothing there, or nothing that its family can hold.
    fn without<T>(&self, row: usize) -> Option<Cell<T>> {
        if self.given.is_null(row) || *self.given.data_type() == DataType::Null {
            return Some(Cell::Missing);
        }
        self.array.is_null(row).then(|| Cell::Bad("a value out of range".into()))
    }

    /// What a message calls a cell of a typed column.
    fn show(&self, row: usize) -> String {
        match self.family {
            Family::Text => shown(self.array.as_string::<i32>().value(row)),
            Family::Span => "a duration".into(),
            Family::Stamp => "a time stamp".into(),
            Family::Other => match self.array.data_type() {
                DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "a list".into(),
                DataType::Struct(_) | DataType::Map(..) => "a structure".into(),
                _ => format!("a value of type {}", self.array.data_type()),
            },
            _ => ArrayFormatter::try_new(&self.array, &FormatOptions::default())
                .map_or_else(|_| "a value".into(), |f| f.value(row).to_string()),
        }
    }

    fn word(&self, row: usize) -> Option<&str> {
        if self.family != Family::Text {
            return None;
        }
        let word = self.array.as_string::<i32>().value(row).trim();
        (!is_missing(word)).then_some(word)
    }

    /// A number; in text with a decimal comma, if that may be.
    pub(crate) fn number(&self, row: usize, comma: bool) -> Cell<f64> {
        if let Some(without) = self.without(row) {
            return without;
        }
        let bad = || Cell::Bad(self.show(row));
        match self.family {
            Family::Text => match self.word(row) {
                None => Cell::Missing,
                Some(word) => parse_number(word, comma).map_or_else(bad, Cell::Good),
            },
            Family::Whole => Cell::Good(self.array.as_primitive::<Int64Type>().value(row) as f64),
            Family::Unsigned => Cell::Good(self.array.as_primitive::<UInt64Type>().value(row) as f64),
            Family::Float => {
                let value = self.array.as_primitive::<Float64Type>().value(row);
                if value.is_nan() { Cell::Missing } else { Cell::Good(value) }
            }
            _ => bad(),
        }
    }

    /// A whole number, written as `2.000` perhaps; a time stamp by its nanoseconds.
    pub(crate) fn whole(&self, row: usize, comma: bool) -> Cell<i64> {
        if let Some(without) = self.without(row) {
            return without;
        }
        match self.family {
            Family::Whole => Cell::Good(self.array.as_primitive::<Int64Type>().value(row)),
            Family::Unsigned => i64::try_from(self.array.as_primitive::<UInt64Type>().value(row))
                .map_or_else(|_| Cell::Bad(self.show(row)), Cell::Good),
            Family::Stamp => Cell::Good(self.array.as_primitive::<Int64Type>().value(row)),
            Family::Text => match self.word(row) {
                None => Cell::Missing,
                Some(word) => match word.parse() {
                    Ok(whole) => Cell::Good(whole),
                    Err(_) if word.as_bytes().get(4) == Some(&b'-') => {
                        time_in(word, None).map_or_else(|| Cell::Bad(shown(word)), Cell::Good)
                    }
                    Err(_) => self.number(row, comma).map(as_whole, || shown(word)),
                },
            },
            _ => self.number(row, comma).map(as_whole, || self.show(row)),
        }
    }

    /// The number of a frame: a whole number, or a moment by its nanoseconds. A number with a point is seconds where it is too large to
    /// count frames.
    pub(crate) fn frame(&self, row: usize, comma: bool) -> Cell<i64> {
        let moment = |value: f64| value.abs() >= MOMENT;
        match self.family {
            Family::Text => match self.without(row).map_or_else(|| self.word(row), |_: Cell<i64>| None) {
                Some(word) if word.contains(['.', 'e', 'E']) && word.parse().is_ok_and(moment) => {
                    seconds_ns(word).map_or_else(|| Cell::Bad(shown(word)), Cell::Good)
                }
                _ => self.whole(row, comma),
            },
            Family::Float => match self.number(row, comma) {
                Cell::Good(value) if moment(value) => {
                    float_ns(value).map_or_else(|| Cell::Bad(self.show(row)), Cell::Good)
                }
                _ => self.whole(row, comma),
            },
            _ => self.whole(row, comma),
        }
    }

    /// A moment (ns).
    pub(crate) fn time(&self, row: usize, unit: Option<TimeUnit>, comma: bool) -> Cell<i64> {
        if let Some(without) = self.without(row) {
            return without;
        }
        let number = |text: &str| match time_in(text, unit) {
            Some(ns) => Cell::Good(ns),
            None if unit.is_none() && too_large(text) => Cell::Bad(format!(
                "{}, too large for seconds (--set time_unit=ms, us or ns says what it counts)",
                shown(text)
            )),
            None => Cell::Bad(shown(text)),
        };
        match self.family {
            Family::Stamp => Cell::Good(self.array.as_primitive::<Int64Type>().value(row)),
            Family::Whole => number(&self.array.as_primitive::<Int64Type>().value(row).to_string()),
            Family::Unsigned => number(&self.array.as_primitive::<UInt64Type>().value(row).to_string()),
            Family::Float => match self.array.as_primitive::<Float64Type>().value(row) {
                value if value.is_nan() => Cell::Missing,
                value if value.is_finite() => number(&value.to_string()),
                value => Cell::Bad(value.to_string()),
            },
            Family::Text => match self.word(row) {
                None => Cell::Missing,
                Some(word) if comma && !word.contains('.') => number(&word.replace(',', ".")),
                Some(word) => number(word),
            },
            _ => Cell::Bad(self.show(row)),
        }
    }

    /// A span of time (ns): seconds, or a typed duration.
    pub(crate) fn span(&self, row: usize, comma: bool) -> Cell<i64> {
        if let Some(without) = self.without(row) {
            return without;
        }
        match self.family {
            Family::Span => Cell::Good(self.array.as_primitive::<Int64Type>().value(row)),
            Family::Text => match self.word(row) {
                None => Cell::Missing,
                Some(word) => {
                    let word = if comma && !word.contains('.') { word.replace(',', ".") } else { word.to_string() };
                    seconds_ns(&word).map_or_else(|| Cell::Bad(shown(&word)), Cell::Good)
                }
            },
            Family::Whole => {
                let seconds = self.array.as_primitive::<Int64Type>().value(row);
                seconds.checked_mul(SECOND).map_or_else(|| Cell::Bad(seconds.to_string()), Cell::Good)
            }
            _ => self.number(row, comma).map(float_ns, || self.show(row)),
        }
    }

    /// True if the first cell that holds anything holds a list: one of Arrow's, or in text one of JSON's.
    pub(crate) fn has_lists(&self) -> bool {
        match self.family {
            Family::Other => {
                matches!(
                    self.array.data_type(),
                    DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
                )
            }
            Family::Text => {
                let first =
                    (0..self.array.len()).filter(|&row| !self.given.is_null(row)).find_map(|row| self.word(row));
                first.is_some_and(|word| word.starts_with('['))
            }
            _ => false,
        }
    }

    /// A list of numbers.
    pub(crate) fn list(&self, row: usize) -> Cell<Vec<f64>> {
        if let Some(without) = self.without(row) {
            return without;
        }
        let bad = || Cell::Bad(self.show(row));
        let values = match self.array.data_type() {
            DataType::Utf8 => {
                return match self.word(row) {
                    None => Cell::Missing,
                    Some(word) => serde_json::from_str(word).map_or_else(|_| bad(), Cell::Good),
                };
            }
            DataType::List(_) => self.array.as_list::<i32>().value(row),
            DataType::LargeList(_) => self.array.as_list::<i64>().value(row),
            DataType::FixedSizeList(..) => self.array.as_fixed_size_list().value(row),
            _ => return bad(),
        };
        // A moment or a truth value is no number, in a list as little as in a column.
        let numbers = match values.data_type() {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        if !(numbers.is_numeric() || numbers.is_string() || *numbers == DataType::Null) {
            return Cell::Bad(format!("a list of {numbers}"));
        }
        let Ok(wide) = ::arrow::compute::cast(&values, &DataType::Float64) else { return bad() };
        let wide = wide.as_primitive::<Float64Type>();
        if wide.null_count() > 0 { bad() } else { Cell::Good(wide.values().to_vec()) }
    }

    /// A word: text that may be a name, a truth value, or a number's shortest decimal.
    pub(crate) fn text(&self, row: usize) -> Cell<Cow<'_, str>> {
        if let Some(without) = self.without(row) {
            return without;
        }
        match self.family {
            Family::Text => {
                let word = self.word(row).filter(|word| !is_nobody(word));
                word.map_or(Cell::Missing, |word| Cell::Good(word.into()))
            }
            Family::Whole => Cell::Good(self.array.as_primitive::<Int64Type>().value(row).to_string().into()),
            Family::Unsigned => Cell::Good(self.array.as_primitive::<UInt64Type>().value(row).to_string().into()),
            Family::Float => match self.array.as_primitive::<Float64Type>().value(row) {
                value if value.is_nan() => Cell::Missing,
                // Beyond that two ids may be one number.
                value if value.abs() >= EXACT => Cell::Bad(value.to_string()),
                value => Cell::Good(value.to_string().into()),
            },
            Family::Truth => Cell::Good(if self.array.as_boolean().value(row) { "true" } else { "false" }.into()),
            _ => Cell::Bad(self.show(row)),
        }
    }
}

fn as_whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

/// A number as programs write it; what Rust alone understands (`infinity` in any spelling is common, `0x10` is not a number) is left to it.
fn parse_number(word: &str, comma: bool) -> Option<f64> {
    match word.parse() {
        Ok(value) => Some(value),
        Err(_) if comma && !word.contains('.') && word.matches(',').count() == 1 => word.replace(',', ".").parse().ok(),
        Err(_) => None,
    }
}

/// UUIDs in their usual spelling.
fn uuids(array: &ArrayRef) -> ::arrow::array::StringArray {
    let bytes = array.as_fixed_size_binary();
    let spell = |bytes: &[u8]| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    };
    bytes.iter().map(|bytes| bytes.map(spell)).collect()
}

/// Bytes of one length as text.
fn texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let bytes = ::arrow::compute::cast(array, &DataType::Binary)?;
    cast_with_options(&bytes, &DataType::Utf8, &CastOptions { safe: true, ..CastOptions::default() })
}

/// Decimals as text, without zeros that say nothing.
fn decimals(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let short = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    };
    let there = |row: &usize| !array.is_null(*row);
    let texts: ::arrow::array::StringArray = match array.data_type() {
        DataType::Decimal256(..) => {
            let values = array.as_primitive::<Decimal256Type>();
            (0..array.len()).map(|row| Some(row).filter(there).map(|row| short(values.value_as_string(row)))).collect()
        }
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => {
            let wide = ::arrow::compute::cast(array, &DataType::Decimal128((*p).max(1), *s))?;
            let values = wide.as_primitive::<Decimal128Type>();
            (0..array.len()).map(|row| Some(row).filter(there).map(|row| short(values.value_as_string(row)))).collect()
        }
        other => return Err(ArrowError::CastError(other.to_string())),
    };
    Ok(Arc::new(texts))
}

#[cfg(test)]
mod tests {
    use ::arrow::array::{DurationMicrosecondArray, Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn cells_of_all_types_mean_the_same() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![" 2.000 ", "NA", "x", "1,5", "1e400", ""]));
        let text = Cells::of(&text);
        assert_eq!(text.whole(0, false), Cell::Good(2));
        assert_eq!((text.number(1, false), text.number(5, false)), (Cell::Missing, Cell::Missing));
        assert_eq!(text.number(2, false), Cell::Bad("\"x\"".into()));
        assert_eq!((text.number(3, false), text.number(3, true)), (Cell::Bad("\"1,5\"".into()), Cell::Good(1.5)));
        assert_eq!(text.number(4, false), Cell::Good(f64::INFINITY));
        assert_eq!(text.text(0), Cell::Good("2.000".into()));
        let float = Cells::of(&(Arc::new(Float64Array::from(vec![2.0, f64::NAN, 1.7e12, 1e17])) as ArrayRef));
        assert_eq!((float.whole(0, false), float.text(0)), (Cell::Good(2), Cell::Good("2".into())));
        assert_eq!((float.whole(1, false), float.text(1)), (Cell::Missing, Cell::Missing));
        assert!(matches!(float.time(2, None, false), Cell::Bad(why) if why.contains("time_unit")));
        assert!(matches!(float.text(3), Cell::Bad(_)));
        let whole = Cells::of(&(Arc::new(Int64Array::from(vec![600])) as ArrayRef));
        let typed = Cells::of(&(Arc::new(DurationMicrosecondArray::from(vec![600_000_000])) as ArrayRef));
        assert_eq!(whole.span(0, false), Cell::Good(600 * SECOND));
        assert_eq!(typed.span(0, false), Cell::Good(600 * SECOND));
        assert!(matches!(typed.number(0, false), Cell::Bad(_)));
    }
}
