//! What one look at an open file or stream finds, and how much it asks for.

/// Bytes asked for at a time.
pub(super) const CHUNK: usize = 1 << 18;

/// What a look for more bytes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// Bytes, now at the end of the buffer.
    Bytes,
    /// None at present.
    Nothing,
    /// None any more.
    End,
    /// Another file stands under the name: what comes next is its beginning. `cut`: the old one was shortened, so that a line without
    /// its end is no line.
    Anew { cut: bool },
}
