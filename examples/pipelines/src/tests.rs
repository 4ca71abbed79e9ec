//! The five pipelines on small data, and their networks against what PyTorch Geometric gave.

use std::path::{Path, PathBuf};

use thalweg::SegmentationModel;
use thalweg::graph::Graph;
use thalweg::layers::Matrix;
use thalweg::networks::{GraphNetwork, Network};
use thalweg_connectors::sim::street::Street;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// Lines of a CSV file as cells.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_string).collect()).collect()
}

#[test]
fn networks_give_what_pytorch_geometric_gives() {
    for name in ["sweep", "radar", "molecule"] {
        let network = Network::open(&data(&format!("{name}.safetensors"))).unwrap();
        let bytes = std::fs::read(data(&format!("{name}_check.safetensors"))).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let matrix = |key: &str| {
            let tensor = file.tensor(key).ok()?;
            let values = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let [rows, cols] = tensor.shape() else { panic!("{key}") };
            Matrix::from_rows(*rows, *cols, values)
        };
        let ends = |key: &str| -> Vec<u32> {
            file.tensor(key).unwrap().data().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
        };
        let graph =
            Graph::from_edges(matrix("x").unwrap(), &ends("src"), &ends("dst"), matrix("edge_attr").as_ref()).unwrap();
        let found = network.forward(&graph.x, graph.edge_attr.as_ref(), &graph.structure()).unwrap();
        let expected = matrix("y").unwrap();
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let largest = expected.data().iter().fold(1.0f32, |most, v| most.max(v.abs()));
        for (f, e) in found.data().iter().zip(expected.data()) {
            assert!((f - e).abs() <= 1e-5 * largest, "{name}: found {f}, expected {e}");
        }
    }
}

#[test]
fn a_sweep_is_labelled_by_a_network_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("nodes.csv");
    crate::sweep_network::run(Street::new(1, 2), &data("sweep.safetensors"), &output).unwrap();
    let rows = rows(&output);
    let ground = rows.iter().filter(|row| row[2] == "1").count();
    assert!(rows.len() > 2000 && ground * 5 > rows.len() && ground < rows.len(), "{ground} of {}", rows.len());
}

#[test]
fn a_map_has_labels_and_degrees() {
    let folder = tempfile::tempdir().unwrap();
    let [labels, degrees] = ["labels.parquet", "degrees.csv"].map(|name| folder.path().join(name));
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/driving.safetensors");
    let model = SegmentationModel::open(&model).unwrap();
    crate::map_odometry::run(Street::new(2, 1), &data("odometry.csv"), &model, [&labels, &degrees]).unwrap();
    assert!(std::fs::metadata(&labels).unwrap().len() > 1000);
    // Each voxel has sixteen nearest, so the listeners are sixteen times the voxels, those who have none left out.
    let rows: Vec<[i64; 2]> = rows(&degrees).iter().map(|row| [0, 1].map(|c| row[c].parse().unwrap())).collect();
    let edges: i64 = rows.iter().map(|[listeners, voxels]| listeners * voxels).sum();
    assert!(edges > 16_000 && edges % 16 == 0, "{edges}");
}

#[test]
fn alerts_are_the_rows_above_the_threshold_without_doses() {
    let folder = tempfile::tempdir().unwrap();
    let [people, alerts] = ["people.csv", "alerts.csv"].map(|name| folder.path().join(name));
    let inputs = ["contacts.csv", "tests.csv", "vaccinations.csv"].map(data);
    let [contacts, tests, vaccinations] = &inputs;
    crate::contact_alerts::run([contacts, tests, vaccinations], 0.2, [&people, &alerts]).unwrap();
    let urgent = |row: &Vec<String>| row[2].parse::<f32>().unwrap() > 0.2 && row[3] == "0";
    let people = rows(&people);
    let expected: Vec<_> = people.iter().filter(|row| urgent(row)).cloned().collect();
    assert_eq!(rows(&alerts), expected);
    assert!(!expected.is_empty() && people.iter().any(|row| row[3] != "0"), "{people:?}");
}

#[test]
fn a_person_is_read_out_of_radar_points() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("person.csv");
    crate::radar_readout::run(crate::radar_readout::Walk(0, 20), &data("radar.safetensors"), &output).unwrap();
    let rows = rows(&output);
    assert_eq!(rows.len(), 20);
    for (i, row) in rows.iter().enumerate() {
        let [x, y, head] = [1, 2, 3].map(|c| row[c].parse::<f32>().unwrap());
        assert!((x - (0.1 * i as f32 - 1.0)).abs() < 0.3 && (y - 0.5).abs() < 0.3, "frame {i}: {row:?}");
        assert!((1.0..2.5).contains(&head), "frame {i}: {row:?}");
    }
}

#[test]
fn molecules_have_one_energy_each() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("energies.csv");
    crate::molecules::run(&data("molecules.xyz"), &data("molecule.safetensors"), &output).unwrap();
    let found = rows(&output);
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|row| row[1].parse::<f32>().unwrap().is_finite()));
    let torn = folder.path().join("torn.xyz");
    std::fs::write(&torn, "3\n\nH 0 0 0\nXe 1 0 0\n").unwrap();
    let error = crate::molecules::run(&torn, &data("molecule.safetensors"), &output).unwrap_err().to_string();
    assert!(error.contains("torn.xyz: line 5: found the end of the file, expected the line of atom 3 of 3"), "{error}");
    std::fs::write(&torn, "2\n\nH 0 0 0\nXe 1 0 0\n").unwrap();
    let error = crate::molecules::run(&torn, &data("molecule.safetensors"), &output).unwrap_err().to_string();
    assert!(error.contains("molecule 0: found element Xe, expected H, C, N or O"), "{error}");
}
