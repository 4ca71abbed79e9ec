//! Human pose from sparse radar clouds: 19 joints a frame from the frames of the last two seconds.
//!
//! - `cloud`: the points of a frame and of the one before it as a graph in space and time;
//! - `model`: the two networks of a model file: one makes a row of each frame's graph, one makes joints of the rows of a window;
//! - `sigma`: how wide the uncertainty is for somebody like the people of training, and for others;
//! - `stage`: what is kept from frame to frame.
//!
//! An answer depends on the frames of its window and on nothing before them, so a run that begins there gives the same bits.
//! `training/pose/README.md` has every step with its constants.

use serde::{Deserialize, Serialize};

mod cloud;
mod model;
mod sigma;
mod stage;

pub use model::PoseModel;

/// Joints of a skeleton.
pub const JOINTS: usize = 19;

/// Their names, in the order of MARS (An and Ogras, ACM TECS 20(5s), 72, 2021).
pub const JOINT_NAMES: [&str; JOINTS] = [
    "SpineBase",
    "SpineMid",
    "Neck",
    "Head",
    "ShoulderLeft",
    "ElbowLeft",
    "WristLeft",
    "ShoulderRight",
    "ElbowRight",
    "WristRight",
    "HipLeft",
    "KneeLeft",
    "AnkleLeft",
    "FootLeft",
    "HipRight",
    "KneeRight",
    "AnkleRight",
    "FootRight",
    "SpineShoulder",
];

/// Pairs of joints that a bone joins: spine, arms, legs.
pub const BONES: [(usize, usize); 18] = [
    (0, 1),
    (1, 18),
    (18, 2),
    (2, 3),
    (18, 4),
    (4, 5),
    (5, 6),
    (18, 7),
    (7, 8),
    (8, 9),
    (0, 10),
    (10, 11),
    (11, 12),
    (12, 13),
    (0, 14),
    (14, 15),
    (15, 16),
    (16, 17),
];

/// Where a person's joints are in one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skeleton {
    /// The frame's number.
    pub frame: i64,
    /// Places in the sensor's frame (m) `[19, 3]`.
    pub joint: [[f32; 3]; JOINTS],
    /// Standard deviation of each axis of a joint's place (m) `[19]`.
    pub sigma: [f32; JOINTS],
}
