//! GraphUNet: a U-shaped graph network over a voxel pyramid of kNN graphs.
//!
//! Level l holds one node a voxel of edge `s0 · 2^l`, and the exact kNN graph of those nodes. Going up, each level's rows
//! are the element-wise maximum over their children beside hand-made features; going down, each node takes the row of
//! its parent. Between them blocks `t = relu(Wr h + PointNetConv(h) + b)`, `h = relu(h + W2 t + b2)`.
//! The U shape follows Ronneberger et al. (2015), the layer Qi et al. (PointNet++, 2017). The same network in PyTorch is
//! training/network.py; batch normalisation is folded into the weights it exports.

mod config;
mod contract;
mod features;
mod network;
mod pyramid;

pub use config::{Class, Config, Decision, Group};
pub use network::GraphUNet;
pub use pyramid::{Level, Pyramid};
