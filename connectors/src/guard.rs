//! A fence around decoders of other crates: a panic on a corrupt file becomes an error with the file's name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::{At, Error};

/// Runs `decode`; a panic in it is a malformed file. Whatever it was decoding must not be used again after an error.
pub(crate) fn guarded<T>(path: &Path, expected: &str, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|payload| {
        let message = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
        let found = format!("bytes that stop the decoder ({})", message.unwrap_or("no message"));
        Err(Error::malformed(path, At::File, found, expected))
    })
}
