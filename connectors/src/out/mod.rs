//! Results out: record batches by pipeline, a writer a format, and publication.

mod arrow;
pub mod batches;
mod cells;
mod crc32;
mod csv;
mod jsonl;
pub mod label;
pub mod las;
mod parquet;
pub mod publish;
pub mod records;
pub mod segments;
