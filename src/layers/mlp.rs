//! A network of row-wise layers, one after the other, that another layer holds: `EdgeConv(nn)`, `GINConv(nn)` and so on.

use std::sync::Arc;

use super::{Linear, Matrix, RowWise};
use crate::Error;

/// Row-wise layers, one after the other; without any it is the identity.
#[derive(Clone, Debug, Default)]
pub struct Mlp {
    layers: Vec<Arc<dyn RowWise>>,
}

impl Mlp {
    /// From its layers.
    ///
    /// # Errors
    /// [`Error::Shape`] if a layer takes another number of channels than the one before gives.
    pub fn new(layers: Vec<Arc<dyn RowWise>>) -> Result<Self, Error> {
        let mut channels: Option<usize> = None;
        for layer in &layers {
            if let (Some(found), Some(expected)) = (channels, layer.takes()) {
                Error::unless_same(&format!("channels into {} of a network", layer.called()), found, expected)?;
            }
            channels = channels.or(layer.takes()).map(|channels| layer.gives(channels));
        }
        Ok(Mlp { layers })
    }

    /// The first layer, where it is a linear one, and the others: a caller may do the first product once a node.
    pub fn split_linear(&self) -> Option<(&Linear, Mlp)> {
        let (first, rest) = self.layers.split_first()?;
        Some((first.as_linear()?, Mlp { layers: rest.to_vec() }))
    }

    /// Whether the first layer is a ReLU, and the layers behind it: a caller may do it where the rows are made.
    pub(super) fn split_relu(&self) -> (bool, Mlp) {
        match self.layers.split_first() {
            Some((first, rest)) if first.called() == "ReLU" => (true, Mlp { layers: rest.to_vec() }),
            _ => (false, self.clone()),
        }
    }

    /// The last layer, where it is a linear one, and those before it: a caller may add its bias to aggregates.
    pub(super) fn split_last(&self) -> Option<(Mlp, &Linear)> {
        let (last, rest) = self.layers.split_last()?;
        Some((Mlp { layers: rest.to_vec() }, last.as_linear()?))
    }

    /// Whether it has no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

impl RowWise for Mlp {
    fn called(&self) -> &str {
        "MLP"
    }

    fn takes(&self) -> Option<usize> {
        // Layers before the first that fixes its channels keep them.
        self.layers.iter().find_map(|layer| layer.takes())
    }

    fn gives(&self, channels: usize) -> usize {
        self.layers.iter().fold(channels, |channels, layer| layer.gives(channels))
    }

    fn apply(&self, x: Matrix) -> Result<Matrix, Error> {
        self.layers.iter().try_fold(x, |x, layer| layer.apply(x))
    }

    fn as_linear(&self) -> Option<&Linear> {
        match self.layers.as_slice() {
            [one] => one.as_linear(),
            _ => None,
        }
    }
}
