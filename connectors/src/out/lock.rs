//! One writer a place.
//!
//! A folder: a lock of the operating system on the file `.lock` in it, which goes with the process that holds it. A bucket has no locks, and
//! who holds one there may be a machine that is gone. So whoever comes takes the place over: it claims the next number under `.writers/`, writes
//! under names with that number, and the writer before it sees at its next commit that it is no longer the one.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::store::Store;
use crate::error::Error;

/// Where the numbers of a bucket's writers stand, one object each.
const WRITERS: &str = ".writers";
/// Numbers that others may take while this writer looks for one.
const TRIES: usize = 100;

/// The right to write into a place.
#[derive(Debug)]
pub(super) enum Lock {
    /// Of a folder.
    Folder { _lock: FolderLock },
    /// Of a bucket: the number of this writer.
    Bucket { root: PathBuf, writers: Store, number: u64 },
}

impl Lock {
    /// Takes the place. A folder that another run has is an error, a bucket is taken over.
    pub(super) fn take(store: &Store) -> Result<Lock, Error> {
        if !store.is_remote() {
            return Ok(Lock::Folder { _lock: FolderLock::take(store.root())? });
        }
        let writers = Store::at(&store.path(WRITERS))?;
        let own = format!("{} {:?}\n", std::process::id(), std::time::SystemTime::now());
        let mut tries = 0;
        loop {
            tries += 1;
            let newest = writers.list()?.iter().filter_map(|entry| entry.name.parse::<u64>().ok()).max();
            let number = newest.unwrap_or(0) + 1;
            match writers.claim(&writer(number), own.as_bytes()) {
                Ok(()) => return Ok(Lock::Bucket { root: store.root().into(), writers, number }),
                Err(Error::Io { error, .. }) if error.kind() == std::io::ErrorKind::AlreadyExists && tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What stands behind the name of a segment that no checkpoint names yet.
    pub(super) fn ending(&self) -> String {
        match self {
            Lock::Folder { .. } => STAGED.into(),
            Lock::Bucket { number, .. } => format!(".{number}{STAGED}"),
        }
    }

    /// Sees to it that nobody has taken the place over.
    pub(super) fn still_held(&self) -> Result<(), Error> {
        match self {
            Lock::Bucket { root, writers, number } if writers.length(&writer(number + 1))?.is_some() => {
                let expected = "none beside this one: the one that came last goes on";
                Err(Error::unsupported(root, "another run that has taken the place over", expected))
            }
            _ => Ok(()),
        }
    }
}

/// The name of a writer's object.
fn writer(number: u64) -> String {
    format!("{number:08}")
}

/// The end of the name of a segment that no checkpoint names yet.
pub(super) const STAGED: &str = ".staged";

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
