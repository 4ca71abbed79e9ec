//! SemanticKITTI labels: class tables, the `.label` files beside a KITTI sequence.
//!
//! A `.label` file is one little-endian u32 per point: the raw class in the lower 16 bits, the object number in the upper 16.
//! Raw classes map to train ids 1–19 by the data set's `learning_map`, moving classes with the standing ones; 0 is ignored.
//! Behley et al., "SemanticKITTI", ICCV 2019.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use thalweg::{Classes, Truth};

use crate::error::{At, Error};
use crate::files::read_regular;

/// Train id, the raw id that stands for it, its name.
pub(crate) const TRAIN: [(u8, u16, &str); 20] = [
    (0, 0, "unlabelled"),
    (1, 10, "car"),
    (2, 11, "bicycle"),
    (3, 15, "motorcycle"),
    (4, 18, "truck"),
    (5, 20, "other-vehicle"),
    (6, 30, "person"),
    (7, 31, "bicyclist"),
    (8, 32, "motorcyclist"),
    (9, 40, "road"),
    (10, 44, "parking"),
    (11, 48, "sidewalk"),
    (12, 49, "other-ground"),
    (13, 50, "building"),
    (14, 51, "fence"),
    (15, 70, "vegetation"),
    (16, 71, "trunk"),
    (17, 72, "terrain"),
    (18, 80, "pole"),
    (19, 81, "traffic-sign"),
];

/// The driving classes: SemanticKITTI's train ids 0–19 under their usual names.
pub fn classes() -> Classes {
    Classes::new(TRAIN.iter().map(|&(id, _, name)| (id, name.to_string())))
}

/// The train id of a raw class; 0 for what the benchmark ignores or does not know.
pub fn train_id(raw: u16) -> u8 {
    match raw {
        13 | 16 => 5,         // bus, on-rails
        60 => 9,              // lane-marking
        252 => 1,             // moving-car
        253 => 7,             // moving-bicyclist
        254 => 6,             // moving-person
        255 => 8,             // moving-motorcyclist
        256 | 257 | 259 => 5, // moving-on-rails, moving-bus, moving-other-vehicle
        258 => 4,             // moving-truck
        _ => TRAIN.iter().find(|&&(_, own, _)| own == raw).map_or(0, |&(id, ..)| id),
    }
}

/// The raw class that stands for a train id, if it is one.
pub fn raw_id(train: u8) -> Option<u16> {
    TRAIN.get(usize::from(train)).map(|&(_, raw, _)| raw)
}

/// What the numbers in a column `label` are, the same for a whole run: clones share one answer.
///
/// They are train ids; if any label of the first frame that has some is above 19, they are raw SemanticKITTI ids.
#[derive(Clone, Debug, Default)]
pub struct LabelCode {
    raw: Arc<OnceLock<bool>>,
    /// The first label that is no train id, among train ids.
    odd: Arc<OnceLock<i64>>,
}

impl LabelCode {
    /// The train ids of a frame's labels. A negative label is none, and so is one that the code does not have.
    pub fn codes(&self, labels: &[i64]) -> Vec<u8> {
        let most = labels.iter().max();
        let raw = most.is_some_and(|&most| *self.raw.get_or_init(|| most > 19));
        if let Some(&most) = most.filter(|most| !raw && **most > 19) {
            self.odd.get_or_init(|| most);
        }
        let code = |&label: &i64| match u16::try_from(label & 0xffff) {
            Ok(low) if label >= 0 && raw => train_id(low),
            Ok(low) if (0..20).contains(&label) => low as u8,
            _ => 0,
        };
        labels.iter().map(code).collect()
    }

    /// True if the run's labels are raw SemanticKITTI ids; `None` before the first frame with labels.
    pub fn raw(&self) -> Option<bool> {
        self.raw.get().copied()
    }

    /// What is to be said of labels that are no train ids, where the first frame's were.
    pub fn odd(&self) -> Option<String> {
        let odd = self.odd.get()?;
        Some(format!(
            "found label {odd}, expected train ids 0 to 19 as in the first frame with labels: such labels are none. Where they are raw ids, put a frame \
             with one above 19 first"
        ))
    }
}

/// The file with the labels of a scan in a folder: `a.label` for `a.bin`, `1700000000.25.label` for `1700000000.25.bin`, and `a.label` for
/// `a.pcd.bin`.
pub fn beside(folder: &Path, scan: &Path) -> Option<PathBuf> {
    let stem = scan.file_stem()?.to_string_lossy();
    let stem = stem.strip_suffix(".pcd").unwrap_or(&stem);
    Some(folder.join(format!("{stem}.label")))
}

/// Reads the labels of a scan of `points` points.
///
/// # Errors
/// A file that has another number of labels: the message names both files.
pub fn read(path: &Path, scan: &Path, points: usize) -> Result<Truth, Error> {
    let bytes = read_regular(path)?;
    let (words, torn) = bytes.as_chunks::<4>();
    if words.len() != points || !torn.is_empty() {
        let found = format!("{} labels ({} bytes)", words.len(), bytes.len());
        return Err(Error::malformed(
            path,
            At::File,
            found,
            format!("{points}, one for each point of {}", scan.display()),
        ));
    }
    let words = || words.iter().map(|w| u32::from_le_bytes(*w));
    Ok(Truth {
        class: words().map(|w| train_id((w & 0xffff) as u16)).collect(),
        instance: words().map(|w| w >> 16).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_labels_say_what_all_are() {
        let code = LabelCode::default();
        assert_eq!((code.codes(&[]), code.raw()), (vec![], None));
        // The upper 16 bits of a raw label are the object's number.
        assert_eq!(code.clone().codes(&[10, 252, -1, 5 << 16 | 40, 7, 0]), [1, 1, 0, 9, 0, 0]);
        assert_eq!(code.codes(&[1, 10]), [0, 1]);
        let code = LabelCode::default();
        assert_eq!(code.codes(&[10, 19, -3]), [10, 19, 0]);
        assert_eq!(code.codes(&[40, 1]), [0, 1], "no train id");
    }
}
