//! A folder that receives files: which of them are whole, each taken once, in the order of names where they appear together.
//!
//! A file is whole when its format's own length says so ([`whole`]); when it was renamed into place, from a name that is no frame's in the same
//! folder, or by a change of its entry after its last byte was written; or when it has not changed for a while. A file is known again by its name
//! and identity; only names that are in the folder are remembered.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::error::Error;
use crate::on_error::OnError;
use crate::order;
use crate::points::arrivals::Arrivals;
use crate::points::files_options::FilesOptions;
use crate::points::format::Format;
use crate::points::listing::{self, Choice};
use crate::points::options::ReadOptions;
use crate::points::registry;
use crate::points::whole::{Whole, whole};

/// Between two looks at the folder, at least.
const POLL: Duration = Duration::from_millis(50);

/// What is not whole by its own length counts as given up after so many times the time to settle.
const GIVEN_UP: u32 = 10;

/// How long a file rests before it is taken when the run ends.
pub(crate) const AT_THE_END: Duration = Duration::from_millis(400);

/// Which file it is, whatever its name: device, inode, and time of birth, for inodes are used again.
type Identity = (u64, u64, Option<SystemTime>);

/// What one look at a file saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    identity: Identity,
    size: u64,
    modified: Option<SystemTime>,
    /// When its content or its entry changed last.
    changed: Option<SystemTime>,
}

impl Look {
    fn at(kind: &Metadata) -> Look {
        let modified = kind.modified().ok();
        #[cfg(unix)]
        let (identity, changed) = {
            use std::os::unix::fs::MetadataExt as _;
            let nanoseconds = u32::try_from(kind.ctime_nsec()).unwrap_or(0);
            let since = u64::try_from(kind.ctime()).ok().map(|seconds| Duration::new(seconds, nanoseconds));
            let changed = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            ((kind.dev(), kind.ino(), kind.created().ok()), changed)
        };
        #[cfg(not(unix))]
        let (identity, changed) = ((0, 0, kind.created().ok()), modified);
        Look { identity, size: kind.len(), modified, changed }
    }

    /// How long ago it changed last, by the clock.
    fn age(&self) -> Duration {
        let last = self.modified.max(self.changed);
        last.and_then(|last| SystemTime::now().duration_since(last).ok()).unwrap_or_default()
    }

    /// True if its entry changed after its content: a rename, or a copy that is given its times at the end.
    fn moved(&self) -> bool {
        self.size > 0 && self.changed > self.modified
    }
}

/// A file that is not taken yet.
struct Pending {
    look: Look,
    /// Since when it looks so.
    since: Instant,
    /// The look at the folder that saw it first.
    first: u64,
    /// Looks that saw it as it is.
    looks: u32,
    /// It had a name in this folder that is no frame's.
    renamed: bool,
    /// It was moved into place, as far as its first look says.
    moved: bool,
    own: Whole,
    /// Since when it is whole.
    ready: Option<Instant>,
}

struct Taken {
    look: Look,
    /// It could not be read: it is looked at again if it changes.
    unreadable: bool,
}

/// A file to read.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) format: &'static Format,
    /// It takes its turn and gives nothing: a run before this one could not read it, or it is left out for newer ones.
    pub(crate) passed: bool,
    /// A run before this one took it.
    again: bool,
}

impl Found {
    /// A file that is known without looking.
    pub(crate) fn listed(path: PathBuf, format: &'static Format) -> Found {
        Found { path, format, passed: false, again: false }
    }
}

/// A folder that receives files.
pub(crate) struct Watch {
    folder: PathBuf,
    asked: Option<&'static Format>,
    settle: Duration,
    /// What cannot be read is passed over.
    skip: bool,
    /// Only the newest of the files that are ready is read.
    newest: bool,
    options: ReadOptions,
    /// What its frames are, once one has been taken.
    choice: Option<Choice>,
    /// What the files are by their names and first bytes, as the last look saw them.
    kinds: HashMap<PathBuf, (Look, Option<&'static Format>)>,
    pending: BTreeMap<Name, Pending>,
    taken: HashMap<PathBuf, Taken>,
    /// Files that are no frames by their names.
    others: HashSet<Identity>,
    /// Files of other formats that were said to be passed over.
    foreign: usize,
    ready: VecDeque<Found>,
    looks: u64,
    next: Option<Instant>,
    /// It was looked at since the run was asked to end.
    ending: bool,
    /// The order in which files come, where it is kept.
    arrivals: Option<Arrivals>,
}

/// A path, in the order of names.
#[derive(Clone, PartialEq, Eq)]
struct Name(PathBuf);

impl Ord for Name {
    fn cmp(&self, other: &Name) -> std::cmp::Ordering {
        order::compare(&self.0, &other.0)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Watch {
    /// Watches `folder` for frames, as the options say.
    ///
    /// # Errors
    /// A list of arrivals that cannot be read, or with a file of no known format.
    pub(crate) fn new(folder: &Path, options: &FilesOptions) -> Result<Watch, Error> {
        let mut watch = Watch {
            folder: folder.into(),
            asked: options.format,
            settle: options.settle,
            skip: options.on_error == OnError::Skip,
            newest: options.newest,
            options: options.read.clone(),
            choice: None,
            kinds: HashMap::new(),
            pending: BTreeMap::new(),
            taken: HashMap::new(),
            others: HashSet::new(),
            foreign: 0,
            ready: VecDeque::new(),
            looks: 0,
            next: None,
            ending: false,
            arrivals: options.arrivals.as_deref().map(Arrivals::open).transpose()?,
        };
        watch.take_again()?;
        Ok(watch)
    }

    /// Files that runs before this one took come first, in their order.
    fn take_again(&mut self) -> Result<(), Error> {
        let Some(arrivals) = &self.arrivals else { return Ok(()) };
        if let Some(origin) = arrivals.origin {
            self.options.origin.decide(origin);
        }
        for taken in &arrivals.taken {
            let path = self.folder.join(&taken.name);
            let format = self.asked.map_or_else(|| registry::guess(&path), Ok)?;
            if let Ok(kind) = std::fs::metadata(&path) {
                self.taken.insert(path.clone(), Taken { look: Look::at(&kind), unreadable: taken.unreadable });
            }
            let passed = taken.unreadable || taken.overrun;
            self.ready.push_back(Found { path, format, passed, again: true });
        }
        Ok(())
    }

    /// True if runs before this one have taken files.
    pub(crate) fn has_arrivals(&self) -> bool {
        self.arrivals.as_ref().is_some_and(|arrivals| !arrivals.taken.is_empty())
    }

    /// Notes the run's origin (m) for runs that go on.
    ///
    /// # Errors
    /// A list of arrivals that cannot be written.
    pub(crate) fn decided(&mut self, origin: Option<[f64; 3]>) -> Result<(), Error> {
        self.arrivals.as_mut().map_or(Ok(()), |arrivals| arrivals.decided(origin))
    }

    /// Watches another folder instead, as long as nothing of this one was taken.
    ///
    /// # Errors
    /// See [`Watch::new`].
    pub(crate) fn move_to(&mut self, folder: &Path, options: &FilesOptions) -> Result<(), Error> {
        if self.taken.is_empty() && folder != self.folder {
            *self = Watch::new(folder, options)?;
        }
        Ok(())
    }

    /// The next whole file; `ending` says for how long the run has been asked to end.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(crate) fn next(&mut self, ending: Option<Duration>) -> Result<Option<Found>, Error> {
        // What has come since the last look is there when the run is asked to end.
        let last = ending.is_some() && !std::mem::replace(&mut self.ending, ending.is_some());
        if (self.ready.is_empty() || self.newest) && (last || self.next.is_none_or(|next| Instant::now() >= next)) {
            let began = Instant::now();
            self.look(ending)?;
            // A folder of very many files must not keep the disk busy with looks.
            self.next = Some(Instant::now() + POLL.max(4 * began.elapsed()));
            if self.newest {
                self.overrun()?;
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Of the files that are ready all but the newest are left out, and noted so before that one is read.
    fn overrun(&mut self) -> Result<(), Error> {
        let behind = self.ready.len().saturating_sub(1);
        for found in self.ready.iter_mut().take(behind).filter(|found| !found.again && !found.passed) {
            if let Some(arrivals) = &mut self.arrivals {
                arrivals.overrun(&found.path)?;
            }
            found.passed = true;
            let text = format!("{}: newer files had come before it could be read", found.path.display());
            self.options.notices.dropped("overrun", || text);
        }
        Ok(())
    }

    /// True if a file may become whole before the run ends.
    pub(crate) fn hopes(&self) -> bool {
        !self.ready.is_empty() || self.pending.values().any(|pending| pending.own != Whole::No)
    }

    /// True if there is nothing in the folder that is not read.
    pub(crate) fn at_rest(&self) -> bool {
        self.ready.is_empty() && self.pending.is_empty()
    }

    /// Gives back a file that was next: it is so again.
    pub(crate) fn put_back(&mut self, found: Found) {
        self.ready.push_front(found);
    }

    /// The file could not be read: it is read if it changes.
    ///
    /// # Errors
    /// A list of arrivals that cannot be written.
    pub(crate) fn unreadable(&mut self, path: &Path) -> Result<(), Error> {
        if let Some(taken) = self.taken.get_mut(path) {
            taken.unreadable = true;
        }
        self.arrivals.as_mut().map_or(Ok(()), |arrivals| arrivals.unreadable(path))
    }

    /// Says which files are left unread.
    pub(crate) fn leave(&mut self) {
        let names = |files: &mut dyn Iterator<Item = &Path>| {
            let names: Vec<_> =
                files.map(|p| p.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
            let more = names.len().saturating_sub(5);
            let shown = names[..names.len() - more].join(", ");
            if more == 0 { shown } else { format!("{shown} and {more} more") }
        };
        let torn = names(&mut self.pending.keys().map(|name| name.0.as_path()));
        if !torn.is_empty() {
            self.options.notices.warn(&self.folder, format!("left {torn}: not whole when the run ended"));
        }
        let late = names(&mut self.ready.iter().map(|found| found.path.as_path()));
        if !late.is_empty() {
            self.options.notices.warn(&self.folder, format!("left {late}: not read any more when the run ended"));
        }
        self.pending.clear();
        self.ready.clear();
    }

    fn look(&mut self, ending: Option<Duration>) -> Result<(), Error> {
        let (now, files) = (Instant::now(), self.files()?);
        self.looks += 1;
        let mut before = std::mem::take(&mut self.kinds);
        let seen = |(path, look): &(PathBuf, Look)| {
            let same = before.remove(path).filter(|(before, _)| before == look);
            (path.clone(), same.unwrap_or_else(|| (*look, listing::kind(path))))
        };
        self.kinds = files.iter().map(seen).collect();
        let kinds: Vec<_> = self.kinds.iter().map(|(path, (_, kind))| (path.clone(), *kind)).collect();
        let kind_of = |path: &Path| self.kinds.get(path).and_then(|(_, kind)| *kind);
        let Some(choice) = self.choice.or_else(|| Choice::of(&kinds, self.asked)) else {
            self.others = files.iter().map(|(_, look)| look.identity).collect();
            return Ok(());
        };
        let (frames, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(path, _)| choice.takes(path, kind_of(path)));
        if self.choice.is_some() {
            let foreign = |(path, _): &&(PathBuf, Look)| kind_of(path).is_some();
            let foreign: Vec<_> = others.iter().filter(foreign).map(|(path, _)| path.as_path()).collect();
            if foreign.len() > self.foreign {
                self.foreign = foreign.len();
                self.options.warn("passed over", &self.folder, choice.passed_over(&foreign));
            }
        }
        self.forget(&frames);
        for (path, look) in frames {
            self.see(path, look, choice.format, now);
        }
        self.others = others.into_iter().map(|(_, look)| look.identity).collect();
        self.take(choice, now, ending)
    }

    /// The regular files of the folder.
    fn files(&self) -> Result<Vec<(PathBuf, Look)>, Error> {
        let io = |e| Error::io(&self.folder, e);
        let mut files = Vec::new();
        let entries = match std::fs::read_dir(&self.folder) {
            // A folder that is gone may come again.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(files),
            entries => entries.map_err(io)?,
        };
        for entry in entries {
            let path = entry.map_err(io)?.path();
            // A file may be gone or renamed between the listing and the look.
            if let Ok(kind) = std::fs::metadata(&path)
                && kind.is_file()
            {
                files.push((path, Look::at(&kind)));
            }
        }
        Ok(files)
    }

    /// Forgets files that are gone; one that has another name now goes on under it.
    fn forget(&mut self, files: &[(PathBuf, Look)]) {
        let names: HashSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
        let fresh = |identity: Identity| {
            let new =
                |path: &PathBuf| !self.taken.contains_key(path) && !self.pending.contains_key(&Name(path.clone()));
            files.iter().find(|(path, look)| look.identity == identity && new(path)).map(|(path, _)| path.clone())
        };
        let gone: Vec<_> = self.taken.keys().filter(|path| !names.contains(path.as_path())).cloned().collect();
        let gone: Vec<_> = gone.into_iter().map(|path| (fresh(self.taken[&path].look.identity), path)).collect();
        let lost: Vec<_> = self.pending.keys().filter(|name| !names.contains(name.0.as_path())).cloned().collect();
        let lost: Vec<_> = lost.into_iter().map(|name| (fresh(self.pending[&name].look.identity), name)).collect();
        for (renamed, path) in gone {
            if let (Some(taken), Some(renamed)) = (self.taken.remove(&path), renamed) {
                self.taken.insert(renamed, taken);
            }
        }
        for (renamed, name) in lost {
            match (self.pending.remove(&name), renamed) {
                (Some(pending), Some(renamed)) => drop(self.pending.insert(Name(renamed), pending)),
                _ => self.options.warn("gone", &name.0, "was gone before it was read"),
            }
        }
    }

    /// Notes what a look at a frame's file saw.
    fn see(&mut self, path: PathBuf, look: Look, format: &'static Format, now: Instant) {
        if let Some(taken) = self.taken.get_mut(&path) {
            let same = taken.look.identity == look.identity;
            if same && (taken.look.size, taken.look.modified) == (look.size, look.modified) {
                return;
            }
            if same && !taken.unreadable {
                // Times that are set to the past, as copies do at their end, are no change.
                if taken.look.size != look.size || look.modified > taken.look.modified {
                    let (before, after) = (taken.look.size, look.size);
                    let text = format!("changed after it was read ({before} bytes, {after} since): not read again");
                    self.options.warn("changed", &path, text);
                }
                taken.look = look;
                return;
            }
            self.taken.remove(&path);
        }
        let name = Name(path);
        match self.pending.get_mut(&name) {
            Some(pending) if pending.look == look => pending.looks += 1,
            Some(pending) => {
                let other = pending.look.identity != look.identity;
                let renamed = if other { self.others.contains(&look.identity) } else { pending.renamed };
                let moved = if other { look.moved() } else { pending.moved && look.moved() };
                let own = whole(format, &name.0, look.size);
                *pending = Pending { look, since: now, looks: 1, renamed, moved, own, ready: None, ..*pending };
            }
            None => {
                // What has stood here before the run has rested as long as its times say.
                let since = now.checked_sub(look.age()).unwrap_or(now);
                let (renamed, moved) = (self.others.contains(&look.identity), look.moved());
                let own = whole(format, &name.0, look.size);
                let pending = Pending { look, since, first: self.looks, looks: 1, renamed, moved, own, ready: None };
                self.pending.insert(name, pending);
            }
        }
    }

    /// Moves files that are whole to those that are ready. One waits a while for those before it that appeared with it or earlier.
    fn take(&mut self, choice: Choice, now: Instant, ending: Option<Duration>) -> Result<(), Error> {
        let settle = if ending.is_some() { self.settle.min(AT_THE_END) } else { self.settle };
        let mut waits_for: Option<u64> = None;
        let mut done = Vec::new();
        for (name, pending) in &mut self.pending {
            let rested = now.saturating_duration_since(pending.since);
            let is_whole = match pending.own {
                Whole::Yes => true,
                // What rests is not written on: it cannot be read, and is said to be so.
                Whole::No if ending.is_some() => self.skip && rested >= self.settle,
                Whole::No => rested >= GIVEN_UP * self.settle,
                Whole::Unknown => pending.renamed || (pending.moved && pending.looks > 1) || rested >= settle,
            };
            if !is_whole {
                // Who rests too long to be written on is not waited for.
                if rested < self.settle {
                    waits_for = Some(waits_for.map_or(pending.first, |first| first.min(pending.first)));
                }
                continue;
            }
            let ready = *pending.ready.get_or_insert(now);
            let earlier = waits_for.is_some_and(|first| first <= pending.first + 1);
            if earlier && ending.is_none() && now.saturating_duration_since(ready) < self.settle {
                continue;
            }
            if pending.own == Whole::Unknown && rested < self.settle && !pending.renamed && !pending.moved {
                let text = format!("taken {:.1} s after it changed, for the run ends", rested.as_secs_f64());
                self.options.warn("taken early", &name.0, text);
            }
            done.push(name.clone());
        }
        for name in done {
            if let Some(pending) = self.pending.remove(&name) {
                if let Some(arrivals) = &mut self.arrivals {
                    arrivals.take(&name.0)?;
                }
                self.choice = Some(choice);
                self.taken.insert(name.0.clone(), Taken { look: pending.look, unreadable: false });
                self.ready.push_back(Found::listed(name.0, choice.format));
            }
        }
        Ok(())
    }
}
