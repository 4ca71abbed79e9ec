//! Reads a network: the description in the metadata, then each step's layer with its tensors, then every shape from end to end.
//!
//! A file is taken as a whole or refused: a tensor that is missing, misshapen, no number or not asked for; a layer or an argument that
//! is not ours; a value that no step gives. The message names the step, what was found, and what was expected.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Inputs, Network, Step};
use crate::Error;
use crate::layers::{self, Of, Shape, Weights, model_file};

const ARCHITECTURE: &str = "layers";
const VERSION: u64 = 1;

/// Most channels of a value.
const MOST: usize = 1 << 24;

/// The metadata key `thalweg`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    #[serde(rename = "architecture")]
    _architecture: String,
    #[serde(rename = "version")]
    _version: u64,
    inputs: Channels,
    #[serde(default)]
    columns: Columns,
    steps: Vec<StepDescription>,
    output: String,
    licence: Option<String>,
    trained_on: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Channels {
    x: usize,
    edge_attr: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Columns {
    x: Option<Vec<String>>,
    edge_attr: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepDescription {
    name: String,
    layer: String,
    #[serde(default)]
    args: Map<String, Value>,
    inputs: Vec<String>,
    weights: Option<String>,
}

impl Network {
    /// Opens a file that `training/export.py` wrote.
    ///
    /// # Errors
    /// A file that cannot be read; those of [`Network::read`].
    pub fn open(path: &std::path::Path) -> Result<Self, Error> {
        let (name, bytes) = model_file(path)?;
        Network::read(&name, &bytes)
    }

    /// Reads a file that `training/export.py` wrote; `name` is how messages call it.
    ///
    /// # Errors
    /// [`Error::Model`], which names the tensor, the key or the step, what was found, and what was expected.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let weights = Weights::read(name, bytes)?;
        let text = weights.description();
        let text = text.ok_or_else(|| weights.error("metadata", "no key thalweg", "a file of training/export.py"))?;
        let json = |error: serde_json::Error| weights.error("metadata thalweg", error, "a description of a network");
        Network::described(name, &weights, serde_json::from_str(text).map_err(json)?)
    }

    /// A network of these tensors, all of which it takes, as `description` says.
    pub(crate) fn described(name: &str, weights: &Weights, description: Value) -> Result<Self, Error> {
        let description = describe(weights, description)?;
        let inputs = inputs(weights, &description)?;
        let mut values = Values::new(&inputs);
        let mut steps = Vec::with_capacity(description.steps.len());
        for step in &description.steps {
            let step = values.add(weights, step)?;
            steps.push(step);
        }
        let output = values.find(weights, "output", &description.output)?;
        if let Some(extra) = weights.untaken().first() {
            return Err(weights.error(extra, "a tensor that no step takes", "the tensors of the steps alone"));
        }
        free_early(&mut steps, output);
        let Description { licence, trained_on, .. } = description;
        Ok(Network { name: name.into(), inputs, steps, shapes: values.shapes, output, licence, trained_on })
    }
}

/// The description, its architecture and version checked before all else.
fn describe(weights: &Weights, value: Value) -> Result<Description, Error> {
    for (key, expected) in [("architecture", Value::from(ARCHITECTURE)), ("version", Value::from(VERSION))] {
        if value.get(key) != Some(&expected) {
            let found = value.get(key).map_or("none".into(), Value::to_string);
            return Err(weights.error(key, found, expected));
        }
    }
    serde_json::from_value(value)
        .map_err(|error| weights.error("metadata thalweg", error, "a description of a network"))
}

/// The inputs, with as many names of columns as channels.
fn inputs(weights: &Weights, description: &Description) -> Result<Inputs, Error> {
    let Channels { x, edge_attr } = description.inputs;
    let Columns { x: columns, edge_attr: edge_columns } = &description.columns;
    for (key, channels, names) in [("x", Some(x), columns), ("edge_attr", edge_attr, edge_columns)] {
        if let Some(found) = channels.filter(|channels| !(1..=MOST).contains(channels)) {
            return Err(weights.error(&format!("inputs.{key}"), found, format!("channels from 1 to {MOST}")));
        }
        let Some(names) = names else { continue };
        let place = format!("columns.{key}");
        if Some(names.len()) != channels {
            let expected = format!("{} names, one a channel", channels.unwrap_or(0));
            return Err(weights.error(&place, format!("{} names", names.len()), expected));
        }
        if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(weights.error(&place, format!("{} twice", twice.1), "names that differ"));
        }
    }
    Ok(Inputs { x, edge_attr, columns: columns.clone(), edge_columns: edge_columns.clone() })
}

/// The values that are known so far: their names and shapes.
struct Values {
    numbers: HashMap<String, usize>,
    shapes: Vec<Shape>,
}

impl Values {
    fn new(inputs: &Inputs) -> Self {
        let edges = Shape { of: Of::Edges, channels: inputs.edge_attr.unwrap_or(0) };
        let mut numbers = HashMap::from([("x".into(), 0)]);
        if inputs.edge_attr.is_some() {
            numbers.insert("edge_attr".into(), 1);
        }
        Values { numbers, shapes: vec![Shape { of: Of::Nodes, channels: inputs.x }, edges] }
    }

    /// The number of the value called `name`, which `place` asks for.
    fn find(&self, weights: &Weights, place: &str, name: &str) -> Result<usize, Error> {
        self.numbers.get(name).copied().ok_or_else(|| {
            let expected = match name {
                "edge_attr" => "a network whose inputs have edge_attr",
                _ => "x, edge_attr or an output of a step before it",
            };
            weights.error(place, name, expected)
        })
    }

    /// Builds a step and adds its outputs.
    fn add(&mut self, weights: &Weights, step: &StepDescription) -> Result<Step, Error> {
        let StepDescription { name, layer, args, .. } = step;
        let place = format!("step {name} ({layer})");
        let taken = |value: &str| weights.error(&place, format!("the name {value} again"), "a name of its own");
        if name == "edge_attr" || self.numbers.contains_key(name) {
            return Err(taken(name));
        }
        let find = |input: &String| self.find(weights, &place, input);
        let inputs: Vec<usize> = step.inputs.iter().map(find).collect::<Result<_, _>>()?;
        let layer = layers::build(weights, step.weights.as_ref().unwrap_or(name), layer, args)?;
        let given: Vec<Shape> = inputs.iter().map(|&input| self.shapes[input]).collect();
        let shapes = layer.shape(&given).map_err(|found| weights.error(&place, found.found, found.expected))?;
        if let Some(wide) = shapes.iter().find(|shape| shape.channels > MOST) {
            return Err(weights.error(&place, wide, format!("{MOST} channels or fewer")));
        }
        let outputs = self.shapes.len()..self.shapes.len() + shapes.len();
        self.shapes.extend(shapes);
        for (i, number) in outputs.clone().enumerate() {
            let value = if i == 0 { name.clone() } else { format!("{name}.{i}") };
            if self.numbers.insert(value.clone(), number).is_some() {
                return Err(taken(&value));
            }
        }
        Ok(Step { name: name.clone(), layer, inputs, outputs, frees: Vec::new() })
    }
}

/// Notes at each step which values no later one looks at.
fn free_early(steps: &mut [Step], output: usize) {
    let mut used = HashSet::from([output]);
    for step in steps.iter_mut().rev() {
        let mentioned = step.inputs.iter().copied().chain(step.outputs.clone());
        step.frees = mentioned.filter(|&value| value > 1 && used.insert(value)).collect();
    }
}
