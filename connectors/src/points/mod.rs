//! Frames of points: a reader a format, and files, folders and sequences as sources.

mod arrivals;
mod beside;
pub mod bin;
pub(crate) mod fields;
pub mod files_options;
pub mod folder;
pub mod format;
mod intensity;
mod join;
pub mod joints;
pub mod kitti;
pub(crate) mod known;
pub mod label;
pub mod las;
pub(crate) mod listing;
mod lzf;
pub mod map_origin;
pub mod npy;
pub mod options;
pub mod origin;
mod part;
pub mod pcd;
pub mod ply;
mod record_size;
pub mod registry;
pub mod replay;
mod rows;
pub(crate) mod scalar;
pub(crate) mod table;
mod text;
pub mod told;
pub mod truth;
mod watch;
mod whole;
pub mod xyz;

pub use rows::column_names;
