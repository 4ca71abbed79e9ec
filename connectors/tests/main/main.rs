//! All tests of the connectors, in one binary: one link, one allocator that counts.

mod allocations;
mod captures;
mod contacts;
mod domain;
mod fixtures;
mod following;
mod mutate;
mod odd_points;
mod odd_tables;
mod parts;
mod positions;
mod relabel;
mod sinks;
mod sources;
mod support;
mod table_kinds;
mod tables;
mod zoo;
