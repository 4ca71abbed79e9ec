//! Keyed hashes in place of ids: HMAC-SHA-256 (RFC 2104, FIPS 180-4) of the id's bytes, as 64 hexadecimal digits.
//!
//! With the same key the same id gets the same hash in every run and file; without the key a hash tells nothing that guessing could check.

use std::fmt::Write;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{At, Error};
use crate::files::read_regular;

/// A key; its bytes are never shown.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key in a file: its bytes, but for one line end after them.
    ///
    /// # Errors
    /// A file that cannot be read or is empty.
    pub fn load(path: &Path) -> Result<Key, Error> {
        let bytes = read_regular(path)?;
        let key = bytes.strip_suffix(b"\n").map_or(bytes.as_slice(), |key| key.strip_suffix(b"\r").unwrap_or(key));
        if key.is_empty() {
            return Err(Error::malformed(path, At::File, "no key", "a key of at least one byte"));
        }
        Ok(Key(Hmac::new_from_slice(key).expect("HMAC takes keys of any length")))
    }

    /// The hash of an id.
    pub fn hash(&self, id: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.finalize().into_bytes().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to memory cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_rfc_4231() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Jefe\n").unwrap();
        // RFC 4231, section 4.3.
        assert_eq!(
            Key::load(file.path()).unwrap().hash("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        std::fs::write(file.path(), "\n").unwrap();
        assert!(Key::load(file.path()).is_err());
    }
}
