//! Which files of a folder are its frames: those of one format, the one that most of them have.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::files::{is_hidden, leads_nowhere};
use crate::order;
use crate::points::format::Format;
use crate::points::registry::{self, FORMATS};
use crate::points::{npy, xyz};

/// What may stand beside the scans of a sequence and holds no points.
const BESIDE: [&str; 3] = ["poses.txt", "times.txt", "calib.txt"];

/// The format of frames that a file has by its name; of a text file, by its first bytes too, where they can be had. `None` for hidden files, and
/// for true joints, which lie beside the frames that they belong to.
pub(crate) fn kind(path: &Path) -> Option<&'static Format> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    if name.starts_with('.') || BESIDE.contains(&name.as_str()) {
        return None;
    }
    let format = registry::by_extension(path)?;
    if format.name == npy::FORMAT.name && npy::holds_joints(path) {
        return None;
    }
    Some(format).filter(|_| !name.ends_with(".txt") || is_points(path) || leads_nowhere(path))
}

fn is_points(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = crate::files::open_regular(path).is_ok_and(|file| file.take(4096).read_to_end(&mut head).is_ok());
    read && xyz::looks_like_points(path, &head)
}

/// What the frames of a folder are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// The format by whose name files are frames; `None`: every file that is not hidden.
    named: Option<&'static Format>,
    /// The format that they are read as.
    pub(crate) format: &'static Format,
}

impl Choice {
    /// Chooses among files of these kinds: the format that most have, the earlier one in [`FORMATS`] of two that as many have. `asked`, from
    /// `--format`, is the format to read them as: it chooses its own files, where there are some.
    pub(crate) fn of(kinds: &[(PathBuf, Option<&'static Format>)], asked: Option<&'static Format>) -> Option<Choice> {
        let has =
            |format: &Format| kinds.iter().filter(|(_, kind)| kind.is_some_and(|k| k.name == format.name)).count();
        if let Some(format) = asked.filter(|asked| has(asked) > 0) {
            return Some(Choice { named: Some(format), format });
        }
        // A text file may be anything: it is a frame where there is nothing else.
        let count = |format: &Format| (usize::from(format.name != xyz::FORMAT.name) * has(format), has(format));
        let most = FORMATS.iter().rev().filter(|f| has(f) > 0).max_by_key(|f| count(f));
        match (most, asked) {
            (Some(most), asked) => Some(Choice { named: Some(most), format: asked.unwrap_or(most) }),
            (None, Some(asked)) if !kinds.is_empty() => Some(Choice { named: None, format: asked }),
            _ => None,
        }
    }

    /// True if a file of this kind is a frame.
    pub(crate) fn takes(&self, path: &Path, kind: Option<&'static Format>) -> bool {
        match self.named {
            Some(named) => kind.is_some_and(|kind| kind.name == named.name),
            None => !is_hidden(path),
        }
    }

    /// What is said of files of other formats.
    pub(crate) fn passed_over(&self, others: &[&Path]) -> String {
        let names: Vec<_> =
            others.iter().take(5).map(|p| p.file_name().unwrap_or_default().to_string_lossy()).collect();
        let more = others.len().saturating_sub(5);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let named = self.named.unwrap_or(self.format).name;
        let names = names.join(", ");
        format!("passed over {names}{more}: the frames of a folder are of one format, here {named} (--format chooses)")
    }
}

/// The files of a folder that are frames, in the order of names, and what they are read as.
pub(crate) struct Listing {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) format: &'static Format,
    /// What to say of other files; `None` if there are none.
    pub(crate) warning: Option<String>,
}

/// The frames of a folder; `None` if it has none. A link that leads nowhere is a frame that cannot be read: it has its place, as any file.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn list(folder: &Path, asked: Option<&'static Format>) -> Result<Option<Listing>, Error> {
    let io = |e| Error::io(folder, e);
    let mut kinds = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_file() || leads_nowhere(&path) {
            let kind = kind(&path);
            kinds.push((path, kind));
        }
    }
    kinds.sort_by(|(a, _), (b, _)| order::compare(a, b));
    let Some(choice) = Choice::of(&kinds, asked) else { return Ok(None) };
    let (own, other): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|(path, kind)| choice.takes(path, *kind));
    let others: Vec<_> = other.iter().filter(|(_, kind)| kind.is_some()).map(|(path, _)| path.as_path()).collect();
    let warning = (!others.is_empty()).then(|| choice.passed_over(&others));
    Ok(Some(Listing { files: own.into_iter().map(|(path, _)| path).collect(), format: choice.format, warning }))
}
