//! Figures as PNG files: one or several panels side by side under a title.
//!
//! A panel borrows plain slices and is drawn by a pure function of them. What is not finite is left out.
//! The same data gives the same bytes.
//!
//! ```
//! use thalweg_pipelines::plot::{Figure, Line, Series};
//!
//! let (seconds, energy) = ([0.0, 0.5, 1.0], [-3.0, -2.5, -2.75]);
//! let line = Line { name: "energy", x: &seconds, y: &energy };
//! let panel = Series { title: "One run", x_label: "time (s)", y_label: "energy (eV)", lines: &[line] };
//! let file = std::env::temp_dir().join(format!("figure-{}.png", std::process::id()));
//! Figure::new("Energies", [640, 400]).panel(panel).save(&file)?;
//! # std::fs::remove_file(file).ok();
//! # Ok::<(), thalweg_pipelines::Failure>(())
//! ```

mod axes;
mod birds_eye;
mod canvas;
mod cloud;
mod depth;
mod figure;
mod molecule;
mod panel;
mod parity;
mod reliability;
mod roc;
mod series;
mod skeletons;

pub use birds_eye::{BirdsEye, ClassTable, Mistakes};
pub use depth::Depth;
pub use figure::Figure;
pub use molecule::Molecule;
pub use panel::{Area, Drawn, Panel};
pub use parity::Parity;
pub use reliability::{Bin, Reliability};
pub use roc::{Curve, Roc};
pub use series::{Line, Series};
pub use skeletons::{Person, side_by_side};

#[cfg(test)]
mod tests;
