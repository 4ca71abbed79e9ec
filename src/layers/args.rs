//! The arguments of a layer in a file: its constructor's in PyTorch Geometric, by the same names, as JSON.
//!
//! A message names the model, the step and the key. A key that no layer asked for is refused: an argument that we do not know
//! may change what the layer computes.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Aggregation, Linear, Mlp, RowWise, Weights, registry};
use crate::Error;

/// Most channels, heads or embeddings that a file may ask for.
const MOST: usize = 1 << 24;

/// The arguments of one layer, with the tensors that it may take.
pub struct Args<'a> {
    weights: &'a Weights<'a>,
    /// Of its tensors' names.
    prefix: String,
    map: &'a Map<String, Value>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Args<'a> {
    /// The arguments `map` of the layer whose tensors' names begin with `prefix` and a dot.
    pub fn new(weights: &'a Weights<'a>, prefix: &str, map: &'a Map<String, Value>) -> Self {
        Args { weights, prefix: prefix.into(), map, asked: RefCell::default() }
    }

    /// The tensors of the file.
    pub fn weights(&self) -> &'a Weights<'a> {
        self.weights
    }

    /// What the names of the layer's tensors begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The full name of one of the layer's tensors.
    pub fn tensor(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.into() } else { format!("{}.{name}", self.prefix) }
    }

    /// An error about an argument.
    pub fn error(&self, key: &str, found: impl ToString, expected: impl ToString) -> Error {
        self.weights.error(&format!("{}: args.{key}", self.prefix), found, expected)
    }

    /// The value of an argument; `None` where it is left out or null.
    fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.asked.borrow_mut().push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// An argument that a layer must have: a count, from 1.
    ///
    /// # Errors
    /// One that is missing, no whole number, or out of range.
    pub fn count(&self, key: &'static str) -> Result<usize, Error> {
        self.maybe_count(key)?.ok_or_else(|| self.error(key, "none", "a whole number"))
    }

    /// A count from 1 that may be left out.
    ///
    /// # Errors
    /// No whole number, or out of range.
    pub fn maybe_count(&self, key: &'static str) -> Result<Option<usize>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        match count.filter(|count| (1..=MOST).contains(count)) {
            Some(count) => Ok(Some(count)),
            None => Err(self.error(key, value, format!("a whole number from 1 to {MOST}"))),
        }
    }

    /// A number from 0 that may be left out.
    ///
    /// # Errors
    /// No whole number, or out of range.
    pub fn index(&self, key: &'static str, default: usize) -> Result<usize, Error> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let index = value.as_u64().and_then(|index| usize::try_from(index).ok()).filter(|&index| index <= MOST);
        index.ok_or_else(|| self.error(key, value, format!("a whole number from 0 to {MOST}")))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// Anything else.
    pub fn flag(&self, key: &'static str, default: bool) -> Result<bool, Error> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.error(key, value, "true or false"))
    }

    /// A finite number.
    ///
    /// # Errors
    /// Anything else.
    pub fn number(&self, key: &'static str, default: f64) -> Result<f64, Error> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let number = value.as_f64().filter(|number| (*number as f32).is_finite());
        number.ok_or_else(|| self.error(key, value, "a finite number"))
    }

    /// A number that a layer must have.
    ///
    /// # Errors
    /// One that is missing, or not finite.
    pub fn needed_number(&self, key: &'static str) -> Result<f64, Error> {
        if self.map.get(key).is_none_or(Value::is_null) {
            return Err(self.error(key, "none", "a number"));
        }
        self.number(key, 0.0)
    }

    /// One of a few words.
    ///
    /// # Errors
    /// Another word, or no text.
    pub fn word(
        &self,
        key: &'static str,
        default: &'static str,
        words: &[&'static str],
    ) -> Result<&'static str, Error> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let known = value.as_str().and_then(|text| words.iter().find(|word| **word == text));
        known.copied().ok_or_else(|| self.error(key, value, format!("one of {}", words.join(", "))))
    }

    /// The aggregation, by PyG's word for it.
    ///
    /// # Errors
    /// One that is none of ours.
    pub fn aggregation(&self, default: &'static str) -> Result<Aggregation, Error> {
        Ok(match self.word("aggr", default, &["add", "sum", "mean", "max"])? {
            "mean" => Aggregation::Mean,
            "max" => Aggregation::Max,
            _ => Aggregation::Add,
        })
    }

    /// A number, or one word instead of it (`None`), which is the default.
    ///
    /// # Errors
    /// Another word, or a number that is not finite.
    pub fn number_or(&self, key: &'static str, word: &'static str) -> Result<Option<f64>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(value) if value.as_str() == Some(word) => Ok(None),
            Some(value) => match value.as_f64().filter(|number| (*number as f32).is_finite()) {
                Some(number) => Ok(Some(number)),
                None => Err(self.error(key, value, format!("{word} or a finite number"))),
            },
        }
    }

    /// Arguments that change nothing here: those of training, and those that every PyG layer has, at the only values that fit.
    ///
    /// # Errors
    /// A `flow` against the direction of the edges.
    pub fn ignore(&self, keys: &[&'static str]) -> Result<(), Error> {
        self.asked.borrow_mut().extend(keys);
        self.asked.borrow_mut().push("node_dim");
        self.word("flow", "source_to_target", &["source_to_target"]).map(|_| ())
    }

    /// A [`Linear`] of the layer's own, under `{prefix}.{name}`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear, Error> {
        Linear::load(self.weights, &self.tensor(name), inputs, outputs, bias)
    }

    /// A vector of the layer's own.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, Error> {
        self.weights.vector(&self.tensor(name), length)
    }

    /// The bias `{prefix}.bias`, where the argument `bias` (true) says so.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    pub fn bias(&self, length: usize) -> Result<Option<Vec<f32>>, Error> {
        if self.flag("bias", true)? { self.vector("bias", length).map(Some) } else { Ok(None) }
    }

    /// The network of row-wise layers that the layer holds; `None` where it is left out.
    ///
    /// # Errors
    /// Anything but a list of row-wise layers with their arguments; layers that do not fit one another.
    pub fn maybe_mlp(&self, key: &'static str) -> Result<Option<Mlp>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let what = "a list of {\"layer\", \"args\", \"weights\"}";
        let list = value.as_array().ok_or_else(|| self.error(key, value, what))?;
        let nothing = Map::new();
        let mut layers: Vec<Arc<dyn RowWise>> = Vec::with_capacity(list.len());
        for (i, item) in list.iter().enumerate() {
            let place = format!("{key}[{i}]");
            let step = item.as_object().ok_or_else(|| self.error(&place, item, what))?;
            if let Some(other) = step.keys().find(|key| !["layer", "args", "weights"].contains(&key.as_str())) {
                return Err(self.error(&place, format!("key {other}"), what));
            }
            let text = |key: &str| step.get(key).and_then(Value::as_str);
            let name = text("layer").ok_or_else(|| self.error(&place, item, what))?;
            let args = match step.get("args") {
                None | Some(Value::Null) => &nothing,
                Some(args) => args.as_object().ok_or_else(|| self.error(&place, args, "an object of arguments"))?,
            };
            let prefix = match step.get("weights") {
                None | Some(Value::Null) => format!("{key}.{i}"),
                Some(weights) => weights.as_str().ok_or_else(|| self.error(&place, weights, "a text"))?.into(),
            };
            layers.push(registry::row_wise(self.weights, &self.tensor(&prefix), name, args)?.into());
        }
        Mlp::new(layers).map(Some).map_err(|error| self.error(key, error, "layers that fit one another"))
    }

    /// The network of row-wise layers that the layer must have.
    ///
    /// # Errors
    /// Those of [`Args::maybe_mlp`]; none.
    pub fn mlp(&self, key: &'static str) -> Result<Mlp, Error> {
        self.maybe_mlp(key)?.ok_or_else(|| self.error(key, "none", "a list of layers"))
    }

    /// The channels that a network must take, given by its first layer with weights.
    ///
    /// # Errors
    /// A network that would take any number.
    pub fn inputs_of(&self, key: &str, mlp: &Mlp) -> Result<usize, Error> {
        mlp.takes().ok_or_else(|| self.error(key, "no layer with weights", "one that fixes the channels"))
    }

    /// An error if there is an argument that the layer has not asked for.
    ///
    /// # Errors
    /// That one.
    pub fn finish(&self) -> Result<(), Error> {
        let asked = self.asked.borrow();
        match self.map.keys().find(|key| !asked.contains(&key.as_str())) {
            None => Ok(()),
            Some(other) if asked.is_empty() => Err(self.error(other, "an unknown argument", "no arguments")),
            Some(other) => {
                let mut known: Vec<_> = asked.clone();
                known.sort_unstable();
                known.dedup();
                Err(self.error(other, "an unknown argument", format!("one of {}", known.join(", "))))
            }
        }
    }
}
