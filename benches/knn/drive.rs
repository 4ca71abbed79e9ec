//! A drive as a map: one node per voxel of the last ten frames, at its integer index; each frame one epoch. Peers build anew.

use crate::peers::Peer;
use crate::{cpu_ms, entry, machine, median};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use thalweg::knn::{Edit, KnnMap, VoxelKnn};

/// Frames in the map.
const WINDOW: usize = 10;

/// Every how many frames the peers are asked.
const PEERS_EVERY: usize = 8;

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

/// The median and the 99th percentile of a drive at a voxel size.
pub fn run(name: &str, folder: &Path, voxel: f64, peers: &mut [Peer]) -> std::io::Result<Vec<Value>> {
    let poses: Vec<Vec<f64>> = std::fs::read_to_string(folder.join("poses.txt"))?
        .lines()
        .map(|line| line.split_whitespace().filter_map(|v| v.parse().ok()).collect())
        .collect();
    let live_path = std::env::temp_dir().join(format!("thalweg-live-{}.f32", std::process::id()));
    let k = 16;
    let mut map = VoxelKnn::new(k).expect("k is in range");
    let mut general = KnnMap::new(k).expect("k is in range");
    let mut generals = Vec::new();
    let (mut seen, mut frames) = (HashMap::<u64, u32>::new(), Vec::<Vec<u64>>::new());
    let (mut ours, mut theirs) = (Vec::new(), vec![Vec::new(); peers.len()]);
    for (frame, pose) in poses.iter().enumerate() {
        let ids = voxels(&folder.join(format!("{frame:06}.bin")), pose, voxel)?;
        let before: Vec<u64> = if frame >= WINDOW { std::mem::take(&mut frames[frame - WINDOW]) } else { Vec::new() };
        let mut insert = Vec::new();
        for &id in &ids {
            let count = seen.entry(id).or_insert(0);
            *count += 1;
            if *count == 1 {
                insert.push((id, position(id)));
            }
        }
        let mut remove = Vec::new();
        for id in before {
            let count = seen.get_mut(&id).expect("a frame that leaves was counted");
            *count -= 1;
            if *count == 0 {
                seen.remove(&id);
                remove.push(id);
            }
        }
        frames.push(ids);
        insert.retain(|(id, _)| seen.contains_key(id));
        let voxels: Vec<u64> = insert.iter().map(|&(id, _)| id).collect();
        let start = cpu_ms();
        map.apply(&remove, &voxels).expect("the edit is sound");
        let ms = cpu_ms() - start;
        let start = cpu_ms();
        if std::env::var("GEN").is_ok() {
            general.apply(&Edit { remove: &remove, insert: &insert, moves: &[] }).expect("the edit is sound");
        }
        let general_ms = cpu_ms() - start;
        if frame <= WINDOW {
            continue;
        }
        ours.push(ms);
        generals.push(general_ms);
        if frame % PEERS_EVERY == 0 {
            let mut live: Vec<u64> = seen.keys().copied().collect();
            live.sort_unstable();
            let bytes: Vec<u8> = live.iter().flat_map(|&id| position(id)).flat_map(f32::to_le_bytes).collect();
            std::fs::write(&live_path, bytes)?;
            for (peer, times) in peers.iter_mut().zip(&mut theirs) {
                times.push(peer.run(&live_path, k)?);
            }
        }
    }
    let figures: Vec<(String, f64)> =
        peers.iter().zip(&mut theirs).map(|(peer, times)| (format!("{}, rebuilt", peer.name), median(times))).collect();
    eprintln!("general {:.1}", median(&mut generals));
    let p50 = median(&mut ours);
    let p99 = ours.get((ours.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN);
    let case = format!("map, {name} drive, {voxel} m, {} nodes, k = {k}, a frame", map.len());
    let factor = match (name, voxel < 0.15) {
        ("moving", false) => 8.0,
        ("moving", true) => 7.0,
        (_, false) => 20.0,
        (_, true) => 14.0,
    };
    std::fs::remove_file(&live_path)?;
    Ok(vec![
        entry(&format!("{case}, p50 ({})", machine()), p50, &figures, factor),
        json!({"case": format!("{case}, p99 ({})", machine()), "unit": "ms", "ours": p99, "peers": {}, "goal": 1.5 * p50}),
    ])
}
