//! Molecules: edges by one's own rule, a network that reads one energy out of each.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thalweg::graph::{Graph, Inferred};
use thalweg::layers::Matrix;
use thalweg::networks::{GraphNetwork, Network};
use thalweg::{BoxError, Next, Pipeline, Source};
use thalweg_connectors::arrow::array::{ArrayRef, Float32Array, Int64Array};
use thalweg_connectors::out::records::ColumnsSink;

/// Atoms, which may travel between processes: elements and positions (Å).
#[derive(Serialize, Deserialize)]
pub struct Molecule(i64, Vec<(String, [f32; 3])>);

/// One energy (eV) a molecule of an XYZ file.
pub fn run(xyz: &Path, model: &Path, output: &Path) -> Result<(), BoxError> {
    let network: Arc<dyn GraphNetwork> = Arc::new(Network::open(model)?);
    let text = std::fs::read_to_string(xyz)?;
    let pipeline = Pipeline::new();
    let molecules = pipeline.source(Xyz { name: xyz.display().to_string(), text, at: 0, frame: 0 });
    molecules.map("graph", graph).infer(&network).sink(ColumnsSink::create(output, rows)?);
    pipeline.workers(2).run()?;
    Ok(())
}

/// Both ways between all atoms within 5 Å; an edge's attributes are its length in a basis of sixteen Gaussians.
fn graph(Molecule(frame, atoms): Molecule) -> Result<Graph, BoxError> {
    let one_hot = |(element, _): &(String, _)| match ["H", "C", "N", "O"].map(|e| f32::from(u8::from(e == element))) {
        [0.0, 0.0, 0.0, 0.0] => Err(format!("molecule {frame}: found element {element}, expected H, C, N or O")),
        one_hot => Ok(one_hot),
    };
    let x: Vec<[f32; 4]> = atoms.iter().map(one_hot).collect::<Result<_, _>>()?;
    let (mut src, mut dst, mut basis) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (_, a)) in atoms.iter().enumerate() {
        for (j, (_, b)) in atoms.iter().enumerate().filter(|(j, _)| *j != i) {
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

/// The frames of an XYZ file: a number of atoms, a comment, an atom a line.
struct Xyz {
    name: String,
    text: String,
    at: usize,
    frame: i64,
}

impl Source for Xyz {
    type Item = Molecule;
    fn name(&self) -> String {
        self.name.clone()
    }
    fn next(&mut self) -> Result<Next<Molecule>, BoxError> {
        let mut lines = self.text.lines().skip(self.at);
        let Some(count) = lines.next().filter(|line| !line.trim().is_empty()) else { return Ok(Next::End) };
        let count: usize = count.trim().parse().map_err(|_| format!("line {}: found {count}", self.at + 1))?;
        let atom = |(n, line): (usize, &str)| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let place = [1, 2, 3].map(|c| cells.get(c).and_then(|cell| cell.parse::<f32>().ok()));
            let [Some(x), Some(y), Some(z)] = place else { return Err(format!("line {}: found {line}", n + 1)) };
            Ok((cells[0].to_string(), [x, y, z]))
        };
        let atoms: Vec<_> = lines.enumerate().map(|(i, line)| (self.at + 1 + i, line)).skip(1).take(count).collect();
        if atoms.len() < count {
            return Err(format!("molecule {}: found {} atoms, expected {count}", self.frame, atoms.len()).into());
        }
        let atoms = atoms.into_iter().map(atom).collect::<Result<_, _>>()?;
        (self.at, self.frame) = (self.at + 2 + count, self.frame + 1);
        Ok(Next::Item(Molecule(self.frame - 1, atoms)))
    }
}
