//! The contract of a source: an iterator over items that may have nothing yet.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BoxError, Portable};

/// What a source has to say when asked for more.
#[derive(Debug)]
pub enum Next<T> {
    /// One item: it becomes one epoch.
    Item(T),
    /// Nothing yet: ask again a little later (a growing file, a live sensor).
    Idle,
    /// Nothing any more.
    End,
}

/// How far a source has handed out its input. A source over the same input that starts at a position goes on with the item behind it.
///
/// ```
/// use thalweg::source::{Place, Position};
///
/// let position = Position { items: 8, places: vec![Place { input: "scans/7.bin".into(), records: 1, ..Place::default() }], newest: None };
/// assert_eq!(position.to_string(), "scans/7.bin");
/// assert_eq!(Position::of("scans.csv", 8).to_string(), "scans.csv up to record 8");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Items, or rows where an item is a batch of rows, from the beginning of the input.
    pub items: u64,
    /// Where the last ones stand: one entry an input that is read side by side with others, in the order in which they were named.
    pub places: Vec<Place>,
    /// The latest event time (ns) among the items up to here, from a source that leaves out by it.
    #[serde(default)]
    pub newest: Option<i64>,
}

/// How far one file, or another input, has been handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its path, or its name.
    pub input: String,
    /// Frames or rows of it that were handed out.
    pub records: u64,
    /// Checksum of all that was handed out up to here, from a source that reckons one; else 0.
    #[serde(default)]
    pub sum: u32,
    /// The latest event time (ns) among these records, from a source that can do without an input whose records are all old.
    #[serde(default)]
    pub newest: Option<i64>,
}

impl Position {
    /// Behind so many records of an input that is read alone.
    pub fn of(input: impl Into<String>, records: u64) -> Position {
        Position {
            items: records,
            places: vec![Place { input: input.into(), records, ..Place::default() }],
            newest: None,
        }
    }

    /// Checks that a source which has come here again stands where the run before it stood, and has read the same.
    ///
    /// # Errors
    /// Another place, or other content up to it; the message says what to do.
    pub fn check(&self, before: &Position) -> Result<(), BoxError> {
        let places = |position: &Position| -> Vec<(String, u64)> {
            position.places.iter().map(|place| (place.input.clone(), place.records)).collect()
        };
        let expected = "put the input back as it was";
        if self.items != before.items || places(self) != places(before) {
            let (items, found) = (self.items, self.to_string());
            return Err(format!(
                "found {found} as item {items}, expected {before} as item {}, where the run before this one stood: {expected}",
                before.items
            )
            .into());
        }
        let other = self.places.iter().zip(&before.places).find(|(here, there)| here.sum != there.sum);
        match other {
            None => Ok(()),
            Some((here, _)) => Err(format!(
                "{}: found other content before record {}, expected what the run before this one read: {expected}",
                here.input,
                here.records + 1
            )
            .into()),
        }
    }
}

impl fmt::Display for Position {
    /// The places, as a message names them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Place { input, records, .. }) in self.places.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            match records {
                0 | 1 => write!(f, "{input}")?,
                _ => write!(f, "{input} up to record {records}")?,
            }
        }
        Ok(())
    }
}

/// A connector that reads. Runs on a thread of its own, and is asked again only when the dataflow has room.
///
/// ```
/// use thalweg::{BoxError, Frame, Next, Source};
///
/// /// Three empty frames.
/// struct Blank(i64);
///
/// impl Source for Blank {
///     type Item = Frame;
///     fn name(&self) -> String {
///         "blank".into()
///     }
///     fn next(&mut self) -> Result<Next<Frame>, BoxError> {
///         self.0 += 1;
///         Ok(if self.0 > 3 { Next::End } else { Next::Item(Frame { id: self.0 - 1, ..Frame::default() }) })
///     }
/// }
/// assert!(matches!(Blank(0).next(), Ok(Next::Item(Frame { id: 0, .. }))));
/// ```
pub trait Source: Send {
    /// What the source delivers, one an epoch.
    type Item: Portable;

    /// How messages call it: a path, a URI.
    fn name(&self) -> String;

    /// The next item. Must not block for longer than about 0.1 s: return [`Next::Idle`] instead.
    ///
    /// # Errors
    /// An unreadable input; the run ends with it.
    fn next(&mut self) -> Result<Next<Self::Item>, BoxError>;

    /// The run was asked to read no more (a signal). True if something in hand is still to be had: the source is then asked on, hands it
    /// out, and says [`Next::End`] within about a second.
    fn drain(&mut self) -> bool {
        false
    }

    /// When an item happened (ns), where the source knows. Times of a source do not go back: one that does counts as the latest before it.
    fn time(&self, _: &Self::Item) -> Option<i64> {
        None
    }

    /// How far a source that has nothing at present has come: no item will be earlier than this (ns). Other sources of the pipeline need not
    /// wait for it until then.
    fn reached(&self) -> Option<i64> {
        None
    }

    /// Where the item stands that was handed out last; `None` from a source that cannot say.
    fn position(&self) -> Option<Position> {
        None
    }

    /// Goes on behind a position that a source over the same input had. Called before the first item is asked for.
    ///
    /// # Errors
    /// A source without positions; an input that is not the one of the position.
    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        Err(format!("{}: found a start at {position}, expected none: it has no positions", self.name()).into())
    }

    /// How many items there are in all, where that is known before they are read: for those who watch.
    fn total(&self) -> Option<u64> {
        None
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    type Item = S::Item;
    fn name(&self) -> String {
        (**self).name()
    }
    fn next(&mut self) -> Result<Next<Self::Item>, BoxError> {
        (**self).next()
    }
    fn drain(&mut self) -> bool {
        (**self).drain()
    }
    fn total(&self) -> Option<u64> {
        (**self).total()
    }
    fn time(&self, item: &Self::Item) -> Option<i64> {
        (**self).time(item)
    }
    fn reached(&self) -> Option<i64> {
        (**self).reached()
    }
    fn position(&self) -> Option<Position> {
        (**self).position()
    }
    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        (**self).start_at(position)
    }
}
