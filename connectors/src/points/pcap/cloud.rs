//! Frames in the making: points as packets bring them, and what breaks on the way.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use thalweg::{Dropped, Frame};

use crate::points::intensity::scaled;
use crate::points::options::ReadOptions;
use crate::points::scalar::Scalar;

/// What was left out, by reason.
type Reasons = BTreeMap<Cow<'static, str>, Dropped>;

/// What breaks in a file, by reason, and packets of links that are not read.
pub(super) struct Problems {
    path: Arc<Path>,
    dropped: Reasons,
    links: BTreeSet<i32>,
}

impl Problems {
    pub(super) fn new(path: &Path) -> Problems {
        Problems { path: path.into(), dropped: BTreeMap::new(), links: BTreeSet::new() }
    }

    /// One packet that breaks its format; `offset` is that of its record.
    pub(super) fn malformed(&mut self, offset: u64, found: impl FnOnce() -> String) {
        self.one("malformed", offset, found);
    }

    /// One thing left out for a reason.
    pub(super) fn one(&mut self, reason: &'static str, offset: u64, found: impl FnOnce() -> String) {
        let path = &self.path;
        let place = || format!("{}: offset {offset}: {}", path.display(), found());
        self.dropped.entry(Cow::Borrowed(reason)).or_default().one(place);
    }

    /// A packet of a link that is not read.
    pub(super) fn link(&mut self, link: i32) {
        if self.links.len() < 8 {
            self.links.insert(link);
        }
    }

    /// The links that are not read.
    pub(super) fn links(&self) -> impl Iterator<Item = i32> {
        self.links.iter().copied()
    }

    /// How many packets broke, and the first of them.
    pub(super) fn broken(&self) -> Option<&Dropped> {
        self.dropped.get("malformed")
    }
}

/// The points of a frame.
#[derive(Default)]
pub(super) struct Cloud {
    x: Vec<f32>,
    y: Vec<f32>,
    z: Vec<f32>,
    reflectivity: Vec<f32>,
    time_ns: Option<i64>,
    dropped: Reasons,
}

impl Cloud {
    /// Adds a point (m, in the sensor's frame) with the reflectivity of its packet.
    pub(super) fn push(&mut self, [x, y, z]: [f64; 3], reflectivity: u16) {
        self.x.push(x as f32);
        self.y.push(y as f32);
        self.z.push(z as f32);
        self.reflectivity.push(f32::from(reflectivity));
    }

    /// The frame of these points; `scalar` is the type of reflectivities in the packets.
    pub(super) fn frame(self, path: &Arc<Path>, scalar: Scalar, options: &ReadOptions) -> Frame {
        let mut intensity = Some(self.reflectivity);
        let mut columns = BTreeMap::new();
        if options.carries("intensity") {
            columns.extend(intensity.take().map(|column| (Arc::from("intensity"), column)));
        }
        Frame {
            time_ns: self.time_ns,
            x: self.x,
            y: self.y,
            z: self.z,
            intensity: intensity.and_then(|column| scaled(column, scalar, path, options)),
            columns,
            path: Some(Arc::clone(path)),
            dropped: self.dropped,
            ..Frame::default()
        }
    }
}

/// Frames as they come out of packets.
pub(super) struct Assembly {
    /// The frame that packets add to, once one has.
    now: Option<Cloud>,
    ready: VecDeque<Cloud>,
    pub(super) problems: Problems,
}

impl Assembly {
    pub(super) fn new(path: &Path) -> Assembly {
        Assembly { now: None, ready: VecDeque::new(), problems: Problems::new(path) }
    }

    /// The frame to add to; its time (ns) is that of the first packet.
    pub(super) fn cloud(&mut self, time_ns: Option<i64>) -> &mut Cloud {
        self.now.get_or_insert_with(|| Cloud { time_ns, ..Cloud::default() })
    }

    /// The frame is complete: the next point belongs to another one. What broke since the one before is told with it.
    pub(super) fn cut(&mut self) {
        if let Some(cloud) = self.now.take() {
            self.ready.push_back(Cloud { dropped: std::mem::take(&mut self.problems.dropped), ..cloud });
        }
    }

    /// The next complete frame.
    pub(super) fn next(&mut self) -> Option<Cloud> {
        self.ready.pop_front()
    }
}
