//! The drive as files: a KITTI sequence folder with SemanticKITTI labels.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use thalweg::Pose;

use super::drive::Street;
use crate::points::label;

/// Writes the drive as a KITTI sequence folder with SemanticKITTI labels: `velodyne/*.bin`, `labels/*.label` (raw ids, objects
/// numbered from 1 in order of appearance in the upper 16 bits), `poses.txt` (camera convention), `calib.txt` (with `Tr`), `times.txt`.
/// The folder is written under a temporary name beside `dir`, then renamed.
///
/// # Errors
/// A folder that cannot be written, or that exists and is not empty; more than 65,535 objects in the drive.
pub fn write_kitti(dir: &Path, frames: u64, seed: u64) -> io::Result<()> {
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let temp = tempfile::Builder::new().prefix(".street-").tempdir_in(parent)?;
    let street = Street::new(frames, seed);
    let camera_from_sensor = Pose([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]);
    let line = |pose: &Pose| pose.0.as_flattened().iter().map(|v| format!("{v:e}")).collect::<Vec<_>>().join(" ");
    for folder in ["velodyne", "labels"] {
        std::fs::create_dir(temp.path().join(folder))?;
    }
    let (mut poses, mut times) = (String::new(), String::new());
    let mut objects: HashMap<u32, u16> = HashMap::new();
    for number in 0..frames {
        let frame = street.frame(number);
        let (truth, intensity) = (frame.truth.unwrap_or_default(), frame.intensity.unwrap_or_default());
        let mut points = Vec::with_capacity(frame.x.len() * 16);
        let mut labels = Vec::with_capacity(frame.x.len() * 4);
        for (i, intensity) in intensity.into_iter().enumerate() {
            for value in [frame.x[i], frame.y[i], frame.z[i], intensity] {
                points.extend_from_slice(&value.to_le_bytes());
            }
            let object = match truth.instance[i] {
                0 => 0,
                instance => {
                    let fresh =
                        u16::try_from(objects.len() + 1).map_err(|_| io::Error::other("more than 65,535 objects"))?;
                    *objects.entry(instance).or_insert(fresh)
                }
            };
            let raw = label::raw_id(truth.class[i]).unwrap_or_default();
            let label = u32::from(raw) | u32::from(object) << 16;
            labels.extend_from_slice(&label.to_le_bytes());
        }
        std::fs::write(temp.path().join(format!("velodyne/{number:06}.bin")), points)?;
        std::fs::write(temp.path().join(format!("labels/{number:06}.label")), labels)?;
        let pose = camera_from_sensor.then_after(&street.pose(number)).then_after(&camera_from_sensor.inverse());
        let _ = writeln!(poses, "{}", line(&pose));
        let _ = writeln!(times, "{:e}", number as f64 / 10.0);
    }
    std::fs::write(temp.path().join("poses.txt"), poses)?;
    std::fs::write(temp.path().join("times.txt"), times)?;
    std::fs::write(temp.path().join("calib.txt"), format!("Tr: {}\n", line(&camera_from_sensor)))?;
    std::fs::rename(temp.path(), dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kitti_folder_gives_points_labels_and_poses_back() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("street");
        write_kitti(&dir, 2, 3).unwrap();
        let frame = Street::new(2, 3).frame(1);
        let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
        let points: Vec<f32> =
            read("velodyne/000001.bin").chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(points.chunks_exact(4).map(|p| p[1]).collect::<Vec<_>>(), frame.y);
        let class = |raw: u32| label::train_id(raw as u16);
        let labels: Vec<u32> =
            read("labels/000001.label").chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
        let truth = frame.truth.unwrap();
        assert_eq!(labels.iter().map(|&raw| class(raw)).collect::<Vec<_>>(), truth.class);
        assert!(labels.iter().zip(&truth.instance).all(|(raw, &instance)| (raw >> 16 == 0) == (instance == 0)));
        let rows = |text: &str| -> Vec<Pose> {
            let pose = |line: &str| {
                let v: Vec<f64> = line.split_whitespace().filter_map(|v| v.parse().ok()).collect();
                Pose(std::array::from_fn(|row| std::array::from_fn(|column| v[row * 4 + column])))
            };
            text.lines().map(pose).collect()
        };
        let camera_from_sensor = rows(&String::from_utf8(read("calib.txt")).unwrap())[0];
        let camera_pose = rows(&String::from_utf8(read("poses.txt")).unwrap())[1];
        let pose = camera_from_sensor.inverse().then_after(&camera_pose).then_after(&camera_from_sensor);
        assert_eq!(Some(pose), frame.pose);
        assert_eq!(read("times.txt"), b"0e0\n1e-1\n");
        assert!(write_kitti(&dir, 1, 3).is_err(), "a folder that holds something is left alone");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing temporary stays behind");
    }
}
