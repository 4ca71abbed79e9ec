//! A molecule: its atoms as shaded discs, far ones first, seen along the axis in which it is thinnest.
//!
//! The viewing plane holds the two longest principal axes of the positions. Colours are those of Corey, Pauling and
//! Koltun; two atoms nearer than 1.25 × the sum of their covalent radii are bonded (radii: Cordero et al., "Covalent
//! radii revisited", Dalton Transactions 2008).

use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

use super::axes::{INK, legend, range, text, title};
use super::canvas::px;
use super::panel::{Area, Drawn, Panel};

/// One frame.
pub struct Molecule<'a> {
    /// What it is.
    pub title: &'a str,
    /// Atomic numbers, one an atom.
    pub numbers: &'a [u8],
    /// Positions (Å); an atom without a finite one is left out.
    pub positions: &'a [[f64; 3]],
}

/// Atomic number, symbol, covalent radius (Å), colour.
type Element = (u8, &'static str, f64, RGBColor);

const ELEMENTS: [Element; 13] = [
    (1, "H", 0.31, RGBColor(235, 235, 235)),
    (3, "Li", 1.28, RGBColor(178, 34, 34)),
    (5, "B", 0.84, RGBColor(255, 170, 160)),
    (6, "C", 0.76, RGBColor(105, 105, 110)),
    (7, "N", 0.71, RGBColor(70, 100, 240)),
    (8, "O", 0.66, RGBColor(235, 50, 40)),
    (9, "F", 0.57, RGBColor(80, 210, 90)),
    (11, "Na", 1.66, RGBColor(90, 60, 200)),
    (14, "Si", 1.11, RGBColor(218, 165, 100)),
    (15, "P", 1.07, RGBColor(255, 150, 30)),
    (16, "S", 1.05, RGBColor(250, 215, 50)),
    (17, "Cl", 1.02, RGBColor(30, 180, 40)),
    (35, "Br", 1.20, RGBColor(150, 60, 30)),
];

fn element(number: u8) -> Element {
    let other = (number, "other", 1.2, RGBColor(240, 110, 200));
    ELEMENTS.into_iter().find(|element| element.0 == number).unwrap_or(other)
}

/// Positions in the principal axes: longest, second, thinnest; the last one points at the viewer.
fn turned(positions: &[[f64; 3]]) -> Vec<[f64; 3]> {
    let count = positions.len().max(1) as f64;
    let middle = [0, 1, 2].map(|k| positions.iter().map(|p| p[k]).sum::<f64>() / count);
    let moved: Vec<_> = positions.iter().map(|p| [p[0] - middle[0], p[1] - middle[1], p[2] - middle[2]]).collect();
    let spread = [0, 1, 2].map(|a| [0, 1, 2].map(|b| moved.iter().map(|p| p[a] * p[b]).sum::<f64>() / count));
    let [u, v] = longest_two(spread);
    let w = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    let along = |p: &[f64; 3], axis: &[f64; 3]| p[0] * axis[0] + p[1] * axis[1] + p[2] * axis[2];
    moved.iter().map(|p| [along(p, &u), along(p, &v), along(p, &w)]).collect()
}

/// Eigenvectors of the two largest eigenvalues of a symmetric matrix (Jacobi's rotations), their largest part positive.
fn longest_two(mut a: [[f64; 3]; 3]) -> [[f64; 3]; 2] {
    let mut axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for _ in 0..16 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
            let (sin, cos) = angle.sin_cos();
            for row in &mut a {
                (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
            }
            let (up, uq) = (a[p], a[q]);
            a[p] = [0, 1, 2].map(|k| cos * up[k] - sin * uq[k]);
            a[q] = [0, 1, 2].map(|k| sin * up[k] + cos * uq[k]);
            let (up, uq) = (axes[p], axes[q]);
            axes[p] = [0, 1, 2].map(|k| cos * up[k] - sin * uq[k]);
            axes[q] = [0, 1, 2].map(|k| sin * up[k] + cos * uq[k]);
        }
    }
    let mut order = [0, 1, 2];
    order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
    [order[0], order[1]].map(|index| {
        let axis = axes[index];
        let largest = axis.into_iter().fold(0.0, |most: f64, part| if part.abs() > most.abs() { part } else { most });
        axis.map(|part| part * largest.signum())
    })
}

impl Panel for Molecule<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let pairs = self.numbers.iter().zip(self.positions);
        let (numbers, positions): (Vec<u8>, Vec<[f64; 3]>) =
            pairs.filter(|(_, position)| position.iter().all(|c| c.is_finite() && c.abs() < 1e6)).unzip();
        let atoms = turned(&positions);
        let mut kinds: Vec<Element> = numbers.iter().map(|&number| element(number)).collect();
        let mut present: Vec<_> = kinds.iter().map(|kind| (kind.0, kind.1.to_string(), kind.3)).collect();
        present.sort_unstable_by_key(|kind| kind.0);
        present.dedup_by(|a, b| a.1 == b.1);
        let entries: Vec<_> = present.into_iter().map(|(_, name, colour)| (name, colour)).collect();
        let rest = legend(area, &entries)?;
        let (width, height) = rest.dim_in_pixel();
        title(&rest.clone().shrink((0, 0), (width, px(26))), self.title, 14)?;

        let [xs, ys] = [0, 1].map(|k| range(atoms.iter().map(|atom| atom[k]), 0.0));
        let room = [f64::from(width) - f64::from(px(20)), f64::from(height) - f64::from(px(64))];
        let scale = (room[0] / (xs.end - xs.start + 1.6)).min(room[1] / (ys.end - ys.start + 1.6)).max(0.1);
        let spot = |p: [f64; 2]| {
            let x = f64::from(width) / 2.0 + (p[0] - (xs.start + xs.end) / 2.0) * scale;
            let y = f64::from(px(28)) + room[1] / 2.0 - (p[1] - (ys.start + ys.end) / 2.0) * scale;
            (x.round() as i32, y.round() as i32)
        };
        let mut order: Vec<usize> = (0..atoms.len()).collect();
        order.sort_by(|&i, &j| atoms[i][2].total_cmp(&atoms[j][2]).then(i.cmp(&j)));
        kinds.iter_mut().for_each(|kind| kind.2 = kind.2.clamp(0.2, 2.0));
        let radius = |i: usize| 0.28 + 0.22 * kinds[i].2;
        for (rank, &i) in order.iter().enumerate() {
            disc(&rest, spot([atoms[i][0], atoms[i][1]]), radius(i) * scale, kinds[i].3)?;
            // A bond is drawn after its farther atom and before its nearer one.
            for &j in &order[rank + 1..] {
                let d2: f64 = (0..3).map(|k| (atoms[i][k] - atoms[j][k]).powi(2)).sum();
                if d2 < (1.25 * (kinds[i].2 + kinds[j].2)).powi(2) {
                    // From the far atom's edge, for its face shows; the near atom covers the other end.
                    let [dx, dy] = [0, 1].map(|k| atoms[j][k] - atoms[i][k]);
                    let edge = 0.85 * radius(i) / dx.hypot(dy).max(1e-9);
                    if edge >= 1.0 {
                        continue;
                    }
                    let start = spot([atoms[i][0] + edge * dx, atoms[i][1] + edge * dy]);
                    let ends = vec![start, spot([atoms[j][0], atoms[j][1]])];
                    let wide = (0.16 * scale).round().max(2.0) as u32;
                    rest.draw(&PathElement::new(ends, RGBColor(120, 120, 125).stroke_width(wide)))?;
                }
            }
        }
        let (left, bottom) = (px(14) as i32, height as i32 - px(12) as i32);
        let long = scale.round() as i32;
        rest.draw(&Rectangle::new([(left, bottom), (left + long, bottom + 3)], INK.filled()))?;
        let style = text(12, HPos::Center, VPos::Bottom);
        rest.draw(&Text::new("1 Å", (left + long / 2, bottom - px(3) as i32), style))
    }
}

/// A disc lit from above on the left, with a dark rim.
fn disc(area: &Area<'_>, (x, y): (i32, i32), radius: f64, colour: RGBColor) -> Drawn {
    let (width, height) = area.dim_in_pixel();
    let reach = radius.ceil().min(4_096.0) as i32;
    for row in (y - reach).max(0)..=(y + reach).min(height as i32 - 1) {
        for column in (x - reach).max(0)..=(x + reach).min(width as i32 - 1) {
            let (dx, dy) = (f64::from(column - x) / radius, f64::from(row - y) / radius);
            let r2 = dx * dx + dy * dy;
            if r2 > 1.0 {
                continue;
            }
            let facing = (-0.45 * dx - 0.55 * dy + 0.70 * (1.0 - r2).sqrt()).max(0.0);
            let light = if r2 > 0.94 { 0.45 } else { 0.5 + 0.5 * facing };
            let gloss = 90.0 * facing.powi(24);
            let part = |value: u8| (f64::from(value) * light + gloss).min(255.0) as u8;
            area.draw_pixel((column, row), &RGBColor(part(colour.0), part(colour.1), part(colour.2)))?;
        }
    }
    Ok(())
}
