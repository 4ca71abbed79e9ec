//! A segmentation model: a network, its classes, and what they mean for objects.

use std::path::Path;
use std::sync::Arc;

use super::decision::decide;
use super::domain;
use super::graph_unet::{Config, GraphUNet, Pyramid};
use super::instances::instances;
use crate::layers::{Weights, model_file};
use crate::points::segmentation::{Classes, Segmentation};
use crate::report::{Clock, Stats};
use crate::{BoxError, Error, KnnGraph, Nodes};

/// Classes that come as objects, with how far apart two nodes of one object may be (m).
const OBJECTS: [(&str, f32); 14] = [
    ("car", 0.6),
    ("bicycle", 0.5),
    ("motorcycle", 0.5),
    ("truck", 0.8),
    ("other-vehicle", 0.8),
    ("person", 0.5),
    ("bicyclist", 0.5),
    ("motorcyclist", 0.5),
    ("building", 1.5),
    ("trunk", 0.5),
    ("pole", 0.5),
    ("traffic-sign", 0.5),
    ("High Vegetation", 1.5),
    ("Building", 3.0),
];

/// A trained model; a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct SegmentationModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    network: GraphUNet,
    classes: Arc<Classes>,
    /// Class indices of each group, where the decision goes by group.
    groups: Option<Vec<Vec<usize>>>,
    /// Per class index.
    reach2: Vec<Option<f32>>,
}

impl SegmentationModel {
    /// Reads a model from the bytes of a safetensors file; `name` is how messages call it.
    ///
    /// # Errors
    /// [`Error::Model`]: bytes that are no model, or weights that do not fit their configuration.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<SegmentationModel, Error> {
        let weights = Weights::read(name, bytes)?;
        let config = Config::read(&weights, weights.description())?;
        let network = GraphUNet::load(&weights, config)?;
        let config = network.config();
        let index = |id: &u8| config.classes.iter().position(|class| class.id == *id);
        let groups = match config.decision {
            super::graph_unet::Decision::Class => None,
            super::graph_unet::Decision::Group => Some(
                config
                    .groups
                    .iter()
                    .map(|group| group.ids.iter().map(index).collect::<Option<Vec<_>>>().filter(|g| !g.is_empty()))
                    .collect::<Option<Vec<_>>>()
                    .filter(|groups| !groups.is_empty())
                    .ok_or_else(|| weights.error("groups", format!("{:?}", config.groups), "ids of classes"))?,
            ),
        };
        let classes = Classes::new(config.classes.iter().map(|class| (class.id, class.name.clone())));
        let reach = |name: &str| OBJECTS.iter().find(|(object, _)| *object == name).map(|(_, reach)| reach * reach);
        let reach2 = config.classes.iter().map(|class| reach(&class.name)).collect();
        Ok(SegmentationModel(Arc::new(Inner {
            name: name.into(),
            network,
            classes: Arc::new(classes),
            groups,
            reach2,
        })))
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`Error::Model`]: a file that cannot be read, or is no model.
    pub fn open(path: &Path) -> Result<SegmentationModel, Error> {
        let (name, bytes) = model_file(path)?;
        SegmentationModel::from_bytes(&name, &bytes)
    }

    /// Its name or path.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        self.0.network.config()
    }

    /// What its class codes mean.
    pub fn classes(&self) -> &Arc<Classes> {
        &self.0.classes
    }

    /// What of a frame is unlike the frames that the model was trained on, in words; `None` if nothing is, or nothing is known of the training.
    pub fn unlike(&self, nodes: &Nodes) -> Option<String> {
        let own = &self.config().trained_range;
        let ranges = if own.is_empty() { domain::shipped(&self.0.name) } else { own };
        let found = domain::outside(ranges, nodes);
        (!found.is_empty()).then(|| {
            let (name, found) = (&self.0.name, found.join("; "));
            format!("model {name}: the input is unlike its training data, so its labels may be wrong: {found}")
        })
    }

    /// Labels every point of a graph's frame; the graph must be the one that the model was trained for. A frame that is read again
    /// ([`Frame::again`](crate::Frame::again)) gets no labels.
    ///
    /// # Errors
    /// [`Error::Value`] if the graph has another k than the model asks for.
    pub fn segment(&self, graph: &KnnGraph, stats: &Stats) -> Result<Segmentation, BoxError> {
        let config = self.config();
        let nodes = &graph.nodes;
        if nodes.frame.again {
            let (frame, classes) = (Arc::clone(&nodes.frame), Arc::clone(&self.0.classes));
            let (class, confidence, instance) = Default::default();
            return Ok(Segmentation { frame, class, confidence, instance, classes });
        }
        let expected = config.k.min(nodes.len().saturating_sub(1));
        if graph.k != expected {
            let expected = format!("{} neighbours a node (k = {}) for model {}", expected, config.k, self.0.name);
            return Err(Error::Value { what: "kNN graph", found: graph.k.to_string(), expected }.into());
        }
        let mut clock = Clock::default();
        let pyramid = Pyramid::build(graph, config, &mut clock)?;
        if !nodes.is_empty() {
            stats.compared(nodes.frame.id, self.unlike(nodes));
        }
        let decided = clock.time("layers", || {
            let logits = self.0.network.forward(&pyramid)?;
            if logits.data().iter().any(|logit| !logit.is_finite()) {
                stats.warn(format!(
                    "model {}: the scores of some points overflow: their labels mean nothing",
                    self.0.name
                ));
            }
            Ok::<_, Error>(decide(&logits, config, self.0.groups.as_deref()))
        })?;
        let labelled = clock.time("objects", || {
            let class: Vec<u8> = decided.iter().map(|(class, _)| *class).collect();
            let instance = instances(graph, &class, &self.0.reach2);
            let of = |node: &u32| (*node != Nodes::NONE).then(|| decided[*node as usize]);
            Segmentation {
                frame: Arc::clone(&nodes.frame),
                class: nodes.of_point.iter().map(|n| of(n).map_or(0, |(c, _)| config.classes[c as usize].id)).collect(),
                confidence: nodes.of_point.iter().map(|n| of(n).map_or(0.0, |(_, p)| p)).collect(),
                instance,
                classes: Arc::clone(&self.0.classes),
            }
        });
        stats.record(clock);
        Ok(labelled)
    }
}
