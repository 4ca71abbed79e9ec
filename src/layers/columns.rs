//! Columns moved about: Cat sets inputs side by side, Columns takes a slice, Scale and Shift change every number.
//!
//! Cat is `torch.cat(..., dim=-1)` and PyG's `JumpingKnowledge("cat")`.

use super::{Args, Layer, Matrix, Mismatch, Rows, Shape, Structure};
use crate::Error;

/// Inputs side by side: one or more, of one number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cat;

impl Layer for Cat {
    fn name(&self) -> &str {
        "Cat"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        match inputs.first() {
            Some(first) if inputs.iter().all(|shape| shape.of == first.of) => {
                Ok(vec![Shape { of: first.of, channels: inputs.iter().map(|shape| shape.channels).sum() }])
            }
            _ => {
                let found = inputs.iter().map(Shape::to_string).collect::<Vec<_>>().join(" and ");
                Err(Mismatch { found, expected: "inputs with rows of one kind".into() })
            }
        }
    }

    fn forward(&self, inputs: &[&Matrix], _: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        let all = inputs.first().map_or(0, |first| first.rows());
        if inputs.is_empty() || inputs.iter().any(|input| input.rows() != all) {
            let found = inputs.iter().map(|m| format!("{:?}", m.shape())).collect::<Vec<_>>().join(" and ");
            let (what, expected) = ("Cat: shapes of the inputs".into(), "inputs of one number of rows".into());
            return Err(Error::Shape { what, found, expected });
        }
        rows.check("Cat", all)?;
        let mut out = Matrix::zeros(rows.count(all), inputs.iter().map(|input| input.cols()).sum());
        for place in 0..out.rows() {
            let mut row = &mut *out.row_mut(place);
            for input in inputs {
                let (part, rest) = row.split_at_mut(input.cols());
                part.copy_from_slice(input.row(rows.at(place)));
                row = rest;
            }
        }
        Ok(vec![out])
    }
}

/// A change of each row by itself that has no weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Columns {
    /// The channels `start..end`.
    Slice {
        /// The first.
        start: usize,
        /// The one behind the last.
        end: usize,
    },
    /// Times a number.
    Scale(f32),
    /// Plus a number.
    Shift(f32),
}

impl Columns {
    /// The channels from `start` (0) to below `end`.
    ///
    /// # Errors
    /// No channels.
    pub fn slice(args: &Args) -> Result<Self, Error> {
        let (start, end) = (args.index("start", 0)?, args.count("end")?);
        if start >= end {
            return Err(args.error("start", start, format!("below end, {end}")));
        }
        Ok(Columns::Slice { start, end })
    }

    /// Times `factor`.
    ///
    /// # Errors
    /// No number.
    pub fn scale(args: &Args) -> Result<Self, Error> {
        Ok(Columns::Scale(args.needed_number("factor")? as f32))
    }

    /// Plus `offset`.
    ///
    /// # Errors
    /// No number.
    pub fn shift(args: &Args) -> Result<Self, Error> {
        Ok(Columns::Shift(args.needed_number("offset")? as f32))
    }
}

impl Layer for Columns {
    fn name(&self) -> &str {
        match self {
            Columns::Slice { .. } => "Columns",
            Columns::Scale(_) => "Scale",
            Columns::Shift(_) => "Shift",
        }
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        match (self, inputs) {
            (Columns::Slice { start, end }, [one]) if *end <= one.channels => {
                Ok(vec![Shape { channels: end - start, ..*one }])
            }
            (Columns::Scale(_) | Columns::Shift(_), [one]) => Ok(vec![*one]),
            _ => {
                let found = inputs.iter().map(Shape::to_string).collect::<Vec<_>>().join(" and ");
                Err(Mismatch { found, expected: self.expected() })
            }
        }
    }

    fn forward(&self, inputs: &[&Matrix], _: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        let fits = |x: &Matrix| if let Columns::Slice { end, .. } = self { *end <= x.cols() } else { true };
        let [x] = inputs else { return Err(self.error(inputs)) };
        if !fits(x) {
            return Err(self.error(inputs));
        }
        rows.check(Layer::name(self), x.rows())?;
        let taken = rows.take(x);
        Ok(vec![match *self {
            Columns::Slice { start, end } => {
                let mut out = Matrix::zeros(taken.rows(), end - start);
                (0..out.rows()).for_each(|i| out.row_mut(i).copy_from_slice(&taken.row(i)[start..end]));
                out
            }
            Columns::Scale(factor) => changed(taken.into_owned(), |v| v * factor),
            Columns::Shift(offset) => changed(taken.into_owned(), |v| v + offset),
        }])
    }
}

fn changed(mut x: Matrix, f: impl Fn(f32) -> f32) -> Matrix {
    x.data_mut().iter_mut().for_each(|v| *v = f(*v));
    x
}

impl Columns {
    fn expected(&self) -> String {
        match self {
            Columns::Slice { end, .. } => format!("one input of {end} channels or more"),
            _ => "one input".into(),
        }
    }

    fn error(&self, inputs: &[&Matrix]) -> Error {
        let found = inputs.iter().map(|m| format!("{:?}", m.shape())).collect::<Vec<_>>().join(" and ");
        let what = format!("{}: shapes of the inputs", Layer::name(self));
        Error::Shape { what, found, expected: self.expected() }
    }
}
