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

/// True for a name that begins with a point.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// True if something of this name is there, and nothing can be learnt of it: a symbolic link to nothing, as a rule. It is a file that cannot be
/// read.
pub(crate) fn leads_nowhere(path: &Path) -> bool {
    std::fs::metadata(path).is_err() && std::fs::symlink_metadata(path).is_ok()
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
