//! Runs whose files were damaged, whose disk is full, or whose input has changed since the run before: each names what is wrong and what to do,
//! or gives the bytes of an undisturbed run. Never other bytes, a panic, or a wait without end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

use super::code;
use super::durable::{read, words};

const SEED: u64 = 17;
const MAP: &str = "knn --input seq --set nodes=map --set emit=changes --set k=3 --set window=4";
const RISK: &str =
    "risk --contacts contacts.csv --tests tests.csv --set rate=1e-4 --set emit=changes --every 300 --model tracing";

/// A drive of ten small scans with poses, and contacts and tests.
fn inputs() -> TempDir {
    let folder = TempDir::new().unwrap();
    let scans = folder.path().join("seq/velodyne");
    fs::create_dir_all(&scans).unwrap();
    (0..10).for_each(|number| scan(&scans, number, 0.0));
    let pose = |number: u32| format!("1 0 0 {number} 0 1 0 0 0 0 1 0\n");
    fs::write(folder.path().join("seq/poses.txt"), (0..10).map(pose).collect::<String>()).unwrap();
    fs::write(folder.path().join("contacts.csv"), contacts(200, 60)).unwrap();
    fs::write(folder.path().join("tests.csv"), "t,person,result\n900,p3,positive\n5000,p40,negative\n").unwrap();
    folder
}

fn scan(scans: &Path, number: u32, shift: f32) {
    let point = |i: u32| [(i * 7 + number) % 13, i * 5 % 11, i * 3 % 7].map(|v| v as f32 + shift);
    let points = (0..60).map(point).flat_map(|[x, y, z]| [x, y, z, 0.5]);
    fs::write(scans.join(format!("{number:06}.bin")), points.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
}

fn contacts(rows: u32, duration: u32) -> String {
    let row = |t: u32| format!("{},p{},p{},{duration}\n", 40 * t, (7 * t) % 31, (11 * t + 3) % 37 + 31);
    format!("t,i,j,duration\n{}", (0..rows).map(row).collect::<String>())
}

fn arguments(run: &str, name: &str, every: &str) -> Vec<String> {
    words(&format!("run {run} --output {name}/ --checkpoint {name}.ck --set checkpoint_seconds={every}"))
}

/// The program's exit code (none if a signal or the clock ended it) and what it said.
fn ran(folder: &Path, arguments: &[String], failpoints: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(arguments).current_dir(folder).env("FAILPOINTS", failpoints);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
    let late = child.try_wait().unwrap().is_none();
    // One that has ended cannot be killed.
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!late, "{arguments:?} never ended: {said}");
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    (output.status.code(), said)
}

fn done(folder: &Path, arguments: &[String]) -> String {
    let (code, said) = ran(folder, arguments, "");
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

#[track_caller]
fn refused(folder: &Path, arguments: &[String], words: &[&str]) {
    let (code, said) = ran(folder, arguments, "");
    assert_eq!(code, Some(1), "{arguments:?}: {said}");
    words.iter().for_each(|word| assert!(said.contains(word), "{arguments:?}: no {word} in {said}"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| fs::metadata(path).unwrap().len() > 0);
    files.sort();
    files
}

/// Flips a bit, cuts the end off, or takes the file away.
fn damage(rng: &mut Xoshiro256PlusPlus, path: &Path) -> String {
    let mut bytes = fs::read(path).unwrap();
    let at = (rng.next_u64() % bytes.len() as u64) as usize;
    match rng.next_u64() % 8 {
        0 => {
            fs::remove_file(path).unwrap();
            return "gone".into();
        }
        1..=3 => bytes.truncate(at),
        _ => bytes[at] ^= 1 << (rng.next_u64() % 8),
    }
    fs::write(path, &bytes).unwrap();
    format!("changed at {at}, {} bytes left", bytes.len())
}

#[test]
fn damage_to_any_file_of_a_run_is_named_or_does_no_harm() {
    let folder = inputs();
    let folder = folder.path();
    let mut outcomes = [0; 3];
    for (name, run) in [("map", MAP), ("risk", RISK)] {
        let whole_run = arguments(run, name, "0.000001");
        done(folder, &whole_run);
        let whole = read(folder, name);
        // Killed between staging and a checkpoint, and between a checkpoint and putting its segment in place; and one that is done.
        let states = ["segments staged=5*off->return", "checkpoint made=6*off->return", ""];
        for (state, point) in states.into_iter().enumerate() {
            let kept = format!("{name}{state}");
            let (code, said) = ran(folder, &arguments(run, &kept, "0.000001"), point);
            assert_eq!(code.is_none(), !point.is_empty(), "{said}");
            let checkpoints = format!("{kept}.ck");
            [&kept, &checkpoints]
                .into_iter()
                .for_each(|name| copy(&folder.join(name), &folder.join(format!("{name}.good"))));
            for case in 0..45_u64 {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED + 1000 * state as u64 + case);
                [&kept, &checkpoints].into_iter().for_each(|name| {
                    // The first case finds what the run left.
                    let _ = fs::remove_dir_all(folder.join(name));
                    copy(&folder.join(format!("{name}.good")), &folder.join(name));
                });
                let newest = files(&folder.join(&checkpoints)).pop().unwrap();
                let all = [files(&folder.join(&kept)), files(&folder.join(&checkpoints))].concat();
                let hit = &all[(rng.next_u64() % all.len() as u64) as usize];
                let how = damage(&mut rng, hit);
                let what = format!("{} {how} (seed {SEED}, state {state}, case {case})", hit.display());
                let (code, said) = ran(folder, &arguments(run, &kept, "0.000001"), "");
                match code {
                    Some(0) => {
                        assert!(read(folder, &kept) == whole, "{what}: other bytes; {said}");
                        let json = |path: &Path| {
                            serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap_or_default()).ok()
                        };
                        let good = folder.join(format!("{checkpoints}.good")).join(newest.file_name().unwrap());
                        let torn = *hit == newest && how != "gone" && json(&newest) != json(&good);
                        let told = said.contains("is the newest whole checkpoint");
                        outcomes[usize::from(told)] += 1;
                        assert!(told || !torn, "{what}: the newest checkpoint is damaged, and nobody says so: {said}");
                    }
                    Some(1) => {
                        outcomes[2] += 1;
                        let name = hit.file_name().unwrap().to_str().unwrap().trim_end_matches(".staged");
                        assert!(said.contains(name) && said.contains("put it back as it was"), "{what}: {said}");
                    }
                    other => panic!("{what}: exit {other:?}: {said}"),
                }
            }
        }
    }
    println!("no harm {}, an older checkpoint {}, refused {}", outcomes[0], outcomes[1], outcomes[2]);
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

#[test]
fn the_list_of_arrivals_of_a_followed_folder_is_held_against_its_checkpoint() {
    let folder = inputs();
    let folder = folder.path();
    let run = arguments("knn --input seq/velodyne --follow --set settle=0 --set k=3", "out", "0.000001");
    let (code, _) = ran(folder, &run, "manifest published=4*off->return");
    assert_eq!(code, None);
    let list = folder.join("out.ck/arrivals.jsonl");
    let good = fs::read(&list).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    for _ in 0..20 {
        damage(&mut rng, &list);
        refused(folder, &run, &["arrivals.jsonl", "put"]);
        fs::write(&list, &good).unwrap();
    }
}

#[test]
fn a_quarantine_that_was_damaged_is_named() {
    let folder = inputs();
    let folder = folder.path();
    let mut run = arguments("knn --input seq/velodyne --set k=3", "out", "0.000001");
    run.extend(words("--processes 2"));
    let (code, said) = ran(folder, &run, "item 4=return");
    assert_eq!(code, Some(0), "{said}");
    let path = folder.join("out.ck/quarantine.json");
    let good = fs::read(&path).unwrap();
    // All else as at the beginning, with the list.
    let again = arguments("knn --input seq/velodyne --set k=3", "again", "0.000001");
    let again = [again, words("--processes 2")].concat();
    fs::create_dir(folder.join("again.ck")).unwrap();
    for at in [5, good.len() / 3, good.len() / 2, good.len() - 5] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(folder.join("again.ck/quarantine.json"), bytes).unwrap();
        refused(folder, &again, &["quarantine.json", "put the file back"]);
    }
    fs::write(folder.join("again.ck/quarantine.json"), good).unwrap();
    done(folder, &again);
    assert!(read(folder, "again") == read(folder, "out"));
}

#[test]
fn frames_that_changed_between_two_runs_are_named_and_may_come_back() {
    let folder = inputs();
    let folder = folder.path();
    let scans = folder.join("seq/velodyne");
    let file = |number: u32| scans.join(format!("{number:06}.bin"));
    let sweep = "knn --input seq/velodyne --set k=3";
    for (name, run) in [("map", MAP), ("sweep", sweep)] {
        let run = arguments(run, name, "0.000001");
        done(folder, &run);
        let whole = read(folder, name);
        let killed = words(&run.join(" ").replace(&format!(" {name}"), &format!(" {name}.killed")));
        // Dies with six frames in a checkpoint.
        let (code, said) = ran(folder, &killed, "manifest published=5*off->return");
        assert_eq!(code, None, "{said}");
        let put = "put the input back as it was";

        // One that was read is gone: those behind it would all take another place.
        let other = ["expected seq/velodyne/000005.bin as item 6", put];
        let bytes = fs::read(file(4)).unwrap();
        fs::remove_file(file(4)).unwrap();
        refused(folder, &killed, &other);
        fs::write(file(4), &bytes).unwrap();
        // A file that sorts early has come.
        fs::write(scans.join("0.bin"), &bytes).unwrap();
        // A run with a window begins to read four frames before.
        let first = ["expected seq/velodyne/000001.bin as item 2", put];
        refused(folder, &killed, if name == "map" { &first } else { &other });
        fs::remove_file(scans.join("0.bin")).unwrap();
        // The folder is empty, or gone.
        fs::rename(&scans, folder.join("away")).unwrap();
        refused(folder, &killed, &["seq"]);
        fs::rename(folder.join("away"), &scans).unwrap();
        if name == "map" {
            // One that the window needs again holds other points, or fewer.
            scan(&scans, 4, 0.25);
            refused(folder, &killed, &["000005.bin", "found other content", put]);
            fs::write(file(4), &bytes[..bytes.len() / 2]).unwrap();
            refused(folder, &killed, &["000005.bin", "found other content", put]);
            fs::write(file(4), &bytes).unwrap();
        }
        done(folder, &killed);
        assert!(read(folder, &format!("{name}.killed")) == whole, "{name}");
    }
}

#[test]
fn rows_that_changed_between_two_runs_are_named_and_may_come_back() {
    let folder = inputs();
    let folder = folder.path();
    let path = folder.join("contacts.csv");
    let good = fs::read_to_string(&path).unwrap();
    let run = arguments(RISK, "out", "0.000001");
    done(folder, &run);
    let whole = read(folder, "out");
    for follow in [false, true] {
        let name = format!("killed.{follow}");
        let mut killed = arguments(RISK, &name, "0.000001");
        if follow {
            killed.extend(words("--follow"));
        }
        let (code, said) = ran(folder, &killed, "manifest published=2*off->return");
        assert_eq!(code, None, "{said}");
        // Truncated, written anew, gone.
        fs::write(&path, contacts(5, 60)).unwrap();
        refused(folder, &killed, &["contacts.csv", "put the"]);
        fs::write(&path, contacts(200, 61)).unwrap();
        refused(folder, &killed, &["contacts.csv", "other rows", "put the file back"]);
        fs::write(&path, good.replacen("p7,", "q7,", 1)).unwrap();
        refused(folder, &killed, &["contacts.csv", "other rows", "put the file back"]);
        fs::remove_file(&path).unwrap();
        refused(folder, &killed, &["contacts.csv"]);
        fs::write(&path, &good).unwrap();
        if !follow {
            done(folder, &killed);
            assert!(read(folder, &name) == whole);
        }
    }
}

/// Runs a script in a namespace of its own where `disk` is a small file system in memory; `None` where this machine does not let us.
fn on_a_small_disk(folder: &Path, script: &str) -> Option<(bool, String)> {
    fs::create_dir_all(folder.join("disk")).unwrap();
    let shell = |script: &str| {
        let whole = format!("mount -t tmpfs -o size=64k none disk || exit 99\n{script}");
        Command::new("unshare").args(["-rm", "sh", "-c", &whole]).current_dir(folder).output()
    };
    if !shell("true").is_ok_and(|output| output.status.success()) {
        println!("skipped: this machine mounts no tmpfs for a test");
        return None;
    }
    let output = shell(script).unwrap();
    Some((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn a_run_whose_disk_is_full_or_cannot_be_written_names_it_and_goes_on_later() {
    let folder = inputs();
    let folder = folder.path();
    done(folder, &arguments(MAP, "whole", "0.000001"));
    let whole = read(folder, "whole");
    let program = env!("CARGO_BIN_EXE_thalweg");

    // Files may not grow beyond so many blocks of 512 or 1024 bytes.
    for blocks in [0, 1, 2, 3, 4, 6, 8] {
        let name = format!("limit{blocks}");
        let run = arguments(MAP, &name, "0.000001").join(" ");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec '{program}' {run}");
        let output = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{said}");
        assert!(output.status.success() || output.status.code() == Some(1), "{blocks}: {said}");
        if !output.status.success() {
            assert!(said.contains("File too large") && said.contains(&name), "{blocks}: {said}");
        }
        done(folder, &arguments(MAP, &name, "0.000001"));
        assert!(read(folder, &name) == whole, "{blocks} blocks");
    }

    let run = |output: &str| arguments(MAP, output, "0.000001").join(" ");
    // A disk that others have filled, to the last byte or nearly.
    for left in [0, 2, 5, 9, 17, 30] {
        let script = format!(
            "dd if=/dev/zero of=disk/other bs=1k count={} 2>&-\n'{program}' {run}; code=$?\n[ $code -le 1 ] || exit 3\n[ $code -eq 1 ] && echo full >&2\nrm disk/other\nmount -o remount,size=4m none disk\n'{program}' {run} || exit 4\ncp -r disk/out full{left}",
            64 - left,
            run = run("disk/out"),
        );
        let Some((good, said)) = on_a_small_disk(folder, &script) else { return };
        assert!(good && !said.contains("panicked"), "{left} KiB left: {said}");
        assert!(!said.contains("full") || said.contains("No space left on device"), "{left} KiB left: {said}");
        assert!(read(folder, &format!("full{left}")) == whole, "{left} KiB left: {said}");
    }
    // A disk that can no longer be written: from the beginning, and when a run is to go on.
    let script = format!(
        "mount -o remount,size=4m none disk\nFAILPOINTS='manifest published=3*off->return' '{program}' {run}\nmount -o remount,ro none disk\n'{program}' {run}; [ $? -eq 1 ] || exit 3\n'{program}' {other}; [ $? -eq 1 ] || exit 4\nmount -o remount,rw none disk\n'{program}' {run} || exit 5\ncp -r disk/out readonly",
        run = run("disk/out"),
        other = run("disk/other"),
    );
    let Some((good, said)) = on_a_small_disk(folder, &script) else { return };
    assert!(good && !said.contains("panicked"), "{said}");
    assert!(said.matches("Read-only file system").count() >= 2, "{said}");
    assert!(read(folder, "readonly") == whole);
    code(&["checkpoints", "whole.ck"], folder, 0);
}
