//! What the leader and another process tell each other: messages of a length and that many bytes.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::report::Snapshot;
use crate::{BoxError, Epoch, Error, portable};

/// From the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// An item of a source for a worker, or that it has none in this epoch.
    Deal { worker: usize, source: usize, epoch: Epoch, item: Option<Vec<u8>> },
    /// Where an epoch's items stand.
    Place { epoch: Epoch, place: String },
    /// The sources have ended after so many epochs.
    Ended { epochs: Epoch },
}

/// To the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum News {
    /// The counters so far.
    Counted(Snapshot),
    /// The last counters: its workers are done.
    Done(Snapshot),
    /// Its part of the run has failed.
    Failed(Told),
}

/// An error as another process tells it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    Stage { stage: String, epoch: Epoch, place: String, error: String },
    Other(String),
}

impl Told {
    pub fn of(error: &Error) -> Told {
        match error {
            Error::Stage { stage, epoch, place, error } => {
                Told::Stage { stage: stage.clone(), epoch: *epoch, place: place.clone(), error: error.to_string() }
            }
            other => Told::Other(other.to_string()),
        }
    }

    pub fn error(self, process: usize) -> Error {
        match self {
            Told::Stage { stage, epoch, place, error } => Error::Stage { stage, epoch, place, error: error.into() },
            Told::Other(text) => Error::Runtime(format!("process {process}: {text}")),
        }
    }
}

/// The end of a link that speaks.
#[derive(Debug)]
pub(crate) struct Post(Mutex<TcpStream>, TcpStream);

impl Post {
    /// Both ends of a link.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(stream: TcpStream) -> Result<(Post, Ear), Error> {
        let copy = || stream.try_clone().map_err(|error| Error::Runtime(error.to_string()));
        let ear = Ear(BufReader::with_capacity(1 << 16, copy()?));
        Ok((Post(Mutex::new(copy()?), stream), ear))
    }

    /// Says it, waiting while the other end has no room.
    ///
    /// # Errors
    /// A connection that is gone.
    pub fn say<T: Serialize>(&self, what: &T) -> Result<(), BoxError> {
        let bytes = portable::encode(what)?;
        let mut stream = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        stream.write_all(&(bytes.len() as u64).to_le_bytes())?;
        Ok(stream.write_all(&bytes)?)
    }

    /// Ends the link: whoever speaks or listens at either end is woken.
    pub fn close(&self) {
        // One that is closed already is as wanted.
        let _ = self.1.shutdown(Shutdown::Both);
    }
}

/// The end of a link that listens.
#[derive(Debug)]
pub(crate) struct Ear(BufReader<TcpStream>);

impl Ear {
    /// The next message; `None` where the other end is gone.
    ///
    /// # Errors
    /// Bytes that are no message.
    pub fn hear<T: DeserializeOwned>(&mut self) -> Result<Option<T>, BoxError> {
        let mut length = [0; 8];
        if self.0.read_exact(&mut length).is_err() {
            return Ok(None);
        }
        let length = u64::from_le_bytes(length);
        let mut bytes = Vec::new();
        match self.0.by_ref().take(length).read_to_end(&mut bytes) {
            Ok(read) if read as u64 == length => portable::decode(&bytes).map(Some),
            _ => Ok(None),
        }
    }
}
