//! The core's integration tests, one binary: the adapter and the builder under load, graphs, maps and risks against oracles, parity, errors.

mod dataflow;
mod knn;
mod law;
mod live_contacts;
mod map;
mod parity;
mod random;
mod risk;
mod shapes;
