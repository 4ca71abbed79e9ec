//! Runs that are killed: whatever the moment, the same command goes on, and what `read` gives is what an undisturbed run gives.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thalweg_connectors::out::die::POINTS;

use super::{code, thalweg};

/// A pipeline's arguments but for output and checkpoint.
pub(super) type Run = (&'static str, Vec<String>);

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}

/// Inputs of all pipelines in one folder.
pub(super) fn inputs() -> (TempDir, Vec<Run>) {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let radar: String = (0..400)
        .flat_map(|frame| (0..frame % 9).map(move |i| (frame, i)))
        .map(|(frame, i)| {
            let (a, b) = (f64::from(frame), f64::from(i));
            format!(
                "{frame},{:.3},{:.3},{:.3},{:.2},{}\n",
                0.3 * (a / 7.0).sin() + 0.05 * b,
                1.9,
                0.1 * b - 0.4,
                0.1 * b,
                20 + i
            )
        })
        .collect();
    fs::write(path("radar.csv"), format!("frame,x,y,z,doppler,intensity\n{radar}")).unwrap();
    let contacts: String =
        (0..3000).map(|t| format!("{},p{},p{},60\n", 40 * t, (7 * t) % 31, (11 * t + 3) % 37 + 31)).collect();
    fs::write(path("contacts.csv"), format!("t,i,j,duration\n{contacts}")).unwrap();
    fs::write(path("tests.csv"), "t,person,result\n20000,p3,positive\n70000,p40,negative\n90000,p9,positive\n")
        .unwrap();
    let runs = vec![
        ("knn", words("knn --input sim:street --set frames=6 --set k=3")),
        (
            "map",
            words("knn --input sim:street --set frames=7 --set nodes=map --set emit=changes --set k=3 --set window=4"),
        ),
        ("pose", words("pose --input radar.csv")),
        (
            "risk",
            words(
                "risk --contacts contacts.csv --tests tests.csv --set rate=1e-4 --set emit=changes --every 3000 --model tracing",
            ),
        ),
    ];
    (folder, runs)
}

/// Makes the program die at each point of a commit, at the first pass and at a later one, and goes on until it is done.
#[test]
fn a_run_that_dies_at_any_step_of_a_commit_loses_nothing() {
    let (folder, runs) = inputs();
    let folder = folder.path();
    for (name, run) in runs.iter().filter(|(name, _)| ["knn", "risk"].contains(name)) {
        assert!(command(folder, run, name, "1").output().unwrap().status.success());
        let whole = read(folder, name);
        for (number, point) in POINTS.iter().enumerate() {
            let (pass, workers) = [(0, "1"), (2, "2"), (3, "8")][number % 3];
            {
                let output = format!("{name}.{number}.{pass}");
                let mut died = 0;
                for attempt in 0..20 {
                    let mut command = command(folder, run, &output, workers);
                    if attempt < 3 {
                        // The first dies in a commit; those after it while they begin, at a step that a run has that goes on.
                        let at = if attempt == 0 { POINTS[number % 7] } else { point };
                        command.env("FAILPOINTS", format!("{at}={pass}*off->return"));
                    }
                    match command.output().unwrap().status {
                        status if status.success() => break,
                        status => assert!(status.code().is_none(), "{output} at {point}: {status}"),
                    }
                    died += 1;
                }
                assert!(died > 0, "{output}: never died at {point}");
                assert!(read(folder, &output) == whole, "{output}: rows differ after {died} deaths at {point}");
            }
        }
    }
}

/// The run with an output and checkpoints of its own, one after every item.
fn command(folder: &Path, run: &[String], name: &str, workers: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.current_dir(folder).arg("run").args(run).args(["--output", &format!("{name}/"), "--workers", workers]);
    command.args(["--checkpoint", &format!("{name}.ck"), "--set", "checkpoint_seconds=0.000001"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What `read` makes of an output.
pub(super) fn read(folder: &Path, name: &str) -> Vec<u8> {
    let file = format!("{name}.parquet");
    code(&["read", &format!("{name}/"), "--output", &file], folder, 0);
    fs::read(folder.join(file)).unwrap()
}

#[test]
fn a_run_that_is_killed_gives_the_rows_of_one_that_is_not() {
    let (folder, runs) = inputs();
    let folder = folder.path();
    for (name, run) in &runs {
        let began = Instant::now();
        let output = command(folder, run, name, "1").output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let (whole, time) = (read(folder, name), began.elapsed());
        // Without checkpoints too.
        let plain = format!("{name}.plain");
        let mut arguments = vec!["run".to_string()];
        arguments.extend(run.iter().cloned());
        arguments.extend(["--output".to_string(), format!("{plain}/")]);
        code(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), folder, 0);
        assert!(read(folder, &plain) == whole, "{name}: rows differ without checkpoints");

        let mut kills = 0;
        for (round, workers) in ["1", "2", "4", "2"].into_iter().enumerate() {
            let name = format!("{name}.{round}");
            let mut done = false;
            for attempt in 0..60u32 {
                let mut child = command(folder, run, &name, workers).spawn().unwrap();
                // Later and later, so that it ends after all; the last ones are left alone.
                let patience = time.mul_f64(f64::from((attempt * 37 + round as u32 * 11) % 50) / 80.0 + 0.02);
                let until = Instant::now() + if attempt < 12 { patience } else { Duration::from_secs(60) };
                let status = loop {
                    if let Some(status) = child.try_wait().unwrap() {
                        break Some(status);
                    }
                    if Instant::now() >= until {
                        break None;
                    }
                    std::thread::sleep(Duration::from_micros(500));
                };
                match status {
                    Some(status) => {
                        let output = child.wait_with_output().unwrap();
                        assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
                        done = true;
                        break;
                    }
                    None => {
                        child.kill().unwrap();
                        child.wait().unwrap();
                        kills += 1;
                    }
                }
            }
            assert!(done, "{name}: never ended");
            assert!(read(folder, &name) == whole, "{name}: rows differ after {kills} kills");
            // Once more: all is done.
            assert!(command(folder, run, &name, workers).output().unwrap().status.success());
            assert!(read(folder, &name) == whole, "{name}: rows differ after a run that had nothing to do");
        }
        println!("{name}: {kills} kills");
    }
}

#[test]
fn a_checkpoint_of_another_run_or_a_damaged_one_is_named() {
    let (folder, runs) = inputs();
    let folder = folder.path();
    let (_, run) = &runs[2];
    assert!(command(folder, run, "a", "1").output().unwrap().status.success());
    let whole = read(folder, "a");
    let text = |output: std::process::Output| String::from_utf8(output.stderr).unwrap();

    // Other settings.
    let mut other = run.clone();
    other.extend(words("--until 100"));
    let output = command(folder, &other, "a", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(text(output).contains("until: found 100, expected none as checkpoint"));
    let listed = thalweg(&["checkpoints", "a.ck"], folder);
    assert!(String::from_utf8(listed.stdout).unwrap().lines().last().unwrap().ends_with(", complete"));

    // No folder of segments, and no checkpoint beside an output.
    let refused = ["run", "pose", "--input", "radar.csv", "--output", "b.parquet", "--checkpoint", "b.ck"];
    assert!(code(&refused, folder, 78).contains("expected a folder of segments"));
    let published = ["run", "pose", "--input", "radar.csv", "--output", "a/", "--checkpoint", "c.ck"];
    assert!(code(&published, folder, 1).contains("a published manifest"));

    // The newest is torn: the one before it counts, with a warning, and the rest is done again.
    let checkpoints = || {
        let mut names: Vec<_> = fs::read_dir(folder.join("a.ck")).unwrap().map(|e| e.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        names.sort();
        names
    };
    let newest = checkpoints().pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let output = command(folder, run, "a", "1").output().unwrap();
    assert!(output.status.success());
    assert!(text(output).contains("is the newest whole checkpoint"));
    assert!(read(folder, "a") == whole);

    // A bit of a segment, or of all checkpoints.
    let segment = folder.join("a/segment-00000000.parquet");
    let good = fs::read(&segment).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 4;
    fs::write(&segment, &bad).unwrap();
    let output = command(folder, run, "a", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(output).contains("segment-00000000.parquet"));
    assert!(code(&["read", "a/", "--output", "x.csv"], folder, 1).contains("segment-00000000.parquet"));
    fs::write(&segment, &good).unwrap();
    for path in checkpoints() {
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() / 3;
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let output = command(folder, run, "a", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(output).contains("checkpoint-"));
}
