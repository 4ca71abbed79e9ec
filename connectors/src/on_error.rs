//! What becomes of an input that cannot be read.

/// What becomes of a file that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It ends the run.
    #[default]
    Stop,
    /// It is passed over, said, and counted as `unreadable`.
    Skip,
}
