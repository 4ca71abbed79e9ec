//! Tables as of a time: what every pipeline shares that reads stamped rows and answers for moments of event time.
//!
//! Rows come in any order, each with a multiplicity. An answer for an as-of time is a function of the rows with stamps up to it.
//! [`Tables`] keeps what every such stage keeps; it says which times there are and what is final. `sites.rs` is the stage itself: it
//! deals tables out to the processes.

use serde::{Deserialize, Serialize};

mod names;
mod sites;
mod stop;
mod tables;
mod times;

pub(crate) use names::ByName;
pub use names::Names;
pub(crate) use sites::{Answering, AsOfStage, Asked};
pub use stop::Stop;
pub use tables::{Closing, Tables};
pub use times::AsOf;

/// A row with a stamp.
pub trait Stamped {
    /// The stamp (ns) of a row of the input; `None` for what is no row.
    fn t(&self) -> Option<i64>;
}

/// What a source of rows delivers in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowBatch<F> {
    /// Rows, each with its multiplicity: 1, or −1 for one taken back.
    pub rows: Vec<(F, i32)>,
    /// Whether to answer once these rows are in.
    pub due: bool,
}

impl<F> Default for RowBatch<F> {
    fn default() -> Self {
        RowBatch { rows: Vec::new(), due: false }
    }
}

/// A stamp (ns) as messages name it.
pub(crate) fn stamp(t: i64) -> String {
    let (seconds, rest) = (t.div_euclid(1_000_000_000), t.rem_euclid(1_000_000_000));
    if rest == 0 { format!("{seconds} s") } else { format!("{} s", t as f64 * 1e-9) }
}
