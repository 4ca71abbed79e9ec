//! SDF and MOL files: records of a header of three lines, a table of atoms and bonds, and named
//! data, ended by `$$$$`.
//!
//! V2000 and V3000 of "CTfile Formats" (BIOVIA, Dassault Systèmes, 2020). Only atoms and the data
//! `energy`, `value` and `unit` are taken; bonds are counted off. Hydrogens that are not written are
//! not added, which is noted where a carbon has too few bonds. A line that has no place in this order is an error: what stands there may be an atom too
//! many, or another molecule behind a lost `$$$$`.

use std::collections::HashMap;
use std::io::BufRead;

use super::error::{MoleculeError, shown};
use super::lines::{LONGEST, Lines, label};
use super::parsed::{Notes, Parsed, charged};

/// Atoms and bonds that three digits of V2000 can count.
const MOST: u32 = 999;

/// What ended a record.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Separator,
    File,
}

/// The lines of one record.
struct Record<'a, R> {
    lines: &'a mut Lines<R>,
    end: Option<End>,
}

impl<R: BufRead> Record<'_, R> {
    fn next(&mut self) -> Result<Option<&str>, MoleculeError> {
        if self.end.is_some() {
            return Ok(None);
        }
        match self.lines.next()? {
            Some(line) if !line.starts_with("$$$$") => Ok(Some(line)),
            end => {
                self.end = Some(if end.is_some() { End::Separator } else { End::File });
                Ok(None)
            }
        }
    }

    /// The next line, or an error that says what it should have been.
    fn expect_any(&mut self, expected: &str) -> Result<&str, MoleculeError> {
        let number = self.lines.number() + 1;
        match self.lines.next()? {
            Some(line) if !line.starts_with("$$$$") => Ok(line),
            Some(_) => {
                self.end = Some(End::Separator);
                Err(MoleculeError::frame(number, "\"$$$$\"", expected))
            }
            None => {
                self.end = Some(End::File);
                Err(MoleculeError::frame(number, "the end of the file", expected).last())
            }
        }
    }

    /// The line of an atom or bond, the `i`th of `all`.
    fn row(&mut self, what: &str, i: u32, all: u32) -> Result<&str, MoleculeError> {
        let number = self.lines.number() + 1;
        let expected = format!("the line of {what} {i} of {all}");
        match self.expect_any(&expected)? {
            line if line.starts_with("M  END") => Err(MoleculeError::frame(number, "M  END", expected)),
            line => Ok(line),
        }
    }

    /// An error at the last line that was read.
    fn wrong(&self, found: impl Into<String>, expected: impl Into<String>) -> MoleculeError {
        MoleculeError::frame(self.lines.number(), found, expected)
    }

    /// Puts the next line into `joined`, with the lines that go on from it, without `M  V30`. False for
    /// `M  END`.
    fn v30(&mut self, joined: &mut String) -> Result<bool, MoleculeError> {
        joined.clear();
        loop {
            let number = self.lines.number() + 1;
            let line = self.expect_any("M  END")?;
            if line.starts_with("M  END") && joined.is_empty() {
                return Ok(false);
            }
            let Some(rest) = line.strip_prefix("M  V30").map(str::trim_end) else {
                return Err(MoleculeError::frame(number, shown(line), "a line that begins with M  V30"));
            };
            // One blank parts the sign from what it says; further ones may belong to a split word's surroundings.
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let open = rest.strip_suffix('-');
            joined.push_str(open.unwrap_or(rest));
            if joined.len() > LONGEST {
                return Err(self.wrong(format!("a line above {LONGEST} bytes"), "lines of text"));
            }
            if open.is_none() {
                return Ok(true);
            }
        }
    }
}

/// Reads one record; `None` where only blank lines are left.
pub(super) fn read<R: BufRead>(lines: &mut Lines<R>, notes: &mut Notes) -> Result<Option<Parsed>, MoleculeError> {
    let mut record = Record { lines, end: None };
    let parsed = parse(&mut record, notes);
    if parsed.as_ref().map_or_else(MoleculeError::recoverable, Option::is_some) {
        while record.next()?.is_some() {}
    }
    parsed
}

fn parse<R: BufRead>(record: &mut Record<R>, notes: &mut Notes) -> Result<Option<Parsed>, MoleculeError> {
    let mut parsed = Parsed::default();
    parsed.molecule.line = record.lines.number() + 1;
    // Name, program, comment, counts. A name may be blank, and so may all lines behind the last record.
    let mut head: Vec<String> = Vec::with_capacity(4);
    while head.len() < 4 || head.iter().all(|line| line.trim().is_empty()) {
        let Some(line) = record.next()?.map(str::to_owned) else {
            let blank = head.iter().all(|line| line.trim().is_empty());
            return match record.end {
                Some(End::File) if blank => Ok(None),
                Some(End::File) => Err(record.wrong("the end of the file", "a counts line").last()),
                _ => Err(record.wrong("\"$$$$\"", "a counts line")),
            };
        };
        head.truncate(3);
        head.push(line);
    }
    let [name, program, _, counts] = head.as_slice() else { return Ok(None) };
    parsed.molecule.name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    if program.get(20..22) == Some("2D") {
        let line = parsed.molecule.line + 1;
        notes.once("2D", || format!("line {line}: the coordinates are a drawing in 2D, not a shape in space"));
    }
    let mut drawn = Drawn::default();
    let behind = if counts.contains("V3000") {
        v3000(record, &mut parsed, &mut drawn)?;
        None
    } else {
        v2000(record, counts, &mut parsed, &mut drawn)?;
        properties(record, &mut drawn)?
    };
    drawn.tell(&parsed, notes);
    data(record, behind, &mut parsed, notes)?;
    Ok(Some(parsed))
}

/// What a record says of its molecule beyond the atoms.
#[derive(Default)]
struct Drawn {
    /// Twice the orders of the bonds of each atom; none if there are no bonds.
    orders: Vec<u32>,
    charge: i32,
    /// Atoms may have fewer bonds than usual: they have charges, or single electrons.
    odd: bool,
}

impl Drawn {
    /// A bond of a type between two atoms, from 1.
    fn bond(&mut self, kind: u32, ends: [u32; 2]) {
        // Types: single, double, triple, aromatic; those behind are of queries.
        let order = match kind {
            1..=3 => 2 * kind,
            4 => 3,
            _ => 8,
        };
        for end in ends {
            let at = end as usize;
            if self.orders.len() < at {
                self.orders.resize(at, 0);
            }
            if let Some(sum) = at.checked_sub(1).and_then(|at| self.orders.get_mut(at)) {
                *sum = sum.saturating_add(order);
            }
        }
    }

    /// Atoms with charges, as `M  CHG` has them: a count, then pairs of an atom and its charge.
    fn charges(&mut self, text: &str) {
        self.odd = true;
        let pairs = text.split_ascii_whitespace().skip(2).step_by(2);
        self.charge = pairs.filter_map(|charge| charge.parse::<i32>().ok()).fold(self.charge, i32::saturating_add);
    }

    fn tell(&self, parsed: &Parsed, notes: &mut Notes) {
        if self.charge != 0 {
            let (line, charge) = (parsed.molecule.line, self.charge);
            notes.once("charge", || format!("line {line}: {}", charged(&format!("{charge:+}"))));
        }
        if self.orders.is_empty() || self.odd {
            return;
        }
        let orders = self.orders.iter().chain(std::iter::repeat(&0));
        let mut carbons = parsed.molecule.z.iter().zip(&parsed.lines).zip(orders).filter(|((z, _), _)| **z == 6);
        if let Some(((_, line), order)) = carbons.find(|(_, order)| **order < 8) {
            let order = f64::from(*order) / 2.0;
            notes.once("hydrogens", || {
                format!("line {line}: a carbon with bonds of order {order} in all, expected 4: hydrogens that are not written are not added")
            });
        }
    }
}

/// The counts of atoms and bonds in a counts line of V2000: two fields of three columns, or words
/// where the columns are shifted.
fn counts_v2000(line: &str) -> Result<(u32, u32), String> {
    let start = line.len() - line.trim_start().len();
    let mut words = line.split_ascii_whitespace();
    let first = words.next().unwrap_or("");
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let expected = || "counts of atoms and bonds".to_string();
    if !first.is_empty() && first.len() <= 3 {
        let atoms = number(first).ok_or_else(expected)?;
        let bonds = words.next().filter(|word| word.len() <= 3).map_or(Some(0), number).ok_or_else(expected)?;
        return Ok((atoms, bonds));
    }
    if first.is_empty() || !first.bytes().all(|b| b.is_ascii_digit()) {
        return Err(expected());
    }
    // Two full fields have no blank between them: "100101". Anything else is a count of four digits
    // or more.
    let glued = start + first.len() == 6 && line.as_bytes().get(3).is_some_and(|&b| b != b'0');
    let fields = glued.then(|| Some((number(line.get(..3)?)?, number(line.get(3..6)?)?))).flatten();
    fields.ok_or_else(|| format!("at most {MOST} atoms and bonds in V2000; larger molecules want V3000"))
}

/// The table of V2000: atoms and bonds.
fn v2000<R: BufRead>(
    record: &mut Record<R>,
    counts: &str,
    parsed: &mut Parsed,
    drawn: &mut Drawn,
) -> Result<(), MoleculeError> {
    let (atoms, bonds) = counts_v2000(counts).map_err(|expected| record.wrong(shown(counts.trim_end()), expected))?;
    for i in 1..=atoms {
        let line = record.row("atom", i, atoms)?.to_owned();
        let number = record.lines.number();
        let mut words = line.split_ascii_whitespace();
        let words: [&str; 4] = std::array::from_fn(|_| words.next().unwrap_or(""));
        // Fields of ten columns may touch each other; words may stand in other columns.
        let fields =
            [0..10, 10..20, 20..30, 31..line.len().clamp(31, 34)].map(|field| line.get(field).unwrap_or("").trim());
        let number_words = words[..3].iter().all(|word| super::lines::real(word).is_some());
        let [x, y, z, symbol] = if number_words && !words[3].is_empty() { words } else { fields };
        if symbol.is_empty() {
            return Err(MoleculeError::frame(number, shown(line.trim_end()), "x y z and a chemical symbol"));
        }
        atom(parsed, number, symbol, [x, y, z])?;
    }
    for i in 1..=bonds {
        let line = record.row("bond", i, bonds)?;
        let mut words = line.split_ascii_whitespace();
        let words: [&str; 3] = std::array::from_fn(|_| words.next().unwrap_or(""));
        let fixed = [0..3, 3..6, 6..9].map(|field| line.get(field).unwrap_or(""));
        let bond = |texts: [&str; 3]| {
            let [a, b, kind] = texts.map(|text| text.trim().parse::<u32>().ok());
            let [a, b] = [a?, b?];
            ((1..=atoms).contains(&a) && (1..=atoms).contains(&b)).then_some((kind.unwrap_or(1), [a, b]))
        };
        let Some((kind, ends)) = bond(fixed).or_else(|| bond(words)) else {
            let found = shown(line.trim_end());
            return Err(record.wrong(found, format!("two atoms, 1 to {atoms}, and the type of their bond")));
        };
        drawn.bond(kind, ends);
    }
    Ok(())
}

/// The properties of V2000, up to `M  END`. Old files have no `M  END`: the first line of what follows comes back.
fn properties<R: BufRead>(record: &mut Record<R>, drawn: &mut Drawn) -> Result<Option<String>, MoleculeError> {
    while let Some(line) = record.next()? {
        if line.starts_with("M  END") {
            break;
        }
        if let Some(charges) = line.strip_prefix("M  CHG") {
            drawn.charges(charges);
        }
        drawn.odd |= line.starts_with("M  RAD");
        // Lines of text that belong to the property.
        let more: u32 = match line.as_bytes() {
            [b'M' | b'V', b' ', b' ', ..] => 0,
            [b'A' | b'G', b' ', b' ', ..] => 1,
            [b'S', b' ', b' ', ..] => line.get(6..).and_then(|count| count.trim().parse().ok()).unwrap_or(0),
            _ if line.starts_with('>') || line.trim().is_empty() => return Ok(Some(line.to_owned())),
            _ => {
                let found = shown(line.trim_end());
                return Err(record.wrong(found, "M  END, or a property behind all declared atoms and bonds"));
            }
        };
        for _ in 0..more {
            if record.next()?.is_none() {
                break;
            }
        }
    }
    Ok(None)
}

/// The table of V3000: the block `ATOM`, and what else there is up to `M  END`.
fn v3000<R: BufRead>(record: &mut Record<R>, parsed: &mut Parsed, drawn: &mut Drawn) -> Result<(), MoleculeError> {
    let (mut line, mut counted, mut within, mut done) = (String::new(), None, false, false);
    // Indices of atoms need not be 1, 2, 3.
    let (mut bonds, mut places) = (Block::Before, HashMap::new());
    loop {
        let number = record.lines.number() + 1;
        if !record.v30(&mut line)? {
            break;
        }
        let mut words = line.split_ascii_whitespace();
        let words: [&str; 5] = std::array::from_fn(|_| words.next().unwrap_or(""));
        match words {
            ["END", "ATOM", ..] if within => (within, done) = (false, true),
            [index, symbol, x, y, z] if within => {
                if z.is_empty() {
                    return Err(MoleculeError::frame(number, shown(&line), "index, symbol, x, y and z of an atom"));
                }
                atom(parsed, number, symbol, [x, y, z])?;
                places.insert(index.to_string(), parsed.lines.len() as u32);
                for word in line.split_ascii_whitespace().skip(5) {
                    drawn.odd |= word.starts_with("CHG=") || word.starts_with("RAD=");
                    let charge = word.strip_prefix("CHG=").and_then(|charge| charge.parse().ok());
                    drawn.charge = drawn.charge.saturating_add(charge.unwrap_or(0));
                }
            }
            ["COUNTS", atoms, ..] if counted.is_none() => {
                let atoms: Option<u64> = atoms.parse().ok();
                counted = Some(
                    atoms.ok_or_else(|| MoleculeError::frame(number, shown(&line), "COUNTS and a number of atoms"))?,
                );
            }
            // Blocks of templates have atoms and bonds of their own.
            ["BEGIN", "ATOM", ..] => within = !done,
            ["BEGIN", "BOND", ..] if bonds == Block::Before => bonds = Block::Within,
            ["END", "BOND", ..] => bonds = Block::Behind,
            [_, kind, a, b, _] if bonds == Block::Within => {
                if let (Ok(kind), Some(&a), Some(&b)) = (kind.parse(), places.get(a), places.get(b)) {
                    drawn.bond(kind, [a, b]);
                }
            }
            _ => {}
        }
    }
    match counted {
        Some(counted) if counted == parsed.molecule.z.len() as u64 && !within => Ok(()),
        Some(counted) => {
            Err(record.wrong(format!("{} atoms", parsed.molecule.z.len()), format!("{counted}, as COUNTS says")))
        }
        None => Err(record.wrong("no COUNTS", "COUNTS and a number of atoms")),
    }
}

/// Whether a block is to come, is being read, or was.
#[derive(Clone, Copy, PartialEq)]
enum Block {
    Before,
    Within,
    Behind,
}

/// Adds an atom; signs of queries are told apart from misspelt symbols.
fn atom(parsed: &mut Parsed, line: u64, symbol: &str, place: [&str; 3]) -> Result<(), MoleculeError> {
    let query = symbol.contains(['*', '#', '[', '('])
        || matches!(symbol, "A" | "Q" | "L" | "LP" | "R" | "M" | "X" | "AH" | "QH" | "MH" | "XH" | "NOT");
    let digits = symbol.bytes().any(|b| b.is_ascii_digit());
    if query || digits {
        let expected = if query { "a chemical symbol, not a query" } else { "a chemical symbol" };
        return Err(MoleculeError::frame(line, shown(symbol), expected));
    }
    parsed.push(line, symbol, place)
}

/// The data behind the table, which `behind` may have begun: a line `> <name>`, the value on the next ones, a blank line.
fn data<R: BufRead>(
    record: &mut Record<R>,
    behind: Option<String>,
    parsed: &mut Parsed,
    notes: &mut Notes,
) -> Result<(), MoleculeError> {
    // Whether a value goes on, and what its first line is for.
    let (mut within, mut slot) = (false, None);
    let mut behind = behind;
    loop {
        let line = match behind.take() {
            Some(line) => line,
            None => match record.next()? {
                Some(line) => line.to_owned(),
                None => return Ok(()),
            },
        };
        let (text, number) = (line.trim(), record.lines.number());
        if let Some(key) = slot.take() {
            within = !text.is_empty();
            if key == "unit" {
                parsed.unit = within.then(|| (number, text.to_owned()));
                continue;
            }
            let value = label(text).unwrap_or_else(|()| {
                let found = shown(text);
                notes.once("label", || format!("line {number}: {key} {found} left out, expected a number"));
                None
            });
            *(if key == "energy" { &mut parsed.molecule.energy } else { &mut parsed.molecule.value }) = value;
        } else if line.starts_with('>') {
            within = true;
            let name = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            slot = ["energy", "value", "unit"].into_iter().find(|key| name.is_some_and(|(name, _)| name == *key));
        } else if within {
            within = !text.is_empty();
        } else if !text.is_empty() {
            let expected = "data (> <name>), $$$$ or the end of the file behind M  END";
            return Err(record.wrong(shown(line.trim_end()), expected));
        }
    }
}
