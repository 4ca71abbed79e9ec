//! `thalweg list`: pipelines, connectors and models, from their registries.

use thalweg_connectors::FORMATS;

use crate::pipeline::READY;
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
    let tables = "tables of contacts and tests (.csv .tsv .jsonl .ndjson, gzipped or not, .parquet)";
    lines.push(line("connector", "contacts", tables));
    lines.extend(SIMS.iter().map(|sim| line("connector", &format!("sim:{}", sim.name), sim.what)));
    for ready in &READY {
        lines.extend(
            (ready.models)().into_iter().map(|(name, what)| line("model", name, &format!("{}: {what}", ready.name))),
        );
    }
    lines
}

fn line(kind: &str, name: &str, what: &str) -> String {
    format!("{kind:10} {name:10} {what}")
}
