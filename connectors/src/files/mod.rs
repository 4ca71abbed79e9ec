//! Files as bytes: opening them, streams that may be packed, piped or still growing, and a fence around decoders of other crates.

pub(crate) mod got;
mod growing;
pub(crate) mod guard;
mod gzip;
mod pipe;
pub(crate) mod stream;

use std::io::Read as _;
use std::path::Path;

use crate::error::{At, Error};

/// How the command line names standard input.
pub(crate) const STDIN: &str = "-";

/// Opens a regular file: a folder, a pipe or a device, which may never end, is an error.
pub(crate) fn open_regular(path: &Path) -> Result<std::fs::File, Error> {
    let kind = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if !kind.is_file() {
        let found = if kind.is_dir() { "a folder" } else { "a pipe or a device" };
        return Err(Error::unsupported(path, found, "a regular file"));
    }
    std::fs::File::open(path).map_err(|e| Error::io(path, e))
}

/// All bytes of a regular file.
pub(crate) fn read_regular(path: &Path) -> Result<Vec<u8>, Error> {
    let mut file = open_regular(path)?;
    let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let length = usize::try_from(length)
        .map_err(|_| Error::malformed(path, At::File, format!("{length} bytes"), "a file that fits into memory"))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|e| Error::io(path, std::io::Error::other(e)))?;
    file.read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    Ok(bytes)
}
