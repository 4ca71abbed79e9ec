//! `thalweg top`: the figures of a running service as a table.

use std::fmt::Write as _;
use std::time::Duration;

use super::figures::{Figures, Overview};
use crate::failure::Failure;

/// Where a service is asked if nothing else is said.
pub const URL: &str = "http://127.0.0.1:9464";
/// How often it is asked again.
pub const EVERY: Duration = Duration::from_secs(2);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a service at `url` for its figures; `secret` is the token it may want.
///
/// # Errors
/// Nothing there that answers, or an answer that is no service's (exit 1).
pub fn fetch(url: &str, secret: Option<&str>) -> Result<Overview, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::run(format!("{url}: {error}"));
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build().new_agent();
    let scheme = if url.contains("://") { "" } else { "http://" };
    let mut request = agent.get(format!("{scheme}{}/status", url.trim_end_matches('/')));
    if let Some(secret) = secret {
        request = request.header("Authorization", format!("Bearer {secret}"));
    }
    let mut answer = request.call().map_err(|error| failed(&error))?;
    let text = answer.body_mut().read_to_string().map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&format!("found {error}, expected the figures of a service")))
}

/// The table.
pub fn table(overview: &Overview) -> String {
    let memory = overview.resident_bytes.map_or("unknown".into(), |bytes| format!("{} MB", bytes / 1_000_000));
    let mut text = format!("thalweg {}, up {:.0} s, memory {memory}\n\n", overview.version, overview.uptime_seconds);
    let head = [
        "NAME",
        "PIPELINE",
        "STATUS",
        "READ",
        "ROWS",
        "EPOCHS",
        "QUEUE",
        "LAG s",
        "P50 ms",
        "P99 ms",
        "DROPPED",
        "RESTARTS",
        "CHECKPOINT s",
    ]
    .map(String::from);
    let rows: Vec<_> = [head].into_iter().chain(overview.pipelines.iter().map(row)).collect();
    let widths: Vec<_> = (0..13).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, width))| {
            // Words to the left, numbers to the right.
            if i < 3 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    for figures in &overview.pipelines {
        if let Some(error) = &figures.error {
            // Writing to a text cannot fail.
            let _ = write!(text, "\n{}: {error}\n", figures.name);
        }
    }
    text
}

fn row(figures: &Figures) -> [String; 13] {
    let total = figures.done.latency.get("total").copied().unwrap_or_default();
    [
        figures.name.clone(),
        figures.pipeline.clone(),
        figures.status.name().into(),
        figures.done.read.to_string(),
        figures.done.rows.to_string(),
        figures.done.epochs.to_string(),
        figures.done.in_flight.to_string(),
        format!("{:.1}", figures.done.lag_seconds),
        format!("{:.1}", total.p50),
        format!("{:.1}", total.p99),
        figures.done.dropped.values().sum::<u64>().to_string(),
        figures.restarts.to_string(),
        figures.checkpoint.map_or("-".into(), |checkpoint| format!("{:.1}", checkpoint.age_seconds)),
    ]
}
