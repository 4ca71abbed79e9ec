//! Bonds, types of atoms and classes of pairs.
//!
//! Two atoms are bonded where they are nearer than `limit` says for their elements. An atom's type is its colour after refinement
//! (Weisfeiler and Leman, 1968): begin with the element, then add the sorted colours of the bonded atoms until nothing splits.
//! A pair's class is the two types and the number of bonds between the two. A molecule is known where its colours are those of
//! the reference, which is refined together with it, so that equal colours have equal numbers.

use std::collections::BTreeMap;

use crate::graph::PeriodicEdge;

/// Bonds counted at most between two atoms of a pair.
pub(super) const FAR: usize = 4;

/// The longest bond of two elements, angstrom; none for elements that are never bonded here.
fn limit(a: u8, b: u8) -> Option<f64> {
    match (a.min(b), a.max(b)) {
        (1, 6) => Some(1.6),
        (1, 8) => Some(1.4),
        (6, 6 | 8) => Some(1.85),
        _ => None,
    }
}

/// The squared length of a vector.
pub(super) fn length2([x, y, z]: [f64; 3]) -> f64 {
    x * x + y * y + z * z
}

/// Who is bonded to whom: `bonds[i]` lists the partners of atom i, ascending.
pub type Bonds = Vec<Vec<usize>>;

/// The bonds among the edges. Where `labile`, hydrogen on oxygen counts as free, since it may change its partner.
#[must_use]
pub fn bonds(species: &[u8], edges: &[PeriodicEdge], labile: bool) -> Bonds {
    let mut bonds = vec![Vec::new(); species.len()];
    for edge in edges {
        let (own, partner) = (edge.dst as usize, edge.src as usize);
        let (a, b) = (species[own], species[partner]);
        let free = labile && (a.min(b), a.max(b)) == (1, 8);
        if !free && limit(a, b).is_some_and(|limit| length2(edge.offset) < limit * limit) {
            bonds[own].push(partner);
        }
    }
    bonds.iter_mut().for_each(|partners| {
        partners.sort_unstable();
        partners.dedup();
    });
    bonds
}

/// Bonds on the shortest way from `from` to every atom, [`FAR`] where more or none.
pub(super) fn hops(bonds: &Bonds, from: usize) -> Vec<usize> {
    let mut steps = vec![FAR; bonds.len()];
    steps[from] = 0;
    let mut border = vec![from];
    for step in 1..FAR {
        let mut next = Vec::new();
        for &partner in border.iter().flat_map(|&atom| &bonds[atom]) {
            if steps[partner] == FAR && partner != from {
                steps[partner] = step;
                next.push(partner);
            }
        }
        border = next;
    }
    steps
}

/// A molecule as a potential was fitted to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// Atomic numbers, `[atoms]`.
    pub species: Vec<u8>,
    /// Its bonds.
    pub bonds: Bonds,
    /// Types of its atoms, `[atoms]`.
    pub types: Vec<usize>,
    /// Whether hydrogen on oxygen counts as free.
    pub labile: bool,
}

impl Topology {
    /// Whether a molecule has the same numbers of each element.
    #[must_use]
    pub fn same_composition(&self, species: &[u8]) -> bool {
        let sorted = |species: &[u8]| {
            let mut sorted = species.to_vec();
            sorted.sort_unstable();
            sorted
        };
        sorted(&self.species) == sorted(species)
    }

    /// The type of each atom of a molecule; none where its bonds are not those of this topology.
    #[must_use]
    pub fn types_of(&self, species: &[u8], bonds: &Bonds) -> Option<Vec<usize>> {
        if species == self.species && *bonds == self.bonds {
            return Some(self.types.clone());
        }
        let count = self.species.len();
        let both: Vec<u8> = self.species.iter().chain(species).copied().collect();
        let shifted = bonds.iter().map(|partners| partners.iter().map(|p| p + count).collect());
        let colours = refine(&both, &self.bonds.iter().cloned().chain(shifted).collect());
        let (ours, theirs) = colours.split_at(count);
        let (mut a, mut b) = (ours.to_vec(), theirs.to_vec());
        a.sort_unstable();
        b.sort_unstable();
        if a != b {
            return None;
        }
        let named: BTreeMap<usize, usize> = ours.iter().copied().zip(self.types.iter().copied()).collect();
        theirs.iter().map(|colour| named.get(colour).copied()).collect()
    }
}

/// Colours of atoms, refined until nothing splits.
fn refine(species: &[u8], bonds: &Bonds) -> Vec<usize> {
    let mut colours: Vec<usize> = species.iter().map(|&z| usize::from(z)).collect();
    let mut found = 0;
    loop {
        let mut names = BTreeMap::new();
        let keys: Vec<_> = (0..colours.len())
            .map(|i| {
                let mut around: Vec<usize> = bonds[i].iter().map(|&j| colours[j]).collect();
                around.sort_unstable();
                (colours[i], around)
            })
            .collect();
        for key in &keys {
            names.insert(key, 0);
        }
        names.values_mut().enumerate().for_each(|(rank, name)| *name = rank);
        let count = names.len();
        colours = keys.iter().map(|key| names.get(key).copied().unwrap_or(0)).collect();
        if count == found {
            return colours;
        }
        found = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethanol_in_any_order() {
        // C0 C1 O2, H3-5 on C0, H6-7 on C1, H8 on O.
        let species = [6, 6, 8, 1, 1, 1, 1, 1, 1];
        let pairs = [[0, 1], [1, 2], [0, 3], [0, 4], [0, 5], [1, 6], [1, 7], [2, 8]];
        let graph = |order: &[usize]| {
            let mut bonds = vec![Vec::new(); 9];
            for [a, b] in pairs {
                bonds[order[a]].push(order[b]);
                bonds[order[b]].push(order[a]);
            }
            bonds.iter_mut().for_each(|p| p.sort_unstable());
            bonds
        };
        let plain = graph(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(hops(&plain, 3), [1, 2, 3, 0, 2, 2, 3, 3, 4]);
        let types = vec![3, 4, 5, 0, 0, 0, 1, 1, 2];
        let topology = Topology { species: species.to_vec(), bonds: plain, types: types.clone(), labile: false };
        let order = [8, 3, 0, 1, 7, 2, 4, 6, 5];
        let (mut moved, mut expected) = ([0; 9], vec![0; 9]);
        for i in 0..9 {
            moved[order[i]] = species[i];
            expected[order[i]] = types[i];
        }
        assert_eq!(topology.types_of(&moved, &graph(&order)), Some(expected));
        let mut broken = graph(&order);
        broken[8].clear();
        assert_eq!(topology.types_of(&moved, &broken), None);
    }
}
