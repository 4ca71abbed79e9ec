//! Writers that do all that writers do to files that are followed: random pieces, pauses, renames, truncation, rotation. 200 seeded
//! schedules: what comes out is what was written, or a warning names what could not be had.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thalweg::contacts::Fact;
use thalweg::{Next, Source};
use thalweg_connectors::contacts::{self, Pace, Rejected};
use thalweg_connectors::points::files_options::FilesOptions;
use thalweg_connectors::points::folder::Files;
use thalweg_connectors::{Notices, ReadOptions};

use crate::mutate::Random;

const SCHEDULES: u64 = 100;
/// Schedules at a time: they mostly wait.
const AT_ONCE: usize = 16;

/// How a log's writer goes on to the next file.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// Copied aside, cut to nothing, written on under the same name.
    Truncate,
    /// Renamed; a new file by the old name. What was at hand may still go to the old one.
    Rename,
    /// A new file is renamed over it.
    Replace,
}

/// Runs `one` for every seed, several at once; fails with what went wrong.
fn schedules(seeds: std::ops::Range<u64>, one: impl Fn(u64) -> Result<(), String> + Sync) {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let wrong = std::sync::Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(why) = one(seed) {
                        wrong.lock().unwrap().insert(seed, why);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let shown: Vec<String> = wrong.iter().take(8).map(|(seed, why)| format!("seed {seed}: {why}")).collect();
    assert!(wrong.is_empty(), "{} of {} schedules went wrong:\n{}", wrong.len(), seeds.count(), shown.join("\n"));
}

fn seeds() -> std::ops::Range<u64> {
    let only = std::env::var("THALWEG_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    only.map_or(0..SCHEDULES, |seed| seed..seed + 1)
}

fn pause(random: &mut Random, most: usize) {
    std::thread::sleep(Duration::from_millis(random.below(most) as u64));
}

/// Text written to the end of a file in pieces that end anywhere.
fn in_pieces(path: &Path, text: &str, random: &mut Random) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(1 + random.below(rest.len()));
        file.write_all(piece).unwrap();
        rest = later;
        pause(random, 12);
    }
}

/// Writes a log of rows under a name, turning to new files as logs do; what it did, for messages.
fn write_log(path: &Path, header: &str, rows: &[String], random: &mut Random) -> String {
    let mut told = Vec::new();
    let mut rest = rows;
    in_pieces(path, header, random);
    while !rest.is_empty() {
        let (some, later) = rest.split_at(1 + random.below(rest.len().min(12)));
        rest = later;
        in_pieces(path, &some.concat(), random);
        told.push(format!("{} rows", some.len()));
        if rest.is_empty() || random.below(3) > 0 {
            continue;
        }
        // Mostly a reader has time to see what was written; at times it has none.
        std::thread::sleep(Duration::from_millis([0, 120, 120, 120][random.below(4)]));
        let turn = [Turn::Truncate, Turn::Rename, Turn::Replace][random.below(3)];
        told.push(format!("{turn:?}"));
        let again = if random.below(3) == 0 { "" } else { header };
        let aside = path.with_extension(format!("old{}", rest.len()));
        match turn {
            Turn::Truncate => {
                std::fs::copy(path, &aside).unwrap();
                OpenOptions::new().write(true).truncate(true).open(path).unwrap();
                std::thread::sleep(Duration::from_millis(120));
                in_pieces(path, again, random);
            }
            Turn::Rename => {
                std::fs::rename(path, &aside).unwrap();
                if random.below(2) == 0 {
                    let (one, later) = rest.split_at(1);
                    rest = later;
                    in_pieces(&aside, &one[0], random);
                    told.push("a row to the old file".into());
                }
                pause(random, 60);
                in_pieces(path, again, random);
            }
            Turn::Replace => {
                let new = path.with_extension("new");
                let (one, later) = rest.split_at(1);
                rest = later;
                in_pieces(&new, &(again.to_string() + &one[0]), random);
                std::fs::rename(&new, path).unwrap();
            }
        }
    }
    told.join(", ")
}

/// Asks a source as a run does until it ends; the writer's thread sets `stop` when it is done.
fn drain<S: Source>(source: &mut S, mut take: impl FnMut(S::Item)) -> Result<(), String> {
    let began = Instant::now();
    loop {
        match source.next().map_err(|e| e.to_string())? {
            Next::Item(item) => take(item),
            Next::Idle => std::thread::sleep(Duration::from_millis(2)),
            Next::End => return Ok(()),
        }
        if began.elapsed() > Duration::from_secs(20) {
            return Err("does not end".into());
        }
    }
}

/// Found must be what was written, in order; else a warning must name the file, and what was found must be some of it.
fn judged(found: &[String], written: &[String], warnings: &[String], path: &Path, told: &str) -> Result<(), String> {
    if found == written {
        return Ok(());
    }
    let mut rest = written.iter();
    let some = found.iter().all(|row| rest.any(|right| right == row));
    let named = warnings.iter().any(|text| text.contains(&*path.file_name().unwrap().to_string_lossy()));
    if some && named {
        return Ok(());
    }
    let missing: Vec<_> = written.iter().filter(|row| !found.contains(row)).collect();
    let strange: Vec<_> = found.iter().filter(|row| !written.contains(row)).collect();
    Err(format!(
        "found {} rows of {}; missing {missing:?}, never written {strange:?}; warnings {warnings:?}; the writer: {told}",
        found.len(),
        written.len()
    ))
}

/// Writes in one thread, reads in this one; the writer's story.
fn beside<T>(stop: &Arc<AtomicBool>, write: impl FnOnce() -> String + Send, read: impl FnOnce() -> T) -> (T, String) {
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let told = write();
            std::thread::sleep(Duration::from_millis(250));
            stop.store(true, Ordering::Relaxed);
            told
        });
        let found = read();
        (found, writer.join().unwrap())
    })
}

fn contacts_followed(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let json = random.below(3) == 0;
    let path = folder.path().join(if json { "c.jsonl" } else { "c.csv" });
    let count = 1 + random.below(40);
    let rows: Vec<String> = (0..count)
        .map(|n| match (json, random.below(6)) {
            (true, _) => format!("{{\"t\":{n},\"i\":\"a{n}\",\"j\":\"b\",\"duration\":{}}}\n", 100 + n),
            (false, 0) => format!("{n},a{n},b,{},\"two\nlines, {n}\"\n", 100 + n),
            (false, _) => format!("{n},a{n},b,{},\n", 100 + n),
        })
        .collect();
    let written: Vec<String> = (0..count).map(|n| format!("{n} a{n} b {}", 100 + n)).collect();
    let header = if json { "" } else { "t,i,j,duration,note\n" };
    let stop = Arc::new(AtomicBool::new(false));
    let notices = Notices::default();
    if random.below(4) > 0 {
        std::fs::write(&path, "").unwrap();
    }
    let rejected = Arc::new(Rejected::beside("out.csv"));
    let options = contacts::FilesOptions {
        contacts: vec![path.clone()],
        follow: true,
        notices: notices.clone(),
        ..contacts::FilesOptions::default()
    };
    let mut source = contacts::source(&options, None, Pace::default(), &stop, &rejected).map_err(|e| e.to_string())?;
    let mut facts = Vec::new();
    let (ended, told) = beside(
        &stop,
        || write_log(&path, header, &rows, &mut random),
        || drain(&mut source, |item| facts.extend(item.rows)),
    );
    ended.map_err(|why| format!("{why}; the writer: {told}"))?;
    let names = source.names().list();
    let row = |(fact, _): &(Fact, i32)| match fact {
        Fact::Contact(row) => {
            let mut pair = [&names[row.a as usize], &names[row.b as usize]];
            pair.sort();
            format!("{} {} {} {}", row.t / 1_000_000_000, pair[0], pair[1], row.duration / 1_000_000_000)
        }
        other => format!("{other:?}"),
    };
    let found: Vec<String> = facts.iter().map(row).collect();
    // A row of which the half was read when the file was cut is malformed.
    if rejected.count() > told.matches("Truncate").count() as u64 {
        return Err(format!("{} rows malformed; the writer: {told}", rejected.count()));
    }
    judged(&found, &written, &notices.warnings(), &path, &told)
}

/// Files of points, followed, that settle at once.
fn followed(notices: &Notices) -> FilesOptions {
    FilesOptions {
        read: ReadOptions { notices: notices.clone(), ..ReadOptions::default() },
        follow: true,
        settle: SETTLE,
        ..FilesOptions::default()
    }
}

fn points_followed(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let json = random.below(3) == 0;
    let path = folder.path().join(if json { "a.jsonl" } else { "a.csv" });
    let count = 1 + random.below(40);
    let mut frame = 0;
    let points: Vec<(usize, usize)> = (0..count)
        .map(|n| {
            frame += random.below(3) / 2;
            (frame, n)
        })
        .collect();
    let row = |(frame, n): &(usize, usize)| {
        if json {
            format!("{{\"frame\":{frame},\"x\":{n},\"y\":{}.5,\"z\":1}}\n", n * 2)
        } else {
            format!("{frame},{n},{}.5,1\n", n * 2)
        }
    };
    let rows: Vec<String> = points.iter().map(row).collect();
    let written: Vec<String> = points.iter().map(|(frame, n)| format!("{frame} {n} {}.5 1", n * 2)).collect();
    let header = if json { "" } else { "frame,x,y,z\n" };
    let notices = Notices::default();
    let options = followed(&notices);
    let stop = options.stop.clone();
    if random.below(4) > 0 {
        std::fs::write(&path, "").unwrap();
    }
    let mut source = Files::open(&path, options).map_err(|e| e.to_string())?;
    let mut found = Vec::new();
    let (ended, told) = beside(
        &stop,
        || write_log(&path, header, &rows, &mut random),
        || {
            drain(&mut source, |frame| {
                found.extend(
                    (0..frame.len()).map(|i| format!("{} {} {} {}", frame.id, frame.x[i], frame.y[i], frame.z[i])),
                );
            })
        },
    );
    ended.map_err(|why| format!("{why}; the writer: {told}"))?;
    judged(&found, &written, &notices.warnings(), &path, &told)
}

/// Scans that come into a folder: in pieces, renamed into place, together, in any order of names.
fn folder_followed(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let count = 1 + random.below(8);
    let mut names: Vec<usize> = (0..count).map(|i| i * 3 + 5).collect();
    for i in 0..count {
        names.swap(i, i + random.below(count - i));
    }
    let scan = |n: usize| -> Vec<[f32; 3]> { (0..3 + n).map(|i| [n as f32, i as f32, 0.5]).collect() };
    let file = |n: usize| -> (PathBuf, Vec<u8>) {
        let points = scan(n);
        let floats = |more: &'static [f32]| {
            points.iter().flat_map(move |p| p.iter().copied().chain(more.iter().copied())).flat_map(f32::to_le_bytes)
        };
        match n % 3 {
            0 => (folder.path().join(format!("{n}.bin")), floats(&[0.25]).collect()),
            1 => {
                let head = format!(
                    "ply\nformat binary_little_endian 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nend_header\n",
                    points.len()
                );
                (folder.path().join(format!("{n}.ply")), head.into_bytes().into_iter().chain(floats(&[])).collect())
            }
            _ => {
                let n_points = points.len();
                let head = format!(
                    "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {n_points}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {n_points}\nDATA binary\n"
                );
                (folder.path().join(format!("{n}.pcd")), head.into_bytes().into_iter().chain(floats(&[])).collect())
            }
        }
    };
    let notices = Notices::default();
    let options = followed(&notices);
    let stop = options.stop.clone();
    let mut source = Files::open(folder.path(), options).map_err(|e| e.to_string())?;
    let mut found = Vec::new();
    let (ended, told) = beside(
        &stop,
        || {
            let mut told = Vec::new();
            for &n in &names {
                let (path, bytes) = file(n);
                match random.below(3) {
                    0 => std::fs::write(&path, &bytes).unwrap(),
                    1 => {
                        let part = folder.path().join(format!(".{n}.part"));
                        std::fs::write(&part, &bytes).unwrap();
                        std::fs::rename(&part, &path).unwrap();
                    }
                    _ => {
                        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
                        let cut = random.below(bytes.len());
                        file.write_all(&bytes[..cut]).unwrap();
                        pause(&mut random, 80);
                        file.write_all(&bytes[cut..]).unwrap();
                        told.push(format!("cut at {cut} of {}", bytes.len()));
                    }
                }
                told.push(path.file_name().unwrap().to_string_lossy().into_owned());
                pause(&mut random, 120);
            }
            std::thread::sleep(SETTLE + Duration::from_millis(300));
            told.join(", ")
        },
        || {
            drain(&mut source, |frame| {
                let points: Vec<[f32; 3]> = (0..frame.len()).map(|i| [frame.x[i], frame.y[i], frame.z[i]]).collect();
                found.push(points);
            })
        },
    );
    ended.map_err(|why| format!("{why}; the writer: {told}"))?;
    let mut right: Vec<Vec<[f32; 3]>> = names.iter().map(|&n| scan(n)).collect();
    let by_first = |a: &Vec<[f32; 3]>, b: &Vec<[f32; 3]>| a.partial_cmp(b).unwrap();
    right.sort_by(by_first);
    found.sort_by(by_first);
    if found == right {
        return Ok(());
    }
    let sizes = |frames: &[Vec<[f32; 3]>]| frames.iter().map(Vec::len).collect::<Vec<_>>();
    Err(format!(
        "found frames of {:?} points, right: {:?}; warnings {:?}; the writer: {told}",
        sizes(&found),
        sizes(&right),
        notices.warnings()
    ))
}

/// How long a file that cannot say when it is whole must rest.
const SETTLE: Duration = Duration::from_millis(200);

#[test]
fn followed_contacts_are_all_there() {
    schedules(seeds(), contacts_followed);
}

#[test]
fn followed_tables_of_points_are_all_there() {
    schedules(seeds(), points_followed);
}

#[test]
fn followed_folders_are_all_there() {
    schedules(seeds(), folder_followed);
}
