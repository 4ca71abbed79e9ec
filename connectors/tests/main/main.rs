//! All tests of the connectors, in one binary: one link, one allocator that counts.

mod allocations;
mod fixtures;
mod mutate;
mod support;
mod zoo;
