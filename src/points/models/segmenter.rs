//! A segmentation model: a network, its classes, and what they mean for objects.

use std::path::Path;
use std::sync::Arc;

use super::decision::decide;
use super::domain;
use super::graph_unet::{Config, GraphUNet, Pyramid};
use super::instances::{Kind, agree, objects};
use super::numbers::{Numbers, lasting, ranks};
use crate::layers::{Weights, model_file};
use crate::points::segmentation::{Classes, Segmentation};
use crate::report::{Clock, Stats};
use crate::{BoxError, Error, KnnGraph, Nodes};

/// Classes that come as objects: their kind, and how far apart two nodes of one object may be (m).
const OBJECTS: [(&str, &str, f32); 14] = [
    ("car", "vehicle", 0.6),
    ("truck", "vehicle", 0.8),
    ("other-vehicle", "vehicle", 0.8),
    ("bicycle", "two-wheeler", 0.5),
    ("motorcycle", "two-wheeler", 0.5),
    ("bicyclist", "two-wheeler", 0.5),
    ("motorcyclist", "two-wheeler", 0.5),
    ("person", "person", 0.5),
    ("building", "building", 1.5),
    ("trunk", "tree", 0.5),
    ("pole", "pole", 0.5),
    ("traffic-sign", "sign", 0.5),
    ("High Vegetation", "tree", 1.5),
    ("Building", "building", 3.0),
];

/// A trained model; a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct SegmentationModel {
    inner: Arc<Inner>,
    /// The least probability that gives a class.
    abstain: f32,
    /// That share a frame.
    threads: usize,
    numbers: Numbers,
}

#[derive(Debug)]
struct Inner {
    name: String,
    network: GraphUNet,
    classes: Arc<Classes>,
    /// Class indices of each group, where the decision goes by group.
    groups: Option<Vec<Vec<usize>>>,
    /// Per class index.
    kinds: Vec<Option<Kind>>,
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
        let kind = |name: &str| {
            let object = OBJECTS.iter().find(|(class, ..)| *class == name);
            object.map(|&(_, name, reach)| Kind { name, reach2: reach * reach })
        };
        let kinds = config.classes.iter().map(|class| kind(&class.name)).collect();
        let inner = Inner { name: name.into(), network, classes: Arc::new(classes), groups, kinds };
        Ok(SegmentationModel { inner: Arc::new(inner), abstain: 0.0, threads: 1, numbers: Numbers::Frame })
    }

    /// The same model, which gives class 0 where the probability of the best class is below `least`.
    ///
    /// Such a point is of no object. Its confidence stays that of the class that it was not given.
    pub fn abstaining_below(&self, least: f32) -> SegmentationModel {
        SegmentationModel { abstain: least, ..self.clone() }
    }

    /// The same model, which labels a frame by so many threads: the same bits, sooner.
    pub fn shared_by(&self, threads: usize) -> SegmentationModel {
        SegmentationModel { threads: threads.max(1), ..self.clone() }
    }

    /// The same model, which numbers objects otherwise.
    ///
    /// Numbers that last want the nodes of a map ([`Nodes::cell`]).
    pub fn numbering(&self, numbers: Numbers) -> SegmentationModel {
        SegmentationModel { numbers, ..self.clone() }
    }

    /// How many threads share a frame.
    pub fn threads(&self) -> usize {
        self.threads
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
        &self.inner.name
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        self.inner.network.config()
    }

    /// What its class codes mean.
    pub fn classes(&self) -> &Arc<Classes> {
        &self.inner.classes
    }

    /// What of a frame is unlike the frames that the model was trained on, in words; `None` if nothing is, or the file says
    /// nothing of its training.
    pub fn unlike(&self, nodes: &Nodes) -> Option<String> {
        let found = domain::outside(&self.config().trained_range, nodes);
        (!found.is_empty()).then(|| {
            let (name, found) = (&self.inner.name, found.join("; "));
            format!("model {name}: the input is unlike its training data, so its labels may be wrong: {found}")
        })
    }

    /// Labels every point of a graph's frame; the graph must be the one that the model was trained for. A frame that is read again
    /// ([`Frame::again`](crate::Frame::again)) gets no labels.
    ///
    /// # Errors
    /// [`Error::Value`] if the graph has another k than the model asks for; if objects are to have numbers that last, and the graph is no
    /// map's, or there are more of them than numbers.
    pub fn segment(&self, graph: &KnnGraph, stats: &Stats) -> Result<Segmentation, BoxError> {
        let config = self.config();
        let nodes = &graph.nodes;
        if nodes.frame.again {
            let (frame, classes) = (Arc::clone(&nodes.frame), Arc::clone(&self.inner.classes));
            let (class, confidence, instance) = Default::default();
            return Ok(Segmentation { frame, class, confidence, instance, classes });
        }
        let expected = config.k.min(nodes.len().saturating_sub(1));
        if graph.k != expected {
            let expected = format!("{} neighbours a node (k = {}) for model {}", expected, config.k, self.inner.name);
            return Err(Error::Value { what: "kNN graph", found: graph.k.to_string(), expected }.into());
        }
        let mut clock = Clock::default();
        let pyramid = Pyramid::build(graph, config, self.threads, &mut clock)?;
        if !nodes.is_empty() {
            stats.compared(nodes.frame.id, self.unlike(nodes));
        }
        let logits = clock.time("layers", || self.inner.network.forward(&pyramid, self.threads))?;
        if logits.data().iter().any(|logit| !logit.is_finite()) {
            let name = &self.inner.name;
            stats.warn(format!("model {name}: the scores of some points overflow: their labels mean nothing"));
        }
        let labelled = clock.time("objects", || -> Result<Segmentation, Error> {
            let mut decided = decide(&logits, config, self.inner.groups.as_deref());
            let object = objects(graph, &decided, &self.inner.kinds);
            agree(&mut decided, &object, &self.inner.kinds);
            let of = |node: &u32| (*node != Nodes::NONE).then_some(*node as usize);
            let given = |node: usize| decided.share[node] >= self.abstain;
            let id = |node: usize| if given(node) { config.classes[decided.class[node] as usize].id } else { 0 };
            let first = |node: usize| Some(object[node]).filter(|first| *first != Nodes::NONE && given(node));
            let instance = match self.numbers {
                Numbers::Frame => ranks(nodes, first),
                Numbers::Lasting { most } => {
                    let number = lasting(&object, nodes.cells()?, most)?;
                    let number = |node: usize| first(node).and_then(|first| number.get(&first).copied());
                    nodes.of_point.iter().map(|n| of(n).and_then(number).unwrap_or(0)).collect()
                }
            };
            Ok(Segmentation {
                frame: Arc::clone(&nodes.frame),
                class: nodes.of_point.iter().map(|n| of(n).map_or(0, id)).collect(),
                confidence: nodes.of_point.iter().map(|n| of(n).map_or(0.0, |node| decided.share[node])).collect(),
                instance,
                classes: Arc::clone(&self.inner.classes),
            })
        })?;
        stats.record(clock);
        Ok(labelled)
    }
}
