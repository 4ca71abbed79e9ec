//! Tables of points: rows from any table format, put together to frames by their `frame` column.
//!
//! Rows of one frame stand together and frame numbers ascend; a table without the column is one frame, 0. Columns, by name: `x`, `y`, `z`
//! (or one list `xyz`), and where there: `frame`, `intensity`, `class` or `label`, `instance`, `time` (s) or `time_ns`.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use thalweg::{Dropped, Frame, Next, Truth};

use super::format::{Format, Reader};
use super::intensity::scaled;
use super::options::ReadOptions;
use super::rows::{Coordinates, FRAME, POINTS, Rows};
use super::scalar::Scalar;
use crate::error::Error;
use crate::tables;
use crate::tables::format::{FORMATS, TableFormat};
use crate::tables::names::Rest;
use crate::tables::options::Opening;
use crate::tables::table::Table;

/// The table formats as formats of frames.
pub(super) const PARQUET: Format =
    format(0, TableFormat::Parquet, &[b"PAR1"], |p, o| open(p, TableFormat::Parquet, o, false));
pub(super) const ARROW: Format =
    format(1, TableFormat::Arrow, &[b"ARROW1", &[0xff; 4]], |p, o| open(p, TableFormat::Arrow, o, false));
pub(super) const CSV: Format = format(2, TableFormat::Csv, &[], |p, o| open(p, TableFormat::Csv, o, false));
pub(super) const JSONL: Format = format(3, TableFormat::Jsonl, &[b"{"], |p, o| open(p, TableFormat::Jsonl, o, false));

const fn format(at: usize, _: TableFormat, magic: &'static [&'static [u8]], open: super::format::Open) -> Format {
    let (_, name, what, extensions) = FORMATS[at];
    Format { name, what, extensions, magic, many: true, open }
}

/// The table format that a format of frames is, if it is one.
pub(crate) fn of(format: &Format) -> Option<TableFormat> {
    FORMATS.iter().find(|(_, name, ..)| *name == format.name).map(|(table, ..)| *table)
}

/// Opens a table of points that is still being written.
///
/// # Errors
/// See [`tables::open()`]; a format that holds no table.
pub(crate) fn follow(path: &Path, format: &Format, options: &ReadOptions) -> Result<Box<dyn Reader>, Error> {
    match of(format) {
        Some(table) => open(path, table, options, true),
        None => Err(Error::unsupported(path, format!("{} to follow", format.what), "a folder, or a table")),
    }
}

/// Opens a table of points that comes through a pipe, its format told by its first bytes where it is not known.
///
/// # Errors
/// See [`tables::open()`].
pub(crate) fn piped(path: &Path, format: Option<&Format>, options: &ReadOptions) -> Result<Box<dyn Reader>, Error> {
    open_as(path, format.and_then(of), options, false)
}

/// Opens a table of points; with `follow` one that is still being written.
///
/// # Errors
/// See [`tables::open()`].
fn open(path: &Path, format: TableFormat, options: &ReadOptions, follow: bool) -> Result<Box<dyn Reader>, Error> {
    open_as(path, Some(format), options, follow)
}

fn open_as(
    path: &Path,
    format: Option<TableFormat>,
    options: &ReadOptions,
    follow: bool,
) -> Result<Box<dyn Reader>, Error> {
    let own: Arc<[String]> = options.carry.iter().filter(|name| super::rows::slot(name).is_none()).cloned().collect();
    let mut tables = options.tables.clone();
    if !own.is_empty() {
        tables.columns = tables.columns.with_rest(Rest::Named(own));
    }
    let opening = Opening { kind: &POINTS, options: &tables, follow, notices: &options.notices };
    let table = tables::open(path, format, opening)?;
    Ok(Box::new(PointTable {
        table,
        path: path.into(),
        options: options.clone(),
        run: None,
        pending: None,
        malformed: Dropped::default(),
        frames: 0,
        ended: false,
    }))
}

/// The reader of a table: cuts its blocks into frames.
struct PointTable {
    table: Box<dyn Table>,
    path: Arc<Path>,
    options: ReadOptions,
    run: Option<(Rows, usize)>,
    pending: Option<Pending>,
    malformed: Dropped,
    frames: u64,
    ended: bool,
}

/// A frame in the making.
struct Pending {
    id: i64,
    xyz: Coordinates,
    intensity: Option<Vec<f32>>,
    scale: Scalar,
    class: Option<Vec<i64>>,
    label: Option<Vec<i64>>,
    instance: Option<Vec<u32>>,
    time_ns: Option<i64>,
    times: Times,
    carried: Vec<Option<Vec<f32>>>,
}

/// The times of a frame's rows (ns).
#[derive(Default)]
struct Times {
    rows: usize,
    /// How often a row has another time than the one before it.
    changes: usize,
    last: Option<i64>,
    least: Option<i64>,
    most: Option<i64>,
}

impl Times {
    fn add(&mut self, times: &[Option<i64>]) {
        for time in times.iter().flatten().copied() {
            self.rows += 1;
            self.changes += usize::from(self.last.replace(time).is_some_and(|last| last != time));
            self.least = Some(self.least.map_or(time, |least| least.min(time)));
            self.most = Some(self.most.map_or(time, |most| most.max(time)));
        }
    }

    /// How far they are apart (s), if they look like those of several frames: more than a second, and rows that share one stand together.
    fn of_several(&self) -> Option<f64> {
        let span = self.most?.saturating_sub(self.least?) as f64 * 1e-9;
        (span > 1.0 && self.rows >= 2 * (self.changes + 1)).then_some(span)
    }
}

impl PointTable {
    /// Moves rows of the run from `cursor` into the pending frame, as far as they are of that frame; true if the frame is complete.
    fn take(&mut self, rows: &mut Rows, cursor: &mut usize) -> Result<bool, Error> {
        let length = rows.len();
        let id = |rows: &Rows, row: usize| rows.frame.as_ref().map_or(0, |f| f[row]);
        // A row that is none belongs to the frame of the good row before it.
        let mut refused = |rows: &mut Rows, until: usize| {
            let count = rows.malformed.iter().take_while(|(before, _)| *before <= until).count();
            for (_, why) in rows.malformed.drain(..count) {
                self.malformed.one(|| format!("{}: {why}", self.path.display()));
            }
        };
        refused(rows, *cursor);
        while *cursor < length {
            let current = id(rows, *cursor);
            match &self.pending {
                Some(pending) if current > pending.id => return Ok(true),
                Some(pending) if current < pending.id => {
                    let found = format!("frame {current} after frame {}", pending.id);
                    let expected = "ascending frames, each in one piece";
                    return Err(Error::malformed(&self.path, rows.places.at(*cursor), found, expected));
                }
                _ => {}
            }
            let end = (*cursor..length).find(|&row| id(rows, row) != current).unwrap_or(length);
            let pending = self.pending.get_or_insert_with(|| Pending::like(rows, current));
            pending.extend(rows, *cursor..end);
            refused(rows, end);
            *cursor = end;
        }
        Ok(false)
    }

    fn flush(&mut self) -> Option<Frame> {
        let malformed = std::mem::take(&mut self.malformed);
        let mut frame = match self.pending.take() {
            Some(pending) => {
                if let Some(span) = pending.times.of_several().filter(|_| !self.table.has(FRAME)) {
                    let rows = pending.times.rows;
                    let text =
                        format!("{rows} rows are one frame, without a column frame, and their times span {span:.1} s");
                    let hint = "--columns frame=NAME says which column tells frames apart";
                    self.options.warn("one frame", &self.path, format!("{text}: {hint}"));
                }
                pending.frame(&self.path, &self.options)
            }
            // Rows there were, none of them good; or no rows at all, in a table that is one frame.
            None if self.frames == 0 && (malformed.count > 0 || !self.table.has(FRAME)) => Frame::default(),
            None => return None,
        };
        self.frames += 1;
        frame.path = Some(Arc::clone(&self.path));
        if malformed.count > 0 {
            frame.dropped.insert("malformed".into(), malformed);
        }
        Some(frame)
    }
}

impl Reader for PointTable {
    fn next_frame(&mut self) -> Result<Next<Frame>, Error> {
        loop {
            if self.run.is_none() && !self.ended {
                let next = match self.table.next() {
                    Err(error) if self.options.skip && self.table.pass() => {
                        self.options.notices.passed_over(&error);
                        continue;
                    }
                    next => next?,
                };
                match next {
                    Next::Item(block) => self.run = Some((Rows::of(&block, &self.path, &self.options), 0)),
                    Next::Idle => return Ok(Next::Idle),
                    Next::End => self.ended = true,
                }
            }
            let Some((mut rows, mut cursor)) = self.run.take() else {
                return Ok(self.flush().map_or(Next::End, Next::Item));
            };
            if self.take(&mut rows, &mut cursor)? {
                self.run = Some((rows, cursor));
                if let Some(frame) = self.flush() {
                    return Ok(Next::Item(frame));
                }
            }
        }
    }

    fn has_frame_ids(&self) -> bool {
        self.table.has(FRAME)
    }

    fn close(&mut self) {
        self.table.close();
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
            label: rows.label.as_ref().map(|_| Vec::new()),
            instance: rows.instance.as_ref().map(|_| Vec::new()),
            time_ns: None,
            times: Times::default(),
            carried: rows.carried.iter().map(|column| column.as_ref().map(|_| Vec::new())).collect(),
        }
    }

    /// Appends rows; a column that some of these do not have is no column of the frame.
    fn extend(&mut self, rows: &Rows, range: Range<usize>) {
        fn copy<T: Clone>(to: &mut Option<Vec<T>>, from: &Option<Vec<T>>, range: &Range<usize>) {
            match (to.as_mut(), from) {
                (Some(to), Some(from)) if range.end <= from.len() => to.extend_from_slice(&from[range.clone()]),
                _ => *to = None,
            }
        }
        self.xyz.append(&rows.xyz, &range);
        copy(&mut self.intensity, &rows.intensity, &range);
        copy(&mut self.class, &rows.class, &range);
        copy(&mut self.label, &rows.label, &range);
        copy(&mut self.instance, &rows.instance, &range);
        self.carried.iter_mut().zip(&rows.carried).for_each(|(to, from)| copy(to, from, &range));
        if let Some(times) = rows.time_ns.as_ref().and_then(|times| times.get(range)) {
            self.time_ns = self.time_ns.or_else(|| times.iter().flatten().next().copied());
            self.times.add(times);
        }
    }

    fn frame(self, path: &Arc<Path>, options: &ReadOptions) -> Frame {
        let ([x, y, z], origin) = match self.xyz {
            Coordinates::F32(xyz) => (xyz, [0.0; 3]),
            Coordinates::F64(xyz) => {
                let origin = options.origin.of([&xyz[0], &xyz[1], &xyz[2]]);
                let reduce = |axis: usize| xyz[axis].iter().map(|v| (v - origin[axis]) as f32).collect();
                ([reduce(0), reduce(1), reduce(2)], origin)
            }
        };
        // Codes are within a byte, or they would have been left out.
        let class = self.class.map(|codes| codes.iter().map(|&code| code as u8).collect::<Vec<_>>());
        let class = class.or_else(|| self.label.map(|labels| options.train_ids(&labels, path)));
        let truth = (class.is_some() || self.instance.is_some()).then(|| Truth {
            class: class.unwrap_or_else(|| vec![0; x.len()]),
            instance: self.instance.unwrap_or_else(|| vec![0; x.len()]),
        });
        let intensity = self.intensity.and_then(|column| scaled(column, self.scale, path, options));
        let path = Some(Arc::clone(path));
        let carried = options.carry.iter().zip(self.carried);
        let columns = carried.filter_map(|(name, column)| Some((Arc::from(name.as_str()), column?))).collect();
        let (id, time_ns) = (self.id, self.time_ns);
        let frame = Frame { id, time_ns, x, y, z, intensity, columns, truth, origin, path, ..Frame::default() };
        options.look(&frame);
        frame
    }
}
