//! A network of one's own over sweeps: kNN graph, PointNet++-like network from PyTorch Geometric, one row a node into a table.

use std::path::Path;
use std::sync::Arc;

use thalweg::graph::Inferred;
use thalweg::layers::Matrix;
use thalweg::networks::{GraphNetwork, Network};
use thalweg::{BoxError, Frame, Nodes, Pipeline, Source};
use thalweg_connectors::arrow::array::{ArrayRef, Float32Array, Int64Array, UInt8Array, UInt64Array};
use thalweg_connectors::out::records::ColumnsSink;

/// Labels every voxel of 0.4 m: 1 = ground, 0 = something else.
pub fn run(frames: impl Source<Item = Frame> + 'static, model: &Path, output: &Path) -> Result<(), BoxError> {
    let network: Arc<dyn GraphNetwork> = Arc::new(Network::open(model)?);
    let pipeline = Pipeline::new();
    let graphs = pipeline.source(frames).voxel_downsample(0.4).knn_graph(16).features(features);
    graphs.infer(&network).sink(ColumnsSink::create(output, rows)?);
    pipeline.workers(2).run()?;
    Ok(())
}

/// What the network was trained on: height, intensity, and where the node is (m).
fn features(nodes: &Nodes) -> Matrix {
    let intensity = |i: usize| nodes.intensity.as_ref().map_or(0.0, |column| column[i]);
    (0..nodes.len()).map(|i| [nodes.z[i], intensity(i), nodes.x[i], nodes.y[i], nodes.z[i]]).collect()
}

/// `frame`, `point` (index in the frame), `class`, `margin` (of the two outputs).
fn rows(items: &[Inferred]) -> Vec<(&'static str, ArrayRef)> {
    let nodes = || items.iter().flat_map(|item| (0..item.graph.nodes()).map(move |i| (item, i)));
    let margin = |(item, i): (&Inferred, usize)| item.y.row(i)[1] - item.y.row(i)[0];
    vec![
        ("frame", Arc::new(Int64Array::from_iter_values(nodes().map(|(item, _)| item.graph.frame)))),
        ("point", Arc::new(UInt64Array::from_iter_values(nodes().map(|(item, i)| item.graph.id[i])))),
        ("class", Arc::new(UInt8Array::from_iter_values(nodes().map(|node| u8::from(margin(node) > 0.0))))),
        ("margin", Arc::new(Float32Array::from_iter_values(nodes().map(margin)))),
    ]
}
