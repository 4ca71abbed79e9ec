//! XYZ files, plain and extended: a count of atoms, a comment, a line an atom; frame behind frame.
//!
//! Keys, quotes, brackets and columns mean what they do in ASE's module `ase.io.extxyz`
//! (<https://ase-lib.org/ase/io/formatoptions.html#extxyz>); without `Properties` a line is a symbol,
//! x, y, z and anything. Read here beyond ASE: blank lines between frames, atomic numbers in place
//! of symbols, D and T, `1D-3` for `1e-3`, columns `force`, and `Lattice`, `Properties` and `pbc`
//! in any case. Dummy atoms (`X`) and lines of `VEC` are not read.

use std::io::BufRead;

use super::checks;
use super::error::{MoleculeError, shown};
use super::lines::{Lines, label, real};
use super::parsed::{Notes, Parsed, charged};

/// Reads one frame; `None` where only blank lines are left.
pub(super) fn read<R: BufRead>(lines: &mut Lines<R>, notes: &mut Notes) -> Result<Option<Parsed>, MoleculeError> {
    let atoms = loop {
        let Some(line) = lines.next()? else { return Ok(None) };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match line.parse::<u64>() {
            Ok(atoms) => break atoms,
            Err(_) => {
                let found = shown(line);
                return Err(MoleculeError::frame(lines.number(), found, "a count of atoms").last());
            }
        }
    };
    let mut parsed = Parsed::default();
    parsed.molecule.line = lines.number();
    let Some(comment) = lines.next()? else {
        return Err(MoleculeError::frame(lines.number(), "the end of the file", "a comment line").last());
    };
    let comment = comment.to_owned();
    // The lines of a frame that is wrong are still counted off, to find the next.
    let (columns, mut wrong) = match header(&comment, lines.number(), &mut parsed, notes) {
        Ok(columns) => (columns, None),
        Err(error) => (Columns::PLAIN, Some(error)),
    };
    let mut forces = columns.forces.is_some().then(Vec::new);
    for i in 0..atoms {
        let number = lines.number() + 1;
        let fewer =
            |found: &str| MoleculeError::frame(number, found, format!("the line of atom {} of {atoms}", i + 1)).last();
        let Some(line) = lines.next()? else {
            return Err(wrong.map_or_else(|| fewer("the end of the file"), MoleculeError::last));
        };
        let line = line.trim_ascii();
        // A count that is too high: another frame has begun, or none follows at once.
        if line.bytes().all(|b| b.is_ascii_digit()) {
            let found = if line.is_empty() { "a blank line".to_string() } else { shown(line) };
            return Err(wrong.map_or_else(|| fewer(&found), MoleculeError::last));
        }
        if wrong.is_none() {
            wrong = columns.atom(line, number, &mut parsed, &mut forces, notes).err();
        }
    }
    parsed.molecule.forces = forces;
    wrong.map_or(Ok(Some(parsed)), Err)
}

/// Where the words of an atom's line are found.
struct Columns {
    element: usize,
    pos: usize,
    forces: Option<usize>,
    /// Words that a line has at least.
    width: usize,
}

impl Columns {
    /// Symbol, x, y, z, and whatever follows.
    const PLAIN: Columns = Columns { element: 0, pos: 1, forces: None, width: 4 };

    /// The columns that `Properties` lists: `name:type:width` of each, joined by `:`.
    fn parse(properties: &str, line: u64, notes: &mut Notes) -> Result<Columns, MoleculeError> {
        let wrong = |found: String, expected: &str| MoleculeError::frame(line, found, expected);
        let (mut symbols, mut numbers, mut pos, mut forces, mut width) = (None, None, None, None, 0usize);
        let mut unread = None;
        let parts: Vec<&str> = properties.trim().split(':').collect();
        for part in parts.chunks(3) {
            let columns = match part {
                [_, "R" | "I" | "S" | "L", columns] => columns.parse().ok().filter(|&n| n > 0),
                _ => None,
            };
            let columns = columns.and_then(|n: usize| Some((n, width.checked_add(n)?)));
            let Some((columns, end)) = columns else {
                return Err(wrong(shown(&part.join(":")), "name:type:columns with a type of R, I, S or L"));
            };
            let (slot, expected) = match part[0] {
                "species" | "symbols" => (&mut symbols, ("S", 1)),
                "Z" | "numbers" => (&mut numbers, ("I", 1)),
                "pos" | "positions" => (&mut pos, ("R", 3)),
                "forces" | "force" if forces.is_none() => (&mut forces, ("R", 3)),
                name => {
                    let lower = name.to_ascii_lowercase();
                    unread = Some(name).filter(|_| lower.ends_with("forces") || lower.ends_with("force")).or(unread);
                    width = end;
                    continue;
                }
            };
            // ASE gives the symbols of a frame without atoms the type R.
            let kind = if part[0] == "species" { "S" } else { part[1] };
            if (kind, columns) != expected {
                let expected = format!("{}:{}:{}", part[0], expected.0, expected.1);
                return Err(wrong(shown(&part.join(":")), &expected));
            }
            *slot = Some(width);
            width = end;
        }
        if let Some(name) = unread.filter(|_| forces.is_none()) {
            notes.once("columns", || format!("line {line}: {} is not read, only forces is", shown(name)));
        }
        // Symbols beside numbers may be names of kinds of atoms.
        match (numbers.or(symbols), pos) {
            (Some(element), Some(pos)) => Ok(Columns { element, pos, forces, width }),
            _ => Err(wrong(shown(properties), "Properties with species:S:1 and pos:R:3")),
        }
    }

    /// Reads an atom's line. Forces that are no numbers are left out of the frame, and noted.
    fn atom(
        &self,
        line: &str,
        number: u64,
        parsed: &mut Parsed,
        forces: &mut Option<Vec<[f64; 3]>>,
        notes: &mut Notes,
    ) -> Result<(), MoleculeError> {
        let (mut element, mut place, mut force, mut words) = ("", [""; 3], [""; 3], 0usize);
        for word in line.split_ascii_whitespace().take(self.width) {
            match (words.checked_sub(self.pos), self.forces.and_then(|at| words.checked_sub(at))) {
                _ if words == self.element => element = word,
                (Some(axis @ 0..3), _) => place[axis] = word,
                (_, Some(axis @ 0..3)) => force[axis] = word,
                _ => {}
            }
            words += 1;
        }
        if words < self.width {
            return Err(MoleculeError::frame(number, shown(line), format!("{} columns", self.width)));
        }
        parsed.push(number, element, place)?;
        if let Some(all) = forces {
            match force.map(|word| real(word).filter(|x| x.is_finite())) {
                [Some(x), Some(y), Some(z)] => all.push([x, y, z]),
                _ => {
                    *forces = None;
                    notes.once("forces", || {
                        format!("line {number}: forces {} left out, expected three numbers", shown(&force.join(" ")))
                    });
                }
            }
        }
        Ok(())
    }
}

/// Reads the comment: what it says of the molecule goes to `parsed`, the columns come back.
fn header(comment: &str, line: u64, parsed: &mut Parsed, notes: &mut Notes) -> Result<Columns, MoleculeError> {
    let Parsed { molecule, unit, .. } = parsed;
    let (mut columns, mut pbc, mut energy_key) = (None, None, None);
    let (pairs, closed) = pairs(comment);
    if !closed && comment.contains('=') {
        notes.once("quote", || format!("line {line}: a quote or bracket is not closed, what follows it is one value"));
    }
    for (key, value) in pairs {
        let value = value.as_deref();
        let bare = value.unwrap_or("");
        match key.as_str() {
            "energy" | "value" => {
                let number = label(bare).unwrap_or_else(|()| {
                    notes.once("label", || format!("line {line}: {key} {} left out, expected a number", shown(bare)));
                    None
                });
                *(if key == "energy" { &mut molecule.energy } else { &mut molecule.value }) = number;
            }
            "name" => molecule.name = value.map(str::to_owned),
            _ if key.eq_ignore_ascii_case("unit") => *unit = value.map(|value| (line, value.to_owned())),
            _ if ["units", "energy_unit", "energy_units"].iter().any(|name| key.eq_ignore_ascii_case(name)) => {
                notes.once("units of energies", || format!("line {line}: {} is not read, only unit is", shown(&key)));
            }
            _ if ["charge", "total_charge"].iter().any(|name| key.eq_ignore_ascii_case(name))
                && real(bare).is_some_and(|charge| charge != 0.0) =>
            {
                notes.once("charge", || format!("line {line}: {}", charged(bare)));
            }
            _ if key.eq_ignore_ascii_case("Lattice") => molecule.cell = Some(lattice(bare, line)?),
            _ if key.eq_ignore_ascii_case("Properties") => columns = Some(Columns::parse(bare, line, notes)?),
            _ if key.eq_ignore_ascii_case("pbc") => pbc = Some(periodic(bare, line)?),
            _ if key.to_ascii_lowercase().ends_with("energy") => energy_key = Some(key),
            _ => {}
        }
    }
    if !comment.contains('=') {
        molecule.name = Some(comment.trim().to_owned()).filter(|name| !name.is_empty());
    }
    if let Some(key) = energy_key.filter(|_| molecule.energy.is_none()) {
        notes.once("energy", || format!("line {line}: {} is not read, only energy is", shown(&key)));
    }
    if molecule.cell == Some([[0.0; 3]; 3]) {
        molecule.cell = None;
    }
    molecule.pbc = pbc.unwrap_or([molecule.cell.is_some(); 3]);
    match &molecule.cell {
        None if molecule.pbc != [false; 3] => {
            return Err(MoleculeError::frame(line, "pbc without a Lattice", "Lattice=\"9 numbers\""));
        }
        Some(cell) if !checks::spans(cell, molecule.pbc) => {
            return Err(MoleculeError::frame(line, "a flat Lattice", "independent vectors in periodic directions"));
        }
        Some(_) if pbc.is_none() => {
            notes.once("pbc", || format!("line {line}: Lattice without pbc, read as pbc=\"T T T\""));
        }
        _ => {}
    }
    Ok(columns.unwrap_or(Columns::PLAIN))
}

/// The words of a list, apart by blanks or commas.
fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty())
}

/// Rows a, b, c of a lattice, written one after the other.
fn lattice(value: &str, line: u64) -> Result<[[f64; 3]; 3], MoleculeError> {
    let mut cell = [[0.0; 3]; 3];
    let mut words = list(value);
    for x in cell.as_flattened_mut() {
        *x = words.next().and_then(real).filter(|x| x.is_finite()).unwrap_or(f64::NAN);
    }
    let whole = words.next().is_none() && cell.as_flattened().iter().all(|x| x.is_finite());
    whole.then_some(cell).ok_or_else(|| MoleculeError::frame(line, format!("Lattice={}", shown(value)), "9 numbers"))
}

/// Whether the directions repeat: three words of truth, or one for all.
fn periodic(value: &str, line: u64) -> Result<[bool; 3], MoleculeError> {
    let truth = |word: &str| match word.to_ascii_lowercase().as_str() {
        "t" | "true" | "1" => Some(true),
        "f" | "false" | "0" => Some(false),
        _ => None,
    };
    let words: Option<Vec<bool>> = list(value).take(4).map(truth).collect();
    match words.as_deref() {
        Some(&[a, b, c]) => Ok([a, b, c]),
        Some(&[all]) => Ok([all; 3]),
        _ => Err(MoleculeError::frame(line, format!("pbc={}", shown(value)), "three of T and F")),
    }
}

/// Keys and values of a comment, and whether all quotes and brackets are closed. A key alone has no
/// value. Quotes and brackets hold blanks, a backslash any sign.
fn pairs(comment: &str) -> (Vec<(String, Option<String>)>, bool) {
    let mut pairs: Vec<(String, Option<String>)> = Vec::new();
    // Whether a blank stands behind the last pair, and whether its value is still to come, as in
    // `key = value`.
    let (mut apart, mut awaited, mut closing, mut escaped) = (true, false, None, false);
    for c in comment.trim().chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ if escaped => escaped = false,
            _ if closing == Some(c) => {
                (closing, awaited) = (None, false);
                continue;
            }
            _ if closing.is_some() => {}
            '"' | '\'' | '{' | '[' => {
                closing = Some(match c {
                    '{' => '}',
                    '[' => ']',
                    quote => quote,
                });
                continue;
            }
            '=' => {
                match pairs.last_mut() {
                    Some((_, Some(value))) => value.push('='),
                    Some((_, value)) => (*value, apart, awaited) = (Some(String::new()), false, true),
                    None => {}
                }
                continue;
            }
            _ if c.is_whitespace() => {
                apart = !awaited;
                continue;
            }
            _ => {}
        }
        if apart {
            pairs.push((String::new(), None));
        }
        (apart, awaited) = (false, false);
        if let Some((key, value)) = pairs.last_mut() {
            value.as_mut().unwrap_or(key).push(c);
        }
    }
    (pairs, closing.is_none())
}
