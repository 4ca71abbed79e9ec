//! Labels of frames that do not stand beside them: a `.label` file, a folder of these by the frames' names, or a table `frame,point,label`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thalweg::source::Position;
use thalweg::{BoxError, Frame, Next, Source, Truth};

use super::label::{self, LabelCode};
use crate::error::{At, Error};
use crate::tables::names::{Column, Kind};
use crate::tables::options::TableOptions;
use crate::tables::values::Cell;
use crate::tables::whole;

static LABELS: Kind = Kind {
    what: "truth",
    shares: false,
    may_be_empty: false,
    needs: "labels have frame, point, and label or class",
    columns: &[
        Column::must("frame"),
        Column::must("point"),
        Column { name: "label", aliases: &["class"], must: true, id: false },
    ],
    instead: None,
    bare: None,
};

/// Where labels are.
enum Labels {
    /// A `.label` file for the only frame there is.
    One(PathBuf, Option<i64>),
    /// `NAME.label` for the frame of the file `NAME.*`.
    Folder(PathBuf),
    /// By frame: (point, label).
    Table(PathBuf, LabelCode, BTreeMap<i64, Vec<(u32, i64)>>),
}

/// Frames with labels from elsewhere in place of their own.
pub struct WithTruth<S> {
    source: S,
    labels: Labels,
}

impl<S: Source<Item = Frame>> WithTruth<S> {
    /// Takes the labels of `source` from `truth`; a table is read here.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn new(source: S, truth: &Path) -> Result<Self, Error> {
        let labels = match truth.extension() {
            _ if truth.is_dir() => Labels::Folder(truth.into()),
            Some(ending) if ending == "label" => Labels::One(truth.into(), None),
            _ => Labels::Table(truth.into(), LabelCode::default(), table(truth)?),
        };
        Ok(WithTruth { source, labels })
    }
}

/// (point, label) by frame.
fn table(path: &Path) -> Result<BTreeMap<i64, Vec<(u32, i64)>>, Error> {
    let mut labels: BTreeMap<i64, Vec<(u32, i64)>> = BTreeMap::new();
    whole::rows(path, &LABELS, &TableOptions::default(), |block, cells, row| {
        let comma = block.decimal_comma;
        match (cells[0].frame(row, comma), cells[1].whole(row, comma), cells[2].whole(row, comma)) {
            (_, _, Cell::Missing) => {}
            (Cell::Good(frame), Cell::Good(point), Cell::Good(label)) if u32::try_from(point).is_ok() => {
                labels.entry(frame).or_default().push((point as u32, label));
            }
            _ => {
                let expected = "a frame, a point and a class as whole numbers";
                return Err(Error::malformed(path, block.places.at(row), "something else", expected));
            }
        }
        Ok(())
    })?;
    Ok(labels)
}

impl Labels {
    fn of(&mut self, frame: &Frame) -> Result<Option<Truth>, Error> {
        let own = frame.path.as_deref().unwrap_or(Path::new("the frame"));
        match self {
            Labels::One(path, known) => {
                if known.is_some_and(|known| known != frame.id) {
                    let expected = "a folder with a .label file for each of them";
                    return Err(Error::unsupported(path, "one .label file for several frames", expected));
                }
                *known = Some(frame.id);
                label::read(path, own, frame.len()).map(Some)
            }
            Labels::Folder(folder) => {
                let Some(path) = label::beside(folder, own) else { return Ok(None) };
                if path.is_file() { label::read(&path, own, frame.len()).map(Some) } else { Ok(None) }
            }
            Labels::Table(path, code, labels) => {
                let Some(of_frame) = labels.remove(&frame.id) else { return Ok(None) };
                if let Some((point, _)) = of_frame.iter().find(|(point, _)| *point as usize >= frame.len()) {
                    let found = format!("point {point} of frame {}", frame.id);
                    return Err(Error::malformed(path, At::File, found, format!("one of its {} points", frame.len())));
                }
                let mut all = vec![-1; frame.len()];
                of_frame.into_iter().for_each(|(point, label)| all[point as usize] = label);
                Ok(Some(Truth { class: code.codes(&all), instance: vec![0; frame.len()] }))
            }
        }
    }
}

impl<S: Source<Item = Frame>> Source for WithTruth<S> {
    type Item = Frame;

    fn name(&self) -> String {
        self.source.name()
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        Ok(match self.source.next()? {
            Next::Item(mut frame) => {
                frame.truth = self.labels.of(&frame)?;
                Next::Item(frame)
            }
            other => other,
        })
    }

    fn drain(&mut self) -> bool {
        self.source.drain()
    }

    fn total(&self) -> Option<u64> {
        self.source.total()
    }

    fn time(&self, item: &Frame) -> Option<i64> {
        self.source.time(item)
    }

    fn reached(&self) -> Option<i64> {
        self.source.reached()
    }

    fn position(&self) -> Option<Position> {
        self.source.position()
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        self.source.start_at(position)
    }
}
