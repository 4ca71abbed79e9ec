//! A fence around decoders of other crates: a panic on a corrupt file becomes an error with the file's name, and nothing is printed.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use crate::error::{At, Error};

thread_local! {
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode` and catches its panic. The panic hook is passed over meanwhile on this thread: a corrupt file is no defect of the program,
/// and a trace of the stack costs more memory than most files.
pub(crate) fn caught<T>(decode: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !FENCED.get() {
                before(info);
            }
        }));
    });
    let before = FENCED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    FENCED.set(before);
    outcome
}

/// Runs `decode`; a panic in it is a malformed file. Whatever it was decoding must not be used again after an error.
pub(crate) fn guarded<T>(path: &Path, expected: &str, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    caught(decode).unwrap_or_else(|payload| {
        let message = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
        let found = format!("bytes that stop the decoder ({})", message.unwrap_or("no message"));
        Err(Error::malformed(path, At::File, found, expected))
    })
}
