//! How a table is meant, and how it is opened.

use super::names::{ColumnNames, Kind};
use super::times::TimeUnit;
use crate::notices::Notices;

/// How tables are meant, where they do not say it themselves.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// What files call their columns.
    pub columns: ColumnNames,
    /// The unit of times that are plain numbers; seconds where it is not said.
    pub time_unit: Option<TimeUnit>,
}

/// How to open a table.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub kind: &'static Kind,
    pub options: &'a TableOptions,
    pub follow: bool,
    pub notices: &'a Notices,
}
