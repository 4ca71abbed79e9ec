//! A temporal graph network over contacts: belief propagation's risk, corrected for rates that were given wrong.
//!
//! Its inputs ([`Inputs`]) are what belief propagation and mean field say with the given parameters, everybody's tests, and how the whole
//! population's tests compare with what several rates forecast. Training (`training/risk/`) simulates outbreaks with rates
//! that the model is not told; `models/tgnn.md` has its data and figures. A temporal graph network in the sense of Rossi et al., ICML
//! workshop 2020, without memory: its depth is finite, so the result is a function of the snapshot.

mod forecast;
mod inputs;
mod network;

use super::{Bp, Parameters, Risk, RiskModel, Snapshot};
use crate::Error;
pub use inputs::{AGES, Inputs, NODE, POPULATION};
use network::Network;

/// The network, and belief propagation before it.
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
}

impl RiskModel for Tgnn {
    fn name(&self) -> &'static str {
        "tgnn"
    }

    fn risk(&mut self, snapshot: &Snapshot, threads: usize) -> Result<Risk, Error> {
        let mut risk = Bp::new(self.parameters)?.risk(snapshot, threads)?;
        let inputs = Inputs::new(snapshot, &self.parameters, &risk.score)?;
        risk.score = self.network.forward(&inputs).into_iter().map(|odds| 1.0 / (1.0 + libm::exp(-odds))).collect();
        Ok(risk)
    }
}
