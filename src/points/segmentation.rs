//! What segmentation says of a frame: a class, a confidence and an object number for every point.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Frame;

/// A class table: the code in the output and its name. Code 0 is `unlabelled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes(Vec<(u8, String)>);

impl Classes {
    /// A table from (code, name) pairs; `(0, "unlabelled")` is added if missing.
    pub fn new(pairs: impl IntoIterator<Item = (u8, String)>) -> Classes {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        if !pairs.iter().any(|(code, _)| *code == 0) {
            pairs.push((0, "unlabelled".into()));
        }
        pairs.sort();
        pairs.dedup_by_key(|(code, _)| *code);
        Classes(pairs)
    }

    /// (code, name) pairs, ascending by code.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &str)> {
        self.0.iter().map(|(code, name)| (*code, name.as_str()))
    }

    /// The name of a code.
    pub fn name(&self, code: u8) -> Option<&str> {
        self.0.binary_search_by_key(&code, |(code, _)| *code).ok().map(|i| self.0[i].1.as_str())
    }
}

/// One frame with its labels; every column has one entry per point, in the order in which the points were read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Segmentation {
    /// The frame.
    pub frame: Arc<Frame>,
    /// Class code; 0 for a non-finite point, and where the model abstains.
    pub class: Vec<u8>,
    /// Probability of that class, or of the best one where the model abstains; 0 for a non-finite point.
    pub confidence: Vec<f32>,
    /// The number of the object that the point is of ([`Numbers`](crate::points::models::Numbers)); 0 = no object.
    pub instance: Vec<u32>,
    /// What the codes mean.
    pub classes: Arc<Classes>,
}
