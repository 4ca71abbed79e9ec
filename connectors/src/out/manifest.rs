//! The manifest of a folder of segments: `manifest.json`, the one file that readers trust, and the parts that it refers to.
//!
//! `manifest.json` lists the newest segments. When it would hold more than [`SEGMENTS`] the oldest go into a part (`manifest-00000000.json`), which is
//! never written again. When it would refer to more than [`PARTS`] parts of one level, the oldest of them go into a part of the next level. So what a
//! publication writes is bounded, however many segments there are.

use std::collections::HashMap;
use std::path::Path;

use arrow::datatypes::{FieldRef, SchemaRef};
use serde::{Deserialize, Serialize};

use super::store::Store;
use crate::error::{At, Error};

/// The manifest's file name.
pub const MANIFEST: &str = "manifest.json";
const VERSION: u32 = 1;
/// Segments that `manifest.json` itself lists at most, and segments in a part of level 0.
const SEGMENTS: usize = 1000;
/// Parts of one level that `manifest.json` refers to at most, and parts in a part of the next level.
const PARTS: usize = 100;

/// One published segment.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Segment {
    /// Its file's name in the folder.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    /// The first row's value of the first column (`frame`, `as_of`, …), if there is a row.
    pub first: Option<i64>,
    /// The last row's.
    pub last: Option<i64>,
    /// Length of the file.
    pub bytes: u64,
    /// CRC-32 of the file.
    pub crc32: u32,
}

/// A column's name and Arrow type.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its Arrow type, as the `arrow` crate shows it.
    pub kind: String,
}

/// The columns of a schema, as manifests have them.
pub fn columns(schema: &SchemaRef) -> Vec<Column> {
    let column = |f: &FieldRef| Column { name: f.name().clone(), kind: f.data_type().to_string() };
    schema.fields().iter().map(column).collect()
}

/// What a folder of segments holds, parts included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The columns of every segment.
    pub schema: Vec<Column>,
    /// True once the run has ended and no segment will follow.
    pub complete: bool,
    /// The segments, in order.
    pub segments: Vec<Segment>,
}

/// Older segments in a file of their own, as what refers to it says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    file: String,
    /// 0: it lists segments; above: it refers to parts of lower levels.
    level: u32,
    /// Segments in it, those of its own parts included.
    segments: u64,
    bytes: u64,
    crc32: u32,
}

/// The content of a part's file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct PartFile {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    segments: Vec<Segment>,
}

/// The content of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Version of this layout: 1.
    version: u32,
    schema: Vec<Column>,
    complete: bool,
    /// What comes before `segments`, oldest first, levels descending; absent up to [`SEGMENTS`] segments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
    segments: Vec<Segment>,
    /// CRC-32 of this object as compact JSON with this field 0.
    crc32: u32,
}

fn json<T: Serialize>(content: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(content).map_err(|e| Error::io(Path::new(MANIFEST), e.into()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn parsed<'a, T: Deserialize<'a>>(path: &Path, bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::malformed(path, At::Line(e.line() as u64), e.to_string(), "a manifest of segments"))
}

impl Head {
    /// Works out the checksum and sets it; gives back the one that stood there.
    fn seal(&mut self) -> Result<u32, Error> {
        let before = std::mem::take(&mut self.crc32);
        let bytes = serde_json::to_vec(self).map_err(|e| Error::io(Path::new(MANIFEST), e.into()))?;
        self.crc32 = crc32fast::hash(&bytes);
        Ok(before)
    }
}

impl Manifest {
    /// Reads the manifest of a folder, or of a prefix of a bucket, and its parts.
    ///
    /// # Errors
    /// No manifest; one that is torn or of another version, or a part that is; a segment that is missing or has another length.
    pub fn load(folder: &Path) -> Result<Manifest, Error> {
        let store = Store::at(folder)?;
        let manifest = Manifest::listed(&store)?;
        manifest.has_all(&store)?;
        Ok(manifest)
    }

    /// Checks that the segments are there, with the lengths that they should have.
    pub(super) fn has_all(&self, store: &Store) -> Result<(), Error> {
        // A bucket tells all lengths at once.
        let lengths: Option<HashMap<String, u64>> = if store.is_remote() {
            Some(store.list()?.into_iter().map(|entry| (entry.name, entry.bytes)).collect())
        } else {
            None
        };
        for segment in &self.segments {
            let file = store.path(&segment.file);
            let length = match &lengths {
                Some(lengths) => lengths.get(&segment.file).copied(),
                None => Some(std::fs::metadata(&file).map_err(|e| Error::io(&file, e))?.len()),
            };
            let length = length.ok_or_else(|| Error::io(&file, std::io::ErrorKind::NotFound.into()))?;
            if length != segment.bytes {
                return Err(Error::malformed(&file, At::File, format!("{length} bytes"), format!("{}", segment.bytes)));
            }
        }
        Ok(())
    }

    /// What the manifest and its parts list, whatever has become of the segments.
    pub(super) fn listed(store: &Store) -> Result<Manifest, Error> {
        let path = store.path(MANIFEST);
        let mut head: Head = parsed(&path, &store.read(MANIFEST)?)?;
        if head.version != VERSION {
            let found = format!("manifest version {}", head.version);
            return Err(Error::unsupported(&path, found, format!("version {VERSION}")));
        }
        let found = head.seal()?;
        if found != head.crc32 {
            let found = format!("checksum {found}");
            return Err(Error::malformed(&path, At::Field("crc32".into()), found, head.crc32.to_string()));
        }
        let mut segments = Vec::new();
        head.parts.iter().try_for_each(|part| part.gather(store, u32::MAX, &mut segments))?;
        segments.append(&mut head.segments);
        Ok(Manifest { schema: head.schema, complete: head.complete, segments })
    }
}

impl Part {
    /// Appends the segments of this part, whose level must be below `level`.
    fn gather(&self, store: &Store, level: u32, segments: &mut Vec<Segment>) -> Result<(), Error> {
        let path = store.path(&self.file);
        let bytes = store.read(&self.file)?;
        let shown = |bytes: u64, crc32: u32| format!("{bytes} bytes of checksum {crc32}");
        let (length, crc32) = (bytes.len() as u64, crc32fast::hash(&bytes));
        if (length, crc32) != (self.bytes, self.crc32) {
            return Err(Error::malformed(&path, At::File, shown(length, crc32), shown(self.bytes, self.crc32)));
        }
        if self.level >= level {
            let found = format!("a part of level {}", self.level);
            return Err(Error::malformed(&path, At::File, found, format!("a level below {level}")));
        }
        let mut file: PartFile = parsed(&path, &bytes)?;
        let before = segments.len();
        file.parts.iter().try_for_each(|part| part.gather(store, self.level, segments))?;
        segments.append(&mut file.segments);
        let found = (segments.len() - before) as u64;
        if found != self.segments {
            let found = format!("{found} segments");
            return Err(Error::malformed(&path, At::File, found, self.segments.to_string()));
        }
        Ok(())
    }
}

/// A manifest as its writer keeps it: what `manifest.json` says, without what stands in parts.
#[derive(Debug)]
pub(super) struct Growing {
    head: Head,
    segments: u64,
    parts: u64,
    /// [`SEGMENTS`] and [`PARTS`].
    most: (usize, usize),
}

impl Growing {
    pub(super) fn new(schema: &SchemaRef) -> Growing {
        let head = Head {
            version: VERSION,
            schema: columns(schema),
            complete: false,
            parts: vec![],
            segments: vec![],
            crc32: 0,
        };
        Growing { head, segments: 0, parts: 0, most: (SEGMENTS, PARTS) }
    }

    /// Segments listed so far.
    pub(super) fn segments(&self) -> u64 {
        self.segments
    }

    /// True once no segment will follow.
    pub(super) fn complete(&self) -> bool {
        self.head.complete
    }

    pub(super) fn push(&mut self, segment: Segment) {
        self.head.segments.push(segment);
        self.segments += 1;
    }

    pub(super) fn end(&mut self) {
        self.head.complete = true;
    }

    /// Publishes what was pushed.
    pub(super) fn publish(&mut self, store: &Store) -> Result<(), Error> {
        self.files()?.into_iter().try_for_each(|(name, content)| store.put(&name, &content))
    }

    /// The files that publish what was pushed, name and content, in the order in which they must come to stand.
    fn files(&mut self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut files = Vec::new();
        while self.head.segments.len() > self.most.0 {
            let segments: Vec<Segment> = self.head.segments.drain(..self.most.0).collect();
            let count = segments.len() as u64;
            files.push(self.part(0, count, PartFile { segments, ..PartFile::default() })?);
        }
        let mut level = 0;
        while level <= self.head.parts.first().map_or(0, |part| part.level) {
            let start = self.head.parts.partition_point(|part| part.level > level);
            let end = self.head.parts.partition_point(|part| part.level >= level);
            if end - start > self.most.1 {
                let parts: Vec<Part> = self.head.parts.drain(start..start + self.most.1).collect();
                let count = parts.iter().map(|part| part.segments).sum();
                files.push(self.part(level + 1, count, PartFile { parts, ..PartFile::default() })?);
            }
            level += 1;
        }
        self.head.seal()?;
        files.push((MANIFEST.into(), json(&self.head)?));
        Ok(files)
    }

    /// Makes a part and refers to it, behind all parts of its level and above.
    fn part(&mut self, level: u32, segments: u64, content: PartFile) -> Result<(String, Vec<u8>), Error> {
        let file = format!("manifest-{:08}.json", self.parts);
        self.parts += 1;
        let content = json(&content)?;
        let (bytes, crc32) = (content.len() as u64, crc32fast::hash(&content));
        let place = self.head.parts.partition_point(|part| part.level >= level);
        self.head.parts.insert(place, Part { file: file.clone(), level, segments, bytes, crc32 });
        Ok((file, content))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow::datatypes::Schema;

    use super::*;

    fn segment(number: u64) -> Segment {
        let file = format!("segment-{number:08}.parquet");
        Segment { file, rows: number, first: Some(number as i64), last: None, bytes: 1, crc32: number as u32 }
    }

    #[test]
    fn a_folder_is_readable_between_any_two_files_of_a_publication() {
        let folder = tempfile::tempdir().unwrap();
        let mut growing = Growing { most: (3, 2), ..Growing::new(&Schema::empty().into()) };
        let mut names = BTreeSet::new();
        for number in 0..60 {
            let segment = segment(number);
            std::fs::write(folder.path().join(&segment.file), "s").unwrap();
            growing.push(segment);
            let files = growing.files().unwrap();
            let last = files.len() - 1;
            for (i, (name, content)) in files.into_iter().enumerate() {
                assert!(names.insert(name.clone()) || name == MANIFEST, "{name} is written twice");
                std::fs::write(folder.path().join(name), content).unwrap();
                if number > 0 || i == last {
                    let segments = Manifest::load(folder.path()).unwrap().segments;
                    let listed = number + u64::from(i == last);
                    assert!(segments.into_iter().eq((0..listed).map(self::segment)), "{listed} segments");
                }
            }
        }
        assert_eq!((growing.head.segments.len(), growing.head.parts.first().map(|part| part.level)), (3, Some(3)));
        let part = folder.path().join("manifest-00000001.json");
        let whole = std::fs::read_to_string(&part).unwrap();
        for torn in [&whole[1..], &whole.replace("\"rows\": 3", "\"rows\": 8")] {
            std::fs::write(&part, torn).unwrap();
            let error = Manifest::load(folder.path()).unwrap_err().to_string();
            assert!(error.contains("manifest-00000001.json: the file: found") && error.contains("checksum"), "{error}");
        }
        std::fs::remove_file(&part).unwrap();
        assert!(Manifest::load(folder.path()).unwrap_err().to_string().contains("manifest-00000001.json: "));
    }

    #[test]
    fn ten_thousand_publications_cost_ten_times_what_a_thousand_do() {
        let mut growing = Growing { most: (100, 10), ..Growing::new(&Schema::empty().into()) };
        let mut thousands = [0; 10];
        for (number, sum) in (0..10_000).map(|number| (number, number as usize / 1000)) {
            growing.push(segment(number));
            let bytes = growing.files().unwrap().iter().map(|(_, content)| content.len()).sum::<usize>();
            assert!(bytes < 60_000, "{bytes} bytes");
            thousands[sum] += bytes;
        }
        // 51 segments on the average, and at most ten parts of each of two levels.
        let (first, most) = (thousands[0], *thousands.iter().max().unwrap());
        assert!(most < first + first / 5, "{thousands:?} bytes");
        assert_eq!((growing.segments(), growing.head.segments.len(), growing.head.parts.len()), (10_000, 100, 18));
    }
}
