//! Damaged files of each format: whatever stands in them, a reader ends in time, without a panic, within the memory that the file's length allows.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use thalweg_connectors::inspect;
use thalweg_connectors::points::registry::by_extension;

use crate::allocations::most_while;
use crate::support::{files_below, fixtures, lidar};
use crate::tables::frames;

/// Mutations of each kind of file.
const MUTATIONS: u64 = 200;
/// Larger files are left out, for speed.
const LARGEST: u64 = 70_000;
/// What one read may take, on a machine that has other work to do.
const LIMIT: Duration = Duration::from_secs(20);

/// Random numbers that a seed reproduces.
pub struct Random(SplitMix64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(SplitMix64::seed_from_u64(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % (end as u64).max(1)) as usize
    }
}

/// Overwrites the bytes at `at`, as far as they go.
fn put(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (to, &from) in bytes.iter_mut().skip(at).zip(with) {
        *to = from;
    }
}

/// Replaces the digits at or behind `at` by another number.
fn replace_number(bytes: &mut Vec<u8>, at: usize, with: &str) {
    let Some(start) = (at..bytes.len()).find(|&i| bytes[i].is_ascii_digit()) else { return };
    let end = (start..bytes.len()).find(|&i| !bytes[i].is_ascii_digit()).unwrap_or(bytes.len());
    bytes.splice(start..end, with.bytes());
}

pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let reach = if random.below(3) > 0 { bytes.len().min(1024) } else { bytes.len() };
        let at = random.below(reach);
        match random.below(7) {
            0 => (0..1 + random.below(16)).for_each(|_| {
                let at = random.below(reach);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }),
            1 => bytes.truncate(random.below(bytes.len() + 1)),
            2 => {
                let from = random.below(other.len());
                let length = random.below(other.len() - from + 1).min(4096);
                let until = if random.below(2) == 0 { at } else { bytes.len().min(at + length) };
                bytes.splice(at..until, other[from..from + length].iter().copied());
            }
            3 => {
                let huge = [u32::MAX, u32::MAX - 1, i32::MAX as u32, 1 << 31, 1 << 24, 0xffff, 0];
                put(bytes, at, &huge[random.below(huge.len())].to_le_bytes());
            }
            4 => {
                let huge = [u64::MAX, i64::MAX as u64, 1 << 40, u64::from(u32::MAX)];
                put(bytes, at, &huge[random.below(huge.len())].to_le_bytes());
            }
            5 => {
                let huge = [
                    "4294967295",
                    "18446744073709551615",
                    "99999999999999999999999",
                    "-1",
                    "1000000000",
                    "0",
                    "3000000",
                ];
                replace_number(bytes, at, huge[random.below(huge.len())]);
            }
            _ => {
                let value = random.next() as u8;
                let length = random.below(64);
                put(bytes, at, &vec![value; length]);
            }
        }
    }
}

/// The files of one kind, those not too large.
fn files_of(endings: &[&str], not: &str) -> Vec<PathBuf> {
    let fits = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let ending = endings.iter().any(|ending| name.ends_with(ending)) && (not.is_empty() || !name.ends_with(not));
        ending && path.metadata().unwrap().len() <= LARGEST
    };
    let mut files: Vec<_> = files_below(&fixtures()).into_iter().filter(fits).collect();
    files.extend(lidar().iter().flat_map(|folder| files_below(folder)).filter(fits));
    files
}

/// Reads and inspects a file on a thread of its own: the most bytes that lived, and whether it could be read.
fn tried(path: &Path, what: &str) -> (u64, bool) {
    let (send, receive) = mpsc::channel();
    let file = path.to_path_buf();
    let worker = std::thread::spawn(move || {
        thalweg_connectors::quiet_decoder_panics();
        let (outcome, most) = most_while(|| frames(&file).map(|frames| frames.len()));
        let (_, most_of_inspect) = most_while(|| inspect(&file));
        let _ = send.send((most.max(most_of_inspect), outcome.map_err(|e| e.to_string())));
    });
    match receive.recv_timeout(LIMIT) {
        Ok((most, outcome)) => {
            if let Err(message) = &outcome {
                assert!(
                    message.starts_with(&path.display().to_string()),
                    "{what}: {message} does not begin with the file"
                );
            }
            (most, outcome.is_ok())
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: not done after {LIMIT:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            panic!("{what}: panicked: {:?}", worker.join().unwrap_err().downcast_ref::<String>())
        }
    }
}

fn survives(endings: &[&str], not: &str) {
    let files = files_of(endings, not);
    let contents: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let first_seed = std::env::var("THALWEG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let rounds = std::env::var("THALWEG_MUTATIONS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(MUTATIONS);
    let (mut read, mut greatest) = (0, 0);
    for seed in first_seed..first_seed + rounds {
        let mut random = Random::new(seed);
        let (a, b) = (random.below(files.len()), random.below(files.len()));
        let mut bytes = contents[a].clone();
        mutate(&mut bytes, &contents[b], &mut random);
        let path = folder.path().join(format!("mutated-{}", files[a].file_name().unwrap().to_string_lossy()));
        assert!(by_extension(&path).is_some());
        std::fs::write(&path, &bytes).unwrap();
        let what = format!("seed {seed} of {}", files[a].display());
        let (most, done) = tried(&path, &what);
        let allowed = 4 * bytes.len() as u64 + (64 << 20);
        assert!(most <= allowed, "{what}: {most} bytes lived at once, {allowed} allowed for {} bytes", bytes.len());
        read += u64::from(done);
        greatest = greatest.max(most);
        std::fs::remove_file(&path).unwrap();
    }
    eprintln!("{endings:?}: {rounds} mutations of {} files, {read} still read, at most {greatest} bytes", files.len());
}

#[test]
fn kitti() {
    survives(&[".bin"], ".pcd.bin");
}

#[test]
fn nuscenes() {
    survives(&[".pcd.bin"], "");
}

#[test]
fn pcd() {
    survives(&[".pcd"], "");
}

#[test]
fn ply() {
    survives(&[".ply"], "");
}

#[test]
fn las() {
    survives(&[".las"], "");
}

#[test]
fn laz() {
    survives(&[".laz"], "");
}

#[test]
fn parquet() {
    survives(&[".parquet"], "");
}

#[test]
fn arrow() {
    survives(&[".arrow", ".feather"], "");
}

#[test]
fn csv() {
    survives(&[".csv"], "");
}

#[test]
fn jsonl() {
    survives(&[".jsonl"], "");
}
