//! A model file of two networks: the encoder makes a row of a frame's graph, the head makes joints of the rows of a window.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::cloud::Layout;
use super::sigma::{Calibration, Factors};
use super::{JOINTS, Skeleton};
use crate::Error;
use crate::graph::Graph;
use crate::layers::{Matrix, Neighbors, Of, Shape, Structure, Weights, model_file};
use crate::networks::{GraphNetwork, Network};

/// Numbers that the head gives: places, then logarithms of sigmas.
const OUTPUTS: usize = 4 * JOINTS;
/// Most frames that a model may look back.
const MOST_FRAMES: usize = 1000;

/// A trained model; a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct PoseModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    about: About,
    encoder: Network,
    head: Network,
    /// Channels of a row.
    row: usize,
    /// What sigmas are multiplied by.
    calibration: Calibration,
}

/// What the metadata says beside the two networks.
#[derive(Debug, Deserialize)]
struct About {
    #[serde(flatten)]
    layout: Layout,
    /// Frames in a graph.
    ages: usize,
    /// Rows that the head takes, and how many frames lie between two of them.
    window: usize,
    stride: usize,
    /// What sigmas are multiplied by.
    sigma: Factors,
}

impl PoseModel {
    /// Reads a model from the bytes of a safetensors file; `name` is how messages call it.
    ///
    /// # Errors
    /// [`Error::Model`]: bytes that are no such model.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<PoseModel, Error> {
        let weights = Weights::read(name, bytes)?;
        let error = |place: &str, found: String, expected: &str| weights.error(place, found, expected);
        let text = weights.description();
        let text = text.ok_or_else(|| error("metadata", "no key thalweg".into(), "a description of the model"))?;
        let json = |e: serde_json::Error| error("metadata thalweg", e.to_string(), "a description of a pose model");
        let value: Value = serde_json::from_str(text).map_err(json)?;
        if value.get("architecture").and_then(Value::as_str) != Some("pose") || value["version"] != 2 {
            let found = format!("{} {}", value["architecture"], value["version"]);
            return Err(error("architecture, version", found, "\"pose\" 2"));
        }
        let part = |part: &str| -> Result<Network, Error> {
            let name = format!("{name}, {part}");
            Network::described(&name, &weights.part(&name, &format!("{part}."))?, value[part].clone())
        };
        let (encoder, head) = (part("encoder")?, part("head")?);
        let about: About = serde_json::from_value(value).map_err(json)?;
        let counts = [about.ages, about.window, about.stride, about.layout.k];
        if counts.iter().any(|count| !(1..=MOST_FRAMES).contains(count)) || about.window * about.stride > MOST_FRAMES {
            let found = format!("{counts:?}");
            return Err(error("ages, window, stride, k", found, "1 or more each, a window of at most 1000 frames"));
        }
        let features = about.layout.offset.len();
        if encoder.inputs().x != features || encoder.inputs().edge_attr.is_some() || encoder.output().of != Of::Graphs {
            let found = format!("{} features to {}", encoder.inputs().x, encoder.output());
            return Err(error("encoder", found, &format!("{features} features to one row a graph")));
        }
        let row = encoder.output().channels;
        let wanted = (row.saturating_mul(about.window), Shape { of: Of::Nodes, channels: OUTPUTS });
        if (head.inputs().x, head.output()) != wanted {
            let found = format!("{} channels to {}", head.inputs().x, head.output());
            return Err(error("head", found, &format!("{} channels to {OUTPUTS} a node", wanted.0)));
        }
        let calibration = Calibration::read(&weights, about.sigma.clone(), row)?;
        Ok(PoseModel(Arc::new(Inner { name: name.into(), about, encoder, head, row, calibration })))
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`Error::Model`]: a file that cannot be read, or is no model.
    pub fn open(path: &Path) -> Result<PoseModel, Error> {
        let (name, bytes) = model_file(path)?;
        PoseModel::from_bytes(&name, &bytes)
    }

    /// Its name or path.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Frames that an answer depends on, its own among them.
    pub fn frames(&self) -> usize {
        let about = &self.0.about;
        (about.window - 1) * about.stride + about.ages
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.0.about.layout
    }

    /// Frames in a graph.
    pub(super) fn ages(&self) -> usize {
        self.0.about.ages
    }

    /// Rows that are kept: that of the newest frame, and those before it as far as the window reaches.
    pub(super) fn kept(&self) -> usize {
        (self.0.about.window - 1) * self.0.about.stride + 1
    }

    /// The row of a frame's graph; zeros where there is none.
    ///
    /// # Errors
    /// Those of the network.
    pub(super) fn encode(&self, graph: Option<&Graph>) -> Result<Vec<f32>, Error> {
        let Some(graph) = graph else { return Ok(vec![0.0; self.0.row]) };
        let batch = vec![0; graph.nodes()];
        let structure = Structure { edges: &graph.edges, graph: Some(&batch), graphs: 1 };
        Ok(self.0.encoder.forward(&graph.x, None, &structure)?.row(0).to_vec())
    }

    /// The joints, from the rows of the window, newest first; rows that are missing are zeros.
    ///
    /// # Errors
    /// Those of the network.
    pub(super) fn decode<'a>(&self, frame: i64, rows: impl Iterator<Item = &'a [f32]>) -> Result<Skeleton, Error> {
        let Inner { about, row, head, calibration, .. } = &*self.0;
        let mut x = Matrix::zeros(1, row * about.window);
        let places = x.row_mut(0).chunks_exact_mut((*row).max(1));
        places.zip(rows.step_by(about.stride)).for_each(|(place, row)| place.copy_from_slice(row));
        let factor = calibration.factor(x.row(0).chunks_exact((*row).max(1)));
        let alone = Neighbors::from_edges(1, &[], &[])?;
        let y = head.forward(&x, None, &Structure { edges: &alone, graph: None, graphs: 1 })?;
        let (places, logs) = y.row(0).split_at(3 * JOINTS);
        let mut skeleton = Skeleton { frame, joint: [[0.0; 3]; JOINTS], sigma: [0.0; JOINTS] };
        skeleton.joint.as_flattened_mut().copy_from_slice(places);
        for (sigma, log) in skeleton.sigma.iter_mut().zip(logs) {
            *sigma = libm::expf(*log) * factor;
        }
        Ok(skeleton)
    }
}
