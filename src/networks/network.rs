//! A network as a list of steps, each a layer on values that steps before it gave: `forward` runs them in order.

use std::fmt::Debug;
use std::ops::Range;

use crate::Error;
use crate::layers::{Layer, Matrix, Rows, Shape, Structure};

/// What a network takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// Channels of `x`, the features of the nodes.
    pub x: usize,
    /// Channels of `edge_attr`; `None` where the network takes no attributes of edges.
    pub edge_attr: Option<usize>,
    /// The columns of a table of nodes that are the channels of `x`, in this order, where the file names them.
    pub columns: Option<Vec<String>>,
    /// The columns of a table of edges that are the channels of `edge_attr`, in this order, where the file names them.
    pub edge_columns: Option<Vec<String>>,
}

/// A function from a graph with features to one matrix. [`Network`] is one; a user may write another.
///
/// ```
/// use thalweg::Error;
/// use thalweg::layers::{Matrix, Neighbors, Of, Shape, Structure};
/// use thalweg::networks::{GraphNetwork, Inputs};
///
/// /// The number of sources of each node.
/// #[derive(Debug)]
/// struct InDegree(Inputs);
///
/// impl GraphNetwork for InDegree {
///     fn name(&self) -> &str {
///         "in-degree"
///     }
///     fn inputs(&self) -> &Inputs {
///         &self.0
///     }
///     fn output(&self) -> Shape {
///         Shape { of: Of::Nodes, channels: 1 }
///     }
///     fn forward(&self, x: &Matrix, _: Option<&Matrix>, graph: &Structure) -> Result<Matrix, Error> {
///         let mut out = Matrix::zeros(x.rows(), 1);
///         (0..x.rows()).for_each(|i| out.row_mut(i)[0] = graph.edges.of(i).len() as f32);
///         Ok(out)
///     }
/// }
///
/// let network = InDegree(Inputs { x: 1, edge_attr: None, columns: None, edge_columns: None });
/// let edges = Neighbors::from_edges(2, &[0, 1], &[1, 1]).unwrap();
/// let graph = Structure { edges: &edges, graph: None, graphs: 1 };
/// assert_eq!(network.forward(&Matrix::zeros(2, 1), None, &graph).unwrap().data(), [0.0, 2.0]);
/// ```
pub trait GraphNetwork: Debug + Send + Sync {
    /// How messages call it.
    fn name(&self) -> &str;

    /// What it takes.
    fn inputs(&self) -> &Inputs;

    /// The shape of what it gives.
    fn output(&self) -> Shape;

    /// Its output for the whole graph: `x` `[nodes, inputs().x]`, `edge_attr` `[edges, inputs().edge_attr]` in the order of the lists.
    ///
    /// # Errors
    /// [`Error::Shape`] if an input has another shape than the graph and the network ask for.
    fn forward(&self, x: &Matrix, edge_attr: Option<&Matrix>, graph: &Structure) -> Result<Matrix, Error>;
}

/// One layer of a network, with the values that it works on.
///
/// Values have numbers: 0 is `x`, 1 is `edge_attr`, and the outputs of the steps follow in order.
#[derive(Debug)]
pub struct Step {
    pub(super) name: String,
    pub(super) layer: Box<dyn Layer>,
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Range<usize>,
    /// Values that no later step looks at.
    pub(super) frees: Vec<usize>,
}

impl Step {
    /// Its name in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it computes.
    pub fn layer(&self) -> &dyn Layer {
        self.layer.as_ref()
    }

    /// The numbers of the values that it takes.
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }

    /// The numbers of the values that it gives.
    pub fn outputs(&self) -> Range<usize> {
        self.outputs.clone()
    }
}

/// A network read from a file, whose shapes fit from the inputs to the output.
#[derive(Debug)]
pub struct Network {
    pub(super) name: String,
    pub(super) inputs: Inputs,
    pub(super) steps: Vec<Step>,
    /// The shape of each value.
    pub(super) shapes: Vec<Shape>,
    /// The number of the value that the network gives.
    pub(super) output: usize,
    pub(super) licence: Option<String>,
    pub(super) trained_on: Option<String>,
}

impl Network {
    /// Its steps, in the order in which they run.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The shape of each value, by its number.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// The number of the value that is the output.
    pub fn output_value(&self) -> usize {
        self.output
    }

    /// The licence of the weights, where the file tells it.
    pub fn licence(&self) -> Option<&str> {
        self.licence.as_deref()
    }

    /// What the weights were trained on, where the file tells it.
    pub fn trained_on(&self) -> Option<&str> {
        self.trained_on.as_deref()
    }

    /// An error unless the inputs have the shapes that the graph and the network ask for.
    fn check(&self, x: &Matrix, edge_attr: Option<&Matrix>, graph: &Structure) -> Result<(), Error> {
        let what = |input: &str| format!("network {}: {input}", self.name);
        Error::unless_same(&what("x"), x.shape(), [graph.edges.nodes(), self.inputs.x])?;
        let expected = self.inputs.edge_attr.map(|channels| [graph.edges.edges(), channels]);
        Error::unless_same(&what("edge_attr"), edge_attr.map(Matrix::shape), expected)
    }
}

impl GraphNetwork for Network {
    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    fn output(&self) -> Shape {
        self.shapes[self.output]
    }

    fn forward(&self, x: &Matrix, edge_attr: Option<&Matrix>, graph: &Structure) -> Result<Matrix, Error> {
        self.check(x, edge_attr, graph)?;
        let missing = |value: usize| {
            let (what, expected) = (format!("network {}: value {value}", self.name), "a value that a step gave".into());
            Error::Shape { what, found: "none".into(), expected }
        };
        let mut values: Vec<Option<Matrix>> = vec![None; self.shapes.len()];
        for step in &self.steps {
            let given = |&value: &usize| match value {
                0 => Ok(x),
                1 => edge_attr.ok_or_else(|| missing(1)),
                _ => values[value].as_ref().ok_or_else(|| missing(value)),
            };
            let inputs: Vec<&Matrix> = step.inputs.iter().map(given).collect::<Result<_, _>>()?;
            let outputs = step.layer.forward(&inputs, graph, Rows::All)?;
            for (place, output) in step.outputs.clone().zip(outputs) {
                values[place] = Some(output);
            }
            step.frees.iter().for_each(|&value| values[value] = None);
        }
        match self.output {
            0 => Ok(x.clone()),
            1 => edge_attr.cloned().ok_or_else(|| missing(1)),
            value => values[value].take().ok_or_else(|| missing(value)),
        }
    }
}
