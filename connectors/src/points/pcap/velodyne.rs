//! Data packets of Velodyne sensors: 12 blocks of 32 returns, a stamp, and two bytes that tell the model and which returns are reported.
//!
//! Of a return at distance d, with the vertical angle ω of its laser and the azimuth α at its firing, clockwise from above:
//! x = d cos ω cos α, y = −d cos ω sin α, z = d sin ω + h, with x forward, y left, z up. h is the laser's vertical correction. The manual writes
//! x = d cos ω sin α, y = d cos ω cos α, which has y forward; drivers turn it as here. A block states the azimuth at its first firing; that of the
//! others follows from the time between firings and the step to the next block. VLP-16 User Manual 63-9243 Rev. D, section 9; HDL-32E User
//! Manual 63-9113 Rev. M; VLP-32C User Manual 63-9325 Rev. B.

use super::cloud::Assembly;
use super::models::{CHANNELS, MODELS, Model};
use super::packets::Datagram;
use crate::points::scalar::first;

/// Bytes of a data packet.
const SIZE: usize = 1206;

/// Bytes of a block: a flag, an azimuth, and 32 returns of 3 bytes.
const BLOCK: usize = 100;

/// Blocks of a packet.
const BLOCKS: usize = 12;

/// Bytes of a position packet, which comes beside data packets.
const POSITION: usize = 512;

/// First bytes of a block.
const FLAG: [u8; 2] = [0xff, 0xee];

/// First bytes of a block of the lower lasers, which only an HDL-64E has.
const LOWER: [u8; 2] = [0xff, 0xdd];

/// Hundredths of a degree in a turn.
const TURN: u16 = 36_000;

/// Widest step from block to block (0.01°): the fastest sensor makes less than half of it.
const STEP: u16 = 200;

/// A fall of the azimuth by more than this (0.01°) begins a revolution; packets that changed places make less.
const FALL: u16 = 2_000;

/// So long (µs) no packet lacks within a revolution: the slowest takes that.
const REVOLUTION: u32 = 200_000;

/// So long (µs) a frame lasts at most: a sensor that does not turn gives one as often.
const LONGEST: u32 = 500_000;

/// Microseconds after which stamps begin again.
const HOUR: u32 = 3_600_000_000;

/// The stamp's place in a packet; the mode and the model follow it.
const STAMP: usize = BLOCKS * BLOCK;

/// What a packet says of its sensor.
pub(super) enum Told {
    /// A model that is read.
    Model(&'static Model),
    /// One that is not, in words.
    Other(String),
}

/// What sensor a payload is of, if it is a data packet.
pub(super) fn told(payload: &[u8]) -> Option<Told> {
    if payload.len() != SIZE || !payload.starts_with(&FLAG) {
        return None;
    }
    let product = payload[SIZE - 1];
    let model = MODELS.iter().find(|model| model.product == product);
    let lower = (0..BLOCKS).any(|b| payload[b * BLOCK..].starts_with(&LOWER));
    Some(match model {
        Some(model) if !lower => Told::Model(model),
        // Its last bytes tell its calibration, two at a time.
        _ if lower => Told::Other("Velodyne HDL-64E, whose angles are each sensor's own".into()),
        _ => Told::Other(format!("a Velodyne sensor of product {product:#04x}")),
    })
}

/// A laser, as points are computed from it.
struct Beam {
    sin: f64,
    cos: f64,
    /// Its azimuth beside that of the sensor (0.01°).
    azimuth: f64,
    /// Its vertical correction (m).
    height: f64,
    /// When it fires, in parts of the time from block to block.
    part: f64,
}

/// The decoder of one sensor.
pub(super) struct Velodyne {
    model: &'static Model,
    /// One for each channel of a block.
    beams: Vec<Beam>,
    /// Both returns of a pulse are reported.
    dual: bool,
    /// Azimuth of the last block (0.01°), and stamp of the last packet (µs).
    last: Option<(u16, u32)>,
    /// Stamp of the frame's first packet (µs).
    began: u32,
}

impl Velodyne {
    /// A decoder for the sensor that sent `payload`, one of [`Told::Model`].
    pub(super) fn new(model: &'static Model, payload: &[u8]) -> Velodyne {
        let beam = |channel: usize| {
            let laser = model.laser(channel);
            let (sin, cos) = laser.elevation.to_radians().sin_cos();
            let (azimuth, height) = (100.0 * laser.azimuth, 0.001 * laser.height);
            Beam { sin, cos, azimuth, height, part: model.part(channel) }
        };
        let beams = (0..CHANNELS).map(beam).collect();
        Velodyne { model, beams, dual: payload.get(STAMP + 4) == Some(&0x39), last: None, began: 0 }
    }

    /// The sensor in words.
    pub(super) fn name(&self) -> String {
        format!("Velodyne {}{}", self.model.name, if self.dual { ", dual return" } else { "" })
    }

    /// Adds the points of a packet to the frame at hand; a new one begins where the azimuth passes 0.
    ///
    /// # Errors
    /// What breaks the packet's format.
    pub(super) fn take(&mut self, datagram: &Datagram, payload: &[u8], out: &mut Assembly) -> Result<(), String> {
        if payload.len() == POSITION {
            return Ok(());
        }
        if payload.len() != SIZE || payload[SIZE - 1] != self.model.product {
            return Err(format!("{} bytes that are no packet of a {}", payload.len(), self.model.name));
        }
        self.dual = payload[STAMP + 4] == 0x39;
        let blocks = blocks(&payload[..BLOCKS * BLOCK])?;
        let steps = steps(&blocks);
        let stamp = u32::from_le_bytes(first(&payload[STAMP..]));
        for (at, (block, step)) in blocks.iter().zip(&steps).enumerate() {
            let long = passed(self.began, stamp) > LONGEST;
            if self.last.is_none_or(|last| long || ends(last, (block.azimuth, stamp))) {
                out.cut();
                self.began = stamp;
            }
            self.last = Some((block.azimuth, stamp));
            let cloud = out.cloud(datagram.time_ns);
            let twin = blocks[..at].iter().find(|twin| self.dual && twin.azimuth == block.azimuth);
            for (channel, (bytes, beam)) in block.returns.iter().zip(&self.beams).enumerate() {
                let units = u16::from_le_bytes([bytes[0], bytes[1]]);
                if units == 0 || twin.is_some_and(|twin| twin.returns[channel] == *bytes) {
                    continue;
                }
                let azimuth = f64::from(block.azimuth) + step * beam.part + beam.azimuth;
                let (sin, cos) = (0.01 * azimuth).to_radians().sin_cos();
                let distance = self.model.unit * f64::from(units);
                let (flat, z) = (distance * beam.cos, distance * beam.sin + beam.height);
                cloud.push([flat * cos, -flat * sin, z], u16::from(bytes[2]));
            }
        }
        Ok(())
    }
}

/// A block of a packet.
struct Block<'a> {
    /// Azimuth of its first firing (0.01°).
    azimuth: u16,
    /// Distance and reflectivity of each channel.
    returns: &'a [[u8; 3]],
}

fn blocks(bytes: &[u8]) -> Result<Vec<Block<'_>>, String> {
    let block = |(at, block): (usize, &'_ [u8; BLOCK])| {
        if !block.starts_with(&FLAG) {
            return Err(format!("block {at} that begins with {:02x}{:02x}", block[0], block[1]));
        }
        let azimuth = u16::from_le_bytes([block[2], block[3]]);
        if azimuth >= TURN {
            return Err(format!("block {at} with azimuth {azimuth}"));
        }
        Ok(azimuth)
    };
    let whole = bytes.as_chunks::<BLOCK>().0;
    let told = whole.iter().enumerate().map(block).collect::<Result<Vec<_>, _>>()?;
    let blocks = told.into_iter().zip(whole);
    Ok(blocks.map(|(azimuth, block)| Block { azimuth, returns: block[4..].as_chunks().0 }).collect())
}

/// The step of the azimuth (0.01°) from each block to the next firings; where that is not known, the one before, else the one behind.
fn steps(blocks: &[Block]) -> Vec<f64> {
    let step = |at: usize| {
        let next = blocks[at..].iter().find(|next| next.azimuth != blocks[at].azimuth)?;
        let step = (i32::from(next.azimuth) - i32::from(blocks[at].azimuth)).rem_euclid(i32::from(TURN));
        (step <= i32::from(STEP)).then_some(f64::from(step))
    };
    let known: Vec<Option<f64>> = (0..blocks.len()).map(step).collect();
    let mut last = known.iter().flatten().next().copied().unwrap_or(0.0);
    known
        .into_iter()
        .map(|step| {
            last = step.unwrap_or(last);
            last
        })
        .collect()
}

/// True if a revolution ends between two blocks, each an azimuth (0.01°) and a stamp (µs).
fn ends((azimuth, stamp): (u16, u32), (next, later): (u16, u32)) -> bool {
    azimuth.saturating_sub(next) > FALL || passed(stamp, later) > REVOLUTION
}

/// Time between stamps (µs); none has passed where packets changed places, which go back a little.
fn passed(stamp: u32, later: u32) -> u32 {
    let forwards = (i64::from(later) - i64::from(stamp)).rem_euclid(i64::from(HOUR));
    let back = i64::from(HOUR) - forwards < i64::from(REVOLUTION);
    u32::try_from(forwards).ok().filter(|_| !back).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revolution_ends_where_the_azimuth_passes_zero_or_one_is_missing() {
        assert!(ends((35_990, 10), (5, 120)));
        assert!(!ends((100, 10), (120, 120)), "on the way");
        assert!(!ends((1_500, 240), (400, 120)), "packets that changed places");
        assert!(ends((100, 10), (200, 300_000)), "a revolution is missing");
        assert!(!ends((100, HOUR - 50), (120, 60)), "the stamp begins again");
    }

    #[test]
    fn a_step_that_is_not_known_is_that_of_its_neighbours() {
        let of = |azimuths: &[u16]| {
            let block = |&azimuth: &u16| Block { azimuth, returns: &[] };
            steps(&azimuths.iter().map(block).collect::<Vec<_>>())
        };
        assert_eq!(of(&[10, 50, 91]), [40.0, 41.0, 41.0]);
        assert_eq!(of(&[35_980, 35_980, 20, 20]), [40.0; 4], "two returns of a pulse, and azimuth 0 between");
        assert_eq!(of(&[10, 9_000, 9_040]), [40.0; 3], "a sector that is left out");
        assert_eq!(of(&[10, 10]), [0.0; 2], "a sensor that does not turn");
    }
}
