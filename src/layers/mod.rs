//! Layers of graph networks: names, parameters and results as PyTorch Geometric's, one file each.
//!
//! Every layer is a pure function of its input, and an output row does not depend on which other rows are in the batch.

mod gemm;
mod linear;
mod matrix;
mod point_net_conv;
mod simd;
mod weights;

pub use linear::Linear;
pub use matrix::Matrix;
pub use point_net_conv::{PointNetConv, Positions};
pub use simd::dense_path;
pub use weights::Weights;
