//! What a run is, so that one that goes on is the same, and what its input is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::{models, rows};

/// Options that say how a run is done, and not what it gives.
const HOW: [&str; 10] =
    ["workers", "processes", "hosts", "process", "json", "rate", "checkpoint", "allow_model_change", "config", "set"];
/// The entry of the model.
pub const MODEL: &str = "model";

/// A checksum of what the input is: names and lengths of its files, those in folders two deep.
pub fn content(settings: &Settings) -> u32 {
    fn add(sum: &mut crc32fast::Hasher, path: &Path, deep: u32) {
        sum.update(path.as_os_str().as_encoded_bytes());
        // What cannot be looked at now is said by whoever reads it.
        let Ok(kind) = std::fs::metadata(path) else { return };
        if !kind.is_dir() {
            return sum.update(&kind.len().to_le_bytes());
        }
        let mut inside: Vec<_> =
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        inside.sort_unstable();
        inside.iter().filter(|_| deep > 0).for_each(|path| add(sum, path, deep - 1));
    }
    let mut sum = crc32fast::Hasher::new();
    let inputs =
        settings.reads().into_iter().filter(|(what, _)| !matches!(*what, "the model" | "the truth" | "the key"));
    inputs.for_each(|(_, path)| add(&mut sum, path, 2));
    sum.finalize()
}

/// The inputs of which nobody knows whether they hold what they held: standard input and FIFOs.
pub fn pipes(settings: &Settings) -> Vec<PathBuf> {
    let standard = settings.input.iter().filter(|input| *input == "-").map(PathBuf::from);
    let paths = settings.reads().into_iter().map(|(_, path)| path.to_path_buf());
    let pipe = |path: &PathBuf| {
        path.as_os_str() == "-" || std::fs::metadata(path).is_ok_and(|kind| !kind.is_file() && !kind.is_dir())
    };
    standard.chain(paths).filter(pipe).collect()
}

/// What must be the same for a run to go on: the options that were given, the keys but for those in `how`, the model.
///
/// # Errors
/// A model or a key that cannot be read.
pub fn identity(
    settings: &Settings,
    pipeline: &str,
    model: Option<&str>,
    how: &[&str],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut identity = BTreeMap::from([("pipeline".to_string(), pipeline.to_string())]);
    let given = settings.given.iter().filter(|(name, _)| !HOW.contains(name) && **name != MODEL);
    identity.extend(given.map(|(name, value)| (name.to_string(), value.clone())));
    let set = settings.set.iter().filter(|(name, _)| !how.contains(&name.as_str()));
    identity.extend(set.map(|(name, value)| (format!("set {name}"), value.clone())));
    let key = rows::id_key(settings.set.get(rows::HASH_IDS.name).map(Path::new))?;
    if let (Some(key), Some(value)) = (key, identity.get_mut(&format!("set {}", rows::HASH_IDS.name))) {
        // Another key under the same name would give everybody another name. This much of a hash tells nothing of the key.
        let of_key: String = key.hash("the key of a run").chars().take(8).collect();
        *value = format!("{value}, key {of_key}");
    }
    if let Some(name) = model {
        let sum = models::checksum(name)?.map_or(String::new(), |sum| format!(", checksum {sum:08x}"));
        identity.insert(MODEL.to_string(), format!("{name}{sum}"));
    }
    Ok(identity)
}
