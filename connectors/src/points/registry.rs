//! The registry of formats that hold frames: one line each, found by name, by a path's ending, or by a file's first bytes.

use std::io::Read as _;
use std::path::Path;

use super::format::{Format, Reader};
use super::options::ReadOptions;
use super::{bin, known, las, npy, pcap, pcd, ply, table, xyz};
use crate::error::Error;
use crate::files::open_regular;

/// All formats that hold frames.
pub static FORMATS: &[Format] = &[
    bin::KITTI,
    bin::NUSCENES,
    pcd::FORMAT,
    ply::FORMAT,
    las::FORMAT,
    npy::FORMAT,
    pcap::FORMAT,
    table::PARQUET,
    table::ARROW,
    table::CSV,
    table::JSONL,
    xyz::FORMAT,
];

/// The format of a file: by its name's ending, else by its first bytes.
///
/// # Errors
/// A folder, a file that cannot be opened, or one of no format in [`FORMATS`]: the message says what it is, where that is known.
pub fn guess(path: &Path) -> Result<&'static Format, Error> {
    let named = match by_extension(path) {
        Some(format) => Some(format),
        None => {
            let mut head = Vec::new();
            open_regular(path)?.take(16).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
            FORMATS.iter().find(|format| format.magic.iter().any(|magic| head.starts_with(magic)))
        }
    };
    let refused = match (known::foreign(path, named), named) {
        (None, Some(format)) => return Ok(format),
        (Some(known), _) => Some(known),
        (None, None) => known::find(path),
    };
    let found = refused
        .map_or("a file of no known ending or first bytes".into(), |known| format!("{}: not read here", known.what));
    let endings: Vec<_> = FORMATS.iter().flat_map(|f| f.extensions).map(|e| format!(".{e}")).collect();
    Err(Error::unsupported(path, found, endings.join(", ")))
}

/// The format whose ending, the longest that fits, the file name has; case does not count. Does not look at the file.
pub fn by_extension(path: &Path) -> Option<&'static Format> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let fit = |ending: &str| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.'));
    let length = |f: &&Format| f.extensions.iter().filter(|e| fit(e)).map(|e| e.len()).max();
    FORMATS.iter().filter(|f| length(f).is_some()).max_by_key(length)
}

/// The format that `--format` names.
///
/// # Errors
/// A name that no format has.
pub fn by_name(name: &str) -> Result<&'static Format, Error> {
    FORMATS.iter().find(|f| f.name == name).ok_or_else(|| {
        let names: Vec<_> = FORMATS.iter().map(|f| f.name).collect();
        Error::Value { what: "format", found: name.into(), expected: names.join(", ") }
    })
}

/// Opens a file of the format guessed from its path.
///
/// # Errors
/// See [`guess`] and the format's own reader.
pub fn open(path: &Path, options: &ReadOptions) -> Result<Box<dyn Reader>, Error> {
    (guess(path)?.open)(path, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ending_wins_and_case_does_not_count() {
        let name = |path: &str| by_extension(Path::new(path)).map(|f| f.name);
        assert_eq!(name("a/000000.bin"), Some("kitti-bin"));
        assert_eq!(name("a/x.pcd.bin"), Some("nuscenes"));
        assert_eq!(name("a/x.PCD"), Some("pcd"));
        assert_eq!(name("a/x.copc.laz"), Some("las"));
        assert_eq!(name("a/bin"), None);
        assert_eq!(name("a/xbin"), None);
    }
}
