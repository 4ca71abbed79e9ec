//! The hot kernels, small and always the same, for counting their instructions: `benches/run guard`. Without arguments each runs once.
//!
//! Only what goes on below [`measured`] is counted.

use std::collections::HashMap;
use std::hint::black_box;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value};
use thalweg::contacts::{Bp, Contact, Parameters, Prior, RiskModel, RiskOptions, Snapshot, Test};
use thalweg::knn::{KnnIndex, Points3, Simd, VoxelKnn};
use thalweg::layers::{Matrix, Neighbors, Rows, Structure, Weights, build, dense_path};

const KERNELS: [(&str, fn()); 6] = [
    ("knn-bulk", knn_bulk),
    ("knn-map", knn_map),
    ("sage-mean", || layer("SAGEConv", r#"{"in_channels": 64, "out_channels": 64}"#)),
    ("gcn", || layer("GCNConv", r#"{"in_channels": 64, "out_channels": 64}"#)),
    ("edge-conv", || {
        layer(
            "EdgeConv",
            r#"{"nn": [{"layer": "Linear", "args": {"in_channels": 128, "out_channels": 64}, "weights": "nn.0"}, {"layer": "ReLU"},
                {"layer": "Linear", "args": {"in_channels": 64, "out_channels": 64}, "weights": "nn.2"}]}"#,
        );
    }),
    ("belief", belief),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [flag] if flag == "--paths" => println!("{} {}", Simd::best().name(), dense_path()),
        [flag, name] if flag == "--kernel" => {
            let kernel = KERNELS.iter().find(|kernel| kernel.0 == name).expect("a kernel of that name");
            kernel.1();
        }
        // The arguments of a test run are none of this program's.
        _ => KERNELS.iter().for_each(|kernel| kernel.1()),
    }
}

/// What is counted.
#[inline(never)]
fn measured(work: impl FnOnce()) {
    work();
    // Not a tail call: this function must be on the stack until the work is done.
    black_box(());
}

fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(1)
}

fn below(rng: &mut Xoshiro256PlusPlus, n: u64) -> u64 {
    rng.next_u64() % n
}

/// 16 nearest of 8,000 points on a wavy floor, index and lists.
fn knn_bulk() {
    let mut rng = rng();
    let mut axis =
        |size: u64| -> Vec<f32> { (0..8_000).map(|_| below(&mut rng, size * 1000) as f32 / 1000.0).collect() };
    let (x, y) = (axis(60), axis(60));
    let z: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x * y / 500.0).collect();
    let points = Points3::new(&x, &y, &z).expect("finite points");
    measured(|| {
        black_box(KnnIndex::build(points).graph(16).expect("a small k"));
    });
}

/// Four epochs of a map of 8,000 voxels, of which 400 go and 400 come.
fn knn_map() {
    let mut rng = rng();
    let mut voxel = || {
        let [x, y] = [0; 2].map(|_| below(&mut rng, 160));
        let z = x * y / 2_000;
        [x, y, z].iter().fold(0, |id, v| id << 21 | (v + (1 << 20)))
    };
    let mut live = std::collections::BTreeSet::new();
    while live.len() < 8_000 {
        live.insert(voxel());
    }
    let mut map = VoxelKnn::new(16).expect("a small k");
    map.apply(&[], &live.iter().copied().collect::<Vec<_>>()).expect("new voxels");
    let epochs: Vec<(Vec<u64>, Vec<u64>)> = (0..4)
        .map(|epoch| {
            let gone: Vec<u64> = live.iter().copied().skip(epoch).step_by(20).collect();
            let mut come = std::collections::BTreeSet::new();
            while come.len() < 400 {
                let id = voxel();
                if !live.contains(&id) {
                    come.insert(id);
                }
            }
            live.retain(|id| gone.binary_search(id).is_err());
            live.extend(&come);
            (gone, come.into_iter().collect())
        })
        .collect();
    measured(|| {
        for (gone, come) in &epochs {
            black_box(map.apply(gone, come).expect("voxels that are there, and new ones"));
        }
    });
}

/// A full pass over 1,000 nodes of 16 neighbours, 64 to 64 channels.
fn layer(name: &str, arguments: &str) {
    const NODES: usize = 1_000;
    const K: usize = 16;
    let mut rng = rng();
    let (mut src, mut dst) = (Vec::new(), Vec::new());
    for i in 0..NODES * K {
        src.push(((i / K + NODES - 100 + below(&mut rng, 201) as usize) % NODES) as u32);
        dst.push((i / K) as u32);
    }
    let edges = Neighbors::from_edges(NODES, &src, &dst).expect("ends are nodes");
    let x: Matrix = (0..NODES).map(|_| [0; 64].map(|_| below(&mut rng, 2_001) as f32 / 1000.0 - 1.0)).collect();
    let bytes = weights(&mut rng);
    let weights = Weights::read("guard", &bytes).expect("a file of tensors");
    let arguments: Map<String, Value> = serde_json::from_str(arguments).expect("JSON");
    let layer = build(&weights, "a", name, &arguments).expect("a layer");
    let graph = Structure { edges: &edges, graph: None, graphs: 1 };
    measured(|| {
        black_box(layer.forward(&[&x], &graph, Rows::All).expect("shapes fit"));
    });
}

/// Weights under the names that the layers use.
fn weights(rng: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let names: [(&str, &[usize]); 9] = [
        ("a.lin.weight", &[64, 64]),
        ("a.bias", &[64]),
        ("a.lin_l.weight", &[64, 64]),
        ("a.lin_l.bias", &[64]),
        ("a.lin_r.weight", &[64, 64]),
        ("a.nn.0.weight", &[64, 128]),
        ("a.nn.0.bias", &[64]),
        ("a.nn.2.weight", &[64, 64]),
        ("a.nn.2.bias", &[64]),
    ];
    let mut value = || (below(rng, 2_001) as f32 - 1000.0) / 5000.0;
    let tensors: HashMap<&str, (&[usize], Vec<u8>)> = names
        .into_iter()
        .map(|(name, shape)| {
            let bytes = (0..shape.iter().product()).flat_map(|_| value().to_le_bytes()).collect();
            (name, (shape, bytes))
        })
        .collect();
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("a tensor of that size"))
    });
    safetensors::serialize(views, None).expect("tensors of f32")
}

/// Ten rounds over 200 people, 3,000 contacts in ten days, 40 tests.
fn belief() {
    let (mut rng, second) = (rng(), 1_000_000_000);
    let stamp = |rng: &mut Xoshiro256PlusPlus| below(rng, 864_000) as i64 * second;
    let mut contacts: Vec<Contact> = (0..3_000)
        .map(|_| {
            let a = below(&mut rng, 199) as u32;
            let b = a + 1 + below(&mut rng, u64::from(199 - a)) as u32;
            Contact { t: stamp(&mut rng), a, b, duration: 600 * second }
        })
        .collect();
    contacts.sort_unstable();
    contacts.dedup_by_key(|contact| (contact.t, contact.a, contact.b));
    let mut tests: Vec<Test> =
        (0..40).map(|i| Test { t: stamp(&mut rng), person: 5 * i, positive: i % 4 == 0 }).collect();
    tests.sort_unstable();
    let snapshot = Snapshot { as_of: 864_000 * second, people: 200, contacts, tests };
    let parameters = Parameters {
        rate: 2e-5,
        latency: 5.8e-6,
        recovery: 2.3e-6,
        false_negative: 0.1,
        false_positive: 0.01,
        ascertainment: 0.0,
        prior: Prior::Seeds(1.0),
    };
    let mut bp = Bp::new(parameters).expect("parameters in range").until(1e-12, 10);
    let options = RiskOptions { threads: 1, ..RiskOptions::default() };
    measured(|| {
        black_box(bp.risk(&snapshot, &options).expect("a snapshot in order"));
    });
}
