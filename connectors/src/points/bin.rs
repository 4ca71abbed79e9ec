//! Raw f32 records: KITTI `.bin` (x, y, z, remission) and nuScenes `.pcd.bin` (x, y, z, intensity, ring), little-endian.
//!
//! Metres in the sensor's frame. KITTI's remission is 0–1, nuScenes' intensity 0–255. The length of the file is the number of records: an empty
//! file is an empty frame, a torn last record an error. A `.bin` says nothing of its records: where the fourth number is off its scale, or a
//! record is torn, other sizes are held against the numbers (`likely`). Geiger et al., CVPR 2012; Caesar et al., CVPR 2020.

use std::path::Path;

use thalweg::Frame;

use crate::error::{At, Error};
use crate::files::read_regular;
use crate::points::format::{Format, one_frame};
use crate::points::intensity::scaled;
use crate::points::options::ReadOptions;
use crate::points::scalar::Scalar;

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

/// Numbers of a record that are thought of, beside the format's own.
const SIZES: std::ops::RangeInclusive<usize> = 3..=8;

/// Numbers that are looked at to tell the size of a record.
const LOOKED_AT: usize = 1 << 15;

/// Reads a KITTI scan.
///
/// # Errors
/// A length that is no multiple of 16.
pub fn read_kitti(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    read_records(path, 4, 1.0, options)
}

/// Reads a nuScenes sweep.
///
/// # Errors
/// A length that is no multiple of 20.
pub fn read_nuscenes(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    read_records(path, 5, 255.0, options)
}

fn read_records(path: &Path, fields: usize, full_scale: f32, options: &ReadOptions) -> Result<Frame, Error> {
    let bytes = read_regular(path)?;
    let (values, torn_value) = bytes.as_chunks::<4>();
    let torn = values.len() % fields * 4 + torn_value.len();
    let on_scale = |fields: usize, full: f32| {
        let column = values.iter().skip(3).step_by(fields).map(|v| f32::from_le_bytes(*v));
        column.into_iter().all(|v| v.is_nan() || (0.0..=full).contains(&v))
    };
    let mut size = fields;
    if !torn_value.is_empty() || torn > 0 || !on_scale(fields, full_scale) {
        let other = likely(values, fields).filter(|_| torn_value.is_empty());
        // What the records mean is sure where the fourth number is on a scale of intensities; three numbers are coordinates alone.
        // Of records that are torn none but the known layouts of five and six numbers are believed.
        let known = |other: usize| torn == 0 || (5..=6).contains(&other);
        let sure = other.filter(|&other| if other == 3 { torn == 0 } else { known(other) && on_scale(other, 255.0) });
        let looks = |n: usize| format!("its records look like {n} numbers (f32), not {fields}");
        match (sure, other) {
            (Some(sure), _) => {
                size = sure;
                let read = if sure == 3 { "x, y, z" } else { "x, y, z, intensity and others" };
                options.warn("record size", path, format!("{}: read as {read}", looks(sure)));
            }
            (None, Some(other)) if torn == 0 => {
                options.warn("record size", path, format!("{}: read as {fields} all the same", looks(other)));
            }
            (None, other) if torn > 0 => {
                let hint = other.map_or(String::new(), |other| format!("; {}", looks(other)));
                return Err(Error::malformed(
                    path,
                    At::Offset((bytes.len() - torn) as u64),
                    format!("a last record of {torn} bytes"),
                    format!("records of {} bytes{hint}", fields * 4),
                ));
            }
            _ => {}
        }
    }
    let column = |field: usize| values.iter().skip(field).step_by(size).map(|v| f32::from_le_bytes(*v)).collect();
    let intensity = (size > 3).then(|| column(3));
    let intensity = intensity.and_then(|column: Vec<f32>| {
        let own = size == fields && on_scale(fields, full_scale);
        if own {
            return Some(column.into_iter().map(|v| v / full_scale).collect());
        }
        options.warn("bin scale", path, format!("the fourth number of a record is off its scale, 0 to {full_scale}"));
        scaled(column, Scalar::F32, path, options)
    });
    Ok(Frame { x: column(0), y: column(1), z: column(2), intensity, path: Some(path.into()), ..Frame::default() })
}

/// How many numbers a record seems to have, if not `own`.
///
/// In records of the right size a column holds one kind of number, and varies less than all numbers mixed: the size is likely under which
/// the numbers are most probable, each column a normal distribution of its own, by the Bayesian information criterion. Too few records
/// tell nothing.
fn likely(values: &[[u8; 4]], own: usize) -> Option<usize> {
    let score = |size: usize| -> Option<f64> {
        let records = values.len().min(LOOKED_AT) / size;
        if !values.len().is_multiple_of(size) || records < 16 {
            return None;
        }
        let spread = |column: usize| {
            let numbers = || (0..records).map(|r| f64::from(f32::from_le_bytes(values[r * size + column])));
            let finite: Vec<f64> = numbers().filter(|v| v.is_finite() && v.abs() < 1e9).collect();
            let mean = finite.iter().sum::<f64>() / finite.len() as f64;
            let square = finite.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (finite.len() as f64 - 1.0);
            // A number that is no coordinate, nor anything else, is far out.
            if finite.len() < records * 9 / 10 { 1e18 } else { square + 1e-4 }
        };
        let parameters = ((records * size) as f64).ln() / records as f64;
        Some((0..size).map(|column| 0.5 * spread(column).ln()).sum::<f64>() / size as f64 + parameters)
    };
    let standing = score(own);
    let scores = SIZES.filter(|&size| size != own).filter_map(|size| Some((size, score(size)?)));
    let (best, least) = scores.min_by(|a, b| a.1.total_cmp(&b.1))?;
    // Twice the own size has the same columns, and a few records more or less differ by chance.
    (least < standing.unwrap_or(f64::INFINITY) - 0.25).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers 0 to 1 that any machine makes alike.
    fn random(seed: u64) -> impl FnMut() -> f32 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        }
    }

    #[test]
    fn the_size_of_a_record_shows_in_its_columns() {
        for seed in 0..200 {
            let mut random = random(seed);
            for records in [16, 100, 2000] {
                for size in [3, 4, 5, 6] {
                    let scale = [40.0, 40.0, 3.0, 255.0, 31.0, 0.1];
                    let offset = [-20.0, -20.0, -2.0, 0.0, 0.0, 0.0];
                    let record = |_| (0..size).map(|i| random() * scale[i] + offset[i]).collect::<Vec<f32>>();
                    let mut values: Vec<f32> = (0..records).flat_map(record).collect();
                    if size > 4 {
                        values.iter_mut().skip(4).step_by(size).for_each(|ring| *ring = ring.trunc());
                    }
                    let bytes: Vec<[u8; 4]> = values.iter().map(|v| v.to_le_bytes()).collect();
                    let found = likely(&bytes, 4);
                    let expected = (size != 4).then_some(size);
                    let own = bytes.len().is_multiple_of(4);
                    assert!(
                        found == expected || (!own && found.is_some()),
                        "seed {seed}: {records} × {size}: {found:?}"
                    );
                }
            }
        }
    }
}
