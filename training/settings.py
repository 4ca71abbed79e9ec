"""What is fixed before training: classes, groups, splits, the shape of each network, and outside of which ranges a frame is unlike its training.

The measures of `trained_range` are those of src/points/models/domain.rs.
"""

DRIVING_NAMES = (
    "car bicycle motorcycle truck other-vehicle person bicyclist motorcyclist road parking sidewalk other-ground "
    "building fence vegetation trunk terrain pole traffic-sign"
).split()

# Labels of other data sets that stand for one of several classes: (classes). The loss asks for their sum.
SETS = {
    101: [13, 14, 18, 19],  # man-made
    102: [15, 16, 17],  # vegetation and terrain
    103: [10, 11, 12],  # flat, but no road
    104: [4, 5],  # trucks, trailers, building machines
    105: [2, 3, 7, 8],  # two-wheelers
}

DRIVING = {
    "levels": 5,
    "s0": 0.125,
    "k": 16,
    "channels": [32, 48, 96, 128, 160],
    "blocks": [1, 1, 2, 2, 2],
    "dec_channels": [32, 64, 96, 128],
    "dec_blocks": [0, 0, 0, 0],
    "head": 48,
    "columns": [1.5, 6.0],
    "hag_scale": 4.0,
    "inputs": ["above_ground", "range", "intensity", "has_intensity"],
    "input_scales": [0.25, 0.015625, 1.0, 1.0],
    "classes": [{"id": i + 1, "name": name} for i, name in enumerate(DRIVING_NAMES)],
    "groups": [
        {"name": "vehicle", "ids": [1, 4, 5]},
        {"name": "two-wheeler or person", "ids": [2, 3, 6, 7, 8]},
        {"name": "ground", "ids": [9, 10, 11, 12, 17]},
        {"name": "structure", "ids": [13, 14]},
        {"name": "vegetation", "ids": [15, 16]},
        {"name": "pole and sign", "ids": [18, 19]},
    ],
    "decision": "class",
    # KITTI's drives with a margin: 41,000 to 67,000 nodes, 37 to 68 m, .67 to .96 of the columns flat
    "trained_range": [
        {"measure": "nodes", "least": 5000, "most": 5e6},
        {"measure": "reach", "least": 25, "most": 120},
        {"measure": "flatness", "least": 0.5, "most": 1},
    ],
}

# Learns from simulated drives alone, whose remission is a shade and no measurement: places and nothing else.
DRIVING_OPEN = {**DRIVING, "inputs": ["above_ground", "range"], "input_scales": [0.25, 0.015625]}

AIRBORNE = {
    "levels": 6,
    "s0": 0.5,
    "k": 16,
    "channels": [24, 48, 64, 96, 128, 128],
    "blocks": [1, 1, 2, 2, 2, 2],
    "dec_channels": [32, 48, 64, 96, 128],
    "dec_blocks": [0, 0, 0, 0, 0],
    "head": 32,
    "columns": [4.0, 16.0, 48.0],
    "hag_scale": 8.0,
    "inputs": ["return_ratio", "returns", "has_returns"],
    "input_scales": [1.0, 0.25, 1.0],
    "classes": [
        {"id": 2, "name": "Ground"},
        {"id": 3, "name": "Low Vegetation"},
        {"id": 4, "name": "Medium Vegetation"},
        {"id": 5, "name": "High Vegetation"},
        {"id": 6, "name": "Building"},
    ],
    "groups": [
        {"name": "ground", "ids": [2]},
        {"name": "vegetation", "ids": [3, 4, 5]},
        {"name": "building", "ids": [6]},
    ],
    "decision": "group",
    # the tiles with a margin: 49 to 980 m, .06 to 33 points a square metre, .12 to .21 of the points in a tenth of the cells
    "trained_range": [
        {"measure": "extent", "least": 30, "most": 1e5},
        {"measure": "density", "least": 0.03, "most": 200},
        {"measure": "crowding", "least": 0, "most": 0.4},
    ],
}

MODELS = {"driving": DRIVING, "driving-open": DRIVING_OPEN, "airborne": AIRBORNE}

SEQUENCES = ["00", "01", "02", "03", "04", "05", "07", "09", "10"]
VALIDATION_SEQUENCES = ["07", "10"]

IGN = "IGNF-ign-pdal-tools/"
BRIDGE = "IGNF-las-digital-models/bridge/pointcloud/"
TRAIN_TILES = {
    "dense": [
        IGN + "classified_laz/test_data_77050_627755_LA93_IGN69.laz",
        IGN + "test_data_77050_627760_LA93_IGN69.laz",
        IGN + "test_data_77055_627755_LA93_IGN69.laz",
        IGN + "test_data_77055_627760_LA93_IGN69.laz",
        IGN + "las_with_origin_dsmMarker.laz",
        IGN + "las_with_several_extra_byte_bloc.laz",
        # their class 1 is a mixture and ignored, as everywhere
        "IGNF-lidar-prod/St_Barth_RGAF09_UTM20N_IGN_1988_SB_subset_100m.laz",
        "IGNF-lidar-prod/870000_6618000.subset.postCompletion.laz",
    ],
    "decimated": [
        IGN + "decimated_laz/test_semis_2021_0382_6565_LA93_IGN69_cropped.laz",
        IGN + "check_las/Semis_2022_0906_6665_LA93_IGN69_ok.laz",
        BRIDGE + "test_semis_2023_0299_6802_LA93_IGN69.laz",
    ],
}
VALIDATION_TILES = {
    "dense": [IGN + "test_data_77060_627755_LA93_IGN69.laz"],
    "decimated": [BRIDGE + "test_semis_2023_0300_6802_LA93_IGN69.laz"],
}
