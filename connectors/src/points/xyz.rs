//! Points as plain text, one a line, apart by blanks, commas or semicolons: `.xyz`, `.txt`, `.asc`, Leica's `.pts`.
//!
//! Lines that begin with `#` or `//` are comments; one that names x, y and z, with or without such a sign, names the columns (CloudCompare's
//! `//X Y Z`). Where semicolons, commas or tabs divide the names, a name may have blanks in it (`Scan Angle Rank`). Without names the first three numbers are x, y, z, and the fourth of exactly four is an intensity. A `.pts` begins with
//! the number of points. A line that does not fit is dropped and counted as malformed.

use std::path::Path;

use thalweg::{Dropped, Frame};

use crate::error::{At, Error};
use crate::files::read_regular;
use crate::points::fields::{Field, Parts, frame};
use crate::points::format::{Format, one_frame};
use crate::points::options::ReadOptions;
use crate::points::scalar::Scalar;
use crate::points::text::{Line, Lines, words};

/// Text points.
pub const FORMAT: Format = Format {
    name: "xyz",
    what: "points as text: x y z, one a line",
    extensions: &["xyz", "asc", "pts", "txt"],
    magic: &[],
    many: false,
    open: |path, options| Ok(one_frame(path, options, read)),
};

/// What the first lines say of the others.
struct Layout {
    fields: Vec<Field>,
    /// Number of the first line of points, and its offset.
    first: (u64, usize),
    /// Points, where a first line counts them.
    stated: Option<usize>,
    /// The columns have names.
    named: bool,
}

impl Layout {
    fn find(path: &Path, bytes: &[u8]) -> Result<Option<Layout>, Error> {
        let bytes_before = |lines: &Lines| (lines.number(), lines.offset());
        let mut lines = Lines::new(bytes);
        let (mut named, mut stated) = (None, None);
        loop {
            let before = bytes_before(&lines);
            let Some(line) = lines.next() else { return Ok(None) };
            let text = line.text();
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
            let plain = comment(text).unwrap_or(text).trim();
            if plain.is_empty() {
                continue;
            }
            if let Some(names) = names(plain) {
                named = Some(names);
                continue;
            }
            if comment(text).is_some() {
                continue;
            }
            if stated.is_none() && named.is_none() && line.number == 1 && text.parse::<usize>().is_ok() {
                stated = text.parse().ok();
                continue;
            }
            let is_named = named.is_some();
            let columns = named.as_ref().map_or_else(|| columns(text), Vec::len);
            let names = named.unwrap_or_else(|| {
                let names = ["x", "y", "z", if columns == 4 { "intensity" } else { "" }];
                (0..columns).map(|i| names.get(i).map_or(String::new(), |name| (*name).to_string())).collect()
            });
            let fields: Vec<_> = names.into_iter().map(|name| Field { name, scalar: Scalar::F64 }).collect();
            if fields.len() < 3 {
                return Err(Error::malformed(path, At::Line(line.number), line.shown(), "x y z, or names of columns"));
            }
            return Ok(Some(Layout { fields, first: before, stated, named: is_named }));
        }
    }
}

/// What stands behind the sign of a comment.
fn comment(text: &str) -> Option<&str> {
    text.strip_prefix("//").or(text.strip_prefix('#'))
}

/// The names of the columns, if the text names x, y and z. What divides them is the first of these by which it does: semicolons, commas, tabs, any
/// of these and blanks.
fn names(text: &str) -> Option<Vec<String>> {
    let dividers: [fn(char) -> bool; 4] =
        [|c| c == ';', |c| c == ',', |c| c == '\t', |c| c.is_whitespace() || c == ',' || c == ';'];
    dividers.into_iter().find_map(|apart| {
        let words = text.split(apart).map(str::trim).filter(|word| !word.is_empty());
        let names: Vec<_> = words.map(|word| word.trim_matches('"').trim().to_lowercase()).collect();
        ["x", "y", "z"].iter().all(|axis| names.iter().any(|name| name == axis)).then_some(names)
    })
}

/// Columns of a row without names: words apart by blanks if there are three or more, else by semicolons, else by commas too.
fn columns(text: &str) -> usize {
    let count =
        |apart: fn(char) -> bool| text.split(apart).filter(|word| !word.trim_matches([',', ';']).is_empty()).count();
    let blanks = count(char::is_whitespace);
    let semicolons = count(|c| c.is_whitespace() || c == ';');
    if blanks >= 3 {
        blanks
    } else if semicolons >= 3 {
        semicolons
    } else {
        count(|c| c.is_whitespace() || c == ';' || c == ',')
    }
}

/// True if the text that a file begins with looks like points: a `.txt` may be anything.
pub(crate) fn looks_like_points(path: &Path, head: &[u8]) -> bool {
    // The last line may be cut.
    let end = head.iter().rposition(|&b| b == b'\n').map_or(head.len(), |end| end + 1);
    let head = &head[..end];
    let Ok(Some(layout)) = Layout::find(path, head) else { return false };
    let mut lines =
        Lines::after(&head[layout.first.1..], layout.first.0).filter(|line| !line.bytes.trim_ascii().is_empty());
    lines.next().is_some_and(|line| values(&line, layout.fields.len()).is_some())
}

/// The numbers of a line, if they are as many as there are columns.
fn values(line: &Line, columns: usize) -> Option<Vec<f64>> {
    let text = line.text();
    let words = words(&text, columns);
    (words.len() == columns).then(|| words.iter().map(|word| word.parse().ok()).collect())?
}

/// Whether a column counts the rows, from 0 or 1.
#[derive(Default)]
struct Index {
    rows: u32,
    other: bool,
    first: f64,
}

impl Index {
    fn add(&mut self, value: f64) {
        if self.rows == 0 {
            self.first = value;
        }
        self.other |= value != self.first + f64::from(self.rows);
        self.rows = self.rows.saturating_add(1);
    }

    fn counts(&self) -> bool {
        !self.other && self.rows >= 8 && (self.first == 0.0 || self.first == 1.0)
    }
}

/// Reads the points of a text.
///
/// # Errors
/// A text without a point, or without a name for x, y or z.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Frame, Error> {
    let bytes = read_regular(path)?;
    let Some(layout) = Layout::find(path, &bytes)? else {
        return Ok(Frame { path: Some(path.into()), ..Frame::default() });
    };
    let parts = Parts::find(path, &layout.fields, options)?;
    let rows = &bytes[layout.first.1..];
    let points = rows.iter().filter(|&&b| b == b'\n').count() + usize::from(!rows.ends_with(b"\n"));
    // A point takes six bytes at least.
    let points = points.min(rows.len() / 6 + 1);
    let mut row = vec![0.0; parts.fields.len()];
    let (mut malformed, mut none) = (Dropped::default(), None);
    let mut index = Index::default();
    let mut frame = frame(path, options, &parts, points, |take| {
        (malformed, index) = (Dropped::default(), Index::default());
        for line in Lines::after(rows, layout.first.0) {
            let bare = line.bytes.trim_ascii();
            if bare.is_empty() || bare.starts_with(b"#") || bare.starts_with(b"//") {
                continue;
            }
            let Some(values) = values(&line, layout.fields.len()) else {
                let expected = format!("{} numbers", layout.fields.len());
                let why = Error::malformed(path, At::Line(line.number), line.shown(), expected);
                malformed.one(|| why.to_string());
                none.get_or_insert(why);
                continue;
            };
            index.add(values[0]);
            row.iter_mut().zip(&parts.fields).for_each(|(value, &field)| *value = values[field]);
            take(&row);
        }
        Ok(())
    })?;
    if let Some(why) = none.filter(|_| frame.is_empty()) {
        return Err(why);
    }
    if index.counts() && !layout.named && layout.fields.len() > 3 {
        options.warn("index", path, "the first of more than three numbers counts the lines: is it an index? read as x");
    }
    let found = frame.len() as u64 + malformed.count;
    if let Some(stated) = layout.stated.filter(|&stated| stated as u64 != found) {
        options.warn("points stated", path, format!("{found} points, line 1 states {stated}"));
    }
    if malformed.count > 0 {
        frame.dropped.insert("malformed".into(), malformed);
    }
    Ok(frame)
}
