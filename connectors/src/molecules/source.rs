//! Molecules from all inputs of a run as one source: files, and folders in the order of names. Frames are numbered over all of them.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thalweg::molecules::Molecule;
use thalweg::source::{Place, Position};
use thalweg::{BoxError, Next, Source};

use super::reader::{Format, Reader, open};
use super::unit::Unit;
use crate::error::Error;
use crate::files;
use crate::notices::Notices;
use crate::on_error::OnError;
use crate::order;

/// How molecules are read.
#[derive(Clone, Debug, Default)]
pub struct MoleculesOptions {
    /// The format of every file, else guessed from each name.
    pub format: Option<Format>,
    /// The frames of a file are one molecule that moves; see [`Reader::of_trajectory`].
    pub trajectory: bool,
    /// The unit in which a `value` is wanted; see [`Reader::values_in`].
    pub unit: Option<Unit>,
    /// Position of the first frame to deliver, over all inputs.
    pub start_offset: u64,
    /// Position of the first frame not to deliver any more.
    pub until: Option<u64>,
    /// What becomes of a frame or file that cannot be read.
    pub on_error: OnError,
    /// Where the reader says what is no error.
    pub notices: Notices,
    /// Set from outside: no more is read.
    pub stop: Arc<AtomicBool>,
}

/// The source; see the module.
pub struct Molecules {
    name: String,
    options: MoleculesOptions,
    files: VecDeque<(PathBuf, Format)>,
    open: Option<Reader<Box<dyn BufRead + Send>>>,
    /// Position of the next frame, and the one behind which this run begins.
    position: u64,
    begun: Option<Position>,
    place: Option<Place>,
    ended: bool,
}

impl Molecules {
    /// Opens all inputs.
    ///
    /// # Errors
    /// Nothing at a path, a name without a known ending, a folder without molecules.
    pub fn open(inputs: &[PathBuf], options: MoleculesOptions) -> Result<Molecules, Error> {
        let expected = "a name ending in .xyz, .extxyz, .sdf or .mol, or --format xyz or sdf";
        let mut files = VecDeque::new();
        for input in inputs {
            let kind = std::fs::metadata(input).map_err(|e| Error::io(input, e))?;
            if !kind.is_dir() {
                let format = options.format.or_else(|| Format::by_ending(input));
                let format = format.ok_or_else(|| Error::unsupported(input, "no ending of molecules", expected))?;
                files.push_back((input.clone(), format));
                continue;
            }
            let mut found = Vec::new();
            for entry in std::fs::read_dir(input).map_err(|e| Error::io(input, e))? {
                let path = entry.map_err(|e| Error::io(input, e))?.path();
                let file = path.is_file() || files::leads_nowhere(&path);
                let format = Format::by_ending(&path).filter(|_| !files::is_hidden(&path) && file);
                found.extend(format.map(|format| (path, options.format.unwrap_or(format))));
            }
            if found.is_empty() {
                return Err(Error::unsupported(
                    input,
                    "a folder without molecules",
                    "files .xyz, .extxyz, .sdf or .mol",
                ));
            }
            found.sort_by(|a, b| order::compare(&a.0, &b.0));
            files.extend(found);
        }
        let names: Vec<_> = inputs.iter().map(|path| path.display().to_string()).collect();
        let name = names.join(", ");
        Ok(Molecules { name, options, files, open: None, position: 0, begun: None, place: None, ended: false })
    }

    /// The next frame, in the numbers of the run.
    fn next_frame(&mut self) -> Result<Next<Molecule>, BoxError> {
        loop {
            let beyond = self.options.until.is_some_and(|until| self.position >= until);
            if self.ended || beyond || self.options.stop.load(Ordering::Relaxed) {
                return Ok(Next::End);
            }
            let Some(reader) = &mut self.open else {
                let Some((path, format)) = self.files.pop_front() else { return Ok(Next::End) };
                match open(&path) {
                    Ok(file) => {
                        let reader = Reader::new(&path, format, file).of_trajectory(self.options.trajectory);
                        self.open = Some(reader.values_in(self.options.unit));
                    }
                    Err(error) => self.pass_over(Error::io(&path, error))?,
                }
                self.place = Some(Place { input: path.display().to_string(), ..Place::default() });
                continue;
            };
            let read = reader.next();
            let path = reader.path().to_path_buf();
            for note in reader.take_notes() {
                self.options.notices.warn(&path, note);
            }
            match read {
                Ok(None) => self.open = None,
                Ok(Some(mut molecule)) => {
                    molecule.frame = i64::try_from(self.position).unwrap_or(i64::MAX);
                    self.position += 1;
                    if let Some(place) = &mut self.place {
                        place.records += 1;
                    }
                    let begun = self.begun.as_ref().map_or(0, |begun| begun.items);
                    if self.position == begun {
                        self.compare()?;
                    }
                    if self.position > self.options.start_offset.max(begun) {
                        return Ok(Next::Item(molecule));
                    }
                }
                Err(error) => {
                    // The frame keeps its number.
                    self.position += 1;
                    self.pass_over(error.at(&path))?;
                }
            }
        }
    }

    /// Where the run before this one stood it must have been the same frame.
    fn compare(&self) -> Result<(), BoxError> {
        self.position().zip(self.begun.as_ref()).map_or(Ok(()), |(here, begun)| here.check(begun))
    }

    /// Says and counts what could not be read, if that is wanted; else it is the source's error.
    fn pass_over(&mut self, error: Error) -> Result<(), Error> {
        if self.options.on_error == OnError::Stop {
            self.ended = true;
            return Err(error);
        }
        self.options.notices.passed_over(&error);
        Ok(())
    }
}

impl Source for Molecules {
    type Item = Molecule;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn next(&mut self) -> Result<Next<Molecule>, BoxError> {
        self.next_frame()
    }

    fn position(&self) -> Option<Position> {
        Some(Position { items: self.position, places: self.place.clone().into_iter().collect(), newest: None })
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        self.begun = Some(position.clone());
        Ok(())
    }
}
