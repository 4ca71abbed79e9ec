//! One writer a folder: a lock of the operating system on the file `.lock` in it, which goes with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long to wait for a run that was killed and may still be ending.
const PATIENCE: Duration = Duration::from_secs(1);

/// The right to write into a folder; dropped, it takes its file away.
#[derive(Debug)]
pub(super) struct FolderLock {
    path: PathBuf,
    _file: File,
}

impl FolderLock {
    /// Takes the folder, or says that another run has it.
    pub(super) fn take(folder: &Path) -> Result<FolderLock, Error> {
        let path = folder.join(".lock");
        let io = |e| Error::io(&path, e);
        let until = Instant::now() + PATIENCE;
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let found = "another run that is writing into it";
                    return Err(Error::unsupported(folder, found, "a folder that no other run writes into"));
                }
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
            // Whoever held the lock may have taken the file away between the opening and the locking: then it locks nothing.
            if stands_at(&file, &path).map_err(io)? {
                return Ok(FolderLock { path, _file: file });
            }
        }
    }
}

/// True if `path` is the name of this very file.
#[cfg(unix)]
fn stands_at(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that is open keeps its name.
#[cfg(not(unix))]
fn stands_at(_: &File, _: &Path) -> std::io::Result<bool> {
    Ok(true)
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // A file that stays behind locks nothing once this process has closed it.
        let _ = std::fs::remove_file(&self.path);
    }
}
