//! The k-nearest-neighbour engine against brute force.

mod bulk;
mod changes;
mod cloud;
mod voxels;
