//! Where the shared recordings and the fixtures lie, the files in them, and how a test reads one.

use std::path::{Path, PathBuf};

use thalweg::{Frame, Next};
use thalweg_connectors::points::registry::by_extension;
use thalweg_connectors::{Error, ReadOptions};

/// The shared recordings' `lidar` folder (`THALWEG_DATA` or `../shared/data` beside the workspace), or `None`, said aloud, where it is missing.
pub fn lidar() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("THALWEG_DATA").map_or_else(beside, PathBuf::from).join("lidar");
    if folder.is_dir() {
        return folder.canonicalize().ok();
    }
    eprintln!("skipped: no recordings at {}", folder.display());
    None
}

/// The small files beside the tests.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// All files below `folder`, in name order.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The only frame of a file, by its name's ending.
pub fn read(path: &Path) -> Result<Frame, Error> {
    let format = by_extension(path).unwrap();
    let mut reader = (format.open)(path, &ReadOptions::default())?;
    let Next::Item(frame) = reader.next_frame()? else { panic!("a file is one frame") };
    assert!(matches!(reader.next_frame()?, Next::End), "{}: a second frame", path.display());
    Ok(frame)
}
