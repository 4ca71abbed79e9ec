//! What a plot of a figure is, and where it draws.

use std::convert::Infallible;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};

use super::canvas::Canvas;

/// Where a panel draws: canvas pixels, two to a picture's pixel.
pub type Area<'c> = DrawingArea<Canvas<'c>, Shift>;

/// What drawing returns: an error only where the area is too small to be divided.
pub type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<Infallible>>;

/// One plot of a figure.
pub trait Panel {
    /// Draws it over the whole of `area`.
    fn draw(&self, area: &Area<'_>) -> Drawn;
}
