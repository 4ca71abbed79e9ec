//! The contract of a layer: a pure function from matrices and a graph to matrices, for all rows or for any of them.
//!
//! An output row has the same bits whichever other rows are computed with it. So a stage may compute the rows that changed alone, and
//! shards may share the rows of one layer.

use std::borrow::Cow;
use std::fmt::Debug;

use super::{Matrix, Neighbors};
use crate::Error;

/// What the rows of a matrix stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The nodes, in the order of their numbers.
    Nodes,
    /// The edges, list after list: the order of [`Neighbors::edges_of`].
    Edges,
    /// The graphs of a batch, such as the molecules of a frame.
    Graphs,
}

/// The shape of a matrix in a network, as far as it is known before a graph comes: `[rows of that kind, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What its rows are.
    pub of: Of,
    /// Its columns.
    pub channels: usize,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = match self.of {
            Of::Nodes => "nodes",
            Of::Edges => "edges",
            Of::Graphs => "graphs",
        };
        write!(f, "[{of}, {}]", self.channels)
    }
}

/// Inputs that a layer cannot work on: what came, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What came.
    pub found: String,
    /// What the layer takes.
    pub expected: String,
}

/// Which rows of the output are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All of them.
    All,
    /// These, ascending; the output has one row for each, in this order.
    These(&'a [u32]),
}

impl Rows<'_> {
    /// How many rows that is of `all`.
    pub fn count(&self, all: usize) -> usize {
        match self {
            Rows::All => all,
            Rows::These(rows) => rows.len(),
        }
    }

    /// The wanted rows of a matrix.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn take<'m>(&self, x: &'m Matrix) -> Cow<'m, Matrix> {
        match self {
            Rows::All => Cow::Borrowed(x),
            Rows::These(rows) => Cow::Owned(x.take(rows)),
        }
    }

    /// An error unless the rows are ascending and below `all`; `name` is the layer's.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn check(&self, name: &str, all: usize) -> Result<(), Error> {
        let Rows::These(rows) = self else { return Ok(()) };
        let what = || format!("{name}: wanted rows");
        if let Some(pair) = rows.windows(2).find(|pair| pair[0] >= pair[1]) {
            let found = format!("{} before {}", pair[0], pair[1]);
            return Err(Error::Shape { what: what(), found, expected: "ascending numbers".into() });
        }
        match rows.last() {
            Some(&last) if last as usize >= all => {
                Err(Error::Shape { what: what(), found: last.to_string(), expected: format!("below {all}") })
            }
            _ => Ok(()),
        }
    }

    /// The number of the row that stands at `place` of the output.
    pub fn at(&self, place: usize) -> usize {
        match self {
            Rows::All => place,
            Rows::These(rows) => rows[place] as usize,
        }
    }
}

/// The graph that a layer works on.
#[derive(Clone, Copy, Debug)]
pub struct Structure<'a> {
    /// For each node its sources, ascending by number.
    pub edges: &'a Neighbors,
    /// The graph that each node is in, `[nodes]`, below `graphs`; `None` where all nodes are of one graph.
    pub graph: Option<&'a [u32]>,
    /// Number of graphs.
    pub graphs: usize,
}

impl Structure<'_> {
    /// How many rows a matrix of that kind has.
    pub fn rows(&self, of: Of) -> usize {
        match of {
            Of::Nodes => self.edges.nodes(),
            Of::Edges => self.edges.edges(),
            Of::Graphs => self.graphs,
        }
    }
}

/// A layer with its weights. Implemented by every layer in [`super::LAYERS`], and by whatever a user writes.
///
/// ```
/// use thalweg::layers::{Layer, Matrix, Mismatch, Neighbors, Rows, Shape, Structure};
///
/// /// The number of sources of each node, beside its features.
/// #[derive(Debug)]
/// struct InDegree;
///
/// impl Layer for InDegree {
///     fn name(&self) -> &str {
///         "InDegree"
///     }
///     fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch> {
///         Ok(vec![Shape { channels: inputs[0].channels + 1, ..inputs[0] }])
///     }
///     fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, thalweg::Error> {
///         let x = inputs[0];
///         let mut out = Matrix::zeros(rows.count(x.rows()), x.cols() + 1);
///         for place in 0..out.rows() {
///             let node = rows.at(place);
///             out.row_mut(place)[..x.cols()].copy_from_slice(x.row(node));
///             out.row_mut(place)[x.cols()] = graph.edges.of(node).len() as f32;
///         }
///         Ok(vec![out])
///     }
/// }
///
/// let edges = Neighbors::from_edges(2, &[0, 1], &[1, 1]).unwrap();
/// let graph = Structure { edges: &edges, graph: None, graphs: 1 };
/// let x = Matrix::from_rows(2, 1, vec![5.0, 6.0]).unwrap();
/// let out = InDegree.forward(&[&x], &graph, Rows::These(&[1])).unwrap();
/// assert_eq!(out[0].row(0), [6.0, 2.0]);
/// ```
pub trait Layer: Debug + Send + Sync {
    /// Its name: PyTorch Geometric's, or PyTorch's.
    fn name(&self) -> &str;

    /// The shapes of its outputs, where it can work on inputs of these shapes.
    ///
    /// # Errors
    /// Both what came and what it takes.
    fn shape(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Mismatch>;

    /// The wanted rows of each output, from whole inputs.
    ///
    /// # Errors
    /// [`Error::Shape`] if an input has another number of rows or channels than the graph and the layer ask for.
    fn forward(&self, inputs: &[&Matrix], graph: &Structure, rows: Rows) -> Result<Vec<Matrix>, Error>;
}
