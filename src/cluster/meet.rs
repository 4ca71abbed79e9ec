//! How the processes of a run find each other: each listens, and connects to those before it; both sides prove that they know the secret.
//!
//! A connection begins with the hello of the one that connects, the answer of the one that listens, and a proof. Proofs are HMAC-SHA-256
//! over hello and answer, whose nonces are random: they cannot be replayed, and do not tell the secret. What follows is not encrypted.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{Cluster, LEADER};
use crate::Error;

/// What a connection begins with.
const MAGIC: [u8; 8] = *b"thalweg\x01";
/// How long a connection may take to prove itself.
const PROOF: Duration = Duration::from_secs(2);
/// How long to leave a process alone that is not there yet.
const AGAIN: Duration = Duration::from_millis(20);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// timely's messages.
    Data,
    /// What the leader and this process tell each other.
    Link,
}

/// The connections of a process, by the number of the one at the other end; none to itself.
#[derive(Debug)]
pub(crate) struct Met {
    pub data: Vec<Option<TcpStream>>,
    /// All others for the leader, the leader alone for the others.
    pub links: Vec<Option<TcpStream>>,
}

impl Met {
    fn whole(&self, cluster: &Cluster) -> bool {
        let other = |process: &usize| *process != cluster.process;
        let links = |process: &usize| cluster.leads() || *process == LEADER;
        (0..cluster.processes())
            .filter(other)
            .all(|process| self.data[process].is_some() && (!links(&process) || self.links[process].is_some()))
    }
}

/// Connects this process with all others; `plan` stands for what they must have in common.
///
/// # Errors
/// [`Error::Runtime`] where this process cannot listen, or another has another plan; [`Error::Lost`] where one does not come.
pub(crate) fn meet(cluster: &Cluster, plan: &str) -> Result<Met, Error> {
    let own = &cluster.addresses[cluster.process];
    let bound = TcpListener::bind(own).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    let listener = bound.map_err(|error| Error::Runtime(format!("{own}: found {error}, expected to listen there")))?;
    let deadline = Instant::now() + cluster.patience;
    let none = || (0..cluster.processes()).map(|_| None).collect();
    let mut met = Met { data: none(), links: none() };
    let digest = digest(cluster, plan);
    for process in 0..cluster.process {
        met.data[process] = Some(connect(cluster, process, Purpose::Data, digest, deadline)?);
    }
    if !cluster.leads() {
        met.links[LEADER] = Some(connect(cluster, LEADER, Purpose::Link, digest, deadline)?);
    }
    while !met.whole(cluster) {
        match listener.accept() {
            Ok((stream, _)) => {
                // Whoever cannot prove itself is no process of this run, and keeps nobody from coming.
                if let Some((process, purpose, stream)) = welcome(cluster, stream, digest)? {
                    let list = if purpose == Purpose::Data { &mut met.data } else { &mut met.links };
                    list[process].get_or_insert(stream);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if Instant::now() > deadline {
                    let absent = |p: &usize| *p > cluster.process && met.data[*p].is_none();
                    let process = (0..cluster.processes()).find(absent).unwrap_or(LEADER);
                    return Err(lost(cluster, process, "nobody"));
                }
                std::thread::sleep(AGAIN);
            }
            Err(error) => return Err(Error::Runtime(format!("{own}: {error}"))),
        }
    }
    Ok(met)
}

fn lost(cluster: &Cluster, process: usize, found: &str) -> Error {
    let seconds = cluster.patience.as_secs_f64();
    let address = &cluster.addresses[process];
    Error::Lost { process, message: format!("{address}: found {found} for {seconds} s, expected it to answer") }
}

/// What must be the same in all processes, as 32 bytes.
fn digest(cluster: &Cluster, plan: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [env!("CARGO_PKG_VERSION"), plan, &cluster.settings, &cluster.addresses.len().to_string()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What the one that connects says: magic, its number, the purpose, the digest of the plan, a nonce.
const HELLO: usize = 8 + 4 + 4 + 32 + 32;
/// What the other answers: whether the plans are the same, a nonce, its proof.
const ANSWER: usize = 8 + 32 + 32;

fn proof(cluster: &Cluster, side: &[u8], hello: &[u8], nonce: &[u8]) -> Result<Hmac<Sha256>, Error> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&cluster.secret).map_err(|e| Error::Runtime(e.to_string()))?;
    [side, hello, nonce].into_iter().for_each(|part| mac.update(part));
    Ok(mac)
}

fn nonce() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Runtime(format!("random numbers: {error}")))?;
    Ok(bytes)
}

fn other_plan(process: usize) -> Error {
    let message = "found another plan, other settings or another version there, expected the same in all processes";
    Error::Runtime(format!("process {process}: {message}"))
}

/// A connection to a process before this one.
fn connect(
    cluster: &Cluster,
    process: usize,
    purpose: Purpose,
    digest: [u8; 32],
    deadline: Instant,
) -> Result<TcpStream, Error> {
    let mut hello = Vec::with_capacity(HELLO);
    hello.extend(MAGIC);
    hello.extend((cluster.process as u32).to_le_bytes());
    hello.extend((purpose as u32).to_le_bytes());
    hello.extend(digest);
    loop {
        hello.truncate(HELLO - 32);
        hello.extend(nonce()?);
        let mut answer = [0; ANSWER];
        let asked = TcpStream::connect(&cluster.addresses[process]).and_then(|mut stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(cluster.patience))?;
            stream.write_all(&hello)?;
            stream.read_exact(&mut answer)?;
            Ok(stream)
        });
        let mut stream = match asked {
            Ok(stream) => stream,
            Err(error) if Instant::now() > deadline => return Err(lost(cluster, process, &error.to_string())),
            Err(_) => {
                std::thread::sleep(AGAIN);
                continue;
            }
        };
        let (said, theirs) = answer.split_at(ANSWER - 32);
        if proof(cluster, b"listens", &hello, said)?.verify_slice(theirs).is_err() {
            let expected = "expected one that knows this run's secret";
            return Err(Error::Runtime(format!("process {process}: found a program without a proof, {expected}")));
        }
        if said[0] != 1 {
            return Err(other_plan(process));
        }
        let own = proof(cluster, b"connects", &hello, said)?.finalize().into_bytes();
        return match stream.write_all(&own).and_then(|()| stream.set_read_timeout(None)) {
            Ok(()) => Ok(stream),
            Err(error) => Err(lost(cluster, process, &error.to_string())),
        };
    }
}

/// Who has come; `None` for one that is no process of this run.
fn welcome(
    cluster: &Cluster,
    mut stream: TcpStream,
    digest: [u8; 32],
) -> Result<Option<(usize, Purpose, TcpStream)>, Error> {
    let mut hello = [0; HELLO];
    let heard = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_nodelay(true))
        .and_then(|()| stream.set_read_timeout(Some(PROOF)))
        .and_then(|()| stream.read_exact(&mut hello));
    let word = |at: usize| hello[at..at + 4].iter().rev().fold(0usize, |word, byte| word << 8 | usize::from(*byte));
    let (process, purpose) = (word(8), if word(12) == 0 { Purpose::Data } else { Purpose::Link });
    let expected = process > cluster.process && process < cluster.processes();
    if heard.is_err() || hello[..8] != MAGIC || !expected {
        return Ok(None);
    }
    let same = hello[16..48] == digest;
    let mut said = [0; ANSWER - 32];
    said[0] = u8::from(same);
    said[8..].copy_from_slice(&nonce()?);
    let own = proof(cluster, b"listens", &hello, &said)?.finalize().into_bytes();
    let mut theirs = [0; 32];
    if stream.write_all(&[&said[..], &own].concat()).is_err() {
        return Ok(None);
    }
    if !same {
        // It hears of it and ends; this process waits in vain for it, unless it says so too.
        return Err(other_plan(process));
    }
    if stream.read_exact(&mut theirs).is_err()
        || proof(cluster, b"connects", &hello, &said)?.verify_slice(&theirs).is_err()
        || stream.set_read_timeout(None).is_err()
    {
        return Ok(None);
    }
    Ok(Some((process, purpose, stream)))
}
