//! Captures that cannot be read, or are damaged: errors that say what was found, no panic, and bounded memory.

use std::path::Path;

use super::build::{Ouster, framed, pcap, pcapng, plain, revolutions, velodyne};
use super::{in_fragments, made, read};
use crate::allocations::most_while;
use crate::mutate::{Random, mutate};

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = |name: &str, bytes: &[u8]| made(folder.path(), name, bytes).1.unwrap();
    let unknown = plain(&[(1, framed(5000, &[1; 99])), (1, framed(5000, &[1; 99])), (1, framed(68, &[0; 300]))]);
    assert_eq!(
        error("a.pcap", &unknown),
        "a.pcap: found no packets of a known sensor (UDP port 5000: 2 of 99 bytes; port 68: 1 of 300 bytes), expected lidar \
         packets of Velodyne VLP-16, Puck Hi-Res, HDL-32E, VLP-32C, or of an Ouster sensor"
    );
    let product = velodyne(0x31, 0x37, 0, |_| (0, [(1, 1); 32]));
    let found = error("a.pcap", &plain(&[(1, framed(2368, &product))]));
    assert!(found.starts_with("a.pcap: found packets of a Velodyne sensor of product 0x31, expected"), "{found}");
    let ouster = plain(&[(1, framed(7502, &[0; 8448]))]);
    assert_eq!(
        error("a.pcap", &ouster),
        "a.pcap: found lidar packets of 8448 bytes of an Ouster sensor without its metadata, expected the sensor's metadata \
         beside it, in a file a.json"
    );
    let sensor = Ouster::new("RNG15_RFL8_NIR8", 4);
    std::fs::write(folder.path().join("a.json"), sensor.json()).unwrap();
    let found = error("a.pcap", &ouster);
    assert!(found.contains("of 8448 bytes of an Ouster sensor, expected packets of 512 bytes, as"), "{found}");
    std::fs::write(folder.path().join("a.json"), sensor.json().replace("RNG15_RFL8_NIR8", "RNG99")).unwrap();
    let found = error("a.pcap", &ouster);
    assert!(found.contains("a.json: field udp_profile_lidar: found RNG99, expected LEGACY, RNG19"), "{found}");
    std::fs::write(folder.path().join("a.json"), "{").unwrap();
    assert!(error("a.pcap", &ouster).starts_with("a.json: line 1: found EOF"), "{}", error("a.pcap", &ouster));
    let usb = pcap(false, true, 189, &[(1, vec![0; 80])]);
    let found = error("b.pcap", &usb);
    assert!(found.contains("found 1 packets, none of them a UDP datagram; links of type 189"), "{found}");
    let found = error("b.pcap", b"hello, this is no capture");
    assert!(found.contains("b.pcap: header: found 25 bytes that begin otherwise"), "{found}");
    // The frames before a record that is cut off are whole.
    let bytes = plain(&revolutions(40));
    let (found, error) = made(folder.path(), "b.pcap", &bytes[..bytes.len() - 1]);
    let offset = bytes.len() - 16 - 1248;
    let expected = format!(
        "b.pcap: offset {offset}: found a last record that is cut off, expected a whole record of a packet capture"
    );
    assert_eq!((found.len(), error), (2, Some(expected)));
}

/// Reads a capture that holds these bytes: no panic, bounded memory, an error that names the file.
fn survives(path: &Path, bytes: u64, what: &str) {
    let ((_, error), most) = most_while(|| read(path));
    let allowed = 16 * bytes + (64 << 20);
    assert!(most <= allowed, "{what}: {most} bytes lived at once, {allowed} allowed");
    let folder = path.parent().unwrap().display().to_string();
    assert!(error.as_ref().is_none_or(|error| error.starts_with(&folder)), "{what}: {error:?}");
}

#[test]
fn captures_cut_anywhere_or_damaged_do_no_harm() {
    thalweg_connectors::quiet_decoder_panics();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    let ouster = in_fragments(folder.path());
    let kinds = [
        plain(&revolutions(1)),
        pcapng(false, 1, &revolutions(1)),
        pcapng(true, 1, &revolutions(1)),
        plain(&ouster),
        pcapng(true, 1, &ouster),
    ];
    for bytes in &kinds[..3] {
        std::fs::write(&path, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        for length in (0..bytes.len() as u64).rev() {
            file.set_len(length).unwrap();
            survives(&path, length, &format!("cut to {length}"));
        }
    }
    let survives = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        survives(&path, bytes.len() as u64, what);
    };
    let first = std::env::var("THALWEG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in first..first + 400 {
        let mut random = Random::new(seed);
        let mut bytes = kinds[random.below(kinds.len())].clone();
        mutate(&mut bytes, &kinds[random.below(kinds.len())], &mut random);
        survives(&bytes, &format!("seed {seed}"));
        let head = kinds[random.below(kinds.len())][..24 + 16 * random.below(4)].to_vec();
        let noise = (0..random.below(4000)).map(|_| random.below(256) as u8);
        survives(&head.into_iter().chain(noise).collect::<Vec<_>>(), &format!("noise of seed {seed}"));
    }
    // The metadata, damaged.
    std::fs::write(&path, &kinds[3]).unwrap();
    let json = std::fs::read(folder.path().join("a.json")).unwrap();
    for seed in first..first + 300 {
        let mut bytes = json.clone();
        mutate(&mut bytes, &json, &mut Random::new(seed));
        std::fs::write(folder.path().join("a.json"), &bytes).unwrap();
        read(&path);
    }
}
