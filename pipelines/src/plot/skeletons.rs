//! Skeletons of 19 joints, from the front and from the side, truth beside prediction over the points seen.
//!
//! Joints are in Kinect v2's order as MARS stores them (An and Ogras, ACM TECS 20(5s), 2021): SpineBase, SpineMid, Neck,
//! Head, left shoulder, elbow, wrist, right shoulder, elbow, wrist, left hip, knee, ankle, foot, right hip, knee,
//! ankle, foot, SpineShoulder. x is to the side, y away from the sensor, z up (m).

use std::ops::Range;

use plotters::element::{Circle, PathElement};
use plotters::style::{Color, RGBColor};
use thalweg::points::radar::{BONES, JOINTS};

use super::axes::{Axis, COLOURS, Look, chart, frame, inner_range, legend, range, usable};
use super::canvas::px;
use super::figure::Figure;
use super::panel::{Area, Drawn, Panel};

const TRUTH: RGBColor = COLOURS[0];
const PREDICTION: RGBColor = COLOURS[1];
const POINTS: RGBColor = RGBColor(150, 150, 155);

/// One person at one time.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    /// The frame, as "frame 120".
    pub title: &'a str,
    /// True joints (m).
    pub truth: Option<&'a [[f32; 3]; JOINTS]>,
    /// Predicted ones.
    pub prediction: Option<&'a [[f32; 3]; JOINTS]>,
    /// The radar's or LiDAR's points (m).
    pub points: &'a [[f32; 3]],
}

impl Person<'_> {
    fn joints(&self) -> impl Iterator<Item = &[f32; 3]> {
        self.truth.into_iter().chain(self.prediction).flatten()
    }
}

/// Adds frames to a figure, a panel each, all over the same ranges.
///
/// The ranges reach 0.35 m beyond the joints; without joints they hold the points but for the outermost 2 %.
pub fn side_by_side<'a>(figure: Figure<'a>, frames: &[Person<'a>]) -> Figure<'a> {
    let bounds = [0, 1, 2].map(|axis| {
        let of = |point: &[f32; 3]| f64::from(point[axis]);
        let joints = || frames.iter().flat_map(Person::joints).map(of).filter(|&place| usable(place));
        match joints().next() {
            Some(_) => {
                let body = range(joints(), 0.0);
                body.start - 0.35..body.end + 0.35
            }
            None => inner_range(frames.iter().flat_map(|frame| frame.points).map(of), 0.02, 0.06),
        }
    });
    let add = |figure: Figure<'a>, &frame: &Person<'a>| figure.panel(Views { frame, bounds: bounds.clone() });
    frames.iter().fold(figure, add)
}

/// Front view above, side view below.
struct Views<'a> {
    frame: Person<'a>,
    bounds: [Range<f64>; 3],
}

impl Panel for Views<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let Person { title, truth, prediction, points } = self.frame;
        let entries = [
            truth.map(|_| ("truth", TRUTH)),
            prediction.map(|_| ("prediction", PREDICTION)),
            (!points.is_empty()).then_some(("points", POINTS)),
        ];
        let entries: Vec<_> = entries.into_iter().flatten().map(|(name, colour)| (name.to_string(), colour)).collect();
        let rest = legend(area, &entries)?;
        let (front, side) = rest.split_vertically(rest.dim_in_pixel().1 / 2 + px(9));
        self.view(&front, title, 0, "x, from the front (m)")?;
        self.view(&side, "", 1, "y, from the side (m)")
    }
}

impl Views<'_> {
    fn view(&self, area: &Area<'_>, title: &str, across: usize, label: &str) -> Drawn {
        let [x, y] = [self.bounds[across].clone(), self.bounds[2].clone()];
        let (x, y) = (Axis::new(label, x), Axis::new("z (m)", y));
        let mut plot = chart(area, title, x, y, Look::Equal)?;
        let (xs, ys) = (plot.x_range(), plot.y_range());
        let at = |point: &[f32; 3]| {
            let (x, y) = (f64::from(point[across]), f64::from(point[2]));
            (xs.contains(&x) && ys.contains(&y)).then_some((x, y))
        };
        let dots = self.frame.points.iter().filter_map(at);
        plot.draw_series(dots.map(|spot| Circle::new(spot, px(2), POINTS.filled())))?;
        for (joints, colour, wide) in [(self.frame.truth, TRUTH, 4), (self.frame.prediction, PREDICTION, 2)] {
            let Some(joints) = joints else { continue };
            let bones = BONES.iter().filter_map(|&(a, b)| Some(vec![at(&joints[a])?, at(&joints[b])?]));
            plot.draw_series(bones.map(|ends| PathElement::new(ends, colour.mix(0.8).stroke_width(px(wide)))))?;
            let spots = joints.iter().filter_map(at);
            plot.draw_series(spots.map(|spot| Circle::new(spot, px(3) as i32 - 1, colour.filled())))?;
        }
        frame(&plot)
    }
}
