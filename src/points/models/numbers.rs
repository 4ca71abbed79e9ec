//! The numbers of objects: within a frame, or such that last over the frames of a map.
//!
//! A lasting number comes from where an object is in the world, not from what it was called before. Each cell of the world has a hash. An
//! object claims every cell that it has nodes in, and the claim of least `hash / nodes` names it. That is priority sampling (Duffield, Lund
//! and Thorup, J. ACM 2007) of one cell with nodes as weights. As with min-hash (Broder 1997), two frames choose the same cell if they see
//! much the same object, and a cell that holds much of it is the likeliest choice.
//!
//! All claims of a frame are settled in one order, strongest first, so two objects never have one number.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{Error, Nodes};

/// How the objects of a frame are numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// 1 + the rank of the object's smallest point index within the frame.
    #[default]
    Frame,
    /// From where the object is in the world: an object of a map keeps its number while much of it stays in the window.
    Lasting {
        /// The largest number; the least is 1.
        most: u32,
    },
}

/// Numbers within the frame, per point; 0 where a node is of no object.
pub(super) fn ranks(nodes: &Nodes, object: impl Fn(usize) -> Option<u32>) -> Vec<u32> {
    let mut number = vec![0u32; nodes.len()];
    let mut objects = 0;
    let of_point = |&node: &u32| {
        let first = (node != Nodes::NONE).then(|| object(node as usize)).flatten();
        first.map_or(0, |first| {
            let number = &mut number[first as usize];
            if *number == 0 {
                objects += 1;
                *number = objects;
            }
            *number
        })
    };
    nodes.of_point.iter().map(of_point).collect()
}

/// What an object has of a cell.
struct Claim {
    /// The object's first node.
    object: u32,
    cell: u64,
    /// Of the cell: one half orders claims, the other is the number.
    hash: u64,
    /// The object's nodes in the cell, at least 1.
    nodes: u64,
}

impl Claim {
    /// Stronger claims first; claims of one strength by cell, then by object.
    fn compare(&self, other: &Claim) -> std::cmp::Ordering {
        // a / b < c / d as a · d < c · b: 32 bits each, for a graph has fewer than 2^32 nodes.
        let strength = |a: &Claim, b: &Claim| (a.hash & 0xffff_ffff) * b.nodes;
        strength(self, other)
            .cmp(&strength(other, self))
            .then((self.cell, self.object).cmp(&(other.cell, other.object)))
    }

    /// The cell's own number, 1 to `most`.
    fn number(&self, most: u32) -> u32 {
        1 + ((self.hash >> 32) % u64::from(most)) as u32
    }
}

/// Numbers 1 to `most` that last, by the first node of each object. `object` has the first node of each node's object, or [`Nodes::NONE`]
/// `[nodes]`; `cell` the cell of the world that each node lies in `[nodes]`.
///
/// # Errors
/// [`Error::Value`]: more objects than numbers. [`Error::Shape`]: not one cell a node.
pub(super) fn lasting(object: &[u32], cell: &[u64], most: u32) -> Result<FxHashMap<u32, u32>, Error> {
    Error::unless_same("lasting numbers: cells of the nodes", cell.len(), object.len())?;
    let mut nodes: FxHashMap<(u32, u64), u64> = FxHashMap::default();
    for (&object, &cell) in object.iter().zip(cell).filter(|(object, _)| **object != Nodes::NONE) {
        *nodes.entry((object, cell)).or_default() += 1;
    }
    let claim = |((object, cell), nodes)| Claim { object, cell, hash: mix(cell), nodes };
    let mut claims: Vec<Claim> = nodes.into_iter().map(claim).collect();
    claims.sort_unstable_by(Claim::compare);

    let (mut named, mut taken) = (FxHashMap::default(), FxHashSet::default());
    for claim in &claims {
        if !named.contains_key(&claim.object) && taken.insert(claim.number(most)) {
            named.insert(claim.object, claim.number(most));
        }
    }
    // Whoever has no cell to itself takes the next free number behind that of its first.
    for claim in &claims {
        if named.contains_key(&claim.object) {
            continue;
        }
        if taken.len() >= most as usize {
            let expected = format!("objects of a frame up to {most}");
            return Err(Error::Value { what: "numbers", found: format!("more than {most} objects"), expected });
        }
        let mut number = claim.number(most);
        while !taken.insert(number) {
            number = number % most + 1;
        }
        named.insert(claim.object, number);
    }
    Ok(named)
}

/// SplitMix64's mixing of 64 bits (Steele, Lea and Flood, OOPSLA 2014).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;

    /// Nodes of up to 8 objects in up to 6 cells, in runs, with nodes of no object between.
    fn nodes(random: &mut SplitMix64) -> (Vec<u32>, Vec<u64>) {
        let mut below = |n: u64| random.next_u64() % n;
        let objects = 1 + below(8);
        let rows: Vec<_> = (0..below(40)).map(|_| (below(objects + 1), below(6))).collect();
        let first = |object: u64| rows.iter().position(|row| row.0 == object).map_or(Nodes::NONE, |node| node as u32);
        let object = |row: &(u64, u64)| if row.0 == objects { Nodes::NONE } else { first(row.0) };
        (rows.iter().map(object).collect(), rows.iter().map(|row| row.1).collect())
    }

    /// The rule word by word: of all claims of objects without a number to cells whose number is free the strongest, again and again.
    fn oracle(object: &[u32], cell: &[u64], most: u32) -> Vec<(u32, u32)> {
        let nodes = |o, c| object.iter().zip(cell).filter(|(object, cell)| (**object, **cell) == (o, c)).count() as u64;
        let number = |c: u64| 1 + ((mix(c) >> 32) % u64::from(most)) as u32;
        let stronger = |a: &(u32, u64), b: &(u32, u64)| {
            let product = |p: &(u32, u64), q: &(u32, u64)| u128::from(mix(p.1) as u32) * u128::from(nodes(q.0, q.1));
            product(a, b).cmp(&product(b, a)).then((a.1, a.0).cmp(&(b.1, b.0)))
        };
        let claims = || object.iter().copied().zip(cell.iter().copied()).filter(|(object, _)| *object != Nodes::NONE);
        let mut named: Vec<(u32, u32)> = Vec::new();
        let has = |named: &[(u32, u32)], object| named.iter().any(|(o, _)| *o == object);
        let free = |named: &[(u32, u32)], number| named.iter().all(|(_, n)| *n != number);
        while let Some((o, c)) = claims().filter(|(o, c)| !has(&named, *o) && free(&named, number(*c))).min_by(stronger)
        {
            named.push((o, number(c)));
        }
        while let Some((o, c)) = claims().filter(|(o, _)| !has(&named, *o)).min_by(stronger) {
            let next = (0..most).map(|step| 1 + (number(c) - 1 + step) % most).find(|n| free(&named, *n));
            named.push((o, next.unwrap()));
        }
        named.sort();
        named
    }

    #[test]
    fn numbers_are_those_of_the_rule_and_no_two_objects_have_one() {
        for seed in 0..2000 {
            let (object, cell) = nodes(&mut SplitMix64::seed_from_u64(seed));
            for most in [8, 9, 65_535, u32::MAX] {
                let mut found: Vec<_> = lasting(&object, &cell, most).unwrap().into_iter().collect();
                found.sort();
                assert_eq!(found, oracle(&object, &cell, most), "seed {seed}, {most} numbers");
                let numbers: FxHashSet<u32> = found.iter().map(|(_, number)| *number).collect();
                assert_eq!(numbers.len(), found.len(), "seed {seed}, {most} numbers");
                assert!(numbers.iter().all(|number| (1..=most).contains(number)), "seed {seed}, {most} numbers");
            }
        }
    }

    /// Share of 4,000 objects, each with so many nodes in cells of its own, that are named by their first cell.
    fn named_by_first(nodes: [usize; 6]) -> f64 {
        let by_first = |place: u64| {
            let cells = nodes.iter().zip(10 * place..);
            let cell: Vec<u64> = cells.flat_map(|(&nodes, cell)| std::iter::repeat_n(cell, nodes)).collect();
            let name = |cell: &[u64]| lasting(&vec![0; cell.len()], cell, u32::MAX).unwrap()[&0];
            name(&cell) == name(&cell[..nodes[0]])
        };
        (0..4000).filter(|place| by_first(*place)).count() as f64 / 4000.0
    }

    #[test]
    fn a_cell_names_an_object_the_likelier_the_more_of_it_it_holds() {
        // Uniform u: of six alike each is the least with 1/6. P(u/5 < the least of five) = the integral of (1 − u/5)^5 = 5/6 (1 − 0.8^6).
        let expected = [(1.0 / 6.0, [9; 6]), (5.0 / 6.0 * (1.0 - 0.8f64.powi(6)), [15, 3, 3, 3, 3, 3])];
        for (expected, nodes) in expected {
            let found = named_by_first(nodes);
            assert!((found - expected).abs() < 0.03, "{found}, expected {expected}");
        }
    }

    #[test]
    fn more_objects_than_numbers_and_cells_that_do_not_fit_are_errors() {
        let (object, cell) = ([0, 1, 2, Nodes::NONE], [4, 4, 4, 4]);
        let numbers: FxHashSet<u32> = lasting(&object, &cell, 3).unwrap().into_values().collect();
        assert_eq!(numbers, FxHashSet::from_iter([1, 2, 3]));
        let error = lasting(&object, &cell, 2).unwrap_err().to_string();
        assert_eq!(error, "numbers: found more than 2 objects, expected objects of a frame up to 2");
        assert!(matches!(lasting(&object, &cell[1..], 3), Err(Error::Shape { .. })));
        assert_eq!(lasting(&[Nodes::NONE; 2], &[1, 2], 1).unwrap().len(), 0);
    }
}
