//! The scale of an intensity column: any maker's numbers become 0–1, and what does not fit is cut off and said, never dropped in silence.
//!
//! Integers of 8 bits have the scale of their type, 0–255. So have those of 16 bits, 0–65535, unless none of a frame is above 255: many drivers
//! write an 8-bit scale into the wider field. Other numbers are 0–1 as they stand if none is above 1, or next to none: values up to [`NEAR`],
//! or at most one in a hundred above 1 beside fractions below it. Else they are 0–255, or 0–65535 if more than one in a hundred is above 255.
//! Outliers are cut off at the ends of the scale.

use std::path::Path;

use crate::points::options::ReadOptions;
use crate::points::scalar::Scalar;

/// What files call an intensity besides `intensity`, in any format with names.
pub(crate) const SYNONYMS: &[&str] = &["remission", "reflectance", "reflectivity"];

/// What a value on a scale of 0–1 may be off by rounding and calibration.
const NEAR: f32 = 1.05;

/// Counts of an intensity column.
#[derive(Default)]
struct Counts {
    negative: usize,
    above_one: usize,
    above_byte: usize,
    above_word: usize,
    /// Values between 0 and 1 that are neither.
    fractions: usize,
    /// Values that are 1 or more, or between 0 and 1.
    some: usize,
    least: f32,
    most: f32,
}

/// The column on a scale of 0–1, by the rule of the module; `None`, with a warning, if it has no scale. A value that is not finite stays.
pub(crate) fn scaled(mut column: Vec<f32>, scalar: Scalar, path: &Path, options: &ReadOptions) -> Option<Vec<f32>> {
    let mut counts = Counts::default();
    for &value in column.iter().filter(|v| v.is_finite()) {
        counts.negative += usize::from(value < 0.0);
        counts.above_one += usize::from(value > 1.0);
        counts.above_byte += usize::from(value > 255.0);
        counts.above_word += usize::from(value > 65535.0);
        counts.fractions += usize::from(value > 0.0 && value < 1.0);
        counts.some += usize::from(value > 0.0);
        counts.least = counts.least.min(value);
        counts.most = counts.most.max(value);
    }
    let few = |count: usize| count * 100 <= column.len();
    let full_scale = match scalar {
        Scalar::U8 => 255.0,
        Scalar::U16 => {
            if counts.most <= 255.0 {
                255.0
            } else {
                65535.0
            }
        }
        _ if counts.most <= NEAR || (few(counts.above_one) && 2 * counts.fractions >= counts.some) => 1.0,
        _ if counts.most <= 256.0 || few(counts.above_byte) => 255.0,
        _ if counts.most <= 65536.0 || few(counts.above_word) => 65535.0,
        _ => {
            let found = format!("intensities up to {}", counts.most);
            options.warn("intensity", path, format!("found {found}, expected 0 to 1, 255 or 65535: read without them"));
            return None;
        }
    };
    let above = column.iter().filter(|&&v| v > full_scale && v.is_finite()).count();
    if above + counts.negative > 0 {
        let count = above + counts.negative;
        let furthest = if -counts.least > counts.most - full_scale { counts.least } else { counts.most };
        let text =
            format!("{count} intensities are outside of 0 to {full_scale}, the furthest {furthest}: cut off there");
        options.warn("intensity", path, text);
    }
    // An infinite value is off every scale; NaN says that there is none.
    column.iter_mut().for_each(|value| *value = (*value / full_scale).clamp(0.0, 1.0));
    Some(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32], scalar: Scalar) -> (Option<Vec<f32>>, usize) {
        let options = ReadOptions::default();
        (scaled(values.to_vec(), scalar, Path::new("a"), &options), options.notices.warnings().len())
    }

    #[test]
    fn no_value_costs_the_column_its_scale_in_silence() {
        assert_eq!(of(&[0.0, 0.5, 1.0], Scalar::F32), (Some(vec![0.0, 0.5, 1.0]), 0));
        assert_eq!(of(&[0.0, 0.5, 1.01], Scalar::F32), (Some(vec![0.0, 0.5, 1.0]), 1));
        assert_eq!(of(&[51.0, 255.0], Scalar::F64), (Some(vec![0.2, 1.0]), 0));
        assert_eq!(of(&[51.0, 256.0, -1.0], Scalar::F32), (Some(vec![0.2, 1.0, 0.0]), 1));
        assert_eq!(of(&[51.0, 255.0], Scalar::I32), (Some(vec![0.2, 1.0]), 0));
        assert_eq!(of(&[13107.0, 65535.0], Scalar::F32), (Some(vec![0.2, 1.0]), 0));
        assert_eq!(of(&[1.0, 0.0], Scalar::U8), (Some(vec![1.0 / 255.0, 0.0]), 0));
        assert_eq!(of(&[51.0, 255.0], Scalar::U16), (Some(vec![0.2, 1.0]), 0), "8 bits in a field of 16");
        assert_eq!(of(&[256.0, 65535.0], Scalar::U16), (Some(vec![256.0 / 65535.0, 1.0]), 0));
        assert_eq!(of(&[1e9, 1e8], Scalar::F32), (None, 1));
        // One outlier in 200 does not make 255ths of fractions, nor 65535ths of counts.
        let mut fractions = vec![0.25; 200];
        fractions[7] = 17.0;
        let (scaled, warnings) = of(&fractions, Scalar::F32);
        assert_eq!((scaled.unwrap()[..8].to_vec(), warnings), ([[0.25; 7].as_slice(), &[1.0]].concat(), 1));
        let mut counts = vec![51.0; 200];
        counts[7] = 300.0;
        assert_eq!(of(&counts, Scalar::F32).0.unwrap()[..8], [[0.2; 7].as_slice(), &[1.0]].concat());
    }

    #[test]
    fn a_warning_names_the_value_that_is_furthest_outside() {
        let said = |values: &[f32]| {
            let options = ReadOptions::default();
            scaled(values.to_vec(), Scalar::F32, Path::new("a"), &options);
            options.notices.warnings().join("\n")
        };
        assert_eq!(said(&[-3.0, 0.0, -0.5]), "a: 2 intensities are outside of 0 to 1, the furthest -3: cut off there");
        assert_eq!(
            said(&[51.0, 256.0, 3.0]),
            "a: 1 intensities are outside of 0 to 255, the furthest 256: cut off there"
        );
    }
}
