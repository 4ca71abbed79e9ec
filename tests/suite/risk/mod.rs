//! Models of the spread of infection against enumeration, against `sib`, and under contradictions.

mod data;
mod enumeration;
mod exact;
mod extremes;
mod published;
mod sib;
mod tgnn;
mod town;
mod trees;

use crate::random::Random;
