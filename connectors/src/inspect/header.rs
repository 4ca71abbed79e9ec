//! What the header of a frame format says, beside what reading the frames shows.

use std::io::Read as _;
use std::path::Path;

use super::{Field, Report};
use crate::error::{At, Error};
use crate::files::{open_regular, read_regular};
use crate::points::{las, pcd, ply};

/// An extent that a header states.
pub(super) struct Stated {
    minimum: [f64; 3],
    maximum: [f64; 3],
    /// What a coordinate may be off by (file units).
    tolerance: [f64; 3],
}

impl Stated {
    /// Reports the axes on which the points lie elsewhere.
    pub(super) fn compare(&self, minimum: [f64; 3], maximum: [f64; 3], report: &mut Report) {
        for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
            let size = (maximum[axis] - minimum[axis]).abs().max(1000.0);
            let near = |a: f64, b: f64| (a - b).abs() <= self.tolerance[axis] + size * 2e-7;
            let (low, high) = (self.minimum[axis], self.maximum[axis]);
            if !near(low, minimum[axis]) || !near(high, maximum[axis]) {
                let found = format!("{:.3} to {:.3}", minimum[axis], maximum[axis]);
                report
                    .problems
                    .push(format!("the header states {name} from {low:.3} to {high:.3}, the points span {found}"));
            }
        }
    }
}

/// Fills in what the header of a file of `format` says; the extent that it states, if it does.
pub(super) fn facts(path: &Path, format: &str, report: &mut Report) -> Result<Option<Stated>, Error> {
    match format {
        "kitti-bin" => raw(path, report, &["x", "y", "z", "remission"]),
        "nuscenes" => raw(path, report, &["x", "y", "z", "intensity", "ring"]),
        "pcd" => pcd_facts(path, report),
        "ply" => ply_facts(path, report),
        "las" => las_facts(path, report),
        _ => Ok(None),
    }
}

/// The number of points that a file's header or length states, without reading its points.
pub(super) fn points(path: &Path, format: &str) -> Option<u64> {
    let mut report = Report { bytes: std::fs::metadata(path).ok()?.len(), ..Report::default() };
    facts(path, format, &mut report).ok()?;
    report.points
}

fn raw(path: &Path, report: &mut Report, names: &[&str]) -> Result<Option<Stated>, Error> {
    report.fields = names.iter().map(|name| Field::new(*name, "float32")).collect();
    let record = 4 * names.len() as u64;
    let torn = report.bytes % record;
    report.points = Some(report.bytes / record);
    if torn == 0 {
        return Ok(None);
    }
    if report.bytes.is_multiple_of(12) {
        report.problems.push("a multiple of 12 bytes: perhaps f32 x, y, z and nothing more".into());
    }
    let (found, expected) = (format!("a last record of {torn} bytes"), format!("records of {record} bytes"));
    Err(Error::malformed(path, At::Offset(report.bytes - torn), found, expected))
}

fn pcd_facts(path: &Path, report: &mut Report) -> Result<Option<Stated>, Error> {
    let bytes = read_regular(path)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let header = pcd::Header::parse(path, &bytes)?;
    report.what = match header.encoding {
        pcd::Encoding::Ascii => "PCD, ascii".into(),
        pcd::Encoding::Binary => "PCD, binary".into(),
        pcd::Encoding::Compressed => "PCD, binary_compressed".into(),
    };
    report.points = Some(header.points as u64);
    let size: usize = header.fields.iter().map(|f| f.scalar.size()).sum();
    report.fields = header.fields.into_iter().map(|f| Field::new(f.name, f.scalar.name())).collect();
    if header.encoding == pcd::Encoding::Binary {
        let need = header.points.saturating_mul(size);
        missing_or_more((bytes.len() - header.data) as u64, need as u64, report);
    }
    Ok(None)
}

fn missing_or_more(found: u64, need: u64, report: &mut Report) {
    if found < need {
        report.problems.push(format!("truncated: {} of {need} bytes of points are missing", need - found));
    }
    if found > need {
        report.problems.push(format!("{} bytes behind the last point", found - need));
    }
}

fn ply_facts(path: &Path, report: &mut Report) -> Result<Option<Stated>, Error> {
    let bytes = read_regular(path)?;
    if bytes.is_empty() {
        return Ok(None);
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
    Ok(None)
}

fn las_facts(path: &Path, report: &mut Report) -> Result<Option<Stated>, Error> {
    let mut head = Vec::new();
    open_regular(path)?.take(375).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
    if head.is_empty() {
        return Ok(None);
    }
    let header = las::Header::parse(path, &head)?;
    report.points = Some(header.points);
    report.fields = las_fields(&header);
    let kind = if header.compressed { "LAZ" } else { "LAS" };
    report.what = format!("{kind} {}.{}, point format {}", header.version.0, header.version.1, header.point_format);
    if header.legacy_points != 0 && header.legacy_points != header.points {
        let (wide, narrow) = (header.points, header.legacy_points);
        report.problems.push(format!("the header states {wide} points in 64 bits and {narrow} in 32"));
    }
    if !header.compressed {
        let (found, need) =
            (report.bytes.saturating_sub(header.data), header.points.saturating_mul(header.record as u64));
        // From 1.3 on waveforms and extended records may follow the points.
        if found < need || header.version.1 < 3 {
            missing_or_more(found, need, report);
        }
    }
    let Some(opened) = las::Opened::open(path)? else { return Ok(None) };
    let found = las::vlrs(&header, &opened.head).count();
    if las::vlrs(&header, &opened.head).any(|vlr| vlr.user == b"copc") {
        report.what.push_str(", cloud-optimised (COPC)");
    }
    if found < header.vlrs as usize {
        report.problems.push(format!("{found} of the {} variable length records fit before the points", header.vlrs));
    }
    let extras = las::extras(&header, &opened.head);
    let mut described = 0;
    for (i, extra) in extras.iter().enumerate() {
        let end = extras.get(i + 1).map_or(extra.offset + extra.scalar.map_or(0, |s| s.size()), |next| next.offset);
        described = end - las::RECORD[usize::from(header.point_format)];
        report.fields.push(Field::new(&extra.name, extra.scalar.map_or("bytes", |s| s.name())));
    }
    if described < header.extra() && extras.last().is_none_or(|e| e.scalar.is_some()) {
        report.problems.push(format!("{} extra bytes a point, {described} of them described", header.extra()));
    }
    if header.scale.iter().any(|s| !s.is_finite() || *s == 0.0) || header.offset.iter().any(|o| !o.is_finite()) {
        report.problems.push(format!("scale {:?} and offset {:?} make no coordinates", header.scale, header.offset));
    }
    let tolerance = header.scale.map(f64::abs);
    Ok(Some(Stated { minimum: header.minimum, maximum: header.maximum, tolerance }))
}

/// The fields of a point format, in record order.
fn las_fields(header: &las::Header) -> Vec<Field> {
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
