//! Labelled points from above: each in its class's colour, and which of the labels are wrong.

use plotters::style::RGBColor;

use super::axes::legend;
use super::cloud::from_above;
use super::panel::{Area, Drawn, Panel};

/// Which classes the labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassTable {
    /// SemanticKITTI's train ids, 0 to 19.
    SemanticKitti,
    /// ASPRS codes (LAS 1.4 specification, table 17), and 64 to 67 as France's IGN uses them.
    Asprs,
}

type Class = (u8, &'static str, RGBColor);

/// SemanticKITTI's colours, the darkest ones lifted to show on a dark ground.
const KITTI: [Class; 20] = [
    (0, "unlabelled", RGBColor(80, 80, 80)),
    (1, "car", RGBColor(100, 150, 245)),
    (2, "bicycle", RGBColor(100, 230, 245)),
    (3, "motorcycle", RGBColor(60, 90, 210)),
    (4, "truck", RGBColor(122, 58, 216)),
    (5, "other-vehicle", RGBColor(100, 80, 250)),
    (6, "person", RGBColor(255, 48, 48)),
    (7, "bicyclist", RGBColor(255, 40, 200)),
    (8, "motorcyclist", RGBColor(192, 58, 128)),
    (9, "road", RGBColor(216, 60, 216)),
    (10, "parking", RGBColor(255, 150, 255)),
    (11, "sidewalk", RGBColor(124, 42, 124)),
    (12, "other-ground", RGBColor(200, 40, 90)),
    (13, "building", RGBColor(255, 200, 0)),
    (14, "fence", RGBColor(255, 120, 50)),
    (15, "vegetation", RGBColor(18, 176, 18)),
    (16, "trunk", RGBColor(160, 90, 30)),
    (17, "terrain", RGBColor(150, 240, 80)),
    (18, "pole", RGBColor(255, 240, 150)),
    (19, "traffic-sign", RGBColor(255, 110, 90)),
];

const ASPRS: [Class; 22] = [
    (0, "never classified", RGBColor(80, 80, 80)),
    (1, "unclassified", RGBColor(150, 150, 150)),
    (2, "ground", RGBColor(176, 126, 74)),
    (3, "low vegetation", RGBColor(168, 224, 96)),
    (4, "medium vegetation", RGBColor(74, 190, 64)),
    (5, "high vegetation", RGBColor(16, 130, 44)),
    (6, "building", RGBColor(235, 80, 60)),
    (7, "low noise", RGBColor(255, 0, 255)),
    (9, "water", RGBColor(60, 120, 240)),
    (10, "rail", RGBColor(120, 100, 160)),
    (11, "road surface", RGBColor(120, 125, 140)),
    (13, "wire guard", RGBColor(255, 250, 160)),
    (14, "wire conductor", RGBColor(255, 220, 0)),
    (15, "transmission tower", RGBColor(200, 160, 0)),
    (16, "wire connector", RGBColor(255, 180, 80)),
    (17, "bridge deck", RGBColor(100, 220, 220)),
    (18, "high noise", RGBColor(200, 0, 160)),
    (19, "overhead structure", RGBColor(190, 130, 255)),
    (64, "permanent structure", RGBColor(255, 150, 120)),
    (65, "artefact", RGBColor(255, 90, 200)),
    (66, "virtual point", RGBColor(90, 90, 130)),
    (67, "other", RGBColor(210, 210, 210)),
];

impl ClassTable {
    /// A class's usual name and colour; one that the table lacks goes by its number, in grey.
    fn class(self, id: u8) -> (String, RGBColor) {
        let table: &[Class] = match self {
            ClassTable::SemanticKitti => &KITTI,
            ClassTable::Asprs => &ASPRS,
        };
        let known = table.iter().find(|class| class.0 == id);
        known.map_or_else(|| (format!("class {id}"), RGBColor(190, 190, 200)), |class| (class.1.to_string(), class.2))
    }
}

/// Points in their classes' colours, with a legend of the classes present.
pub struct BirdsEye<'a> {
    /// What the labels are.
    pub title: &'a str,
    /// x, y, z (m).
    pub points: &'a [[f32; 3]],
    /// One a point; points beyond their end are left out.
    pub labels: &'a [u8],
    /// What they mean.
    pub classes: ClassTable,
}

impl Panel for BirdsEye<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let mut present = [false; 256];
        self.labels.iter().take(self.points.len()).for_each(|&id| present[usize::from(id)] = true);
        let classes: Vec<_> = (0..=255).map(|id| self.classes.class(id)).collect();
        let shown = classes.iter().zip(present).filter(|(_, present)| *present);
        let rest = legend(area, &shown.map(|(class, _)| class.clone()).collect::<Vec<_>>())?;
        from_above(&rest, self.title, self.points, |index| {
            self.labels.get(index).map(|&id| (u8::from(id != 0), classes[usize::from(id)].1))
        })
    }
}

/// Wrong labels in red over right ones in grey; points whose truth is 0 (no label) are faint.
pub struct Mistakes<'a> {
    /// What was predicted; the share that is wrong is added.
    pub title: &'a str,
    /// x, y, z (m).
    pub points: &'a [[f32; 3]],
    /// Predicted labels.
    pub prediction: &'a [u8],
    /// True ones.
    pub truth: &'a [u8],
}

const RIGHT: RGBColor = RGBColor(120, 124, 132);
const WRONG: RGBColor = RGBColor(255, 40, 40);
const UNKNOWN: RGBColor = RGBColor(44, 46, 54);

impl Panel for Mistakes<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let pairs = || self.prediction.iter().zip(self.truth).take(self.points.len());
        let known = pairs().filter(|(_, truth)| **truth != 0).count();
        let wrong = pairs().filter(|(label, truth)| **truth != 0 && label != truth).count();
        let share = 100.0 * wrong as f64 / known.max(1) as f64;
        let names = [("right", RIGHT), ("wrong", WRONG), ("no true label", UNKNOWN)];
        let unknown = known < pairs().count();
        let entries = names.into_iter().take(if unknown { 3 } else { 2 });
        let rest = legend(area, &entries.map(|(name, colour)| (name.to_string(), colour)).collect::<Vec<_>>())?;
        from_above(&rest, &format!("{}: {share:.1} % wrong", self.title), self.points, |index| {
            Some(match (*self.prediction.get(index)?, *self.truth.get(index)?) {
                (_, 0) => (0, UNKNOWN),
                (label, truth) if label == truth => (1, RIGHT),
                _ => (2, WRONG),
            })
        })
    }
}
