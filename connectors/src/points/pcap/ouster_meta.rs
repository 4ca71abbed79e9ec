//! The metadata of an Ouster sensor, from the JSON file beside a capture: the layout of packets, and the geometry of beams.
//!
//! Firmware 1.x and 2.0 write one flat object; later ones, and Ouster's SDK, put the same keys into `beam_intrinsics`, `lidar_data_format`,
//! `lidar_intrinsics`, `sensor_info`. Software User Manual, "Sensor metadata".

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ouster_profile::Profile;
use crate::error::{At, Error};
use crate::files::read_regular;

/// Most bytes of a metadata file, and most files beside a capture that are looked at.
const MOST: (u64, usize) = (8 << 20, 64);

/// What is known of a sensor.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) path: PathBuf,
    /// Its product line, such as `OS-1-128`.
    pub(super) product: String,
    pub(super) profile: &'static Profile,
    /// Packets have the header of functional safety.
    pub(super) fusa: bool,
    pub(super) columns_per_packet: usize,
    pub(super) columns_per_frame: usize,
    /// Angle of each beam upwards, and against the encoder (°).
    pub(super) altitude: Vec<f64>,
    pub(super) azimuth: Vec<f64>,
    /// Where beams begin beside the lidar's origin: outwards and upwards (m).
    pub(super) beam_origin: [f64; 2],
    /// `sensor_from_lidar`, row-major `[3, 4]`, translation in m.
    pub(super) sensor_from_lidar: [[f64; 4]; 3],
}

impl Metadata {
    /// Bytes of a lidar packet.
    pub(super) fn packet(&self) -> usize {
        self.profile.packet(self.columns_per_packet, self.altitude.len())
    }

    /// Reads the file beside a capture: `X.json` or `X_0.json` of `X.pcap`, else the file with the longest name that `X` goes on from behind a
    /// `-`, `_` or `.`, else the only one there that is such a file.
    ///
    /// # Errors
    /// A file of these names that cannot be used.
    pub(super) fn beside(capture: &Path) -> Result<Option<Metadata>, Error> {
        let stem = capture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for name in [format!("{stem}.json"), format!("{stem}_0.json")] {
            let path = capture.with_file_name(name);
            if path.is_file()
                && let Some(json) = json(&path)?
            {
                return Metadata::of(&path, &json).map(Some);
            }
        }
        let folder = capture.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(None) };
        let is_json = |path: &PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_json).take(MOST.1).collect();
        files.sort();
        let mut found: Vec<(PathBuf, Value)> =
            files.into_iter().filter_map(|path| json(&path).ok().flatten().map(|json| (path, json))).collect();
        let fits = |path: &Path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let rest = stem.strip_prefix(name.as_str()).filter(|rest| rest.starts_with(['-', '_', '.']));
            rest.map(|_| name.len())
        };
        let longest = (0..found.len()).filter(|&i| fits(&found[i].0).is_some()).max_by_key(|&i| fits(&found[i].0));
        let chosen = longest.or((found.len() == 1).then_some(0));
        chosen.map(|i| found.swap_remove(i)).map(|(path, json)| Metadata::of(&path, &json)).transpose()
    }

    /// What the JSON of a file says.
    ///
    /// # Errors
    /// A value that is missing, or cannot be.
    fn of(path: &Path, json: &Value) -> Result<Metadata, Error> {
        let keys = Keys { path, json };
        let [altitude, azimuth] = ["beam_altitude_angles", "beam_azimuth_angles"]
            .map(|key| keys.numbers("beam_intrinsics", key, "angles, one for each beam"));
        let (altitude, azimuth) = (altitude?, azimuth?);
        if altitude.is_empty() || altitude.len() > 512 || altitude.iter().all(|angle| *angle == 0.0) {
            let found = format!("{} angles, none of them another than 0", altitude.len());
            return Err(keys.wrong("beam_altitude_angles", found, "angles of 1 to 512 beams"));
        }
        if azimuth.len() != altitude.len() {
            let (found, expected) = (format!("{} angles", azimuth.len()), format!("{}", altitude.len()));
            return Err(keys.wrong("beam_azimuth_angles", found, &expected));
        }
        let format = "lidar_data_format";
        let beams = keys.count(format, "pixels_per_column")?.unwrap_or(altitude.len());
        if beams != altitude.len() {
            let expected = format!("{}, as there are beam_altitude_angles", altitude.len());
            return Err(keys.wrong("pixels_per_column", beams.to_string(), &expected));
        }
        let mode = keys.text("config_params", "lidar_mode").and_then(|mode| mode.split_once('x')?.0.parse().ok());
        let expected = "a number of columns from 1 to 16384";
        let columns_per_frame = keys
            .count(format, "columns_per_frame")?
            .or(mode)
            .filter(|columns| (1..=16_384).contains(columns))
            .ok_or_else(|| keys.wrong("columns_per_frame", "none".into(), expected))?;
        let columns_per_packet = keys.count(format, "columns_per_packet")?.unwrap_or(16);
        if !(1..=columns_per_frame).contains(&columns_per_packet) {
            return Err(keys.wrong("columns_per_packet", columns_per_packet.to_string(), "columns of a packet"));
        }
        let profile = keys.text(format, "udp_profile_lidar").unwrap_or("LEGACY");
        let known = Profile::find(profile).ok_or_else(|| {
            let names: Vec<_> = super::ouster_profile::PROFILES.iter().map(|profile| profile.name).collect();
            keys.wrong("udp_profile_lidar", profile.into(), &names.join(", "))
        })?;
        let metres = |values: Vec<f64>| {
            let row = |r: usize| [values[4 * r], values[4 * r + 1], values[4 * r + 2], 0.001 * values[4 * r + 3]];
            [row(0), row(1), row(2)]
        };
        let to_sensor = keys.matrix("lidar_intrinsics", "lidar_to_sensor_transform")?.map(metres);
        let to_lidar = keys.matrix("beam_intrinsics", "beam_to_lidar_transform")?.map(metres);
        let outwards = keys.number("beam_intrinsics", "lidar_origin_to_beam_origin_mm")?.unwrap_or(0.0);
        Ok(Metadata {
            path: path.into(),
            product: keys.text("sensor_info", "prod_line").unwrap_or("sensor").into(),
            profile: known,
            fusa: keys.text(format, "header_type") == Some("FUSA"),
            columns_per_packet,
            columns_per_frame,
            altitude,
            azimuth,
            beam_origin: to_lidar.map_or([0.001 * outwards, 0.0], |m| [m[0][3], m[2][3]]),
            sensor_from_lidar: to_sensor.unwrap_or(TURNED),
        })
    }
}

/// The lidar's frame turned half around, as sensors say that do not say otherwise.
const TURNED: [[f64; 4]; 3] = [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.03618]];

/// The JSON of a file, if it has a sensor's keys.
fn json(path: &Path) -> Result<Option<Value>, Error> {
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    if size > MOST.0 {
        return Ok(None);
    }
    let json: Value = serde_json::from_slice(&read_regular(path)?).map_err(|error| {
        Error::malformed(path, At::Line(error.line() as u64), error.to_string(), "the metadata of an Ouster sensor")
    })?;
    let flat = json.get("beam_altitude_angles").is_some();
    Ok((flat || json.get("beam_intrinsics").is_some()).then_some(json))
}

/// The values of a metadata file: in a section, else in the file as a whole.
struct Keys<'a> {
    path: &'a Path,
    json: &'a Value,
}

impl<'a> Keys<'a> {
    fn wrong(&self, key: &str, found: String, expected: &str) -> Error {
        Error::malformed(self.path, At::Field(key.into()), found, expected)
    }

    fn get(&self, section: &str, key: &str) -> Option<&'a Value> {
        let old = if section == "lidar_data_format" { "data_format" } else { section };
        let within = [section, old].into_iter().find_map(|section| self.json.get(section)?.get(key));
        within.or_else(|| self.json.get(key)).filter(|value| !value.is_null())
    }

    fn text(&self, section: &str, key: &str) -> Option<&'a str> {
        self.get(section, key)?.as_str()
    }

    fn number(&self, section: &str, key: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(section, key) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite() && number.abs() < 1e6);
        number.map(Some).ok_or_else(|| self.wrong(key, shown(value), "a number"))
    }

    fn count(&self, section: &str, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.get(section, key) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.wrong(key, shown(value), "a whole number"))
    }

    fn numbers(&self, section: &str, key: &str, expected: &str) -> Result<Vec<f64>, Error> {
        let value = self.get(section, key).ok_or_else(|| self.wrong(key, "none".into(), expected))?;
        // Some sensors write an angle as a list of one.
        let number = |value: &Value| {
            let single = value.as_array().filter(|list| list.len() == 1).and_then(|list| list.first());
            single.unwrap_or(value).as_f64().filter(|number| number.is_finite() && number.abs() < 1e6)
        };
        let numbers = value.as_array().and_then(|list| list.iter().map(number).collect());
        numbers.ok_or_else(|| self.wrong(key, shown(value), expected))
    }

    fn matrix(&self, section: &str, key: &str) -> Result<Option<Vec<f64>>, Error> {
        if self.get(section, key).is_none() {
            return Ok(None);
        }
        let numbers = self.numbers(section, key, "16 numbers")?;
        if numbers.len() != 16 {
            return Err(self.wrong(key, format!("{} numbers", numbers.len()), "16 numbers"));
        }
        Ok(Some(numbers))
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
