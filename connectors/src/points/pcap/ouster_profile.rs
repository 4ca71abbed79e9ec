//! Layouts of Ouster's lidar packets, by the name of their profile in the metadata.
//!
//! Firmware User Manual 2.x and 3.x, "Lidar data packet format": a packet is a header, columns, and a footer; a column is a header with its stamp
//! and measurement id, and a channel for each beam. `LEGACY`, that of firmware 1.x, has no header and ends columns with their status.

/// Where a return stands in a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Return {
    /// Offset of the range.
    pub(super) range: usize,
    /// Offset of the reflectivity.
    pub(super) reflectivity: usize,
}

/// The layout of a channel.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) name: &'static str,
    /// Bytes of a channel.
    pub(super) channel: usize,
    /// Bits of a range.
    bits: u32,
    /// Millimetres of a unit of range.
    unit: u32,
    pub(super) returns: &'static [Return],
}

/// Range first, reflectivity behind it: one return, or the first of two words a return.
const WORDS: &[Return] = &[Return { range: 0, reflectivity: 4 }];
/// Range and reflectivity in one word.
const PACKED: &[Return] = &[Return { range: 0, reflectivity: 3 }];
const PACKED_TWICE: &[Return] = &[Return { range: 0, reflectivity: 3 }, Return { range: 4, reflectivity: 7 }];
/// A range of 15 bits, reflectivity behind it.
const SHORT: &[Return] = &[Return { range: 0, reflectivity: 2 }];
const SHORT_TWICE: &[Return] = &[Return { range: 0, reflectivity: 2 }, Return { range: 4, reflectivity: 6 }];

const fn profile(name: &'static str, channel: usize, (bits, unit): (u32, u32), returns: &'static [Return]) -> Profile {
    Profile { name, channel, bits, unit, returns }
}

/// The profiles that are read.
pub(super) static PROFILES: &[Profile] = &[
    profile("LEGACY", 12, (20, 1), WORDS),
    profile("RNG19_RFL8_SIG16_NIR16", 12, (19, 1), WORDS),
    profile("RNG19_RFL8_SIG16_NIR16_DUAL", 16, (19, 1), PACKED_TWICE),
    profile("RNG19_RFL8_SIG16_NIR16_ZONE16", 12, (19, 1), WORDS),
    profile("RNG19_RFL8_SIG16_ZONE16_DUAL", 16, (19, 1), PACKED_TWICE),
    profile("RNG19_RFL8_SIG16_NIR16_RGB16", 16, (19, 1), PACKED),
    profile("RNG19_RFL8_SIG16_NIR16_RGB16_DUAL", 20, (19, 1), PACKED_TWICE),
    profile("FIVE_WORD_PIXEL", 20, (19, 1), PACKED_TWICE),
    profile("RNG15_RFL8_NIR8", 4, (15, 8), SHORT),
    profile("RNG15_RFL8_WIN8", 4, (15, 8), SHORT),
    profile("RNG15_RFL8_NIR8_ZONE16", 8, (15, 8), SHORT),
    profile("RNG15_RFL8_NIR8_DUAL", 8, (15, 8), SHORT_TWICE),
    profile("FUSA_RNG15_RFL8_NIR8_DUAL", 8, (15, 8), SHORT_TWICE),
];

impl Profile {
    /// The profile of a name.
    pub(super) fn find(name: &str) -> Option<&'static Profile> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.name == "LEGACY"
    }

    /// Bytes before the first column, and behind the last.
    pub(super) fn ends(&self) -> usize {
        if self.is_legacy() { 0 } else { 32 }
    }

    /// Bytes of a column's header, and of what ends it.
    pub(super) fn column_ends(&self) -> (usize, usize) {
        if self.is_legacy() { (16, 4) } else { (12, 0) }
    }

    /// Bytes of a column of so many beams.
    pub(super) fn column(&self, beams: usize) -> usize {
        let (header, end) = self.column_ends();
        header + beams * self.channel + end
    }

    /// Bytes of a packet of so many columns.
    pub(super) fn packet(&self, columns: usize, beams: usize) -> usize {
        2 * self.ends() + columns * self.column(beams)
    }

    /// The range of a return (mm), 0 if there is none, and its reflectivity.
    pub(super) fn read(&self, channel: &[u8], at: Return) -> (u32, u8) {
        // Ranges of 15 bits have two bytes of their own; what follows is masked out.
        let byte = |at: usize| u32::from(channel.get(at).copied().unwrap_or(0));
        let word = (0..4).rev().fold(0, |word, i| word << 8 | byte(at.range + i));
        ((word & ((1 << self.bits) - 1)) * self.unit, channel.get(at.reflectivity).copied().unwrap_or(0))
    }
}

/// True if a payload has the size of a lidar packet as sensors send them, of any profile.
pub(super) fn looks_like(size: usize) -> bool {
    let beams = [16, 32, 64, 128];
    PROFILES.iter().any(|profile| beams.iter().any(|&beams| profile.packet(16, beams) == size))
}
