//! What comes after: files that appear in a followed folder, input that changes behind the end of a run, outputs that are inputs.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::super::{code, thalweg};

/// Rows of `read`, as CSV.
fn rows(folder: &std::path::Path, output: &str) -> String {
    let ran = thalweg(&["read", output, "--output", "rows.csv"], folder);
    if ran.status.success() { fs::read_to_string(folder.join("rows.csv")).unwrap() } else { String::new() }
}

#[cfg(unix)]
#[test]
fn tables_that_come_into_a_followed_folder_are_read() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("in")).unwrap();
    let run = "run risk --contacts in --follow --every 100 --model tracing --set rate=1e-3 --set emit=changes \
               --set segment_seconds=1 --output out/ --checkpoint ck --set checkpoint_seconds=0.1";
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command
            .current_dir(at)
            .args(run.split_whitespace())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let until = |what: &str| {
        let begin = Instant::now();
        while !rows(at, "out/").contains(what) {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}: {}", rows(at, "out/"));
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let stop = |child: std::process::Child| {
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    let child = start();
    fs::write(at.join("in/2.csv"), "t,i,j\n10,ann,bob\n110,ann,bob\n").unwrap();
    until("ann");
    fs::write(
        at.join("in/new.tmp"),
        "{\"t\":120,\"i\":\"cem\",\"j\":\"ann\"}\n{\"t\":230,\"i\":\"cem\",\"j\":\"ann\"}\n",
    )
    .unwrap();
    fs::rename(at.join("in/new.tmp"), at.join("in/3.jsonl")).unwrap();
    until("cem");
    stop(child);
    // One that sorts before those that were read, and one that grows, while nobody looks.
    fs::write(at.join("in/1.csv"), "t,i,j\n240,dan,ann\n350,dan,ann\n").unwrap();
    let mut grows = fs::OpenOptions::new().append(true).open(at.join("in/2.csv")).unwrap();
    grows.write_all(b"360,eve,ann\n470,eve,ann\n").unwrap();
    let child = start();
    until("dan");
    until("eve");
    stop(child);
}

#[test]
fn a_run_that_came_to_its_end_goes_on_with_what_came_since() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let scan = |name: &str, x: f32| {
        let points: Vec<u8> = (0..8).flat_map(|i| [x + i as f32, 1.0, 2.0, 0.5]).flat_map(f32::to_le_bytes).collect();
        fs::write(at.join("in").join(name), points).unwrap();
    };
    fs::create_dir(at.join("in")).unwrap();
    (1..3).for_each(|n| scan(&format!("{n}.bin"), n as f32));
    let run = ["run", "knn", "--input", "in", "--set", "k=2", "--output", "out/", "--checkpoint", "ck"];
    code(&run, at, 0);
    let before = rows(at, "out/");
    let said = thalweg(&run, at);
    assert!(said.status.success() && !String::from_utf8_lossy(&said.stderr).contains("has changed"));
    scan("3.bin", 3.0);
    let said = thalweg(&run, at);
    assert!(String::from_utf8_lossy(&said.stderr).contains("the input has changed since the run came to its end"));
    let after = rows(at, "out/");
    assert!(after.starts_with(&before) && after.len() > before.len() && after.contains("\n2,0,0,1,"), "{after}");
    // What sorts before those that were read, or is gone, is an error and no silence.
    scan("0.bin", 0.0);
    code(&run, at, 1);
    fs::remove_file(at.join("in/0.bin")).unwrap();
    fs::remove_file(at.join("in/1.bin")).unwrap();
    code(&run, at, 1);

    // A final state cannot be added to.
    fs::write(at.join("c.csv"), "t,i,j\n0,a,b\n").unwrap();
    let risk = "run risk --contacts c.csv --set rate=1e-3 --model tracing --output risk/ --checkpoint rk";
    let risk: Vec<_> = risk.split(' ').collect();
    code(&risk, at, 0);
    code(&risk, at, 0);
    fs::write(at.join("c.csv"), "t,i,j\n0,a,b\n9,b,c\n").unwrap();
    let said = thalweg(&risk, at);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("found another input than that of the run"));
}

#[test]
fn another_key_behind_the_same_name_is_another_configuration() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("c.csv"), "t,i,j\n0,a,b\n").unwrap();
    fs::write(at.join("key"), "one").unwrap();
    let run = "run risk --contacts c.csv --set rate=1e-3 --model tracing --set emit=changes --set hash_ids=key --output out/ --checkpoint ck";
    let run: Vec<_> = run.split(' ').collect();
    code(&run, at, 0);
    fs::write(at.join("c.csv"), "t,i,j\n0,a,b\n9,b,c\n").unwrap();
    fs::write(at.join("key"), "two").unwrap();
    let said = code(&run, at, 78);
    assert!(said.contains("set hash_ids: found key, key ") && !said.contains("one"), "{said}");
    fs::write(at.join("key"), "one\n").unwrap();
    code(&run, at, 0);
    let rows = rows(at, "out/");
    let people: std::collections::BTreeSet<_> = rows.lines().skip(1).filter_map(|row| row.split(',').nth(1)).collect();
    assert_eq!(people.len(), 3, "{rows}");
}

#[test]
fn a_pipe_behind_the_end_of_a_run_is_not_left_in_silence() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let run = "run risk --contacts - --set rate=1e-3 --model tracing --output out/ --checkpoint ck";
    let first = super::run(at, run, b"t,i,j\n0,a,b\n");
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let second = super::run(at, run, b"t,i,j\n0,a,b\n9,b,c\n");
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    let said = "-: not read: the run came to its end at checkpoint 1. For other rows begin anew without out/ and ck";
    assert!(second.stderr.contains(said), "{}", second.stderr);
}

#[test]
fn checkpoints_are_judged_by_the_newest() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("empty")).unwrap();
    assert!(code(&["checkpoints", "empty"], at, 1).contains("empty: found no checkpoint"));
    code(&["checkpoints", "gone"], at, 1);
    fs::write(at.join("c.csv"), "t,i,j\n0,a,b\n").unwrap();
    let run =
        "run risk --contacts c.csv --set rate=1e-3 --model tracing --set emit=changes --output out/ --checkpoint ck";
    let run: Vec<_> = run.split(' ').collect();
    code(&run, at, 0);
    fs::write(at.join("c.csv"), "t,i,j\n0,a,b\n9,b,c\n").unwrap();
    code(&run, at, 0);
    let of = |number: u64| at.join(format!("ck/checkpoint-{number:08}.json"));
    let tear = |number: u64| fs::write(of(number), &fs::read(of(number)).unwrap()[..100]).unwrap();
    code(&["checkpoints", "ck"], at, 0);
    tear(1);
    code(&["checkpoints", "ck"], at, 0);
    tear(2);
    assert!(code(&["checkpoints", "ck"], at, 1).contains("checkpoint-00000002.json"));
}

#[test]
fn nothing_that_is_read_is_written_over() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let points: Vec<u8> = (0..32).flat_map(|i| (i as f32).to_le_bytes()).collect();
    fs::write(at.join("a.bin"), &points).unwrap();
    code(&["draw", "a.bin", "--output", "a.bin"], at, 78);
    code(&["draw", "a.bin", "--output", "a.jpg"], at, 78);
    fs::write(at.join("a.png"), &points).unwrap();
    code(&["draw", "a.bin", "a.png", "--output", "a.png"], at, 78);
    fs::create_dir_all(at.join("s/velodyne")).unwrap();
    fs::write(at.join("s/velodyne/0.bin"), &points).unwrap();
    code(&["eval", "segment", "--input", "s", "--plot", "s/velodyne/0.bin"], at, 78);
    code(&["run", "knn", "--input", "a.bin", "--set", "k=2", "--output", "out/"], at, 0);
    code(&["read", "out/", "--output", "out/segment-00000000.parquet"], at, 78);
    code(&["read", "out/", "--output", "rows.csv"], at, 0);
    assert!(fs::read(at.join("a.bin")).unwrap() == points && fs::read(at.join("a.png")).unwrap() == points);
    let same = ["run", "knn", "--input", "a.bin", "--output", "o/", "--checkpoint", "o"];
    code(&same, at, 78);
}

#[test]
fn what_a_run_would_refuse_a_configuration_may_not_have() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("c.csv"), "t,i,j\n0,a,b\n").unwrap();
    let head = "pipeline = \"risk\"\ncontacts = \"c.csv\"\nset = {rate = 1e-3}\n";
    for wrong in [
        "output = \"o.csv\"\ncheckpoint = \"ck\"\n",
        "output = \"c.csv\"\n",
        "output = \"o.xlsx\"\n",
        "output = \"o/\"\ncheckpoint = \"o\"\n",
    ] {
        let (pipeline, set) = head.split_once("set").unwrap();
        fs::write(at.join("c.toml"), format!("{pipeline}{wrong}set{set}")).unwrap();
        code(&["validate", "c.toml"], at, 78);
        code(&["run", "risk", "--config", "c.toml"], at, 78);
        fs::write(at.join("s.toml"), format!("[[pipeline]]\nname = \"a\"\n{pipeline}{wrong}set{set}")).unwrap();
        code(&["validate", "s.toml"], at, 78);
    }
    fs::write(at.join("c.toml"), format!("{head}output = \"o.csv\"\n").replace("set = {rate = 1e-3}\n", "")).unwrap();
    code(&["run", "knn", "--config", "c.toml"], at, 78);
    code(&["run", "risk", "--contacts", "c.csv", "--set", "rate=1e-3", "--as-of", "1.5", "--output", "o.csv"], at, 78);
    fs::write(at.join("mac.csv"), "t,i,j\r0,a,b\r").unwrap();
    code(&["run", "risk", "--contacts", "mac.csv", "--set", "rate=1e-3", "--output", "o.csv"], at, 1);
    fs::write(at.join("twice.csv"), "t,i,j,t\n0,a,b,5\n").unwrap();
    code(&["run", "risk", "--contacts", "twice.csv", "--set", "rate=1e-3", "--output", "o.csv"], at, 1);
}

/// What a followed run gives out before its answers are due is committed once they are, whether or not there is more to say.
#[cfg(unix)]
#[test]
fn rows_that_come_at_once_are_published_soon_and_at_a_signal() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let rows: String = (0..4000).map(|i| format!("{},p{},p{}\n", i / 2, i % 31, (i * 7) % 37 + 31)).collect();
    fs::write(at.join("c.csv"), format!("t,i,j\n{rows}")).unwrap();
    for (n, more) in
        ["--set emit=changes --set window=3600", "--set window=300 --set lateness=0"].into_iter().enumerate()
    {
        let (output, checkpoint) = (format!("o{n}/"), format!("k{n}"));
        let run = format!(
            "run risk --contacts c.csv --follow --every 600 --model tracing --set rate=1e-3 {more} --set segment_seconds=1 \
             --output {output} --checkpoint {checkpoint} --set checkpoint_seconds=0.5"
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.current_dir(at).args(run.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let begin = Instant::now();
        while rows_of(at, &output) == 0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "{more}: nothing is published");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
        assert!(rows_of(at, &output) > 0);
    }
}

fn rows_of(folder: &std::path::Path, output: &str) -> usize {
    rows(folder, output).lines().count()
}
