//! Layers beside PyTorch Geometric's: a full pass over 100,000 nodes of a kNN-like graph, k = 16, 64 to 64 channels, one thread, runs
//! interleaved, medians of CPU time.
//!
//! `benches/run layers` makes the peers' process. It answers a layer's name with milliseconds.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value, json};
use thalweg::layers::{Matrix, Neighbors, Rows, Structure, Weights, build, dense_path};

const NODES: usize = 100_000;
const K: usize = 16;
const CHANNELS: usize = 64;
const ROUNDS: usize = 7;

/// (case, layer, arguments, goal of ANCHORS in ms on its machine, where there is one).
const CASES: [(&str, &str, &str, Option<f64>); 8] = [
    ("GCN", "GCNConv", r#"{"in_channels": 64, "out_channels": 64}"#, None),
    ("SAGE mean", "SAGEConv", r#"{"in_channels": 64, "out_channels": 64}"#, Some(55.0)),
    ("SAGE max", "SAGEConv", r#"{"in_channels": 64, "out_channels": 64, "aggr": "max"}"#, Some(50.0)),
    ("GraphConv", "GraphConv", r#"{"in_channels": 64, "out_channels": 64}"#, None),
    (
        "EdgeConv, one linear",
        "EdgeConv",
        r#"{"nn": [{"layer": "Linear", "args": {"in_channels": 128, "out_channels": 64}, "weights": "nn"}]}"#,
        Some(75.0),
    ),
    (
        "EdgeConv, two linears",
        "EdgeConv",
        r#"{"nn": [{"layer": "Linear", "args": {"in_channels": 128, "out_channels": 64}, "weights": "nn.0"}, {"layer": "ReLU"},
            {"layer": "Linear", "args": {"in_channels": 64, "out_channels": 64}, "weights": "nn.2"}]}"#,
        Some(170.0),
    ),
    ("GAT", "GATConv", r#"{"in_channels": 64, "out_channels": 64}"#, Some(150.0)),
    ("GATv2", "GATv2Conv", r#"{"in_channels": 64, "out_channels": 64}"#, None),
];

/// CPU time of this thread (ms).
fn cpu_ms() -> f64 {
    std::thread::yield_now();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e6
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// PyTorch Geometric in a process of its own, with or without what makes it faster here.
struct Peer {
    name: &'static str,
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Peer {
    fn start(name: &'static str, tuned: &str) -> Option<Peer> {
        let python = std::env::var_os("THALWEG_BENCH_PYTHON").unwrap_or("python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/layers/peer.py");
        let mut command = Command::new(python);
        command.arg(script).arg(tuned).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        if tuned == "tuned" {
            // Large blocks stay with the allocator instead of being mapped anew for each result.
            command.env("MALLOC_MMAP_THRESHOLD_", "4294967296").env("MALLOC_TRIM_THRESHOLD_", "4294967296");
        }
        let mut child = command.spawn().ok()?;
        let (ask, answer) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut peer = Peer { name, child, ask, answer };
        (peer.line()? == "ready").then_some(peer)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.answer.read_line(&mut line).ok()?;
        Some(line.trim().to_string())
    }

    fn run(&mut self, case: &str) -> Option<f64> {
        writeln!(self.ask, "{case}").ok()?;
        self.line()?.parse().ok()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The process ends with its input; a failure to stop it has nobody to go to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Weights under the names that all the layers use.
fn weights(rng: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let names: [(&str, &[usize]); 15] = [
        ("a.lin.weight", &[64, 64]),
        ("a.bias", &[64]),
        ("a.lin_l.weight", &[64, 64]),
        ("a.lin_l.bias", &[64]),
        ("a.lin_r.weight", &[64, 64]),
        ("a.lin_r.bias", &[64]),
        ("a.att_src", &[1, 1, 64]),
        ("a.att_dst", &[1, 1, 64]),
        ("a.att", &[1, 1, 64]),
        ("a.nn.weight", &[64, 128]),
        ("a.nn.bias", &[64]),
        ("a.nn.0.weight", &[64, 128]),
        ("a.nn.0.bias", &[64]),
        ("a.nn.2.weight", &[64, 64]),
        ("a.nn.2.bias", &[64]),
    ];
    let more: [(&str, &[usize]); 3] =
        [("a.lin_rel.weight", &[64, 64]), ("a.lin_rel.bias", &[64]), ("a.lin_root.weight", &[64, 64])];
    let tensors: HashMap<&str, (Vec<usize>, Vec<u8>)> = names
        .into_iter()
        .chain(more)
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let value = |_| ((rng.next_u64() % 2001) as f32 - 1000.0) / 5000.0;
            (name, (shape.to_vec(), (0..count).map(value).flat_map(f32::to_le_bytes).collect()))
        })
        .collect();
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor of that size"))
    });
    safetensors::serialize(views, None).expect("tensors of f32")
}

fn main() -> std::io::Result<()> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    // Sources near in number, as in a cloud that is sorted by place. The peers make the same graph.
    let near = |rng: &mut Xoshiro256PlusPlus, i: usize| (i + NODES + (rng.next_u64() % 2001) as usize - 1000) % NODES;
    let (mut src, mut dst) = (Vec::new(), Vec::new());
    for i in 0..NODES * K {
        src.push(near(&mut rng, i / K) as u32);
        dst.push((i / K) as u32);
    }
    let edges = Neighbors::from_edges(NODES, &src, &dst).expect("ends are nodes");
    let graph = Structure { edges: &edges, graph: None, graphs: 1 };
    let x: Matrix = (0..NODES).map(|_| [0; CHANNELS].map(|_| (rng.next_u64() % 2001) as f32 / 1000.0 - 1.0)).collect();
    let bytes = weights(&mut rng);
    let weights = Weights::read("bench", &bytes).expect("a file of tensors");
    let mut peers: Vec<Peer> = [("PyTorch Geometric", "stock"), ("PyTorch Geometric, tuned", "tuned")]
        .into_iter()
        .filter_map(|(name, tuned)| {
            let peer = Peer::start(name, tuned);
            if peer.is_none() {
                eprintln!("{name} is not installed: left out");
            }
            peer
        })
        .collect();
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let machine = format!("{}, 1 thread, {}", dense_path(), model.trim_start_matches([' ', '\t', ':']));
    let mut entries = Vec::new();
    for (case, layer, args, goal) in CASES {
        let args: Map<String, Value> = serde_json::from_str(args)?;
        let layer = build(&weights, "a", layer, &args).map_err(|error| std::io::Error::other(error.to_string()))?;
        let mut ours = Vec::new();
        let mut theirs = vec![Vec::new(); peers.len()];
        for _ in 0..ROUNDS {
            let start = cpu_ms();
            std::hint::black_box(layer.forward(&[&x], &graph, Rows::All).expect("shapes fit"));
            ours.push(cpu_ms() - start);
            for (peer, times) in peers.iter_mut().zip(&mut theirs) {
                times.extend(peer.run(case));
            }
        }
        let ours = median(&mut ours);
        let figures: Map<String, Value> = peers
            .iter()
            .zip(&mut theirs)
            .filter(|(_, times)| !times.is_empty())
            .map(|(peer, times)| (peer.name.to_string(), json!(median(times))))
            .collect();
        eprintln!("{case}: ours {ours:.1} ms; {}", json!(figures));
        let case = format!("{case}, {NODES} nodes, k = {K}, {CHANNELS} to {CHANNELS} ({machine})");
        entries.push(json!({"case": case, "unit": "ms", "ours": ours, "peers": figures, "goal": goal}));
    }
    std::fs::create_dir_all("target/bench")?;
    std::fs::write("target/bench/layers.json", serde_json::to_string_pretty(&entries)? + "\n")
}
