//! Radar points, a graph of all that stand within 0.6 m, and a network that reads one row out of each frame: where a person is.

use std::path::Path;
use std::sync::Arc;

use thalweg::graph::Inferred;
use thalweg::layers::Matrix;
use thalweg::networks::{GraphNetwork, Network};
use thalweg::{BoxError, Frame, Next, Nodes, Pipeline, Source};
use thalweg_connectors::arrow::array::{ArrayRef, Float32Array, Int64Array};
use thalweg_connectors::out::records::ColumnsSink;

/// One row a frame: the person's place, and the height of the head (m).
pub fn run(radar: impl Source<Item = Frame> + 'static, model: &Path, output: &Path) -> Result<(), BoxError> {
    let network: Arc<dyn GraphNetwork> = Arc::new(Network::open(model)?);
    let pipeline = Pipeline::new();
    let graphs = pipeline.source(radar).nodes().radius_graph(0.6, features);
    graphs.infer(&network).sink(ColumnsSink::create(output, rows)?);
    pipeline.workers(2).run()?;
    Ok(())
}

fn features(nodes: &Nodes) -> Matrix {
    let intensity = |i: usize| nodes.intensity.as_ref().map_or(0.0, |column| column[i]);
    (0..nodes.len()).map(|i| [nodes.x[i], nodes.y[i], nodes.z[i], intensity(i)]).collect()
}

fn rows(items: &[Inferred]) -> Vec<(&'static str, ArrayRef)> {
    let column =
        |c: usize| -> ArrayRef { Arc::new(Float32Array::from_iter_values(items.iter().map(|item| item.y.row(0)[c]))) };
    let frame = Int64Array::from_iter_values(items.iter().map(|item| item.graph.frame));
    vec![("frame", Arc::new(frame)), ("x", column(0)), ("y", column(1)), ("head", column(2))]
}

/// A person who walks by, as a simulated radar sees one: 5 to 64 points a frame, ten frames a second.
pub struct Walk(pub i64, pub i64);

impl Source for Walk {
    type Item = Frame;
    fn name(&self) -> String {
        "walk".into()
    }
    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        let Walk(id, end) = *self;
        if id == end {
            return Ok(Next::End);
        }
        self.0 += 1;
        // Any number between 0 and 1, the same in each run.
        let number = |i: i64, k: i64| ((id * 7919 + i * 104_729 + k * 1_299_709) % 1000) as f32 / 1000.0;
        let points = 5 + (id * 13) % 60;
        let spread = |k: i64, size: f32| move |i: i64| (number(i, k) - 0.5) * size;
        let x = (0..points).map(|i| 0.1 * id as f32 - 1.0 + spread(1, 0.4)(i)).collect();
        let y = (0..points).map(|i| 0.5 + spread(2, 0.4)(i)).collect();
        let z = (0..points).map(|i| 1.75 * number(i, 3)).collect();
        Ok(Next::Item(Frame { id, time_ns: Some(id * 100_000_000), x, y, z, ..Frame::default() }))
    }
}
