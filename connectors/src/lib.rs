//! Sources and sinks of Thalweg, one file per format or transport.

pub mod arrow;
pub mod batches;
pub mod bin;
mod cells;
mod columns;
pub mod contacts;
mod crc32;
pub mod csv;
pub mod error;
mod fields;
pub mod folder;
pub mod format;
mod guard;
pub mod inspect;
pub mod jsonl;
pub mod kitti;
pub mod label;
pub mod las;
pub mod las_out;
mod laz;
mod lines;
mod lzf;
pub mod parquet;
pub mod pcd;
pub mod ply;
pub mod publish;
pub mod records;
pub mod replay;
pub mod segments;
pub mod street;
mod table;
mod text;
mod thrift;

pub use error::{At, Error};
pub use format::{FORMATS, Format, OriginRule, ReadOptions, Reader};
pub use inspect::{Report, inspect};
