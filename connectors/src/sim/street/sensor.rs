//! The sensor: its rays, its range, where it is mounted, and what the car itself hides from it.

pub(super) const BEAMS: usize = 64;
pub(super) const COLUMNS: usize = 2011;
pub(super) const STEP: f32 = 2.0 * std::f32::consts::PI / COLUMNS as f32;
/// Range of the sensor (m).
pub(super) const RANGE: [f32; 2] = [2.0, 110.0];
/// Sensor above the road (m).
pub(super) const MOUNT: f64 = 1.73;
/// What the car's own body hides, as azimuth, half-width and highest elevation (degrees).
pub(super) const OWN_BODY: [[f32; 3]; 6] = [
    [0.0, 52.0, -23.0],
    [-70.0, 9.0, -18.0],
    [140.0, 5.0, -19.0],
    [160.0, 9.0, -19.5],
    [-152.0, 9.0, -20.0],
    [180.0, 9.0, -22.0],
];
