//! The exact kNN graph beside its peers: same points, same `k`, one thread, index build included, runs interleaved, medians.
//! Words on the command line choose cases: `cargo bench --bench knn -- standing` runs those whose names have one of them.

mod drive;
mod peers;

use peers::Peer;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use thalweg::knn::{KnnIndex, NeighborLists, Points3, Simd};

/// Runs of each case and contestant.
const ROUNDS: usize = 7;

/// Milliseconds of CPU time of the whole process, so that work which a library hands to a pool of threads counts as its own. A yield brings
/// the kernel's account of this thread up to date; the others are idle and theirs is.
pub fn cpu_ms() -> f64 {
    std::thread::yield_now();
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ns = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.filter_map(ns).sum::<f64>() / 1e6
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Points as columns, from a file of x, y, z.
pub struct Cloud {
    x: Vec<f32>,
    y: Vec<f32>,
    z: Vec<f32>,
}

impl Cloud {
    /// The points of a file.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let xyz: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let column = |axis| xyz.chunks_exact(3).map(|p| p[axis]).collect();
        Ok(Cloud { x: column(0), y: column(1), z: column(2) })
    }

    fn points(&self) -> Points3<'_> {
        Points3::new(&self.x, &self.y, &self.z).expect("clouds are finite")
    }
}

/// What a case needs besides its figures: instruction set, threads, processor.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    format!("{}, 1 thread, {}", Simd::best().name(), model.trim_start_matches([' ', '\t', ':']))
}

/// How many times the best peer our path has to beat.
fn factor() -> f64 {
    match Simd::best().name() {
        "avx512" => 3.0,
        "avx2" => 2.0,
        _ => 1.0,
    }
}

/// One line of the result, printed as well.
pub fn entry(case: &str, ours: f64, peers: &[(String, f64)], factor: f64) -> Value {
    let best = peers.iter().map(|peer| peer.1).fold(f64::INFINITY, f64::min);
    let figures: Map<String, Value> = peers.iter().map(|(name, ms)| (name.clone(), json!(ms))).collect();
    let text: Vec<String> = peers.iter().map(|(name, ms)| format!("{name} {ms:.1}")).collect();
    eprintln!("{case}: ours {ours:.1} ms; {}; best peer / ours = {:.2}", text.join(", "), best / ours);
    json!({"case": case, "unit": "ms", "ours": ours, "peers": figures, "goal": best / factor})
}

/// How the cases of a cloud begin.
fn name(path: &Path) -> String {
    format!("full graph, {}", path.file_stem().unwrap_or_default().to_string_lossy())
}

fn full(path: &Path, k: usize, peers: &mut [Peer]) -> std::io::Result<Value> {
    let cloud = Cloud::read(path)?;
    let mut index = KnnIndex::build(cloud.points());
    let mut lists = NeighborLists::default();
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); peers.len()];
    for _ in 0..ROUNDS {
        let start = cpu_ms();
        index.rebuild(cloud.points());
        index.graph_into(k, &mut lists).expect("k is in range");
        ours.push(cpu_ms() - start);
        for (peer, times) in peers.iter_mut().zip(&mut theirs) {
            times.push(peer.run(path, k)?);
        }
    }
    let figures: Vec<(String, f64)> =
        peers.iter().zip(&mut theirs).map(|(peer, times)| (peer.name.clone(), median(times))).collect();
    let case = format!("{}, {} points, k = {k} ({})", name(path), cloud.x.len(), machine());
    Ok(entry(&case, median(&mut ours), &figures, factor()))
}

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::var("THALWEG_BENCH_CLOUDS").unwrap_or_else(|_| "target/bench/clouds".into()));
    let mut clouds: Vec<PathBuf> = std::fs::read_dir(&folder)?.filter_map(|e| Some(e.ok()?.path())).collect();
    clouds.retain(|path| path.extension().is_some_and(|e| e == "f32"));
    clouds.sort();
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |case: &str| words.is_empty() || words.iter().any(|word| case.contains(word));
    let mut peers = peers::all();
    let mut entries = Vec::new();
    for path in clouds.iter().filter(|path| wanted(&name(path))) {
        for k in [8, 16, 32] {
            entries.push(full(path, k, &mut peers)?);
        }
    }
    for (name, folder) in drive::folders().into_iter().filter(|(name, _)| wanted(&format!("map, {name} drive"))) {
        for voxel in [0.2, 0.1] {
            entries.extend(drive::run(&name, &folder, voxel, &mut peers)?);
        }
        entries.push(drive::shards(&name, &folder)?);
        entries.extend(drive::scale(&name, &folder)?);
    }
    std::fs::create_dir_all("target/bench")?;
    std::fs::write("target/bench/knn.json", serde_json::to_string_pretty(&entries)? + "\n")
}
