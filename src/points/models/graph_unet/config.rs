//! The shape of a GraphUNet, as the metadata key `thalweg` of its model file says it.

use serde::Deserialize;

use crate::Error;
use crate::layers::Weights;
use crate::points::models::domain::TrainedRange;

/// One output class.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Class {
    /// SemanticKITTI train id, or ASPRS code.
    pub id: u8,
    /// Its usual name.
    pub name: String,
}

/// Classes that belong together.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// Class ids.
    pub ids: Vec<u8>,
}

/// How a class is picked from the probabilities.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The most probable class.
    Class,
    /// The most probable group first, then the most probable class within it.
    Group,
}

/// A per-point input of level 0.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Height in the sensor's frame (m).
    Z,
    /// Height above the ground around the sensor (m), wherever the sensor is mounted.
    AboveGround,
    /// Horizontal distance from the sensor (m).
    Range,
    /// Reflectivity, 0–1; 0 where absent.
    Intensity,
    /// 1 where the frame has intensities, which are not all 0.
    HasIntensity,
    /// Return number / number of returns; 0 where absent.
    ReturnRatio,
    /// Number of returns; 0 where absent.
    Returns,
    /// 1 where the frame has return numbers.
    HasReturns,
}

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Must be `GraphUNet`.
    pub architecture: String,
    /// Levels of the pyramid.
    pub levels: usize,
    /// Voxel edge of level 0 (m).
    pub s0: f64,
    /// Neighbours a node.
    pub k: usize,
    /// Channels a level.
    pub channels: Vec<usize>,
    /// Blocks a level, going up.
    pub blocks: Vec<usize>,
    /// Channels a level below the top, going down.
    pub dec_channels: Vec<usize>,
    /// Blocks a level below the top, going down.
    pub dec_blocks: Vec<usize>,
    /// Channels of the head.
    pub head: usize,
    /// Edges of the columns in which heights above ground are taken (m).
    pub columns: Vec<f64>,
    /// What heights are divided by (m).
    pub hag_scale: f32,
    /// Per-point inputs of level 0.
    pub inputs: Vec<Input>,
    /// What each of them is multiplied by.
    pub input_scales: Vec<f32>,
    /// Output classes, in the order of the logits.
    pub classes: Vec<Class>,
    /// Groups of classes.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// How a class is picked.
    #[serde(default = "by_class")]
    pub decision: Decision,
    /// Divides the logits before the softmax.
    pub temperature: f32,
    /// Whether the file has a second set of weights, under names that begin with `without_intensity.`, for frames without intensity: the
    /// statistics of the normalisation that is folded into the weights are others there.
    #[serde(default)]
    pub without_intensity: bool,
    /// Licence of the weights.
    #[serde(default)]
    pub licence: String,
    /// What they were trained on.
    #[serde(default)]
    pub trained_on: String,
    /// What its inputs were like in training.
    #[serde(default)]
    pub trained_range: Vec<TrainedRange>,
}

/// Lengths that a configuration may name (m).
const LENGTHS: std::ops::RangeInclusive<f64> = 1e-3..=1e6;

fn by_class() -> Decision {
    Decision::Class
}

impl Config {
    /// Reads and checks the metadata of a model file.
    ///
    /// # Errors
    /// Metadata that is missing, unreadable, or contradicts itself.
    pub fn read(weights: &Weights, metadata: Option<&str>) -> Result<Config, Error> {
        let text = metadata.ok_or_else(|| weights.error("metadata", "no key `thalweg`", "a model configuration"))?;
        let config: Config = serde_json::from_str(text)
            .map_err(|error| weights.error("metadata key `thalweg`", error, "a GraphUNet configuration"))?;
        config.check().map_err(|(key, found, expected)| weights.error(key, found, expected))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (&'static str, String, String)> {
        let levels = self.levels;
        let fail = |key, found: String, expected: &str| Err((key, found, expected.to_string()));
        if self.architecture != "GraphUNet" {
            return fail("architecture", self.architecture.clone(), "GraphUNet");
        }
        if !(1..=16).contains(&levels) {
            return fail("levels", levels.to_string(), "1 to 16");
        }
        if !LENGTHS.contains(&self.s0) {
            return fail("s0", self.s0.to_string(), "0.001 to 1000000 m");
        }
        if !(1..=64).contains(&self.k) {
            return fail("k", self.k.to_string(), "1 to 64");
        }
        let lengths = [self.channels.len(), self.blocks.len(), self.dec_channels.len() + 1, self.dec_blocks.len() + 1];
        if lengths.iter().any(|&length| length != levels) {
            let found = format!("{lengths:?}");
            return fail("channels, blocks, dec_channels + 1, dec_blocks + 1", found, "one entry a level");
        }
        if self.channels.iter().chain(&self.dec_channels).chain([&self.head]).any(|&c| !(1..=4096).contains(&c)) {
            return fail("channels", format!("{:?}", self.channels), "1 to 4096 each");
        }
        if self.columns.iter().any(|c| !LENGTHS.contains(c)) || self.columns.len() > 16 {
            return fail("columns", format!("{:?}", self.columns), "at most 16 lengths of 0.001 to 1000000 m");
        }
        if !LENGTHS.contains(&f64::from(self.hag_scale)) {
            return fail("hag_scale", self.hag_scale.to_string(), "0.001 to 1000000 m");
        }
        if self.inputs.len() != self.input_scales.len() {
            return fail("input_scales", self.input_scales.len().to_string(), "one for each of `inputs`");
        }
        if self.without_intensity && !self.inputs.contains(&Input::HasIntensity) {
            return fail("without_intensity", "true".into(), "`has_intensity` among `inputs`");
        }
        if let Some(scale) = self.input_scales.iter().find(|scale| !scale.is_finite()) {
            return fail("input_scales", scale.to_string(), "finite numbers");
        }
        let mut ids: Vec<u8> = self.classes.iter().map(|class| class.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() || ids.len() < self.classes.len() {
            let found = format!("{} classes with {} ids", self.classes.len(), ids.len());
            return fail("classes", found, "one or more, each with an id of its own");
        }
        if let Some(range) = self
            .trained_range
            .iter()
            .find(|range| range.least.partial_cmp(&range.most).is_none_or(|order| order.is_gt()))
        {
            return fail("trained_range", format!("{range:?}"), "a least value at or below the most");
        }
        if !(1e-3..=1e3).contains(&self.temperature) {
            return fail("temperature", self.temperature.to_string(), "0.001 to 1000");
        }
        Ok(())
    }

    /// Voxel edge of a level (m).
    pub fn edge(&self, level: usize) -> f64 {
        self.s0 * (1u64 << level) as f64
    }
}
