//! The models inside the binary, and models from files. A shipped model is one line here.

use std::path::Path;

use thalweg::SegmentationModel;
use thalweg::molecules::Potential;
use thalweg::points::radar::PoseModel;

use crate::failure::Failure;

/// A model inside the binary: name, what it is for, its file.
pub type Shipped = (&'static str, &'static str, &'static [u8]);

/// Those of `segment`.
pub const SEGMENT: [Shipped; 3] = [
    (
        "driving",
        "19 SemanticKITTI classes, spinning sensor on a vehicle; NON-COMMERCIAL (trained on KITTI, SemanticKITTI, nuScenes)",
        include_bytes!("../../models/driving.safetensors"),
    ),
    (
        "airborne",
        "ASPRS ground, vegetation, building for airborne scans; Etalab 2.0 data (IGN LiDAR HD)",
        include_bytes!("../../models/airborne.safetensors"),
    ),
    (
        "driving-open",
        "driving's 19 classes from simulated drives alone, weaker; MIT OR Apache-2.0",
        include_bytes!("../../models/driving-open.safetensors"),
    ),
];

/// Those of `pose`; the first is the default.
pub const POSE: [Shipped; 1] = [(
    "mars",
    "19 joints of one person, 0.5 to 3.5 m before a radar of 10 frames/s (MARS, MIT licence)",
    include_bytes!("../../models/pose.safetensors"),
)];

/// Those of `molecule`; the first is the default.
pub const MOLECULE: [Shipped; 2] = [
    (
        "rmd17",
        "energies and forces of aspirin, benzene, ethanol, malonaldehyde, salicylic acid, toluene (rMD17, CC0)",
        include_bytes!("../../models/rmd17.safetensors"),
    ),
    (
        "qm7",
        "atomisation energies of small molecules of H, C, N, O, S (QM7, MIT licence)",
        include_bytes!("../../models/qm7.safetensors"),
    ),
];

/// The weights of the risk model `tgnn`.
pub const TGNN: &[u8] = include_bytes!("../../models/tgnn.safetensors");

/// Names of models, and what they are, for help and lists.
pub fn named(shipped: &[Shipped]) -> Vec<(&'static str, &'static str)> {
    shipped.iter().map(|(name, what, _)| (*name, *what)).collect()
}

/// A segmentation model by name, or a `.safetensors` file by path.
///
/// # Errors
/// An unknown name (exit 78); a file that is no model (exit 1).
pub fn open(name: &str) -> Result<SegmentationModel, Failure> {
    of(&SEGMENT, name, SegmentationModel::from_bytes, SegmentationModel::open)
}

/// A pose model, likewise.
///
/// # Errors
/// See [`open`].
pub fn pose(name: &str) -> Result<PoseModel, Failure> {
    of(&POSE, name, PoseModel::from_bytes, PoseModel::open)
}

/// A potential, likewise.
///
/// # Errors
/// See [`open`].
pub fn potential(name: &str) -> Result<Potential, Failure> {
    of(&MOLECULE, name, Potential::read, Potential::open)
}

fn of<M>(
    shipped: &[Shipped],
    name: &str,
    read: fn(&str, &[u8]) -> Result<M, thalweg::Error>,
    open: fn(&Path) -> Result<M, thalweg::Error>,
) -> Result<M, Failure> {
    if let Some((name, _, bytes)) = shipped.iter().find(|(shipped, _, _)| *shipped == name) {
        return Ok(read(name, bytes)?);
    }
    if !name.ends_with(".safetensors") {
        let names: Vec<_> = shipped.iter().map(|(name, _, _)| *name).collect();
        let expected = format!("{} or a file ending in .safetensors", names.join(", "));
        return Err(Failure::config(format!("model: found {name}, expected {expected}")));
    }
    Ok(open(Path::new(name))?)
}

/// The checksum of a model's bytes, by its name or path; none of a model that is code.
///
/// # Errors
/// A file that cannot be read (exit 1).
pub fn checksum(name: &str) -> Result<Option<u32>, Failure> {
    let shipped = SEGMENT.iter().chain(&POSE).chain(&MOLECULE).chain([&("tgnn", "", TGNN)]);
    match shipped.into_iter().find(|(shipped, _, _)| *shipped == name) {
        Some((_, _, bytes)) => Ok(Some(crc32fast::hash(bytes))),
        None if name.ends_with(".safetensors") => Ok(Some(crc32fast::hash(&read(Path::new(name))?))),
        None => Ok(None),
    }
}

/// The bytes of a model file.
///
/// # Errors
/// A file that cannot be read (exit 1).
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|e| Failure::run(format!("model {}: found {e}, expected a readable model file", path.display())))
}
