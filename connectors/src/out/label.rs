//! SemanticKITTI labels out: a folder of `.label` files, one a frame.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use thalweg::{BoxError, Epoch, Frame, Segmentation, Sink};

use super::publish::StagedFolder;
use crate::error::Error;
use crate::points::label::{TRAIN, raw_id};
use crate::points::registry;

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
        let format = registry::by_extension(path).filter(|f| !f.many)?;
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
