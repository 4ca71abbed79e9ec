//! What does not fit is an error with both shapes, in release builds too: layers, graphs, pyramids, frames of a connector, weights of a file.

use std::collections::HashMap;
use std::sync::Arc;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use thalweg::layers::{
    self, EdgeConv, GraphConv, Linear, Matrix, Neighbors, PointNetConv, Positions, Rows, Structure, Weights,
};
use thalweg::report::Stats;
use thalweg::sink::Collect;
use thalweg::{BoxError, Error, Frame, KnnGraph, Next, Nodes, Pipeline, Returns, SegmentationModel, Source, Truth};

fn shape<T: std::fmt::Debug>(result: Result<T, Error>, expected: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Shape { .. }) && error.to_string() == expected, "{error}, expected {expected}");
}

#[test]
fn layers_refuse_what_does_not_fit() {
    let names = [
        ("edge.nn.weight", vec![3, 4]),
        ("edge.nn.bias", vec![3]),
        ("sage.lin_l.weight", vec![3, 2]),
        ("sage.lin_l.bias", vec![3]),
        ("sage.lin_r.weight", vec![3, 2]),
        ("graph.lin_rel.weight", vec![3, 2]),
        ("graph.lin_rel.bias", vec![3]),
        ("graph.lin_root.weight", vec![3, 2]),
        ("point.local_nn.weight", vec![3, 5]),
        ("point.local_nn.bias", vec![3]),
    ];
    let zeros = [0; 60];
    let tensors: HashMap<&str, TensorView> = names
        .into_iter()
        .map(|(name, shape)| {
            let bytes = 4 * shape.iter().product::<usize>();
            (name, TensorView::new(Dtype::F32, shape, &zeros[..bytes]).unwrap())
        })
        .collect();
    let bytes = safetensors::serialize(&tensors, None).unwrap();
    let weights = Weights::read("toy", &bytes).unwrap();
    let four = Neighbors::from_edges(4, &[0, 1, 3], &[1, 2, 2]).unwrap();
    let (x, wide) = (Matrix::zeros(5, 2), Matrix::zeros(4, 3));

    let edge = EdgeConv::load(&weights, "edge", 2, 3).unwrap();
    let expected = |name: &str, found: &str, expected: &str| {
        format!("{name}: shapes of the inputs: found {found}, expected {expected}")
    };
    shape(edge.forward(&x, &four), &expected("EdgeConv", "[5, 2]", "[4, 2]"));
    shape(edge.forward(&wide, &four), &expected("EdgeConv", "[4, 3]", "[4, 2]"));
    let structure = Structure { edges: &four, graph: None, graphs: 1 };
    for aggr in ["mean", "max"] {
        let args = serde_json::json!({"in_channels": 2, "out_channels": 3, "aggr": aggr});
        let sage = layers::build(&weights, "sage", "SAGEConv", args.as_object().unwrap()).unwrap();
        for (x, found) in [(&x, "[5, 2]"), (&wide, "[4, 3]")] {
            shape(sage.forward(&[x], &structure, Rows::All), &expected("SAGEConv", found, "[4, 2]"));
        }
    }
    let graph = GraphConv::load(&weights, "graph", 2, 3, 1).unwrap();
    let edges = |x: &Matrix, rows, kinds| graph.forward(x, &four, &Matrix::zeros(rows, kinds));
    let fits = "[4, 2], or with [3, 1] behind";
    let right = Matrix::zeros(4, 2);
    shape(edges(&right, 2, 1), &expected("GraphConv", "[4, 2] and [2, 1]", fits));
    shape(edges(&right, 3, 2), &expected("GraphConv", "[4, 2] and [3, 2]", fits));
    shape(edges(&x, 3, 1), &expected("GraphConv", "[5, 2] and [3, 1]", fits));

    let point = PointNetConv::load(&weights, "point", 2, 3).unwrap();
    let (five, none) = ([0.0; 5], [0u32; 0]);
    let positions = Positions { x: &five, y: &five, z: &five };
    let torn = Positions { z: &five[..4], ..positions };
    let expected = "PointNetConv: positions of the rows of x: found [5, 5, 4], expected [5, 5, 5]";
    shape(point.forward(&x, torn, 1.0, |_| &none), expected);
    let list: fn(usize) -> &'static [u32] = |i| if i == 3 { &[0, 5] } else { &[1] };
    shape(
        point.forward(&x, positions, 1.0, list),
        "PointNetConv: list of node 3: found neighbour 5, expected one of 5 nodes",
    );
    assert_eq!(point.forward(&x, positions, 1.0, |_| &none).unwrap(), Matrix::zeros(5, 3));

    shape(Linear::new(Matrix::zeros(3, 2), Some(vec![0.0; 2])), "the bias of a linear layer: found 2, expected 3");
    let linear = Linear::new(Matrix::zeros(3, 2), None).unwrap();
    shape(linear.add_to(&x, &mut wide.clone()), "the output of a linear layer: found [4, 3], expected [5, 3]");
    shape(x.clone().add_relu(&wide), "a sum of matrices: found [4, 3], expected [5, 2]");
    shape(x.beside(&wide), "matrices side by side: found [4, 3], expected [5, 3]");
}

/// The shipped model with one change made to its tensors and metadata.
pub fn changed(change: impl Fn(&mut HashMap<String, Vec<u8>>, &mut String)) -> Result<SegmentationModel, Error> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/driving.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut metadata = SafeTensors::read_metadata(&bytes).unwrap().1.metadata().clone().unwrap();
    let mut data: HashMap<String, Vec<u8>> =
        file.iter().map(|(name, view)| (name.into(), view.data().into())).collect();
    change(&mut data, metadata.get_mut("thalweg").unwrap());
    let shapes: HashMap<_, _> = file.iter().map(|(name, view)| (name.to_string(), view.shape().to_vec())).collect();
    let views =
        data.iter().map(|(name, data)| (name, TensorView::new(Dtype::F32, shapes[name].clone(), data).unwrap()));
    SegmentationModel::from_bytes("mine", &safetensors::serialize(views, Some(metadata)).unwrap())
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_name() {
    changed(|_, _| ()).unwrap();
    for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        for tensor in ["head.1.bias", "stem.weight", "enc.2.block.1.pos.weight"] {
            let error = changed(|data, _| data.get_mut(tensor).unwrap()[8..12].copy_from_slice(&value.to_le_bytes()));
            let expected = format!("model mine: {tensor}: found {shown}, expected finite weights");
            assert_eq!(error.unwrap_err().to_string(), expected);
        }
    }
    for (key, from, to) in [
        ("hag_scale", "\"hag_scale\": 4.0", "\"hag_scale\": 0.0"),
        ("input_scales", "\"input_scales\": [0.25", "\"input_scales\": [1e300"),
        ("temperature", "\"temperature\": ", "\"temperature\": 1e300, \"was\": "),
        ("s0", "\"s0\": 0.125", "\"s0\": 1e-300"),
        ("columns", "\"columns\": [1.5", "\"columns\": [1e300"),
        ("classes", "{\"id\": 2,", "{\"id\": 1,"),
    ] {
        let error = changed(|_, text| {
            assert!(text.contains(from), "{from} in {text}");
            *text = text.replace(from, to);
        });
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(&format!("model mine: {key}: found ")), "{key}: {error}");
    }
}

#[test]
fn a_graph_that_does_not_hold_together_is_no_panic_of_the_model() {
    let model = changed(|_, _| ()).unwrap();
    let graph = || {
        let frame = Frame { x: vec![0.0; 2], y: vec![0.0; 2], z: vec![0.0; 2], ..Frame::default() };
        let (x, y, z) = (vec![0.0, 1.0], vec![0.0; 2], vec![0.0; 2]);
        let nodes = Nodes {
            frame: Arc::new(frame),
            point: vec![0, 1],
            x,
            y,
            z,
            of_point: vec![0, 1],
            intensity: None,
            returns: None,
            cell: None,
        };
        (nodes, vec![1, 0], vec![1.0; 2])
    };
    let label = |(nodes, dst, d2): (Nodes, Vec<u32>, Vec<f32>)| {
        model
            .segment(&KnnGraph { nodes: Arc::new(nodes), k: 1, neighbor: dst, d2 }, &Stats::default())
            .map_err(|e| e.to_string())
    };
    assert_eq!(label(graph()).unwrap().class.len(), 2);
    let torn = |change: fn(&mut (Nodes, Vec<u32>, Vec<f32>)), expected: &str| {
        let mut graph = graph();
        change(&mut graph);
        assert_eq!(label(graph).unwrap_err(), expected);
    };
    torn(|g| g.1[1] = 2, "kNN graph: found node 2, expected one of 2 nodes");
    torn(|g| g.0.of_point[0] = 7, "kNN graph: found node 7, expected one of 2 nodes");
    torn(|g| g.2.truncate(1), "kNN graph: d2: found 1 entries, expected 2 for 2 nodes");
    torn(|g| g.0.z.truncate(1), "kNN graph: z: found 1 entries, expected 2 for 2 nodes");
    torn(|g| g.0.intensity = Some(vec![]), "kNN graph: intensity: found 0 entries, expected 2 for 2 nodes");
}

/// One frame of a connector.
struct Toy(Option<Frame>);

impl Source for Toy {
    type Item = Frame;
    fn name(&self) -> String {
        "toy.xyz".into()
    }
    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        Ok(self.0.take().map_or(Next::End, Next::Item))
    }
}

#[test]
fn columns_of_unequal_length_are_an_error_of_the_source() {
    let three = || Frame { id: 7, x: vec![0.0; 3], y: vec![0.0; 3], z: vec![0.0; 3], ..Frame::default() };
    let run = |frame| {
        Pipeline::from_source(Toy(Some(frame))).workers(2).run(|points| points.knn_graph(2), Collect::default())
    };
    run(three()).unwrap();
    let returns = |number, count| Some(Returns { number: vec![1; number], count: vec![1; count] });
    let truth = |class, instance| Some(Truth { class: vec![1; class], instance: vec![1; instance] });
    for (column, found, frame) in [
        ("y", 2, Frame { y: vec![0.0; 2], ..three() }),
        ("z", 4, Frame { z: vec![0.0; 4], ..three() }),
        ("intensity", 0, Frame { intensity: Some(vec![]), ..three() }),
        ("return number", 2, Frame { returns: returns(2, 3), ..three() }),
        ("number of returns", 2, Frame { returns: returns(3, 2), ..three() }),
        ("true class", 1, Frame { truth: truth(1, 3), ..three() }),
        ("true instance", 9, Frame { truth: truth(3, 9), ..three() }),
    ] {
        let error = run(frame).unwrap_err();
        let expected = format!("toy.xyz: frame 7: column {column}: found {found} entries, expected 3 as in column x");
        assert!(matches!(error, Error::Source { .. }) && error.to_string() == expected, "{error}");
    }
    // A stage that tears a frame is the one that answers for the next.
    let tear = |frame: Frame| Ok(Frame { z: vec![], ..frame });
    let torn = Pipeline::from_source(Toy(Some(three()))).run(|p| p.map("tear", tear).knn_graph(2), Collect::default());
    assert_eq!(
        torn.unwrap_err().to_string(),
        "stage nodes, epoch 0: frame 7: column z: found 0 entries, expected 3 as in column x"
    );
}
