//! Clouds of a radar as people have them: every table format, columns that are missing, and clouds of another unit, size or place.

use std::fmt::Write as _;

use super::write::table;
use super::{Case, Done, case, check};

const POSE: &str = "run pose --output o.csv --input";

/// Frames of a person 2 m away as a table; `scale` is what coordinates are multiplied by.
fn radar(frames: usize, points: usize, scale: f64, columns: &[&str]) -> String {
    let mut text = format!("frame,x,y,z{}\n", columns.iter().map(|name| format!(",{name}")).collect::<String>());
    for frame in 0..frames {
        for i in 0..points {
            let (a, b) = ((7 * i + 3 * frame) % 13, (5 * i + frame) % 11);
            let place = [0.0625 * a as f64 - 0.375, 1.75 + 0.03125 * b as f64, 0.125 * (i % 12) as f64 - 0.75];
            let [x, y, z] = place.map(|v| v * scale);
            write!(text, "{frame},{x},{y},{z}").unwrap();
            for name in columns {
                let value = if *name == "doppler" { 0.25 * (a as f64 - 6.0) } else { (10 + 9 * b) as f64 };
                write!(text, ",{value}").unwrap();
            }
            text.push('\n');
        }
    }
    text
}

fn pose(name: &str, text: String) -> Case {
    case(name, format!("{POSE} radar.csv")).file("radar.csv", text)
}

/// So many skeletons, all numbers finite.
fn skeletons(done: &Done, frames: usize) -> Result<(), String> {
    let rows = done.table("o.csv")?;
    let finite = |row: &std::collections::BTreeMap<String, String>| {
        row.values().all(|cell| cell.parse::<f64>().map_or(true, f64::is_finite))
    };
    if rows.len() != 19 * frames || !rows.iter().all(finite) {
        return Err(format!("{} rows, expected 19 for each of {frames} frames, all finite", rows.len()));
    }
    Ok(())
}

#[test]
fn doppler_and_intensity_mean_the_same_in_every_table() {
    let bytes = |text: String, file: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("radar.csv"), text).unwrap();
        let done = super::run(folder.path(), &format!("{POSE} radar.csv"), &[]);
        assert_eq!(done.code, Some(0), "{file}: {}", done.stderr);
        std::fs::read(folder.path().join("o.csv")).unwrap()
    };
    let text = radar(4, 20, 1.0, &["doppler", "intensity"]);
    let right = bytes(text.clone(), "both");
    // The two columns count.
    assert_ne!(right, bytes(radar(4, 20, 1.0, &["doppler"]), "doppler alone"));
    assert_ne!(right, bytes(radar(4, 20, 1.0, &["intensity"]), "intensity alone"));
    let same = |(ending, bytes): (&'static str, Vec<u8>)| {
        let (file, right) = (format!("radar.{ending}"), right.clone());
        case(file.clone(), format!("{POSE} {file}")).file(file, bytes).quiet().judge(move |done| {
            let found = std::fs::read(done.at.join("o.csv")).map_err(|e| e.to_string())?;
            if found == right { Ok(()) } else { Err("other poses than from CSV".into()) }
        })
    };
    check(table(&text).everywhere().into_iter().map(same));
}

#[test]
fn odd_clouds_are_said() {
    let four = &["doppler", "intensity"];
    // A frame without points has no rows: its number is missing.
    let gap =
        radar(5, 20, 1.0, four).lines().filter(|line| !line.starts_with("2,")).fold(String::new(), |mut all, line| {
            all += line;
            all.push('\n');
            all
        });
    let beside = format!("{}0,9,2,0,0,10\n", radar(1, 20, 1.0, four));
    check([
        pose("metres", radar(3, 20, 1.0, four)).quiet().judge(|done| skeletons(done, 3)),
        pose("a frame without points", gap).quiet().judge(|done| skeletons(done, 5)),
        pose("one point a frame", radar(3, 1, 1.0, four)).quiet().judge(|done| skeletons(done, 3)),
        pose("out of range", beside).says(&["out_of_range", "point 20"]).judge(|done| skeletons(done, 1)),
        pose("thousands of points", radar(1, 4200, 1.0, four))
            .says(&["4096", "left out", "out_of_range"])
            .judge(|done| skeletons(done, 1)),
        pose("millimetres", radar(3, 20, 1000.0, four)).code(&[1]).says(&["millimetres", "metres"]),
        pose("centimetres", radar(3, 20, 100.0, four)).code(&[1]).says(&["out_of_range", "175"]),
    ]);
}
