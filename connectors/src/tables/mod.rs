//! Formats of tables in.

pub(crate) mod arrow;
pub(crate) mod csv;
pub(crate) mod jsonl;
pub(crate) mod parquet;
mod thrift;
