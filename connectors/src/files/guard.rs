//! A fence around decoders of other crates: a panic on a corrupt file becomes an error with the file's name.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use crate::error::{At, Error};

thread_local! {
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

/// Makes the process's panic hook pass over panics of decoders that a corrupt file stops: they become errors of that file, and are no defects of
/// the program. All other panics go to the hook that was there.
///
/// The hook belongs to the process, so a program calls this where it begins, after any hook of its own. No reader here does. Without
/// it the errors are the same, but the panic's message, or a trace of the stack, is printed besides.
pub fn quiet_decoder_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !FENCED.get() {
                before(info);
            }
        }));
    });
}

/// Runs `decode` and catches its panic; see [`quiet_decoder_panics`] for what is printed.
pub(crate) fn caught<T>(decode: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_panic_hook_is_left_alone_until_the_program_says_otherwise() {
        let (seen, own) = (Arc::new(AtomicU32::new(0)), std::thread::current().id());
        let (count, before) = (Arc::clone(&seen), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() == own {
                count.fetch_add(1, Ordering::SeqCst);
            } else {
                before(info);
            }
        }));
        let torn =
            || guarded(Path::new("torn.laz"), "a whole file", || -> Result<(), Error> { panic!("no more bytes") });
        let expected = "torn.laz: the file: found bytes that stop the decoder (no more bytes), expected a whole file";
        assert_eq!((torn().unwrap_err().to_string(), seen.load(Ordering::SeqCst)), (expected.into(), 1));
        quiet_decoder_panics();
        assert_eq!((torn().unwrap_err().to_string(), seen.load(Ordering::SeqCst)), (expected.into(), 1));
        assert!(catch_unwind(|| panic!("a defect")).is_err());
        assert_eq!(seen.load(Ordering::SeqCst), 2, "panics outside the fence are said");
    }
}
