//! The models inside the binary, and models from files. A shipped model is one line here.

use std::path::Path;

use thalweg::SegmentationModel;
use thalweg::molecules::Potential;
use thalweg::points::radar::PoseModel;

use crate::Failure;

/// (name, what it is for, its file).
pub const SHIPPED: [(&str, &str, &[u8]); 2] = [
    (
        "driving",
        "19 SemanticKITTI classes, spinning sensor on a vehicle; NON-COMMERCIAL (trained on KITTI / SemanticKITTI)",
        include_bytes!("../../models/driving.safetensors"),
    ),
    (
        "airborne",
        "ASPRS ground, vegetation, building for airborne scans; Etalab 2.0 data (IGN LiDAR HD)",
        include_bytes!("../../models/airborne.safetensors"),
    ),
];

/// The model of `pose`: its name, what it is, its file.
pub const POSE: (&str, &str, &[u8]) = (
    "mars",
    "19 joints of one person, 0.5 to 3.5 m before a radar of 10 frames/s (MARS, MIT licence)",
    include_bytes!("../../models/pose.safetensors"),
);

/// The pose model by name, or a `.safetensors` file by path.
///
/// # Errors
/// An unknown name (exit 78); a file that is no model (exit 1).
pub fn pose(name: &str) -> Result<PoseModel, Failure> {
    if name == POSE.0 {
        return Ok(PoseModel::from_bytes(POSE.0, POSE.2)?);
    }
    if !name.ends_with(".safetensors") {
        let expected = format!("{} or a file ending in .safetensors", POSE.0);
        return Err(Failure::config(format!("model: found {name}, expected {expected}")));
    }
    Ok(PoseModel::open(Path::new(name))?)
}

/// The potentials: name, what it is, its file; the first is the default.
pub const MOLECULES: [(&str, &str, &[u8]); 2] = [
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

/// A potential by name, or a `.safetensors` file by path.
///
/// # Errors
/// An unknown name (exit 78); a file that is no model (exit 1).
pub fn potential(name: &str) -> Result<Potential, Failure> {
    if let Some((name, _, bytes)) = MOLECULES.iter().find(|(shipped, _, _)| *shipped == name) {
        return Ok(Potential::read(name, bytes)?);
    }
    if !name.ends_with(".safetensors") {
        let names: Vec<_> = MOLECULES.iter().map(|(name, _, _)| *name).collect();
        let expected = format!("{} or a file ending in .safetensors", names.join(", "));
        return Err(Failure::config(format!("model: found {name}, expected {expected}")));
    }
    Ok(Potential::read(name, &read(Path::new(name))?)?)
}

/// The weights of the risk model `tgnn`.
pub const TGNN: &[u8] = include_bytes!("../../models/tgnn.safetensors");

/// A shipped model by name, or a `.safetensors` file by path.
///
/// # Errors
/// An unknown name (exit 78); a file that is no model (exit 1).
pub fn open(name: &str) -> Result<SegmentationModel, Failure> {
    if let Some((name, _, bytes)) = SHIPPED.iter().find(|(shipped, _, _)| *shipped == name) {
        return Ok(SegmentationModel::from_bytes(name, bytes)?);
    }
    if !name.ends_with(".safetensors") {
        let names: Vec<_> = SHIPPED.iter().map(|(name, _, _)| *name).collect();
        return Err(Failure::config(format!(
            "model: found {name}, expected {} or a file ending in .safetensors",
            names.join(", ")
        )));
    }
    Ok(SegmentationModel::open(Path::new(name))?)
}

/// The bytes of a model by its name, or of a file.
///
/// # Errors
/// A file that cannot be read (exit 1).
pub fn bytes(name: &str) -> Result<Vec<u8>, Failure> {
    let shipped =
        SHIPPED.iter().chain(&MOLECULES).chain([&POSE, &("tgnn", "", TGNN)]).find(|(shipped, _, _)| *shipped == name);
    shipped.map_or_else(|| read(Path::new(name)), |(_, _, bytes)| Ok(bytes.to_vec()))
}

/// The bytes of a model file.
///
/// # Errors
/// A file that cannot be read (exit 1).
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|e| Failure::run(format!("model {}: found {e}, expected a readable model file", path.display())))
}
