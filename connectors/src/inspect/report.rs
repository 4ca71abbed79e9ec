//! What was found at a path.

use std::fmt;

use serde::Serialize;

/// One field of a point, row or record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in the file.
    pub name: String,
    /// Its type in the file.
    pub kind: String,
}

impl Field {
    pub(super) fn new(name: impl Into<String>, kind: impl Into<String>) -> Field {
        Field { name: name.into(), kind: kind.into() }
    }
}

/// The files of one format in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The format's name.
    pub format: String,
    /// Number of files.
    pub files: u64,
    /// True if files of the format hold frames that are read here.
    pub readable: bool,
}

/// What [`inspect`](crate::inspect()) found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The path as given.
    pub path: String,
    /// The format's name.
    pub format: String,
    /// What it is, in words.
    pub what: String,
    /// True if it holds frames, or rows for `risk` or `gnn`, that are read here.
    pub readable: bool,
    /// Bytes of the file, or of the files in the folder.
    pub bytes: u64,
    /// Frames.
    pub frames: Option<u64>,
    /// Points of all frames; of the header's word if they could not be read.
    pub points: Option<u64>,
    /// Atoms of all frames of molecules.
    pub atoms: Option<u64>,
    /// Symbols of the elements of molecules, by atomic number.
    pub elements: Vec<String>,
    /// Fields of a point or atom, in file order.
    pub fields: Vec<Field>,
    /// Least finite coordinate on each axis (file units).
    pub minimum: Option<[f64; 3]>,
    /// Greatest finite coordinate on each axis (file units).
    pub maximum: Option<[f64; 3]>,
    /// Rows of a table of contacts, tests, edges or nodes.
    pub rows: Option<u64>,
    /// People in such a table.
    pub people: Option<u64>,
    /// Nodes in a table of edges or nodes.
    pub nodes: Option<u64>,
    /// Rows of a table of tests that are positive.
    pub positive: Option<u64>,
    /// First and last stamp of such a table, or time of a frame in a packet capture (s).
    pub span: Option<[f64; 2]>,
    /// In a folder: the files by format.
    pub files: Vec<Group>,
    /// What is wrong or worth knowing, one sentence each.
    pub problems: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.path)?;
        writeln!(f, "  format   {}: {}", self.format, self.what)?;
        writeln!(f, "  size     {} bytes", self.bytes)?;
        if let Some(frames) = self.frames {
            writeln!(f, "  frames   {frames}")?;
        }
        if let Some(points) = self.points {
            writeln!(f, "  points   {points}")?;
        }
        if let Some(atoms) = self.atoms {
            writeln!(f, "  atoms    {atoms}")?;
            writeln!(f, "  elements {}", self.elements.join(" "))?;
        }
        for (label, count) in
            [("rows", self.rows), ("positive", self.positive), ("people", self.people), ("nodes", self.nodes)]
        {
            if let Some(count) = count {
                writeln!(f, "  {label:<8} {count}")?;
            }
        }
        if let Some([first, last]) = self.span {
            writeln!(f, "  stamps   {first} to {last} s, {:.1} days", (last - first) / 86_400.0)?;
        }
        if !self.fields.is_empty() {
            let fields: Vec<_> = self.fields.iter().map(|field| format!("{} {}", field.name, field.kind)).collect();
            writeln!(f, "  fields   {}", fields.join(", "))?;
        }
        if let Some((minimum, maximum)) = self.minimum.zip(self.maximum) {
            for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
                let label = if axis == 0 { "extent" } else { "" };
                writeln!(f, "  {label:<8} {name} {:.3} to {:.3}", minimum[axis], maximum[axis])?;
            }
        }
        for (i, group) in self.files.iter().enumerate() {
            let (label, read) =
                (if i == 0 { "files" } else { "" }, if group.readable { "" } else { " (not read here)" });
            writeln!(f, "  {label:<8} {} {}{read}", group.files, group.format)?;
        }
        for problem in &self.problems {
            writeln!(f, "  problem  {problem}")?;
        }
        if self.problems.is_empty() {
            writeln!(f, "  problem  none found")?;
        }
        Ok(())
    }
}
