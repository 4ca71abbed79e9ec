//! Replay: a source of frames paced by its event time, or begun again for ever.

use std::time::{Duration, Instant};

use thalweg::source::Position;
use thalweg::{BoxError, Frame, Next, Source};

/// Time between two frames that have no stamps, or none that tells (ns): 10 Hz.
const STEP_NS: i64 = 100_000_000;
/// Waits shorter than this are slept through, so that a frame leaves on time.
const NAP: Duration = Duration::from_millis(2);

/// Holds frames back to the pace of their event time: at rate 1 as they were recorded, at 2 twice as fast; 0 = no pacing.
///
/// A frame without a stamp, or whose stamp is not after the last one, follows 0.1 s of event time after it. A
/// consumer that is slower than the pace gets late frames at once: the schedule does not shift.
pub struct Rate<S> {
    source: S,
    rate: f64,
    held: Option<Frame>,
    /// When the first frame left.
    started: Option<Instant>,
    /// The last frame's stamp, and its place in the schedule: event time since the first frame (ns).
    last: Option<(Option<i64>, i64)>,
    /// Asked to drain, the source had nothing more.
    drained: bool,
}

impl<S> Rate<S> {
    /// Paces `source`; a rate that is not above 0 does not pace.
    pub fn new(source: S, rate: f64) -> Rate<S> {
        Rate { source, rate, held: None, started: None, last: None, drained: false }
    }

    /// The frame's place in the schedule: event time since the first frame (ns).
    fn place(&self, stamp: Option<i64>) -> i64 {
        match self.last {
            None => 0,
            Some((before, place)) => {
                let step = stamp.zip(before).and_then(|(now, before)| now.checked_sub(before)).filter(|&step| step > 0);
                place.saturating_add(step.unwrap_or(STEP_NS))
            }
        }
    }
}

impl<S: Source<Item = Frame>> Source for Rate<S> {
    type Item = Frame;

    fn time(&self, frame: &Frame) -> Option<i64> {
        frame.time_ns
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn total(&self) -> Option<u64> {
        self.source.total()
    }

    fn drain(&mut self) -> bool {
        // What is left is not waited for.
        self.rate = 0.0;
        self.drained = !self.source.drain();
        !self.drained || self.held.is_some()
    }

    fn reached(&self) -> Option<i64> {
        self.held.as_ref().map_or_else(|| self.source.reached(), |frame| frame.time_ns)
    }

    fn position(&self) -> Option<Position> {
        self.source.position()
    }

    fn start_at(&mut self, position: &Position) -> Result<(), BoxError> {
        self.source.start_at(position)
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        if self.rate.is_nan() || self.rate <= 0.0 {
            if let Some(frame) = self.held.take() {
                return Ok(Next::Item(frame));
            }
            if self.drained {
                return Ok(Next::End);
            }
            return self.source.next();
        }
        let frame = match self.held.take() {
            Some(frame) => frame,
            None => match self.source.next()? {
                Next::Item(frame) => frame,
                other => return Ok(other),
            },
        };
        let place = self.place(frame.time_ns);
        let started = *self.started.get_or_insert_with(Instant::now);
        let due = Duration::try_from_secs_f64(place as f64 / 1e9 / self.rate).unwrap_or(Duration::MAX);
        let wait = due.saturating_sub(started.elapsed());
        if wait > NAP {
            self.held = Some(frame);
            return Ok(Next::Idle);
        }
        std::thread::sleep(wait);
        self.last = Some((frame.time_ns, place));
        Ok(Next::Item(frame))
    }
}

/// Opens a source again whenever it ends. Frame numbers and stamps go on counting up: a pass begins where the one before ended, its
/// stamps one frame later. A pass without a frame ends it.
pub struct Loop<S, F> {
    open: F,
    source: S,
    /// What is added to this pass's frame numbers and stamps, once its first frame has been seen.
    shift: Option<(i64, i64)>,
    /// The highest frame number delivered.
    last_id: Option<i64>,
    /// The last stamp delivered, and the step to it.
    last_time: Option<(i64, i64)>,
    drained: bool,
}

impl<S: Source<Item = Frame>, F: FnMut() -> Result<S, BoxError> + Send> Loop<S, F> {
    /// Opens the first pass.
    ///
    /// # Errors
    /// What `open` fails with.
    pub fn new(mut open: F) -> Result<Loop<S, F>, BoxError> {
        let source = open()?;
        Ok(Loop { open, source, shift: None, last_id: None, last_time: None, drained: false })
    }

    fn renumber(&mut self, frame: &mut Frame) {
        let (id, time) = *self.shift.get_or_insert_with(|| {
            let id = self.last_id.map_or(0, |last| last.saturating_add(1).saturating_sub(frame.id));
            let time = self
                .last_time
                .zip(frame.time_ns)
                .map_or(0, |((last, step), first)| last.saturating_add(step).saturating_sub(first));
            (id, time)
        });
        frame.id = frame.id.saturating_add(id);
        frame.time_ns = frame.time_ns.map(|t| t.saturating_add(time));
        self.last_id = self.last_id.max(Some(frame.id));
        if let Some(now) = frame.time_ns {
            let step = self.last_time.map(|(before, _)| now.saturating_sub(before)).filter(|&step| step > 0);
            self.last_time = Some((now, step.unwrap_or(STEP_NS)));
        }
    }
}

impl<S: Source<Item = Frame>, F: FnMut() -> Result<S, BoxError> + Send> Source for Loop<S, F> {
    type Item = Frame;

    fn time(&self, frame: &Frame) -> Option<i64> {
        frame.time_ns
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn drain(&mut self) -> bool {
        self.drained = true;
        self.source.drain()
    }

    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        match self.source.next()? {
            Next::Item(mut frame) => {
                self.renumber(&mut frame);
                Ok(Next::Item(frame))
            }
            Next::Idle => Ok(Next::Idle),
            Next::End if self.shift.is_none() || self.drained => Ok(Next::End),
            Next::End => {
                self.source = (self.open)()?;
                self.shift = None;
                Ok(Next::Idle)
            }
        }
    }
}
