//! The graph of a frame: its points and those of the frame before it, each with its age, linked to the nearest in space and time.
//!
//! `d2 = dx*dx + dy*dy + dz*dz + da*da` in f32, in that order, never fused, where `da` is the difference of the ages times metres a frame.
//! Neighbours are the k least by (`d2`, number of the node). Clouds of a radar are small, so all pairs are looked at.

use serde::Deserialize;

use crate::Error;
use crate::graph::Graph;
use crate::layers::Matrix;
use crate::points::Frame;

/// Values of a point.
const VALUES: usize = 5;
/// The intensity where a table has none: what training saw.
const INTENSITY: f32 = 10.0;

/// How points become nodes: the constants of a model file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Layout {
    /// Least x, y, z and most x, y, z (m) of points that count.
    #[serde(rename = "box")]
    pub bounds: [[f32; 3]; 2],
    /// What is subtracted from each of the six features, and what they are multiplied by.
    pub offset: [f32; VALUES + 1],
    pub scale: [f32; VALUES + 1],
    /// Neighbours of a node.
    pub k: usize,
    /// What a frame of age is worth (m).
    pub metres_per_frame: f32,
}

/// The points of a frame that count: x, y, z (m), Doppler (m/s), intensity.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cloud(Vec<[f32; VALUES]>);

/// The points of a frame that do not count, by why.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left {
    /// Finite points outside the box, and those of them that would be in it if they were given in millimetres.
    pub outside: usize,
    pub in_millimetres: usize,
    /// Points in the box beyond the most that are looked at.
    pub beyond: usize,
    /// The first of all of them.
    pub first: Option<usize>,
}

impl Left {
    /// Whether most of what lies outside would not, were it given in millimetres.
    pub fn of_millimetres(&self) -> bool {
        2 * self.in_millimetres > self.outside
    }
}

impl Cloud {
    /// The most points of a frame that count.
    pub const MOST: usize = 4096;

    /// Takes what a frame has, in its order, and says what it left.
    pub fn of(frame: &Frame, layout: &Layout) -> (Cloud, Left) {
        let column = |name: &str| frame.columns.get(name).map(Vec::as_slice);
        let (doppler, intensity) = (column("doppler"), column("intensity").or(frame.intensity.as_deref()));
        let [least, most] = &layout.bounds;
        let in_box = |place: [f32; 3]| (0..3).all(|axis| (least[axis]..=most[axis]).contains(&place[axis]));
        let (mut points, mut left) = (Vec::new(), Left::default());
        for i in (0..frame.len()).filter(|&i| frame.is_finite(i)) {
            let place = [frame.x[i], frame.y[i], frame.z[i]];
            let within = in_box(place);
            if !within || points.len() == Cloud::MOST {
                left.outside += usize::from(!within);
                left.beyond += usize::from(within);
                left.in_millimetres += usize::from(!within && in_box(place.map(|v| v / 1000.0)));
                left.first.get_or_insert(i);
                continue;
            }
            // A value that is missing is the one that says nothing.
            let doppler = doppler.map_or(0.0, |column| column[i]);
            let intensity = intensity.map_or(INTENSITY, |column| column[i]);
            let or = |v: f32, other| if v.is_finite() { v } else { other };
            points.push([place[0], place[1], place[2], or(doppler, 0.0), or(intensity, INTENSITY)]);
        }
        (Cloud(points), left)
    }
}

/// The graph of the newest cloud and those before it; none without points.
pub(super) fn graph(clouds: &[&Cloud], layout: &Layout) -> Result<Option<Graph>, Error> {
    let nodes: Vec<([f32; VALUES], f32)> = clouds
        .iter()
        .zip(0u8..)
        .flat_map(|(cloud, age)| cloud.0.iter().map(move |point| (*point, f32::from(age))))
        .collect();
    if nodes.is_empty() {
        return Ok(None);
    }
    let mut x = Matrix::zeros(nodes.len(), VALUES + 1);
    for (i, ([px, py, pz, doppler, intensity], age)) in nodes.iter().enumerate() {
        let strength = libm::logf(1.0 + if *intensity > 0.0 { *intensity } else { 0.0 });
        let raw = [*px, *py, *pz, *doppler, strength, *age];
        for (c, out) in x.row_mut(i).iter_mut().enumerate() {
            *out = (raw[c] - layout.offset[c]) * layout.scale[c];
        }
    }
    let (mut src, mut dst) = (Vec::new(), Vec::new());
    let mut near: Vec<(f32, u32)> = Vec::with_capacity(nodes.len());
    let k = layout.k.min(nodes.len() - 1);
    for (i, (a, age)) in (0u32..).zip(&nodes) {
        near.clear();
        let others = (0u32..).zip(&nodes).filter(|(j, _)| *j != i);
        near.extend(others.map(|(j, (b, other))| {
            let [dx, dy, dz] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
            let da = layout.metres_per_frame * age - layout.metres_per_frame * other;
            (dx * dx + dy * dy + dz * dz + da * da, j)
        }));
        let nearest = if k < near.len() {
            near.select_nth_unstable_by(k, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).0
        } else {
            &mut near[..]
        };
        src.extend(nearest.iter().map(|(_, j)| *j));
        dst.extend(std::iter::repeat_n(i, nearest.len()));
    }
    Graph::from_edges(x, &src, &dst, None).map(Some)
}
