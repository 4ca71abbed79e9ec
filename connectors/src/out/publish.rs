//! Publication: what is written stands under a temporary name beside its destination until it is whole, then is renamed.
//!
//! Order: write, fsync the file, rename, fsync the folder. Dropped before that, the temporary file or folder is removed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::error::Error;

/// One file that appears at its destination whole, or not at all.
#[derive(Debug)]
pub struct StagedFile {
    destination: PathBuf,
    writer: BufWriter<NamedTempFile>,
}

impl StagedFile {
    /// Starts a temporary file in the destination's folder.
    ///
    /// # Errors
    /// A destination without a file name or that is a folder; a folder that is missing or cannot be written.
    pub fn create(destination: &Path) -> Result<StagedFile, Error> {
        let (folder, name) = split(destination)?;
        if destination.is_dir() {
            return Err(Error::unsupported(destination, "a folder", "the name of a file"));
        }
        let mut builder = tempfile::Builder::new();
        let prefix = format!(".{name}.");
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder).map_err(|e| Error::io(destination, e))?;
        Ok(StagedFile { destination: destination.into(), writer: BufWriter::with_capacity(1 << 18, file) })
    }

    /// Where the file will stand.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Makes the content durable and gives it its name, in place of an older file of that name.
    ///
    /// # Errors
    /// A disk that is full, a folder that cannot be written.
    pub fn publish(self) -> Result<(), Error> {
        let StagedFile { destination, writer } = self;
        let io = |e| Error::io(&destination, e);
        let file = writer.into_inner().map_err(|e| io(e.into_error()))?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(&destination).map_err(|e| io(e.error))?;
        sync_folder_of(&destination)
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

/// A folder of files that appears at its destination whole, or not at all.
#[derive(Debug)]
pub struct StagedFolder {
    destination: PathBuf,
    staging: TempDir,
}

impl StagedFolder {
    /// Starts a temporary folder beside the destination.
    ///
    /// # Errors
    /// A destination that already holds something; a parent folder that is missing or cannot be written.
    pub fn create(destination: &Path) -> Result<StagedFolder, Error> {
        let (parent, name) = split(destination)?;
        let io = |e| Error::io(destination, e);
        let holds_something = match std::fs::read_dir(destination) {
            Ok(mut entries) => entries.next().is_some(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => return Err(io(e)),
        };
        if holds_something {
            return Err(Error::unsupported(destination, "a folder with files in it", "an empty or absent folder"));
        }
        let mut builder = tempfile::Builder::new();
        let prefix = format!(".{name}.");
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let staging = builder.tempdir_in(parent).map_err(io)?;
        Ok(StagedFolder { destination: destination.into(), staging })
    }

    /// Where the folder will stand.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Writes one file of the folder, durably.
    ///
    /// # Errors
    /// A name that is taken already; a disk that is full.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.write_with(name, |out| out.write_all(bytes))
    }

    /// Writes one file of the folder piece by piece, durably.
    ///
    /// # Errors
    /// See [`StagedFolder::write`].
    pub fn write_with(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let shown = self.destination.join(name);
        let io = |e| Error::io(&shown, e);
        let created = File::create_new(self.staging.path().join(name)).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::unsupported(&shown, "the name of two files", "one file a name"),
            _ => io(error),
        });
        let mut out = BufWriter::new(created?);
        write(&mut out).map_err(io)?;
        out.into_inner().map_err(|e| io(e.into_error()))?.sync_all().map_err(io)
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// A destination that holds something by now; a folder that cannot be written.
    pub fn publish(self) -> Result<(), Error> {
        let io = |e| Error::io(&self.destination, e);
        sync_folder(self.staging.path())?;
        std::fs::rename(self.staging.path(), &self.destination).map_err(io)?;
        sync_folder_of(&self.destination)
    }
}

/// Makes a rename in the file's folder durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), Error> {
    sync_folder(split(path)?.0)
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::io(folder, e))
}

/// The folder that a path stands in, and its last name.
fn split(path: &Path) -> Result<(&Path, String), Error> {
    let name = path.file_name().ok_or_else(|| Error::unsupported(path, "a path without a name", "a name"))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, name.to_string_lossy().into_owned()))
}
