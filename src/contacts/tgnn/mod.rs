//! A temporal graph network over contacts: everybody's risk where the rates are known only roughly.
//!
//! It begins with belief propagation at several rates, averaged by their evidence ([`Rates`]), and corrects that by what it learned: its inputs
//! ([`Inputs`]) are that average, mean field at the likely rates, contacts by age, everybody's tests, and the evidence itself. Training (`training/risk/`) simulates outbreaks with rates
//! that the model is not told; `models/tgnn.md` has its data and figures. A temporal graph network in the sense of Rossi et al., ICML
//! workshop 2020, without memory: its depth is finite, so the result is a function of the snapshot.

mod inputs;
mod network;
mod rates;

use super::{Parameters, Risk, RiskModel, RiskOptions, Snapshot};
use crate::Error;
use crate::layers::Structure;
use crate::networks::GraphNetwork;
pub use inputs::{AGES, Inputs, NODE, POPULATION};
use network::Network;
pub use rates::{LANES, Rates};

/// The network, and belief propagation at several rates before it.
#[derive(Clone, Debug)]
pub struct Tgnn {
    parameters: Parameters,
    network: Network,
}

impl Tgnn {
    /// From the bytes of a safetensors file; `name` is how messages call it.
    ///
    /// # Errors
    /// Those of [`Parameters::check`]; [`Error::Model`] for bytes that are no such model.
    pub fn from_bytes(name: &str, bytes: &[u8], parameters: Parameters) -> Result<Self, Error> {
        parameters.check()?;
        Ok(Tgnn { parameters, network: Network::from_bytes(name, bytes)? })
    }

    /// Everybody's probability where belief propagation says `rates`.
    ///
    /// # Errors
    /// Those of [`Inputs::new`].
    pub fn score(&self, snapshot: &Snapshot, rates: &Rates) -> Result<Vec<f64>, Error> {
        let inputs = Inputs::new(snapshot, &self.parameters, rates)?;
        let graph = Structure { edges: &inputs.graph, graph: None, graphs: 1 };
        let corrections = self.network.forward(&inputs.x(), Some(&inputs.weight), &graph)?;
        let odds = inputs.base.iter().enumerate().map(|(person, base)| {
            let [a, b, added] = [0, 1, 2].map(|column| f64::from(corrections.row(person)[column]));
            let odds = (1.0 + a) * base + b + added;
            // Weights so large that their sums are no number correct nothing.
            if odds.is_nan() { *base } else { odds }
        });
        Ok(odds.map(|odds| 1.0 / (1.0 + libm::exp(-odds))).collect())
    }
}

impl RiskModel for Tgnn {
    fn name(&self) -> &'static str {
        "tgnn"
    }

    fn risk(&mut self, snapshot: &Snapshot, options: &RiskOptions) -> Result<Risk, Error> {
        let rates = Rates::new(snapshot, &self.parameters, options)?;
        options.stop.check()?;
        let score = self.score(snapshot, &rates)?;
        Ok(Risk { score, ..rates.risk })
    }
}
