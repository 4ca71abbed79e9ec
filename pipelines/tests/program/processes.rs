//! Runs of several processes: the bytes of one process, whichever of them is killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::durable::{inputs, read, words};
use super::{code, json, thalweg};

/// The processes that a supervisor has started.
pub fn children(supervisor: &Child) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{}/task", supervisor.id())).into_iter().flatten().flatten();
    let of = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    let text: Vec<_> = threads.map(of).collect();
    let mut all: Vec<u32> =
        text.iter().flat_map(|text| text.split_whitespace()).filter_map(|id| id.parse().ok()).collect();
    all.sort_unstable();
    all
}

pub fn signal(process: u32, name: &str) {
    // One that has just ended is as well.
    let _ = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).stderr(Stdio::null()).status();
}

#[test]
fn every_pipeline_gives_the_bytes_of_one_process() {
    let (folder, mut runs) = inputs();
    let folder = folder.path();
    runs.push(("segment", words("segment --input sim:street --set frames=2")));
    fs::write(folder.join("water.xyz"), "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n".repeat(5)).unwrap();
    runs.push(("molecule", words("molecule --input water.xyz --model qm7")));
    runs.push(("bp", words("risk --contacts contacts.csv --tests tests.csv --set rate=1e-4")));
    runs.push(("times", words("risk --contacts contacts.csv --tests tests.csv --set rate=1e-4 --every 7000")));
    for (name, run) in &runs {
        let mut seen = Vec::new();
        for processes in ["1", "2", "3"] {
            let output = format!("{name}.{processes}.parquet");
            let mut arguments = vec!["run"];
            arguments.extend(run.iter().map(String::as_str));
            arguments.extend(["--output", &output, "--processes", processes, "--json"]);
            let ran = thalweg(&arguments, folder);
            assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
            let mut report = json(&ran);
            ["seconds", "latency", "fits"].iter().for_each(|key| drop(report.as_object_mut().unwrap().remove(*key)));
            seen.push((fs::read(folder.join(&output)).unwrap(), report, String::from_utf8(ran.stderr).unwrap()));
        }
        for (processes, other) in [(2, &seen[1]), (3, &seen[2])] {
            assert_eq!((&other.1, &other.2), (&seen[0].1, &seen[0].2), "{name}: {processes} processes");
            assert!(other.0 == seen[0].0, "{name}: {processes} processes give other bytes");
        }
    }
}

#[test]
fn a_run_goes_on_whichever_process_is_killed() {
    let (folder, runs) = inputs();
    let folder = folder.path();
    for (name, run) in runs.iter().filter(|(name, _)| ["map", "pose"].contains(name)) {
        let start = |output: &str, more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
            command.current_dir(folder).arg("run").args(run).args(["--output", &format!("{output}/")]).args(more);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        assert!(start(name, &[]).wait().unwrap().success());
        let whole = read(folder, name);
        let checkpoint = format!("{name}.ck");
        let kept = ["--processes", "2", "--checkpoint", &checkpoint, "--set", "checkpoint_seconds=0.000001"];
        let killed = format!("{name}.killed");
        let mut child = start(&killed, &kept);
        let mut kills = 0;
        let until = Instant::now() + Duration::from_secs(60);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "{name}: never ended");
            std::thread::sleep(Duration::from_millis(40 + 90 * kills));
            if let Some(process) = children(&child).get(kills as usize % 2).filter(|_| kills < 5) {
                signal(*process, "KILL");
                kills += 1;
            }
        }
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.success(), "{name}: {said}");
        assert!(kills == 0 || said.contains("all go on from the last checkpoint"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        assert!(read(folder, &killed) == whole, "{name}: rows differ after {kills} kills");
    }
}

#[test]
fn without_checkpoints_a_dead_process_ends_the_run_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let arguments = words("run pose --input sim:person --set frames=100000 --processes 2 --output a.parquet");
    let mut child = started(&arguments, folder.path());
    wait_for_children(&child);
    signal(children(&child)[1], "KILL");
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("process 1 ended by signal 9: found no --checkpoint, expected one"), "{said}");
    assert!(!folder.path().join("a.parquet").exists());

    // A signal drains all of them.
    child = started(&arguments, folder.path());
    wait_for_children(&child);
    std::thread::sleep(Duration::from_millis(300));
    signal(child.id(), "TERM");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(folder.path().join("a.parquet").exists());

    // The processes of a supervisor that is gone end too.
    child = started(&arguments, folder.path());
    wait_for_children(&child);
    let processes = children(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    let lives = |process: &u32| Path::new(&format!("/proc/{process}/exe")).exists();
    while processes.iter().any(|process| fs::read_link(format!("/proc/{process}/exe")).is_ok() && lives(process)) {
        assert!(Instant::now() < until, "processes outlive their supervisor");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_item_that_kills_twice_is_left_out_and_named() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let run = "run knn --input sim:street --set frames=6 --set k=2 --output";
    code(&words(&format!("{run} whole.csv")).iter().map(String::as_str).collect::<Vec<_>>(), folder, 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(words(&format!("{run} out/ --checkpoint ck --processes 2 --json"))).current_dir(folder);
    let ran = command.env("FAILPOINTS", "item 4=return").output().unwrap();
    let said = String::from_utf8(ran.stderr.clone()).unwrap();
    assert!(ran.status.success(), "{said}");
    assert_eq!(said.matches("process 0 ended by signal 6").count(), 2, "{said}");
    assert!(said.contains("has killed a process twice, and is left out"), "{said}");
    assert_eq!(json(&ran)["dropped"], serde_json::json!({"quarantined": 1}));
    code(&["read", "out/", "--output", "out.csv"], folder, 0);
    let rows = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let expected: String =
        rows("whole.csv").lines().filter(|row| !row.starts_with("3,")).map(|row| format!("{row}\n")).collect();
    assert!(rows("out.csv") == expected, "all frames but the fourth");
}

fn started(arguments: &[String], folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for_children(child: &Child) {
    let until = Instant::now() + Duration::from_secs(10);
    while children(child).len() < 2 {
        assert!(Instant::now() < until, "found no processes");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn hosts_and_processes_are_checked_before_anything_runs() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let run = |more: &str, expected: i32, message: &str| {
        let arguments = words(&format!("run knn --input sim:street --output a.parquet {more}"));
        let said = code(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), folder, expected);
        assert!(said.contains(message), "{said}");
    };
    fs::write(folder.join("hosts"), "# the run's machines\n127.0.0.1:7001\n\n127.0.0.1:7002\n").unwrap();
    fs::write(folder.join("open"), "192.0.2.1:7001\n192.0.2.2:7002\n").unwrap();
    fs::write(folder.join("wrong"), "127.0.0.1:7001\n127.0.0.1\n").unwrap();
    run("--processes 0", 78, "processes: found 0, expected a whole number from 1 to 64");
    run("--process 1", 78, "process: found 1, expected none: --hosts beside it");
    run("--hosts hosts", 78, "process: found none, expected --process beside --hosts");
    run("--hosts hosts --process 2", 78, "process: found 2, expected 0 to 1");
    run("--hosts open --process 0", 78, "found 192.0.2.1:7001 without a secret");
    run("--hosts wrong --process 0", 78, "wrong, line 2: found 127.0.0.1, expected HOST:PORT");
    run("--hosts none --process 0", 1, "none");
    run("--hosts hosts --process 0 --processes 2", 78, "hosts: found hosts, expected");
    fs::write(folder.join("empty"), " \n").unwrap();
    for (variable, value, message) in [
        ("THALWEG_SECRET", " ", "environment: THALWEG_SECRET: found nothing, expected a secret"),
        ("THALWEG_SECRET_FILE", "empty", "THALWEG_SECRET_FILE: empty: found nothing, expected a secret"),
    ] {
        let arguments = words("run knn --input sim:street --output a.parquet --hosts hosts --process 0");
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        let ran = command.args(arguments).current_dir(folder).env(variable, value).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(ran.status.code() == Some(78) && said.contains(message), "{said}");
    }
}
