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
    // One frame in formats whose records have fields.
    let one = radar(1, 20, 1.0, &["doppler", "intensity"]);
    let right = bytes(one.clone(), "one frame");
    let rows: String = one.lines().skip(1).fold(String::new(), |all, line| all + &line[2..].replace(',', " ") + "\n");
    let pcd = format!(
        "VERSION .7\nFIELDS x y z velocity intensity\nSIZE 4 4 4 4 4\nTYPE F F F F F\nCOUNT 1 1 1 1 1\nWIDTH 20\nHEIGHT 1\n\
         VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 20\nDATA ascii\n{rows}"
    );
    let properties = ["x", "y", "z", "doppler", "intensity"].map(|name| format!("property float {name}\n")).concat();
    let ply = format!("ply\nformat ascii 1.0\nelement vertex 20\n{properties}end_header\n{rows}");
    let txt = format!("x y z doppler intensity\n{rows}");
    check([("a.pcd", pcd), ("a.ply", ply), ("a.txt", txt)].map(|(file, text)| {
        let right = right.clone();
        case(file, format!("{POSE} {file}")).file(file, text).quiet().judge(move |done| {
            let found = std::fs::read(done.at.join("o.csv")).map_err(|e| e.to_string())?;
            if found == right { Ok(()) } else { Err("other poses than from CSV".into()) }
        })
    }));
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

#[test]
fn frames_numbered_by_time_follow_one_another() {
    let counted = radar(12, 20, 1.0, &["doppler", "intensity"]);
    let numbered = |number: &dyn Fn(usize) -> String| {
        let mut lines = counted.lines();
        let header = lines.next().unwrap().to_string() + "\n";
        lines.fold(header, |mut text, line| {
            let (frame, rest) = line.split_once(',').unwrap();
            writeln!(text, "{},{rest}", number(frame.parse().unwrap())).unwrap();
            text
        })
    };
    // Joints alone, in order.
    let joints = |done: &Done| -> Result<Vec<String>, String> {
        Ok(done
            .table("o.csv")?
            .iter()
            .map(|row| ["x", "y", "z", "sigma"].map(|name| row[name].clone()).join(" "))
            .collect())
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("radar.csv"), &counted).unwrap();
    let right = joints(&super::run(folder.path(), &format!("{POSE} radar.csv"), &[])).unwrap();
    assert_eq!(right.len(), 12 * 19);
    let same = |name: &str, number: &dyn Fn(usize) -> String| {
        let right = right.clone();
        pose(name, numbered(number)).quiet().judge(move |done| {
            if joints(done)? == right { Ok(()) } else { Err("other joints than of frames that are counted".into()) }
        })
    };
    check([
        same("seconds with decimals", &|n| format!("{:.3}", 1_700_000_000.25 + 0.1 * n as f64)),
        same("nanoseconds", &|n| (1_700_000_000_000_000_000 + 100_003_000 * n as i64).to_string()),
        same("milliseconds", &|n| (1_700_000_000_000 + 101 * n as i64).to_string()),
        same("dates", &|n| format!("2024-03-31T10:00:{n:02}Z")),
        pose("two minutes between", numbered(&|n| (1_700_000_000_000 + 120_000 * n as i64).to_string()))
            .says(&["more than a minute apart"])
            .judge(|done| skeletons(done, 12)),
        pose("milliseconds since the start", numbered(&|n| (100 * n).to_string())).says(&["are they no counter?"]),
    ]);
}

#[test]
fn an_array_of_joints_keeps_its_place_where_a_part_is_read() {
    // Row i of the array has joints at (i, i, i), 40 frames that begin with number 10.
    let mut header = "{'descr': '<f4', 'fortran_order': False, 'shape': (40, 19, 3), }".to_string();
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut array = [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    array.extend((0..40u8).flat_map(|row| std::iter::repeat_n(f32::from(row).to_le_bytes(), 57)).flatten());
    let shifted = |from: i64| {
        let text = radar(40, 20, 1.0, &[]);
        let mut lines = text.lines();
        let header = lines.next().unwrap().to_string() + "\n";
        lines.fold(header, |mut text, line| {
            let (frame, rest) = line.split_once(',').unwrap();
            writeln!(text, "{},{rest}", frame.parse::<i64>().unwrap() + from).unwrap();
            text
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let mae = |from: i64, part: &str| {
        std::fs::write(folder.path().join("radar.csv"), shifted(from)).unwrap();
        std::fs::write(folder.path().join("radar.npy"), &array).unwrap();
        let done = super::run(folder.path(), &format!("eval pose --input radar.csv --json {part}"), &[]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let json = done.json().unwrap();
        (json["frames"].as_u64().unwrap(), json["mae_cm"].as_f64().unwrap())
    };
    for (part, frames) in [("", 40), ("--until 30", 30), ("--start-offset 25", 15), ("--start-offset 5 --until 20", 15)]
    {
        let right = mae(0, part);
        assert_eq!(right.0, frames, "{part}");
        assert_eq!(mae(10, part), right, "{part}");
    }
}
