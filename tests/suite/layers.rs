//! Every layer against PyTorch Geometric (training/layers.py wrote the fixtures), some rows against all, and inputs that do not fit.

use std::path::PathBuf;

use safetensors::SafeTensors;
use serde_json::{Map, Value};
use thalweg::Error;
use thalweg::layers::{self, LAYERS, Layer, Matrix, Neighbors, Of, Rows, Shape, Structure, Weights};

/// A case of the fixture: a layer with its inputs, on one graph.
struct Case<'a> {
    name: &'a str,
    layer: Box<dyn Layer>,
    inputs: Vec<Matrix>,
    kinds: Vec<Of>,
    edges: Neighbors,
    batch: Vec<u32>,
    outputs: Vec<Matrix>,
}

impl Case<'_> {
    fn graph(&self) -> Structure<'_> {
        // One more than there are: the last graph has no nodes.
        Structure { edges: &self.edges, graph: Some(&self.batch), graphs: 6 }
    }

    fn run(&self, rows: Rows) -> Vec<Matrix> {
        let inputs: Vec<&Matrix> = self.inputs.iter().collect();
        self.layer.forward(&inputs, &self.graph(), rows).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

fn matrix(file: &SafeTensors, name: &str) -> Matrix {
    let view = file.tensor(name).unwrap_or_else(|_| panic!("{name}"));
    let data = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let [rows, cols] = view.shape() else { panic!("{name}: {:?}", view.shape()) };
    Matrix::from_rows(*rows, *cols, data).unwrap()
}

fn ints(file: &SafeTensors, name: &str) -> Vec<u32> {
    file.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

fn with_cases(mut check: impl FnMut(&Case, &Weights, &Map<String, Value>)) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layers/layers.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let metadata = SafeTensors::read_metadata(&bytes).unwrap().1.metadata().clone().unwrap();
    let cases: Vec<Value> = serde_json::from_str(&metadata["cases"]).unwrap();
    let weights = Weights::read("layers", &bytes).unwrap();
    for case in &cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let (name, graph) = (text("name"), text("graph"));
        let args = case["args"].as_object().unwrap();
        let layer = layers::build(&weights, name, text("layer"), args).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(layer.name(), text("layer"));
        let named: Vec<&str> = case["inputs"].as_array().unwrap().iter().map(|i| i.as_str().unwrap()).collect();
        let inputs: Vec<Matrix> = named.iter().map(|input| matrix(&file, &format!("{graph}.{input}"))).collect();
        let of_edges = |name: &&&str| ["edge_attr", "edge_wide", "edge_weight", "filters", "direction"].contains(*name);
        let kinds = named.iter().map(|name| if of_edges(&name) { Of::Edges } else { Of::Nodes }).collect();
        let ends = ints(&file, &format!("{graph}.edge_index"));
        let (src, dst) = ends.split_at(ends.len() / 2);
        let batch = ints(&file, &format!("{graph}.batch"));
        let (edges, order) = Neighbors::from_edges_ordered(batch.len(), src, dst).unwrap();
        assert!(order.iter().enumerate().all(|(e, &o)| e == o as usize), "fixtures list edges in our order");
        let count = case["outputs"].as_u64().unwrap();
        let outputs = (0..count).map(|o| matrix(&file, &format!("{name}/{graph}/out{o}"))).collect();
        check(&Case { name, layer, inputs, kinds, edges, batch, outputs }, &weights, args);
    }
}

#[test]
fn every_layer_gives_the_rows_of_pytorch_geometric() {
    let mut seen = std::collections::BTreeSet::new();
    with_cases(|case, _, _| {
        seen.insert(case.layer.name().to_string());
        let found = case.run(Rows::All);
        assert_eq!(found.len(), case.outputs.len(), "{}", case.name);
        for (found, expected) in found.iter().zip(&case.outputs) {
            assert_eq!(found.shape(), expected.shape(), "{}", case.name);
            for i in 0..found.rows() {
                let largest = expected.row(i).iter().fold(1e-3f32, |max, v| max.max(v.abs()));
                for (c, (f, e)) in found.row(i).iter().zip(expected.row(i)).enumerate() {
                    let close = (f - e).abs() <= 1e-5 * largest;
                    assert!(close, "{} [{i}, {c}]: found {f}, expected {e}, largest {largest}", case.name);
                }
            }
        }
        let shapes: Vec<Shape> =
            case.inputs.iter().zip(&case.kinds).map(|(input, &of)| Shape { of, channels: input.cols() }).collect();
        let shapes = case.layer.shape(&shapes).unwrap();
        let channels: Vec<usize> = shapes.iter().map(|shape| shape.channels).collect();
        assert_eq!(channels, case.outputs.iter().map(Matrix::cols).collect::<Vec<_>>(), "{}", case.name);
        for (shape, output) in shapes.iter().zip(&case.outputs) {
            assert_eq!(case.graph().rows(shape.of), output.rows(), "{}", case.name);
        }
    });
    let missing: Vec<_> = LAYERS.iter().filter(|entry| !seen.contains(entry.name)).map(|entry| entry.name).collect();
    assert!(missing.is_empty(), "no fixture for {missing:?}");
}

#[test]
fn some_rows_have_the_bits_of_all() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    with_cases(|case, _, _| {
        let all = case.run(Rows::All);
        let count = all[0].rows() as u32;
        for share in [1u64, 4, 30, 100] {
            let mut rows: Vec<u32> = (0..count).filter(|_| random() % 100 < share).collect();
            if share == 30 {
                rows.extend((0..count).filter(|row| [3, 9, 77, 100, 229].contains(row)));
                rows.sort_unstable();
                rows.dedup();
            }
            for (some, all) in case.run(Rows::These(&rows)).iter().zip(&all) {
                assert_eq!(some.shape(), [rows.len(), all.cols()], "{}", case.name);
                for (place, &row) in rows.iter().enumerate() {
                    let same =
                        some.row(place).iter().zip(all.row(row as usize)).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{}: row {row} among {} rows", case.name, rows.len());
                }
            }
        }
    });
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    with_cases(|case, weights, args| {
        let refused = |inputs: &[&Matrix], rows: Rows| {
            let result = case.layer.forward(inputs, &case.graph(), rows);
            assert!(matches!(result, Err(Error::Shape { .. })), "{}: {:?}", case.name, result.map(|_| "a result"));
        };
        let inputs: Vec<&Matrix> = case.inputs.iter().collect();
        refused(&[], Rows::All);
        let count = case.outputs[0].rows() as u32;
        refused(&inputs, Rows::These(&[count]));
        refused(&inputs, Rows::These(&[1, 0]));
        let many = vec![inputs[0]; inputs.len() + 4];
        // Cat and Max take any number.
        if !["Cat", "Max"].contains(&case.layer.name()) {
            refused(&many, Rows::All);
            assert!(
                case.layer.shape(&vec![Shape { of: Of::Nodes, channels: 6 }; many.len()]).is_err(),
                "{}",
                case.name
            );
        }
        let any_channels = case.layer.shape(&[Shape { of: Of::Nodes, channels: 77 }]).is_ok();
        for (i, input) in inputs.iter().enumerate() {
            let mut torn = inputs.clone();
            let longer = Matrix::zeros(input.rows() + 1, input.cols());
            torn[i] = &longer;
            let by_itself =
                any_channels || case.layer.shape(&[Shape { of: Of::Graphs, channels: input.cols() }]).is_ok();
            if !by_itself {
                refused(&torn, Rows::All);
            }
            let wider = Matrix::zeros(input.rows(), input.cols() + 70);
            torn[i] = &wider;
            // What `shape` refuses, `forward` refuses.
            let shape = |(input, &of): (&&Matrix, &Of)| Shape { of, channels: input.cols() };
            if case.layer.shape(&torn.iter().zip(&case.kinds).map(shape).collect::<Vec<_>>()).is_err() {
                refused(&torn, Rows::All);
            }
        }
        // An argument that nobody knows, and one of another type.
        for (key, value) in [("surprise", Value::from(1)), ("in_channels", Value::from("six")), ("nn", Value::from(5))]
        {
            let mut args = args.clone();
            if key != "surprise" && !args.contains_key(key) {
                continue;
            }
            args.insert(key.into(), value);
            let error = layers::build(weights, case.name, case.layer.name(), &args).unwrap_err().to_string();
            let expected = format!("model layers: {}: args.{key}: found ", case.name);
            assert!(error.starts_with(&expected), "{error}");
        }
    });
}

#[test]
fn unknown_layers_and_numbers_out_of_range_are_refused_by_name() {
    with_cases(|case, weights, args| {
        if case.name == "gcn" {
            let refused = |name: &str| layers::build(weights, "conv1", name, args).unwrap_err().to_string();
            assert_eq!(
                refused("GNNConv"),
                "model layers: conv1: layer: found GNNConv, expected one that `thalweg list layers` has"
            );
            assert!(refused("GraphNorm").contains("a row would depend on all other rows of its graph"));
        }
        if case.name == "embedding" {
            for (bad, shown) in [(5.0, "5"), (-1.0, "-1"), (0.5, "0.5"), (f32::NAN, "NaN")] {
                let x = Matrix::from_rows(1, 1, vec![bad]).unwrap();
                let error = case.layer.forward(&[&x], &case.graph(), Rows::All).unwrap_err().to_string();
                assert_eq!(
                    error,
                    format!("Embedding: number of a row: found {shown}, expected a whole number below 5")
                );
            }
        }
        if case.name == "global_add_pool" && !case.batch.is_empty() {
            let torn = Structure { graph: Some(&case.batch[1..]), ..case.graph() };
            assert!(case.layer.forward(&[&case.inputs[0]], &torn, Rows::All).is_err());
            let few = Structure { graphs: 2, ..case.graph() };
            assert!(case.layer.forward(&[&case.inputs[0]], &few, Rows::All).is_err());
        }
    });
}

#[test]
fn lists_that_are_no_lists_are_refused() {
    let lists = |offset: &[usize], src: &[u32]| Neighbors::from_lists(offset.into(), src.into());
    assert_eq!(lists(&[0, 0, 2], &[0, 1]).unwrap(), Neighbors::from_edges(2, &[1, 0], &[1, 1]).unwrap());
    for (offset, src) in [
        (&[][..], &[][..]),
        (&[0, 1], &[]),
        (&[1, 1], &[0]),
        (&[0, 2, 1, 2], &[0, 0]),
        (&[0, 2], &[1, 0]),
        (&[0, 1], &[1]),
    ] {
        assert!(lists(offset, src).is_err(), "{offset:?} {src:?}");
    }
}

#[test]
fn a_tensor_that_no_layer_takes_is_found() {
    let zero = [0; 16];
    let tensor = |shape: &[usize]| {
        safetensors::tensor::TensorView::new(
            safetensors::Dtype::F32,
            shape.into(),
            &zero[..4 * shape.iter().product::<usize>()],
        )
    };
    let tensors =
        [("a.weight", tensor(&[1, 2]).unwrap()), ("a.bias", tensor(&[1]).unwrap()), ("b", tensor(&[4]).unwrap())];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    let weights = Weights::read("toy", &bytes).unwrap();
    assert_eq!(weights.names(), ["a.bias", "a.weight", "b"]);
    let args = serde_json::json!({"in_channels": 2, "out_channels": 1});
    layers::build(&weights, "a", "Linear", args.as_object().unwrap()).unwrap();
    assert_eq!(weights.untaken(), ["b"]);
}
