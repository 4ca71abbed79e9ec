//! Layers of graph networks: names, parameters and results as PyTorch Geometric's, one file each.
//!
//! Every layer is a pure function of its input, and an output row does not depend on which other rows are in the batch.

mod edge_conv;
mod gemm;
mod graph_conv;
mod linear;
mod matrix;
mod neighbors;
mod point_net_conv;
mod sage_conv;
mod simd;
mod weights;

pub use edge_conv::EdgeConv;
pub use graph_conv::GraphConv;
pub use linear::Linear;
pub use matrix::Matrix;
pub use neighbors::Neighbors;
pub use point_net_conv::{PointNetConv, Positions};
pub use sage_conv::{SageAggregation, SageConv};
pub use simd::dense_path;
pub(crate) use simd::widened;
pub use weights::Weights;
