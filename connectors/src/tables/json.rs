//! JSON lines: one object a line, keys as a table's columns. Numbers keep the digits that they are written with.
//!
//! `NaN`, `Infinity` and `-Infinity`, which Python writes and JSON does not know, are understood.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thalweg::Next;

use super::blocks::{Blocks, RECORDS};
use super::names::{Column, ColumnNames, Kind};
use super::table::{Block, Table};
use super::text::{CUT_OFF, Piece, Text, line};
use crate::error::Error;
use crate::notices::Notices;

/// Whole numbers below this are exact as floats.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Different keys that are looked at, at most.
const KEYS: usize = 4096;

/// One line's object; values are cut out, not read.
///
/// Keys stand in the order of the line.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    pairs.push((key, map.next_value()?));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Object)
    }
}

/// A key, cut out where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// An open text of JSON lines.
pub(super) struct JsonTable {
    text: Text,
    kind: &'static Kind,
    names: ColumnNames,
    notices: Notices,
    /// All keys so far, their places by name, and by slot the column's place among them, once they have those that there must be.
    keys: Vec<String>,
    places: HashMap<String, usize>,
    slots: Option<Vec<Option<usize>>>,
    /// By slot the places of keys that mean the same column, differing in case alone: a line may have one of these instead.
    others: Vec<Vec<usize>>,
    /// Objects before that, and why they are no rows.
    early: usize,
    missing: Option<Error>,
    told: bool,
}

impl JsonTable {
    pub(super) fn open(text: Text, kind: &'static Kind, names: &ColumnNames, notices: &Notices) -> JsonTable {
        JsonTable {
            text,
            kind,
            names: names.clone(),
            notices: notices.clone(),
            keys: Vec::new(),
            places: HashMap::new(),
            slots: None,
            others: Vec::new(),
            early: 0,
            missing: None,
            told: false,
        }
    }

    /// Takes note of keys not seen before; false while a column is missing.
    fn learn(&mut self, object: &Object) -> bool {
        let mut new = false;
        for (key, _) in &object.0 {
            if self.places.len() >= KEYS || self.places.contains_key(key.as_ref()) {
                continue;
            }
            // Blanks around a key make no other column once the columns are known.
            let same = |known: &String| self.slots.is_some() && known.trim() == key.trim();
            let place = self.keys.iter().position(same).unwrap_or(self.keys.len());
            self.places.insert(key.to_string(), place);
            if place == self.keys.len() {
                self.keys.push(key.to_string());
                new = true;
            }
        }
        if new {
            match self.names.find(self.text.path(), self.kind, &self.keys) {
                // The columns beyond the kind's own are those of the first row.
                Ok(mut found) => {
                    if let Some(known) = &self.slots {
                        found.truncate(known.len());
                    }
                    self.others = self.spelt_otherwise(&found);
                    self.slots = Some(found);
                }
                Err(error) => self.missing = Some(error),
            }
        }
        self.slots.is_some()
    }

    /// By slot the keys that name its column too, and no other.
    fn spelt_otherwise(&self, slots: &[Option<usize>]) -> Vec<Vec<usize>> {
        let plain = |place: usize| self.keys[place].trim().to_ascii_lowercase();
        let taken: HashSet<usize> = slots.iter().flatten().copied().collect();
        let mut free: HashMap<String, Vec<usize>> = HashMap::new();
        for place in (0..self.keys.len()).filter(|place| !taken.contains(place)) {
            free.entry(plain(place)).or_default().push(place);
        }
        slots.iter().map(|slot| slot.and_then(|place| free.get(&plain(place))).cloned().unwrap_or_default()).collect()
    }

    /// Puts an object into the block.
    fn take(&self, object: &Object, blocks: &mut Blocks, number: u64) {
        let Some(slots) = &self.slots else { return };
        // Of a key that stands there twice the last value counts.
        let mut values: Vec<Option<&RawValue>> = vec![None; self.keys.len()];
        for (key, value) in &object.0 {
            if let Some(&place) = self.places.get(key.as_ref()) {
                values[place] = Some(*value);
            }
        }
        let mut cells: Vec<Option<Cow<str>>> = Vec::with_capacity(slots.len());
        const REST: Column = Column::may("a value", &[]);
        for (slot, place) in slots.iter().enumerate() {
            let column = self.kind.columns.get(slot).unwrap_or(&REST);
            let other = || self.others.get(slot).and_then(|others| others.iter().find_map(|&other| values[other]));
            let value = place.and_then(|place| values[place]).or_else(other);
            // Lists stand in columns beyond the kind's own, and in the one that stands for several.
            let listed = slot >= self.kind.columns.len() || self.kind.instead.is_some_and(|(lists, _)| lists == slot);
            let list = listed && value.is_some_and(|value| value.get().starts_with('['));
            if let Some(value) = value.filter(|_| list) {
                cells.push(Some(value.get().into()));
                continue;
            }
            match value.map(|value| cell(value.get(), column.id)) {
                None if column.must && place.is_some() => {
                    return blocks.broken(number, format!("{}: found no such key, expected one", column.name));
                }
                None => cells.push(None),
                Some(Ok(cell)) => cells.push(cell),
                Some(Err(found)) => {
                    let expected = "a string, a number or a truth value";
                    return blocks.broken(number, format!("{}: found {found}, expected {expected}", column.name));
                }
            }
        }
        let cells: Vec<_> = cells.iter().map(|cell| cell.as_ref().map(|cell| cell.as_bytes())).collect();
        blocks.push(self.kind, number, &cells);
    }
}

/// A value as the text of a cell; a number that is an id reads as in other formats.
fn cell(raw: &str, id: bool) -> Result<Option<Cow<'_, str>>, &'static str> {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(|text: String| Some(text.into())).map_err(|_| "a broken string"),
        Some(b'n') => Ok(None),
        Some(b't' | b'f') => Ok(Some(raw.into())),
        Some(b'{') => Err("an object"),
        Some(b'[') => Err("a list"),
        _ if id && raw.contains(['.', 'e', 'E']) => match raw.parse::<f64>() {
            Ok(float) if float.abs() < EXACT => Ok(Some(float.to_string().into())),
            _ => Err("a number of more digits than a float keeps"),
        },
        _ => Ok(Some(raw.into())),
    }
}

/// The line with what Python calls numbers in JSON's words.
fn in_json(line: &str) -> Option<String> {
    let (mut out, mut rest, mut changed) = (String::with_capacity(line.len()), line, false);
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let mut escaped = false;
            let inside = |c: char| {
                let end = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                end
            };
            let end = rest[1..].find(inside)? + 2;
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let words = [("NaN", "null"), ("-Infinity", "-1e999"), ("Infinity", "1e999")];
        match words.iter().find(|(word, _)| rest.starts_with(word)) {
            Some((word, means)) => {
                out.push_str(means);
                rest = &rest[word.len()..];
                changed = true;
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    changed.then_some(out)
}

impl Table for JsonTable {
    fn next(&mut self) -> Result<Next<Block>, Error> {
        let mut blocks = Blocks::new(vec![true; self.slots.as_ref().map_or(self.kind.columns.len(), Vec::len)]);
        let otherwise = loop {
            if blocks.full() {
                break Next::Idle;
            }
            let (number, range) = match self.text.piece(line)? {
                Piece::Item(0, _) => {
                    blocks.broken(0, CUT_OFF);
                    continue;
                }
                Piece::Item(number, range) => (number, range),
                Piece::Anew => continue,
                Piece::Nothing => break Next::Idle,
                Piece::End => {
                    self.told = self.text.tell_left(&self.notices, self.told);
                    match self.missing.take().filter(|_| self.slots.is_none()) {
                        Some(error) => return Err(error),
                        None => break Next::End,
                    }
                }
            };
            let text = String::from_utf8_lossy(self.text.of(range)).into_owned();
            let python = if serde_json::from_str::<Object>(&text).is_err() { in_json(&text) } else { None };
            let Ok(object) = serde_json::from_str::<Object>(python.as_ref().unwrap_or(&text)) else {
                blocks.broken(number, "found no JSON object on one line, expected one");
                continue;
            };
            let known = self.slots.is_some();
            if self.learn(&object) {
                if !known {
                    blocks.widen(self.slots.as_ref().map_or(0, Vec::len));
                }
                self.take(&object, &mut blocks, number);
                continue;
            }
            self.early += 1;
            let names = object.0.len();
            blocks.broken(number, format!("found {names} keys, expected those of {}", self.kind.needs));
            if self.early >= RECORDS
                && let Some(error) = self.missing.take()
            {
                return Err(error);
            }
        };
        Ok(blocks.finish(self.slots.as_deref(), otherwise))
    }

    fn has(&self, slot: usize) -> bool {
        self.slots.as_ref().is_some_and(|slots| slots[slot].is_some())
    }

    fn close(&mut self) {
        self.text.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_numbers_are_understood_outside_strings_alone() {
        let line = r#"{"a": NaN, "b": "NaN \" NaN", "c": -Infinity, "d": [Infinity]}"#;
        let expected = r#"{"a": null, "b": "NaN \" NaN", "c": -1e999, "d": [1e999]}"#;
        assert_eq!(in_json(line).as_deref(), Some(expected));
        assert_eq!(in_json(r#"{"a": 1, "b": "torn"#), None);
    }

    #[test]
    fn an_id_that_is_a_number_reads_as_in_other_formats() {
        assert_eq!(cell("5.0", true).unwrap().as_deref(), Some("5"));
        assert_eq!(cell("1700000000.123456789", false).unwrap().as_deref(), Some("1700000000.123456789"));
        assert!(cell("1e300", true).is_err() && cell("[1]", false).is_err());
        assert_eq!(cell("null", true), Ok(None));
        assert_eq!(cell(r#""a\u00e9""#, true).unwrap().as_deref(), Some("a\u{e9}"));
    }
}
