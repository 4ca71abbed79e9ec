//! Files and folders that grow while the program follows them: pieces, renames, rotation, half lines, signals, quiet, two writers.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::oracle::{Event, Point, SI, Spread, cloud, graph, infected};
use super::write::{self, points_table, scan};
use super::{Done, Verdict, same_edges, same_scores};

/// A run that goes on until a signal.
struct Running {
    child: Child,
    at: PathBuf,
    logs: TempDir,
    began: Instant,
}

impl Running {
    fn start(at: &Path, line: &str) -> Running {
        let logs = TempDir::new().unwrap();
        let log = |name: &str| fs::File::create(logs.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
            .args(line.split_whitespace())
            .current_dir(at)
            .stdin(Stdio::null())
            .stdout(log("out"))
            .stderr(log("err"))
            .spawn()
            .unwrap();
        Running { child, at: at.into(), logs, began: Instant::now() }
    }

    fn signal(&self, name: &str) {
        // A run that has ended by itself hears of nothing.
        let _ = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .stderr(Stdio::null())
            .status();
    }

    /// Waits for its end; kills it if that takes too long.
    fn end(mut self, limit: Duration) -> Done {
        let (began, mut code) = (Instant::now(), None);
        while began.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                code = status.code();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = |name: &str| String::from_utf8_lossy(&fs::read(self.logs.path().join(name)).unwrap()).into_owned();
        Done { at: self.at.clone(), code, stdout: text("out"), stderr: text("err"), took: self.began.elapsed() }
    }
}

/// A run that is followed: files before it, what happens while it runs, and what must come of it.
struct Play {
    name: String,
    line: String,
    files: Vec<(String, Vec<u8>)>,
    acts: Box<dyn Fn(&Path) + Send + Sync>,
    signal: &'static str,
    judge: Box<dyn Fn(&Done) -> Verdict + Send + Sync>,
}

fn play(
    name: impl Into<String>,
    line: impl Into<String>,
    acts: impl Fn(&Path) + Send + Sync + 'static,
    judge: impl Fn(&Done) -> Verdict + Send + Sync + 'static,
) -> Play {
    Play {
        name: name.into(),
        line: line.into(),
        files: Vec::new(),
        acts: Box::new(acts),
        signal: "INT",
        judge: Box::new(judge),
    }
}

impl Play {
    fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Play {
        self.files.push((name.into(), bytes.into()));
        self
    }

    fn failure(&self) -> Option<String> {
        let folder = TempDir::new().unwrap();
        for (name, bytes) in &self.files {
            put(folder.path(), name, bytes);
        }
        let run = Running::start(folder.path(), &self.line);
        std::thread::sleep(START);
        (self.acts)(folder.path());
        run.signal(self.signal);
        let done = run.end(Duration::from_secs(20));
        let verdict = match done.code {
            Some(0) => (self.judge)(&done),
            code => Err(format!("exit {code:?}, right: 0")),
        };
        let said: String = done.stderr.chars().take(400).collect();
        verdict
            .err()
            .map(|wrong| format!("{}\n    $ thalweg {}\n    {wrong}\n    stderr: {said:?}", self.name, self.line))
    }
}

/// Plays all of them at once, for they mostly wait, then fails with those that went wrong.
#[track_caller]
fn check(plays: Vec<Play>) {
    let count = plays.len();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = plays.iter().map(|play| scope.spawn(|| play.failure())).collect();
        all.into_iter().filter_map(|one| one.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {count} plays went wrong:\n\n{}\n", wrong.len(), wrong.join("\n\n"));
}

/// What the program takes to begin, on a machine that has other work to do.
const START: Duration = Duration::from_millis(700);

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn put(at: &Path, name: &str, bytes: &[u8]) {
    let path = at.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn append(at: &Path, name: &str, bytes: &[u8]) {
    fs::OpenOptions::new().create(true).append(true).open(at.join(name)).unwrap().write_all(bytes).unwrap();
}

const KNN: &str = "run knn --set k=3 --output o.csv --follow --input";
const RISK: &str = "run risk --set rate=1e-3 --output o.csv --follow --contacts";

fn edges(frames: &[(i64, Vec<Point>)]) -> impl Fn(&Done) -> Verdict + Send + Sync + use<> {
    let right = graph(3, frames);
    move |done| same_edges(&done.edges("o.csv")?, &right)
}

#[test]
fn a_signal_loses_no_frame_that_was_read() {
    let frames = [(0, cloud(5, 70)), (1, cloud(6, 71))];
    let table = points_table(&frames, true);
    let bare = [(0, frames[1].1.clone())];
    let mut plays = Vec::new();
    for signal in ["INT", "TERM"] {
        for (file, bytes) in [("a.csv", table.csv()), ("a.tsv", table.divided('\t', '.')), ("a.jsonl", table.jsonl())] {
            plays.push(Play {
                signal,
                ..play(format!("{file}, {signal}"), format!("{KNN} {file}"), |_| {}, edges(&frames)).file(file, bytes)
            });
        }
        for (file, bytes) in
            [("a.csv", points_table(&bare, false).csv()), ("a.jsonl", points_table(&bare, false).jsonl())]
        {
            plays.push(Play {
                signal,
                ..play(format!("{file} without frames, {signal}"), format!("{KNN} {file}"), |_| {}, edges(&bare))
                    .file(file, bytes)
            });
        }
    }
    // Rows that come in just before the signal.
    let late = table.csv();
    plays.push(
        play(
            "rows and a signal at once",
            format!("{KNN} a.csv"),
            move |at| append(at, "a.csv", late.as_bytes()),
            edges(&frames),
        )
        .file("a.csv", ""),
    );
    let scans = frames.clone().map(|(i, points)| (format!("scans/{i}.bin"), scan(&points)));
    let mut folder =
        play("scans that stood there", format!("{KNN} scans --set settle=0.2"), |_| pause(600), edges(&frames));
    folder.files.extend(scans);
    plays.push(folder);
    check(plays);
}

#[test]
fn a_file_in_a_followed_folder_is_taken_when_it_is_whole() {
    let points = cloud(20, 72);
    let one = [(0, points.clone())];
    let csv = points_table(&one, false).csv().into_bytes();
    let mut plays = Vec::new();
    for (ending, bytes) in [
        ("bin", scan(&points)),
        ("pcd", write::pcd(&points)),
        ("pcd", write::pcd_doubles(&points)),
        ("ply", write::ply(&points)),
        ("ply", write::ply_doubles(&points)),
        ("las", write::las(&points, 2)),
        ("npy", write::npy(&points, &[], false, false)),
        ("csv", csv),
        ("parquet", points_table(&one, false).parquet()),
        ("arrow", write::arrow_file(&points_table(&one, false).batch())),
    ] {
        for (cut, gap) in [(bytes.len() / 2 / 16 * 16, 300), (bytes.len() / 2 + 5, 300), (7, 800)] {
            let (bytes, name) = (bytes.clone(), format!("scans/0.{ending}"));
            let acts = move |at: &Path| {
                append(at, &name, &bytes[..cut]);
                pause(gap);
                append(at, &name, &bytes[cut..]);
                pause(3000);
            };
            plays.push(
                play(format!("{ending} cut at {cut}, then {gap} ms"), format!("{KNN} scans"), acts, edges(&one))
                    .file("scans/.keep", ""),
            );
        }
        let name = format!("0.{ending}");
        let acts = move |at: &Path| {
            append(at, "elsewhere", &bytes);
            fs::rename(at.join("elsewhere"), at.join("scans").join(&name)).unwrap();
            pause(3000);
        };
        plays.push(
            play(format!("{ending} renamed into place"), format!("{KNN} scans"), acts, edges(&one))
                .file("scans/.keep", ""),
        );
    }
    check(plays);
}

#[test]
fn every_file_that_appears_is_read_whatever_its_name() {
    let clouds: Vec<Vec<Point>> = (0..5).map(|i| cloud(5 + i, 80 + i as u64)).collect();
    let frames: Vec<(i64, Vec<Point>)> =
        clouds.iter().enumerate().map(|(i, points)| (i as i64, points.clone())).collect();
    let mut plays = Vec::new();
    for names in [
        ["8", "9", "10", "11", "12"],
        ["b", "a", "d", "c", "e"],
        ["000010", "9", "scan 1", "\u{e4}", "z"],
        ["100", "20", "3", "2", "1"],
    ] {
        let scans: Vec<(String, Vec<u8>)> =
            names.iter().zip(&clouds).map(|(name, points)| (format!("scans/{name}.bin"), scan(points))).collect();
        let acts = move |at: &Path| {
            for (name, bytes) in &scans {
                put(at, name, bytes);
                pause(1500);
            }
        };
        plays.push(
            play(format!("{names:?} one by one"), format!("{KNN} scans --set settle=0.3"), acts, edges(&frames))
                .file("scans/.keep", ""),
        );
    }
    // Together: by name, numbers by value.
    let scans: Vec<(String, Vec<u8>)> = ["8", "9", "10", "11", "12"]
        .iter()
        .zip(&clouds)
        .map(|(name, points)| (format!("scans/{name}.bin"), scan(points)))
        .collect();
    let acts = move |at: &Path| {
        scans.iter().rev().for_each(|(name, bytes)| put(at, name, bytes));
        pause(2500);
    };
    plays.push(
        play("all at once", format!("{KNN} scans --set settle=0.3"), acts, edges(&frames)).file("scans/.keep", ""),
    );
    let torn = scan(&clouds[1])[..37].to_vec();
    let good = scan(&clouds[2]);
    let acts = move |at: &Path| {
        put(at, "scans/1.bin", &torn);
        pause(1500);
        put(at, "scans/2.bin", &good);
        pause(1500);
    };
    let right = graph(3, &[(2, clouds[2].clone()), (0, clouds[0].clone())]);
    plays.push(
        play("one that cannot be read", format!("{KNN} scans --set settle=0.3 --json"), acts, move |done| {
            let report = done.json()?;
            if report["dropped"]["unreadable"] != 1 || !done.stderr.contains("1.bin") {
                return Err(format!("dropped {}", report["dropped"]));
            }
            // Whether the file that was skipped has a number of its own is not the matter here.
            let of_frame =
                |edges: &[super::Edge], points: usize| edges.iter().filter(|e| e.src < points as u64).count();
            let found = done.edges("o.csv")?;
            if found.len() == right.len() && of_frame(&found, 7) == of_frame(&right, 7) {
                Ok(())
            } else {
                Err(format!("{} edges, right: {}", found.len(), right.len()))
            }
        })
        .file("scans/0.bin", scan(&clouds[0])),
    );
    let acts = move |at: &Path| {
        pause(300);
        put(at, "later/0.bin", &scan(&cloud(5, 80)));
        pause(2000);
    };
    plays.push(play(
        "a folder that is not there yet",
        format!("{KNN} later --set settle=0.3"),
        acts,
        edges(&frames[..1]),
    ));
    check(plays);
}

#[test]
fn poses_of_a_followed_drive_may_come_later() {
    let clouds: Vec<Vec<Point>> = (0..3).map(|i| cloud(8, 90 + i)).collect();
    let pose = |i: usize| format!("1 0 0 0 0 1 0 0 0 0 1 {}\n", 10 * i);
    let at_rest: Vec<(i64, Vec<Point>)> =
        (0..3).map(|i| (i as i64, clouds[i].iter().map(|[x, y, z]| [x + 10.0 * i as f64, *y, *z]).collect())).collect();
    let judge = move |done: &Done| {
        let edges = done.edges("o.csv")?;
        for (frame, points) in &at_rest {
            let index = |v: f64| (v / 0.25).floor() as i64 + (1 << 20);
            let right: std::collections::BTreeSet<u64> =
                points.iter().map(|p| (index(p[0]) << 42 | index(p[1]) << 21 | index(p[2])) as u64).collect();
            let found: std::collections::BTreeSet<u64> =
                edges.iter().filter(|e| e.frame == *frame).map(|e| e.src).collect();
            if found != right {
                return Err(format!("frame {frame} has {} nodes, right: {}", found.len(), right.len()));
            }
        }
        Ok(())
    };
    let bytes: Vec<Vec<u8>> = clouds.iter().map(|points| scan(points)).collect();
    let line = "run knn --input drive --follow --set nodes=map --set voxel=0.25 --set window=1 --set k=3 --set settle=0.3 --output o.csv";
    let mut plays = Vec::new();
    for pose_first in [true, false] {
        let (bytes, pose) = (bytes.clone(), pose);
        let acts = move |at: &Path| {
            for (i, bytes) in bytes.iter().enumerate().skip(1) {
                if pose_first {
                    append(at, "drive/poses.txt", pose(i).as_bytes());
                    pause(300);
                }
                put(at, &format!("drive/velodyne/{i:06}.bin"), bytes);
                pause(1000);
                if !pose_first {
                    append(at, "drive/poses.txt", pose(i).as_bytes());
                    pause(300);
                }
            }
            pause(1000);
        };
        let name = if pose_first { "pose, then scan" } else { "scan, then pose" };
        plays.push(
            play(name, line, acts, judge.clone())
                .file("drive/poses.txt", pose(0))
                .file("drive/velodyne/000000.bin", scan(&clouds[0])),
        );
    }
    check(plays);
}

/// Rows of a chain of people who met one after the other, and their scores when `n` rows have come.
fn chain(n: usize) -> (Vec<String>, Vec<(String, f64)>) {
    let names = ["a", "b", "c", "d", "e", "f"];
    let rows = (0..n).map(|i| format!("{},{},{},600\n", 10 * (i + 1), names[i], names[i + 1])).collect();
    let events: Vec<Event> = (0..n).map(|i| Event::Contact(10.0 * (i as f64 + 1.0), i, i + 1, 600.0)).collect();
    let people = n + 1;
    let scores = infected(people, &events, 10.0 * n as f64, &Spread { prior: 1.0 / people as f64, ..SI });
    (rows, names.iter().map(|name| name.to_string()).zip(scores).collect())
}

const HEADER: &str = "t,i,j,duration\n";

fn scored(n: usize) -> impl Fn(&Done) -> Verdict + Send + Sync + Clone + 'static {
    let right = chain(n).1;
    move |done| same_scores(&done.scores("o.csv")?, &right)
}

#[test]
fn rows_survive_rotation_in_every_way_that_logs_are_rotated() {
    let rows = chain(4).0;
    let two = format!("{HEADER}{}{}", rows[0], rows[1]);
    let rest = format!("{}{}", rows[2], rows[3]);
    let mut plays = Vec::new();
    for (name, header) in [("copied and truncated, with a header", HEADER), ("copied and truncated, without", "")] {
        let rest = format!("{header}{rest}");
        let acts = move |at: &Path| {
            fs::copy(at.join("c.csv"), at.join("c.csv.1")).unwrap();
            fs::OpenOptions::new().write(true).truncate(true).open(at.join("c.csv")).unwrap();
            pause(500);
            append(at, "c.csv", rest.as_bytes());
            pause(700);
        };
        plays.push(play(name, format!("{RISK} c.csv"), acts, scored(4)).file("c.csv", two.clone()));
    }
    for header in [HEADER, ""] {
        let rest = rest.clone();
        // The writer finishes its last row in the old file, then goes on in another.
        let old = rows[2].clone();
        let new = format!("{header}{}", rows[3]);
        let acts = move |at: &Path| {
            fs::rename(at.join("c.csv"), at.join("c.csv.1")).unwrap();
            append(at, "c.csv.1", old.as_bytes());
            pause(300);
            append(at, "c.csv", new.as_bytes());
            pause(900);
        };
        plays.push(
            play(
                format!("renamed, the last row in the old one, header {header:?}"),
                format!("{RISK} c.csv"),
                acts,
                scored(4),
            )
            .file("c.csv", two.clone()),
        );
        let new = format!("{header}{rest}");
        let acts = move |at: &Path| {
            put(at, "c.new", new.as_bytes());
            fs::rename(at.join("c.new"), at.join("c.csv")).unwrap();
            pause(900);
        };
        plays.push(
            play(format!("another file in its place, header {header:?}"), format!("{RISK} c.csv"), acts, scored(4))
                .file("c.csv", two.clone()),
        );
    }
    // JSON lines and points.
    let json = |rows: &str| write::table(&format!("{HEADER}{rows}")).jsonl();
    let (first, second) = (json(&format!("{}{}", rows[0], rows[1])), json(&rest));
    let acts = move |at: &Path| {
        fs::OpenOptions::new().write(true).truncate(true).open(at.join("c.jsonl")).unwrap();
        pause(500);
        append(at, "c.jsonl", second.as_bytes());
        pause(700);
    };
    plays.push(play("JSON, truncated", format!("{RISK} c.jsonl"), acts, scored(4)).file("c.jsonl", first));
    let frames = [(0, cloud(5, 95)), (1, cloud(6, 96)), (2, cloud(7, 97))];
    let (first, second) = (points_table(&frames[..2], true).csv(), points_table(&frames[2..], true).csv());
    let acts = move |at: &Path| {
        fs::OpenOptions::new().write(true).truncate(true).open(at.join("a.csv")).unwrap();
        pause(500);
        append(at, "a.csv", second.as_bytes());
        pause(700);
    };
    plays.push(play("points, truncated", format!("{KNN} a.csv"), acts, edges(&frames)).file("a.csv", first));
    // Every one of them is said.
    let plays = plays.into_iter().map(|play| {
        let judge = play.judge;
        Play {
            judge: Box::new(move |done: &Done| {
                judge(done).and(if done.stderr.is_empty() { Err("nothing is said of it".into()) } else { Ok(()) })
            }),
            ..play
        }
    });
    check(plays.collect());
}

#[test]
fn a_line_without_its_end_waits_for_it() {
    let rows = chain(3).0;
    let mut plays = Vec::new();
    for signal in ["INT", "TERM"] {
        // 600 s were to come: 6 is not a row.
        let half = format!("{HEADER}{}{}30,c,d,6", rows[0], rows[1]);
        let judge = scored(2);
        let loud = move |done: &Done| {
            judge(done).and(if done.stderr.contains("c.csv") {
                Ok(())
            } else {
                Err("the half line is not named".into())
            })
        };
        plays.push(Play {
            signal,
            ..play(format!("contacts, {signal}"), format!("{RISK} c.csv"), |_| pause(300), loud).file("c.csv", half)
        });
        let points = cloud(5, 98);
        let half = points_table(&[(0, points.clone())], true).csv() + "0,1,2,3";
        plays.push(Play {
            signal,
            ..play(format!("points, {signal}"), format!("{KNN} a.csv"), |_| pause(300), edges(&[(0, points)]))
                .file("a.csv", half)
        });
        let half =
            write::table(&format!("{HEADER}{}{}", rows[0], rows[1])).jsonl() + "{\"t\":30,\"i\":\"c\",\"j\":\"d\"}";
        plays.push(Play {
            signal,
            ..play(format!("JSON, {signal}"), format!("{RISK} c.jsonl"), |_| pause(300), scored(2))
                .file("c.jsonl", half)
        });
    }
    let whole = format!("{HEADER}{}", rows.concat());
    for cut in [3, HEADER.len() - 1, HEADER.len(), HEADER.len() + 3, whole.len() - 1] {
        let (first, second) = (whole.as_bytes()[..cut].to_vec(), whole.as_bytes()[cut..].to_vec());
        let acts = move |at: &Path| {
            append(at, "c.csv", &second);
            pause(500);
        };
        plays.push(play(format!("cut at {cut}"), format!("{RISK} c.csv"), acts, scored(3)).file("c.csv", first));
    }
    let note = "t,i,j,note,duration\n10,a,b,\"met\n20,x,y,at,9\",600\n20,b,c,,600\n30,c,d,,600\n";
    for cut in [30, 34, 38, 48] {
        let (first, second) = (note.as_bytes()[..cut].to_vec(), note.as_bytes()[cut..].to_vec());
        let acts = move |at: &Path| {
            append(at, "c.csv", &second);
            pause(500);
        };
        plays.push(
            play(format!("cut in a quoted line break, at {cut}"), format!("{RISK} c.csv"), acts, scored(3))
                .file("c.csv", first),
        );
    }
    let late = whole.clone();
    let acts = move |at: &Path| {
        append(at, "c.csv", late.as_bytes());
        pause(700);
    };
    plays.push(play("a file that is not there yet", format!("{RISK} c.csv"), acts, scored(3)));
    let points = points_table(&[(0, cloud(5, 99))], true).csv();
    let acts = move |at: &Path| {
        append(at, "a.csv", points.as_bytes());
        pause(700);
    };
    plays.push(play(
        "a table of points that is not there yet",
        format!("{KNN} a.csv"),
        acts,
        edges(&[(0, cloud(5, 99))]),
    ));
    let acts = move |at: &Path| {
        for row in chain(3).0 {
            append(at, "c.csv", row.as_bytes());
            pause(200);
        }
        append(at, "t.csv", b"40,z,negative\n");
        pause(500);
    };
    let right = chain(3).1;
    plays.push(
        play("contacts and tests", format!("{RISK} c.csv --tests t.csv --set prior=0.25"), acts, move |done| {
            let rows = done.scores("o.csv")?;
            if rows.len() == 5 && rows[0].0 == 40 && (rows[0].2 - right[0].1).abs() < 1e-5 {
                Ok(())
            } else {
                Err(format!("found {rows:?}"))
            }
        })
        .file("c.csv", HEADER)
        .file("t.csv", "t,person,result\n"),
    );
    check(plays);
}

/// Waits for something; false if it does not come.
fn comes(limit: u64, what: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(limit) {
        if what() {
            return true;
        }
        pause(50);
    }
    false
}

#[test]
fn segments_are_published_by_time_also_when_nothing_comes() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    put(at, "c.csv", format!("{HEADER}10,a,b,600\n").as_bytes());
    put(at, "scans/0.bin", &scan(&cloud(6, 100)));
    let runs = [
        (
            "risk",
            "run risk --contacts c.csv --set rate=1e-3 --follow --set emit=changes --set segment_seconds=1 --output risk/",
        ),
        ("knn", "run knn --input scans --set k=3 --set settle=0.3 --follow --set segment_seconds=1 --output knn/"),
        ("segment", "run segment --input scans --set settle=0.3 --follow --set segment_seconds=1 --output segment/"),
    ];
    let running = runs.map(|(name, line)| (name, Running::start(at, line)));
    let published = |name: &str| {
        fs::read_to_string(at.join(name).join("manifest.json")).is_ok_and(|text| text.contains("segment-"))
    };
    let found = runs.map(|(name, _)| (name, comes(8, || published(name))));
    for (name, run) in running {
        run.signal("TERM");
        let done = run.end(Duration::from_secs(20));
        assert_eq!(done.code, Some(0), "{name}: {}", done.stderr);
    }
    assert!(found.iter().all(|(_, found)| *found), "a manifest with a segment within 8 s: {found:?}");
}

#[test]
fn what_came_into_a_folder_just_before_the_signal_is_read_or_named() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    put(at, "in/1.csv", format!("{HEADER}10,a,b,600\n").as_bytes());
    let run = Running::start(at, "run risk --contacts in --set rate=1e-3 --follow --output o.csv");
    pause(1000);
    put(at, "in/2.csv", format!("{HEADER}20,c,d,600\n").as_bytes());
    put(at, "in/3.csv", b"who,whom\n1,2\n");
    put(at, "in/4.txt", format!("{HEADER}20,e,f,600\n").as_bytes());
    put(at, "in/notes.md", b"what this is\n");
    run.signal("INT");
    let done = run.end(Duration::from_secs(20));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for said in ["3.csv: passed over", "1 unreadable", "passed over 4.txt: the tables of a folder end in"] {
        assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
    }
    assert!(!done.stderr.contains("notes.md"), "{}", done.stderr);
    let rows = fs::read_to_string(at.join("o.csv")).unwrap();
    assert!(["a", "b", "c", "d"].iter().all(|person| rows.contains(&format!("\n20,{person},"))), "{rows}");
}

#[test]
fn what_came_through_a_pipe_before_the_signal_is_scored() {
    use std::io::Write as _;
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    assert!(Command::new("mkfifo").arg(at.join("pipe")).status().unwrap().success());
    let run = Running::start(at, "run risk --contacts pipe --set rate=1e-3 --output o.csv");
    let mut pipe = fs::OpenOptions::new().write(true).open(at.join("pipe")).unwrap();
    pipe.write_all(format!("{HEADER}10,a,b,600\n").as_bytes()).unwrap();
    pause(1000);
    run.signal("TERM");
    let done = run.end(Duration::from_secs(20));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let rows = fs::read_to_string(at.join("o.csv")).unwrap();
    assert!(["a", "b"].iter().all(|person| rows.contains(&format!("\n10,{person},"))), "{rows}{}", done.stderr);
}

#[test]
fn a_folder_has_one_writer() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    put(at, "c.csv", format!("{HEADER}10,a,b,600\n").as_bytes());
    let line =
        "run risk --contacts c.csv --set rate=1e-3 --follow --set emit=changes --set segment_seconds=1 --output out/";
    let first = Running::start(at, line);
    assert!(comes(10, || at.join("out").is_dir()), "the first run makes no folder");
    pause(300);
    for line in [
        line,
        "run knn --input scans --set k=3 --output out/",
        "run risk --contacts c.csv --set rate=1e-3 --output ./out/",
    ] {
        put(at, "scans/0.bin", &scan(&cloud(6, 100)));
        let second = Running::start(at, line).end(Duration::from_secs(10));
        assert_eq!(second.code, Some(1), "{line}: a second writer: {}", second.stderr);
        assert!(second.stderr.contains("out"), "{}", second.stderr);
    }
    append(at, "c.csv", b"20,b,c,600\n");
    pause(1500);
    first.signal("INT");
    let first = first.end(Duration::from_secs(20));
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    // A writer that was killed leaves no lock behind.
    let killed = Running::start(at, &line.replace("out/", "again/"));
    assert!(comes(10, || at.join("again").is_dir()));
    killed.signal("KILL");
    killed.end(Duration::from_secs(5));
    let next = Running::start(at, &line.replace("out/", "again/"));
    pause(1000);
    next.signal("INT");
    let next = next.end(Duration::from_secs(20));
    assert_eq!(next.code, Some(0), "after a writer that was killed: {}", next.stderr);
}

#[test]
fn a_signal_is_obeyed_inside_a_long_model_run() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    // Rates far too high for the town: belief propagation takes thousands of rounds.
    let line =
        "run risk --input sim:town --set people=6000 --set days=14 --set rate=1e-3 --set recovery=1e-7 --output o.csv";
    for (signal, after) in [("TERM", 1500), ("INT", 5000)] {
        let run = Running::start(at, line);
        pause(after);
        let asked = Instant::now();
        run.signal(signal);
        let done = run.end(Duration::from_secs(20));
        let took = asked.elapsed();
        assert!(
            took < Duration::from_secs(4),
            "{signal} after {after} ms: obeyed in {took:?}, exit {:?}: {}",
            done.code,
            done.stderr
        );
    }
}
