//! Molecules: edges by one's own rule, a network that reads one energy out of each.

use std::path::Path;
use std::sync::Arc;

use thalweg::graph::{Graph, Inferred};
use thalweg::layers::Matrix;
use thalweg::molecules::Molecule;
use thalweg::networks::{GraphNetwork, Network};
use thalweg::{BoxError, Pipeline};
use thalweg_connectors::arrow::array::{ArrayRef, Float32Array, Int64Array};
use thalweg_connectors::molecules::elements::symbol;
use thalweg_connectors::molecules::{Molecules, MoleculesOptions};
use thalweg_connectors::out::records::ColumnsSink;

/// In the order of the network's inputs.
const ELEMENTS: [&str; 4] = ["H", "C", "N", "O"];

/// One energy (eV) a molecule of an XYZ file.
pub fn run(xyz: &Path, model: &Path, output: &Path) -> Result<(), BoxError> {
    let network: Arc<dyn GraphNetwork> = Arc::new(Network::open(model)?);
    let pipeline = Pipeline::new();
    let molecules = pipeline.source(Molecules::open(&[xyz.into()], MoleculesOptions::default())?);
    molecules.map("graph", graph).infer(&network).sink(ColumnsSink::create(output, rows)?);
    pipeline.workers(2).run()?;
    Ok(())
}

/// Both ways between all atoms within 5 Å; an edge's attributes are its length in a basis of sixteen Gaussians.
fn graph(molecule: Molecule) -> Result<Graph, BoxError> {
    let frame = molecule.frame;
    let one_hot = |&z: &u8| match ELEMENTS.map(|element| f32::from(u8::from(symbol(z) == Some(element)))) {
        [0.0, 0.0, 0.0, 0.0] => {
            Err(format!("molecule {frame}: found element {}, expected H, C, N or O", symbol(z).unwrap_or("?")))
        }
        one_hot => Ok(one_hot),
    };
    let x: Vec<[f32; 4]> = molecule.z.iter().map(one_hot).collect::<Result<_, _>>()?;
    let places: Vec<[f32; 3]> = molecule.pos.iter().map(|p| p.map(|v| v as f32)).collect();
    let (mut src, mut dst, mut basis) = (Vec::new(), Vec::new(), Vec::new());
    for (i, a) in places.iter().enumerate() {
        for (j, b) in places.iter().enumerate().filter(|(j, _)| *j != i) {
            let d = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
            if d <= 5.0 {
                src.push(j as u32);
                dst.push(i as u32);
                basis.push(std::array::from_fn::<f32, 16, _>(|k| (-((d - 0.5 - 0.3 * k as f32) / 0.3).powi(2)).exp()));
            }
        }
    }
    let basis: Matrix = basis.into_iter().collect();
    Ok(Graph { frame, ..Graph::from_edges(x.into_iter().collect(), &src, &dst, Some(&basis))? })
}

fn rows(items: &[Inferred]) -> Vec<(&'static str, ArrayRef)> {
    let frame = Int64Array::from_iter_values(items.iter().map(|item| item.graph.frame));
    let energy = Float32Array::from_iter_values(items.iter().map(|item| item.y.row(0)[0]));
    vec![("frame", Arc::new(frame)), ("energy", Arc::new(energy))]
}
