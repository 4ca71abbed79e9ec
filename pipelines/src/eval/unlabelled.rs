//! What of the labels does not count: frames without labels, points without one, and ids that are not known.
//!
//! Raw ids of `.label` files that SemanticKITTI does not have are read as 0, so the file is looked at again. Of a frame's own classes those
//! are unknown that the model does not have. Codes of the other set are counted too: ASPRS codes where the model has SemanticKITTI's train ids,
//! and the other way round.

use std::path::{Path, PathBuf};

use thalweg::{Classes, Frame, Truth};
use thalweg_connectors::points::label::{self, classes as train_ids, train_id};

/// Raw ids that SemanticKITTI has and its benchmark ignores: unlabelled, outlier, other-structure, other-object.
const IGNORED: [u16; 4] = [0, 1, 52, 99];
/// ASPRS: unclassified.
const UNCLASSIFIED: u8 = 1;

/// How many there were, and the first.
#[derive(Debug, Default)]
struct Count {
    count: u64,
    first: String,
}

impl Count {
    fn add(&mut self, count: u64, first: impl FnOnce() -> String) {
        if self.count == 0 && count > 0 {
            self.first = first();
        }
        self.count += count;
    }
}

/// The counts of a run.
#[derive(Debug, Default)]
pub(super) struct Unlabelled {
    /// Where `--truth` says that labels are.
    truth: Option<PathBuf>,
    labelled: u64,
    frames: Count,
    /// Points of frames with labels that have none.
    points: u64,
    ids: Count,
    /// The model's classes are SemanticKITTI's train ids.
    driving: bool,
    /// Frames whose labels are codes of the other set.
    other: Count,
}

impl Unlabelled {
    /// Of frames whose labels are at `truth`, or beside them, for a model of these classes.
    pub fn of<'a>(truth: Option<&Path>, classes: impl IntoIterator<Item = (u8, &'a str)>) -> Unlabelled {
        let known = train_ids();
        let driving = classes.into_iter().all(|(id, name)| known.name(id) == Some(name));
        Unlabelled { truth: truth.map(Path::to_path_buf), driving, ..Unlabelled::default() }
    }

    /// Frames with labels.
    pub fn labelled(&self) -> u64 {
        self.labelled
    }

    /// Counts a frame, whose labels are read as classes of `classes`.
    pub fn add(&mut self, frame: &Frame, classes: &Classes) {
        let Some(truth) = &frame.truth else { return self.frames.add(1, || frame.name()) };
        self.labelled += 1;
        self.points += truth.class.iter().filter(|class| **class == 0).count() as u64;
        let labels = label_file(frame, self.truth.as_deref());
        let ending = |path: &Path| {
            path.extension().is_some_and(|e| e.eq_ignore_ascii_case("las") || e.eq_ignore_ascii_case("laz"))
        };
        let las = self.truth.is_none() && labels.is_none() && frame.path.as_deref().is_some_and(ending);
        if (self.driving && las) || (!self.driving && labels.is_some()) {
            self.other.add(1, || frame.name());
        }
        match labels.and_then(|path| Some((std::fs::read(&path).ok()?, path))) {
            Some((bytes, path)) => {
                let raw = bytes.as_chunks::<4>().0.iter().map(|word| u16::from_le_bytes([word[0], word[1]]));
                let unknown = |id: &u16| train_id(*id) == 0 && !IGNORED.contains(id);
                self.note(raw.filter(unknown), |id| format!("{id} in {}", path.display()));
            }
            None => self.classes(truth, classes, &frame.name()),
        }
    }

    fn classes(&mut self, truth: &Truth, classes: &Classes, name: &str) {
        let unknown = |class: &u8| *class > UNCLASSIFIED && classes.name(*class).is_none();
        self.note(truth.class.iter().copied().filter(unknown), |id| format!("{id} in {name}"));
    }

    fn note<T: Copy>(&mut self, unknown: impl Iterator<Item = T>, place: impl FnOnce(T) -> String) {
        let mut unknown = unknown.peekable();
        if let Some(first) = unknown.peek().copied() {
            self.ids.add(unknown.count() as u64, || place(first));
        }
    }

    /// One line a kind.
    pub fn warnings(&self) -> Vec<String> {
        let (Count { count, first }, all) = (&self.frames, self.frames.count + self.labelled);
        let frames = (*count > 0 && self.labelled > 0)
            .then(|| format!("{count} of {all} frames have no labels and do not count, first {first}"));
        let Count { count, first } = &self.other;
        let (found, expected) = if self.driving {
            ("ASPRS codes, as LAS files have them", "SemanticKITTI's train ids")
        } else {
            ("SemanticKITTI's ids, as .label files have them", "others")
        };
        let other = (*count > 0).then(|| {
            format!("labels of {count} frames are {found}, the model's classes are {expected}: the scores mean nothing, first {first}")
        });
        frames.into_iter().chain(self.unknown()).chain(other).collect()
    }

    fn unknown(&self) -> Option<String> {
        let Count { count, first } = &self.ids;
        (*count > 0).then(|| format!("{count} points have unknown label ids and do not count, first {first}"))
    }

    /// Why no point counts.
    pub fn nothing(&self) -> String {
        let unknown = self.unknown().map_or(String::new(), |unknown| format!("; {unknown}"));
        format!(
            "found 0 labelled points in {} frames with labels: {} have label 0{unknown}",
            self.labelled, self.points
        )
    }
}

/// The `.label` file of a frame: by `--truth`, else in the folder `labels` of its KITTI sequence.
fn label_file(frame: &Frame, truth: Option<&Path>) -> Option<PathBuf> {
    let scan = frame.path.as_deref()?;
    let beside = |folder: &Path| label::beside(folder, scan).filter(|path| path.is_file());
    match truth {
        Some(folder) if folder.is_dir() => beside(folder),
        Some(file) => Some(file.to_path_buf()).filter(|file| file.extension().is_some_and(|ending| ending == "label")),
        None => {
            let folder = scan.parent()?;
            let sequence = if folder.ends_with("velodyne") { folder.parent()? } else { folder };
            beside(&sequence.join("labels"))
        }
    }
}
