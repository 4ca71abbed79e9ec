//! Row-wise layers: `y_i = f(x_i)`, the same for rows of nodes, edges and graphs.
//!
//! Each is a [`Layer`] of one input, and can stand in the network that another layer holds ([`Mlp`](super::Mlp)).

use std::borrow::Cow;
use std::fmt::Debug;

use super::signature::Signature;
use super::{Layer, Linear, Matrix, Mismatch, Rows, Shape, Structure};
use crate::Error;

/// A layer whose output row depends on the same row of its one input alone.
pub trait RowWise: Debug + Send + Sync {
    /// Its name, as [`Layer::name`] gives it.
    fn called(&self) -> &str;

    /// The channels that it takes; `None` where any number will do.
    fn takes(&self) -> Option<usize>;

    /// The channels that it makes of `channels`.
    fn gives(&self, channels: usize) -> usize;

    /// `[rows, takes]` to `[rows, gives]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of channels; [`Error::Value`] if a number in it is out of the layer's range.
    fn apply(&self, x: Matrix) -> Result<Matrix, Error>;

    /// [`RowWise::apply`] on rows that the caller keeps.
    ///
    /// # Errors
    /// Those of [`RowWise::apply`].
    fn apply_to(&self, x: &Matrix) -> Result<Matrix, Error> {
        self.apply(x.clone())
    }

    /// The layer as a linear one, where it is: others take such a layer apart.
    fn as_linear(&self) -> Option<&Linear> {
        None
    }
}

impl<T: RowWise> Layer for T {
    fn name(&self) -> &str {
        self.called()
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        Signature::default().rows(self.takes()).shapes(inputs)?;
        Ok(inputs.iter().map(|shape| Shape { channels: self.gives(shape.channels), ..*shape }).collect())
    }

    fn forward(&self, inputs: &[&Matrix], _: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        let [x] = inputs else {
            let (what, found) = (format!("{}: inputs", self.called()), inputs.len().to_string());
            return Err(Error::Shape { what, found, expected: "1".into() });
        };
        rows.check(self.called(), x.rows())?;
        if let Some(takes) = self.takes().filter(|&takes| takes != x.cols()) {
            let (what, found) = (format!("{}: channels of x", self.called()), x.cols().to_string());
            return Err(Error::Shape { what, found, expected: takes.to_string() });
        }
        Ok(vec![match rows.take(x) {
            Cow::Borrowed(x) => self.apply_to(x)?,
            Cow::Owned(x) => self.apply(x)?,
        }])
    }
}

impl RowWise for Box<dyn RowWise> {
    fn called(&self) -> &str {
        (**self).called()
    }

    fn takes(&self) -> Option<usize> {
        (**self).takes()
    }

    fn gives(&self, channels: usize) -> usize {
        (**self).gives(channels)
    }

    fn apply(&self, x: Matrix) -> Result<Matrix, Error> {
        (**self).apply(x)
    }

    fn apply_to(&self, x: &Matrix) -> Result<Matrix, Error> {
        (**self).apply_to(x)
    }

    fn as_linear(&self) -> Option<&Linear> {
        (**self).as_linear()
    }
}
