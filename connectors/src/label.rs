//! SemanticKITTI labels: class tables, the `.label` files beside a KITTI sequence, and a sink that writes a folder of them.
//!
//! A `.label` file is one little-endian u32 per point: the raw class in the lower 16 bits, the object number in the upper 16.
//! Raw classes map to train ids 1–19 by the data set's `learning_map`, moving classes with the standing ones; 0 is ignored.
//! Behley et al., "SemanticKITTI", ICCV 2019.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use thalweg::{BoxError, Classes, Epoch, Frame, Segmentation, Sink, Truth};

use crate::error::{At, Error};
use crate::format::{self, read_regular};
use crate::publish::StagedFolder;

/// Train id, the raw id that stands for it, its name.
const TRAIN: [(u8, u16, &str); 20] = [
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

/// Writes a folder of `.label` files, one a frame, named after the frame's file, else by its number in six digits.
pub struct LabelSink {
    name: String,
    folder: Option<StagedFolder>,
    written: HashMap<String, i64>,
}

impl LabelSink {
    /// Starts the folder under a temporary name.
    ///
    /// # Errors
    /// See [`StagedFolder::create`].
    pub fn create(path: &Path) -> Result<LabelSink, Error> {
        Ok(LabelSink {
            name: path.display().to_string(),
            folder: Some(StagedFolder::create(path)?),
            written: HashMap::new(),
        })
    }

    fn put(&mut self, folder: &StagedFolder, item: &Segmentation) -> Result<(), Error> {
        let name = format!("{}.label", frame_name(&item.frame));
        let shown = folder.destination().join(&name);
        if let Some(other) = self.written.insert(name.clone(), item.frame.id) {
            let found = format!("the name for frames {other} and {}", item.frame.id);
            return Err(Error::unsupported(&shown, found, "one frame a name"));
        }
        folder.write(&name, &encode(&shown, item)?)
    }
}

/// The name of the file that a frame came from without its ending, where that file is one frame; else the frame's number.
fn frame_name(frame: &Frame) -> String {
    let of_path = |path: &Arc<Path>| {
        let format = format::by_extension(path).filter(|f| !crate::folder::holds_many(f))?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        let fits = |ending: &&&str| name.to_lowercase().ends_with(&format!(".{ending}"));
        let ending = format.extensions.iter().filter(fits).map(|e| e.len()).max()?;
        Some(name[..name.len() - ending - 1].to_string()).filter(|stem| !stem.is_empty())
    };
    frame.path.as_ref().and_then(of_path).unwrap_or_else(|| format!("{:06}", frame.id))
}

fn encode(path: &Path, item: &Segmentation) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(4 * item.class.len());
    for (point, (&class, &instance)) in item.class.iter().zip(&item.instance).enumerate() {
        let same = TRAIN.get(usize::from(class)).is_some_and(|&(_, _, name)| item.classes.name(class) == Some(name));
        let raw = raw_id(class).filter(|_| same).ok_or_else(|| {
            let found = format!("class {class} ({}) at point {point}", item.classes.name(class).unwrap_or("no name"));
            Error::unsupported(path, found, "driving classes")
        })?;
        let instance = u16::try_from(instance).map_err(|_| {
            Error::unsupported(path, format!("object {instance} at point {point}"), "object numbers up to 65535")
        })?;
        bytes.extend_from_slice(&(u32::from(instance) << 16 | u32::from(raw)).to_le_bytes());
    }
    Ok(bytes)
}

impl Sink<Segmentation> for LabelSink {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn write(&mut self, _: Epoch, item: Segmentation) -> Result<(), BoxError> {
        // A folder that failed is dropped here, and the temporary files with it.
        if let Some(folder) = self.folder.take() {
            self.put(&folder, &item)?;
            self.folder = Some(folder);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        match self.folder.take() {
            Some(folder) => Ok(folder.publish()?),
            None => Ok(()),
        }
    }
}
