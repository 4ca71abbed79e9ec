//! A drive as a map: one node per voxel of the last ten frames, at its integer index; each frame one epoch.

use crate::peers::Peer;
use crate::{cpu_ms, entry, machine, median};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Instant;
use thalweg::knn::{Simd, VoxelKnn};

/// Frames in the map.
const WINDOW: usize = 10;

/// Every how many frames the peers are asked.
const PEERS_EVERY: usize = 8;

/// Bytes that another stage might write between two frames: more than caches hold.
const OTHER_WORK: usize = 64 << 20;

/// The voxels that go and come with a frame.
type Edit = (Vec<u64>, Vec<u64>);

/// Names and folders of the drives in `THALWEG_DRIVES`.
pub fn folders() -> Vec<(String, PathBuf)> {
    let drives = std::env::var("THALWEG_DRIVES").unwrap_or_default();
    drives.split(',').filter_map(|part| part.split_once('=')).map(|(name, dir)| (name.into(), dir.into())).collect()
}

/// The voxels of a frame, ascending.
fn voxels(path: &Path, pose: &[f64], voxel: f64) -> std::io::Result<Vec<u64>> {
    let bytes = std::fs::read(path)?;
    let values: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let index = |v: f32, o: f64| ((f64::from(v) + o) / voxel).floor() as i64 + (1 << 20);
    let mut ids: Vec<u64> = values
        .chunks_exact(4)
        .map(|p| (0..3).fold(0, |id, axis| id << 21 | index(p[axis], pose[axis]) as u64))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn position(id: u64) -> [f32; 3] {
    [42, 21, 0].map(|shift| ((id >> shift & 0x1f_ffff) as i64 - (1 << 20)) as f32)
}

/// The voxels that come and go with each frame.
struct Edits {
    seen: HashMap<u64, u32>,
    frames: VecDeque<Vec<u64>>,
}

impl Edits {
    fn new() -> Self {
        Edits { seen: HashMap::new(), frames: VecDeque::new() }
    }

    /// The next frame's (removed, inserted) voxels.
    fn push(&mut self, ids: Vec<u64>) -> Edit {
        let mut insert = Vec::new();
        for &id in &ids {
            let count = self.seen.entry(id).or_insert(0);
            *count += 1;
            if *count == 1 {
                insert.push(id);
            }
        }
        self.frames.push_back(ids);
        let old = if self.frames.len() > WINDOW { self.frames.pop_front() } else { None };
        let mut remove = Vec::new();
        for id in old.into_iter().flatten() {
            let count = self.seen.get_mut(&id).expect("a frame that leaves was counted");
            *count -= 1;
            if *count == 0 {
                self.seen.remove(&id);
                remove.push(id);
            }
        }
        (remove, insert)
    }
}

/// A drive's edits at a voxel size.
fn edits(folder: &Path, voxel: f64) -> std::io::Result<Vec<Edit>> {
    let poses = std::fs::read_to_string(folder.join("poses.txt"))?;
    let poses = poses.lines().map(|line| line.split_whitespace().filter_map(|v| v.parse().ok()).collect::<Vec<f64>>());
    let mut edits = Edits::new();
    poses
        .enumerate()
        .map(|(frame, pose)| Ok(edits.push(voxels(&folder.join(format!("{frame:06}.bin")), &pose, voxel)?)))
        .collect()
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Brings the voxels of a map up to date with a frame.
fn follow(live: &mut BTreeSet<u64>, (remove, insert): &Edit) {
    remove.iter().for_each(|id| assert!(live.remove(id), "a voxel that goes was there"));
    live.extend(insert);
}

/// The voxels of the map at each frame that peers are asked about, as files of positions.
fn maps(edits: &[Edit], folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut live = BTreeSet::new();
    let mut paths = Vec::new();
    for (frame, edit) in edits.iter().enumerate() {
        follow(&mut live, edit);
        if asked(frame) {
            let path = folder.join(format!("{frame}.f32"));
            write(&path, live.iter().copied())?;
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Whether peers are asked about the map of a frame.
fn asked(frame: usize) -> bool {
    frame > WINDOW && frame.is_multiple_of(PEERS_EVERY)
}

fn write(path: &Path, ids: impl Iterator<Item = u64>) -> std::io::Result<()> {
    std::fs::write(path, ids.flat_map(position).flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
}

/// A new map driven through all frames, one after the other, and the milliseconds of each once the window is full; `before` is done before
/// each.
fn pass(edits: &[Edit], mut before: impl FnMut(usize, &mut VoxelKnn)) -> (VoxelKnn, Vec<f64>) {
    let mut graph = VoxelKnn::new(16).expect("k is in range");
    let mut ours = Vec::new();
    for (frame, (remove, insert)) in edits.iter().enumerate() {
        before(frame, &mut graph);
        let start = cpu_ms();
        graph.apply(remove, insert).expect("the edit is sound");
        if frame > WINDOW {
            ours.push(cpu_ms() - start);
        }
    }
    (graph, ours)
}

/// Milliseconds of nanoflann's dynamic index where it is asked.
fn dynamic(peer: &mut Peer, edits: &[Edit], folder: &Path) -> std::io::Result<Vec<f64>> {
    let (out, come) = (folder.join("out.f32"), folder.join("in.f32"));
    let mut kept = Vec::new();
    for (frame, (remove, insert)) in edits.iter().enumerate() {
        write(&out, remove.iter().copied())?;
        write(&come, insert.iter().copied())?;
        let ms = peer.edit(&out, &come, if asked(frame) { 16 } else { 0 })?;
        if asked(frame) {
            kept.push(ms);
        }
    }
    Ok(kept)
}

/// The median and the 99th percentile of a drive at a voxel size, beside peers that build anew or keep an index of their own: three times
/// all frames of ours, one after the other, then a third of what the peers are asked.
pub fn run(name: &str, folder: &Path, voxel: f64, peers: &mut [Peer]) -> std::io::Result<Vec<Value>> {
    const PASSES: usize = 3;
    let edits = edits(folder, voxel)?;
    let temp = std::env::temp_dir().join(format!("thalweg-live-{}", std::process::id()));
    std::fs::create_dir_all(&temp)?;
    let maps = maps(&edits, &temp)?;
    let (mut nodes, mut passes) = (0, Vec::new());
    let mut theirs = vec![Vec::new(); peers.len()];
    for number in 0..PASSES {
        let (graph, times) = pass(&edits, |_, _| ());
        nodes = graph.len();
        passes.push(times);
        for map in maps.iter().skip(number).step_by(PASSES) {
            for (peer, times) in peers.iter_mut().zip(&mut theirs) {
                times.push(peer.run(map, 16)?);
            }
        }
    }
    let mut figures: Vec<(String, f64)> =
        peers.iter().zip(&mut theirs).map(|(peer, times)| (format!("{}, rebuilt", peer.name), median(times))).collect();
    if let Some(mut peer) = Peer::nanoflann_dynamic() {
        figures.push((peer.name.clone(), median(&mut dynamic(&mut peer, &edits, &temp)?)));
    }
    let mut other = vec![0u64; OTHER_WORK / size_of::<u64>()];
    let (_, mut cold) = pass(&edits, |_, _| other.iter_mut().for_each(|v| *v = v.wrapping_add(1)));
    std::fs::remove_dir_all(&temp)?;

    let of_frame = |frame: usize| median(&mut passes.iter().map(|times| times[frame]).collect::<Vec<_>>());
    let mut ours: Vec<f64> = (0..passes[0].len()).map(of_frame).collect();
    let (p50, cold) = (median(&mut ours), median(&mut cold));
    let p99 = percentile(&ours, 99);
    let case = format!("map, {name} drive, {voxel} m, {nodes} nodes, k = 16, a frame");
    let factor = match (name, voxel < 0.15) {
        ("moving", false) => 8.0,
        ("moving", true) => 7.0,
        (_, false) => 20.0,
        (_, true) => 14.0,
    };
    eprintln!("{case}: p99 {p99:.2} ms; p50 after other work {cold:.2}");
    let alone = |what: &str, ms: f64| {
        let case = format!("{case}, {what} ({})", machine());
        json!({"case": case, "unit": "ms", "ours": ms, "peers": {}, "goal": 1.5 * p50})
    };
    Ok(vec![
        entry(&format!("{case}, p50 ({})", machine()), p50, &figures, factor),
        alone("p99", p99),
        alone("p50 where 64 MiB of other memory are written before each frame", cold),
    ])
}

/// The same change in maps of more and more nodes: copies of the drive beside each other, of which one changes.
pub fn scale(name: &str, folder: &Path) -> std::io::Result<Vec<Value>> {
    /// Voxels from one copy to the next.
    const APART: u64 = 2048;
    let edits = edits(folder, 0.2)?;
    let mut live = BTreeSet::new();
    edits.iter().take(WINDOW + 1).for_each(|edit| follow(&mut live, edit));
    let copy = |copy: u64| live.iter().map(move |id| id + ((copy % 10 * APART) << 42) + ((copy / 10 * APART) << 21));
    let mut entries = Vec::new();
    let mut first = f64::NAN;
    for copies in [1, 10, 100] {
        let (graph, mut ours) = pass(&edits, |frame, graph| {
            if frame == WINDOW + 1 {
                let all: Vec<u64> = (1..copies).flat_map(copy).collect();
                graph.apply(&[], &all).expect("copies do not overlap");
            }
        });
        let p50 = median(&mut ours);
        if copies == 1 {
            first = p50;
        }
        let case = format!("map, {name} drive, 0.2 m, the same change among {} nodes", graph.len());
        eprintln!("{case}: p50 {p50:.2} ms, p99 {:.2}, {} MiB", percentile(&ours, 99), graph.memory() >> 20);
        for (what, ms) in [("p50", p50), ("p99", percentile(&ours, 99))] {
            let case = format!("{case}, {what} ({})", machine());
            entries.push(json!({"case": case, "unit": "ms", "ours": ms, "peers": {}, "goal": 1.5 * first}));
        }
        let bytes = graph.memory() as f64 / graph.len() as f64;
        entries.push(json!({"case": format!("{case}, memory a node"), "unit": "bytes", "ours": bytes, "peers": {}, "goal": 100.0}));
    }
    Ok(entries)
}

/// A drive's frames in wall time, with one shard on one thread and two on two.
pub fn shards(name: &str, folder: &Path) -> std::io::Result<Value> {
    let edits = edits(folder, 0.1)?;
    let mut times = [1, 2].map(|shards| {
        let mut wall = Vec::new();
        let mut graphs: Vec<VoxelKnn> =
            (0..shards).map(|shard| VoxelKnn::sharded(16, shard, shards).expect("the shards are sound")).collect();
        for (frame, (remove, insert)) in edits.iter().enumerate() {
            let start = Instant::now();
            std::thread::scope(|scope| {
                for graph in &mut graphs {
                    scope.spawn(|| graph.apply(remove, insert).map(drop).expect("the edit is sound"));
                }
            });
            if frame > WINDOW {
                wall.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        wall
    });
    let [one, two] = [0, 1].map(|i| median(&mut times[i]));
    let case = format!("map, {name} drive, 0.1 m, k = 16, a frame, wall time, 2 threads ({})", Simd::best().name());
    eprintln!("{case}: {two:.2} ms, one thread {one:.2}: {:.2} x", one / two);
    Ok(json!({"case": case, "unit": "ms", "ours": two, "peers": {"ours, 1 thread": one}, "goal": one / 1.7}))
}
