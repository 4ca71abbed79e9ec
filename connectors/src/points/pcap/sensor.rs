//! Which sensor a capture is of, and what is said where it is none that is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::cloud::{Assembly, Problems};
use super::models::MODELS;
use super::ouster::Ouster;
use super::ouster_meta::Metadata;
use super::ouster_profile::looks_like;
use super::packets::{Datagram, Route};
use super::velodyne::{self, Told, Velodyne};
use crate::error::Error;

/// Most kinds of datagrams that are counted apart, and that are named.
const KINDS: (usize, usize) = (256, 6);

/// The decoder of a sensor.
enum Sensor {
    Velodyne(Velodyne),
    Ouster(Box<Ouster>),
}

/// What was seen of a capture besides datagrams.
pub(super) struct Seen<'a> {
    pub(super) packets: u64,
    pub(super) problems: &'a Problems,
}

/// The sensors of a capture: the first that is known, and what else sends.
pub(super) struct Sensors {
    path: PathBuf,
    chosen: Option<(Route, Sensor)>,
    /// The metadata beside the capture, once they were looked for; `None` if there are none.
    metadata: Option<Result<Option<Metadata>, Error>>,
    /// Datagrams by port and size, before a sensor is known.
    kinds: BTreeMap<(u16, usize), u64>,
    /// Bytes of a packet that looks like an Ouster sensor's.
    ouster: Option<usize>,
    /// A sensor that is not read, in words.
    unread: Option<String>,
    /// Lidar packets of other sensors, and where the first came from.
    others: Option<(u64, Route)>,
}

impl Sensors {
    pub(super) fn new(path: &Path) -> Sensors {
        Sensors {
            path: path.into(),
            chosen: None,
            metadata: None,
            kinds: BTreeMap::new(),
            ouster: None,
            unread: None,
            others: None,
        }
    }

    /// The sensor that is read, in words.
    pub(super) fn name(&self) -> Option<String> {
        self.chosen.as_ref().map(|(route, sensor)| match sensor {
            Sensor::Velodyne(sensor) => format!("{}, UDP port {}", sensor.name(), route.port),
            Sensor::Ouster(sensor) => format!("{}, UDP port {}", sensor.name(), route.port),
        })
    }

    /// Takes a datagram: that of the sensor, or the first of one.
    ///
    /// # Errors
    /// What breaks the format of a lidar packet.
    pub(super) fn take(&mut self, datagram: &Datagram, payload: &[u8], out: &mut Assembly) -> Result<(), String> {
        if self.chosen.is_none() {
            self.chosen = self.find(payload).map(|sensor| (datagram.route, sensor));
        }
        match &mut self.chosen {
            Some((route, sensor)) if *route == datagram.route => match sensor {
                Sensor::Velodyne(sensor) => sensor.take(datagram, payload, out),
                Sensor::Ouster(sensor) => sensor.take(datagram, payload, out),
            },
            Some(_) => {
                if velodyne::told(payload).is_some() || looks_like(payload.len()) {
                    self.others.get_or_insert((0, datagram.route)).0 += 1;
                }
                Ok(())
            }
            None => {
                let kind = (datagram.route.port, payload.len());
                if self.kinds.len() < KINDS.0 || self.kinds.contains_key(&kind) {
                    *self.kinds.entry(kind).or_default() += 1;
                }
                Ok(())
            }
        }
    }

    /// The sensor that a payload is of.
    fn find(&mut self, payload: &[u8]) -> Option<Sensor> {
        match velodyne::told(payload) {
            Some(Told::Model(model)) => return Some(Sensor::Velodyne(Velodyne::new(model, payload))),
            Some(Told::Other(what)) => self.unread = Some(what),
            None => {}
        }
        let metadata = self.metadata.get_or_insert_with(|| Metadata::beside(&self.path));
        if matches!(metadata, Ok(Some(meta)) if Ouster::takes(meta, payload))
            && let Some(Ok(Some(meta))) = self.metadata.take()
        {
            return Some(Sensor::Ouster(Box::new(Ouster::new(meta))));
        }
        if looks_like(payload.len()) {
            self.ouster = Some(payload.len());
        }
        None
    }

    /// What is said of packets of other sensors.
    pub(super) fn others(&self) -> Option<String> {
        let (count, Route { source, port }) = self.others?;
        let own = self.chosen.as_ref().map_or(0, |(route, _)| route.port);
        Some(format!(
            "{count} packets of another sensor, the first from {source} to port {port}, are left out: the sensor of port {own} is read"
        ))
    }

    /// What is said of a capture without a sensor that is read; `None` if it has no packets.
    pub(super) fn unknown(&mut self, seen: &Seen) -> Option<Error> {
        if seen.packets == 0 {
            return None;
        }
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(size) = self.ouster {
            let found = format!("lidar packets of {size} bytes of an Ouster sensor");
            return Some(match self.metadata.take() {
                Some(Err(error)) => error,
                Some(Ok(Some(meta))) => {
                    let expected = format!("packets of {} bytes, as {} says", meta.packet(), meta.path.display());
                    Error::unsupported(&self.path, found, expected)
                }
                _ => {
                    let expected = format!("the sensor's metadata beside it, in a file {stem}.json");
                    Error::unsupported(&self.path, format!("{found} without its metadata"), expected)
                }
            });
        }
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let named = |((port, size), count): &(&(u16, usize), &u64)| format!("port {port}: {count} of {size} bytes");
        let mut named: Vec<_> = kinds.iter().take(KINDS.1).map(named).collect();
        if kinds.len() > KINDS.1 {
            named.push(format!("{} kinds more", kinds.len() - KINDS.1));
        }
        let mut found = match &self.unread {
            Some(sensor) => format!("packets of {sensor}"),
            None if kinds.is_empty() => format!("{} packets, none of them a UDP datagram", seen.packets),
            None => format!("no packets of a known sensor (UDP {})", named.join("; ")),
        };
        let links: Vec<_> = seen.problems.links().map(|link| link.to_string()).collect();
        if !links.is_empty() {
            found += &format!("; links of type {}", links.join(", "));
        }
        if let Some(broken) = seen.problems.broken() {
            found += &format!("; {} malformed, first: {}", broken.count, broken.first);
        }
        let models: Vec<_> = MODELS.iter().map(|model| model.name).collect();
        let expected = format!("lidar packets of Velodyne {}, or of an Ouster sensor", models.join(", "));
        Some(Error::unsupported(&self.path, found, expected))
    }
}
