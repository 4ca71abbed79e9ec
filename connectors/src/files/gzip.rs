//! Packed data are told by their first bytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// The first bytes of gzip data.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// True if a file begins as packed data do; it is read from its beginning again after that.
pub(super) fn is_packed(file: &mut File) -> std::io::Result<bool> {
    let mut head = Vec::new();
    file.take(GZIP.len() as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(head == GZIP)
}
