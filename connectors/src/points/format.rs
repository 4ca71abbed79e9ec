//! What a format that holds frames is: its names, its reader, and what every reader is told.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use thalweg::{Frame, Next};

use super::label::LabelCode;
use super::told::Told;
use crate::error::Error;
use crate::notices::Notices;
use crate::tables::TableOptions;

/// One open file that holds one or more frames.
///
/// [`Frame::id`] is the frame column's value if the format has one, else 0.
///
/// ```
/// use thalweg_connectors::ReadOptions;
/// use thalweg_connectors::points::registry;
///
/// let path = std::env::temp_dir().join("thalweg-doc-reader.ply");
/// let text = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n";
/// std::fs::write(&path, text)?;
/// let mut reader = registry::open(&path, &ReadOptions::default())?;
/// while let thalweg::Next::Item(frame) = reader.next_frame()? {
///     assert_eq!((frame.len(), frame.y[0]), (1, 2.0));
/// }
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Reader: Send {
    /// The next frame; [`Next::Idle`] where a file that may grow has no whole one at present.
    ///
    /// # Errors
    /// A file that cannot be read, or breaks its format.
    fn next_frame(&mut self) -> Result<Next<Frame>, Error>;

    /// The file grows no more: what is left of it is read, then comes [`Next::End`].
    fn close(&mut self) {}

    /// True if the input numbers its frames itself; else a frame's position among the input's files is its number.
    fn has_frame_ids(&self) -> bool {
        false
    }
}

/// What a run asks of every reader in it.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// What is subtracted from f64 coordinates.
    pub origin: OriginRule,
    /// What the column `label` of a run means.
    pub labels: LabelCode,
    /// Where readers say what is no error.
    pub notices: Notices,
    /// How often which oddity was said.
    pub told: Told,
    /// Columns of tables that frames carry as they are, by name: `doppler` and `intensity` where there, others without fail.
    pub carry: Arc<[String]>,
    /// How tables are meant.
    pub tables: TableOptions,
    /// Optional columns of tables that could not be used.
    pub left_out: LeftOut,
}

/// Names of optional columns that a run does without, since a cell of theirs could not be used; clones are one list.
#[derive(Clone, Debug, Default)]
pub struct LeftOut(Arc<Mutex<BTreeSet<String>>>);

impl LeftOut {
    /// True if the column is left out.
    pub fn has(&self, column: &str) -> bool {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains(column)
    }

    /// Leaves a column out from here on.
    pub(crate) fn add(&self, column: &str) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(column.into());
    }
}

/// What f64 coordinates lose before they become f32, the same for a whole run: clones share one origin.
///
/// The first frame with a finite point among its f64 coordinates decides: `origin = trunc(median / 1000) · 1000` on each axis (m), the
/// lower median (element (n − 1) / 2, sorted) over the points whose three coordinates are finite.
#[derive(Clone, Debug, Default)]
pub struct OriginRule(Arc<OnceLock<[f64; 3]>>);

impl OriginRule {
    /// An origin (m) decided beforehand.
    pub fn fixed(origin: [f64; 3]) -> OriginRule {
        OriginRule(Arc::new(OnceLock::from(origin)))
    }

    /// Decides on an origin (m), unless a frame has before.
    pub(crate) fn decide(&self, origin: [f64; 3]) {
        // One that is decided stays.
        let _ = self.0.set(origin);
    }

    /// The origin (m), once a frame has decided it.
    pub fn get(&self) -> Option<[f64; 3]> {
        self.0.get().copied()
    }

    /// The run's origin (m), decided by these coordinates (m), one slice an axis, if no frame has before. Coordinates without a finite point
    /// decide nothing: their origin is 0.
    pub fn of(&self, xyz: [&[f64]; 3]) -> [f64; 3] {
        let medians = || {
            let finite = |i: &usize| xyz.iter().all(|axis| axis[*i].is_finite());
            let points: Vec<usize> = (0..xyz[0].len()).filter(finite).collect();
            let median = |axis: &[f64]| lower_median(&mut points.iter().map(|&i| axis[i]).collect::<Vec<_>>());
            Ok::<_, Infallible>(median(xyz[0]).zip(median(xyz[1])).zip(median(xyz[2])).map(|((x, y), z)| [x, y, z]))
        };
        self.by(medians).unwrap_or_else(|never| match never {})
    }

    /// The run's origin (m); `medians` is asked if no frame has decided it, and says `None` if there is no finite point.
    pub(crate) fn by<E>(&self, medians: impl FnOnce() -> Result<Option<[f64; 3]>, E>) -> Result<[f64; 3], E> {
        if let Some(origin) = self.get() {
            return Ok(origin);
        }
        let whole = |m: f64| (m / 1000.0).trunc() * 1000.0 + 0.0;
        Ok(medians()?.map_or([0.0; 3], |medians| *self.0.get_or_init(|| medians.map(whole))))
    }
}

/// Element (n − 1) / 2 of the values in ascending order; `None` if there is none.
pub(crate) fn lower_median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// Opens one file.
pub type Open = fn(&Path, &ReadOptions) -> Result<Box<dyn Reader>, Error>;

/// A format that holds frames.
#[derive(Debug)]
pub struct Format {
    /// What `--format` calls it.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Endings of file names, lower case, without the first dot; the longest that fits wins over all formats.
    pub extensions: &'static [&'static str],
    /// First bytes of its files, for a name without a known ending; empty if the format has none.
    pub magic: &'static [&'static [u8]],
    /// Opens a file of it.
    pub open: Open,
}

/// Reads the only frame of a file.
pub(crate) type ReadOne = fn(&Path, &ReadOptions) -> Result<Frame, Error>;

/// A reader of a format with one frame a file; the file is read when the frame is asked for.
pub(crate) fn one_frame(path: &Path, options: &ReadOptions, read: ReadOne) -> Box<dyn Reader> {
    Box::new(OneFrame { path: path.into(), options: options.clone(), read: Some(read) })
}

struct OneFrame {
    path: PathBuf,
    options: ReadOptions,
    read: Option<ReadOne>,
}

impl Reader for OneFrame {
    fn next_frame(&mut self) -> Result<Next<Frame>, Error> {
        Ok(match self.read.take() {
            Some(read) => {
                let frame = read(&self.path, &self.options)?;
                self.options.look(&frame);
                Next::Item(frame)
            }
            None => Next::End,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_medians_decide_the_origin_of_all_clones() {
        let rule = OriginRule::default();
        let other = rule.clone();
        assert_eq!(rule.of([&[], &[], &[]]), [0.0; 3]);
        assert_eq!(rule.of([&[f64::NAN, 1e6], &[1e6, f64::INFINITY], &[1e6, 1e6]]), [0.0; 3]);
        assert_eq!(rule.get(), None, "no finite point decides");
        // Four finite points, one of them at 0 0 0: the lower median is the second of each axis, sorted.
        let x = [651_234.5, f64::NAN, 0.0, 653_000.0, 655_000.0];
        let y = [-1999.0, 9e9, 0.0, -999.0, -2500.0];
        let z = [-1.0, 0.0, 0.0, -1.0, -1.0];
        assert_eq!(rule.of([&x, &y, &z]), [651_000.0, -1000.0, 0.0]);
        assert_eq!(other.of([&[5000.0], &[5000.0], &[5000.0]]), [651_000.0, -1000.0, 0.0]);
        assert!(OriginRule::default().of([&[-1.0], &[-1.0], &[-1.0]])[0].is_sign_positive());
    }
}
