//! `/metrics`: the figures of a service in the text format of Prometheus, made anew for each request.

use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use super::figures::{Overview, Status};

/// The content type of the text.
pub const TEXT: &str = prometheus::TEXT_FORMAT;

/// The text.
///
/// # Errors
/// Names that Prometheus does not take: a defect of the program.
pub fn text(overview: &Overview) -> prometheus::Result<String> {
    let registry = Registry::new();
    let counter = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
        registered(&registry, IntCounterVec::new(Opts::new(name, help), &[&["pipeline"][..], labels].concat())?)
    };
    let gauge = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<GaugeVec> {
        registered(&registry, GaugeVec::new(Opts::new(name, help), &[&["pipeline"][..], labels].concat())?)
    };
    let whole = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntGaugeVec> {
        registered(&registry, IntGaugeVec::new(Opts::new(name, help), &[&["pipeline"][..], labels].concat())?)
    };
    let status = whole("thalweg_pipeline_status", "1 for how the pipeline stands, else 0", &["status"])?;
    let restarts = counter("thalweg_restarts_total", "Starts after a failure", &[])?;
    let read = counter("thalweg_records_read_total", "Frames or rows read since the last start", &[])?;
    let rows = counter("thalweg_rows_written_total", "Rows written since the last start", &[])?;
    let epochs = counter("thalweg_epochs_closed_total", "Epochs whose output is written, since the last start", &[])?;
    let dropped = counter("thalweg_dropped_total", "Points or rows left out since the last start", &["reason"])?;
    let depth = whole("thalweg_queue_depth", "Epochs read and not yet handed to the output", &[])?;
    let lag = gauge("thalweg_frontier_lag_seconds", "How long the oldest of the queue has waited", &[])?;
    let stages = gauge("thalweg_stage_seconds", "Time of a stage for one epoch", &["stage", "quantile"])?;
    let age = gauge("thalweg_checkpoint_age_seconds", "Since the newest checkpoint", &[])?;
    let bytes = whole("thalweg_checkpoint_bytes", "Size of the newest checkpoint", &[])?;
    let memory =
        whole("thalweg_leader_resident_bytes", "Memory of the process that leads, of those with their own", &[])?;
    for figures in &overview.pipelines {
        let name = figures.name.as_str();
        for (each, called) in Status::ALL {
            status.with_label_values(&[name, called]).set(i64::from(each == figures.status));
        }
        restarts.with_label_values(&[name]).inc_by(figures.restarts);
        read.with_label_values(&[name]).inc_by(figures.done.read);
        rows.with_label_values(&[name]).inc_by(figures.done.rows);
        epochs.with_label_values(&[name]).inc_by(figures.done.epochs);
        for (reason, count) in &figures.done.dropped {
            dropped.with_label_values(&[name, reason.as_str()]).inc_by(*count);
        }
        depth.with_label_values(&[name]).set(signed(figures.done.in_flight));
        lag.with_label_values(&[name]).set(figures.done.lag_seconds);
        for (stage, latency) in &figures.done.latency {
            stages.with_label_values(&[name, stage.as_str(), "0.5"]).set(latency.p50 / 1000.0);
            stages.with_label_values(&[name, stage.as_str(), "0.99"]).set(latency.p99 / 1000.0);
        }
        if let Some(resident) = figures.done.leader_bytes {
            memory.with_label_values(&[name]).set(signed(resident));
        }
        if let Some(checkpoint) = figures.checkpoint {
            age.with_label_values(&[name]).set(checkpoint.age_seconds);
            bytes.with_label_values(&[name]).set(signed(checkpoint.bytes));
        }
    }
    let uptime = Gauge::new("thalweg_uptime_seconds", "Since the service began")?;
    registered(&registry, uptime)?.set(overview.uptime_seconds);
    if let Some(resident) = overview.resident_bytes {
        let memory = Gauge::new("process_resident_memory_bytes", "Resident memory of the process")?;
        registered(&registry, memory)?.set(resident as f64);
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}

/// The same collector, known to the registry.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// A count as a gauge holds it.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
