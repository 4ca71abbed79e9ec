//! Secrets: where one stands, and how it is read. A secret is never a value of a configuration or an option itself.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Where a secret stands, and what the setting is called that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    called: &'static str,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Variable(String),
}

impl Secret {
    /// In a file, all of it but blanks around; messages call the setting so.
    pub fn in_file(called: &'static str, path: impl AsRef<Path>) -> Secret {
        Secret { called, place: Place::File(path.as_ref().into()) }
    }

    /// In a variable of the environment, likewise.
    pub fn in_variable(called: &'static str, name: impl Into<String>) -> Secret {
        Secret { called, place: Place::Variable(name.into()) }
    }

    /// The secret itself.
    ///
    /// # Errors
    /// A file that cannot be read (exit 1); one that is empty, or a variable that is empty or not set (exit 78).
    pub fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let bytes = match &self.place {
            Place::File(path) => {
                std::fs::read(path).map_err(|error| Failure::run(format!("{}: {error}", self.name())))?
            }
            Place::Variable(name) => std::env::var_os(name).unwrap_or_default().into_encoded_bytes(),
        };
        match bytes.trim_ascii() {
            [] => Err(Failure::config(format!("{}: found nothing, expected a secret", self.name()))),
            secret => Ok(secret.to_vec()),
        }
    }

    /// The secret itself, where it must be text.
    ///
    /// # Errors
    /// Those of [`Secret::bytes`]; bytes that are no UTF-8 (exit 1).
    pub fn text(&self) -> Result<String, Failure> {
        String::from_utf8(self.bytes()?)
            .map_err(|_| Failure::run(format!("{}: found bytes that are no UTF-8, expected text", self.name())))
    }

    /// How messages call it.
    fn name(&self) -> String {
        match &self.place {
            Place::File(path) => format!("{}: {}", self.called, path.display()),
            Place::Variable(name) => format!("{}: {name}", self.called),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_around_a_secret_do_not_count_and_an_empty_one_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = Secret::in_file("secret_file", file.path());
        let with = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            (secret.bytes(), secret.text())
        };
        assert_eq!(with(b" abc\n").1.unwrap(), "abc");
        let (bytes, text) = with(b"\xff\n");
        assert_eq!(bytes.unwrap(), [0xff]);
        assert_eq!(text.unwrap_err().code(), 1);
        let (empty, _) = with(b" \n");
        assert_eq!(empty.unwrap_err().code(), 78);
        assert_eq!(Secret::in_variable("secret_env", "NOT_SET_ANYWHERE").bytes().unwrap_err().code(), 78);
    }
}
