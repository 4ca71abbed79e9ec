//! The potential against PyTorch in f64 (`training/molecules/fixtures.py`), finite differences, and its symmetries.

use thalweg::molecules::{Molecule, Potential};

const MODEL: &[u8] = include_bytes!("../fixtures/molecules/ethanol.safetensors");
const RECORD: &str = include_str!("../fixtures/molecules/molecules.json");

struct Record {
    elements: Vec<u8>,
    positions: Vec<Vec<[f64; 3]>>,
    energies: Vec<f64>,
    forces: Vec<Vec<[f64; 3]>>,
}

fn record() -> (Potential, Record) {
    let json: serde_json::Value = serde_json::from_str(RECORD).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let place = |value: &serde_json::Value| [0, 1, 2].map(|axis| number(&value[axis]));
    let frames = |key: &str| -> Vec<Vec<[f64; 3]>> {
        json[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| frame.as_array().unwrap().iter().map(place).collect())
            .collect()
    };
    let record = Record {
        elements: json["elements"].as_array().unwrap().iter().map(|z| z.as_u64().unwrap() as u8).collect(),
        positions: frames("positions"),
        energies: json["energies"].as_array().unwrap().iter().map(number).collect(),
        forces: frames("forces"),
    };
    (Potential::read("fixture", MODEL).unwrap(), record)
}

struct Found {
    energy: f64,
    forces: Vec<[f64; 3]>,
}

fn evaluate(potential: &Potential, species: &[u8], positions: &[[f64; 3]]) -> Result<Found, thalweg::Error> {
    let molecule = Molecule { z: species.to_vec(), pos: positions.to_vec(), ..Molecule::default() };
    potential.evaluate(&molecule).map(|(energy, forces, _)| Found { energy, forces })
}

fn run(potential: &Potential, species: &[u8], positions: &[[f64; 3]]) -> Found {
    evaluate(potential, species, positions).unwrap()
}

fn assert_near(found: &[[f64; 3]], expected: &[[f64; 3]], limit: f64) {
    for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((a - b).abs() < limit, "{a} for {b}");
    }
}

#[test]
fn values_of_pytorch() {
    let (potential, record) = record();
    for frame in 0..2 {
        let found = run(&potential, &record.elements, &record.positions[frame]);
        assert!((found.energy - record.energies[frame]).abs() < 1e-9, "{} {}", found.energy, record.energies[frame]);
        assert_near(&found.forces, &record.forces[frame], 1e-9);
    }
}

#[test]
fn forces_are_the_negative_gradient() {
    let (potential, record) = record();
    let positions = &record.positions[0];
    let (forces, h) = (run(&potential, &record.elements, positions).forces, 1e-4);
    for atom in 0..9 {
        for axis in 0..3 {
            let moved = |step: f64| {
                let mut moved = positions.clone();
                moved[atom][axis] += step;
                run(&potential, &record.elements, &moved).energy
            };
            let slope = (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h);
            assert!((forces[atom][axis] + slope).abs() < 1e-6, "{} {slope}", forces[atom][axis]);
        }
    }
}

#[test]
fn moved_turned_mirrored_and_reordered() {
    let (potential, record) = record();
    let positions = &record.positions[1];
    let plain = run(&potential, &record.elements, positions);
    let (s, c) = (0.28, 0.96);
    let turn = |[x, y, z]: [f64; 3]| [c * x - s * z, y, s * x + c * z];
    let mirror = |[x, y, z]: [f64; 3]| [x, -y, z];
    for change in [&turn as &dyn Fn([f64; 3]) -> [f64; 3], &mirror] {
        let at: Vec<_> = positions.iter().map(|&p| change(p).map(|v| v + 10.0)).collect();
        let found = run(&potential, &record.elements, &at);
        assert!((found.energy - plain.energy).abs() < 1e-9);
        let expected: Vec<_> = plain.forces.iter().map(|&f| change(f)).collect();
        assert_near(&found.forces, &expected, 1e-9);
    }
    let order = [8, 3, 0, 1, 7, 2, 4, 6, 5];
    let species: Vec<_> = order.iter().map(|&n| record.elements[n]).collect();
    let at: Vec<_> = order.iter().map(|&n| positions[n]).collect();
    let found = run(&potential, &species, &at);
    assert!((found.energy - plain.energy).abs() < 1e-9);
    let expected: Vec<_> = order.iter().map(|&n| plain.forces[n]).collect();
    assert_near(&found.forces, &expected, 1e-9);
    let total = (0..3).map(|axis| plain.forces.iter().map(|f| f[axis]).sum::<f64>().abs()).fold(0.0, f64::max);
    assert!(total < 1e-10, "net force {total}");
}

#[test]
fn what_it_does_not_know_is_refused() {
    let (potential, record) = record();
    let positions = record.positions[0].clone();
    let error =
        |species: &[u8], positions: &[[f64; 3]]| evaluate(&potential, species, positions).err().unwrap().to_string();
    let mut gold = record.elements.clone();
    gold[0] = 79;
    assert!(!potential.knows(&gold) && potential.knows(&record.elements));
    assert!(error(&gold, &positions).starts_with("elements of the molecule"));
    let mut torn = positions.clone();
    torn[8][0] += 2.0;
    assert!(error(&record.elements, &torn).starts_with("bonds of the molecule"));
    let mut same = positions.clone();
    same[1] = same[0];
    assert!(error(&record.elements, &same).starts_with("edge"));
    assert!(Potential::read("torn", &MODEL[..100]).is_err());
}

#[test]
fn a_molecule_in_a_large_cell_is_the_molecule_alone_wherever_the_cell_cuts_it() {
    let (potential, record) = record();
    let positions = &record.positions[0];
    let alone = run(&potential, &record.elements, positions);
    let cell = [[16.0, 0.0, 0.0], [3.0, 15.0, 0.0], [0.0, -2.0, 14.0]];
    for shift in [0.0, 0.3, 7.5] {
        // Each atom somewhere else among the images.
        let pos = positions.iter().enumerate().map(|(i, p)| {
            let image = cell[i % 3];
            [0, 1, 2].map(|axis| p[axis] + shift + image[axis] * ((i % 2) as f64))
        });
        let molecule = Molecule {
            z: record.elements.clone(),
            pos: pos.collect(),
            cell: Some(cell),
            pbc: [true; 3],
            ..Molecule::default()
        };
        let (energy, forces, _) = potential.evaluate(&molecule).unwrap();
        assert!((energy - alone.energy).abs() < 1e-9, "{energy} {}", alone.energy);
        assert_near(&forces, &alone.forces, 1e-9);
    }
}
