//! The core's integration tests, one binary: the adapter and the builder under load, graphs and maps against oracles, parity, errors.

mod dataflow;
mod knn;
mod law;
mod map;
mod parity;
mod risk;
