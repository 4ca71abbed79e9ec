//! Frames of points: a reader a format, and files, folders and sequences as sources.

pub mod bin;
pub(crate) mod fields;
pub mod folder;
pub mod format;
mod intensity;
pub mod kitti;
pub mod label;
pub mod las;
pub(crate) mod laz;
mod lzf;
pub mod order;
pub mod pcd;
pub mod ply;
pub mod replay;
mod rows;
pub(crate) mod table;
mod text;
pub mod told;
