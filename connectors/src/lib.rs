//! Sources and sinks of Thalweg, one file per format or transport.
//!
//! [`points`] reads frames, [`contacts`] rows of contacts and tests, [`graph`] rows of edges and nodes, all over the table formats of `tables`; [`sim`] makes inputs;
//! [`out`] writes; [`inspect()`] says what a path is.

mod clock;
pub mod contacts;
pub mod error;
mod files;
pub mod graph;
mod inspect;
pub mod molecules;
mod notices;
pub mod on_error;
pub mod order;
pub mod out;
pub mod points;
pub mod records;
pub mod rows;
pub mod sim;
mod tables;

pub use arrow;
pub use error::{At, Error};
pub use files::guard::quiet_decoder_panics;
pub use inspect::{Field, Group, Report, inspect};
pub use notices::Notices;
pub use on_error::OnError;
pub use points::format::{Format, Reader};
pub use points::options::ReadOptions;
pub use points::origin::OriginRule;
pub use points::registry::FORMATS;
