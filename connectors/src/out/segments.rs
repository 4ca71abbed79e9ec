//! Output without end: a folder of Parquet segments, published by a manifest.
//!
//! A segment is written under a temporary name, made durable and renamed to `segment-00000000.parquet`; then `manifest.json`, which lists
//! it, takes the place of the one before in one rename. What the manifest does not list is not part of the output. That happens when a segment
//! is full, or old enough, whether or not rows come. While a sink lives no other writes into its folder.

use std::path::Path;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use thalweg::{BoxError, Epoch, Sink};

use super::announce::Announced;
use super::lock::Lock;
use super::manifest::Growing as GrowingManifest;
pub use super::manifest::{Column, MANIFEST, Manifest, Segment, columns};
use super::segment::OpenSegment;
use super::store::Store;
use super::writer::Batches;
use crate::error::Error;

/// When a segment is full.
#[derive(Clone, Copy, Debug)]
pub struct Roll {
    /// After so many items (frames).
    pub items: u64,
    /// Or once it is so old, at an item's end or while none comes.
    pub age: Duration,
}

impl Default for Roll {
    /// 600 items, or 60 s.
    fn default() -> Self {
        Roll { items: 600, age: Duration::from_secs(60) }
    }
}

/// A sink that writes every item's rows into a folder of segments.
pub struct SegmentSink<T> {
    store: Store,
    schema: SchemaRef,
    batches: Batches<T>,
    roll: Roll,
    manifest: GrowingManifest,
    /// The segment being written, and since when.
    open: Option<(OpenSegment, Instant)>,
    since: Instant,
    /// True once there is a manifest.
    published: bool,
    /// True if this sink made the folder: it goes again if nothing is published in it.
    made: bool,
    failed: bool,
    announced: Announced,
    lock: Option<Lock>,
}

impl<T> SegmentSink<T> {
    /// A sink into `folder`, which may be a prefix of a bucket, and may exist but not hold a manifest.
    ///
    /// # Errors
    /// A folder with a manifest, that another run writes into, or that cannot be made.
    pub fn create(folder: &Path, schema: SchemaRef, batches: Batches<T>, roll: Roll) -> Result<SegmentSink<T>, Error> {
        let store = Store::at(folder)?;
        let made = !store.is_remote()
            && match std::fs::create_dir(folder) {
                Ok(()) => true,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => false,
                Err(e) => return Err(Error::io(folder, e)),
            };
        let lock = Some(Lock::take(&store)?);
        if store.length(MANIFEST)?.is_some() {
            return Err(Error::unsupported(
                folder,
                "a published manifest",
                "a folder without one (a run that was started with --checkpoint DIR goes on in its folder)",
            ));
        }
        let (manifest, since) = (GrowingManifest::new(&schema), Instant::now());
        Ok(SegmentSink {
            store,
            schema,
            batches,
            roll,
            manifest,
            open: None,
            since,
            published: false,
            made,
            failed: false,
            announced: Announced::default(),
            lock,
        })
    }

    fn put(&mut self, item: &T) -> Result<(), Error> {
        let (mut open, since) = match self.open.take() {
            Some(open) => open,
            None => {
                let number = self.manifest.segments();
                (OpenSegment::create(&self.store, number, "", self.schema.clone())?, Instant::now())
            }
        };
        for batch in (self.batches)(item) {
            open.write(&batch?)?;
        }
        open.items += 1;
        let full = open.items >= self.roll.items;
        self.open = Some((open, since));
        if full { self.publish() } else { self.publish_by_time() }
    }

    /// Publishes the open segment once it is old enough, or, where there was nothing to write so long, a manifest without segments.
    fn publish_by_time(&mut self) -> Result<(), Error> {
        let since = match &self.open {
            Some((_, since)) => *since,
            None if !self.published => self.since,
            None => return Ok(()),
        };
        if since.elapsed() >= self.roll.age { self.publish() } else { Ok(()) }
    }

    /// Publishes the open segment, if there is one, then the manifest and its parts.
    fn publish(&mut self) -> Result<(), Error> {
        self.lock.iter().try_for_each(Lock::still_held)?;
        if let Some((open, _)) = self.open.take() {
            let segment = open.publish()?;
            self.announced.add(&segment);
            self.manifest.push(segment);
        }
        self.manifest.publish(&self.store)?;
        self.announced.say(self.store.root(), None, self.manifest.complete());
        self.published = true;
        Ok(())
    }

    /// Runs one step of the writing; after one that failed nothing more is published.
    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), BoxError> {
        if std::mem::replace(&mut self.failed, true) {
            return Ok(());
        }
        step(self)?;
        self.failed = false;
        Ok(())
    }
}

impl<T> Sink<T> for SegmentSink<T> {
    fn name(&self) -> String {
        self.store.root().display().to_string()
    }

    fn destination(&self) -> Option<&Path> {
        Some(self.store.root())
    }

    fn write(&mut self, _: Epoch, item: T) -> Result<(), BoxError> {
        self.attempt(|sink| sink.put(&item))
    }

    fn tick(&mut self, _: Epoch) -> Result<(), BoxError> {
        self.attempt(Self::publish_by_time)
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        if self.manifest.complete() {
            return Ok(());
        }
        self.manifest.end();
        self.attempt(Self::publish)
    }
}

impl<T> Drop for SegmentSink<T> {
    fn drop(&mut self) {
        self.open = None;
        let nothing = self.manifest.segments() == 0 && !self.manifest.complete();
        if self.published && nothing {
            // What could not be taken away says that there is nothing, which is true.
            let _ = self.store.remove(MANIFEST);
        }
        self.lock = None;
        if self.made && !self.store.path(MANIFEST).exists() {
            // Only an empty folder goes; a segment whose manifest could not be written stays for who looks into it.
            let _ = std::fs::remove_dir(self.store.root());
        }
    }
}
