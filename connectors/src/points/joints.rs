//! True joints: a NumPy array `[frames, 19, 3]`, or a table `frame, joint, x, y, z` such as `run pose` writes.

use std::collections::BTreeMap;
use std::path::Path;

use thalweg::points::radar::JOINTS;

use super::npy;
use super::options::ReadOptions;
use super::origin::OriginRule;
use crate::error::{At, Error};
use crate::tables::names::{Column, Kind};
use crate::tables::options::TableOptions;
use crate::tables::values::Cell;
use crate::tables::whole;

static TABLE: Kind = Kind {
    what: "joints",
    shares: false,
    may_be_empty: false,
    needs: "frame, joint, x, y, z",
    columns: &[Column::must("frame"), Column::must("joint"), Column::must("x"), Column::must("y"), Column::must("z")],
    instead: None,
    bare: None,
};

/// The joints of each frame (m), by its number; of an array frames are numbered from 0. A joint that is missing is NaN.
///
/// # Errors
/// A file that cannot be read; an array of another shape; a row with another joint or without numbers.
pub fn joints(path: &Path) -> Result<BTreeMap<i64, [[f32; 3]; JOINTS]>, Error> {
    let mut frames = BTreeMap::new();
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
        let options = ReadOptions { origin: OriginRule::fixed([0.0; 3]), ..ReadOptions::default() };
        let all = npy::read(path, &options)?;
        if all.len() % JOINTS != 0 {
            let found = format!("{} places", all.len());
            return Err(Error::malformed(path, At::Header, found, "an array [frames, 19, 3]"));
        }
        for frame in 0..all.len() / JOINTS {
            let of = |joint: usize| {
                let i = frame * JOINTS + joint;
                [all.x[i], all.y[i], all.z[i]]
            };
            frames.insert(frame as i64, std::array::from_fn(of));
        }
        return Ok(frames);
    }
    whole::rows(path, &TABLE, &TableOptions::default(), |block, cells, row| {
        let comma = block.decimal_comma;
        let wrong = |found: String, expected| Err(Error::malformed(path, block.places.at(row), found, expected));
        let (frame, joint) = match (cells[0].whole(row, comma), cells[1].whole(row, comma)) {
            (Cell::Good(frame), Cell::Good(joint)) if (0..JOINTS as i64).contains(&joint) => (frame, joint as usize),
            (Cell::Good(_), Cell::Good(joint)) => return wrong(format!("joint {joint}"), "a joint from 0 to 18"),
            _ => return wrong("no frame or joint".into(), "whole numbers"),
        };
        let mut place = [f32::NAN; 3];
        for (value, cells) in place.iter_mut().zip(&cells[2..]) {
            match cells.number(row, comma) {
                Cell::Good(number) => *value = number as f32,
                Cell::Missing => {}
                Cell::Bad(found) => return wrong(found, "a number"),
            }
        }
        frames.entry(frame).or_insert([[f32::NAN; 3]; JOINTS])[joint] = place;
        Ok(())
    })?;
    Ok(frames)
}
