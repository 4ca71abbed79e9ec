//! What a layer takes: the kinds and channels of its inputs, checked for shapes and for matrices by one rule.

use super::{Matrix, Mismatch, Of, Rows, Shape, Structure};
use crate::Error;

/// One input: its rows and channels, as far as the layer fixes them.
#[derive(Clone, Copy, Debug)]
struct Input {
    of: Option<Of>,
    channels: Option<usize>,
}

/// The inputs of a layer: those that it needs, then those that may follow.
#[derive(Clone, Debug, Default)]
pub(super) struct Signature {
    needed: Vec<Input>,
    optional: Vec<Input>,
}

impl Signature {
    /// One more input: a row a node.
    pub fn nodes(mut self, channels: usize) -> Self {
        self.needed.push(Input { of: Some(Of::Nodes), channels: Some(channels) });
        self
    }

    /// One more input: a row a node, of any number of channels.
    pub fn any_nodes(mut self) -> Self {
        self.needed.push(Input { of: Some(Of::Nodes), channels: None });
        self
    }

    /// One more input: a row an edge.
    pub fn edges(mut self, channels: usize) -> Self {
        self.needed.push(Input { of: Some(Of::Edges), channels: Some(channels) });
        self
    }

    /// One more input that may be left out: a row an edge.
    pub fn maybe_edges(mut self, channels: usize) -> Self {
        self.optional.push(Input { of: Some(Of::Edges), channels: Some(channels) });
        self
    }

    /// One more input, of any kind of rows.
    pub fn rows(mut self, channels: Option<usize>) -> Self {
        self.needed.push(Input { of: None, channels });
        self
    }

    /// An error unless inputs of these shapes fit.
    pub fn shapes(&self, inputs: &[Shape]) -> Result<(), Mismatch> {
        let fits = |(shape, input): (&Shape, &Input)| {
            input.of.is_none_or(|of| of == shape.of) && input.channels.is_none_or(|channels| channels == shape.channels)
        };
        if self.counts(inputs.len()) && inputs.iter().zip(self.inputs()).all(fits) {
            return Ok(());
        }
        let found: Vec<String> = inputs.iter().map(Shape::to_string).collect();
        Err(Mismatch { found: listed(&found), expected: self.describe(None) })
    }

    /// An error unless these matrices fit the layer and the graph, and the wanted rows are rows of kind `of`.
    pub fn matrices(&self, name: &str, inputs: &[&Matrix], graph: &Structure, rows: Rows, of: Of) -> Result<(), Error> {
        let fits = |(matrix, input): (&&Matrix, &Input)| {
            input.of.is_none_or(|of| graph.rows(of) == matrix.rows())
                && input.channels.is_none_or(|channels| channels == matrix.cols())
        };
        if !self.counts(inputs.len()) || !inputs.iter().zip(self.inputs()).all(fits) {
            let found: Vec<String> = inputs.iter().map(|matrix| format!("{:?}", matrix.shape())).collect();
            let (what, found) = (format!("{name}: shapes of the inputs"), listed(&found));
            return Err(Error::Shape { what, found, expected: self.describe(Some(graph)) });
        }
        rows.check(name, graph.rows(of))
    }

    /// An error unless these matrices have the channels that the layer takes.
    pub fn channels(&self, name: &str, inputs: &[&Matrix]) -> Result<(), Error> {
        let fits =
            |(matrix, input): (&&Matrix, &Input)| input.channels.is_none_or(|channels| channels == matrix.cols());
        if self.counts(inputs.len()) && inputs.iter().zip(self.inputs()).all(fits) {
            return Ok(());
        }
        let found: Vec<String> = inputs.iter().map(|matrix| format!("{:?}", matrix.shape())).collect();
        let (what, found) = (format!("{name}: shapes of the inputs"), listed(&found));
        Err(Error::Shape { what, found, expected: self.describe(None) })
    }

    fn counts(&self, count: usize) -> bool {
        (self.needed.len()..=self.needed.len() + self.optional.len()).contains(&count)
    }

    fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.needed.iter().chain(&self.optional)
    }

    fn describe(&self, graph: Option<&Structure>) -> String {
        let one = |input: &Input| {
            let rows = match (input.of, graph) {
                (None, _) => "rows".into(),
                (Some(of), Some(graph)) => graph.rows(of).to_string(),
                (Some(Of::Nodes), None) => "nodes".into(),
                (Some(Of::Edges), None) => "edges".into(),
                (Some(Of::Graphs), None) => "graphs".into(),
            };
            format!("[{rows}, {}]", input.channels.map_or("any".into(), |channels| channels.to_string()))
        };
        let needed: Vec<String> = self.needed.iter().map(one).collect();
        let optional: Vec<String> = self.optional.iter().map(one).collect();
        match optional.is_empty() {
            true => listed(&needed),
            false => format!("{}, or with {} behind", listed(&needed), listed(&optional)),
        }
    }
}

fn listed(shapes: &[String]) -> String {
    if shapes.is_empty() { "none".into() } else { shapes.join(" and ") }
}
