//! `thalweg list`: pipelines, connectors and models, from their registries.

use thalweg::layers::{LAYERS, REFUSED};
use thalweg_connectors::FORMATS;

use crate::registry::READY;
use crate::sims::SIMS;

/// One line each.
pub fn lines() -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(READY.iter().map(|ready| line("pipeline", ready.name, ready.what)));
    for format in FORMATS {
        let endings: Vec<_> = format.extensions.iter().map(|ending| format!(".{ending}")).collect();
        lines.push(line("connector", format.name, &format!("{} ({})", format.what, endings.join(" "))));
    }
    let sequence = "a KITTI odometry sequence folder (velodyne/, poses.txt, calib.txt, times.txt, labels/)";
    lines.push(line("connector", "kitti", sequence));
    let tables = "tables of contacts, tests, edges and nodes (.csv .tsv .jsonl .ndjson, gzipped or not, .parquet)";
    lines.push(line("connector", "tables", tables));
    lines.extend(SIMS.iter().map(|sim| line("connector", &format!("sim:{}", sim.name), sim.what)));
    for ready in &READY {
        lines.extend(
            (ready.models)().into_iter().map(|(name, what)| line("model", name, &format!("{}: {what}", ready.name))),
        );
    }
    lines
}

/// The layers that a network may have, one line each, then those that are refused and why.
pub fn layers() -> Vec<String> {
    let layers = LAYERS.iter().map(|layer| format!("layer      {:22} {}", layer.name, layer.what));
    layers.chain(REFUSED.iter().map(|(name, why)| format!("refused    {name:22} {why}"))).collect()
}

fn line(kind: &str, name: &str, what: &str) -> String {
    format!("{kind:10} {name:10} {what}")
}
