//! Frames of points: a reader a format, and files, folders and sequences as sources.

mod beside;
pub mod bin;
pub(crate) mod fields;
pub mod folder;
pub mod format;
mod intensity;
mod join;
pub mod kitti;
pub mod label;
pub mod las;
pub(crate) mod laz;
pub(crate) mod listing;
mod lzf;
pub mod map_origin;
pub mod npy;
pub mod order;
mod part;
pub mod pcd;
pub mod ply;
pub mod replay;
mod rows;
pub(crate) mod table;
mod text;
pub mod told;
mod watch;
mod whole;
pub mod xyz;
