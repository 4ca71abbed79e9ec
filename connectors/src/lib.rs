//! Sources and sinks of Thalweg, one file per format or transport.

pub mod bin;
pub mod error;
mod fields;
pub mod format;
pub mod inspect;
pub mod las;
mod laz;
mod lzf;
pub mod pcd;
pub mod ply;
mod text;

pub use error::{At, Error};
pub use format::{FORMATS, Format, OriginRule, ReadOptions, Reader};
pub use inspect::{Report, inspect};
