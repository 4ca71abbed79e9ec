//! Every layer by its name: one line each. To add a layer, write its file and a line here.

use serde_json::{Map, Value};

use super::{
    Activation, Aggregation, Args, Arithmetic, BatchNorm, Cat, CfConv, CgConv, Columns, EGcl, EdgeConv, Embedding,
    GatConv, GatV2Conv, GcnConv, GinConv, GlobalPool, GraphConv, GruCell, Layer, LayerNorm, Linear, NnConv,
    PainnInteraction, PainnMixing, PointNetConv, PointTransformerConv, RowWise, SageConv, Softmax, TransformerConv,
    Weights,
};
use crate::Error;

/// A layer that a file may name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// PyTorch Geometric's name, or PyTorch's.
    pub name: &'static str,
    /// What it computes, in a line.
    pub what: &'static str,
    make: Make,
}

/// How a layer is made from its arguments and tensors.
#[derive(Clone, Copy, Debug)]
enum Make {
    /// Also good in the network that another layer holds.
    Rows(fn(&Args) -> Result<Box<dyn RowWise>, Error>),
    Graph(fn(&Args) -> Result<Box<dyn Layer>, Error>),
}

impl Entry {
    /// The layer, from its arguments and the tensors whose names begin with `prefix` and a dot.
    ///
    /// # Errors
    /// [`Error::Model`]: arguments and tensors that are missing, unknown or do not fit.
    pub fn build(&self, weights: &Weights, prefix: &str, args: &Map<String, Value>) -> Result<Box<dyn Layer>, Error> {
        let args = Args::new(weights, prefix, args);
        let layer: Box<dyn Layer> = match self.make {
            Make::Rows(make) => Box::new(make(&args)?),
            Make::Graph(make) => make(&args)?,
        };
        args.finish()?;
        Ok(layer)
    }
}

/// A line for a layer that works on each row by itself.
macro_rules! rows {
    ($name:literal, $what:literal, $make:expr) => {
        Entry { name: $name, what: $what, make: Make::Rows(|args| Ok(Box::new(($make)(args)?))) }
    };
}

/// A line for any other layer.
macro_rules! graph {
    ($name:literal, $what:literal, $make:expr) => {
        Entry { name: $name, what: $what, make: Make::Graph(|args| Ok(Box::new(($make)(args)?))) }
    };
}

/// A layer without arguments.
fn plain<T>(layer: T) -> impl Fn(&Args) -> Result<T, Error>
where
    T: Clone,
{
    move |_| Ok(layer.clone())
}

/// All layers.
pub static LAYERS: &[Entry] = &[
    graph!("GCNConv", "sum of neighbours, scaled by degrees", GcnConv::from_args),
    graph!("SAGEConv", "mean, sum or maximum of neighbours, beside the node itself", SageConv::from_args),
    graph!("GraphConv", "weighted sum, mean or maximum of neighbours, beside the node itself", GraphConv::from_args),
    graph!("GATConv", "sum of neighbours, weighted by attention", GatConv::from_args),
    graph!("GATv2Conv", "the same, with attention that depends on the node too", GatV2Conv::from_args),
    graph!("GINConv", "a network on the sum of neighbours and node", GinConv::from_args),
    graph!("GINEConv", "the same, with features of edges", GinConv::with_edges),
    graph!("EdgeConv", "a network on node and difference to each neighbour, aggregated", EdgeConv::from_args),
    graph!("PointNetConv", "a network on neighbours and their offsets, aggregated", PointNetConv::from_args),
    graph!("PointTransformerConv", "attention between points, channel by channel", PointTransformerConv::from_args),
    graph!("TransformerConv", "sum of neighbours, weighted by dot-product attention", TransformerConv::from_args),
    graph!("NNConv", "neighbours times a matrix made from the edge", NnConv::from_args),
    graph!("CGConv", "gated sum over node, neighbour and edge", CgConv::from_args),
    graph!("CFConv", "SchNet's convolution with continuous filters", CfConv::from_args),
    graph!("E_GCL", "EGNN's layer: features and positions", EGcl::from_args),
    graph!("PaiNNInteraction", "PaiNN's message: scalars and vectors", PainnInteraction::from_args),
    graph!("PaiNNMixing", "PaiNN's update: scalars and vectors", PainnMixing::from_args),
    rows!("Linear", "x W + b", Linear::from_args),
    rows!("ReLU", "max(x, 0)", Activation::relu),
    rows!("LeakyReLU", "x, with a smaller slope below 0", Activation::leaky_relu),
    rows!("ELU", "x, exponential below 0", Activation::elu),
    rows!("GELU", "x times the normal distribution", Activation::gelu),
    rows!("SiLU", "x times its sigmoid", Activation::silu),
    rows!("Sigmoid", "1 / (1 + exp(-x))", plain(Activation::Sigmoid)),
    rows!("Tanh", "tanh x", plain(Activation::Tanh)),
    rows!("Softplus", "ln(1 + exp(x))", Activation::softplus),
    rows!("ShiftedSoftplus", "ln(1 + exp(x)) - ln 2", plain(Activation::ShiftedSoftplus)),
    rows!("PReLU", "x, with a learned slope below 0", Activation::prelu),
    rows!("Softmax", "softmax over the channels", |args| Softmax::from_args(args, false)),
    rows!("LogSoftmax", "its logarithm", |args| Softmax::from_args(args, true)),
    rows!("BatchNorm", "normalised by running statistics", BatchNorm::from_args),
    rows!("LayerNorm", "normalised over the channels of a row", LayerNorm::from_args),
    rows!("Embedding", "a row of a table, by number", Embedding::from_args),
    graph!("GRUCell", "a gated update of a state", GruCell::from_args),
    graph!("Add", "sum of two inputs", plain(Arithmetic::Add)),
    graph!("Sub", "difference of two inputs", plain(Arithmetic::Sub)),
    graph!("Mul", "product of two inputs", plain(Arithmetic::Mul)),
    graph!("Div", "quotient of two inputs", plain(Arithmetic::Div)),
    graph!("Max", "largest of two inputs or more", plain(Arithmetic::Max)),
    graph!("Cat", "inputs side by side", plain(Cat)),
    graph!("Columns", "a slice of the channels", Columns::slice),
    graph!("Scale", "times a number", Columns::scale),
    graph!("Shift", "plus a number", Columns::shift),
    graph!("global_add_pool", "sum of a graph's nodes", plain(GlobalPool(Aggregation::Add))),
    graph!("global_mean_pool", "mean of a graph's nodes", plain(GlobalPool(Aggregation::Mean))),
    graph!("global_max_pool", "maximum of a graph's nodes", plain(GlobalPool(Aggregation::Max))),
];

/// Layers that PyG has and we refuse, and why.
pub static REFUSED: &[(&str, &str)] = &[
    ("GraphNorm", TIED),
    ("InstanceNorm", TIED),
    ("PairNorm", TIED),
    ("DiffGroupNorm", TIED),
    ("MeanSubtractionNorm", TIED),
    ("GraphSizeNorm", TIED),
    ("MessageNorm", "it is not written yet"),
    ("LSTMAggregation", "the result would depend on the order of the edges"),
    ("Dropout", "it does nothing after training: leave it out"),
    ("Identity", "it does nothing: leave it out"),
    ("DynamicEdgeConv", "its graph would come from the features: build a kNN graph and use EdgeConv"),
];

const TIED: &str = "a row would depend on all other rows of its graph";

/// The layer called `name`.
fn entry(weights: &Weights, prefix: &str, name: &str) -> Result<&'static Entry, Error> {
    if let Some(entry) = LAYERS.iter().find(|entry| entry.name == name) {
        return Ok(entry);
    }
    let expected = match REFUSED.iter().find(|(refused, _)| *refused == name) {
        Some((_, reason)) => format!("another layer: {reason}"),
        None => "one that `thalweg list layers` has".into(),
    };
    Err(weights.error(&format!("{prefix}: layer"), name, expected))
}

/// The layer `name`, from its arguments and the tensors whose names begin with `prefix` and a dot.
///
/// # Errors
/// [`Error::Model`]: a layer that is not ours; arguments and tensors that are missing, unknown or do not fit.
pub fn build(weights: &Weights, prefix: &str, name: &str, args: &Map<String, Value>) -> Result<Box<dyn Layer>, Error> {
    entry(weights, prefix, name)?.build(weights, prefix, args)
}

/// The row-wise layer `name`, for the network that another layer holds.
pub(super) fn row_wise(
    weights: &Weights,
    prefix: &str,
    name: &str,
    args: &Map<String, Value>,
) -> Result<Box<dyn RowWise>, Error> {
    let Make::Rows(make) = entry(weights, prefix, name)?.make else {
        return Err(weights.error(&format!("{prefix}: layer"), name, "one that works on each row by itself"));
    };
    let args = Args::new(weights, prefix, args);
    let layer = make(&args)?;
    args.finish()?;
    Ok(layer)
}
