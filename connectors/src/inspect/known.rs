//! Formats that `inspect` knows by sight and nothing here reads frames from: by first bytes, else by the name's ending.

use std::io::Read as _;
use std::path::Path;

use crate::files::open_regular;

/// A format known by sight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// True if its first bytes said so, not only its name.
    pub(super) sure: bool,
}

/// Offset and bytes that a file of the format has there, its name, what it is.
type Magic = (usize, &'static [u8], &'static str, &'static str);

const MAGIC: &[Magic] = &[
    (0, b"ASTM-E57", "e57", "ASTM E57 scan"),
    (0, b"BPF!", "bpf", "Binary Point Format"),
    (0, b"\xd4\xc3\xb2\xa1", "pcap", "packet capture, microseconds"),
    (0, b"\xa1\xb2\xc3\xd4", "pcap", "packet capture, microseconds, big-endian"),
    (0, b"\x4d\x3c\xb2\xa1", "pcap", "packet capture, nanoseconds"),
    (0, b"\x0a\x0d\x0d\x0a", "pcapng", "packet capture, next generation"),
    (0, b"SQLite format 3\0", "db3", "SQLite database; a ROS 2 bag if its name ends in .db3"),
    (0, b"#ROSBAG V2.0", "bag", "ROS 1 bag"),
    (0, b"\x89MCAP0\r\n", "mcap", "MCAP log"),
    (0, b"\xfd7zXZ\0", "xz", "xz-compressed file: decompress it first"),
    (0, b"\x1f\x8b", "gzip", "gzip-compressed file: decompress it first"),
    (0, b"\x28\xb5\x2f\xfd", "zstd", "zstd-compressed file: decompress it first"),
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
    ("pcap", "pcap", "packet capture"),
    ("npz", "zip", "NumPy arrays"),
    ("txt", "txt", "text"),
    ("xml", "xml", "XML text"),
];

/// What a file is by sight. First bytes decide over the name.
pub(super) fn find(path: &Path) -> Option<Known> {
    let mut head = Vec::new();
    open_regular(path).ok()?.take(32).read_to_end(&mut head).ok()?;
    let fits = |(at, magic, ..): &&Magic| head.get(*at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, name, what)) = MAGIC.iter().find(fits) {
        return Some(Known { name, what, sure: true });
    }
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let fits = |ending: &str| name.strip_suffix(ending).is_some_and(|stem| stem.is_empty() || stem.ends_with('.'));
    let (_, name, what) = ENDINGS.iter().find(|(ending, ..)| fits(ending))?;
    Some(Known { name, what, sure: false })
}
