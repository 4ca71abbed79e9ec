//! Checks that all formats of molecules share: atoms in one place, lattices, and lengths in a
//! wrong unit.

use thalweg::molecules::Molecule;

/// Atoms nearer than this (Å) are in one place.
pub(super) const NEAREST: f64 = 1e-3;
/// Coordinates beyond this (Å), a tenth of a millimetre, are no atoms'.
pub(super) const FARTHEST: f64 = 1e6;
/// Edge of the cells in which atoms are looked up (Å). Atoms that are [`NEAREST`] apart fill one with
/// about a thousand at most.
const EDGE: f64 = 8e-3;
/// Atoms of a frame by which its unit is judged.
const PROBES: usize = 64;

fn distance2(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Two atoms in one place, the first by the second's index. Images of a periodic cell are not
/// compared.
///
/// An atom is filed under its cell of a grid, and sought in the cells within [`NEAREST`] of it.
pub(super) fn overlap(pos: &[[f64; 3]]) -> Option<(usize, usize)> {
    let near = |i: usize, j: usize| distance2(&pos[i], &pos[j]) < NEAREST * NEAREST;
    if pos.len() <= 64 {
        return (0..pos.len()).find_map(|j| (0..j).find(|&i| near(i, j)).map(|i| (i, j)));
    }
    // Atoms of a crystal often stand at multiples of EDGE; the shift keeps them off the walls of cells.
    let cell = |x: f64| (x / EDGE + 0.37).floor() as i32;
    // Atoms by the hash of their cell: the last one, and for each atom the one before it.
    let slots = (2 * pos.len()).next_power_of_two();
    let mut last: Vec<Option<u32>> = vec![None; slots];
    let mut before: Vec<Option<u32>> = Vec::with_capacity(pos.len());
    for (j, at) in pos.iter().enumerate() {
        let from = at.map(|x| cell(x - NEAREST));
        let to = at.map(|x| cell(x + NEAREST));
        for x in from[0]..=to[0] {
            for y in from[1]..=to[1] {
                for z in from[2]..=to[2] {
                    let mut next = last[hash([x, y, z]) & (slots - 1)];
                    while let Some(i) = next {
                        if near(i as usize, j) {
                            return Some((i as usize, j));
                        }
                        next = before[i as usize];
                    }
                }
            }
        }
        // Frames of more atoms than a u32 counts are not told apart beyond it; their text would be 40 GB.
        let Ok(index) = u32::try_from(j) else { return None };
        before.push(last[hash(at.map(cell)) & (slots - 1)].replace(index));
    }
    None
}

/// Mixes the bits of a cell's index, as MurmurHash3's finalizer does.
fn hash(cell: [i32; 3]) -> usize {
    cell.iter().fold(0u64, |hash, &i| {
        let mixed = (hash ^ u64::from(i as u32)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53).rotate_right(31)
    }) as usize
}

/// True if the vectors of the periodic directions are independent.
pub(super) fn spans(cell: &[[f64; 3]; 3], pbc: [bool; 3]) -> bool {
    // Gram-Schmidt: what is left of each vector beside those before it.
    let mut basis: Vec<[f64; 3]> = Vec::with_capacity(3);
    cell.iter().zip(pbc).filter(|(_, periodic)| *periodic).all(|(vector, _)| {
        let dot = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut rest = *vector;
        for unit in &basis {
            let along = dot(&rest, unit);
            rest.iter_mut().zip(unit).for_each(|(x, u)| *x -= along * u);
        }
        let (length, left) = (dot(vector, vector).sqrt(), dot(&rest, &rest).sqrt());
        basis.push(rest.map(|x| x / left));
        left > 1e-6 * length
    })
}

/// The longest bond of two elements (Å), with room to spare; none where one may be longer than 1.9 times the usual one.
fn longest_bond(a: u8, b: u8) -> Option<f64> {
    match (a.min(b), a.max(b)) {
        (1, 1) => Some(1.2),
        (1, 6..=9) => Some(1.6),
        (1, 14..=17) => Some(1.9),
        (6..=8, 6..=9) => Some(1.9),
        _ => None,
    }
}

/// What is odd about the distances of nearest neighbours, if all of them are outside 0.3 to 5 Å, or all bonds are too long.
pub(super) fn doubtful_unit(molecule: &Molecule) -> Option<&'static str> {
    let pos = &molecule.pos;
    let step = pos.len().div_ceil(PROBES).max(1);
    let (mut least, mut most, mut bonds, mut long) = (f64::INFINITY, 0.0f64, 0, 0);
    for i in (0..pos.len()).step_by(step) {
        let (mut nearest, mut partner) = (f64::INFINITY, i);
        for j in (0..pos.len()).filter(|&j| j != i) {
            let d = distance2(&pos[i], &pos[j]);
            if d < nearest {
                (nearest, partner) = (d, j);
            }
        }
        let nearest = nearest.sqrt();
        (least, most) = (nearest.min(least), nearest.max(most));
        if let Some(longest) = longest_bond(molecule.z[i], molecule.z[partner]) {
            bonds += 1;
            long += usize::from(nearest > longest);
        }
    }
    // Atoms of a periodic cell may be nearer to images of each other.
    let alone = molecule.pbc == [false; 3];
    match () {
        () if pos.len() < 2 => None,
        () if most < 0.3 => Some("all distances below 0.3 Å: are these nanometres?"),
        () if least > 5.0 && alone => Some("all distances above 5 Å: are these picometres?"),
        () if bonds > 1 && long == bonds && alone => Some("all atoms are too far apart for bonds: are these bohr?"),
        () => None,
    }
}
