//! One reader for every table: a format contributes columns of cells, and what a cell means is read in one place.
//!
//! A [`Kind`](names::Kind) says which columns its rows have. A format finds them by name ([`names`]) and hands out
//! [`Block`](table::Block)s: runs of records with an Arrow array a wanted column, text as text, typed columns as they are.
//! [`values`] turns arrays into numbers, times, ids, alike for all.

mod arrow;
mod blocks;
mod csv;
pub(crate) mod format;
mod json;
pub(crate) mod names;
mod open;
pub(crate) mod options;
mod parquet;
pub(crate) mod table;
mod text;
mod thrift;
pub(crate) mod times;
pub(crate) mod values;
pub(crate) mod whole;

pub(crate) use open::open;
