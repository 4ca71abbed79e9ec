//! Packet captures: hand-made packets against the manuals' formulas, files of every kind, damage, and the shared recordings.

pub mod build;
mod damage;

use std::path::{Path, PathBuf};

use thalweg::{Frame, Next, Source};
use thalweg_connectors::points::files_options::FilesOptions;
use thalweg_connectors::points::folder::Files;
use thalweg_connectors::points::registry;
use thalweg_connectors::{ReadOptions, inspect};

use crate::support::lidar;
use build::{Ouster, Packet, ethernet, fragments, framed, ipv4, ipv6, pcap, pcapng, plain, revolutions, udp, velodyne};

/// All frames of a capture, and the error that ends it.
fn read(path: &Path) -> (Vec<Frame>, Option<String>) {
    let mut frames = Vec::new();
    let mut reader = match registry::open(path, &ReadOptions::default()) {
        Ok(reader) => reader,
        Err(error) => return (frames, Some(error.to_string())),
    };
    loop {
        match reader.next_frame() {
            Ok(Next::Item(frame)) => frames.push(frame),
            Ok(Next::Idle) => panic!("{}: idle", path.display()),
            Ok(Next::End) => return (frames, None),
            Err(error) => return (frames, Some(error.to_string())),
        }
    }
}

/// Writes a capture and reads it; its folder does not show in the error.
fn made(folder: &Path, name: &str, bytes: &[u8]) -> (Vec<Frame>, Option<String>) {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    let (frames, error) = read(&path);
    (frames, error.map(|error| error.replace(&format!("{}/", folder.display()), "")))
}

/// The frames of a capture that has no error.
fn frames(folder: &Path, name: &str, bytes: &[u8]) -> Vec<Frame> {
    let (frames, error) = made(folder, name, bytes);
    assert_eq!(error, None, "{name}");
    frames
}

fn points(frame: &Frame) -> Vec<[f32; 3]> {
    (0..frame.len()).map(|i| [frame.x[i], frame.y[i], frame.z[i]]).collect()
}

fn assert_near(found: [f32; 3], expected: [f64; 3], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() < 2e-6 * (1.0 + expected.abs()),
            "{what}: {found}, not {expected}"
        );
    }
}

/// Counts of what a frame dropped for a reason.
fn dropped(frame: &Frame, reason: &str) -> u64 {
    frame.dropped.get(reason).map_or(0, |dropped| dropped.count)
}

#[test]
fn velodyne_returns_lie_where_the_manual_says() {
    let folder = tempfile::tempdir().unwrap();
    // Blocks 0.4° apart from 30° on; the distance tells the channel.
    let payload = velodyne(0x22, 0x37, 0, |block| {
        let azimuth = 3000 + 40 * block as u16;
        (azimuth, std::array::from_fn(|c| (1000 + 10 * c as u16, c as u8)))
    });
    let frame = &frames(folder.path(), "a.pcap", &plain(&[(5, framed(2368, &payload))]))[0];
    assert_eq!((frame.len(), frame.time_ns), (12 * 32, Some(5)));
    let heights = [11.2, -0.7, 9.7, -2.2, 8.1, -3.7, 6.6, -5.1, 5.1, -6.6, 3.7, -8.1, 2.2, -9.7, 0.7, -11.2];
    for block in 0..12 {
        for channel in 0..32 {
            let laser = channel % 16;
            let up = if laser % 2 == 0 { laser as f64 - 15.0 } else { laser as f64 };
            let fired = 55.296 * (channel / 16) as f64 + 2.304 * laser as f64;
            let around = 30.0 + 0.4 * (block as f64 + fired / 110.592);
            let (w, a, d) = (up.to_radians(), around.to_radians(), 0.002 * (1000 + 10 * channel) as f64);
            let expected = [d * w.cos() * a.cos(), -d * w.cos() * a.sin(), d * w.sin() + 0.001 * heights[laser]];
            let at = 32 * block + channel;
            assert_near(points(frame)[at], expected, &format!("block {block} channel {channel}"));
            assert_eq!(frame.intensity.as_ref().unwrap()[at], channel as f32 / 255.0);
        }
    }
    // HDL-32E: 1.33° apart, one laser every 1.152 µs of 46.08.
    let payload = velodyne(0x21, 0x37, 0, |block| (100 * block as u16, [(2500, 255); 32]));
    let frame = &frames(folder.path(), "b.pcap", &plain(&[(5, framed(2368, &payload))]))[0];
    for channel in 0..32 {
        let up = if channel % 2 == 0 { -30.67 } else { -9.33 } + 4.0 / 3.0 * (channel / 2) as f64;
        let (w, a) = (up.to_radians(), (channel as f64 * 1.152 / 46.08).to_radians());
        let expected = [5.0 * w.cos() * a.cos(), -5.0 * w.cos() * a.sin(), 5.0 * w.sin()];
        let found = points(frame)[channel];
        let off = (0..3).map(|i| (f64::from(found[i]) - expected[i]).abs()).fold(0.0, f64::max);
        assert!(off < 0.0015, "laser {channel}: angles are rounded to 0.01°, so within 1 mm: {off}");
    }
    // VLP-32C: 4 mm a unit; laser 1 looks 1° down and 4.2° against the turn, and fires with laser 0.
    let payload = velodyne(0x28, 0x37, 0, |block| (2000 + 20 * block as u16, [(2500, 255); 32]));
    let frame = &frames(folder.path(), "c.pcap", &plain(&[(5, framed(2368, &payload))]))[0];
    let (w, a) = (1f64.to_radians(), (20.0f64 - 4.2).to_radians());
    assert_near(points(frame)[1], [10.0 * w.cos() * a.cos(), -10.0 * w.cos() * a.sin(), -10.0 * w.sin()], "laser 1");
}

#[test]
fn both_returns_are_points_unless_they_are_equal() {
    let folder = tempfile::tempdir().unwrap();
    let payload = velodyne(0x22, 0x39, 0, |block| {
        let mut returns = [(0, 0); 32];
        (returns[3], returns[4]) = ((1000, 9), (if block % 2 == 0 { 2000 } else { 3000 }, 9));
        (40 * (block / 2) as u16, returns)
    });
    let frame = &frames(folder.path(), "a.pcap", &plain(&[(5, framed(2368, &payload))]))[0];
    assert_eq!(frame.len(), 6 * 3, "of each pair of blocks one point of channel 3, two of channel 4, none of others");
    let distance = |i: usize| points(frame)[i].iter().map(|v| v * v).sum::<f32>().sqrt();
    assert_eq!([0, 1, 2].map(|i| (distance(i) * 10.0).round()), [20.0, 40.0, 60.0]);
    let (a, b) = (points(frame)[1], points(frame)[2]);
    assert!((a[1] / a[0] - b[1] / b[0]).abs() < 1e-6, "both have the azimuth of one firing");
}

#[test]
fn a_revolution_is_a_frame_and_parts_of_one_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    // 75 packets are a revolution; they begin in the middle of one.
    let mut packets = revolutions(200);
    packets.insert(3, (1_700_000_000_000_000_000, framed(8308, &[0; 512])));
    let found = frames(folder.path(), "a.pcap", &plain(&packets));
    let blocks = |frame: &Frame| frame.len() / 32;
    assert_eq!(found.iter().map(blocks).collect::<Vec<_>>(), [450, 900, 900, 150]);
    let times: Vec<_> = found.iter().map(|f| f.time_ns.unwrap() - 1_700_000_000_000_000_000).collect();
    assert_eq!(times, [0, 37 * 1_327_104, 112 * 1_327_104, 187 * 1_327_104]);
    assert!(found.iter().all(|frame| frame.dropped.is_empty()), "position packets are no loss");
}

#[test]
fn a_sensor_that_does_not_turn_gives_a_frame_every_half_second() {
    let folder = tempfile::tempdir().unwrap();
    let packet = |n: u32| {
        let payload = velodyne(0x22, 0x37, 10_000 * n, |_| (700, [(5000, 51); 32]));
        (u64::from(n), framed(2368, &payload))
    };
    let found = frames(folder.path(), "a.pcap", &plain(&(0..120).map(packet).collect::<Vec<_>>()));
    assert_eq!(found.iter().map(|frame| frame.len() / 384).collect::<Vec<_>>(), [51, 51, 18]);
}

#[test]
fn every_kind_of_file_and_link_holds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let payload = |n: usize| revolutions(40)[n].1[42..].to_vec();
    let time = |n: usize| 1_700_000_000_123_456_000 + 1_000_000 * n as u64;
    let wrap = |link: &dyn Fn(&[u8]) -> Vec<u8>| -> Vec<Packet> {
        (0..40).map(|n| (time(n), link(&udp(2368, &payload(n))))).collect()
    };
    let v4 = |datagram: &[u8]| ipv4(1, 0, false, datagram);
    let before = |head: &'static [u8]| move |datagram: &[u8]| [head, &v4(datagram)].concat();
    let sll = [0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0];
    let sll2 = [8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0];
    let (sll, sll2): (&'static [u8], &'static [u8]) = (Box::leak(Box::new(sll)), Box::leak(Box::new(sll2)));
    let plain = wrap(&|datagram| ethernet(&v4(datagram), &[]));
    let expected = frames(folder.path(), "expected.pcap", &pcap(false, true, 1, &plain));
    assert_eq!(expected.len(), 2);
    let files = [
        ("big.pcap", pcap(true, true, 1, &plain)),
        ("micro.pcap", pcap(false, false, 1, &plain)),
        ("bigmicro.pcap", pcap(true, false, 1, &plain)),
        ("noending", pcap(true, true, 1, &plain)),
        ("little.pcapng", pcapng(false, 1, &plain)),
        ("big.pcapng", pcapng(true, 1, &plain)),
        ("vlan.pcap", pcap(false, true, 1, &wrap(&|datagram| ethernet(&v4(datagram), &[5, 6])))),
        ("v6.pcap", pcap(false, true, 1, &wrap(&|datagram| ethernet(&ipv6(datagram), &[])))),
        ("raw.pcap", pcap(false, true, 101, &wrap(&v4))),
        ("null.pcap", pcap(false, true, 0, &wrap(&before(&[2, 0, 0, 0])))),
        ("sll.pcap", pcap(false, true, 113, &wrap(&before(sll)))),
        ("sll2.pcap", pcap(false, true, 276, &wrap(&before(sll2)))),
    ];
    for (name, bytes) in &files {
        let found = frames(folder.path(), name, bytes);
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((points(found), found.time_ns), (points(expected), expected.time_ns), "{name}");
            assert_eq!(found.intensity, expected.intensity, "{name}");
        }
    }
}

/// The manual's formula for a beam and a column, with r in metres.
fn ouster_point(sensor: &Ouster, id: u16, beam: usize, r: f64) -> [f64; 3] {
    let turn = std::f64::consts::TAU * (1.0 - f64::from(id) / sensor.columns as f64);
    let (around, up) = (turn - sensor.azimuth[beam].to_radians(), sensor.altitude[beam].to_radians());
    let n = 0.0155;
    let x = (r - n) * around.cos() * up.cos() + n * turn.cos();
    let y = (r - n) * around.sin() * up.cos() + n * turn.sin();
    [-x, -y, (r - n) * up.sin() + 0.036]
}

/// Range (mm) of the first return of a column and a beam: 0, no return, at one of them.
fn range(id: u16, beam: usize) -> u32 {
    if (id, beam) == (5, 2) { 0 } else { 8 * (500 + 10 * u32::from(id) + beam as u32) }
}

#[test]
fn ouster_returns_lie_where_the_manual_says() {
    let folder = tempfile::tempdir().unwrap();
    let put = |word: &mut [u8], at: usize, number: u32| word[at..at + 4].copy_from_slice(&number.to_le_bytes());
    type Write = fn(&dyn Fn(&mut [u8], usize, u32), u32, &mut [u8]);
    // What stands around ranges is not theirs: all other bits are set.
    let kinds: [(&str, usize, usize, Write); 5] = [
        ("LEGACY", 12, 1, |put, r, word| {
            put(word, 0, r | 0xfff0_0000);
            word[4] = 51;
        }),
        ("RNG19_RFL8_SIG16_NIR16", 12, 1, |put, r, word| {
            put(word, 0, r | 0xfff8_0000);
            word[4] = 51;
        }),
        ("RNG19_RFL8_SIG16_NIR16_DUAL", 16, 2, |put, r, word| {
            put(word, 0, r | 51 << 24 | 0xf8_0000);
            put(word, 4, if r == 0 { 0xf8_0000 } else { (r + 1000) | 102 << 24 | 0xf8_0000 });
        }),
        ("RNG15_RFL8_NIR8", 4, 1, |put, r, word| put(word, 0, (r / 8) | 0x8000 | 51 << 16 | 0xff00_0000)),
        ("FUSA_RNG15_RFL8_NIR8_DUAL", 8, 2, |put, r, word| {
            put(word, 0, (r / 8) | 0x8000 | 51 << 16 | 0xff00_0000);
            put(word, 4, if r == 0 { 0x8000 } else { ((r + 1000) / 8) | 0x8000 | 102 << 16 | 0xff00_0000 });
        }),
    ];
    for (profile, channel, returns, write) in kinds {
        for fusa in [false, true] {
            let sensor = Ouster { fusa, ..Ouster::new(profile, channel) };
            std::fs::write(folder.path().join("a.json"), sensor.json()).unwrap();
            let packet = |frame: u16, first: u16| {
                sensor.packet(frame, first, |id, beam, word| write(&put, range(id, beam), word))
            };
            let payloads = [packet(9, 0), packet(9, 16), packet(10, 0)];
            let packets: Vec<Packet> = payloads.iter().map(|payload| (1, framed(7502, payload))).collect();
            let found = frames(folder.path(), "a.pcap", &plain(&packets));
            let lengths: Vec<_> = found.iter().map(Frame::len).collect();
            assert_eq!(lengths, [(32 * 4 - 1) * returns, (16 * 4 - 1) * returns], "{profile}");
            let firings = (0..32u16).flat_map(|id| (0..4).map(move |beam| (id, beam))).filter(|f| *f != (5, 2));
            for (at, (id, beam)) in firings.enumerate() {
                for one in 0..returns {
                    let r = 0.001 * f64::from(range(id, beam) + 1000 * one as u32);
                    let (point, what) = (at * returns + one, format!("{profile} column {id} beam {beam}"));
                    assert_near(points(&found[0])[point], ouster_point(&sensor, id, beam, r), &what);
                    let intensity = found[0].intensity.as_ref().unwrap()[point];
                    assert_eq!(intensity, 0.2 * (1 + one) as f32, "{what}");
                }
            }
        }
    }
}

/// An Ouster capture of one frame in two packets whose datagrams lie in fragments.
fn in_fragments(folder: &Path) -> Vec<Packet> {
    let sensor = Ouster {
        altitude: (0..64).map(|beam| 20.0 - 0.6 * f64::from(beam)).collect(),
        azimuth: vec![0.0; 64],
        ..Ouster::new("RNG19_RFL8_SIG16_NIR16", 12)
    };
    let json = sensor.json().replace("\"pixels_per_column\": 4", "\"pixels_per_column\": 64");
    std::fs::write(folder.join("a.json"), json).unwrap();
    let packet =
        |first: u16| sensor.packet(1, first, |id, _, word| word[..2].copy_from_slice(&(1000 + id).to_le_bytes()));
    let parts = |n: u16| fragments(n, &udp(7502, &packet(16 * n)));
    let all = parts(0).into_iter().chain(parts(1));
    all.enumerate().map(|(i, part)| (1_000_000 * i as u64, ethernet(&part, &[]))).collect()
}

#[test]
fn fragments_are_put_together_and_missing_ones_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut packets = in_fragments(folder.path());
    assert_eq!(packets.len(), 18);
    let whole = frames(folder.path(), "a.pcap", &plain(&packets));
    assert_eq!((whole.len(), whole[0].len(), whole[0].dropped.len()), (1, 32 * 64, 0));
    packets[..9].reverse();
    let found = frames(folder.path(), "a.pcap", &plain(&packets));
    assert_eq!(points(&found[0]), points(&whole[0]), "in any order");
    packets.remove(12);
    let found = frames(folder.path(), "a.pcap", &plain(&packets));
    assert_eq!((found[0].len(), dropped(&found[0], "malformed")), (16 * 64, 1));
    let first = &found[0].dropped["malformed"].first;
    assert!(first.contains("a datagram without all its fragments"), "{first}");
    // A fragment of long ago with the number of a datagram is none of its.
    let mut packets = in_fragments(folder.path());
    let mut old = packets[0].clone();
    old.1[60] ^= 1;
    packets.iter_mut().for_each(|(time, _)| *time += 88_000_000_000);
    packets.remove(0);
    packets.insert(0, old);
    let found = frames(folder.path(), "a.pcap", &plain(&packets));
    assert_eq!((found[0].len(), dropped(&found[0], "malformed")), (16 * 64, 2), "neither half is whole");
}

#[test]
fn repeated_and_late_packets_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let sensor = Ouster::new("RNG15_RFL8_NIR8", 4);
    std::fs::write(folder.path().join("a_0.json"), sensor.json()).unwrap();
    let packet = |frame, first| (1, framed(7502, &sensor.packet(frame, first, |_, _, word| word[0] = 200)));
    let packets = [packet(1, 0), packet(1, 0), packet(2, 0), packet(1, 16), packet(2, 16), packet(2, 24)];
    let found = frames(folder.path(), "a.pcap", &plain(&packets));
    assert_eq!(found.iter().map(Frame::len).collect::<Vec<_>>(), [64, 128]);
    assert_eq!((dropped(&found[0], "duplicate"), dropped(&found[1], "duplicate")), (16, 8));
    assert_eq!((dropped(&found[1], "late"), dropped(&found[1], "malformed")), (1, 1), "columns behind the last");
}

#[test]
fn packets_that_break_are_counted_and_other_sensors_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut packets = revolutions(4);
    packets[2].1[42 + 100] = 0;
    let mut other = packets[1].clone();
    other.1[26] = 10;
    packets.push(other);
    let path = folder.path().join("a.pcap");
    std::fs::write(&path, plain(&packets)).unwrap();
    let (found, error) = read(&path);
    assert_eq!((found.len(), found[0].len(), error), (1, 3 * 12 * 32, None));
    let first = &found[0].dropped["malformed"].first;
    assert!(first.ends_with("a.pcap: offset 2552: block 1 that begins with 00ee"), "{first}");
    let report = inspect(&path);
    assert_eq!(report.what, "packet capture: Velodyne VLP-16, UDP port 2368");
    assert_eq!((report.frames, report.points, report.readable), (Some(1), Some(1152), true));
    let others = "a.pcap: 1 packets of another sensor, the first from 10.168.1.201 to port 2368, are left out";
    assert!(report.problems.iter().any(|problem| problem.contains(others)), "{report}");
    assert!(report.problems.iter().any(|problem| problem.starts_with("1 malformed, first: ")), "{report}");
}

#[test]
fn a_capture_without_packets_is_an_empty_frame() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.pcap", plain(&[])), ("b.pcap", vec![]), ("c.pcapng", pcapng(false, 1, &[]))] {
        let found = frames(folder.path(), name, &bytes);
        assert_eq!((found.len(), found[0].len()), (1, 0), "{name}");
    }
}

#[test]
fn metadata_are_found_by_the_name_of_the_capture() {
    let folder = tempfile::tempdir().unwrap();
    let sensor = Ouster::new("RNG15_RFL8_NIR8", 4);
    let bytes = plain(&[(1, framed(7502, &sensor.packet(1, 0, |_, _, word| word[0] = 200)))]);
    let other = sensor.json().replace("RNG15_RFL8_NIR8", "LEGACY");
    std::fs::write(folder.path().join("drive.json"), sensor.json()).unwrap();
    assert_eq!(frames(folder.path(), "anything.pcap", &bytes)[0].len(), 64, "the only one there");
    std::fs::write(folder.path().join("drive-2.json"), other).unwrap();
    std::fs::write(folder.path().join("drive-2_digest.json"), "{\"a\": 1}").unwrap();
    assert_eq!(frames(folder.path(), "drive-1.pcap", &bytes)[0].len(), 64, "the name goes on from it");
    let error = made(folder.path(), "drives.pcap", &bytes).1;
    assert!(error.is_some(), "one of two, and no name goes on");
    assert!(made(folder.path(), "drive-2-a.pcap", &bytes).1.is_some(), "the longest name is another sensor's");
}

#[test]
fn a_folder_of_captures_is_one_run_of_frames() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["2.pcap", "10.pcap"] {
        std::fs::write(folder.path().join(name), plain(&revolutions(120))).unwrap();
    }
    let ids = |options: FilesOptions| {
        let mut files = Files::open(folder.path(), options).unwrap();
        let mut ids = Vec::new();
        while let Next::Item(frame) = files.next().unwrap() {
            ids.push((frame.id, frame.path.as_ref().unwrap().file_stem().unwrap().to_string_lossy().into_owned()));
        }
        ids
    };
    let all = ids(FilesOptions::default());
    let expected = [(0, "2"), (1, "2"), (2, "2"), (3, "10"), (4, "10"), (5, "10")];
    assert_eq!(all, expected.map(|(id, name)| (id, name.to_string())));
    let part = ids(FilesOptions { start_offset: 2, until: Some(5), ..FilesOptions::default() });
    assert_eq!(part, all[2..5]);
    let follow = FilesOptions { follow: true, ..FilesOptions::default() };
    let error = Files::open(&folder.path().join("2.pcap"), follow).err().unwrap().to_string();
    assert!(error.contains("to follow, expected a folder, or a CSV or JSONL table"), "{error}");
}

/// Points of each frame of the shared captures. Those of Ouster are what its SDK 1.0.1 decodes, those of Velodyne five parts of revolutions, of
/// which the test of the capture's makers takes the four that are nearly whole.
#[test]
fn shared_captures_have_the_frames_of_their_makers_decoders() {
    let Some(folder) = lidar() else { return };
    let ouster = |name: &str| folder.join("ouster-lidar-ouster-sdk/pcaps").join(name);
    let captures: [(PathBuf, &[usize]); 10] = [
        (folder.join("MRPT-mrpt/tests/sample_velodyne_vlp16_gps.pcap"), &[14_522, 18_561, 18_554, 18_482, 3_367]),
        (ouster("OS-0-128-U1_v2.3.0_1024x10.pcap"), &[97_299]),
        (ouster("OS-0-32-U1_v2.2.0_1024x10.pcap"), &[21_803]),
        (ouster("OS-0-32-U1_v2.2.0_1024x10-single-packet.pcap"), &[223]),
        (ouster("OS-1-128_v2.3.0_1024x10_lb_n3.pcap"), &[107_647, 107_357, 107_532]),
        (ouster("OS-2-128-U1_v2.3.0_1024x10.pcap"), &[119_682]),
        (ouster("duplicate_id.pcap"), &[1_779]),
        (ouster("shot_limiting_test.pcap"), &[2_048]),
        (ouster("windowed_frame1.pcap"), &[9_246]),
        (ouster("empty_pcap.pcap"), &[0]),
    ];
    for (path, expected) in captures {
        let (found, error) = read(&path);
        let lengths: Vec<_> = found.iter().map(Frame::len).collect();
        assert_eq!((lengths.as_slice(), error), (expected, None), "{}", path.display());
    }
    let (none, error) = read(&ouster("imu_zm_no_lidar.pcap"));
    assert!(none.is_empty() && error.unwrap().contains("port 7513: 8 of 452 bytes; port 7514: 1 of 680 bytes"));
}
