//! Captures made by hand: packets of sensors, wrapped into UDP, IP, links and files as tests want them.

/// Address of the sensor that sends.
pub const SENSOR: [u8; 4] = [192, 168, 1, 201];

/// A captured packet: when (ns), and its bytes.
pub type Packet = (u64, Vec<u8>);

/// A UDP datagram to a port.
pub fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    let mut bytes = [port, port, length, 0].map(u16::to_be_bytes).concat();
    bytes.extend_from_slice(payload);
    bytes
}

/// A part of an IPv4 packet that carries UDP; `offset` in bytes.
pub fn ipv4(id: u16, offset: usize, more: bool, part: &[u8]) -> Vec<u8> {
    let place = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
    let mut bytes = vec![0x45, 0];
    [20 + part.len() as u16, id, place].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes.extend([64, 17, 0, 0]);
    bytes.extend(SENSOR);
    bytes.extend([255; 4]);
    bytes.extend_from_slice(part);
    bytes
}

/// An IPv6 packet that carries UDP.
pub fn ipv6(datagram: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((datagram.len() as u16).to_be_bytes());
    bytes.extend([17, 64]);
    bytes.extend([0xfe; 32]);
    bytes.extend_from_slice(datagram);
    bytes
}

/// A datagram in IPv4 packets of at most 1480 bytes of it.
pub fn fragments(id: u16, datagram: &[u8]) -> Vec<Vec<u8>> {
    let parts: Vec<_> = datagram.chunks(1480).collect();
    let part = |(i, part): (usize, &&[u8])| ipv4(id, 1480 * i, i + 1 < parts.len(), part);
    parts.iter().enumerate().map(part).collect()
}

/// An Ethernet frame, with VLAN tags.
pub fn ethernet(ip: &[u8], vlans: &[u16]) -> Vec<u8> {
    let mut bytes = vec![0xff; 12];
    vlans.iter().for_each(|vlan| bytes.extend([[0x81, 0x00], vlan.to_be_bytes()].concat()));
    bytes.extend(if ip[0] >> 4 == 6 { [0x86, 0xdd] } else { [0x08, 0x00] });
    bytes.extend_from_slice(ip);
    bytes
}

/// A whole datagram to a port in an Ethernet frame.
pub fn framed(port: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(&ipv4(7, 0, false, &udp(port, payload)), &[])
}

/// A classic capture: its byte order, nanoseconds or microseconds, the link type.
pub fn pcap(big: bool, nanos: bool, link: u32, packets: &[Packet]) -> Vec<u8> {
    let u32s = |numbers: &[u32]| -> Vec<u8> {
        numbers.iter().flat_map(|n| if big { n.to_be_bytes() } else { n.to_le_bytes() }).collect()
    };
    let versions = if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
    let mut bytes = u32s(&[if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }]);
    bytes.extend(versions);
    bytes.extend(u32s(&[0, 0, 65_535, link]));
    for (time, packet) in packets {
        let rest = (time % 1_000_000_000) as u32;
        let length = packet.len() as u32;
        bytes.extend(u32s(&[(time / 1_000_000_000) as u32, if nanos { rest } else { rest / 1000 }, length, length]));
        bytes.extend_from_slice(packet);
    }
    bytes
}

/// A classic capture of Ethernet frames.
pub fn plain(packets: &[Packet]) -> Vec<u8> {
    pcap(false, true, 1, packets)
}

/// A capture of the next generation with stamps of nanoseconds.
pub fn pcapng(big: bool, link: u16, packets: &[Packet]) -> Vec<u8> {
    let u16s = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let u32s = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = u32s(12 + body.len() as u32);
        [&u32s(kind), &length, body.as_slice(), &length].concat()
    };
    let header = [&u32s(0x1a2b_3c4d)[..], &u16s(1), &u16s(0), &[0xff; 8]].concat();
    let resolution = [&u16s(9)[..], &u16s(1), &[9, 0, 0, 0], &[0; 4]].concat();
    let interface = [&u16s(link)[..], &[0; 2], &u32s(65_535), &resolution].concat();
    let mut bytes = [block(0x0a0d_0d0a, &header), block(1, &interface)].concat();
    for (time, packet) in packets {
        let length = u32s(packet.len() as u32);
        let (high, low) = (u32s((time >> 32) as u32), u32s(*time as u32));
        bytes.extend(block(6, &[&u32s(0)[..], &high, &low, &length, &length, packet].concat()));
    }
    bytes
}

/// A return: units of distance, and reflectivity.
pub type Return = (u16, u8);

/// A data packet of a Velodyne sensor whose blocks have azimuths (0.01°) and returns; `stamp` in µs.
pub fn velodyne(product: u8, mode: u8, stamp: u32, block: impl Fn(usize) -> (u16, [Return; 32])) -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in 0..12 {
        let (azimuth, returns) = block(at);
        bytes.extend([0xff, 0xee]);
        bytes.extend(azimuth.to_le_bytes());
        for (units, reflectivity) in returns {
            bytes.extend(units.to_le_bytes());
            bytes.push(reflectivity);
        }
    }
    bytes.extend(stamp.to_le_bytes());
    bytes.extend([mode, product]);
    bytes
}

/// Revolutions of a VLP-16 in steps of 0.4°, from 180° on: packets as they come, each a return of 10 m in every channel.
pub fn revolutions(packets: usize) -> Vec<Packet> {
    let packet = |n: usize| {
        let azimuth = |block: usize| ((18_000 + 40 * (12 * n + block)) % 36_000) as u16;
        let payload = velodyne(0x22, 0x37, (n * 1327) as u32, |block| (azimuth(block), [(5000, 51); 32]));
        (1_700_000_000_000_000_000 + n as u64 * 1_327_104, framed(2368, &payload))
    };
    (0..packets).map(packet).collect()
}

/// What a test says of an Ouster sensor.
pub struct Ouster {
    pub profile: &'static str,
    pub fusa: bool,
    /// Bytes of a channel.
    pub channel: usize,
    pub columns: usize,
    pub altitude: Vec<f64>,
    pub azimuth: Vec<f64>,
}

impl Ouster {
    /// Four beams and 32 columns a frame.
    pub fn new(profile: &'static str, channel: usize) -> Ouster {
        let (altitude, azimuth) = (vec![20.5, 7.0, -6.25, -21.0], vec![4.2, 1.4, -1.4, -4.2]);
        Ouster { profile, fusa: false, channel, columns: 32, altitude, azimuth }
    }

    /// The metadata as sensors write them.
    pub fn json(&self) -> String {
        format!(
            "{{\"beam_intrinsics\": {{\"beam_altitude_angles\": {:?}, \"beam_azimuth_angles\": {:?},
             \"lidar_origin_to_beam_origin_mm\": 15.5}},
             \"lidar_data_format\": {{\"columns_per_frame\": {}, \"columns_per_packet\": 16, \"pixels_per_column\": 4,
             \"udp_profile_lidar\": \"{}\", \"header_type\": \"{}\"}},
             \"lidar_intrinsics\": {{\"lidar_to_sensor_transform\": [-1,0,0,0, 0,-1,0,0, 0,0,1,36.0, 0,0,0,1]}},
             \"sensor_info\": {{\"prod_line\": \"OS-1-4\"}}}}",
            self.altitude,
            self.azimuth,
            self.columns,
            self.profile,
            if self.fusa { "FUSA" } else { "STANDARD" },
        )
    }

    /// A packet of 16 columns from `first` on; `channel` writes that of a column and a beam.
    pub fn packet(&self, frame: u16, first: u16, channel: impl Fn(u16, usize, &mut [u8])) -> Vec<u8> {
        let legacy = self.profile == "LEGACY";
        let mut bytes = Vec::new();
        if !legacy {
            let mut header = [0; 32];
            header[0] = 1;
            let at = if self.fusa { 4 } else { 2 };
            header[at..at + 2].copy_from_slice(&frame.to_le_bytes());
            bytes.extend(header);
        }
        for id in first..first + 16 {
            bytes.extend([0; 8]);
            bytes.extend(id.to_le_bytes());
            if legacy {
                bytes.extend([frame.to_le_bytes(), [0; 2], [0; 2]].concat());
            } else {
                bytes.extend([1, 0]);
            }
            for beam in 0..self.altitude.len() {
                let mut word = vec![0; self.channel];
                channel(id, beam, &mut word);
                bytes.extend(word);
            }
            if legacy {
                bytes.extend([0xff; 4]);
            }
        }
        bytes.extend([0; 32].iter().filter(|_| !legacy));
        bytes
    }
}
