//! Numbers that mean something else than they seem to: other units, other codes, another type, a name that is a time.

use std::fmt::Write as _;

use super::oracle::{Point, cloud};
use super::write::{self, pcd};
use super::{Done, case, check};

const KNN: &str = "run knn --set k=3 --output o.csv --input";

/// Points without a zero coordinate, which would be big-endian, too.
fn points(seed: u64) -> Vec<Point> {
    cloud(40, seed).into_iter().map(|p| p.map(|v| v + 0.1)).collect()
}

#[test]
fn bytes_of_other_types_than_f32_are_said() {
    let all = points(3);
    let rows = || all.iter().flat_map(|p| p.iter().copied().chain([0.5]));
    let doubles: Vec<u8> = rows().flat_map(f64::to_le_bytes).collect();
    let big: Vec<u8> = rows().flat_map(|v| (v as f32).to_be_bytes()).collect();
    let shorts: Vec<u8> = rows().flat_map(|v| ((v * 1000.0) as i16).to_le_bytes()).collect();
    let mut lost = write::scan(&all);
    // A driver's mark of no return, in one point of forty.
    lost[16..28].copy_from_slice(&[f32::MAX.to_le_bytes(); 3].concat());
    let knn = |name: &str, bytes: Vec<u8>| case(name, format!("{KNN} a.bin")).file("a.bin", bytes);
    check([
        knn("f32", write::scan(&all)).quiet(),
        knn("a mark", lost).quiet(),
        knn("f64", doubles).says(&["a.bin: ", "are these f64?"]).inspect_says_too("a.bin"),
        knn("big-endian", big).says(&["a.bin: ", "are these big-endian?"]).inspect_says_too("a.bin"),
        knn("i16", shorts).says(&["a.bin: ", "coordinates are no lengths"]),
    ]);
}

#[test]
fn names_that_are_times_stand_in_the_order_of_time() {
    let clouds = [1, 2, 3, 4].map(|seed| cloud(12, seed));
    let names = ["1700000000", "1700000000.25", "1700000000.5", "1700000001.125"];
    let mut scans = case("scans named by time", format!("{KNN} scans")).quiet();
    for (name, points) in names.iter().zip(&clouds) {
        scans = scans.file(format!("scans/{name}.bin"), write::scan(points));
    }
    let frames: Vec<_> = (0..).zip(clouds).collect();
    check([scans.graph(3, &frames)]);
}

#[test]
fn a_first_frame_in_several_files_decides_the_origin_as_a_whole() {
    // Few points before a thousand of metres, many behind it.
    let places = |n: u32, from: f64| {
        (0..n).map(move |i| [from + f64::from(i) * 0.173, 5_412_000.0 + f64::from(i * i % 37), 1.5])
    };
    let (few, many): (Vec<Point>, Vec<Point>) = (places(10, 431_990.0).collect(), places(60, 432_000.0).collect());
    let next = places(20, 432_010.0).collect::<Vec<Point>>();
    let csv = |frames: &[(i64, &[Point])]| {
        let rows = frames
            .iter()
            .flat_map(|(frame, points)| points.iter().map(move |[x, y, z]| format!("{frame},{x},{y},{z}\n")));
        "frame,x,y,z\n".to_string() + &rows.collect::<String>()
    };
    let whole = [few.clone(), many.clone()].concat();
    let frames = [(7, whole.clone()), (8, next.clone())];
    let parts = [("in/1.csv", csv(&[(7, &few)])), ("in/2.csv", csv(&[(7, &many), (8, &next)]))];
    let split = |name: &str, line: String| {
        parts.iter().fold(case(name, line), |case, (file, text)| case.file(*file, text.clone()))
    };
    check([
        case("one file", format!("{KNN} a.csv"))
            .file("a.csv", csv(&[(7, &whole), (8, &next)]))
            .quiet()
            .graph(3, &frames),
        split("two files", format!("{KNN} in")).quiet().graph(3, &frames),
        split("two workers", format!("{KNN} in --workers 2")).quiet().graph(3, &frames),
        split("two inputs", format!("{KNN} in/1.csv in/2.csv --json")).graph(3, &frames).judge(|done| {
            let origin = &done.json()?["origin"];
            if *origin == serde_json::json!([432000.0, 5412000.0, 0.0]) {
                Ok(())
            } else {
                Err(format!("origin {origin}"))
            }
        }),
    ]);
}

#[test]
fn tables_with_times_but_no_frames_are_said() {
    let rows = |step: f64, header: &str| {
        let mut text = format!("{header},x,y,z\n");
        for (i, [x, y, z]) in cloud(60, 5).into_iter().enumerate() {
            writeln!(text, "{:.2},{x},{y},{z}", 1.7e9 + (i / 6) as f64 * step).unwrap();
        }
        text
    };
    let knn = |name: &str, text: String| case(name, format!("{KNN} a.csv")).file("a.csv", text);
    check([
        knn("ten sweeps", rows(0.5, "time")).says(&["a.csv: 60 rows are one frame", "--columns frame="]),
        knn("one sweep, by firings", rows(0.01, "time")).quiet(),
        knn("a column that says it", rows(0.5, "frame")).quiet(),
        case("the times are the frames", format!("{KNN} a.csv --columns frame=time"))
            .file("a.csv", rows(0.5, "time"))
            .quiet(),
    ]);
}

#[test]
fn a_column_that_counts_lines_is_said() {
    let text = |from: usize, more: &str| {
        let line = |(i, [x, y, z]): (usize, Point)| format!("{} {x} {y} {z}{more}\n", i + from);
        cloud(20, 6).into_iter().enumerate().map(line).collect::<String>()
    };
    let knn = |name: &str, text: String| case(name, format!("{KNN} a.txt")).file("a.txt", text);
    check([
        knn("from 0", text(0, "")).says(&["a.txt: ", "an index"]),
        knn("from 1, with colours", text(1, " 10 20 30")).says(&["a.txt: ", "an index"]).inspect_says_too("a.txt"),
        knn("named", "n x y z\n".to_string() + &text(0, "")).quiet(),
        case("points", format!("{KNN} a.txt")).file("a.txt", write::xyz(&cloud(20, 6))).quiet(),
    ]);
}

#[test]
fn poses_that_move_nothing_are_said() {
    let moved = |points: &[Point], x: u32| {
        String::from_utf8(pcd(points)).unwrap().replace("VIEWPOINT 0", &format!("VIEWPOINT {x}")).into_bytes()
    };
    let map = |name: &str, step: u32| {
        let scans = case(name, format!("{KNN} scans --set nodes=map"));
        (0..3)
            .fold(scans, |scans, i| scans.file(format!("scans/{i}.pcd"), moved(&cloud(20, 7 + u64::from(i)), step * i)))
    };
    check([
        map("PCL's default", 0).says(&["scans/1.pcd: ", "VIEWPOINT 0 0 0 1 0 0 0", "stands still"]),
        map("a sensor that moves", 1).quiet(),
        case("sweeps", format!("{KNN} a.pcd")).file("a.pcd", pcd(&cloud(20, 7))).quiet(),
    ]);
}

/// LAS 1.2 with a variable length record of the projection.
fn las_with(id: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = write::las(&cloud(40, 9), 2);
    let mut record = vec![0u8; 54];
    record[2..17].copy_from_slice(b"LASF_Projection");
    record[18..20].copy_from_slice(&id.to_le_bytes());
    record[20..22].copy_from_slice(&(data.len() as u16).to_le_bytes());
    record.extend(data);
    bytes[96..100].copy_from_slice(&(227 + record.len() as u32).to_le_bytes());
    bytes[100..104].copy_from_slice(&1u32.to_le_bytes());
    bytes.splice(227..227, record);
    bytes
}

#[test]
fn surveys_in_feet_or_degrees_are_said() {
    let keys = |pairs: &[[u16; 2]]| {
        let head = [1, 1, 0, pairs.len() as u16];
        let all = pairs.iter().flat_map(|[key, value]| [*key, 0, 1, *value]);
        head.into_iter().chain(all).flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    let knn = |name: &str, bytes: Vec<u8>| case(name, format!("{KNN} a.las")).file("a.las", bytes);
    let wkt = |text: &str| las_with(2112, text.as_bytes());
    check([
        knn("metres", las_with(34735, &keys(&[[1024, 1], [3076, 9001]]))).quiet(),
        knn("survey feet", las_with(34735, &keys(&[[1024, 1], [3076, 9003]])))
            .says(&["feet"])
            .inspect_says_too("a.las"),
        knn("heights in feet", las_with(34735, &keys(&[[3076, 9001], [4099, 9002]]))).says(&["feet"]),
        knn("longitudes", las_with(34735, &keys(&[[1024, 2]]))).says(&["degrees"]),
        knn("WKT, metres", wkt(r#"PROJCS["L93",GEOGCS["RGF93",UNIT["degree",0.0174]],UNIT["metre",1]]"#)).quiet(),
        knn("WKT, feet", wkt(r#"PROJCS["TX",GEOGCS["NAD83",UNIT["degree",0.0174]],UNIT["US survey foot",0.3048]]"#))
            .says(&["feet"]),
        knn("WKT, degrees", wkt(r#"GEOGCS["WGS 84",UNIT["degree",0.0174]]"#)).says(&["degrees"]),
        knn("WKT 2, feet", wkt(r#"PROJCRS["x",BASEGEOGCRS["y"],LENGTHUNIT["foot",0.3048]]"#)).says(&["feet"]),
    ]);
}

#[test]
fn two_surveys_of_one_name_are_not_one_file() {
    let survey = write::las(&cloud(40, 9), 2);
    let line = "run segment --input a b --output out/ --output-format las";
    check([case("a/1.las and b/1.las", line)
        .file("a/1.las", survey.clone())
        .file("b/1.las", survey)
        .code(&[1])
        .says(&["out/1.las: found the name of two files, expected one file a name"])]);
}

#[test]
fn labels_of_another_code_set_are_said() {
    let label = |points: &[Point]| (0..points.len()).flat_map(|_| 40u32.to_le_bytes()).collect::<Vec<u8>>();
    let points = cloud(60, 4);
    let kitti = |model: &str| {
        case(format!(".label, {model}"), format!("eval segment --input seq --model {model}"))
            .file("seq/velodyne/0.bin", write::scan(&points))
            .file("seq/labels/0.label", label(&points))
    };
    let las = |model: &str| {
        case(format!("LAS, {model}"), format!("eval segment --input a.las --model {model}"))
            .file("a.las", write::las(&points, 2))
    };
    let silent = |done: &Done| {
        if done.stderr.contains("the scores mean nothing") { Err("a warning that is wrong".into()) } else { Ok(()) }
    };
    check([
        kitti("driving").judge(silent),
        kitti("airborne").code(&[0, 1]).says(&["SemanticKITTI's ids|expected classes of the model"]),
        las("airborne").judge(silent),
        las("driving").says(&["ASPRS codes", "train ids", "a.las"]),
    ]);
}

#[test]
fn a_list_of_three_is_a_place_in_text_too() {
    let points = cloud(30, 8);
    let jsonl: String = points.iter().map(|[x, y, z]| format!("{{\"xyz\": [{x}, {y}, {z}]}}\n")).collect();
    let csv =
        "id,xyz\n".to_string() + &points.iter().map(|[x, y, z]| format!("7,\"[{x}, {y}, {z}]\"\n")).collect::<String>();
    let one = [(0, points)];
    check([
        case("JSON lines", format!("{KNN} a.jsonl")).file("a.jsonl", jsonl.clone()).quiet().graph(3, &one),
        case("CSV", format!("{KNN} a.csv")).file("a.csv", csv).quiet().graph(3, &one),
        case("a list of two", format!("{KNN} a.jsonl"))
            .file("a.jsonl", jsonl + "{\"xyz\": [1, 2]}\n")
            .says(&["1 malformed", "line 31", "xyz: found 2 numbers"])
            .graph(3, &one),
    ]);
}
