//! Far lists that end within the 27 tiles around their node: a number of 32 bits a neighbour, a line or two of the cache a list.

use super::offsets::AXIS;
use super::tiles::voxel;
use crate::knn::changes::IdLists;
use crate::knn::isa::Isa;
use crate::knn::layout::LANES;

/// Bits of a code: six an axis, x above y above z.
const CODE: u32 = 18;

/// The code of an offset of zero.
const ZERO: u32 = 32 << 12 | 32 << 6 | 32;

/// Room for the longest list and a register behind it.
const ROOM: usize = 96;

/// No neighbour, behind all.
const NO_KEY: u32 = u32::MAX;

/// The key of a neighbour, which ascends as (squared distance, id) does: its squared distance, above the code of its offset from the node.
/// Both voxels are given by codes from any corner.
#[inline(always)]
pub(super) fn key(d2: f32, code: u32, node: u32) -> u32 {
    // The bits of a small whole number, without the care for others that a conversion takes.
    let whole = (d2 + 8_388_608.0).to_bits() & 0x3fff;
    whole << CODE | (code + ZERO - node)
}

/// A far list's neighbours, all up to the last that it has: more than the `k` that are wanted, as long as there is room, so that what goes
/// can be made up for.
pub(super) struct Local<const W: usize> {
    pub(super) len: usize,
    keys: [u32; W],
}

impl<const W: usize> Local<W> {
    /// A list of ascending keys. The last place of `W` stays free.
    #[inline(always)]
    pub(super) fn new(keys: &[u32]) -> Self {
        let mut local = Local { len: keys.len().min(W - 1), keys: [NO_KEY; W] };
        local.keys[..local.len].copy_from_slice(&keys[..local.len]);
        local
    }

    /// A list of neighbours, as far as they are within `reach`.
    pub(super) fn of(node: u64, dst: &[u64], d2: &[f32], reach: f32) -> Self {
        let len = d2.iter().take(W - 1).take_while(|d2| **d2 <= reach).count();
        let mut local = Local { len, keys: [NO_KEY; W] };
        let q = voxel(node);
        for ((key, dst), d2) in local.keys[..len].iter_mut().zip(dst).zip(d2) {
            let p = voxel(*dst);
            let code = (0..3).fold(0, |code, axis| code << 6 | ((p[axis] + 32 - q[axis]) & 63));
            *key = (*d2 as u32) << CODE | code;
        }
        local
    }

    /// As it is stored: the last place says how long it is, and how far it reaches.
    #[inline(always)]
    pub(super) fn packed(&self) -> [u32; W] {
        let mut keys = self.keys;
        let last = keys[self.len.saturating_sub(1) % W];
        keys[W - 1] = last >> CODE << 8 | self.len as u32;
        keys
    }

    #[inline(always)]
    pub(super) fn unpacked(mut keys: [u32; W]) -> Self {
        let len = (keys[W - 1] & 0xff) as usize;
        keys[W - 1] = NO_KEY;
        Local { len, keys }
    }

    /// The squared distance of a neighbour.
    #[inline(always)]
    pub(super) fn d2(&self, at: usize) -> u32 {
        self.keys[at % W] >> CODE
    }

    /// Whether the first `k` are the same.
    #[inline(always)]
    pub(super) fn same(&self, other: &Self, k: usize) -> bool {
        self.keys[..k] == other.keys[..k]
    }

    /// Takes out those that went and puts in those that came, of all that changed up to the last.
    #[inline(always)]
    pub(super) fn merge<I: Isa>(&self, isa: I, came: &[u32], gone: &[u32]) -> Self {
        let (mut room, mut end) = ([NO_KEY; ROOM], 0);
        // A register of keys at a time: those that stay, next to each other.
        for from in self.keys.chunks_exact(LANES) {
            let from = from.first_chunk().expect("whole registers");
            let mut stay = !isa.equal(from, NO_KEY) & 0xff;
            for key in gone {
                stay &= !isa.equal(from, *key);
            }
            isa.pack_ids(from, stay, &mut room[end..]);
            end += stay.count_ones() as usize;
        }
        let mut to: [u32; W] = std::array::from_fn(|at| if at < end { room[at] } else { NO_KEY });
        let last = self.keys[self.len.saturating_sub(1) % W];
        for &key in came {
            if key < last {
                // What is larger moves up by one, and the key takes the place that becomes free: no search, no branch.
                let before = to;
                for at in 1..W {
                    to[at] = before[at].min(before[at - 1].max(key));
                }
                to[0] = before[0].min(key);
                end += 1;
            }
        }
        to[W - 1] = NO_KEY;
        Local { len: end.min(W - 1), keys: to }
    }
}

/// Appends the list of keys.
#[inline(always)]
pub(super) fn push(lists: &mut IdLists, node: u64, keys: &[u32]) {
    let (dst, d2) = lists.push_blank(keys.len());
    let origin = node.wrapping_sub(32 << (2 * AXIS) | 32 << AXIS | 32);
    for ((dst, d2), &key) in dst.iter_mut().zip(d2).zip(keys) {
        let at = |bits: u32, axis: u32| u64::from(key >> bits & 63) << (AXIS * axis);
        *dst = origin.wrapping_add(at(12, 2)).wrapping_add(at(6, 1)).wrapping_add(at(0, 0));
        *d2 = (key >> CODE) as i32 as f32;
    }
}

impl<const W: usize> Local<W> {
    /// Appends the first `k`.
    #[inline(always)]
    pub(super) fn push(&self, lists: &mut IdLists, node: u64, k: usize) {
        push(lists, node, &self.keys[..k.min(self.len)]);
    }
}
