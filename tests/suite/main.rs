//! The core's integration tests, one binary: the adapter and the builder under load, graphs, maps and risks against oracles, parity, errors.

mod cluster;
mod dataflow;
mod gnn;
mod graphs;
mod knn;
mod layers;
mod live_contacts;
mod map;
mod molecules;
mod networks;
mod numbers;
mod parity;
mod plan;
mod pose;
mod random;
mod risk;
mod shapes;
