//! `radius_graph`: for every point all others within a distance, exact; also in a periodic cell.
//!
//! A pair is an edge where `d2 = dx*dx + dy*dy + dz*dz`, in f32 and in that order, is at most `r * r`. Points are sorted into cubes a little
//! wider than `r`, so a point's neighbours are in its cube or one beside it. What PyTorch Geometric's `radius_graph` cuts off at
//! `max_num_neighbors` is kept here.

use rustc_hash::FxHashMap;

use crate::Error;
use crate::knn::Points3;
use crate::layers::Neighbors;

/// Images of a cell that are looked at, at most.
const IMAGES: usize = 100_000;

fn positive(what: &'static str, r: f64) -> Result<(), Error> {
    if r.is_finite() && r > 0.0 {
        return Ok(());
    }
    Err(Error::Value { what, found: r.to_string(), expected: "a positive length".into() })
}

/// Points by the cube that they are in.
struct Cubes {
    edge: f64,
    of: FxHashMap<[i64; 3], Vec<u32>>,
}

impl Cubes {
    fn new(points: impl Iterator<Item = [f32; 3]>, r: f64) -> Cubes {
        // Rounding of a difference can make a pair at exactly `r` look a little farther apart.
        let mut cubes = Cubes { edge: r * 1.000_001, of: FxHashMap::default() };
        for (i, point) in points.enumerate() {
            let cube = cubes.cube(point);
            cubes.of.entry(cube).or_default().push(i as u32);
        }
        cubes
    }

    fn cube(&self, point: [f32; 3]) -> [i64; 3] {
        point.map(|v| (f64::from(v) / self.edge).floor() as i64)
    }

    /// Calls `each` with every point that may be within the radius of `point`.
    fn around(&self, point: [f32; 3], mut each: impl FnMut(u32)) {
        let [x, y, z] = self.cube(point);
        for dx in -1..=1 {
            for dy in -1..=1 {
                for dz in -1..=1 {
                    let cube = [x.saturating_add(dx), y.saturating_add(dy), z.saturating_add(dz)];
                    self.of.get(&cube).into_iter().flatten().for_each(|&i| each(i));
                }
            }
        }
    }
}

fn d2(a: [f32; 3], b: [f32; 3]) -> f32 {
    let [dx, dy, dz] = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
    dx * dx + dy * dy + dz * dz
}

/// The radius graph of finite points (m): lists of all other points within `r`, ascending by index.
///
/// ```
/// use thalweg::graph::radius_graph;
/// use thalweg::knn::Points3;
///
/// let (x, zero) = ([0.0, 1.0, 3.0], [0.0; 3]);
/// let lists = radius_graph(Points3::new(&x, &zero, &zero)?, 1.0)?;
/// assert_eq!((lists.of(0), lists.of(1), lists.of(2)), (&[1][..], &[0][..], &[][..]));
/// # Ok::<(), thalweg::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for a radius that is no positive length.
pub fn radius_graph(points: Points3<'_>, r: f64) -> Result<Neighbors, Error> {
    positive("radius", r)?;
    let (limit, count) = ((r * r) as f32, points.len());
    let cubes = Cubes::new((0..count).map(|i| points.get(i)), r);
    let (mut offset, mut src, mut list) = (vec![0], Vec::new(), Vec::new());
    for i in 0..count {
        let point = points.get(i);
        cubes.around(point, |j| {
            if j as usize != i && d2(points.get(j as usize), point) <= limit {
                list.push(j);
            }
        });
        list.sort_unstable();
        // At the end of the range of cubes two beside one another are one.
        list.dedup();
        src.append(&mut list);
        offset.push(src.len());
    }
    Neighbors::from_lists(offset, src)
}

/// An edge in a periodic cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeriodicEdge {
    /// Where messages come from.
    pub src: u32,
    /// Where they go.
    pub dst: u32,
    /// The image of the cell that `src` is taken from, in cells along each lattice vector.
    pub image: [i32; 3],
    /// From `dst` to that image of `src`, in the unit of the positions.
    pub offset: [f64; 3],
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The cell with vectors that are not periodic at right angles to those that are, of their length: nothing depends on them.
fn upright(mut cell: [[f64; 3]; 3], periodic: [bool; 3]) -> [[f64; 3]; 3] {
    let scaled = |vector: [f64; 3], like: [f64; 3]| {
        let factor = (dot(like, like) / dot(vector, vector)).sqrt();
        vector.map(|v| v * factor)
    };
    let of = |wanted: bool| (0..3).filter(move |&axis| periodic[axis] == wanted);
    match (of(true).count(), of(true).next(), of(false).next()) {
        (2, Some(own), Some(open)) => {
            let normal = cross(cell[(open + 1) % 3], cell[(open + 2) % 3]);
            cell[open] = scaled(normal, cell[own]);
        }
        (1, Some(own), _) => {
            let vector = cell[own];
            // The axis that the vector is least along.
            let least = (0..3).min_by(|&a, &b| vector[a].abs().total_cmp(&vector[b].abs())).unwrap_or(0);
            let mut axis = [0.0; 3];
            axis[least] = 1.0;
            let first = scaled(cross(vector, axis), vector);
            cell[(own + 1) % 3] = first;
            cell[(own + 2) % 3] = scaled(cross(vector, first), vector);
        }
        _ => {}
    }
    cell
}

/// All pairs within `r` among points of a cell that repeats along those of its three lattice vectors (rows of `cell`) for which `periodic`
/// holds: ascending by (dst, src, image). A point may have several images of another, and of itself, within `r`. The other vectors may be
/// anything, 0 too.
///
/// # Errors
/// [`Error::Value`] for a radius that is no positive length, periodic vectors that are not independent, or one so thin that too many images would be looked at.
pub fn periodic_radius_graph(
    points: &[[f64; 3]],
    cell: [[f64; 3]; 3],
    periodic: [bool; 3],
    r: f64,
) -> Result<Vec<PeriodicEdge>, Error> {
    positive("radius", r)?;
    let cell = upright(cell, periodic);
    let volume = dot(cell[0], cross(cell[1], cell[2])).abs();
    let bad = |found: String, expected: &str| Err(Error::Value { what: "cell", found, expected: expected.into() });
    if periodic.contains(&true) && !(volume.is_finite() && volume > 0.0) {
        return bad(format!("{cell:?}"), "three lattice vectors that span a volume");
    }
    // In how many cells along each vector a sphere of radius r around any point of the cell can end, for points anywhere.
    let mut reach = [0i64; 3];
    for axis in (0..3).filter(|&axis| periodic[axis]) {
        let normal = cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3]);
        let height = volume / dot(normal, normal).sqrt();
        let along = |point: &[f64; 3]| dot(*point, normal) / dot(cell[axis], normal);
        let (low, high) = points.iter().map(along).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        reach[axis] = if points.is_empty() { 0 } else { (r / height + (high - low)).ceil() as i64 };
    }
    let images = reach.iter().fold(1usize, |count, &n| count.saturating_mul(n.unsigned_abs() as usize * 2 + 1));
    if images > IMAGES {
        return bad(
            format!("{images} images within the radius"),
            "at most 100000: a shorter radius, or a thicker cell",
        );
    }
    let mut edges = Vec::new();
    for (dst, to) in points.iter().enumerate() {
        for (src, from) in points.iter().enumerate() {
            for a in -reach[0]..=reach[0] {
                for b in -reach[1]..=reach[1] {
                    for c in -reach[2]..=reach[2] {
                        if src == dst && (a, b, c) == (0, 0, 0) {
                            continue;
                        }
                        let shift = |axis: usize| {
                            a as f64 * cell[0][axis] + b as f64 * cell[1][axis] + c as f64 * cell[2][axis]
                        };
                        let offset = [0, 1, 2].map(|axis| from[axis] + shift(axis) - to[axis]);
                        if dot(offset, offset) <= r * r {
                            let image = [a as i32, b as i32, c as i32];
                            edges.push(PeriodicEdge { src: src as u32, dst: dst as u32, image, offset });
                        }
                    }
                }
            }
        }
    }
    Ok(edges)
}
