//! Raw f32 records: KITTI `.bin` (x, y, z, remission) and nuScenes `.pcd.bin` (x, y, z, intensity, ring), little-endian.
//!
//! Metres in the sensor's frame. KITTI's remission is 0–1 as it stands, nuScenes' intensity 0–255; a file with a value off that scale has none. The length of the file is the
//! number of records: an empty file is an empty frame, a torn last record an error. Geiger et al., CVPR 2012; Caesar et al., CVPR 2020.

use std::path::Path;

use thalweg::Frame;

use crate::error::{At, Error};
use crate::files::read_regular;
use crate::points::format::{Format, ReadOptions, one_frame};

/// KITTI's format: 16 bytes a point.
pub const KITTI: Format = Format {
    name: "kitti-bin",
    what: "KITTI velodyne scan: f32 x, y, z, remission",
    extensions: &["bin"],
    magic: &[],
    open: |path, options| Ok(one_frame(path, options, read_kitti)),
};

/// nuScenes' format: 20 bytes a point.
pub const NUSCENES: Format = Format {
    name: "nuscenes",
    what: "nuScenes LIDAR_TOP sweep: f32 x, y, z, intensity, ring",
    extensions: &["pcd.bin"],
    magic: &[],
    open: |path, options| Ok(one_frame(path, options, read_nuscenes)),
};

/// Reads a KITTI scan.
///
/// # Errors
/// A length that is no multiple of 16.
pub fn read_kitti(path: &Path, _: &ReadOptions) -> Result<Frame, Error> {
    read_records::<4>(path, 1.0)
}

/// Reads a nuScenes sweep.
///
/// # Errors
/// A length that is no multiple of 20.
pub fn read_nuscenes(path: &Path, _: &ReadOptions) -> Result<Frame, Error> {
    read_records::<5>(path, 255.0)
}

fn read_records<const FIELDS: usize>(path: &Path, full_scale: f32) -> Result<Frame, Error> {
    let bytes = read_regular(path)?;
    let (values, torn_value) = bytes.as_chunks::<4>();
    let (records, torn_record) = values.as_chunks::<FIELDS>();
    let torn = torn_record.len() * 4 + torn_value.len();
    if torn > 0 {
        return Err(Error::malformed(
            path,
            At::Offset((bytes.len() - torn) as u64),
            format!("a last record of {torn} bytes"),
            format!("records of {} bytes", FIELDS * 4),
        ));
    }
    let column = |field: usize| records.iter().map(|r| f32::from_le_bytes(r[field])).collect::<Vec<f32>>();
    let intensity: Vec<_> = records.iter().map(|r| f32::from_le_bytes(r[3]) / full_scale).collect();
    let on_scale = intensity.iter().all(|&v| v.is_nan() || (0.0..=1.0).contains(&v));
    Ok(Frame {
        x: column(0),
        y: column(1),
        z: column(2),
        intensity: on_scale.then_some(intensity),
        path: Some(path.into()),
        ..Frame::default()
    })
}
