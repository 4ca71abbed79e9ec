//! `sim:street`: a simulated drive of a 64-beam spinning LiDAR through an endless street, every point labelled.
//!
//! Frame `n` of seed `s` is a pure function of `(s, n)`: whatever was generated before, and with the same bits on every
//! platform, for it uses only exactly rounded arithmetic, `libm`, and random numbers that depend on a key alone (`dice`).
//!
//! The world is laid out beside a gently winding centre line `y = f(x)`: a place is named by `x` and by its distance `d` from
//! the centre line (left positive). Blocks of 96 m begin with a crossing; six lots a side follow. Ground is a height field;
//! everything else is a `Solid`: a convex body or an ellipsoid, opaque or a lattice of leaves. All beams of one azimuth
//! share a vertical plane, so a solid is cut once a column, and the ground's profile is walked once a column.
//!
//! Sensor after the Velodyne HDL-64E as mounted in KITTI (Geiger et al., "Are we ready for autonomous driving?", CVPR 2012):
//! 1.73 m above the road, +2° to −24.8°, 0.179° of azimuth.
//!
//! - `ground`: heights and classes of the ground; `solid`: bodies, and how rays cut them;
//! - `things`: what bodies make; `layout`: what stands where; `sweep`: one turn of the sensor;
//! - `sensor`: its rays; `classes`: what the labels mean; `drive`: the frames as a source; `kitti`: the drive as files.

mod classes;
mod drive;
mod ground;
mod kitti;
mod layout;
mod sensor;
mod solid;
mod sweep;
mod things;

pub use drive::Street;
pub use kitti::write_kitti;
