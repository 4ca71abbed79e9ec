//! Results out: record batches by pipeline, a writer a format, and publication.

mod announce;
pub mod answers;
mod arrow;
pub mod batches;
mod bucket;
mod cells;
pub mod checkpoint;
mod csv;
pub mod die;
pub mod durable;
pub mod energies;
mod jsonl;
pub mod label;
pub mod las;
mod lock;
mod manifest;
mod parquet;
pub mod publish;
pub mod read;
pub mod records;
mod segment;
pub mod segments;
pub mod store;
pub mod writer;
