//! Inputs that people really have, a few lines each: the files, the command line, and what must come of it.
//!
//! A [`Case`] writes its files into a folder of its own, runs the program there and holds exit code, messages and rows against what is
//! right. [`check`] runs a list of cases and names every one that went wrong. What is right is worked out in [`oracle`], apart from the
//! program. [`write`] makes one table in every format.

mod again;
mod atoms;
mod contacts;
mod folders;
mod following;
mod meaning;
mod oracle;
mod points;
mod radar;
mod rules;
mod scores;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use oracle::Edge;
use oracle::Point;
use tempfile::TempDir;

/// A run that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// What a run left behind.
pub struct Done {
    /// The folder that it ran in.
    pub at: PathBuf,
    /// Its exit code; `None` if it was killed because it hung.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

/// A complaint, or none.
pub type Verdict = Result<(), String>;
type Judge = Box<dyn Fn(&Done) -> Verdict>;

/// One input and what must come of it.
pub struct Case {
    name: String,
    files: Vec<(String, Vec<u8>)>,
    lines: Vec<String>,
    stdin: Vec<u8>,
    codes: Vec<i32>,
    says: Vec<String>,
    judges: Vec<Judge>,
}

/// A case; `line` is what stands behind `thalweg` on the command line, blanks divide.
pub fn case(name: impl Into<String>, line: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        files: Vec::new(),
        lines: vec![line.into()],
        stdin: Vec::new(),
        codes: vec![0],
        says: Vec::new(),
        judges: Vec::new(),
    }
}

impl Case {
    /// A file of the input, folders made as needed.
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Case {
        self.files.push((name.into(), bytes.into()));
        self
    }

    /// What comes in by standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Case {
        self.stdin = bytes.into();
        self
    }

    /// Another command line, run in the same folder before the last one; it must exit with 0.
    pub fn after(mut self, line: impl Into<String>) -> Case {
        self.lines.insert(self.lines.len() - 1, line.into());
        self
    }

    /// The exit codes that are right.
    pub fn code(mut self, codes: &[i32]) -> Case {
        self.codes = codes.into();
        self
    }

    /// What stderr must contain, case not counting; `a|b` is one of the two.
    pub fn says(mut self, parts: &[&str]) -> Case {
        self.says.extend(parts.iter().map(|part| part.to_lowercase()));
        self
    }

    /// Nothing on stderr.
    pub fn quiet(self) -> Case {
        self.judge(|done| if done.stderr.is_empty() { Ok(()) } else { Err("right: nothing on stderr".into()) })
    }

    /// Something on stderr.
    pub fn loud(self) -> Case {
        self.judge(|done| if done.stderr.is_empty() { Err("silent".into()) } else { Ok(()) })
    }

    /// Anything else that must hold.
    pub fn judge(mut self, judge: impl Fn(&Done) -> Verdict + 'static) -> Case {
        self.judges.push(Box::new(judge));
        self
    }

    /// `o.csv` is the exact graph of these frames: `k` nearest neighbours by brute force.
    pub fn graph(self, k: usize, frames: &[(i64, Vec<Point>)]) -> Case {
        let right = oracle::graph(k, frames);
        self.judge(move |done| same_edges(&done.edges("o.csv")?, &right))
    }

    /// `o.csv` holds these people and no others at the last as-of time, with these scores.
    pub fn scores(self, right: &[(&str, f64)]) -> Case {
        let right: Vec<(String, f64)> = right.iter().map(|(person, score)| (person.to_string(), *score)).collect();
        self.judge(move |done| same_scores(&done.scores("o.csv")?, &right))
    }

    /// `o.csv` must not be there.
    pub fn nothing_written(self) -> Case {
        self.judge(|done| if done.at.join("o.csv").exists() { Err("something stands at o.csv".into()) } else { Ok(()) })
    }

    /// `inspect` of a path must say the same things as the run: its text, or its messages.
    pub fn inspect_says_too(self, path: &'static str) -> Case {
        let parts = self.says.clone();
        self.judge(move |done| {
            let inspected = run(&done.at, &format!("inspect {path}"), &[]);
            let text = format!("{}{}", inspected.stdout, inspected.stderr).to_lowercase();
            match parts.iter().find(|part| !part.split('|').any(|one| text.contains(one))) {
                Some(part) => Err(format!("inspect does not say {part:?}: {text}")),
                None => Ok(()),
            }
        })
    }

    fn failure(&self) -> Option<String> {
        let folder = TempDir::new().unwrap();
        for (name, bytes) in &self.files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let (last, before) = self.lines.split_last().unwrap();
        for line in before {
            let done = run(folder.path(), line, &[]);
            if done.code != Some(0) {
                return Some(format!("{}\n    $ thalweg {line}\n    exit {:?}: {}", self.name, done.code, done.stderr));
            }
        }
        let done = run(folder.path(), last, &self.stdin);
        let mut wrong = Vec::new();
        if !done.code.is_some_and(|code| self.codes.contains(&code)) {
            wrong.push(format!("exit {:?}, right: {:?}", done.code, self.codes));
        } else {
            let said = done.stderr.to_lowercase();
            let missing = self.says.iter().filter(|part| !part.split('|').any(|one| said.contains(one)));
            wrong.extend(missing.map(|part| format!("stderr does not say {part:?}")));
            wrong.extend(self.judges.iter().filter_map(|judge| judge(&done).err()));
        }
        if wrong.is_empty() {
            return None;
        }
        let said: String = done.stderr.chars().take(400).collect();
        Some(format!("{}\n    $ thalweg {last}\n    {}\n    stderr: {said:?}", self.name, wrong.join("\n    ")))
    }
}

/// Runs all cases, then fails with those that went wrong.
#[track_caller]
pub fn check(cases: impl IntoIterator<Item = Case>) {
    let (mut count, mut wrong) = (0, Vec::new());
    for case in cases {
        count += 1;
        wrong.extend(case.failure());
    }
    assert!(wrong.is_empty(), "{} of {count} cases went wrong:\n\n{}\n", wrong.len(), wrong.join("\n\n"));
}

/// Runs the program in a folder, standard input being these bytes.
pub fn run(at: &Path, line: &str, stdin: &[u8]) -> Done {
    let logs = TempDir::new().unwrap();
    let log = |name: &str| fs::File::create(logs.path().join(name)).unwrap();
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(line.split_whitespace())
        .current_dir(at)
        .stdin(Stdio::piped())
        .stdout(log("out"))
        .stderr(log("err"))
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&bytes));
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if began.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    // A program that does not read its standard input breaks the pipe.
    let _ = writer.join().unwrap();
    let text = |name: &str| String::from_utf8_lossy(&fs::read(logs.path().join(name)).unwrap()).into_owned();
    Done { at: at.into(), code, stdout: text("out"), stderr: text("err"), took: began.elapsed() }
}

impl Done {
    /// The rows of a CSV output by their columns' names.
    pub fn table(&self, name: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
        let text = fs::read_to_string(self.at.join(name)).map_err(|e| format!("{name}: {e}"))?;
        let mut records = write::records(&text).into_iter();
        let header = records.next().ok_or_else(|| format!("{name} has no header"))?;
        Ok(records.map(|record| header.iter().cloned().zip(record).collect()).collect())
    }

    /// The edges that `run knn` wrote.
    pub fn edges(&self, name: &str) -> Result<Vec<Edge>, String> {
        let number = |row: &BTreeMap<String, String>, column: &str| -> Result<f64, String> {
            let cell = row.get(column).ok_or_else(|| format!("{name} has no column {column}"))?;
            cell.parse().map_err(|_| format!("{name}: {column} {cell:?}"))
        };
        // Ids of voxels have more digits than a float keeps.
        let id = |row: &BTreeMap<String, String>, column: &str| -> Result<u64, String> {
            let cell = row.get(column).ok_or_else(|| format!("{name} has no column {column}"))?;
            cell.parse().map_err(|_| format!("{name}: {column} {cell:?}"))
        };
        let edge = |row: &BTreeMap<String, String>| -> Result<Edge, String> {
            Ok(Edge {
                frame: number(row, "frame")? as i64,
                src: id(row, "src")?,
                rank: number(row, "rank")? as u64,
                dst: id(row, "dst")?,
                d2: number(row, "d2")? as f32,
            })
        };
        self.table(name)?.iter().map(edge).collect()
    }

    /// (as_of, person, score) of every row that `run risk` wrote.
    pub fn scores(&self, name: &str) -> Result<Vec<(i64, String, f64)>, String> {
        let score = |row: &BTreeMap<String, String>| {
            let cell = |column: &str| row.get(column).ok_or_else(|| format!("{name} has no column {column}"));
            let as_of = cell("as_of")?.parse().map_err(|_| format!("as_of {:?}", cell("as_of")))?;
            let score: f64 = cell("score")?.parse().map_err(|_| format!("score {:?}", cell("score")))?;
            Ok((as_of, cell("person")?.clone(), score))
        };
        self.table(name)?.iter().map(score).collect()
    }

    /// The one JSON object on stdout.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_str(&self.stdout).map_err(|e| format!("stdout {:?}: {e}", self.stdout))
    }
}

fn same_edges(found: &[Edge], right: &[Edge]) -> Verdict {
    if found == right {
        return Ok(());
    }
    let frames = |edges: &[Edge]| {
        let mut points = BTreeMap::<i64, std::collections::BTreeSet<u64>>::new();
        edges.iter().for_each(|edge| {
            points.entry(edge.frame).or_default().insert(edge.src);
        });
        points.iter().map(|(frame, src)| format!("{frame}: {}", src.len())).collect::<Vec<_>>().join(", ")
    };
    let first = found.iter().zip(right).find(|(a, b)| a != b);
    Err(format!(
        "found {} edges (nodes a frame: {}), right: {} ({}); first that differs (found, right): {first:?}",
        found.len(),
        frames(found),
        right.len(),
        frames(right)
    ))
}

fn same_scores(found: &[(i64, String, f64)], right: &[(String, f64)]) -> Verdict {
    let last = found.iter().map(|row| row.0).max();
    let found: Vec<(String, f64)> =
        found.iter().filter(|row| Some(row.0) == last).map(|row| (row.1.clone(), row.2)).collect();
    let near = |(a, b): (&(String, f64), &(String, f64))| a.0 == b.0 && (a.1 - b.1).abs() <= 1e-5;
    if found.len() == right.len() && found.iter().zip(right).all(near) {
        return Ok(());
    }
    Err(format!("found scores {found:?}, right: {right:?}"))
}
