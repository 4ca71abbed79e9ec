//! A table as what its cells mean, and how each is written; random edits of both.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::mutate::Random;

/// What a cell says.
#[derive(Clone, Debug, PartialEq)]
pub enum Mean {
    Number(f64),
    Text(String),
    /// Nanoseconds.
    Time(i64),
    Missing,
    Junk,
}

/// A cell: what it says, its text, and its JSON (`None`: the key is left out).
#[derive(Clone, Debug)]
pub struct Cell {
    pub mean: Mean,
    pub text: String,
    pub json: Option<Value>,
    /// In CSV these bytes instead.
    pub bytes: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub role: &'static str,
    pub header: String,
    pub cells: Vec<Cell>,
    /// Which of the types that fit it has in Parquet and Arrow.
    pub kind: usize,
}

/// How the files are dressed.
#[derive(Clone, Debug, Default)]
pub struct Dress {
    /// Comma, tab, semicolon, semicolon with decimal commas.
    pub divider: usize,
    pub mark: bool,
    pub crlf: bool,
    pub packed: bool,
    pub quoted: bool,
    pub padded: bool,
    pub blank_lines: bool,
    pub torn_end: bool,
    pub utf16: bool,
    /// Rows in a row group; 0 = all.
    pub group: usize,
}

#[derive(Clone, Debug)]
pub struct Sheet {
    pub columns: Vec<Column>,
    pub rows: usize,
    /// Records with so many cells more or fewer than the header, in CSV; elsewhere a cell of theirs is junk.
    pub ragged: BTreeMap<usize, bool>,
    pub dress: Dress,
}

const MISSING: [&str; 4] = ["", "NA", "NaN", "null"];

fn pick<'a, T: ?Sized>(random: &mut Random, of: &[&'a T]) -> &'a T {
    of[random.below(of.len())]
}

/// A number in one of its spellings.
fn number(v: f64, random: &mut Random) -> Cell {
    let plain = v.to_string();
    let sign = if v >= 0.0 { "+" } else { "" };
    let text = match random.below(7) {
        0 => format!("{v:.3}"),
        1 => format!("{v:e}"),
        2 => format!("{sign}{plain}"),
        3 => format!("{v:.1}").parse::<f64>().ok().filter(|w| *w == v).map_or(plain.clone(), |_| format!("{v:.1}")),
        _ => plain,
    };
    let json = if random.below(4) == 0 {
        json!(text)
    } else if v.fract() == 0.0 && random.below(2) == 0 {
        json!(v as i64)
    } else {
        json!(v)
    };
    Cell { mean: Mean::Number(v), text, json: Some(json), bytes: None }
}

fn missing(random: &mut Random) -> Cell {
    let text = pick(random, &MISSING).to_string();
    let json = match random.below(3) {
        0 => None,
        1 => Some(Value::Null),
        _ => Some(json!(text)),
    };
    Cell { mean: Mean::Missing, text, json, bytes: None }
}

fn junk(text: &str) -> Cell {
    Cell { mean: Mean::Junk, text: text.into(), json: Some(json!(text)), bytes: None }
}

fn id(random: &mut Random) -> Cell {
    let names = [
        "a",
        "b",
        "c",
        "12",
        "007",
        "p 1",
        "\u{c9}ric",
        "x,y",
        "x;y",
        "say \"so\"",
        "1.50",
        "two\nlines",
        "None",
        "-1",
    ];
    let text = pick(random, &names).to_string();
    let value = match text.parse::<i64>() {
        Ok(n) if n.to_string() == text && random.below(2) == 0 => json!(n),
        _ => json!(text),
    };
    Cell { mean: Mean::Text(text.clone()), text, json: Some(value), bytes: None }
}

fn note(random: &mut Random) -> Cell {
    let notes = [
        "",
        "fine",
        "a, b",
        "semi; colon",
        "tab\there",
        "line\nbreak",
        "line\r\nbreak",
        "\"quoted\"",
        "9,9,9,9\n9,9,9,9",
        "\u{e9}t\u{e9}",
        "NA",
    ];
    let text = pick(random, &notes).to_string();
    Cell { mean: Mean::Text(text.clone()), json: Some(json!(text)), text, bytes: None }
}

/// Year, month, day of days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn stamp(second: i64, random: &mut Random) -> Cell {
    let clock = |second: i64, between: char| {
        let (days, rest) = (second.div_euclid(86_400), second.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        format!("{year:04}-{month:02}-{day:02}{between}{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
    };
    let text = match random.below(12) {
        0 => format!("{second}.0"),
        1 => format!("{second}.000"),
        2 => clock(second, 'T') + "Z",
        3 => clock(second, ' '),
        4 => clock(second, 'T'),
        5 => clock(second + 7200, 'T') + "+02:00",
        6 => clock(second - 19_800, ' ') + "-0530",
        7 => clock(second, 'T') + "+00",
        8 => clock(second, ' ') + ".000000",
        9 if second % 86_400 == 0 => clock(second, ' ')[..10].to_string(),
        _ => second.to_string(),
    };
    let json = match text.parse::<f64>() {
        Ok(n) if random.below(2) == 0 => {
            if random.below(2) == 0 {
                json!(second)
            } else {
                json!(n)
            }
        }
        _ => json!(text),
    };
    Cell { mean: Mean::Time(second * 1_000_000_000), text, json: Some(json), bytes: None }
}

impl Sheet {
    fn new(columns: Vec<(&'static str, Vec<Cell>)>, rows: usize) -> Sheet {
        let columns =
            columns.into_iter().map(|(role, cells)| Column { role, header: role.into(), cells, kind: 0 }).collect();
        Sheet { columns, rows, ragged: BTreeMap::new(), dress: Dress::default() }
    }

    /// A plain table of points in a few frames.
    pub fn points(random: &mut Random) -> Sheet {
        let rows = 4 + random.below(8);
        let plain = |v: f64| Cell { mean: Mean::Number(v), text: v.to_string(), json: Some(json!(v)), bytes: None };
        let mut axis = || (0..rows).map(|_| plain(random.below(400) as f64 / 4.0 - 50.0)).collect::<Vec<_>>();
        let mut columns = vec![("x", axis()), ("y", axis()), ("z", axis())];
        if random.below(3) > 0 {
            let mut frame = random.below(5) as f64;
            let cells = (0..rows).map(|_| {
                frame += random.below(3).saturating_sub(1) as f64;
                plain(frame)
            });
            columns.insert(0, ("frame", cells.collect()));
        }
        if random.below(2) == 0 {
            columns.push(("intensity", (0..rows).map(|_| plain(random.below(5) as f64 / 8.0)).collect()));
        }
        if random.below(2) == 0 {
            columns.push(("class", (0..rows).map(|_| plain(random.below(20) as f64)).collect()));
        }
        columns.push(("note", (0..rows).map(|_| note(random)).collect()));
        Sheet::new(columns, rows)
    }

    /// A plain table of contacts.
    pub fn contacts(random: &mut Random) -> Sheet {
        let rows = 4 + random.below(8);
        let plain = |v: f64| Cell { mean: Mean::Number(v), text: v.to_string(), json: Some(json!(v)), bytes: None };
        let second = |random: &mut Random| {
            if random.below(3) == 0 {
                86_400 * random.below(20_000) as i64
            } else {
                random.below(1_900_000_000) as i64 - 100_000_000
            }
        };
        let stamps = (0..rows).map(|_| {
            let second = second(random);
            Cell {
                mean: Mean::Time(second * 1_000_000_000),
                text: second.to_string(),
                json: Some(json!(second)),
                bytes: None,
            }
        });
        let mut columns = vec![("t", stamps.collect::<Vec<_>>())];
        columns.push(("i", (0..rows).map(|_| id(random)).collect()));
        columns.push(("j", (0..rows).map(|_| id(random)).collect()));
        if random.below(3) > 0 {
            columns.push(("duration", (0..rows).map(|_| plain(random.below(9000) as f64 / 4.0)).collect()));
        }
        if random.below(2) == 0 {
            columns.push(("diff", (0..rows).map(|_| plain(if random.below(4) == 0 { -1.0 } else { 1.0 })).collect()));
        }
        columns.push(("note", (0..rows).map(|_| note(random)).collect()));
        Sheet::new(columns, rows)
    }

    pub fn is_points(&self) -> bool {
        !self.columns.iter().any(|column| ["t", "i", "j"].contains(&column.role))
    }

    pub fn column(&self, role: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.role == role)
    }

    pub fn header(&self, role: &str) -> String {
        self.column(role).map_or(role.into(), |column| column.header.clone())
    }

    /// False if an optional column has a cell that cannot be used.
    pub fn usable(&self, role: &str) -> bool {
        self.column(role).is_none_or(|column| {
            (0..self.rows).all(|i| column.cells[i].mean != Mean::Junk || self.ragged.contains_key(&i))
        })
    }

    /// One random edit; what it was.
    pub fn edit(&mut self, random: &mut Random) -> String {
        let (column, row) = (random.below(self.columns.len()), random.below(self.rows));
        let role = self.columns[column].role;
        let where_ = format!("{role} of row {row}");
        match random.below(20) {
            0 | 1 => {
                let header = &mut self.columns[column].header;
                *header = match random.below(5) {
                    0 => header.to_uppercase(),
                    1 => format!(" {header}"),
                    2 => format!("{header}  "),
                    3 => header[..1].to_uppercase() + &header[1..],
                    _ if role == "class" => pick(random, &["label", "Classification", "Class"]).to_string(),
                    _ if role == "intensity" => pick(random, &["Intensity", "remission"]).to_string(),
                    _ => format!(" {} ", header.to_uppercase()),
                };
                format!("header {header:?}")
            }
            2 => {
                let to = random.below(self.columns.len());
                self.columns.swap(column, to);
                "columns swapped".into()
            }
            3..=5 => {
                // Another spelling, of a cell or of a whole column.
                let whole = random.below(2) == 0;
                for i in 0..self.rows {
                    let cell = &mut self.columns[column].cells[i];
                    if (whole || i == row) && cell.bytes.is_none() {
                        match cell.mean.clone() {
                            Mean::Number(v) => *cell = number(v, random),
                            Mean::Time(ns) => *cell = stamp(ns / 1_000_000_000, random),
                            Mean::Missing => *cell = missing(random),
                            Mean::Text(_) if role == "note" => *cell = note(random),
                            _ => {}
                        }
                    }
                }
                format!("spelling of {role}")
            }
            6 | 7 if role != "note" => {
                self.columns[column].cells[row] = missing(random);
                format!("missing {where_}")
            }
            8 | 9 if role != "note" => {
                let cell = match role {
                    // Ids can be anything; what is no text is none.
                    "i" | "j" => Cell { bytes: Some(b"caf\xe9".to_vec()), json: Some(Value::Null), ..missing(random) },
                    "t" => junk(pick(random, &["soon", "2024-13-01", "1e30", "31.12.2023", "150000000000", "--1"])),
                    "duration" => junk(pick(random, &["long", "-5", "1.2.3", "inf", "1e40"])),
                    "diff" => junk(pick(random, &["2", "0", "plus", "0.5"])),
                    "class" => junk(pick(random, &["ground", "2.5", "1e30", "x1"])),
                    "intensity" => junk(pick(random, &["high", "0.1.2", "n/a"])),
                    "frame" => junk(pick(random, &["first", "1.2.3", "--1", "1e30"])),
                    _ => {
                        let mut cell = junk(pick(random, &["foo", "1.2.3", "0x1F", "--1", "1 2", "1_000", "- 1"]));
                        match random.below(4) {
                            0 => cell.json = Some(json!([1.5])),
                            1 => cell.json = Some(json!({"v": 1.5})),
                            2 => cell.bytes = Some(b"1\xff".to_vec()),
                            _ => {}
                        }
                        cell
                    }
                };
                self.columns[column].cells[row] = cell;
                format!("junk {where_}")
            }
            10 => {
                self.ragged.insert(row, random.below(2) == 0);
                format!("ragged row {row}")
            }
            11 if random.below(3) == 0 || !["x", "y", "z", "t", "i", "j"].contains(&role) => {
                if self.columns.len() > 2 {
                    self.columns.remove(column);
                }
                format!("without {role}")
            }
            12 if role == "frame" || role == "x" => {
                // Two rows change places: frames may go back.
                let to = random.below(self.rows);
                self.columns[column].cells.swap(row, to);
                format!("{role} of rows {row} and {to} swapped")
            }
            13 | 14 => {
                self.columns[column].kind = random.below(8);
                format!("type of {role}")
            }
            _ => {
                let dress = &mut self.dress;
                match random.below(12) {
                    0..=2 => dress.divider = random.below(4),
                    3 => dress.mark = true,
                    4 => dress.crlf = true,
                    5 => dress.packed = true,
                    6 => dress.quoted = true,
                    7 => dress.padded = true,
                    8 => dress.blank_lines = true,
                    9 => dress.torn_end = true,
                    10 => dress.group = 1 + random.below(3),
                    _ => dress.utf16 = random.below(4) == 0,
                }
                format!("{dress:?}")
            }
        }
    }
}
