//! Where segments and checkpoints stand: a folder of this machine, or a prefix of a bucket, `s3://BUCKET/PREFIX`.
//!
//! Both give what a commit needs: content that appears under its name whole or not at all, durable when the call is back; a name that one
//! alone can claim; a rename. In a bucket a rename is a copy and a removal: killed between the two, both names are there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::bucket::{Bucket, SCHEME};
use super::die::die_at;
use super::publish::{StagedFile, sync_folder_of};
use crate::error::Error;
use crate::files::read_regular;

/// A place of files whose names have no `/`.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    bucket: Option<Arc<Bucket>>,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written, where that is known.
    pub modified: Option<SystemTime>,
}

/// True for a place in a bucket.
pub fn is_bucket(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(SCHEME.as_bytes())
}

impl Store {
    /// The place of that path or URI. Nothing is opened or made yet, nor need it be there.
    ///
    /// # Errors
    /// A URI without a bucket, or settings of it in the environment that do not fit.
    pub fn at(path: &Path) -> Result<Store, Error> {
        let bucket = is_bucket(path).then(|| Bucket::open(path)).transpose()?;
        Ok(Store { root: path.into(), bucket })
    }

    /// True for a bucket.
    pub fn is_remote(&self) -> bool {
        self.bucket.is_some()
    }

    /// The place as a whole, as messages call it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file's path, as messages call it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes a folder that is missing; a bucket must be there.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn make(&self) -> Result<(), Error> {
        match &self.bucket {
            Some(_) => Ok(()),
            None => std::fs::create_dir_all(&self.root).map_err(|e| Error::io(&self.root, e)),
        }
    }

    /// What is there, by name.
    ///
    /// # Errors
    /// A place that cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = match &self.bucket {
            Some(bucket) => bucket.list().map_err(|e| Error::io(&self.root, e))?,
            None => folder_entries(&self.root)?,
        };
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// All bytes of a file.
    ///
    /// # Errors
    /// One that is not there or cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.path(name);
        match &self.bucket {
            Some(bucket) => bucket.read(name).map_err(|e| Error::io(&path, e)),
            None => read_regular(&path),
        }
    }

    /// A file's length; `None` where it is not there.
    ///
    /// # Errors
    /// One that cannot be looked at.
    pub fn length(&self, name: &str) -> Result<Option<u64>, Error> {
        let path = self.path(name);
        let found = match &self.bucket {
            Some(bucket) => bucket.length(name),
            None => std::fs::metadata(&path).map(|kind| kind.len()),
        };
        match found {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(&path, error)),
        }
    }

    /// Writes a file, in place of one that is there.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        if let Some(bucket) = &self.bucket {
            return bucket.put(name, bytes.to_vec()).map_err(|e| Error::io(&path, e));
        }
        let mut file = StagedFile::create(&path)?;
        file.write_all(bytes).map_err(|e| Error::io(&path, e))?;
        file.publish()
    }

    /// Writes a file whose name nobody has taken.
    ///
    /// # Errors
    /// A name that is taken; a place that cannot be written.
    pub fn claim(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        let io = |e| Error::io(&path, e);
        if let Some(bucket) = &self.bucket {
            die_at("checkpoint written");
            bucket.claim(name, bytes.to_vec()).map_err(io)?;
            die_at("checkpoint linked");
            return Ok(());
        }
        let mut builder = tempfile::Builder::new();
        let mut file = builder.prefix(".checkpoint.").suffix(".tmp").tempfile_in(&self.root).map_err(io)?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io)?;
        die_at("checkpoint written");
        std::fs::hard_link(file.path(), &path).map_err(io)?;
        die_at("checkpoint linked");
        sync_folder_of(&path)
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// A file that is not there; a place that cannot be written.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let path = self.path(from);
        let io = |e| Error::io(&path, e);
        if let Some(bucket) = &self.bucket {
            bucket.copy(from, to).map_err(io)?;
            die_at("segment renamed");
            return bucket.remove(from).map_err(io);
        }
        std::fs::rename(&path, self.path(to)).map_err(io)?;
        die_at("segment renamed");
        sync_folder_of(&self.path(to))
    }

    /// Takes a file away.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        let removed = match &self.bucket {
            Some(bucket) => bucket.remove(name),
            None => std::fs::remove_file(&path),
        };
        removed.map_err(|e| Error::io(&path, e))
    }

    /// Where a file is written before [`Store::hand_over`], and read after [`Store::fetch`].
    pub fn local(&self, name: &str) -> PathBuf {
        match &self.bucket {
            Some(bucket) => bucket.scratch().join(name),
            None => self.path(name),
        }
    }

    /// Puts the file that stands at [`Store::local`] in its place, from where a bucket's is removed.
    ///
    /// # Errors
    /// A bucket that cannot be written.
    pub fn hand_over(&self, name: &str) -> Result<(), Error> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        bucket.put_file(name).map_err(|e| Error::io(&self.path(name), e))
    }

    /// Makes a file's content stand at [`Store::local`].
    ///
    /// # Errors
    /// A file that is not there.
    pub fn fetch(&self, name: &str) -> Result<(), Error> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        bucket.fetch(name).map_err(|e| Error::io(&self.path(name), e))
    }

    /// Takes away what [`Store::fetch`] brought.
    pub fn release(&self, name: &str) {
        if self.bucket.is_some() {
            // What stays goes with the scratch folder.
            let _ = std::fs::remove_file(self.local(name));
        }
    }
}

fn folder_entries(folder: &Path) -> Result<Vec<Entry>, Error> {
    let io = |e| Error::io(folder, e);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let Some(name) = entry.file_name().to_str().map(str::to_string) else { continue };
        // One that has gone since is not there.
        let Ok(kind) = entry.metadata() else { continue };
        entries.push(Entry { name, bytes: kind.len(), modified: kind.modified().ok() });
    }
    Ok(entries)
}
