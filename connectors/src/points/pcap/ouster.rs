//! Lidar packets of Ouster sensors: columns of ranges, a channel a beam, and the points that they are.
//!
//! With the encoder angle θ = 2π (1 − measurement id / columns a frame), the azimuth β = −`beam_azimuth_angles` and altitude φ of a beam, its range
//! r, and the beam origin (n₀, n₁) outwards and upwards with n = |(n₀, n₁)|:
//! x = (r − n) cos(θ + β) cos φ + n₀ cos θ, y = (r − n) sin(θ + β) cos φ + n₀ sin θ, z = (r − n) sin φ + n₁,
//! then `lidar_to_sensor_transform`. Software User Manual, "Lidar range to XYZ". The sensor's place on a vehicle is not applied.

use super::cloud::Assembly;
use super::ouster_meta::Metadata;
use super::packets::Datagram;
use crate::points::scalar::first;

/// A beam: its azimuth (rad), and what its altitude makes of a range.
struct Beam {
    azimuth: f64,
    sin: f64,
    cos: f64,
}

/// The decoder of one sensor.
pub(super) struct Ouster {
    meta: Metadata,
    beams: Vec<Beam>,
    /// The frame at hand by its number in packets, and the one before.
    frame: Option<u32>,
    before: Option<u32>,
    /// Columns of the frame at hand that have come.
    come: Vec<bool>,
}

impl Ouster {
    pub(super) fn new(meta: Metadata) -> Ouster {
        let beam = |(altitude, azimuth): (&f64, &f64)| {
            let (sin, cos) = altitude.to_radians().sin_cos();
            Beam { azimuth: -azimuth.to_radians(), sin, cos }
        };
        let beams = meta.altitude.iter().zip(&meta.azimuth).map(beam).collect();
        let come = vec![false; meta.columns_per_frame];
        Ouster { meta, beams, frame: None, before: None, come }
    }

    /// The sensor in words.
    pub(super) fn name(&self) -> String {
        format!("Ouster {}, {}", self.meta.product, self.meta.profile.name)
    }

    /// True if a payload is a lidar packet of a sensor with this metadata.
    pub(super) fn takes(meta: &Metadata, payload: &[u8]) -> bool {
        let lidar = match payload {
            _ if meta.profile.is_legacy() => true,
            [kind, ..] if meta.fusa => *kind == 1,
            [low, high, ..] => [*low, *high] == [1, 0],
            _ => false,
        };
        payload.len() == meta.packet() && lidar
    }

    /// Adds the points of a packet to the frame at hand; a new one begins with another frame number. Other packets are passed over.
    ///
    /// # Errors
    /// What breaks the packet's format.
    pub(super) fn take(&mut self, datagram: &Datagram, payload: &[u8], out: &mut Assembly) -> Result<(), String> {
        if !Ouster::takes(&self.meta, payload) {
            return Ok(());
        }
        let (profile, beams) = (self.meta.profile, self.beams.len());
        let (header, end) = profile.column_ends();
        let columns = payload[profile.ends()..payload.len() - profile.ends()].chunks_exact(profile.column(beams));
        let frame = match profile.is_legacy() {
            true => u32::from(u16::from_le_bytes(first(&payload[10..]))),
            false if self.meta.fusa => u32::from_le_bytes(first(&payload[4..])),
            false => u32::from(u16::from_le_bytes(first(&payload[2..]))),
        };
        if self.frame != Some(frame) {
            if self.before == Some(frame) {
                out.problems.one("late", datagram.offset, || format!("a packet of frame {frame} after its end"));
                return Ok(());
            }
            if self.frame.is_some() {
                out.cut();
            }
            (self.before, self.frame) = (self.frame, Some(frame));
            self.come.fill(false);
        }
        out.cloud(datagram.time_ns);
        let mut wrong = None;
        for column in columns {
            let id = u16::from_le_bytes(first(&column[8..]));
            // The status is the last number of a column, or of its header.
            let valid = if end > 0 { column[column.len() - end] } else { column[10] } & 1 == 1;
            if !valid {
                continue;
            }
            match self.come.get_mut(usize::from(id)) {
                None => {
                    wrong = Some(format!("measurement id {id} of {} columns", self.come.len()));
                    continue;
                }
                Some(come) if *come => {
                    out.problems.one("duplicate", datagram.offset, || format!("column {id} of frame {frame} again"));
                    continue;
                }
                Some(come) => *come = true,
            }
            self.column(id, &column[header..column.len() - end], datagram, out);
        }
        wrong.map_or(Ok(()), Err)
    }

    /// Adds the points of a column, all returns of each beam.
    fn column(&self, id: u16, channels: &[u8], datagram: &Datagram, out: &mut Assembly) {
        let Metadata { profile, columns_per_frame, beam_origin: [outwards, upwards], sensor_from_lidar, .. } =
            &self.meta;
        let turn = std::f64::consts::TAU * (1.0 - f64::from(id) / *columns_per_frame as f64);
        let (turn_sin, turn_cos) = turn.sin_cos();
        let ahead = outwards.hypot(*upwards);
        let cloud = out.cloud(datagram.time_ns);
        for (channel, beam) in channels.chunks_exact(profile.channel).zip(&self.beams) {
            let (sin, cos) = (turn + beam.azimuth).sin_cos();
            let mut told = None;
            for &at in profile.returns {
                let found = profile.read(channel, at);
                if found.0 == 0 || told.replace(found) == Some(found) {
                    continue;
                }
                let range = 0.001 * f64::from(found.0) - ahead;
                let point = [
                    range * cos * beam.cos + outwards * turn_cos,
                    range * sin * beam.cos + outwards * turn_sin,
                    range * beam.sin + upwards,
                ];
                let moved = sensor_from_lidar.map(|[a, b, c, t]| a * point[0] + b * point[1] + c * point[2] + t);
                cloud.push(moved, u16::from(found.1));
            }
        }
    }
}
