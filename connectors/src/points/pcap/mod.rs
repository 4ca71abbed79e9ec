//! Packet captures, `.pcap` and `.pcapng`, of a known sensor: one frame a revolution.
//!
//! Read are Velodyne's VLP-16, Puck LITE, Puck Hi-Res, HDL-32E and VLP-32C, and Ouster's sensors, whose metadata lie in a JSON file
//! beside the capture. The first sensor of a capture is the one that is read. Points are metres in its frame, x forward,
//! y left, z up, in the order in which they were measured. Firings without a return are no points. Where two returns are reported both are
//! points, unless they are equal. Intensity is the calibrated reflectivity / 255. A frame's time is that of its first packet in the capture.
//! What comes before the first full revolution, and after the last, is a frame as well. Packets that break are counted `malformed`.

mod cloud;
mod models;
mod ouster;
mod ouster_meta;
mod ouster_profile;
mod packets;
mod records;
mod sensor;
mod velodyne;

use std::path::Path;
use std::sync::Arc;

use thalweg::{Frame, Next};

use self::cloud::Assembly;
use self::packets::Datagrams;
use self::records::Records;
use self::sensor::{Seen, Sensors};
use crate::error::Error;
use crate::points::format::{Format, Reader};
use crate::points::options::ReadOptions;
use crate::points::scalar::Scalar;

/// Packet captures.
pub const FORMAT: Format = Format {
    name: "pcap",
    what: "packet capture of a Velodyne or Ouster sensor",
    extensions: &["pcap", "pcapng"],
    magic: &[b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a"],
    many: true,
    open: |path, options| Ok(Box::new(Capture::open(path, options)?)),
};

/// The sensor of a capture, in words; `None` if there is none that is read.
///
/// # Errors
/// See [`Records::next`].
pub(crate) fn sensor(path: &Path) -> Result<Option<String>, Error> {
    let mut capture = Capture::open(path, &ReadOptions::default())?;
    while capture.read()? {
        if let Some(name) = capture.sensors.name() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// A capture that is open.
struct Capture {
    path: Arc<Path>,
    options: ReadOptions,
    datagrams: Datagrams,
    payload: Vec<u8>,
    sensors: Sensors,
    assembly: Assembly,
    /// Why the rest cannot be read: told behind the frames before it.
    failed: Option<Error>,
    ended: bool,
}

impl Capture {
    /// # Errors
    /// See [`Records::open`].
    fn open(path: &Path, options: &ReadOptions) -> Result<Capture, Error> {
        Ok(Capture {
            path: path.into(),
            options: options.clone(),
            datagrams: Datagrams::new(Records::open(path)?),
            payload: Vec::new(),
            sensors: Sensors::new(path),
            assembly: Assembly::new(path),
            failed: None,
            ended: false,
        })
    }

    /// Takes one datagram; false at the end.
    fn read(&mut self) -> Result<bool, Error> {
        let Capture { datagrams, payload, sensors, assembly, .. } = self;
        let Some(datagram) = datagrams.next(payload, &mut assembly.problems)? else { return Ok(false) };
        if let Err(found) = sensors.take(&datagram, payload, assembly) {
            assembly.problems.malformed(datagram.offset, || found);
        }
        Ok(true)
    }

    /// All is read: the last frame is complete.
    fn end(&mut self) {
        self.assembly.cut();
        if self.sensors.name().is_none() && self.failed.is_none() {
            let seen = Seen { packets: self.datagrams.packets(), problems: &self.assembly.problems };
            match self.sensors.unknown(&seen) {
                Some(error) => self.failed = Some(error),
                // A capture without packets is an empty frame, as an empty file is.
                None => {
                    self.assembly.cloud(None);
                    self.assembly.cut();
                }
            }
        }
        if let Some(others) = self.sensors.others() {
            self.options.warn("other sensors", &self.path, others);
        }
    }
}

impl Reader for Capture {
    fn next_frame(&mut self) -> Result<Next<Frame>, Error> {
        loop {
            if let Some(cloud) = self.assembly.next() {
                let frame = cloud.frame(&self.path, Scalar::U8, &self.options);
                return Ok(Next::Item(frame));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.ended {
                return Ok(Next::End);
            }
            match self.read() {
                Ok(true) => {}
                Ok(false) => {
                    self.ended = true;
                    self.end();
                }
                Err(error) => {
                    (self.ended, self.failed) = (true, Some(error));
                    self.end();
                }
            }
        }
    }
}
