//! Networks of a user's own: a file with a list of layers, read, checked as a whole, and run on a graph.
//!
//! `training/export.py` writes such a file from a network of PyTorch Geometric; `training/README.md` has the format.

mod network;
mod read;

pub use network::{GraphNetwork, Inputs, Network, Step};
