//! Poses in a national grid: where a world is too far out for a map's voxels, it loses an origin of its own.

use std::sync::{Arc, OnceLock};

use thalweg::source::Position;
use thalweg::{BoxError, Frame, Next, Source};

/// Voxels on each side of a map's origin.
const REACH: f64 = (1 << 20) as f64;

/// What a map's world has lost (m), once the first frame with a pose has decided; clones are one.
#[derive(Clone, Debug, Default)]
pub struct WorldOrigin(Arc<OnceLock<[f64; 3]>>);

impl WorldOrigin {
    /// The origin (m); `None` before the first pose, or where the world has lost none.
    pub fn get(&self) -> Option<[f64; 3]> {
        self.0.get().copied().filter(|origin| *origin != [0.0; 3])
    }
}

/// Frames whose poses lose the run's map origin: where the first pose lies beyond the grid, trunc(t / 1000) · 1000 of its translation t on each axis (m).
pub struct MapOrigin<S> {
    source: S,
    voxel: f64,
    origin: WorldOrigin,
}

impl<S> MapOrigin<S> {
    /// Frames of `source` for a map whose voxels have this edge (m).
    pub fn new(source: S, voxel: f64, origin: WorldOrigin) -> MapOrigin<S> {
        MapOrigin { source, voxel, origin }
    }
}

impl<S: Source<Item = Frame>> Source for MapOrigin<S> {
    type Item = Frame;

    fn time(&self, frame: &Frame) -> Option<i64> {
        frame.time_ns
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn reached(&self) -> Option<i64> {
        self.source.reached()
    }

    fn position(&self) -> Option<Position> {
        self.source.position()
    }

    /// The first frame is read whatever the position: its pose decides on the origin.
    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        if position.items > 0 && self.origin.0.get().is_none() {
            Source::next(self)?;
        }
        self.source.start_at(position)
    }

    fn total(&self) -> Option<u64> {
        self.source.total()
    }

    fn drain(&mut self) -> bool {
        self.source.drain()
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        let mut next = self.source.next()?;
        if let Next::Item(Frame { pose: Some(pose), .. }) = &mut next {
            let translation = pose.0.map(|row| row[3]);
            let beyond = translation.iter().any(|t| (t / self.voxel).abs() >= REACH);
            let whole = |t: f64| if beyond { (t / 1000.0).trunc() * 1000.0 + 0.0 } else { 0.0 };
            let origin = self.origin.0.get_or_init(|| translation.map(whole));
            pose.0.iter_mut().zip(origin).for_each(|(row, origin)| row[3] -= origin);
        }
        Ok(next)
    }
}
