//! GraphUNet as a network like any other: from the columns of points and their kNN lists to logits.

use std::sync::Arc;

use super::config::Input;
use super::{GraphUNet, Pyramid};
use crate::Error;
use crate::layers::{Matrix, Of, Shape, Structure};
use crate::networks::{GraphNetwork, Inputs};
use crate::points::{Frame, KnnGraph, Nodes, Returns};
use crate::report::Clock;

/// What `x` holds of a node; columns that the configuration does not ask for may be left out from the end.
const COLUMNS: [&str; 6] = ["x", "y", "z", "intensity", "return_number", "return_count"];

/// How many of [`COLUMNS`] a configuration asks for.
fn asked(inputs: &[Input]) -> usize {
    let of = |input: &Input| match input {
        Input::Z | Input::AboveGround | Input::Range => 3,
        Input::Intensity | Input::HasIntensity => 4,
        Input::ReturnRatio | Input::Returns | Input::HasReturns => 6,
    };
    inputs.iter().map(of).max().unwrap_or(3)
}

impl GraphUNet {
    /// What it takes as a [`GraphNetwork`].
    pub(super) fn contract(inputs: &[Input]) -> Inputs {
        let columns: Vec<_> = COLUMNS[..asked(inputs)].iter().map(ToString::to_string).collect();
        Inputs { x: columns.len(), edge_attr: None, columns: Some(columns), edge_columns: None }
    }
}

impl GraphNetwork for GraphUNet {
    fn name(&self) -> &str {
        "GraphUNet"
    }

    fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    fn output(&self) -> Shape {
        Shape { of: Of::Nodes, channels: self.config().classes.len() }
    }

    /// Logits `[nodes, classes]` from `x` `[nodes, inputs().x]`: places (m), intensity (0-1), return number and number of returns, as far as
    /// the configuration asks for them. The lists must be those of the exact kNN graph.
    fn forward(&self, x: &Matrix, _: Option<&Matrix>, graph: &Structure) -> Result<Matrix, Error> {
        let nodes = graph.edges.nodes();
        Error::unless_same("GraphUNet: x", x.shape(), [nodes, self.inputs.x])?;
        let column = |c: usize| (0..nodes).map(|i| x.row(i)[c]).collect::<Vec<f32>>();
        let whole = |c: usize| column(c).into_iter().map(|v| v as u8).collect::<Vec<u8>>();
        let place = Nodes {
            frame: Arc::new(Frame::default()),
            point: (0..nodes as u32).collect(),
            x: column(0),
            y: column(1),
            z: column(2),
            of_point: Vec::new(),
            intensity: (x.cols() > 3).then(|| column(3)),
            returns: (x.cols() > 5).then(|| Returns { number: whole(4), count: whole(5) }),
            cell: None,
        };
        let k = if nodes > 0 { graph.edges.of(0).len() } else { 0 };
        let mut knn = KnnGraph { nodes: Arc::new(place), k, neighbor: Vec::new(), d2: Vec::new() };
        for i in 0..nodes {
            Error::unless_same("GraphUNet: neighbours of a node", graph.edges.of(i).len(), k)?;
            let near = |&j: &u32| {
                let d = [0, 1, 2].map(|axis| x.row(j as usize)[axis] - x.row(i)[axis]);
                (d[0] * d[0] + d[1] * d[1] + d[2] * d[2], j)
            };
            let mut list: Vec<(f32, u32)> = graph.edges.of(i).iter().map(near).collect();
            list.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let (d2, neighbor): (Vec<f32>, Vec<u32>) = list.into_iter().unzip();
            knn.d2.extend(d2);
            knn.neighbor.extend(neighbor);
        }
        GraphUNet::forward(self, &Pyramid::build(&knn, self.config(), 1, &mut Clock::default())?, 1)
    }
}
