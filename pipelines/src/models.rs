//! The models inside the binary, and models from files. A shipped model is one line here.

use std::path::Path;

use thalweg::SegmentationModel;

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

/// The bytes of a model file.
///
/// # Errors
/// A file that cannot be read (exit 1).
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|e| Failure::run(format!("model {}: found {e}, expected a readable model file", path.display())))
}
