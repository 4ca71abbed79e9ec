//! Masks of 8 x 8 x 8 places: the voxels of a tile, the tiles of a place.

/// No tile.
pub(super) const NONE: u32 = 0;

/// A bit for each of 8 x 8 x 8 places: word `x`, bit `8 y + z`.
pub(super) type Mask = [u64; 8];

/// Calls `each` with word and bit of all members of a mask.
#[inline(always)]
pub(super) fn members(mask: &Mask, mut each: impl FnMut(usize, u32)) {
    for (x, bits) in mask.iter().enumerate() {
        let mut bits = *bits;
        while bits != 0 {
            each(x, bits.trailing_zeros());
            bits &= bits - 1;
        }
    }
}
