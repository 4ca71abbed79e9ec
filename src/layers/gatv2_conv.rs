//! GATv2Conv: `x'_i = b + Σ_j α_ij W_l x_j`, `α_ij = softmax_j a · LeakyReLU(W_l x_j + W_r x_i + W_e e_ji)`, for each head.
//!
//! From: Brody et al., "How Attentive are Graph Attention Networks?", ICLR 2022, eq. 7; parameters and results as PyTorch Geometric's
//! `GATv2Conv`.

use super::attention::{Attention, attend, features, leaky};
use super::part::{Edge, Loops, Part};
use super::signature::Signature;
use super::simd::widened;
use super::{Args, Layer, Linear, Matrix, Mismatch, Of, Rows, Shape, Structure};
use crate::Error;

/// The layer. Inputs: `x` `[nodes, in_channels]`, and with `edge_dim` if wanted `edge_attr` `[edges, edge_dim]`; output
/// `[nodes, heads · out_channels]`, or `[nodes, out_channels]` where heads are averaged.
#[derive(Clone, Debug)]
pub struct GatV2Conv {
    attention: Attention,
    source: Linear,
    /// `None` where it is the same as for sources.
    own: Option<Linear>,
    edge: Option<Linear>,
    /// `[heads · out]`.
    vector: Vec<f32>,
}

impl GatV2Conv {
    /// From the arguments of [`GatConv`](super::GatConv) and `share_weights` (false), and the tensors `lin_l.weight`, `lin_r.weight`
    /// `[heads · out, in]`, their biases `[heads · out]`, `att` `[1, heads, out]`, `lin_edge.weight` `[heads · out, edge_dim]`, `res.weight`,
    /// `bias`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        let attention = Attention::from_args(args)?;
        let (inputs, all) = (attention.inputs, attention.heads * attention.outputs);
        let bias = args.flag("bias", true)?;
        let shared = args.flag("share_weights", false)?;
        if shared {
            // The state_dict lists the shared layer a second time.
            args.weights().ignore(&args.tensor("lin_r.weight"));
            args.weights().ignore(&args.tensor("lin_r.bias"));
        }
        let (shape, vector) = args.weights().flat(&args.tensor("att"))?;
        if shape != [1, attention.heads, attention.outputs] {
            let expected = format!("[1, {}, {}]", attention.heads, attention.outputs);
            return Err(args.weights().error(&args.tensor("att"), format!("{shape:?}"), expected));
        }
        Ok(GatV2Conv {
            source: args.linear("lin_l", inputs, all, bias)?,
            own: if shared { None } else { Some(args.linear("lin_r", inputs, all, bias)?) },
            edge: attention.edge_dim.map(|dim| args.linear("lin_edge", dim, all, false)).transpose()?,
            attention,
            vector,
        })
    }

    fn signature(&self) -> Signature {
        let signature = Signature::default().nodes(self.attention.inputs);
        match self.attention.edge_dim {
            None => signature,
            Some(dim) => signature.maybe_edges(dim),
        }
    }
}

widened! {
    /// `a · LeakyReLU(source + own + edge)`, eight partial sums side by side; `edge` is empty where edges have no features.
    fn score(vector: &[f32], source: &[f32], own: &[f32], edge: &[f32], slope: f32, out: &mut f32) {
        let mut sums = [0.0f32; 8];
        let channels = vector.len();
        let (source, own) = (&source[..channels], &own[..channels]);
        if edge.is_empty() {
            for ((v, s), o) in vector.chunks(8).zip(source.chunks(8)).zip(own.chunks(8)) {
                let terms = sums.iter_mut().zip(v).zip(s.iter().zip(o));
                terms.for_each(|((sum, v), (s, o))| *sum += v * leaky(slope, o + s));
            }
        } else {
            let edge = &edge[..channels];
            for (((v, s), o), e) in vector.chunks(8).zip(source.chunks(8)).zip(own.chunks(8)).zip(edge.chunks(8)) {
                let terms = sums.iter_mut().zip(v).zip(s.iter().zip(o).zip(e));
                terms.for_each(|((sum, v), ((s, o), e))| *sum += v * leaky(slope, (o + s) + e));
            }
        }
        let [a, b, c, d, e, f, g, h] = sums;
        *out = ((a + e) + (c + g)) + ((b + f) + (d + h));
    }
}

impl Layer for GatV2Conv {
    fn name(&self) -> &str {
        "GATv2Conv"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(vec![Shape { of: Of::Nodes, channels: self.attention.channels() }])
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let (attention, heads, channels) = (&self.attention, self.attention.heads, self.attention.outputs);
        let part = Part::new(graph.edges, rows);
        let own_rows = part.own(inputs[0]);
        let sources = self.source.forward(&part.seen(inputs[0]))?;
        let own = self.own.as_ref().unwrap_or(&self.source).forward(&own_rows)?;
        let mut out = Matrix::zeros(part.rows(), heads * channels);
        let (mut list, mut scores) = (Vec::new(), Vec::new());
        let loops = if attention.loops { Loops::One } else { Loops::AsGiven };
        part.lists(loops, |batch| {
            let edge_rows = match (inputs.get(1), &self.edge) {
                (Some(attr), Some(edge)) => Some(edge.forward(&features(batch, attr, attention.fill))?),
                _ => None,
            };
            let mut first = 0;
            for edges in batch.chunk_by(|a: &Edge, b: &Edge| a.place == b.place) {
                let place = edges[0].place;
                list.clear();
                list.extend(edges.iter().map(|edge| edge.src as u32));
                scores.clear();
                scores.resize(heads * list.len(), 0.0);
                for head in 0..heads {
                    let part = head * channels..(head + 1) * channels;
                    for (k, edge) in edges.iter().enumerate() {
                        let features = edge_rows.as_ref().map_or(&[][..], |rows| &rows.row(first + k)[part.clone()]);
                        score(
                            &self.vector[part.clone()],
                            &sources.row(edge.src)[part.clone()],
                            &own.row(place)[part.clone()],
                            features,
                            attention.negative_slope,
                            &mut scores[head * list.len() + k],
                        );
                    }
                }
                attend(&mut scores, &list, &sources, out.row_mut(place), heads);
                first += edges.len();
            }
            Ok(())
        })?;
        Ok(vec![attention.finish(out, &own_rows)?])
    }
}
