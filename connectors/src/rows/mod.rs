//! Rows of tables as a source, whatever they are rows of: feeds, ids, dead letters, and several feeds merged by event time.

pub(crate) mod feed;
pub(crate) mod file;
mod forgiving;
mod hash;
mod ids;
mod merge;
mod open;
mod places;
mod rejected;

pub use feed::{Feed, FoundAt, Summed};
pub use hash::Key;
pub use ids::Ids;
pub use merge::{Merge, More, Pace};
pub(crate) use open::{Known, Tables, open, passed_over_in, source};
pub use rejected::{Rejected, WithRejected};
