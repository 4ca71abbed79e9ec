//! One table in CSV, JSON lines, Parquet and Arrow under random edits of headers, cells, dividers, encodings and types: every format gives
//! the same frames or rows, or all of them refuse; no row is lost without being counted. 10,000 edits, four a table.

mod edit;
mod render;

use std::path::Path;
use std::sync::Arc;

use thalweg::contacts::Fact;
use thalweg::{Next, Source};
use thalweg_connectors::contacts::{self, Pace, Rejected};
use thalweg_connectors::points::registry;
use thalweg_connectors::{Notices, ReadOptions};

use crate::mutate::Random;
use edit::{Mean, Sheet};
use render::Form;

const TABLES: u64 = 1250;
const EDITS: usize = 4;

/// What a reader made of a table: rows in order, as text that can be compared, and how many it counted as malformed or not finite.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Rows { rows: Vec<String>, lost: usize },
    Refused,
}

/// Frames as rows of (frame, x, y, z, intensity, class), points that are not finite apart, and all warnings.
fn read_points(path: &Path, of: &Sheet) -> Result<(Outcome, Vec<String>), String> {
    let options = ReadOptions { notices: Notices::default(), ..ReadOptions::default() };
    let mut reader = match registry::open(path, &options) {
        Ok(reader) => reader,
        Err(_) => return Ok((Outcome::Refused, Vec::new())),
    };
    let (mut rows, mut lost, mut malformed, mut total) = (Vec::new(), 0, 0, 0);
    loop {
        let frame = match reader.next_frame() {
            Ok(Next::Item(frame)) => frame,
            Ok(Next::Idle) => return Err("idle, though nothing grows".into()),
            Ok(Next::End) => break,
            Err(_) => return Ok((Outcome::Refused, Vec::new())),
        };
        total += frame.len();
        malformed += frame.dropped.get("malformed").map_or(0, |dropped| dropped.count as usize);
        for i in 0..frame.len() {
            if ![frame.x[i], frame.y[i], frame.z[i]].iter().all(|v| v.is_finite()) {
                lost += 1;
                continue;
            }
            let mut row = format!("{} {} {} {}", frame.id, frame.x[i], frame.y[i], frame.z[i]);
            if of.usable("intensity") {
                row += &format!(" {:?}", frame.intensity.as_ref().map(|column| column[i]));
            }
            if of.usable("class") {
                row += &format!(" {:?}", frame.truth.as_ref().map(|truth| truth.class[i]));
            }
            rows.push(row);
        }
    }
    malformed += options.notices.drops().get("malformed").map_or(0, |dropped| dropped.count as usize);
    if total + malformed != of.rows {
        return Err(format!("{total} points and {malformed} malformed of {} rows", of.rows));
    }
    lost += malformed;
    let refused = rows.is_empty() && lost > 0;
    Ok((if refused { Outcome::Refused } else { Outcome::Rows { rows, lost } }, options.notices.warnings()))
}

/// Rows as (t, pair, duration, diff).
fn read_contacts(path: &Path, of: &Sheet) -> Result<(Outcome, Vec<String>), String> {
    let rejected = Arc::new(Rejected::beside("out.csv"));
    let options = contacts::FilesOptions { contacts: vec![path.into()], ..contacts::FilesOptions::default() };
    let mut source = match contacts::source(&options, None, Pace::default(), &Arc::default(), &rejected) {
        Ok(source) => source,
        Err(_) => return Ok((Outcome::Refused, Vec::new())),
    };
    let mut facts = Vec::new();
    loop {
        match source.next() {
            Ok(Next::Item(item)) => facts.extend(item.rows),
            Ok(Next::Idle) => {}
            Ok(Next::End) => break,
            Err(_) => return Ok((Outcome::Refused, Vec::new())),
        }
    }
    let names = source.names().list();
    let row = |(fact, diff): &(Fact, i32)| match fact {
        Fact::Contact(row) => {
            let mut pair = [&names[row.a as usize], &names[row.b as usize]];
            pair.sort();
            format!("{} {:?} {:?} {} {diff}", row.t, pair[0], pair[1], row.duration)
        }
        other => format!("{other:?}"),
    };
    let (rows, lost): (Vec<String>, _) = (facts.iter().map(row).collect(), rejected.count() as usize);
    if rows.len() + lost != of.rows {
        return Err(format!("{} rows and {lost} malformed of {}", rows.len(), of.rows));
    }
    let refused = rows.is_empty() && lost > 0;
    Ok((if refused { Outcome::Refused } else { Outcome::Rows { rows, lost } }, Vec::new()))
}

/// What is right for a table; where two things are, every format may do either.
fn right(sheet: &Sheet) -> Vec<Outcome> {
    if sheet.is_points() {
        [true, false].map(|counts| points_of(sheet, counts)).into()
    } else {
        vec![contacts_of(sheet)]
    }
}

type Read = fn(&Path, &Sheet) -> Result<(Outcome, Vec<String>), String>;

/// Reads a sheet in every format; what is wrong, if anything.
fn tried(sheet: &Sheet, read: Read, folder: &Path, random: &mut Random) -> Vec<String> {
    let right = right(sheet);
    let mut wrong = Vec::new();
    for form in [Form::Csv, Form::Jsonl, if random.below(3) > 0 { Form::Parquet } else { Form::Arrow }] {
        let (name, bytes) = render::bytes(sheet, form, random);
        let path = folder.join(&name);
        std::fs::write(&path, &bytes).unwrap();
        let shown = || {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if matches!(form, Form::Csv | Form::Jsonl) && !name.ends_with("gz") {
                format!("{text:?}")
            } else {
                render::types(sheet)
            }
        };
        match read(&path, sheet) {
            Err(why) => wrong.push(format!("{name}: {why}\n      of {}", shown())),
            Ok((found, _))
                if !right.contains(&found)
                    && (form != Form::Csv || !sheet.dress.utf16 || found != Outcome::Refused) =>
            {
                wrong.push(format!("{name}: found {found:?}\n      right: {right:?}\n      of {}", shown()));
            }
            Ok((found, warnings)) if found != Outcome::Refused => {
                for role in ["intensity", "class"] {
                    let header = sheet.header(role);
                    if spoilt(sheet, role)
                        && !warnings.iter().any(|text| [header.trim(), role].iter().any(|name| text.contains(name)))
                    {
                        wrong.push(format!("{name}: no warning names the column {header:?} that cannot be used: {warnings:?}\n      of {}", shown()));
                    }
                }
            }
            Ok(_) => {}
        }
        std::fs::remove_file(&path).unwrap();
    }
    wrong
}

/// Whether a column cannot be used, by rows that can.
fn spoilt(sheet: &Sheet, role: &str) -> bool {
    let number = |role: &str, i: usize| sheet.column(role).is_none_or(|c| matches!(c.cells[i].mean, Mean::Number(_)));
    let read =
        |i: &usize| !sheet.ragged.contains_key(i) && ["frame", "x", "y", "z"].into_iter().all(|role| number(role, *i));
    let junk = |i: usize| sheet.column(role).is_some_and(|column| column.cells[i].mean == Mean::Junk);
    !sheet.usable(role) && (0..sheet.rows).filter(read).any(junk)
}

/// What is right for a table of points. A row without coordinates may be a point that is not finite, whose frame counts, or malformed.
fn points_of(sheet: &Sheet, missing_counts: bool) -> Outcome {
    if ["x", "y", "z"].iter().any(|role| sheet.column(role).is_none()) {
        return Outcome::Refused;
    }
    let (mut rows, mut lost, mut last) = (Vec::new(), 0, i64::MIN);
    for i in 0..sheet.rows {
        let number = |role: &str| match sheet.column(role).map(|column| &column.cells[i].mean) {
            Some(Mean::Number(v)) => Some(*v),
            _ => None,
        };
        let frame = if sheet.column("frame").is_some() { number("frame").map(|v| v as i64) } else { Some(0) };
        let (Some(frame), Some(x), Some(y), Some(z), false) =
            (frame, number("x"), number("y"), number("z"), sheet.ragged.contains_key(&i))
        else {
            lost += 1;
            let known = |role: &str| sheet.column(role).is_some_and(|column| column.cells[i].mean != Mean::Junk);
            let point = ["x", "y", "z"].into_iter().all(known) && !sheet.ragged.contains_key(&i);
            if let Some(frame) = frame.filter(|_| missing_counts && point) {
                if frame < last {
                    return Outcome::Refused;
                }
                last = frame;
            }
            continue;
        };
        if frame < last {
            return Outcome::Refused;
        }
        last = frame;
        let mut row = format!("{frame} {} {} {}", x as f32, y as f32, z as f32);
        if sheet.usable("intensity") {
            let value = number("intensity").map_or(0.0, |v| v as f32);
            row += &format!(" {:?}", sheet.column("intensity").map(|_| value));
        }
        if sheet.usable("class") {
            let class = number("class").filter(|v| *v >= 0.0).map_or(0, |v| v as u8);
            row += &format!(" {:?}", sheet.column("class").map(|_| class));
        }
        rows.push(row);
    }
    if rows.is_empty() && lost > 0 { Outcome::Refused } else { Outcome::Rows { rows, lost } }
}

/// What is right for a table of contacts.
fn contacts_of(sheet: &Sheet) -> Outcome {
    if ["t", "i", "j"].iter().any(|role| sheet.column(role).is_none()) {
        return Outcome::Refused;
    }
    let (mut rows, mut lost) = (Vec::new(), 0);
    for i in 0..sheet.rows {
        let mean = |role: &str| sheet.column(role).map_or(&Mean::Missing, |column| &column.cells[i].mean);
        let row = || -> Option<String> {
            let Mean::Time(t) = mean("t") else { return None };
            let (Mean::Text(a), Mean::Text(b)) = (mean("i"), mean("j")) else { return None };
            let duration = match mean("duration") {
                Mean::Missing => 20.0,
                Mean::Number(v) if *v >= 0.0 => *v,
                _ => return None,
            };
            let diff = match mean("diff") {
                Mean::Missing => 1,
                Mean::Number(1.0) => 1,
                Mean::Number(-1.0) => -1,
                _ => return None,
            };
            let mut pair = [a, b];
            pair.sort();
            Some(format!("{t} {:?} {:?} {} {diff}", pair[0], pair[1], (duration * 1e9) as i64))
        };
        match row().filter(|_| !sheet.ragged.contains_key(&i)) {
            Some(row) => rows.push(row),
            None => lost += 1,
        }
    }
    if rows.is_empty() && lost > 0 { Outcome::Refused } else { Outcome::Rows { rows, lost } }
}

fn alike(first: fn(&mut Random) -> Sheet, read: Read) {
    let folder = tempfile::tempdir().unwrap();
    let only = std::env::var("THALWEG_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = only.map_or(0..TABLES, |seed| seed..seed + 1);
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for seed in seeds.clone() {
        let mut random = Random::new(seed);
        let mut sheet = first(&mut random);
        let edits: Vec<String> = (0..EDITS).map(|_| sheet.edit(&mut random)).collect();
        refused += usize::from(right(&sheet).contains(&Outcome::Refused));
        let complaints = tried(&sheet, read, folder.path(), &mut random);
        if !complaints.is_empty() {
            wrong.push(format!("seed {seed} ({}):\n    {}", edits.join(", "), complaints.join("\n    ")));
        }
    }
    assert!(
        only.is_some() || refused * 3 < TABLES as usize,
        "{refused} of {TABLES} tables are refused: too many to learn from"
    );
    let shown = wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {} tables went wrong (THALWEG_SEED=N tries one):\n{shown}",
        wrong.len(),
        seeds.count()
    );
}

#[test]
fn points_are_the_same_in_every_format() {
    alike(Sheet::points, read_points);
}

#[test]
fn contacts_are_the_same_in_every_format() {
    alike(Sheet::contacts, read_contacts);
}
