//! The file of a potential: sizes and molecules in the metadata under `thalweg`, tensors under the molecule's name.
//!
//! | tensor, f32 | shape |
//! |---|---|
//! | `NAME.functions` | `[classes, kept, radial]`: radial functions of a pair class |
//! | `NAME.mix` | `[classes, kept, 4, channels]`: `W` |
//! | `NAME.weight`, `NAME.offset` | `[types, 1 + hidden, invariants * channels]`, `[types, 1 + hidden]` |
//! | `NAME.out` | `[types, hidden]` |

use serde::Deserialize;

use super::coupling::Coupling;
use super::topology::{FAR, Topology};
use crate::Error;
use crate::layers::Weights;

/// The value of `architecture`.
const ARCHITECTURE: &str = "cluster-expansion";

/// Sizes of one set of weights.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Sizes {
    /// Neighbours beyond it are not seen, angstrom.
    pub cutoff: f64,
    /// Bessel functions.
    pub radial: usize,
    /// Radial functions a pair class.
    pub kept: usize,
    /// Channels of the density.
    pub channels: usize,
    /// Hidden units of the read-out.
    pub hidden: usize,
}

/// A pair class's weights.
#[derive(Clone, Debug)]
pub(super) struct PairClass {
    /// `[kept, radial]`.
    pub functions: Vec<f64>,
    /// `[kept, 4, channels]`.
    pub mix: Vec<f64>,
}

/// A type's weights.
#[derive(Clone, Debug)]
pub(super) struct Readout {
    /// `[1 + hidden, invariants * channels]`.
    pub weight: Vec<f64>,
    /// `[1 + hidden]`.
    pub offset: Vec<f64>,
    /// `[hidden]`.
    pub out: Vec<f64>,
}

/// How atoms of a molecule get their types.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// By bonds; pair classes tell bonds between the two as well. For this molecule only.
    Bonded(Topology),
    /// By element, whatever the molecule: the elements, in the order of the types.
    Elements(Vec<u8>),
}

/// One set of weights.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    pub name: String,
    pub sizes: Sizes,
    pub kind: Kind,
    /// `class[(from type * types + to type) * (FAR + 1) + bonds between]`: the pair class.
    pub class: Vec<Option<usize>>,
    pub classes: Vec<PairClass>,
    pub readouts: Vec<Readout>,
    /// Added to every molecule's energy; and for each atom by type.
    pub shift: f64,
    pub atom_shift: Vec<f64>,
    pub error_energy: f64,
    pub error_forces: Option<f64>,
}

/// A whole file.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub unit: String,
    pub fitted: Vec<Fitted>,
}

#[derive(Deserialize)]
struct Description {
    architecture: String,
    unit: String,
    molecules: Vec<Molecule>,
}

#[derive(Deserialize)]
struct Molecule {
    name: String,
    #[serde(flatten)]
    sizes: Sizes,
    /// Of each atom; where there are no bonds, of each type.
    elements: Vec<u8>,
    bonds: Option<Vec<[usize; 2]>>,
    #[serde(default)]
    types: Vec<usize>,
    #[serde(default)]
    labile: bool,
    classes: Vec<[usize; 3]>,
    shift: f64,
    atom_shift: Vec<f64>,
    error_energy: f64,
    error_forces: Option<f64>,
}

/// Reads a file; `name` is how messages call it.
pub(super) fn read(name: &str, bytes: &[u8], coupling: &Coupling) -> Result<File, Error> {
    let weights = Weights::read(name, bytes)?;
    let wrong = |place: &str, found: String, expected: &str| weights.error(place, found, expected);
    let text = weights.description();
    let text = text.ok_or_else(|| wrong("metadata", "no key thalweg".into(), "a description"))?;
    let description: Description =
        serde_json::from_str(text).map_err(|e| wrong("metadata thalweg", e.to_string(), "its keys"))?;
    if description.architecture != ARCHITECTURE {
        return Err(wrong("architecture", description.architecture, ARCHITECTURE));
    }
    let tensor = |name: &str, expected: &[usize]| {
        let (shape, values) = weights.flat(name)?;
        if shape != expected {
            return Err(wrong(name, format!("{shape:?}"), &format!("{expected:?}")));
        }
        Ok::<Vec<f64>, Error>(values.into_iter().map(f64::from).collect())
    };
    let fitted = (description.molecules.into_iter())
        .map(|molecule| {
            let (place, sizes) = (molecule.name.clone(), molecule.sizes);
            if sizes.cutoff.is_nan() || sizes.cutoff <= 0.0 || [sizes.radial, sizes.kept, sizes.channels].contains(&0) {
                return Err(wrong(&place, format!("{sizes:?}"), "positive sizes"));
            }
            let (classes, types) = (molecule.classes.len(), molecule.atom_shift.len());
            let width = coupling.invariants * sizes.channels;
            let part = |part: &str, shape: &[usize]| tensor(&format!("{place}.{part}"), shape);
            let functions = part("functions", &[classes, sizes.kept, sizes.radial])?;
            let mix = part("mix", &[classes, sizes.kept, 4, sizes.channels])?;
            let weight = part("weight", &[types, 1 + sizes.hidden, width])?;
            let offset = part("offset", &[types, 1 + sizes.hidden])?;
            let out = part("out", &[types, sizes.hidden])?;
            let rows = |values: &[f64], n: usize, count: usize| values[n * count..][..count].to_vec();
            let class =
                table(&molecule, types).ok_or_else(|| wrong(&place, "classes or types".into(), "ones of its own"))?;
            Ok(Fitted {
                sizes,
                class,
                classes: (0..classes)
                    .map(|c| PairClass {
                        functions: rows(&functions, c, sizes.kept * sizes.radial),
                        mix: rows(&mix, c, sizes.kept * 4 * sizes.channels),
                    })
                    .collect(),
                readouts: (0..types)
                    .map(|t| Readout {
                        weight: rows(&weight, t, (1 + sizes.hidden) * width),
                        offset: rows(&offset, t, 1 + sizes.hidden),
                        out: rows(&out, t, sizes.hidden),
                    })
                    .collect(),
                shift: molecule.shift,
                atom_shift: molecule.atom_shift.clone(),
                error_energy: molecule.error_energy,
                error_forces: molecule.error_forces,
                kind: kind(&molecule).ok_or_else(|| wrong(&place, "bonds".into(), "bonds between its atoms"))?,
                name: molecule.name,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(File { unit: description.unit, fitted })
}

/// The pair classes by types and bonds between; none where a number is out of range.
fn table(molecule: &Molecule, types: usize) -> Option<Vec<Option<usize>>> {
    let mut table = vec![None; types * types * (FAR + 1)];
    for (class, &[from, to, hops]) in molecule.classes.iter().enumerate() {
        if from >= types || to >= types || hops > FAR {
            return None;
        }
        table[(from * types + to) * (FAR + 1) + hops] = Some(class);
    }
    let fits = match molecule.bonds {
        Some(_) => molecule.types.iter().all(|&t| t < types),
        None => molecule.elements.len() == types,
    };
    fits.then_some(table)
}

fn kind(molecule: &Molecule) -> Option<Kind> {
    let Some(pairs) = &molecule.bonds else { return Some(Kind::Elements(molecule.elements.clone())) };
    let mut bonds = vec![Vec::new(); molecule.elements.len()];
    for &[a, b] in pairs {
        bonds.get_mut(a)?.push(b);
        bonds.get_mut(b)?.push(a);
    }
    bonds.iter_mut().for_each(|partners| partners.sort_unstable());
    if molecule.types.len() != bonds.len() {
        return None;
    }
    let (species, types) = (molecule.elements.clone(), molecule.types.clone());
    Some(Kind::Bonded(Topology { species, bonds, types, labile: molecule.labile }))
}
