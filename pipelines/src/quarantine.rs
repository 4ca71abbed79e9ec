//! Items that kill: what a supervised run does about an item of its input that takes a process with it each time.
//!
//! A process that dies of a fault of its own (SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE; not of a kill from outside) may have died of an item.
//! The next try goes carefully: it reads an item only when all before it are written, and first notes where it stands. Dies that try too, the
//! item noted has killed twice. Its position goes into `quarantine.json` beside the checkpoints, and every later try leaves it out, counts it
//! and says so.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thalweg::source::Position;
use thalweg_connectors::Notices;

use crate::failure::Failure;

/// Tells a process to go carefully.
pub const CAREFUL: &str = "THALWEG_CAREFUL";

/// Positions in a file, with their checksum.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    positions: Vec<Position>,
    /// CRC-32 of the positions as compact JSON.
    crc32: u32,
}

impl Sealed {
    fn of(positions: Vec<Position>) -> Result<Sealed, serde_json::Error> {
        let crc32 = crc32fast::hash(&serde_json::to_vec(&positions)?);
        Ok(Sealed { positions, crc32 })
    }

    /// The positions in a file's bytes; what is wrong with them where they are not whole.
    fn open(bytes: &[u8]) -> Result<Vec<Position>, String> {
        let found: Sealed = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let whole = Sealed::of(found.positions).map_err(|error| error.to_string())?;
        if whole.crc32 == found.crc32 { Ok(whole.positions) } else { Err(format!("checksum {}", found.crc32)) }
    }
}

const SUSPECT: &str = "suspect.json";
const LIST: &str = "quarantine.json";

/// The items of a run that are left out, and the one that is under suspicion.
#[derive(Debug)]
pub struct Quarantine {
    folder: PathBuf,
    left_out: Vec<Position>,
    careful: bool,
}

impl Quarantine {
    /// That of a folder of checkpoints.
    ///
    /// # Errors
    /// A list that cannot be read (exit 1).
    pub fn open(folder: &Path) -> Result<Quarantine, Failure> {
        let careful = std::env::var_os(CAREFUL).is_some();
        Ok(Quarantine { folder: folder.into(), left_out: list(folder)?, careful })
    }

    /// True if an item is read only when all before it are written.
    pub fn careful(&self) -> bool {
        self.careful
    }

    /// Notes where the item stands that is read next. True if it is to be left out, which is counted and said.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn leaves_out(&self, position: &Position, notices: &Notices) -> Result<bool, std::io::Error> {
        if self.left_out.contains(position) {
            notices.dropped("quarantined", || position.to_string());
            return Ok(true);
        }
        if self.careful {
            std::fs::write(self.folder.join(SUSPECT), serde_json::to_vec(&Sealed::of(vec![position.clone()])?)?)?;
        }
        Ok(false)
    }
}

/// Puts the item under suspicion into quarantine; `None` where there is none.
///
/// # Errors
/// Files that cannot be read or written (exit 1).
pub fn condemn(folder: &Path) -> Result<Option<Position>, Failure> {
    let (suspect, path) = (folder.join(SUSPECT), folder.join(LIST));
    let Ok(bytes) = std::fs::read(&suspect) else { return Ok(None) };
    // One that is torn was being written: it was not read yet.
    let Some(position) = Sealed::open(&bytes).ok().and_then(|mut positions| positions.pop()) else { return Ok(None) };
    let failed = |error: std::io::Error| Failure::run(format!("{}: {error}", path.display()));
    let mut all = list(folder)?;
    if !all.contains(&position) {
        all.push(position.clone());
    }
    let text = Sealed::of(all).and_then(|all| serde_json::to_vec_pretty(&all)).map_err(|error| failed(error.into()))?;
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        std::io::Write::write_all(&mut file, &text)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        std::fs::remove_file(&suspect)
    });
    written.map_err(failed)?;
    Ok(Some(position))
}

/// Forgets a suspicion of an earlier try.
pub fn forget(folder: &Path) {
    // Mostly there is none.
    let _ = std::fs::remove_file(folder.join(SUSPECT));
}

fn list(folder: &Path) -> Result<Vec<Position>, Failure> {
    let path = folder.join(LIST);
    match std::fs::read(&path) {
        Ok(bytes) => Sealed::open(&bytes).map_err(|found| {
            let expected =
                "the positions left out and their checksum: put the file back, or remove it to try them again";
            Failure::run(format!("{}: found {found}, expected {expected}", path.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::run(format!("{}: {error}", path.display()))),
    }
}
