//! Pose as a stage: frames go to one owner, which keeps the clouds and rows of the window and gives a skeleton for every frame.
//!
//! A table has no rows for a frame without points. So the numbers that are missing between two frames are frames without points, as long as
//! they are not too many: after a longer gap the window starts anew. Numbers that are times say nothing of what is missing: such frames follow
//! one another, and the window starts anew after a minute.

use std::collections::VecDeque;
use std::sync::Arc;

use super::cloud::{Cloud, Left, graph};
use super::{PoseModel, Skeleton};
use crate::plan::Flow;
use crate::points::Frame;
use crate::points::sweep::count;
use crate::report::{Dropped, Stats};
use crate::stage::{Inbox, Outbox, Stage};
use crate::{BoxError, Epoch};

/// The shard that the window lives on.
const OWNER: usize = 0;
/// Most frames without points that are taken to lie between two numbers: a minute of a radar's.
const GAP: i64 = 600;
/// Numbers from here on are times (ms, µs or ns since 1970): no counter of frames comes so far.
const TIMES: i64 = 100_000_000_000;
/// Frames after which it is said if most numbers are missing.
const ENOUGH: u64 = 10;

/// A minute in the unit of a number that is a time.
fn minute(time: i64) -> i64 {
    match time {
        ..100_000_000_000_000 => 60_000,
        100_000_000_000_000..100_000_000_000_000_000 => 60_000_000,
        _ => 60_000_000_000,
    }
}

impl<'p> Flow<'p, Frame> {
    /// The joints of the person that a radar sees, in every frame. Doppler (m/s) and intensity are the columns `doppler` and `intensity`.
    pub fn infer_pose(self, model: &PoseModel) -> Flow<'p, Skeleton> {
        let model = model.clone();
        self.stage(move |stats| Poses {
            model: model.clone(),
            last: None,
            taken: 0,
            filled: 0,
            clouds: VecDeque::new(),
            rows: VecDeque::new(),
            stats: Arc::clone(stats),
        })
    }
}

struct Poses {
    model: PoseModel,
    /// The number of the last frame.
    last: Option<i64>,
    /// Frames so far, and numbers between them that were missing.
    taken: u64,
    filled: u64,
    /// Of the last frames, newest first: the clouds of a graph, and the rows of the window.
    clouds: VecDeque<Cloud>,
    rows: VecDeque<Vec<f32>>,
    stats: Arc<Stats>,
}

impl Poses {
    fn take(&mut self, frame: &Frame, out: &mut Outbox<Frame, Skeleton>) -> Result<(), BoxError> {
        let (cloud, left) = Cloud::of(frame, self.model.layout());
        let (finite, lost) = (frame.finite(), left.outside + left.beyond);
        count(frame, finite - lost, finite, &self.stats);
        let place = left.first.map_or(String::new(), |point| {
            let [x, y, z] = [frame.x[point], frame.y[point], frame.z[point]];
            let unit = if left.of_millimetres() { "; these look like millimetres, expected metres" } else { "" };
            format!("point {point} of {}, at {x}, {y}, {z}{unit}", frame.name())
        });
        self.stats.dropped(frame.id, "out_of_range", Dropped { count: lost as u64, first: place });
        if left.beyond > 0 {
            let (name, most) = (self.model.name(), Cloud::MOST);
            self.stats.warn(format!("model {name}: found frames of more than {most} points, expected those of one radar: the others are left out"));
        }
        self.stats.compared(frame.id, self.unlike(finite, &left));
        match self.last.and_then(|last| frame.id.checked_sub(last)) {
            Some(step) if frame.id - step >= TIMES && (1..=minute(frame.id - step)).contains(&step) => {}
            Some(step) if frame.id - step < TIMES && (1..=GAP).contains(&step) => {
                self.filled += (step - 1) as u64;
                for missing in frame.id - step + 1..frame.id {
                    self.one(missing, Cloud::default(), out)?;
                }
            }
            Some(step) => {
                let (from, to) = (frame.id.saturating_sub(step), frame.id);
                let most = if from < TIMES { format!("{GAP}") } else { "a minute".into() };
                self.stats.warn(format!("frames {from} to {to}: more than {most} apart: the window starts anew"));
                self.clouds.clear();
                self.rows.clear();
            }
            None => {}
        }
        self.taken += 1;
        if self.taken >= ENOUGH && self.filled > self.taken {
            self.stats.warn("most numbers of frames are missing, each of which is taken as a frame without points: are they no counter?");
        }
        self.last = Some(frame.id);
        self.one(frame.id, cloud, out)
    }

    /// What is odd about a frame's points, if anything is.
    fn unlike(&self, finite: usize, left: &Left) -> Option<String> {
        let name = self.model.name();
        let [least, most] = self.model.layout().bounds;
        let trained = format!("{least:?} to {most:?} (x, y, z in m)");
        // Metres are what the model knows: clouds that lie elsewhere are of another unit, or of another sensor.
        if finite == 0 || 2 * left.outside <= finite {
            return None;
        }
        Some(if left.of_millimetres() {
            format!(
                "model {name}: coordinates look like millimetres: found most points outside {trained}, and inside if divided by 1000; expected metres"
            )
        } else {
            format!(
                "model {name}: most points lie outside {trained}, where it was trained: are these metres, y away from the radar, z up?"
            )
        })
    }

    fn one(&mut self, frame: i64, cloud: Cloud, out: &mut Outbox<Frame, Skeleton>) -> Result<(), BoxError> {
        let stats = Arc::clone(&self.stats);
        self.clouds.push_front(cloud);
        self.clouds.truncate(self.model.ages());
        let clouds: Vec<&Cloud> = self.clouds.iter().collect();
        let graph = stats.time("graph", || graph(&clouds, self.model.layout()))?;
        stats.edges(graph.as_ref().map_or(0, |graph| graph.edges.edges() as u64));
        let row = stats.time("encoder", || self.model.encode(graph.as_ref()))?;
        self.rows.push_front(row);
        self.rows.truncate(self.model.kept());
        out.give(stats.time("head", || self.model.decode(frame, self.rows.iter().map(Vec::as_slice)))?);
        Ok(())
    }
}

impl Stage for Poses {
    type Input = Frame;
    type Exchange = Frame;
    type Output = Skeleton;

    fn name(&self) -> &'static str {
        "pose"
    }

    fn phases(&self) -> usize {
        2
    }

    fn step(
        &mut self,
        _: Epoch,
        _: usize,
        inbox: Inbox<Frame, Frame>,
        out: &mut Outbox<Frame, Skeleton>,
    ) -> Result<(), BoxError> {
        match inbox {
            Inbox::Input(frames) => frames.into_iter().for_each(|frame| out.send(OWNER, frame)),
            Inbox::Exchange(mail) => {
                for (_, frame) in mail {
                    self.take(&frame, out)?;
                }
            }
        }
        Ok(())
    }
}
