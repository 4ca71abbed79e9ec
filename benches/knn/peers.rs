//! The libraries beside us: kiddo in this process, the others in processes of their own that answer with milliseconds.

use crate::{Cloud, cpu_ms};
use kiddo::{ImmutableKdTree, SquaredEuclidean};
use std::io::{BufRead, BufReader, Error, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A library that finds the full exact kNN graph.
pub struct Peer {
    pub name: String,
    process: Option<Process>,
}

struct Process {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process ends with its input; a failure to stop it has nobody to go to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(command: &mut Command) -> Option<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let (ask, answer) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut process = Process { child, ask, answer };
        (process.line().ok()? == "ready").then_some(process)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.answer.read_line(&mut line)?;
        Ok(line.trim().to_string())
    }
}

/// Every peer that is installed.
pub fn all() -> Vec<Peer> {
    let mut peers = Vec::new();
    let mut add = |name: &str, command: Option<Command>| match command.and_then(|mut c| Process::start(&mut c)) {
        Some(process) => peers.push(Peer { name: name.into(), process: Some(process) }),
        None => eprintln!("{name} is not installed: left out"),
    };
    let nanoflann = |order: &str| {
        let mut command = Command::new(std::env::var_os("THALWEG_BENCH_NANOFLANN")?);
        command.arg(order);
        Some(command)
    };
    add("nanoflann, points sorted", nanoflann("sorted"));
    add("nanoflann", nanoflann("given"));
    for name in ["small_gicp", "pykdtree", "scipy"] {
        let mut command = Command::new(std::env::var_os("THALWEG_BENCH_PYTHON").unwrap_or("python3".into()));
        command.args(["benches/knn/peer.py", name]);
        add(name, Some(command));
    }
    for name in ["kiddo immutable", "kiddo batch"] {
        peers.push(Peer { name: name.into(), process: None });
    }
    peers
}

impl Peer {
    /// nanoflann's index under insertions and removals, asked for the whole graph: it does not know which lists change.
    pub fn nanoflann_dynamic() -> Option<Peer> {
        let mut command = Command::new(std::env::var_os("THALWEG_BENCH_NANOFLANN")?);
        let process = Process::start(command.arg("dynamic"))?;
        Some(Peer { name: "nanoflann, dynamic index".into(), process: Some(process) })
    }

    /// One edit of the dynamic index, in milliseconds of CPU time; with `k` other than 0 the graph as well.
    pub fn edit(&mut self, remove: &Path, insert: &Path, k: usize) -> std::io::Result<f64> {
        let Some(process) = &mut self.process else { return Err(Error::other("a process answers edits")) };
        writeln!(process.ask, "{}", remove.display())?;
        writeln!(process.ask, "{} {k}", insert.display())?;
        let answer = process.line()?;
        answer.parse().map_err(|_| Error::other(format!("{}: answered {answer:?}, not milliseconds", self.name)))
    }

    /// One run, in milliseconds of CPU time.
    pub fn run(&mut self, path: &Path, k: usize) -> std::io::Result<f64> {
        let Some(process) = &mut self.process else { return kiddo(path, k, self.name == "kiddo batch") };
        writeln!(process.ask, "{} {k}", path.display())?;
        let answer = process.line()?;
        answer.parse().map_err(|_| Error::other(format!("{}: answered {answer:?}, not milliseconds", self.name)))
    }
}

fn kiddo(path: &Path, k: usize, batch: bool) -> std::io::Result<f64> {
    let cloud = Cloud::read(path)?;
    let points: Vec<[f32; 3]> = (0..cloud.x.len()).map(|i| [cloud.x[i], cloud.y[i], cloud.z[i]]).collect();
    let count = NonZero::new(k + 1).unwrap_or(NonZero::<usize>::MIN);
    let start = cpu_ms();
    let tree: ImmutableKdTree<f32, 3> = ImmutableKdTree::new_from_slice(&points).map_err(Error::other)?;
    if batch {
        std::hint::black_box(tree.query_batch(&points).nearest_n::<SquaredEuclidean<f32>>(count).execute());
    } else {
        for point in &points {
            std::hint::black_box(tree.query(point).nearest_n::<SquaredEuclidean<f32>>(count).execute());
        }
    }
    Ok(cpu_ms() - start)
}
