//! Sources and sinks of Thalweg, one file per format or transport.

pub mod arrow;
pub mod batches;
pub mod bin;
pub mod csv;
pub mod error;
pub mod format;
pub mod jsonl;
pub mod parquet;
pub mod publish;
pub mod records;

mod cells;
mod columns;
mod guard;
mod lines;
mod table;
mod thrift;

pub use error::{At, Error};
pub use format::{FORMATS, Format, OriginRule, ReadOptions, Reader};
