//! Which voxels have a change within three along every axis: the changed bits of a tile, spread over it and the tiles beside it.
//!
//! Along z and y a word is spread by shifts: bits within its bytes, then bytes. What leaves the tile on one side enters the one beside it on the
//! other. Along x words are united.

use super::mask::Mask;

/// Calls `each` with every tile of the 27 around one that has voxels near the changed ones, and these.
#[inline(always)]
pub(super) fn spread(changed: &Mask, mut each: impl FnMut(usize, &Mask)) {
    // By y and z of the tile, the words spread along both.
    let mut flat = [[0; 8]; 9];
    for (x, &word) in changed.iter().enumerate().filter(|(_, word)| **word != 0) {
        for (z, tall) in along_z(word).into_iter().enumerate() {
            for (y, wide) in along_y(tall).into_iter().enumerate() {
                flat[3 * y + z][x] = wide;
            }
        }
    }
    for (column, w) in flat.iter().enumerate() {
        if *w == [0; 8] {
            continue;
        }
        // A word and the three above it.
        let two: Mask = std::array::from_fn(|x| w[x] | w.get(x + 1).unwrap_or(&0));
        let four: Mask = std::array::from_fn(|x| two[x] | two.get(x + 2).unwrap_or(&0));
        let below = |x: usize| if x < 3 { (0..=x).fold(0, |all, x| all | w[x]) } else { four[x - 3] };
        let low = [0, 0, 0, 0, 0, w[0], two[0], two[0] | w[2]];
        let high = [two[5] | w[7], two[6], w[7], 0, 0, 0, 0, 0];
        each(column, &low);
        each(9 + column, &std::array::from_fn(|x| below(x) | four[x]));
        each(18 + column, &high);
    }
}

/// A word spread along z: what of it is in the tile below, in the tile itself and in the one above.
#[inline(always)]
fn along_z(word: u64) -> [u64; 3] {
    /// The same byte eight times.
    const fn each(byte: u8) -> u64 {
        byte as u64 * 0x0101_0101_0101_0101
    }
    let low = (word & each(0x07)) << 5;
    let low = low | low << 1 & each(0xc0) | low << 2 & each(0x80);
    let high = word >> 5 & each(0x07);
    let high = high | high >> 1 & each(0x03) | high >> 2 & each(0x01);
    let up = word | word << 1 & each(0xfe);
    let down = word | word >> 1 & each(0x7f);
    [low, up | up << 2 & each(0xfc) | down | down >> 2 & each(0x3f), high]
}

/// [`along_z`], along y.
#[inline(always)]
fn along_y(word: u64) -> [u64; 3] {
    let (low, high) = (word << 40, word >> 40);
    let (up, down) = (word | word << 8, word | word >> 8);
    [low | low << 8 | low << 16, up | up << 16 | down | down >> 16, high | high >> 8 | high >> 16]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_three_voxels_along_every_axis() {
        let near = |a: usize, b: usize| a.abs_diff(b) <= 3;
        for at in 0..512 {
            let mut changed = [0; 8];
            changed[at / 64] |= 1 << (at % 64);
            let mut found = [[0; 8]; 27];
            spread(&changed, |side, mask| found[side].iter_mut().zip(mask).for_each(|(all, word)| *all |= word));
            for (side, mask) in found.iter().enumerate() {
                for voxel in 0..512 {
                    let [x, y, z] = [0, 1, 2].map(|axis| {
                        let (tile, shift) = (side / [9, 3, 1][axis] % 3, [6, 3, 0][axis]);
                        near(8 * tile + (voxel >> shift & 7), 8 + (at >> shift & 7))
                    });
                    assert_eq!(mask[voxel / 64] >> (voxel % 64) & 1 == 1, x && y && z, "{at} {side} {voxel}");
                }
            }
        }
    }
}
