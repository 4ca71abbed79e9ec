//! TransformerConv: `x'_i = W_skip x_i + Σ_j α_ij (W_value x_j + W_e e_ji)`,
//! `α_ij = softmax_j (W_query x_i) · (W_key x_j + W_e e_ji) / sqrt(out)`, for each head.
//!
//! From: Shi et al., "Masked Label Prediction", IJCAI 2021, eq. 3 to 5; parameters and results as PyTorch Geometric's
//! `TransformerConv`. With `beta` a gate weighs the skip against the rest.

use super::activation::sigmoid;
use super::aggregate::softmax;
use super::attention::{features, mean_of_heads};
use super::part::{Loops, Part};
use super::signature::Signature;
use super::{Args, Layer, Linear, Matrix, Mismatch, Of, Rows, Shape, Structure};
use crate::Error;

/// The layer. Inputs: `x` `[nodes, in_channels]`, and with `edge_dim` `edge_attr` `[edges, edge_dim]`; output
/// `[nodes, heads · out_channels]`, or `[nodes, out_channels]` where heads are averaged.
#[derive(Clone, Debug)]
pub struct TransformerConv {
    key: Linear,
    query: Linear,
    value: Linear,
    edge: Option<Linear>,
    skip: Option<Linear>,
    beta: Option<Linear>,
    inputs: usize,
    outputs: usize,
    heads: usize,
    concat: bool,
}

impl TransformerConv {
    /// From `in_channels`, `out_channels`, `heads` (1), `concat` (true), `beta` (false), `edge_dim`, `bias` (true), `root_weight` (true), and
    /// the tensors of `lin_key`, `lin_query`, `lin_value`, `lin_edge`, `lin_skip`, `lin_beta`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        args.ignore(&["dropout"])?;
        args.word("aggr", "add", &["add", "sum"])?;
        let (inputs, outputs) = (args.count("in_channels")?, args.count("out_channels")?);
        let (heads, concat) = (args.maybe_count("heads")?.unwrap_or(1), args.flag("concat", true)?);
        let (bias, root) = (args.flag("bias", true)?, args.flag("root_weight", true)?);
        let (all, out) = (heads * outputs, if concat { heads * outputs } else { outputs });
        let beta = args.flag("beta", false)? && root;
        if !root {
            // PyG makes and stores this layer without using it.
            args.weights().ignore(&args.tensor("lin_skip.weight"));
            args.weights().ignore(&args.tensor("lin_skip.bias"));
        }
        Ok(TransformerConv {
            key: args.linear("lin_key", inputs, all, bias)?,
            query: args.linear("lin_query", inputs, all, bias)?,
            value: args.linear("lin_value", inputs, all, bias)?,
            edge: args.maybe_count("edge_dim")?.map(|dim| args.linear("lin_edge", dim, all, false)).transpose()?,
            skip: root.then(|| args.linear("lin_skip", inputs, out, bias)).transpose()?,
            beta: beta.then(|| args.linear("lin_beta", 3 * out, 1, false)).transpose()?,
            inputs,
            outputs,
            heads,
            concat,
        })
    }

    fn signature(&self) -> Signature {
        let signature = Signature::default().nodes(self.inputs);
        match &self.edge {
            None => signature,
            Some(edge) => signature.edges(edge.weight().cols()),
        }
    }

    /// The skip added, or weighed against the rest by the gate.
    fn finish(&self, mut out: Matrix, own: &Matrix) -> Result<Matrix, Error> {
        let Some(skip) = &self.skip else { return Ok(out) };
        let skip = skip.forward(own)?;
        let Some(beta) = &self.beta else {
            out.data_mut().iter_mut().zip(skip.data()).for_each(|(v, s)| *v += s);
            return Ok(out);
        };
        let mut difference = out.clone();
        difference.data_mut().iter_mut().zip(skip.data()).for_each(|(v, s)| *v -= s);
        let gates = beta.forward(&out.beside(&skip)?.beside(&difference)?)?;
        for i in 0..out.rows() {
            let gate = sigmoid(gates.row(i)[0]);
            out.row_mut(i).iter_mut().zip(skip.row(i)).for_each(|(v, s)| *v = gate * s + (1.0 - gate) * *v);
        }
        Ok(out)
    }
}

impl Layer for TransformerConv {
    fn name(&self) -> &str {
        "TransformerConv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        let channels = if self.concat { self.heads * self.outputs } else { self.outputs };
        Ok(vec![Shape { of: Of::Nodes, channels }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let part = Part::new(graph.edges, rows);
        let (x, own) = (part.seen(inputs[0]), part.own(inputs[0]));
        let (key, value, query) = (self.key.forward(&x)?, self.value.forward(&x)?, self.query.forward(&own)?);
        let (heads, channels) = (self.heads, self.outputs);
        let root = (channels as f32).sqrt();
        let mut out = Matrix::zeros(part.rows(), heads * channels);
        let mut scores = Vec::new();
        part.lists(Loops::AsGiven, |batch| {
            let edge_rows = match (inputs.get(1), &self.edge) {
                (Some(attr), Some(edge)) => edge.forward(&features(batch, attr, None))?,
                _ => Matrix::default(),
            };
            let with_edge = self.edge.is_some();
            let mut first = 0;
            for edges in batch.chunk_by(|a, b| a.place == b.place) {
                let place = edges[0].place;
                for head in 0..heads {
                    let part = head * channels..(head + 1) * channels;
                    let edge_row = |k: usize| if with_edge { &edge_rows.row(first + k)[part.clone()] } else { &[][..] };
                    scores.clear();
                    scores.extend(edges.iter().enumerate().map(|(k, edge)| {
                        let (query, key) = (&query.row(place)[part.clone()], &key.row(edge.src)[part.clone()]);
                        let dot: f32 = match with_edge {
                            true => {
                                let keys = key.iter().zip(edge_row(k)).map(|(k, e)| k + e);
                                query.iter().zip(keys).map(|(q, k)| q * k).sum()
                            }
                            false => query.iter().zip(key).map(|(q, k)| q * k).sum(),
                        };
                        dot / root
                    }));
                    softmax(&mut scores);
                    for (k, (edge, &score)) in edges.iter().zip(&scores).enumerate() {
                        let row = &mut out.row_mut(place)[part.clone()];
                        let value = &value.row(edge.src)[part.clone()];
                        if with_edge {
                            let values = value.iter().zip(edge_row(k));
                            row.iter_mut().zip(values).for_each(|(o, (v, e))| *o += (v + e) * score);
                        } else {
                            row.iter_mut().zip(value).for_each(|(o, v)| *o += v * score);
                        }
                    }
                }
                first += edges.len();
            }
            Ok(())
        })?;
        let out = if self.concat { out } else { mean_of_heads(&out, heads) };
        Ok(vec![self.finish(out, &own)?])
    }
}
