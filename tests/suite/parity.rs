//! Parity with PyTorch Geometric: the fixtures that training/fixtures.py wrote, to 1e-5 of each value's scale.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use thalweg::knn::{Points3, knn_graph};
use thalweg::layers::{self, EdgeConv, Matrix, Neighbors, PointNetConv, Positions, Rows, Structure, Weights};
use thalweg::networks::GraphNetwork;
use thalweg::points::models::graph_unet::{Config, GraphUNet, Pyramid};
use thalweg::points::voxel::voxels;
use thalweg::report::Clock;
use thalweg::{Frame, KnnGraph, Nodes};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    file.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn ints(file: &SafeTensors, name: &str) -> Vec<u32> {
    file.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance * e.abs().max(1.0), "{what}[{i}]: found {f}, expected {e}");
    }
}

/// The tensors of a fixture's network, under names that begin with `prefix`.
fn network_of<'a>(file: &'a SafeTensors, prefix: &str) -> HashMap<String, TensorView<'a>> {
    let own = |(key, view): (&str, TensorView<'a>)| {
        let key = format!("{prefix}{}", key.strip_prefix("weights.")?);
        Some((key, TensorView::new(Dtype::F32, view.shape().to_vec(), view.data()).unwrap()))
    };
    file.iter().filter_map(own).collect()
}

/// The graph of a fixture's cloud.
fn graph_of(file: &SafeTensors, config: &Config, with_intensity: bool) -> KnnGraph {
    let cloud = floats(file, "points");
    let column = |axis: usize| cloud.iter().skip(axis).step_by(3).copied().collect::<Vec<_>>();
    let (x, y, z) = (column(0), column(1), column(2));
    let found = voxels(&x, &y, &z, config.s0);
    let pick = |v: &[f32]| found.representative.iter().map(|&i| v[i as usize]).collect::<Vec<_>>();
    let (nx, ny, nz) = (pick(&x), pick(&y), pick(&z));
    let lists = knn_graph(Points3::new(&nx, &ny, &nz).unwrap(), config.k).unwrap();
    let intensity = with_intensity.then(|| pick(&floats(file, "intensity")));
    let nodes = Nodes {
        frame: Arc::new(Frame { x, y, z, ..Frame::default() }),
        point: found.representative,
        x: nx,
        y: ny,
        z: nz,
        of_point: found.of_point,
        intensity,
        returns: None,
        cell: None,
    };
    KnnGraph { nodes: Arc::new(nodes), k: lists.k, neighbor: lists.neighbor, d2: lists.d2 }
}

#[test]
fn frames_without_intensity_are_answered_by_weights_of_their_own() {
    let (main, second) = (fixture("graph_unet_5.safetensors"), fixture("graph_unet_600.safetensors"));
    let (main, file) = (SafeTensors::deserialize(&main).unwrap(), SafeTensors::deserialize(&second).unwrap());
    let text = SafeTensors::read_metadata(&second).unwrap().1.metadata().clone().unwrap()["thalweg"].clone();
    let load = |tensors: HashMap<String, TensorView>, text: &str| {
        let metadata = HashMap::from([("thalweg".to_string(), text.to_string())]);
        let bytes = safetensors::serialize(&tensors, Some(metadata)).unwrap();
        let weights = Weights::read("two sets", &bytes).unwrap();
        let config = Config::read(&weights, Some(text)).unwrap();
        GraphUNet::load(&weights, config)
    };
    let both_text = text.replacen('{', r#"{"without_intensity": true, "#, 1);
    let mut both = network_of(&main, "");
    assert!(load(both.clone(), &both_text).unwrap_err().to_string().contains("stem.weight"), "a set is missing");
    both.extend(network_of(&file, "without_intensity."));
    let both = load(both, &both_text).unwrap();
    let alone = [&main, &file].map(|file| load(network_of(file, ""), &text).unwrap());
    for (with_intensity, alone) in [(true, &alone[0]), (false, &alone[1])] {
        let graph = graph_of(&file, both.config(), with_intensity);
        let pyramid = Pyramid::build(&graph, both.config(), 1, &mut Clock::default()).unwrap();
        assert_eq!(both.forward(&pyramid, 2).unwrap(), alone.forward(&pyramid, 1).unwrap(), "{with_intensity}");
    }
}

#[test]
fn graph_unet_gives_the_logits_of_pytorch_geometric() {
    for (name, points) in [("graph_unet_600", 600), ("graph_unet_5", 5), ("graph_unet_1", 1)] {
        let bytes = fixture(&format!("{name}.safetensors"));
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let metadata = SafeTensors::read_metadata(&bytes).unwrap().1.metadata().clone().unwrap();
        let own = network_of(&file, "");
        let model = safetensors::serialize(&own, Some(metadata.clone())).unwrap();
        let weights = Weights::read(name, &model).unwrap();
        let config = Config::read(&weights, metadata.get("thalweg").map(String::as_str)).unwrap();

        let graph = graph_of(&file, &config, true);
        assert_eq!(graph.nodes.frame.x.len(), points);
        assert_eq!(graph.nodes.of_point, ints(&file, "node_of"), "{name}: nodes of the points");
        let pyramid = Pyramid::build(&graph, &config, 1, &mut Clock::default()).unwrap();
        for (l, level) in pyramid.levels.iter().enumerate() {
            assert_eq!(level.neighbor, ints(&file, &format!("level.{l}.neighbours")), "{name}: lists of level {l}");
            assert_eq!(level.parent, ints(&file, &format!("level.{l}.parent")), "{name}: parents of level {l}");
            let expected = floats(&file, &format!("level.{l}.features"));
            close(&format!("{name}: features of level {l}"), level.features.data(), &expected, 1e-6);
        }
        let network = GraphUNet::load(&weights, config).unwrap();
        let expected = floats(&file, "logits");
        let logits = network.forward(&pyramid, 1).unwrap();
        close(&format!("{name}: logits"), logits.data(), &expected, 1e-5);
        for threads in [2, 3, 8] {
            let shared = Pyramid::build(&graph, network.config(), threads, &mut Clock::default()).unwrap();
            assert_eq!(network.forward(&shared, threads).unwrap(), logits, "{name}: {threads} threads");
        }

        // As a network like any other, from columns and lists in any order: the same bits.
        let nodes = &graph.nodes;
        let intensity = nodes.intensity.as_ref().unwrap();
        let rows: Vec<f32> =
            (0..nodes.len()).flat_map(|i| [nodes.x[i], nodes.y[i], nodes.z[i], intensity[i]]).collect();
        let any: &dyn GraphNetwork = &network;
        assert_eq!(any.inputs().columns.as_deref().unwrap(), ["x", "y", "z", "intensity"]);
        let x = Matrix::from_rows(nodes.len(), 4, rows).unwrap();
        let graph = graph.to_graph(x).unwrap();
        assert_eq!(any.forward(&graph.x, None, &graph.structure()).unwrap(), logits, "{name}: as a GraphNetwork");
    }
}

#[test]
fn layers_give_the_rows_of_pytorch_geometric() {
    let bytes = fixture("layers.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let weights = Weights::read("layers", &bytes).unwrap();
    let (n, inputs, outputs) = (60, 8, 12);
    let x = Matrix::from_rows(n, inputs, floats(&file, "x")).unwrap();
    let edges = ints(&file, "edge_index");
    let (src, dst) = edges.split_at(edges.len() / 2);
    let graph = Neighbors::from_edges(n, src, dst).unwrap();

    let whole = Structure { edges: &graph, graph: None, graphs: 1 };
    for (name, aggr) in [("sage_mean", "mean"), ("sage_max", "max")] {
        let args = serde_json::json!({"in_channels": inputs, "out_channels": outputs, "aggr": aggr});
        let layer = layers::build(&weights, name, "SAGEConv", args.as_object().unwrap()).unwrap();
        let found = layer.forward(&[&x], &whole, Rows::All).unwrap();
        close(name, found[0].data(), &floats(&file, &format!("{name}.output")), 1e-5);
    }
    let layer = EdgeConv::load(&weights, "edge_conv", inputs, outputs).unwrap();
    close("edge_conv", layer.forward(&x, &graph).unwrap().data(), &floats(&file, "edge_conv.output"), 1e-5);

    let position = floats(&file, "position");
    let column = |axis: usize| position.iter().skip(axis).step_by(3).copied().collect::<Vec<_>>();
    let (px, py, pz) = (column(0), column(1), column(2));
    let layer = PointNetConv::load(&weights, "point_net", inputs, outputs).unwrap();
    let found = layer.forward(&x, Positions { x: &px, y: &py, z: &pz }, 1.0, |i| graph.of(i)).unwrap();
    close("point_net", found.data(), &floats(&file, "point_net.output"), 1e-5);
}
