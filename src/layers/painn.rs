//! PaiNN's two blocks on scalars `q` and vectors `μ`: the message from neighbours, and the update of a node by itself.
//!
//! From: Schütt et al., "Equivariant message passing for the prediction of tensorial properties and molecular spectra", ICML 2021,
//! eq. 7 to 10; names and parameters as SchNetPack's `PaiNNInteraction` and `PaiNNMixing`. A node's vectors are one row of
//! `3 channels` numbers: the x components of all channels, then y, then z.
//!
//! Message, with a filter `W_ji` (three numbers a channel) and a direction `u_ji` an edge, and `[a, b, c] = W_ji ∘ net(q_j)`:
//! `q'_i = q_i + Σ_j a`, `μ'_i = μ_i + Σ_j (b u_ji + c μ_j)`.
//! Update, with `[V, W] = mix(μ)` and `[a, b, c] = net([q, |V|])`: `q' = q + a + c (V · W)`, `μ' = μ + b W`.

use super::aggregate::Folded;
use super::part::{BATCH, Loops, Part};
use super::signature::Signature;
use super::{Activation, Aggregation, Args, Layer, Linear, Matrix, Mismatch, Of, RowWise, Rows, Shape, Structure};
use crate::Error;

/// The message block. Inputs: `q` `[nodes, n_atom_basis]`, `μ` `[nodes, 3 n_atom_basis]`, filters `[edges, 3 n_atom_basis]`, directions
/// `[edges, 3]`; outputs like `q` and `μ`.
#[derive(Clone, Debug)]
pub struct PainnInteraction {
    net: [Linear; 2],
    channels: usize,
}

/// The update block. Inputs: `q` `[rows, n_atom_basis]`, `μ` `[rows, 3 n_atom_basis]`; outputs like them.
#[derive(Clone, Debug)]
pub struct PainnMixing {
    net: [Linear; 2],
    mix: Linear,
    channels: usize,
    epsilon: f32,
}

impl PainnInteraction {
    /// From `n_atom_basis`, and the tensors of `interatomic_context_net`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        let n = args.count("n_atom_basis")?;
        args.word("activation", "silu", &["silu"])?;
        let layer = |i: usize, outputs| args.linear(&format!("interatomic_context_net.{i}"), n, outputs, true);
        Ok(PainnInteraction { net: [layer(0, n)?, layer(1, 3 * n)?], channels: n })
    }

    fn signature(&self) -> Signature {
        let n = self.channels;
        Signature::default().nodes(n).nodes(3 * n).edges(3 * n).edges(3)
    }
}

impl Layer for PainnInteraction {
    fn name(&self) -> &str {
        "PaiNNInteraction"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(inputs[..2].to_vec())
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let (part, n) = (Part::new(graph.edges, rows), self.channels);
        let vectors = part.seen(inputs[1]);
        let hidden = Activation::SiLU.apply(self.net[0].forward(&part.seen(inputs[0]))?)?;
        let context = self.net[1].forward(&hidden)?;
        let mut scalar_sums = Folded::new(Aggregation::Add, part.rows(), n);
        let mut vector_sums = Folded::new(Aggregation::Add, part.rows(), 3 * n);
        part.batches(Loops::AsGiven, BATCH, |edges| {
            let (mut scalars, mut moves) = (Matrix::zeros(edges.len(), n), Matrix::zeros(edges.len(), 3 * n));
            for (e, edge) in edges.iter().enumerate() {
                let (filter, direction) = (inputs[2].row(edge.number), inputs[3].row(edge.number));
                let (context, vector) = (context.row(edge.src), vectors.row(edge.src));
                let (scalars, moves) = (scalars.row_mut(e), moves.row_mut(e));
                for c in 0..n {
                    scalars[c] = filter[c] * context[c];
                    let along = filter[n + c] * context[n + c];
                    let kept = filter[2 * n + c] * context[2 * n + c];
                    for axis in 0..3 {
                        moves[axis * n + c] = along * direction[axis] + kept * vector[axis * n + c];
                    }
                }
            }
            scalar_sums.add(edges, &scalars);
            vector_sums.add(edges, &moves);
            Ok(())
        })?;
        Ok(vec![added(scalar_sums.finish(), &part.own(inputs[0])), added(vector_sums.finish(), &part.own(inputs[1]))])
    }
}

/// `own + sums`.
fn added(mut sums: Matrix, own: &Matrix) -> Matrix {
    sums.data_mut().iter_mut().zip(own.data()).for_each(|(sum, own)| *sum += own);
    sums
}

impl PainnMixing {
    /// From `n_atom_basis`, `epsilon` (1e-8), and the tensors of `intraatomic_context_net` and `mu_channel_mix`.
    ///
    /// # Errors
    /// An argument or a tensor that does not fit.
    pub fn from_args(args: &Args) -> Result<Self, Error> {
        let n = args.count("n_atom_basis")?;
        args.word("activation", "silu", &["silu"])?;
        let net =
            |i: usize, inputs, outputs| args.linear(&format!("intraatomic_context_net.{i}"), inputs, outputs, true);
        let epsilon = args.number("epsilon", 1e-8)? as f32;
        if epsilon < 0.0 {
            return Err(args.error("epsilon", epsilon, "0 or more"));
        }
        let net = [net(0, 2 * n, n)?, net(1, n, 3 * n)?];
        Ok(PainnMixing { net, mix: args.linear("mu_channel_mix", n, 2 * n, false)?, channels: n, epsilon })
    }

    fn signature(&self) -> Signature {
        Signature::default().nodes(self.channels).nodes(3 * self.channels)
    }
}

impl Layer for PainnMixing {
    fn name(&self) -> &str {
        "PaiNNMixing"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
        self.signature().shapes(inputs)?;
        Ok(inputs.to_vec())
    }

    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error> {
        self.signature().matrices(self.name(), inputs, graph, rows, Of::Nodes)?;
        let n = self.channels;
        let (mut q, mut mu) = (rows.take(inputs[0]).into_owned(), rows.take(inputs[1]).into_owned());
        // The three components of a node are three rows of the product.
        let mut axes = Matrix::zeros(3 * q.rows(), n);
        axes.data_mut().copy_from_slice(mu.data());
        let mixed = self.mix.forward(&axes)?;
        let mut norms = Matrix::zeros(q.rows(), n);
        let mut products = Matrix::zeros(q.rows(), n);
        for i in 0..q.rows() {
            let [x, y, z] = [0, 1, 2].map(|axis| mixed.row(3 * i + axis));
            for c in 0..n {
                let length2 = x[c] * x[c] + y[c] * y[c] + z[c] * z[c];
                norms.row_mut(i)[c] = (length2 + self.epsilon).sqrt();
                products.row_mut(i)[c] = x[c] * x[n + c] + y[c] * y[n + c] + z[c] * z[n + c];
            }
        }
        let hidden = Activation::SiLU.apply(self.net[0].forward(&q.beside(&norms)?)?)?;
        let context = self.net[1].forward(&hidden)?;
        for i in 0..q.rows() {
            let (context, product) = (context.row(i), products.row(i));
            for (c, q) in q.row_mut(i).iter_mut().enumerate() {
                *q += context[c] + context[2 * n + c] * product[c];
            }
            for (axis, mu) in mu.row_mut(i).chunks_exact_mut(n).enumerate() {
                let kept = &mixed.row(3 * i + axis)[n..];
                mu.iter_mut().enumerate().for_each(|(c, mu)| *mu += context[n + c] * kept[c]);
            }
        }
        Ok(vec![q, mu])
    }
}
