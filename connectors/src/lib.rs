//! Sources and sinks of Thalweg, one file per format or transport.

pub mod bin;
pub mod error;
pub mod format;

pub use error::{At, Error};
pub use format::{FORMATS, Format, OriginRule, ReadOptions, Reader};
