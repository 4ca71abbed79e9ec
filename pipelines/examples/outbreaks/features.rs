//! Inputs of the network and truths of random outbreaks, as NumPy files: the rows of all cases one after another.

use std::path::Path;

use thalweg::contacts::RiskOptions;
use thalweg::contacts::tgnn::{AGES, Inputs, NODE, POPULATION, Rates};

use crate::Result;
use crate::networks::Office;
use crate::random::Random;
use crate::settings::{misjudged, network, outbreak};

/// Outbreaks on one network.
const EACH: usize = 4;

pub fn write(data: &Path, out: &Path, cases: usize, seed: u64) -> Result<()> {
    let office = Office::read(&data.join("invs15.csv.gz"))?;
    std::fs::create_dir_all(out)?;
    let (mut node, mut population, mut weight) = (Vec::new(), Vec::new(), Vec::new());
    let (mut base, mut bp, mut infected, mut positive) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut people, mut edges, mut degree, mut src) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut done = 0;
    for which in 0.. {
        let random = &mut Random::new(seed, which);
        let network = network(&office, random)?;
        if network.people < 20 {
            continue;
        }
        for _ in 0..EACH.min(cases - done) {
            let (outbreak, truth) = outbreak(&network, random);
            let given = misjudged(&truth, random);
            let rates = Rates::new(&outbreak.snapshot, &given, &RiskOptions::new(1))?;
            let inputs = Inputs::new(&outbreak.snapshot, &given, &rates)?;
            node.extend_from_slice(inputs.node.data());
            population.extend_from_slice(inputs.population.data());
            weight.extend_from_slice(inputs.weight.data());
            base.extend(inputs.base.iter().map(|odds| *odds as f32));
            bp.extend(rates.lanes[0].iter().map(|p| *p as f32));
            infected.extend(outbreak.infected.iter().map(|infected| f32::from(u8::from(*infected))));
            positive.extend(outbreak.positive().iter().map(|positive| f32::from(u8::from(*positive))));
            people.push(inputs.graph.nodes() as u32);
            edges.push(inputs.graph.edges() as u32);
            for person in 0..inputs.graph.nodes() {
                degree.push(inputs.graph.of(person).len() as u32);
                src.extend_from_slice(inputs.graph.of(person));
            }
            done += 1;
        }
        if done >= cases {
            break;
        }
    }
    for (name, values, cols) in [
        ("node", node, NODE),
        ("population", population, POPULATION),
        ("weight", weight, AGES),
        ("base", base, 1),
        ("bp", bp, 1),
        ("infected", infected, 1),
        ("positive", positive, 1),
    ] {
        npy(out, name, "<f4", values.len() / cols, cols, values.iter().flat_map(|v: &f32| v.to_le_bytes()))?;
    }
    for (name, values) in [("people", people), ("edges", edges), ("degree", degree), ("src", src)] {
        npy(out, name, "<u4", values.len(), 1, values.iter().flat_map(|v: &u32| v.to_le_bytes()))?;
    }
    Ok(())
}

/// A NumPy file, format 1.0.
fn npy(out: &Path, name: &str, kind: &str, rows: usize, cols: usize, bytes: impl Iterator<Item = u8>) -> Result<()> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    let padded = format!("{header:<117}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((padded.len() as u16).to_le_bytes());
    file.extend(padded.bytes().chain(bytes));
    Ok(std::fs::write(out.join(format!("{name}.npy")), file)?)
}
