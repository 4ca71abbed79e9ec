//! Networks from files: random ones against PyTorch Geometric (`training/networks.py`), and files that are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use thalweg::asof::{AsOf, Names, RowBatch, Stop};
use thalweg::graph::{EdgeRow, GraphRow, InferenceOptions, NodeRow, Place};
use thalweg::layers::{Matrix, Neighbors, Of, Structure};
use thalweg::networks::{GraphNetwork, Network};
use thalweg::sink::Collect;
use thalweg::{BoxError, Error, Next, Pipeline, Source};

const NETWORKS: usize = 22;

fn file(name: &str) -> Vec<u8> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks");
    std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap()
}

/// A graph with features, and PyTorch Geometric's answer.
struct Case {
    x: Matrix,
    edges: Neighbors,
    edge_attr: Option<Matrix>,
    batch: Option<Vec<u32>>,
    y: Matrix,
}

impl Case {
    /// The graph of a fixture, its edges in the order of the file or the other way round.
    fn read(number: usize, backwards: bool) -> Self {
        let bytes = file(&format!("{number:02}.answer"));
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |name: &str| {
            let view = tensors.tensor(name).ok()?;
            let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            Matrix::from_rows(view.shape()[0], view.shape()[1], data)
        };
        let whole = |name: &str| -> Option<Vec<u32>> {
            let view = tensors.tensor(name).ok()?;
            Some(view.data().chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect())
        };
        let (x, ends) = (floats("x").unwrap(), whole("edge_index").unwrap());
        let mut place: Vec<usize> = (0..ends.len() / 2).collect();
        if backwards {
            place.reverse();
        }
        let (src, dst) = ends.split_at(ends.len() / 2);
        let of = |ends: &[u32]| place.iter().map(|&e| ends[e]).collect::<Vec<u32>>();
        let (edges, order) = Neighbors::from_edges_ordered(x.rows(), &of(src), &of(dst)).unwrap();
        let edge_attr = floats("edge_attr").map(|attr| {
            let data = order.iter().flat_map(|&e| attr.row(place[e as usize]).to_vec()).collect();
            Matrix::from_rows(attr.rows(), attr.cols(), data).unwrap()
        });
        Case { x, edges, edge_attr, batch: whole("batch"), y: floats("y").unwrap() }
    }

    fn run(&self, network: &Network) -> Result<Matrix, Error> {
        let graphs = if self.batch.is_some() { 2 } else { 1 };
        let graph = Structure { edges: &self.edges, graph: self.batch.as_deref(), graphs };
        network.forward(&self.x, self.edge_attr.as_ref(), &graph)
    }
}

#[test]
fn a_network_gives_what_pytorch_geometric_gives() {
    for number in 0..NETWORKS {
        let network = Network::read("mine", &file(&format!("{number:02}"))).unwrap();
        let case = Case::read(number, false);
        let y = case.run(&network).unwrap();
        assert_eq!(y.shape(), case.y.shape(), "network {number}");
        assert_eq!(network.output().channels, y.cols());
        assert_eq!(network.output().of == Of::Graphs, case.batch.is_some());
        for i in 0..y.rows() {
            let largest = case.y.row(i).iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
            for (ours, theirs) in y.row(i).iter().zip(case.y.row(i)) {
                assert!((ours - theirs).abs() <= 1e-5 * largest, "network {number}, row {i}: {ours} for {theirs}");
            }
        }
    }
}

#[test]
fn the_order_of_edges_does_not_change_a_bit() {
    for number in 0..NETWORKS {
        let network = Network::read("mine", &file(&format!("{number:02}"))).unwrap();
        let [y, other] = [false, true].map(|backwards| Case::read(number, backwards).run(&network).unwrap());
        assert!(y.data().iter().zip(other.data()).all(|(a, b)| a.to_bits() == b.to_bits()), "network {number}");
    }
}

#[test]
fn a_network_tells_what_it_takes() {
    let network = Network::read("mine", &file("06")).unwrap();
    let inputs = network.inputs();
    assert_eq!((inputs.x, inputs.edge_attr), (5, Some(3)));
    assert_eq!(inputs.columns.as_ref().unwrap().join(" "), "f0 f1 f2 f3 f4");
    assert_eq!(inputs.edge_columns.as_ref().unwrap().join(" "), "e0 e1 e2");
    assert_eq!((network.licence(), network.trained_on()), (Some("CC0-1.0"), Some("random weights")));
    let case = Case::read(6, false);
    let graph = Structure { edges: &case.edges, graph: None, graphs: 1 };
    let error = network.forward(&Matrix::zeros(40, 4), case.edge_attr.as_ref(), &graph).unwrap_err();
    assert_eq!(error.to_string(), "network mine: x: found [40, 4], expected [40, 5]");
    assert!(
        network
            .forward(&case.x, None, &graph)
            .unwrap_err()
            .to_string()
            .starts_with("network mine: edge_attr: found None")
    );
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// The error of reading fixture 6 with changes made to its description and its tensors.
fn changed(change: impl FnOnce(&mut Value, &mut Tensors)) -> String {
    let bytes = file("06");
    let header = SafeTensors::read_metadata(&bytes).unwrap().1;
    let mut description = serde_json::from_str(&header.metadata().as_ref().unwrap()["thalweg"]).unwrap();
    let mut tensors: Tensors = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| (name.into(), (view.shape().to_vec(), view.data().to_vec())))
        .collect();
    change(&mut description, &mut tensors);
    let views =
        tensors.iter().map(|(name, (shape, data))| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    let metadata = [("thalweg".to_string(), description.to_string())].into();
    match Network::read("mine", &safetensors::serialize(views, Some(metadata)).unwrap()) {
        Ok(_) => "no error".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_file_that_is_not_whole_is_refused_by_name() {
    assert_eq!(changed(|_, _| ()), "no error");
    let nan =
        changed(|_, tensors| tensors.get_mut("head.bias").unwrap().1[4..8].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert_eq!(nan, "model mine: head.bias: found NaN, expected finite weights");
    let missing = changed(|_, tensors| assert!(tensors.remove("head.weight").is_some()));
    assert!(missing.starts_with("model mine: head.weight: found "), "{missing}");
    let extra = changed(|_, tensors| assert!(tensors.insert("stray".into(), (vec![1], vec![0; 4])).is_none()));
    assert_eq!(extra, "model mine: stray: found a tensor that no step takes, expected the tensors of the steps alone");
    let misshapen = changed(|_, tensors| *tensors.get_mut("head.bias").unwrap() = (vec![5], vec![0; 20]));
    assert_eq!(misshapen, "model mine: head.bias: found [5], expected [4]");
}

#[test]
fn a_description_that_does_not_fit_is_refused_by_name() {
    for (path, value, expected) in [
        ("/steps/0/layer", json!("ChebConv"), "model mine: convs.0: layer: found ChebConv, expected"),
        ("/steps/0/layer", json!("GraphNorm"), "model mine: convs.0: layer: found GraphNorm, expected another layer"),
        (
            "/steps/0/inputs",
            json!(["h"]),
            "model mine: step convs.0 (GATv2Conv): found h, expected x, edge_attr or an output",
        ),
        ("/steps/0/inputs", json!(["edge_attr", "x"]), "model mine: step convs.0 (GATv2Conv): found [edges, 3]"),
        ("/steps/1/name", json!("convs.0"), "model mine: step convs.0 ("),
        ("/steps/1/name", json!("x"), "model mine: step x ("),
        ("/steps/0/args/heads", json!(1e9), "model mine: convs.0: args.heads: found 1000000000.0, expected"),
        ("/steps/0/args/flip", json!(1), "model mine: convs.0: args.flip: found an unknown argument, expected"),
        ("/output", json!("none"), "model mine: output: found none, expected"),
        ("/version", json!(2), "model mine: version: found 2, expected 1"),
        ("/architecture", json!("GraphUNet"), "model mine: architecture: found \"GraphUNet\", expected \"layers\""),
        ("/inputs/x", json!(0), "model mine: inputs.x: found 0, expected channels from 1"),
        ("/inputs/x", json!(6), "model mine: columns.x: found 5 names, expected 6 names"),
        ("/columns/x/1", json!("f0"), "model mine: columns.x: found f0 twice, expected names that differ"),
        ("/more", json!(1), "model mine: metadata thalweg: found unknown field `more`"),
    ] {
        let error = changed(|description, _| {
            let (parent, key) = path.rsplit_once('/').unwrap();
            match description.pointer_mut(parent).unwrap() {
                Value::Object(map) => drop(map.insert(key.into(), value)),
                list => list[key.parse::<usize>().unwrap()] = value,
            }
        });
        assert!(error.starts_with(expected), "{path}: {error}");
    }
}

#[test]
fn no_file_is_a_panic() {
    let seed = 11;
    println!("seed {seed}");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    for number in 0..NETWORKS {
        let (whole, case) = (file(&format!("{number:02}")), Case::read(number, false));
        for length in (0..whole.len()).step_by(61) {
            assert!(Network::read("cut", &whole[..length]).is_err());
        }
        let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        for i in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..=i % 3 {
                let among = if i % 4 == 0 { whole.len() } else { header };
                bytes[(random.next_u64() % among as u64) as usize] ^= 1 << (random.next_u64() % 8);
            }
            if let Ok(network) = Network::read("flipped", &bytes) {
                let _ = case.run(&network);
            }
        }
    }
}

/// Rows that come to the case's graph in the end: its edges and features, beside others that are taken back or replaced, in random order.
fn edits(case: &Case, rng: &mut Xoshiro256PlusPlus) -> Vec<(GraphRow, i32)> {
    let nodes = case.x.rows() as u32;
    let mut rows = Vec::new();
    let mut edge = |t: u64, src: u32, dst: u32, attributes: &[f32], diff: i32| {
        rows.push((
            GraphRow::Edge(EdgeRow { t: t as i64, src, dst, attributes: attributes.into(), place: Place::default() }),
            diff,
        ));
    };
    let width = case.edge_attr.as_ref().map_or(0, Matrix::cols);
    let mut live = BTreeSet::new();
    for dst in 0..nodes {
        for (&src, e) in case.edges.of(dst as usize).iter().zip(case.edges.edges_of(dst as usize)) {
            live.insert((src, dst));
            let attributes = case.edge_attr.as_ref().map_or(&[][..], |all| all.row(e));
            if rng.next_u64().is_multiple_of(3) {
                // It came before with other attributes, and went.
                edge(rng.next_u64() % 100, src, dst, &vec![9.0; width], 1);
                edge(100 + rng.next_u64() % 100, src, dst, &vec![9.0; width], -1);
            }
            edge(200 + rng.next_u64() % 800, src, dst, attributes, 1);
        }
    }
    for _ in 0..40 {
        let (src, dst) = (rng.next_u64() as u32 % nodes, rng.next_u64() as u32 % nodes);
        if live.insert((src, dst)) {
            edge(rng.next_u64() % 500, src, dst, &vec![1.0; width], 1);
            edge(500 + rng.next_u64() % 500, src, dst, &vec![1.0; width], -1);
        }
    }
    for node in 0..nodes {
        let mut row = |t: u64, features: Vec<f32>| {
            rows.push((
                GraphRow::Node(NodeRow { t: t as i64, node, features: features.into(), place: Place::default() }),
                1,
            ));
        };
        row(rng.next_u64() % 500, vec![0.5; case.x.cols()]);
        row(500 + rng.next_u64() % 500, case.x.row(node as usize).to_vec());
    }
    for i in (1..rows.len()).rev() {
        rows.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
    rows
}

struct Rows(std::vec::IntoIter<RowBatch<GraphRow>>);

impl Source for Rows {
    type Item = RowBatch<GraphRow>;
    fn name(&self) -> String {
        "rows".into()
    }
    fn next(&mut self) -> Result<Next<Self::Item>, BoxError> {
        Ok(self.0.next().map_or(Next::End, Next::Item))
    }
}

#[test]
fn a_stream_of_edits_ends_at_the_answer_of_the_whole_graph() {
    let mut streamed = 0;
    for number in 0..NETWORKS {
        let network: Arc<dyn GraphNetwork> = Arc::new(Network::read("mine", &file(&format!("{number:02}"))).unwrap());
        let case = Case::read(number, false);
        let pairs: usize = (0..case.x.rows()).map(|i| case.edges.of(i).iter().collect::<BTreeSet<_>>().len()).sum();
        if network.output().of != Of::Nodes || pairs < case.edges.edges() {
            continue;
        }
        streamed += 1;
        let mut answers: Vec<Vec<u32>> = Vec::new();
        for (seed, workers) in [(1, 1), (2, 2), (3, 4)] {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed * 100 + number as u64);
            let names = Names::default();
            for node in 0..case.x.rows() {
                names.push(&format!("{node:04}"));
            }
            let mut batches: Vec<RowBatch<GraphRow>> =
                edits(&case, &mut rng).chunks(7).map(|rows| RowBatch { rows: rows.to_vec(), due: false }).collect();
            batches.push(RowBatch { rows: Vec::new(), due: true });
            let options = InferenceOptions {
                as_of: AsOf::At(1000),
                lateness: None,
                window: None,
                changes: false,
                follow: false,
                undirected: false,
                threads: workers,
                stop: Stop::default(),
                names,
            };
            let sink = Collect::default();
            let pipeline = Pipeline::new();
            pipeline.source(Rows(batches.into_iter())).infer_rows(&network, options).sink(sink.clone());
            pipeline.workers(workers).run().unwrap();
            let items = sink.items();
            let [(_, table)] = items.as_slice() else { panic!("one table") };
            assert_eq!(table.rows.len(), case.x.rows());
            for (i, row) in table.rows.iter().enumerate() {
                let largest = case.y.row(i).iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
                for (ours, theirs) in row.y.iter().zip(case.y.row(i)) {
                    assert!((ours - theirs).abs() <= 1e-5 * largest, "network {number}, row {i}: {ours} for {theirs}");
                }
            }
            answers.push(table.rows.iter().flat_map(|row| row.y.iter().map(|v| v.to_bits())).collect());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "network {number}");
    }
    assert!(streamed >= 8, "{streamed} networks were streamed");
}
