//! Where a model warns that an input is unlike its training data: never on data like it, always on a room, a thing, or the other model's.

use std::path::Path;

use thalweg::sink::Collect;
use thalweg::{BoxError, Frame, Next, Nodes, Pipeline, SegmentationModel, Source};
use thalweg_connectors::sim::street::Street;

use crate::support::{lidar, read};

struct One(Option<Frame>);

impl Source for One {
    type Item = Frame;
    fn name(&self) -> String {
        "one".into()
    }
    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        Ok(self.0.take().map_or(Next::End, Next::Item))
    }
}

fn model(name: &str) -> SegmentationModel {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../models/{name}.safetensors"));
    SegmentationModel::from_bytes(name, &std::fs::read(path).unwrap()).unwrap()
}

/// What `model` says of a frame: the words behind the model's name.
fn said(model: &SegmentationModel, frame: Frame) -> Option<String> {
    let (sink, edge) = (Collect::<Nodes>::default(), model.config().s0);
    Pipeline::from_source(One(Some(frame))).run(|points| points.voxel_downsample(edge), sink.clone()).unwrap();
    let words = model.unlike(&sink.items()[0].1)?;
    let (start, found) = words.split_once("so its labels may be wrong: ").unwrap();
    assert_eq!(start, format!("model {}: the input is unlike its training data, ", model.name()));
    Some(found.into())
}

#[test]
fn a_simulated_street_is_like_the_drives() {
    let mut street = Street::new(3, 7);
    while let Next::Item(frame) = street.next().unwrap() {
        assert_eq!(said(&model("driving"), frame.clone()), None);
        let found = said(&model("airborne"), frame).unwrap();
        assert!(found.contains("of all points on a tenth of the area"), "{found}");
    }
}

#[test]
fn recordings_like_the_training_are_passed_in_silence_and_others_are_not() {
    let Some(lidar) = lidar() else { return };
    let (driving, airborne) = (model("driving"), model("airborne"));
    let at = |path: &str| read(&lidar.join(path)).unwrap();
    for drive in ["00", "01", "02", "03", "04", "05", "07", "09", "10"] {
        for scan in ["000000", "000009"] {
            let frame = at(&format!("rancheng-mini_kitti_dataset/laz/{drive}/{scan}.laz"));
            assert_eq!(said(&driving, frame.clone()), None, "{drive}/{scan}");
            assert!(said(&airborne, frame).is_some(), "{drive}/{scan}");
        }
    }
    for scan in ["0005/000000", "0005/000153", "0048/000010", "other/000000", "other/000060"] {
        assert_eq!(said(&driving, at(&format!("kitti-raw-drives/{scan}.laz"))), None, "{scan}");
    }
    let nuscenes = "open-mmlab-mmdetection3d/demo/data/nuscenes/n015-2018-07-24-11-22-45+0800__LIDAR_TOP__1532402927647951.pcd.bin";
    assert_eq!(said(&driving, at(nuscenes)), None);
    let tiles = [
        "IGNF-ign-pdal-tools/classified_laz/test_data_77050_627755_LA93_IGN69.laz",
        "IGNF-ign-pdal-tools/test_data_77060_627755_LA93_IGN69.laz",
        "IGNF-ign-pdal-tools/las_with_origin_dsmMarker.laz",
        "IGNF-ign-pdal-tools/las_with_several_extra_byte_bloc.laz",
        "IGNF-las-digital-models/bridge/pointcloud/test_semis_2023_0300_6802_LA93_IGN69.laz",
        "IGNF-lidar-prod/870000_6618000.subset.postCompletion.laz",
        "IGNF-lidar-prod/St_Barth_RGAF09_UTM20N_IGN_1988_SB_subset_100m.laz",
    ];
    for tile in tiles {
        assert_eq!(said(&airborne, at(tile)), None, "{tile}");
        assert!(said(&driving, at(tile)).is_some(), "{tile}");
    }
    let indoors = "tier4-nebula/nebula_velodyne/nebula_velodyne/test_resources/decoder_ground_truth";
    let hall = "tier4-nebula/nebula_hesai/nebula_hesai/test_resources/decoder_ground_truth/40p/1673400149711850138.pcd";
    for (what, words) in [
        (
            format!("{indoors}/vlp16/1673400472138016708.pcd"),
            "nodes a frame (trained on 5000 to 5000000); 95 % of the points within",
        ),
        (format!("{indoors}/vlp32/1713492677464078412.pcd"), "95 % of the points within"),
        (hall.into(), "95 % of the points within 8.1"),
        ("PointCloudLibrary-pcl/test/bunny.pcd".into(), "no ground found around the sensor"),
        ("PointCloudLibrary-pcl/test/lamppost.pcd".into(), "no ground found around the sensor"),
        ("PointCloudLibrary-pcl/test/office1_keypoints.pcd".into(), "95 % of the points within"),
    ] {
        let frame = at(&what);
        let found = said(&driving, frame.clone()).unwrap_or_default();
        assert!(found.contains(words), "{what}: {found}");
        assert!(said(&airborne, frame).is_some(), "{what}");
    }
    // A yard scanned by hand, as x, y, z alone.
    let bytes = std::fs::read(lidar.join("koide3-gtsam_points/newer_06/raw_00.bin")).unwrap();
    let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let axis = |axis: usize| floats.iter().skip(axis).step_by(3).copied().collect();
    let yard = Frame { x: axis(0), y: axis(1), z: axis(2), ..Frame::default() };
    assert_eq!(said(&driving, yard.clone()), Some("no ground found around the sensor".into()));
    assert!(said(&airborne, yard).is_some());
}
