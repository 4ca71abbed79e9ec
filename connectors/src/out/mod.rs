//! Results out: record batches by pipeline, a writer a format, and publication.

pub mod answers;
mod arrow;
pub mod batches;
mod cells;
mod csv;
mod jsonl;
pub mod label;
pub mod las;
mod lock;
mod manifest;
mod parquet;
pub mod publish;
pub mod records;
pub mod segments;
