//! Each shared file of a frame format reads as its README states, or gives an error that names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thalweg::Frame;
use thalweg_connectors::inspect;
use thalweg_connectors::points::registry::by_extension;

use crate::support::{files_below, lidar, read};

/// Files that are refused, and a part of the reason.
const REFUSED: &[(&str, &str)] = &[
    ("IGNF-ign-pdal-tools/check_las/Semis_2022_0906_6665_LA93_IGN69_nok.laz", "offset 94: found a header of 0 bytes"),
    ("PDAL-PDAL/las/garbage_nVariableLength.las", "offset 14587: found the end of the file after 718 whole records"),
    ("PDAL-PDAL/las/permutations/1.2-no-points.las", "offset 229: found the end of the file after 0 whole records"),
    ("PDAL-PDAL/pcd/missingheader.pcd", "line 1: found \"289814.15 4320978.61 170.76\""),
    ("PDAL-PDAL/ply/no_vertex.ply", "expected an element vertex"),
    ("PDAL-PDAL/ply/sized_dims.ply", "field z: found fields x y j i"),
    ("PDAL-PDAL/ply/unsized_dims.ply", "field z: found fields y x i j"),
    ("PDAL-PDAL/terrasolid/20020715-time-color.bin", "offset 28048: found a last record of 8 bytes"),
    ("eEcoLiDAR-laserchicken/PLYascii.ply", "found elements pc1, expected an element vertex"),
    ("eEcoLiDAR-laserchicken/PLYbinary.ply", "found elements pc1, expected an element vertex"),
    ("koide3-gtsam_points/kitti_07_dump/000000/points.bin", "offset 258736: found a last record of 8 bytes"),
    ("koide3-gtsam_points/kitti_07_dump/000001/points.bin", "offset 296432: found a last record of 4 bytes"),
    ("koide3-gtsam_points/kitti_07_dump/000002/points.bin", "offset 294864: found a last record of 12 bytes"),
    ("koide3-gtsam_points/kitti_07_dump/000003/points.bin", "offset 202928: found a last record of 4 bytes"),
    ("koide3-gtsam_points/newer_06/deskewed_00.bin", "offset 301296: found a last record of 12 bytes"),
    ("koide3-gtsam_points/newer_06/deskewed_01.bin", "offset 240720: found a last record of 12 bytes"),
    ("koide3-gtsam_points/newer_06/deskewed_02.bin", "offset 295776: found a last record of 12 bytes"),
    ("koide3-gtsam_points/newer_06/raw_00.bin", "offset 301296: found a last record of 12 bytes"),
    ("koide3-gtsam_points/newer_06/raw_01.bin", "offset 240720: found a last record of 12 bytes"),
    ("koide3-gtsam_points/newer_06/raw_02.bin", "offset 295776: found a last record of 12 bytes"),
    ("koide3-gtsam_points/newer_06/times_00.bin", "offset 100432: found a last record of 4 bytes"),
    ("koide3-gtsam_points/newer_06/times_01.bin", "offset 80240: found a last record of 4 bytes"),
    ("koide3-gtsam_points/newer_06/times_02.bin", "offset 98592: found a last record of 4 bytes"),
];

/// What a README's table says of a file: `1065 pts … o=(635619.8,848899.7) cls 1:789 2:276`.
struct Stated {
    points: usize,
    least: [f64; 2],
    classes: BTreeMap<u8, usize>,
}

fn stated(folder: &Path) -> BTreeMap<PathBuf, Stated> {
    let mut all = BTreeMap::new();
    for readme in files_below(folder).into_iter().filter(|p| p.ends_with("README.md")) {
        let text = std::fs::read_to_string(&readme).unwrap();
        for row in text.lines().filter(|line| line.starts_with("| ") && line.contains(" pts ")) {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let words: Vec<_> = cells[3].split_whitespace().collect();
            let corner = words.iter().find_map(|w| w.strip_prefix("o=(")?.strip_suffix(')')).unwrap();
            let (x, y) = corner.split_once(',').unwrap();
            let classes = words.iter().skip_while(|&&w| w != "cls").skip(1).map_while(|w| {
                let (code, count) = w.split_once(':')?;
                Some((code.parse().ok()?, count.parse().ok()?))
            });
            let least = [x.parse().unwrap(), y.parse().unwrap()];
            let stated = Stated { points: words[0].parse().unwrap(), least, classes: classes.collect() };
            all.insert(readme.with_file_name(cells[1]), stated);
        }
    }
    all
}

fn columns_are_of_one_length(frame: &Frame) {
    let points = frame.len();
    assert_eq!((frame.y.len(), frame.z.len()), (points, points));
    assert!(frame.intensity.as_ref().is_none_or(|c| c.len() == points && c.iter().all(|v| !(*v < 0.0 || *v > 1.0))));
    assert!(frame.returns.as_ref().is_none_or(|r| r.number.len() == points && r.count.len() == points));
    assert!(frame.truth.as_ref().is_none_or(|t| t.class.len() == points && t.instance.len() == points));
}

#[test]
fn each_shared_file_reads_as_stated_or_names_what_is_wrong() {
    let Some(folder) = lidar() else { return };
    let stated = stated(&folder);
    assert!(stated.len() > 80, "the READMEs state {} files", stated.len());
    let (mut checked, mut wrong) = (0, vec![]);
    for path in files_below(&folder) {
        if !by_extension(&path).is_some_and(|f| ["kitti-bin", "nuscenes", "pcd", "ply", "las"].contains(&f.name)) {
            continue;
        }
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let refused = REFUSED.iter().find(|(file, _)| *file == name);
        match (read(&path), refused) {
            (Err(error), Some((_, reason))) => {
                let message = error.to_string();
                assert!(message.starts_with(&path.display().to_string()), "{message} does not begin with the file");
                if !message.contains(reason) {
                    wrong.push(format!("{message}: expected {reason:?}"));
                }
            }
            (Err(error), None) => wrong.push(format!("{error}")),
            (Ok(_), Some((_, reason))) => wrong.push(format!("{name}: read, expected {reason:?}")),
            (Ok(frame), None) => {
                columns_are_of_one_length(&frame);
                let Some(stated) = stated.get(&path) else { continue };
                checked += 1;
                let least = [&frame.x, &frame.y].map(|c| c.iter().copied().fold(f32::INFINITY, f32::min));
                let classes = frame.truth.iter().flat_map(|t| &t.class).fold(BTreeMap::new(), |mut all, &code| {
                    *all.entry(code).or_insert(0) += 1;
                    all
                });
                let unclassified = stated.classes.keys().all(|&code| code == 0) && classes.is_empty();
                if frame.len() != stated.points || !(unclassified || classes == stated.classes) {
                    wrong.push(format!(
                        "{name}: {} points, stated {}, classes {classes:?}",
                        frame.len(),
                        stated.points
                    ));
                }
                for (axis, (least, stated)) in least.into_iter().zip(stated.least).enumerate() {
                    let found = frame.origin[axis] + f64::from(least);
                    if (found - stated).abs() > 0.11 {
                        wrong.push(format!("{name}: least coordinate {found}, stated {stated}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} files differ:\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{checked} files as stated, {} refused", REFUSED.len());
}

/// Of each pair, the second file is the first one compressed.
#[test]
fn compressed_twins_are_equal_bit_for_bit() {
    let Some(folder) = lidar() else { return };
    let mut pairs: Vec<_> = files_below(&folder)
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "las") && p.with_extension("laz").exists())
        .filter(|p| !p.ends_with("autzen.las"))
        .map(|p| (p.clone(), p.with_extension("laz")))
        .collect();
    for made in ["laszip-generated.laz", "laszip-generated_with2bytespadding.laz", "liblas-generated.laz"] {
        let laszip = folder.join("PDAL-PDAL/laszip");
        pairs.push((laszip.join("basefile.las"), laszip.join(made)));
    }
    assert!(pairs.len() >= 8, "{} pairs", pairs.len());
    for (plain, packed) in pairs {
        let (a, b) = (read(&plain).unwrap(), read(&packed).unwrap());
        let bits = |f: &Frame| [&f.x, &f.y, &f.z].map(|c| c.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        let name = packed.display();
        assert_eq!(bits(&a), bits(&b), "{name}");
        assert_eq!((a.origin, a.time_ns), (b.origin, b.time_ns), "{name}");
        assert_eq!((a.intensity, a.returns, a.truth), (b.intensity, b.returns, b.truth), "{name}");
    }
}

/// The table of the recording's README: points of ten frames, and how many have which training id.
#[test]
fn kitti_excerpts_have_the_labels_that_their_readme_counts() {
    let Some(folder) = lidar().map(|f| f.join("rancheng-mini_kitti_dataset")) else { return };
    let text = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut rows = 0;
    for row in text.lines().filter(|line| line.starts_with("| ") && line.contains(" 1:")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let pairs = cells[3].split(", ").map(|pair| pair.split_once(':').unwrap());
        let counts: BTreeMap<u8, u64> = pairs.map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
        let (mut found, mut objects) = (BTreeMap::new(), 0);
        for file in files_below(&folder.join("laz").join(cells[1]))
            .iter()
            .filter(|f| by_extension(f).is_some_and(|f| f.name == "las"))
        {
            let truth = read(file).unwrap().truth.unwrap();
            truth.class.iter().for_each(|&code| *found.entry(code).or_insert(0) += 1);
            objects += truth.instance.iter().filter(|&&i| i != 0).count();
        }
        assert_eq!(found, counts, "sequence {}", cells[1]);
        assert_eq!(found.values().sum::<u64>().to_string(), cells[2].replace(',', ""), "sequence {}", cells[1]);
        assert!(objects > 0, "sequence {}: no instances", cells[1]);
        rows += 1;
    }
    assert_eq!(rows, 9);
}

#[test]
fn inspect_says_something_of_every_file_and_folder() {
    let Some(folder) = lidar() else { return };
    let (mut unknown, mut silent) = (vec![], vec![]);
    for path in files_below(&folder) {
        let report = inspect(&path);
        assert!(!report.what.is_empty() && report.bytes == path.metadata().unwrap().len(), "{report}");
        serde_json::to_string(&report).unwrap();
        if report.format == "unknown" {
            unknown.push(path.file_name().unwrap().to_owned());
        }
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        if REFUSED.iter().any(|(file, _)| *file == name) && report.readable && report.problems.is_empty() {
            silent.push(name);
        }
    }
    unknown.retain(|name| !["SHA256SUMS", "IMPORTANT_NOTES"].contains(&name.to_str().unwrap_or("")));
    assert!(unknown.is_empty(), "not known by sight: {unknown:?}");
    assert!(silent.is_empty(), "refused by the reader, no problem found by inspect: {silent:?}");
    let whole = inspect(&folder);
    assert!(whole.files.iter().any(|group| group.format == "las" && group.readable && group.files > 150), "{whole}");
}
