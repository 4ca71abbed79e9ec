//! Tables of points: rows from any table format, put together to frames by their `frame` column.
//!
//! Rows of one frame stand together and frame numbers ascend; a table without the column is frame 0.
//! Columns, by name, case not counting: `x`, `y`, `z` (or one list `xyz`), and where there: `frame`, `intensity` (0–1; a u8 or u16 column by
//! its full scale, others by 255 in a frame that has a value above 1), `class` or `label`, `instance`, `time` (s) or `time_ns`.

use std::path::Path;
use std::sync::Arc;

use thalweg::{Dropped, Frame, Next, Truth};

use crate::error::{At, Error};
use crate::points::columns::Layout;
use crate::points::fields::Scalar;
use crate::points::format::{ReadOptions, Reader};
use crate::points::intensity::scaled;

/// Coordinates of a run of rows (m), one vector an axis.
#[derive(Debug)]
pub(crate) enum Coordinates {
    /// Taken as they are.
    F32([Vec<f32>; 3]),
    /// To be reduced by the run's origin.
    F64([Vec<f64>; 3]),
}

impl Coordinates {
    /// Appends some rows; the whole is f64 as soon as a part is.
    fn append(&mut self, rows: &Coordinates, range: &std::ops::Range<usize>) {
        if let (Coordinates::F32(narrow), Coordinates::F64(_)) = (&*self, rows) {
            *self = Coordinates::F64(narrow.each_ref().map(|axis| axis.iter().map(|&v| f64::from(v)).collect()));
        }
        for axis in 0..3 {
            match (&mut *self, rows) {
                (Coordinates::F32(to), Coordinates::F32(from)) => {
                    to[axis].extend_from_slice(&from[axis][range.clone()])
                }
                (Coordinates::F64(to), Coordinates::F64(from)) => {
                    to[axis].extend_from_slice(&from[axis][range.clone()])
                }
                (Coordinates::F64(to), Coordinates::F32(from)) => {
                    to[axis].extend(from[axis][range.clone()].iter().map(|&v| f64::from(v)));
                }
                (Coordinates::F32(_), Coordinates::F64(_)) => {} // widened above
            }
        }
    }
}

/// Where the rows of a run stand in the file.
#[derive(Debug)]
pub(crate) enum Places {
    /// Consecutive rows from this one, from 0.
    From(u64),
    /// The line of each row, from 1.
    Lines(Vec<u64>),
}

/// A run of consecutive rows; every column that is there has one entry a row.
#[derive(Debug)]
pub(crate) struct Rows {
    pub frame: Option<Vec<i64>>,
    pub xyz: Coordinates,
    pub intensity: Option<Vec<f32>>,
    /// The type that gives the intensity its scale.
    pub scale: Scalar,
    pub class: Option<Vec<u8>>,
    pub instance: Option<Vec<u32>>,
    pub time_ns: Option<Vec<Option<i64>>>,
    pub places: Places,
    /// For each row that could not be parsed: how many good rows of this run stand before it, ascending.
    pub malformed: Vec<usize>,
}

impl Rows {
    fn len(&self) -> usize {
        match &self.xyz {
            Coordinates::F32([x, ..]) => x.len(),
            Coordinates::F64([x, ..]) => x.len(),
        }
    }

    fn at(&self, row: usize) -> At {
        match &self.places {
            Places::From(first) => At::Row(first + row as u64),
            Places::Lines(lines) => At::Line(lines[row]),
        }
    }
}

/// One parsed line of a text table.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub frame: i64,
    pub xyz: [f64; 3],
    pub intensity: f32,
    pub class: u8,
    pub instance: u32,
    pub time_ns: Option<i64>,
}

/// Collects the lines of a text table to a run.
pub(crate) struct TextRows {
    rows: Rows,
    xyz: [Vec<f64>; 3],
    lines: Vec<u64>,
}

impl TextRows {
    /// An empty run with the layout's columns.
    pub(crate) fn new(layout: &Layout) -> TextRows {
        let rows = Rows {
            frame: layout.frame.map(|_| Vec::new()),
            xyz: Coordinates::F64(Default::default()),
            intensity: layout.intensity.map(|_| Vec::new()),
            scale: Scalar::F32,
            class: layout.class.map(|_| Vec::new()),
            instance: layout.instance.map(|_| Vec::new()),
            time_ns: layout.time.map(|_| Vec::new()),
            places: Places::From(0),
            malformed: Vec::new(),
        };
        TextRows { rows, xyz: Default::default(), lines: Vec::new() }
    }

    /// True if the run is long enough.
    pub(crate) fn full(&self) -> bool {
        self.lines.len() + self.rows.malformed.len() >= 16_384
    }

    /// Takes a line, `None` if it could not be parsed.
    pub(crate) fn push(&mut self, line: u64, row: Option<Row>) {
        fn put<T>(column: &mut Option<Vec<T>>, value: T) {
            if let Some(column) = column {
                column.push(value);
            }
        }
        let Some(row) = row else { return self.rows.malformed.push(self.lines.len()) };
        put(&mut self.rows.frame, row.frame);
        put(&mut self.rows.intensity, row.intensity);
        put(&mut self.rows.class, row.class);
        put(&mut self.rows.instance, row.instance);
        put(&mut self.rows.time_ns, row.time_ns);
        self.xyz.iter_mut().zip(row.xyz).for_each(|(axis, value)| axis.push(value));
        self.lines.push(line);
    }

    /// Counts bad lines that stood before the run.
    pub(crate) fn bad_before(&mut self, lines: usize) {
        self.rows.malformed.splice(0..0, std::iter::repeat_n(0, lines));
    }

    /// The run, `None` if no line came.
    pub(crate) fn finish(self) -> Option<Rows> {
        let some = !self.lines.is_empty() || !self.rows.malformed.is_empty();
        some.then_some(Rows { xyz: Coordinates::F64(self.xyz), places: Places::Lines(self.lines), ..self.rows })
    }
}

/// A table format: it delivers runs of rows.
pub(crate) trait RowSource: Send {
    /// The next run, `None` after the last (of what has been written so far, if the file may grow).
    fn next_rows(&mut self) -> Result<Option<Rows>, Error>;

    /// True if the table has a `frame` column.
    fn has_frames(&self) -> bool;

    /// The file grows no more: the next runs go on to its very end, a line without its newline included.
    fn close(&mut self) {}
}

/// The reader of a table: cuts a [`RowSource`]'s runs into frames.
pub(crate) struct Table<S> {
    source: S,
    path: Arc<Path>,
    options: ReadOptions,
    run: Option<(Rows, usize)>,
    pending: Option<Pending>,
    malformed: u64,
    growing: bool,
    frames: u64,
}

struct Pending {
    id: i64,
    xyz: Coordinates,
    intensity: Option<Vec<f32>>,
    scale: Scalar,
    class: Option<Vec<u8>>,
    instance: Option<Vec<u32>>,
    time_ns: Option<i64>,
}

impl<S: RowSource> Table<S> {
    pub(crate) fn new(path: &Path, options: &ReadOptions, source: S) -> Table<S> {
        Table {
            source,
            path: path.into(),
            options: options.clone(),
            run: None,
            pending: None,
            malformed: 0,
            growing: false,
            frames: 0,
        }
    }

    /// The file may still grow: a frame is complete when a row of a later one has come, the last one after [`Reader::close`].
    pub(crate) fn growing(mut self) -> Table<S> {
        self.growing = true;
        self
    }

    /// Moves rows of the run from `cursor` into the pending frame, as far as they are of that frame; true if the frame is complete.
    fn take(&mut self, rows: &Rows, cursor: &mut usize) -> Result<bool, Error> {
        let length = rows.len();
        let id = |row: usize| rows.frame.as_ref().map_or(0, |f| f[row]);
        while *cursor < length {
            let current = id(*cursor);
            match &self.pending {
                Some(pending) if current > pending.id => return Ok(true),
                Some(pending) if current < pending.id => {
                    let found = format!("frame {current} after frame {}", pending.id);
                    return Err(Error::malformed(
                        &self.path,
                        rows.at(*cursor),
                        found,
                        "ascending frames, each in one piece",
                    ));
                }
                _ => {}
            }
            let end = (*cursor..length).find(|&row| id(row) != current).unwrap_or(length);
            let pending = self.pending.get_or_insert_with(|| Pending::like(rows, current));
            pending.extend(rows, *cursor..end);
            // A bad row belongs to the frame of the good row before it.
            let bad = rows.malformed.iter().filter(|&&b| b > *cursor && b <= end).count() as u64;
            let ahead = if *cursor == 0 { rows.malformed.iter().filter(|&&b| b == 0).count() as u64 } else { 0 };
            self.malformed += bad + ahead;
            *cursor = end;
        }
        if length == 0 {
            self.malformed += rows.malformed.len() as u64;
        }
        Ok(false)
    }

    fn flush_if_whole(&mut self) -> Option<Frame> {
        if self.growing { None } else { self.flush() }
    }

    fn flush(&mut self) -> Option<Frame> {
        let malformed = std::mem::take(&mut self.malformed);
        let mut frame = match self.pending.take() {
            Some(pending) => pending.frame(&self.path, &self.options),
            // Rows there were, none of them good; or no rows at all, in a table that is one frame.
            None if self.frames == 0 && (malformed > 0 || !self.source.has_frames()) => Frame::default(),
            None => return None,
        };
        self.frames += 1;
        frame.path = Some(self.path.clone());
        if malformed > 0 {
            frame.dropped.insert("malformed", Dropped { count: malformed, ..Dropped::default() });
        }
        Some(frame)
    }
}

impl<S: RowSource> Reader for Table<S> {
    fn next_frame(&mut self) -> Result<Next<Frame>, Error> {
        loop {
            if self.run.is_none() {
                self.run = self.source.next_rows()?.map(|rows| (rows, 0));
            }
            let Some((rows, mut cursor)) = self.run.take() else {
                return Ok(match (self.growing, self.flush_if_whole()) {
                    (true, _) => Next::Idle,
                    (false, Some(frame)) => Next::Item(frame),
                    (false, None) => Next::End,
                });
            };
            if self.take(&rows, &mut cursor)? {
                self.run = Some((rows, cursor));
                if let Some(frame) = self.flush() {
                    return Ok(Next::Item(frame));
                }
            }
        }
    }

    fn has_frame_ids(&self) -> bool {
        self.source.has_frames()
    }

    fn close(&mut self) {
        self.growing = false;
        self.source.close();
    }
}

impl Pending {
    fn like(rows: &Rows, id: i64) -> Pending {
        Pending {
            id,
            xyz: Coordinates::F32(Default::default()),
            intensity: rows.intensity.as_ref().map(|_| Vec::new()),
            scale: rows.scale,
            class: rows.class.as_ref().map(|_| Vec::new()),
            instance: rows.instance.as_ref().map(|_| Vec::new()),
            time_ns: None,
        }
    }

    /// Appends rows; runs of one source have the same columns.
    fn extend(&mut self, rows: &Rows, range: std::ops::Range<usize>) {
        fn copy<T: Clone>(to: &mut Option<Vec<T>>, from: &Option<Vec<T>>, range: &std::ops::Range<usize>) {
            if let (Some(to), Some(from)) = (to, from) {
                to.extend_from_slice(&from[range.clone()]);
            }
        }
        self.xyz.append(&rows.xyz, &range);
        copy(&mut self.intensity, &rows.intensity, &range);
        copy(&mut self.class, &rows.class, &range);
        copy(&mut self.instance, &rows.instance, &range);
        if let (None, Some(time)) = (self.time_ns, &rows.time_ns) {
            self.time_ns = time[range].iter().flatten().next().copied();
        }
    }

    fn frame(self, path: &Path, options: &ReadOptions) -> Frame {
        let ([x, y, z], origin) = match self.xyz {
            Coordinates::F32(xyz) => (xyz, [0.0; 3]),
            Coordinates::F64(xyz) => {
                let minimum = |axis: &Vec<f64>| axis.iter().copied().filter(|v| v.is_finite()).fold(f64::NAN, f64::min);
                let origin = options.origin.decide([minimum(&xyz[0]), minimum(&xyz[1]), minimum(&xyz[2])]);
                let reduce = |axis: usize| xyz[axis].iter().map(|v| (v - origin[axis]) as f32).collect();
                ([reduce(0), reduce(1), reduce(2)], origin)
            }
        };
        let truth = (self.class.is_some() || self.instance.is_some()).then(|| Truth {
            class: self.class.unwrap_or_else(|| vec![0; x.len()]),
            instance: self.instance.unwrap_or_else(|| vec![0; x.len()]),
        });
        let intensity = self.intensity.and_then(|column| scaled(column, self.scale, path, options));
        Frame { id: self.id, time_ns: self.time_ns, x, y, z, intensity, truth, origin, ..Frame::default() }
    }
}
