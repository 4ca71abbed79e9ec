//! Formats that are known by sight and that nothing here reads frames from: by first bytes, else by the name's ending. What `inspect` says of
//! such a file is what a run says that refuses it.

use std::io::Read as _;
use std::path::Path;

use crate::files::open_regular;
use crate::points::format::Format;

/// A format known by sight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// How many of its first bytes said so; 0 if only its name did.
    pub(crate) sure: usize,
}

/// Offset and bytes that a file of the format has there, its name, what it is.
type Magic = (usize, &'static [u8], &'static str, &'static str);

const MAGIC: &[Magic] = &[
    (0, b"ASTM-E57", "e57", "ASTM E57 scan"),
    (0, b"BPF!", "bpf", "Binary Point Format"),
    (0, b"\xd4\xc3\xb2\xa1", "pcap", "packet capture, microseconds"),
    (0, b"\xa1\xb2\xc3\xd4", "pcap", "packet capture, microseconds, big-endian"),
    (0, b"\x4d\x3c\xb2\xa1", "pcap", "packet capture, nanoseconds"),
    (0, b"\xa1\xb2\x3c\x4d", "pcap", "packet capture, nanoseconds, big-endian"),
    (0, b"\x0a\x0d\x0d\x0a", "pcap", "packet capture, next generation"),
    (0, b"SQLite format 3\0", "db3", "SQLite database; a ROS 2 bag if its name ends in .db3"),
    (0, b"#ROSBAG V2.0", "bag", "ROS 1 bag"),
    (0, b"\x89MCAP0\r\n", "mcap", "MCAP log"),
    (0, b"\xfd7zXZ\0", "xz", "xz-compressed file: decompress it first"),
    (0, b"\x1f\x8b\x08", "gzip", "gzip-compressed file: decompress it first"),
    (0, b"\x28\xb5\x2f\xfd", "zstd", "zstd-compressed file: decompress it first"),
    (0, b"\x89PNG\r\n\x1a\n", "png", "PNG image"),
    (0, b"PK\x03\x04", "zip", "zip archive; NumPy arrays if its name ends in .npz"),
    (0, b"\x93NUMPY", "npy", "NumPy array"),
    (0, b"\x89HDF\r\n\x1a\n", "hdf5", "HDF5 container"),
    (12, b"CXYZ", "terrasolid", "Terrasolid binary points"),
];

const ENDINGS: &[(&str, &str, &str)] = &[
    ("ept.json", "ept", "index of an Entwine Point Tile set: its .laz tiles can be read"),
    ("parquet", "parquet", "Apache Parquet table"),
    ("feather", "arrow", "Apache Arrow IPC table"),
    ("arrow", "arrow", "Apache Arrow IPC table"),
    ("csv", "csv", "comma-separated text"),
    ("json", "json", "JSON text"),
    ("yaml", "yaml", "YAML text"),
    ("yml", "yaml", "YAML text"),
    ("md", "markdown", "text for people"),
    ("label", "label", "SemanticKITTI labels, read beside their scans"),
    ("pts", "pts", "Leica PTS text points"),
    ("ptx", "ptx", "Leica PTX text scans"),
    ("xyz", "xyz", "text points"),
    ("bpf", "bpf", "Binary Point Format"),
    ("e57", "e57", "ASTM E57 scan"),
    ("npz", "zip", "NumPy arrays"),
    ("txt", "txt", "text"),
    ("xml", "xml", "XML text"),
];

/// What a file is by sight. First bytes decide over the name.
pub(crate) fn find(path: &Path) -> Option<Known> {
    let mut head = Vec::new();
    open_regular(path).ok()?.take(32).read_to_end(&mut head).ok()?;
    let fits = |(at, magic, ..): &&Magic| head.get(*at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, magic, name, what)) = MAGIC.iter().find(fits) {
        return Some(Known { name, what, sure: magic.len() });
    }
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let fits = |ending: &str| name.strip_suffix(ending).is_some_and(|stem| stem.is_empty() || stem.ends_with('.'));
    let (_, name, what) = ENDINGS.iter().find(|(ending, ..)| fits(ending))?;
    Some(Known { name, what, sure: 0 })
}

/// What a file is that begins with `head`, if its first four bytes or more say so.
pub(crate) fn begins(head: &[u8]) -> Option<&'static str> {
    MAGIC.iter().find(|(at, magic, ..)| *at == 0 && magic.len() >= 4 && head.starts_with(magic)).map(|known| known.3)
}

/// What a file is, if its first bytes say that it is of another format than `named`. A few bytes say nothing of a format of bare numbers, in
/// which they may stand by chance; packed text is text.
pub(crate) fn foreign(path: &Path, named: Option<&Format>) -> Option<Known> {
    let known = find(path).filter(|known| known.sure > 0)?;
    let packed = known.name == "gzip" && path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let fits = |format: &Format| format.name == known.name || packed || (format.magic.is_empty() && known.sure < 4);
    (!named.is_some_and(fits)).then_some(known)
}
