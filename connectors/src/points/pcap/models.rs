//! Velodyne models: the angles of their lasers and the times at which they fire.
//!
//! VLP-16 User Manual 63-9243 Rev. D, table 9-1 (VLP-16, Puck LITE and Puck Hi-Res); HDL-32E User Manual 63-9113 Rev. M, appendix "Laser
//! vertical angles"; VLP-32C User Manual 63-9325 Rev. B, table 9-1.

/// Channels of a block.
pub(super) const CHANNELS: usize = 32;

/// A model of sensor.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: &'static str,
    /// The last byte of its packets.
    pub(super) product: u8,
    /// Metres of a unit of distance.
    pub(super) unit: f64,
    /// Vertical angles of its lasers (°), in the order in which packets have them.
    elevations: &'static [f64],
    /// Azimuths beside that of the sensor (°), clockwise. None: all 0.
    azimuths: &'static [f64],
    /// Vertical corrections (mm). None: all 0.
    heights: &'static [f64],
    firing: Firing,
}

/// When lasers fire (µs).
#[derive(Debug)]
struct Firing {
    /// Lasers that fire at once.
    together: usize,
    /// From one firing to the next.
    step: f64,
    /// From the first laser of a sequence of all lasers to that of the next.
    sequence: f64,
}

/// A laser of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Laser {
    /// Vertical angle (°), positive upwards.
    pub(super) elevation: f64,
    /// Azimuth beside that of the sensor (°), clockwise.
    pub(super) azimuth: f64,
    /// Vertical correction (mm).
    pub(super) height: f64,
}

impl Model {
    /// The laser of a channel.
    pub(super) fn laser(&self, channel: usize) -> Laser {
        let of = |list: &[f64]| list.get(channel % list.len().max(1)).copied().unwrap_or(0.0);
        Laser { elevation: of(self.elevations), azimuth: of(self.azimuths), height: of(self.heights) }
    }

    /// When a channel fires, in parts of the time from one block's first firing to that of the next azimuth.
    pub(super) fn part(&self, channel: usize) -> f64 {
        let lasers = self.elevations.len();
        let Firing { together, step, sequence } = self.firing;
        let (sequences, firing) = (channel / lasers, channel % lasers / together);
        let time = sequences as f64 * sequence + firing as f64 * step;
        time / (sequence * (CHANNELS / lasers) as f64)
    }
}

/// The models that are read.
pub(super) static MODELS: [Model; 4] = [
    Model {
        name: "VLP-16",
        product: 0x22,
        unit: 0.002,
        elevations: &VLP_16,
        azimuths: &[],
        heights: &VLP_16_HEIGHTS,
        firing: VLP_16_FIRING,
    },
    Model {
        name: "Puck Hi-Res",
        product: 0x24,
        unit: 0.002,
        elevations: &HI_RES,
        azimuths: &[],
        heights: &HI_RES_HEIGHTS,
        firing: VLP_16_FIRING,
    },
    Model {
        name: "HDL-32E",
        product: 0x21,
        unit: 0.002,
        elevations: &HDL_32E,
        azimuths: &[],
        heights: &[],
        firing: Firing { together: 1, step: 1.152, sequence: 46.08 },
    },
    Model {
        name: "VLP-32C",
        product: 0x28,
        unit: 0.004,
        elevations: &VLP_32C,
        azimuths: &VLP_32C_AZIMUTHS,
        heights: &[],
        firing: Firing { together: 2, step: 2.304, sequence: 55.296 },
    },
];

/// Sixteen lasers one after the other; a block holds two sequences.
const VLP_16_FIRING: Firing = Firing { together: 1, step: 2.304, sequence: 55.296 };

/// Vertical angles (°).
#[rustfmt::skip]
static VLP_16: [f64; 16] = [
    -15.0, 1.0, -13.0, 3.0, -11.0, 5.0, -9.0, 7.0,
    -7.0, 9.0, -5.0, 11.0, -3.0, 13.0, -1.0, 15.0,
];

/// Vertical corrections (mm).
#[rustfmt::skip]
static VLP_16_HEIGHTS: [f64; 16] = [
    11.2, -0.7, 9.7, -2.2, 8.1, -3.7, 6.6, -5.1,
    5.1, -6.6, 3.7, -8.1, 2.2, -9.7, 0.7, -11.2,
];

/// Vertical angles (°).
#[rustfmt::skip]
static HI_RES: [f64; 16] = [
    -10.0, 0.67, -8.67, 2.0, -7.33, 3.33, -6.0, 4.67,
    -4.67, 6.0, -3.33, 7.33, -2.0, 8.67, -0.67, 10.0,
];

/// Vertical corrections (mm).
#[rustfmt::skip]
static HI_RES_HEIGHTS: [f64; 16] = [
    7.4, -0.9, 6.5, -1.8, 5.5, -2.7, 4.6, -3.7,
    3.7, -4.6, 2.7, -5.5, 1.8, -6.5, 0.9, -7.4,
];

/// Vertical angles (°).
#[rustfmt::skip]
static HDL_32E: [f64; 32] = [
    -30.67, -9.33, -29.33, -8.0, -28.0, -6.67, -26.67, -5.33,
    -25.33, -4.0, -24.0, -2.67, -22.67, -1.33, -21.33, 0.0,
    -20.0, 1.33, -18.67, 2.67, -17.33, 4.0, -16.0, 5.33,
    -14.67, 6.67, -13.33, 8.0, -12.0, 9.33, -10.67, 10.67,
];

/// Vertical angles (°).
#[rustfmt::skip]
static VLP_32C: [f64; 32] = [
    -25.0, -1.0, -1.667, -15.639, -11.31, 0.0, -0.667, -8.843,
    -7.254, 0.333, -0.333, -6.148, -5.333, 1.333, 0.667, -4.0,
    -4.667, 1.667, 1.0, -3.667, -3.333, 3.333, 2.333, -2.667,
    -3.0, 7.0, 4.667, -2.333, -2.0, 15.0, 10.333, -1.333,
];

/// Azimuth offsets (°).
#[rustfmt::skip]
static VLP_32C_AZIMUTHS: [f64; 32] = [
    1.4, -4.2, 1.4, -1.4, 1.4, -1.4, 4.2, -1.4,
    1.4, -4.2, 1.4, -1.4, 4.2, -1.4, 4.2, -1.4,
    1.4, -4.2, 1.4, -4.2, 4.2, -1.4, 1.4, -1.4,
    1.4, -1.4, 1.4, -4.2, 4.2, -1.4, 1.4, -1.4,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasers_fire_when_the_manuals_say() {
        let part = |model: usize, channel: usize| MODELS[model].part(channel);
        // The last laser of the second sequence of a VLP-16 fires 89.856 µs after the first of the first, of 110.592 µs a block.
        assert!((part(0, 31) - (55.296 + 15.0 * 2.304) / 110.592).abs() < 1e-12);
        assert!((part(2, 31) - 31.0 * 1.152 / 46.08).abs() < 1e-12);
        assert_eq!(part(3, 6), part(3, 7), "lasers of a VLP-32C fire in twos");
        assert!((part(3, 31) - 15.0 * 2.304 / 55.296).abs() < 1e-12);
        assert!(MODELS.iter().all(|m| (0..CHANNELS).all(|c| (0.0..1.0).contains(&m.part(c)))));
    }

    #[test]
    fn no_two_lasers_of_a_model_have_one_vertical_angle() {
        for model in &MODELS {
            let mut angles = model.elevations.to_vec();
            angles.sort_by(f64::total_cmp);
            assert!(angles.windows(2).all(|pair| pair[0] < pair[1]), "{}", model.name);
        }
    }
}
