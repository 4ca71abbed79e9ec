//! The formats of tables: their names, endings and first bytes.

use std::path::Path;

use super::text::BOM;
use crate::error::Error;

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// CSV, TSV and their like, packed by gzip or not.
    Csv,
    /// JSON lines, packed by gzip or not.
    Jsonl,
    /// Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    Arrow,
}

/// Name, what it is, endings of file names. The registry of table formats: one line each.
pub(crate) const FORMATS: [(TableFormat, &str, &str, &[&str]); 4] = [
    (TableFormat::Parquet, "parquet", "Parquet table", &["parquet", "pq"]),
    (TableFormat::Arrow, "arrow", "Arrow IPC table, file or stream", &["arrow", "feather", "ipc", "arrows"]),
    (TableFormat::Csv, "csv", "CSV or TSV table", &["csv", "tsv", "csv.gz", "tsv.gz"]),
    (TableFormat::Jsonl, "jsonl", "JSON lines", &["jsonl", "ndjson", "jsonl.gz", "ndjson.gz"]),
];

impl TableFormat {
    /// The format of a name as `--format` has it.
    ///
    /// # Errors
    /// A format that holds no such tables.
    pub fn by_name(name: &str) -> Result<TableFormat, Error> {
        FORMATS.iter().find(|format| format.1 == name).map(|format| format.0).ok_or_else(|| {
            let names: Vec<_> = FORMATS.iter().map(|format| format.1).collect();
            Error::Value { what: "format", found: name.into(), expected: names.join(", ") }
        })
    }

    /// The format that a name's ending says, that of gzip apart.
    pub(crate) fn by_ending(path: &Path) -> Option<TableFormat> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let fits = |ending: &&str| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.'));
        FORMATS.iter().find(|format| format.3.iter().any(fits)).map(|format| format.0)
    }

    /// True if a path is a file that names its columns before its rows: not JSON lines, and no pipe or folder. `asked` is the format of
    /// `--format`, else the name's ending says it.
    pub fn has_header(path: &Path, asked: Option<TableFormat>) -> bool {
        let format = asked.or_else(|| TableFormat::by_ending(path));
        path.is_file() && format.is_some_and(|format| format != TableFormat::Jsonl)
    }

    /// The format that first bytes say.
    pub(super) fn by_bytes(head: &[u8]) -> TableFormat {
        let text = head.strip_prefix(BOM).unwrap_or(head).trim_ascii_start();
        match text.first() {
            _ if head.starts_with(b"PAR1") => TableFormat::Parquet,
            _ if head.starts_with(b"ARROW1") || head.starts_with(&[0xff; 4]) => TableFormat::Arrow,
            Some(b'{') => TableFormat::Jsonl,
            _ => TableFormat::Csv,
        }
    }
}
