//! What the header of a frame format says, beside what reading the frames shows.

use std::io::Read as _;
use std::path::Path;

use super::report::{Field, Report};
use crate::error::Error;
use crate::files::{open_regular, read_regular};
use crate::points::las::header::{Header, extras, vlrs};
use crate::points::{las, pcap, pcd, ply};

/// Fills in what the header of a file of `format` says. What is wrong with it is the reader's to say.
pub(super) fn facts(path: &Path, format: &str, report: &mut Report) -> Result<(), Error> {
    match format {
        "kitti-bin" => report.points = Some(report.bytes / 16),
        "nuscenes" => report.points = Some(report.bytes / 20),
        "pcd" => pcd_facts(path, report)?,
        "ply" => ply_facts(path, report)?,
        "las" => las_facts(path, report)?,
        "pcap" => {
            report.what =
                pcap::sensor(path)?.map_or_else(|| report.what.clone(), |sensor| format!("packet capture: {sensor}"))
        }
        _ => {}
    }
    Ok(())
}

/// The number of points that a file's header or length states, without reading its points.
pub(super) fn points(path: &Path, format: &str) -> Option<u64> {
    let mut report = Report { bytes: std::fs::metadata(path).ok()?.len(), ..Report::default() };
    facts(path, format, &mut report).ok()?;
    report.points
}

fn pcd_facts(path: &Path, report: &mut Report) -> Result<(), Error> {
    let bytes = read_regular(path)?;
    if bytes.is_empty() {
        return Ok(());
    }
    let header = pcd::Header::parse(path, &bytes)?;
    report.what = match header.encoding {
        pcd::Encoding::Ascii => "PCD, ascii".into(),
        pcd::Encoding::Binary => "PCD, binary".into(),
        pcd::Encoding::Compressed => "PCD, binary_compressed".into(),
    };
    report.points = Some(header.points as u64);
    report.fields = header.fields.into_iter().map(|f| Field::new(f.name, f.scalar.name())).collect();
    Ok(())
}

fn ply_facts(path: &Path, report: &mut Report) -> Result<(), Error> {
    let bytes = read_regular(path)?;
    if bytes.is_empty() {
        return Ok(());
    }
    let header = ply::Header::parse(path, &bytes)?;
    let encoding = match header.encoding {
        ply::Encoding::Ascii => "ascii",
        ply::Encoding::LittleEndian => "binary_little_endian",
        ply::Encoding::BigEndian => "binary_big_endian",
    };
    let elements: Vec<_> = header.elements.iter().map(|e| format!("{} {}", e.count, e.name)).collect();
    report.what =
        format!("PLY, {encoding}, {}", if elements.is_empty() { "no elements".into() } else { elements.join(", ") });
    if let Some(vertex) = header.elements.iter().find(|e| e.name == "vertex") {
        report.points = Some(vertex.count as u64);
        report.fields = vertex
            .properties
            .iter()
            .map(|p| match p.length {
                Some(_) => Field::new(&p.field.name, format!("list of {}", p.field.scalar.name())),
                None => Field::new(&p.field.name, p.field.scalar.name()),
            })
            .collect();
    }
    Ok(())
}

fn las_facts(path: &Path, report: &mut Report) -> Result<(), Error> {
    let mut head = Vec::new();
    open_regular(path)?.take(375).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
    if head.is_empty() {
        return Ok(());
    }
    let header = Header::parse(path, &head)?;
    report.points = Some(header.points);
    report.fields = las_fields(&header);
    let kind = if header.compressed { "LAZ" } else { "LAS" };
    report.what = format!("{kind} {}.{}, point format {}", header.version.0, header.version.1, header.point_format);
    let Some(opened) = las::Opened::open(path)? else { return Ok(()) };
    if vlrs(&header, &opened.head).any(|vlr| vlr.user == b"copc") {
        report.what.push_str(", cloud-optimised (COPC)");
    }
    for extra in extras(&header, &opened.head) {
        report.fields.push(Field::new(&extra.name, extra.scalar.map_or("bytes", |s| s.name())));
    }
    Ok(())
}

/// The fields of a point format, in record order.
fn las_fields(header: &Header) -> Vec<Field> {
    let format = header.point_format;
    let angle = if format < 6 { "int8" } else { "int16" };
    let all = [
        (true, "x", "int32"),
        (true, "y", "int32"),
        (true, "z", "int32"),
        (true, "intensity", "uint16"),
        (true, "return_number", if format < 6 { "3 bits" } else { "4 bits" }),
        (true, "number_of_returns", if format < 6 { "3 bits" } else { "4 bits" }),
        (true, "classification", if format < 6 { "5 bits" } else { "uint8" }),
        (true, "scan_angle", angle),
        (true, "user_data", "uint8"),
        (true, "point_source_id", "uint16"),
        (header.gps_time().is_some(), "gps_time", "float64"),
        (matches!(format, 2 | 3 | 5 | 7 | 8 | 10), "red green blue", "uint16 each"),
        (matches!(format, 8 | 10), "near_infrared", "uint16"),
        (matches!(format, 4 | 5 | 9 | 10), "wave_packet", "29 bytes"),
    ];
    all.into_iter().filter(|field| field.0).map(|(_, name, kind)| Field::new(name, kind)).collect()
}
