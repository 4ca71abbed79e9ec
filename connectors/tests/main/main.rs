//! All tests of the connectors, in one binary: one link, one allocator that counts.

mod allocations;
mod contacts;
mod domain;
mod fixtures;
mod mutate;
mod relabel;
mod sinks;
mod sources;
mod support;
mod tables;
mod zoo;
