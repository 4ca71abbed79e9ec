//! Arithmetic between rows: Add, Sub, Mul, Div of two inputs, and Max of two or more, element by element.
//!
//! Both inputs of the first four have one shape, or one of them has a single channel, which then stands for every channel. Max is
//! PyG's `JumpingKnowledge("max")`.

use super::signature::Signature;
use super::{Layer, Matrix, Mismatch, Rows, Shape, Structure};
use crate::Error;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `a + b`.
    Add,
    /// `a − b`.
    Sub,
    /// `a · b`.
    Mul,
    /// `a / b`.
    Div,
    /// The largest.
    Max,
}

/// An error unless the inputs fit the signature and have rows of one kind.
pub(super) fn same_rows(signature: &Signature, inputs: &[Shape]) -> Result<(), Mismatch> {
    signature.shapes(inputs)?;
    match inputs.iter().find(|shape| shape.of != inputs[0].of) {
        None => Ok(()),
        Some(other) => {
            Err(Mismatch { found: format!("{} and {other}", inputs[0]), expected: "rows of one kind".into() })
        }
    }
}

/// An error unless the inputs have the signature's channels and one number of rows, and the wanted rows are among them.
pub(super) fn same_lengths(name: &str, signature: &Signature, inputs: &[&Matrix], rows: Rows) -> Result<(), Error> {
    signature.channels(name, inputs)?;
    let all = inputs[0].rows();
    for input in inputs {
        Error::unless_same(&format!("{name}: rows of the inputs"), input.rows(), all)?;
    }
    rows.check(name, all)
}

impl Arithmetic {
    /// The channels of the result; `None` where the inputs do not fit.
    fn channels(self, mut inputs: impl ExactSizeIterator<Item = usize>) -> Option<usize> {
        let (count, first) = (inputs.len(), inputs.next()?);
        let second = inputs.next()?;
        match self {
            Arithmetic::Max => (second == first && inputs.all(|other| other == first)).then_some(first),
            _ if count != 2 => None,
            _ if first == second || second == 1 => Some(first),
            _ => (first == 1).then_some(second),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Arithmetic::Max => "two inputs or more of one shape",
            _ => "two inputs of one shape, or one of them with one channel",
        }
    }

    fn of(self, a: f32, b: f32) -> f32 {
        match self {
            Arithmetic::Add => a + b,
            Arithmetic::Sub => a - b,
            Arithmetic::Mul => a * b,
            Arithmetic::Div => a / b,
            Arithmetic::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

impl Layer for Arithmetic {
    fn name(&self) -> &str {
        match self {
            Arithmetic::Add => "Add",
            Arithmetic::Sub => "Sub",
            Arithmetic::Mul => "Mul",
            Arithmetic::Div => "Div",
            Arithmetic::Max => "Max",
        }
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        let one_kind = inputs.windows(2).all(|pair| pair[0].of == pair[1].of);
        match self.channels(inputs.iter().map(|shape| shape.channels)).filter(|_| one_kind) {
            Some(channels) => Ok(vec![Shape { of: inputs[0].of, channels }]),
            None => {
                let found = inputs.iter().map(Shape::to_string).collect::<Vec<_>>().join(" and ");
                Err(Mismatch { found, expected: self.expected().into() })
            }
        }
    }

    fn forward(&self, inputs: &[&Matrix], _: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        let one_length = inputs.windows(2).all(|pair| pair[0].rows() == pair[1].rows());
        let channels = self.channels(inputs.iter().map(|matrix| matrix.cols())).filter(|_| one_length);
        let Some(channels) = channels else {
            let found = inputs.iter().map(|m| format!("{:?}", m.shape())).collect::<Vec<_>>().join(" and ");
            let what = format!("{}: shapes of the inputs", self.name());
            return Err(Error::Shape { what, found, expected: self.expected().into() });
        };
        rows.check(self.name(), inputs[0].rows())?;
        let mut out = Matrix::zeros(rows.count(inputs[0].rows()), channels);
        for place in 0..out.rows() {
            let (from, row) = (rows.at(place), out.row_mut(place));
            let value = |input: &Matrix, c: usize| input.row(from)[if input.cols() == 1 { 0 } else { c }];
            for (c, v) in row.iter_mut().enumerate() {
                let first = value(inputs[0], c);
                *v = inputs[1..].iter().fold(first, |a, input| self.of(a, value(input, c)));
            }
        }
        Ok(vec![out])
    }
}
