//! Items that kill: what a supervised run does about an item of its input that takes a process with it each time.
//!
//! A process that dies of a fault of its own (SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE; not of a kill from outside) may have died of an item.
//! The next try goes carefully: it reads an item only when all before it are written, and first notes where it stands. Dies that try too, the
//! item noted has killed twice. Its position goes into `quarantine.json` beside the checkpoints, and every later try leaves it out, counts it
//! and says so.

use std::path::Path;

use serde::{Deserialize, Serialize};
use thalweg::BoxError;
use thalweg::source::Position;
use thalweg_connectors::out::store::Store;
use thalweg_connectors::{Error, Notices};

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
    store: Store,
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
        let store = Store::at(folder)?;
        let left_out = list(&store)?;
        Ok(Quarantine { store, left_out, careful })
    }

    /// True if an item is read only when all before it are written.
    pub fn careful(&self) -> bool {
        self.careful
    }

    /// Notes where the item stands that is read next. True if it is to be left out, which is counted and said.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn leaves_out(&self, position: &Position, notices: &Notices) -> Result<bool, BoxError> {
        if self.left_out.contains(position) {
            notices.dropped("quarantined", || position.to_string());
            return Ok(true);
        }
        if self.careful {
            self.store.put(SUSPECT, &serde_json::to_vec(&Sealed::of(vec![position.clone()])?)?)?;
        }
        Ok(false)
    }
}

/// Puts the item under suspicion into quarantine; `None` where there is none.
///
/// # Errors
/// Files that cannot be read or written (exit 1).
pub fn condemn(folder: &Path) -> Result<Option<Position>, Failure> {
    let store = Store::at(folder)?;
    let Ok(bytes) = store.read(SUSPECT) else { return Ok(None) };
    // One that is torn was being written: it was not read yet.
    let Some(position) = Sealed::open(&bytes).ok().and_then(|mut positions| positions.pop()) else { return Ok(None) };
    let mut all = list(&store)?;
    if !all.contains(&position) {
        all.push(position.clone());
    }
    let text = Sealed::of(all).and_then(|all| serde_json::to_vec_pretty(&all));
    let text = text.map_err(|error| Failure::run(format!("{}: {error}", store.path(LIST).display())))?;
    store.put(LIST, &text)?;
    store.remove(SUSPECT)?;
    Ok(Some(position))
}

/// Forgets a suspicion of an earlier try.
pub fn forget(folder: &Path) {
    // Mostly there is none.
    let _ = Store::at(folder).map(|store| store.remove(SUSPECT));
}

fn list(store: &Store) -> Result<Vec<Position>, Failure> {
    let path = store.path(LIST);
    match store.read(LIST) {
        Ok(bytes) => Sealed::open(&bytes).map_err(|found| {
            let expected =
                "the positions left out and their checksum: put the file back, or remove it to try them again";
            Failure::run(format!("{}: found {found}, expected {expected}", path.display()))
        }),
        Err(Error::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
