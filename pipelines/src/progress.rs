//! What a person at a terminal sees: how far a run has come, how fast, and at the end what was written.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use thalweg::Report;
use thalweg::report::Stats;
use thalweg_pipelines::written::{Counts, Written};

/// The speed shown is that of so long.
const RECENT: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(200);
/// Classes named at the end.
const NAMED: usize = 6;

/// A spinner with a line beside it, on a terminal alone.
pub fn bar() -> ProgressBar {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Shows a run's counters on `bar` until it is finished. `unit` is what is read: frames or rows.
pub fn watch(bar: &ProgressBar, stats: Arc<Stats>, written: Arc<Written>, unit: &'static str, follow: bool) {
    if bar.is_hidden() {
        return;
    }
    let bar = bar.clone();
    std::thread::spawn(move || {
        let mut speed = Speed::default();
        while !bar.is_finished() {
            let rate = speed.at(Instant::now(), written.read());
            let lag = follow.then(|| stats.lag());
            bar.set_message(message(written.read(), written.total(), rate, lag, unit));
            bar.tick();
            std::thread::sleep(TICK);
        }
    });
}

/// Counts of the last seconds.
#[derive(Default)]
struct Speed(VecDeque<(Instant, u64)>);

impl Speed {
    /// Units a second over the last seconds.
    fn at(&mut self, now: Instant, count: u64) -> f64 {
        self.0.push_back((now, count));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| now.duration_since(*at) > RECENT) {
            self.0.pop_front();
        }
        let Some((at, before)) = self.0.front() else { return 0.0 };
        let seconds = now.duration_since(*at).as_secs_f64();
        if seconds > 0.0 { count.saturating_sub(*before) as f64 / seconds } else { 0.0 }
    }
}

fn message(done: u64, total: Option<u64>, rate: f64, lag: Option<Duration>, unit: &str) -> String {
    let mut text = match total {
        Some(total) => format!("{done} of {total} {unit} ({:.0} %)", 100.0 * done as f64 / total.max(1) as f64),
        None => format!("{done} {unit}"),
    };
    text += &format!(", {rate:.1} a second");
    if let Some(total) = total.filter(|total| *total > done && rate > 0.0) {
        let left = Duration::try_from_secs_f64((total - done) as f64 / rate).unwrap_or(Duration::MAX);
        text += &format!(", {} left", HumanDuration(left));
    }
    if let Some(lag) = lag {
        text += &format!(", lag {:.1} s", lag.as_secs_f64());
    }
    text
}

/// What a run did, in a few lines.
pub fn summary(report: &Report, counts: &Counts, output: &str) -> String {
    let total = report.latency.get("total").copied().unwrap_or_default();
    let rows = if counts.rows > 0 { counts.rows } else { report.edges };
    let mut text = format!("wrote {output}: {rows} rows of {} frames", report.frames);
    let points: u64 = counts.classes.values().sum();
    if points > 0 {
        let mut classes: Vec<_> = counts.classes.iter().collect();
        classes.sort_by_key(|(_, points)| std::cmp::Reverse(**points));
        let share = |(name, n): &(&String, &u64)| format!("{name} {:.1} %", 100.0 * **n as f64 / points as f64);
        let named: Vec<_> = classes.iter().take(NAMED).map(share).collect();
        let more = classes.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        text += &format!("\n{points} points of {} classes: {}{more}", classes.len(), named.join(", "));
    }
    let (nodes, edges, seconds) = (report.nodes, report.edges, report.seconds);
    text + &format!(
        "\n{nodes} nodes, {edges} edges in {seconds:.1} s; a frame {:.0} ms (p99 {:.0})",
        total.p50, total.p99
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_total_share_speed_and_time_left() {
        let start = Instant::now();
        let mut speed = Speed::default();
        for second in 0..20u64 {
            // Ten a second at first, two a second in the end.
            let count = if second < 10 { second * 10 } else { 90 + (second - 9) * 2 };
            let rate = speed.at(start + Duration::from_secs(second), count);
            assert!(second < 16 || (rate - 2.0).abs() < 1e-9, "{second}: {rate}");
        }
        let line = message(110, Some(120), 2.0, None, "frames");
        assert_eq!(line, "110 of 120 frames (92 %), 2.0 a second, 5 seconds left");
        let line = message(7, None, 0.5, Some(Duration::from_millis(300)), "rows");
        assert_eq!(line, "7 rows, 0.5 a second, lag 0.3 s");
    }
}
