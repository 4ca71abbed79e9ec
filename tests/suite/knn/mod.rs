//! The k-nearest-neighbour engine against brute force.

mod bulk;
mod cloud;
mod map;
mod voxels;
