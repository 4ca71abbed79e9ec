//! Files of points that are not what their name says, or say it in another way: each is read as it is meant, or named.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, RecordBatch, UInt16Array};
use parquet::arrow::ArrowWriter;
use thalweg::{BoxError, Frame, Next, Source};
use thalweg_connectors::points::files_options::FilesOptions;
use thalweg_connectors::points::folder::Files;
use thalweg_connectors::points::registry;
use thalweg_connectors::{Error, OnError, ReadOptions, inspect};

use crate::support::fixtures;

fn try_told(folder: &Path, name: &str, bytes: &[u8]) -> Result<(Frame, Vec<String>), Error> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    let options = ReadOptions::default();
    let format = registry::by_extension(&path).unwrap();
    let Next::Item(frame) = (format.open)(&path, &options)?.next_frame()? else { panic!("{name}: no frame") };
    let says = |warning: String| warning.replace(&format!("{}: ", path.display()), "");
    Ok((frame, options.notices.warnings().into_iter().map(says).collect()))
}

/// The frame of a made file, and what its reader warned of, without the file's name.
fn told(folder: &Path, name: &str, bytes: &[u8]) -> (Frame, Vec<String>) {
    try_told(folder, name, bytes).unwrap()
}

/// Why a made file is refused, without the name of its folder.
fn refused(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let error = try_told(folder, name, bytes).unwrap_err();
    error.to_string().replace(&format!("{}/", folder.display()), "")
}

fn floats(numbers: impl IntoIterator<Item = f32>) -> Vec<u8> {
    numbers.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// Numbers from 0 to 1 without an order.
fn number(i: usize) -> f32 {
    (i as f32 * 0.618_034).fract()
}

fn place(i: usize) -> [f32; 3] {
    [40.0 * number(i) - 20.0, 40.0 * number(7 * i) - 20.0, 3.0 * number(3 * i) - 2.0]
}

fn pcd(field: &str, kind: &str, values: &[&str]) -> String {
    let rows: String = values.iter().map(|value| format!("1 2 3 {value}\n")).collect();
    let (size, kind) = kind.split_once(' ').unwrap();
    let n = values.len();
    format!("FIELDS x y z {field}\nSIZE 4 4 4 {size}\nTYPE F F F {kind}\nWIDTH {n}\nHEIGHT 1\nDATA ascii\n{rows}")
}

fn ply(property: &str, rows: &str, count: usize) -> String {
    let xyz = "property float x\nproperty float y\nproperty float z\n";
    format!("ply\nformat ascii 1.0\nelement vertex {count}\n{xyz}property {property}\nend_header\n{rows}")
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// A LAS file of the fixtures with other intensities.
fn las(intensity: impl Fn(usize) -> u16) -> Vec<u8> {
    let mut bytes = std::fs::read(fixtures().join("format01.las")).unwrap();
    let data = u32::from_le_bytes(bytes[96..100].try_into().unwrap()) as usize;
    let record = usize::from(u16::from_le_bytes(bytes[105..107].try_into().unwrap()));
    let records = bytes[data..].chunks_exact_mut(record).take(24);
    records.enumerate().for_each(|(i, r)| r[12..14].copy_from_slice(&intensity(i).to_le_bytes()));
    bytes
}

#[test]
fn sixteen_bits_that_hold_eight_are_of_eight() {
    let folder = tempfile::tempdir().unwrap();
    let axis = || Arc::new(Float32Array::from(vec![1.0f32, 2.0])) as ArrayRef;
    let parquet = |values: [u16; 2]| {
        let column = Arc::new(UInt16Array::from(values.to_vec())) as ArrayRef;
        table(vec![("x", axis()), ("y", axis()), ("z", axis()), ("intensity", column)])
    };
    for (values, right) in [([51, 255], [0.2, 1.0]), ([13107, 65535], [0.2, 1.0]), ([0, 256], [0.0, 256.0 / 65535.0])] {
        let words = values.map(|value: u16| value.to_string());
        let words = [words[0].as_str(), words[1].as_str()];
        let rows = format!("1 2 3 {}\n4 5 6 {}\n", words[0], words[1]);
        for (name, bytes) in [
            ("a.pcd", pcd("intensity", "2 U", &words).into_bytes()),
            ("a.ply", ply("ushort intensity", &rows, 2).into_bytes()),
            ("a.parquet", parquet(values)),
        ] {
            let (frame, warnings) = told(folder.path(), name, &bytes);
            assert_eq!((frame.intensity, warnings.len()), (Some(right.to_vec()), 0), "{name}: {values:?}");
        }
    }
}

#[test]
fn las_has_intensities() {
    let folder = tempfile::tempdir().unwrap();
    let of = |intensity: &dyn Fn(usize) -> u16| told(folder.path(), "a.las", &las(intensity)).0.intensity;
    assert_eq!(of(&|i| 51 * (i as u16 % 6)).unwrap()[..6], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    assert_eq!(of(&|i| 13107 * (i as u16 % 6)).unwrap()[..6], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    assert_eq!(of(&|_| 0), None);
}

#[test]
fn an_intensity_has_the_same_names_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["intensity", "i", "Remission", "reflectance", "reflectivity", "scalar_Reflectance"] {
        let (frame, _) = told(folder.path(), "a.pcd", pcd(name, "4 F", &["0.5"]).as_bytes());
        assert_eq!(frame.intensity, Some(vec![0.5]), "{name}");
        let (frame, _) = told(folder.path(), "a.ply", ply(&format!("float {name}"), "1 2 3 0.5\n", 1).as_bytes());
        assert_eq!(frame.intensity, Some(vec![0.5]), "{name}");
    }
    let both = pcd("reflectivity intensity", "4 F", &["0.25 0.5"]).replace("4 4 4 4", "4 4 4 4 4");
    let (frame, _) = told(folder.path(), "a.pcd", both.replace("F F F F", "F F F F F").as_bytes());
    assert_eq!(frame.intensity, Some(vec![0.5]), "the usual name comes first");
}

#[test]
fn records_of_eight_numbers_are_not_two_of_four() {
    let folder = tempfile::tempdir().unwrap();
    let ranged = |i: usize| {
        let [x, y, z] = place(i);
        let range = (x * x + y * y + z * z).sqrt();
        vec![x, y, z, number(5 * i), (i % 32) as f32, y.atan2(x), range, number(11 * i)]
    };
    let normal = |i: usize| {
        let turn = 6.3 * number(9 * i);
        [place(i).as_slice(), &[number(5 * i), 0.6 * turn.cos(), 0.6 * turn.sin(), 0.8, 0.1 * number(11 * i)]].concat()
    };
    let padded = |i: usize| [place(i).as_slice(), &[1.0, 255.0 * number(5 * i), 0.0, 0.0, 0.0]].concat();
    for points in [16, 50, 3000] {
        for (record, read) in [
            (&ranged as &dyn Fn(usize) -> Vec<f32>, "x, y, z, intensity and others"),
            (&normal, "x, y, z, intensity and others"),
            (&padded, "x, y, z, 1, intensity"),
        ] {
            let (frame, warnings) = told(folder.path(), "a.bin", &floats((0..points).flat_map(record)));
            let said = format!("its records look like 8 numbers (f32), not 4: read as {read}");
            assert_eq!((frame.len(), &warnings), (points, &vec![said]));
            let last = points - 1;
            assert_eq!([frame.x[last], frame.y[last], frame.z[last]], place(last));
            assert!((frame.intensity.unwrap()[last] - number(5 * last)).abs() < 1e-5);
        }
        let scan = |i: usize| [place(i).as_slice(), &[number(5 * i)]].concat();
        let (frame, warnings) = told(folder.path(), "a.bin", &floats((0..2 * points).flat_map(scan)));
        assert_eq!((frame.len(), warnings.len()), (2 * points, 0));
    }
    let moving = |i: usize| {
        let v = [number(13 * i), number(17 * i), 0.1 * number(19 * i)];
        [place(i).as_slice(), &[number(5 * i)], &v, &[number(11 * i)]].concat()
    };
    let (frame, warnings) = told(folder.path(), "a.bin", &floats((0..3000).flat_map(moving)));
    assert_eq!(frame.len(), 6000);
    assert!(
        warnings[0].contains("its records look like 8 numbers (f32), not 4: read as 4 all the same"),
        "{warnings:?}"
    );
}

#[test]
fn what_is_no_scan_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = b"x,y,z\n1.25,2.5,3.5\n4.0,5.0,6.0\n\n";
    assert_eq!(text.len() % 16, 0);
    let error = refused(folder.path(), "a.bin", text);
    assert_eq!(error, "a.bin: offset 0: found text (\"x,y,z\"), expected records of 4 numbers (f32)");
    let pointer = format!("{:<128}", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    assert!(refused(folder.path(), "a.bin", pointer.as_bytes()).contains("found the pointer of git-lfs to a file"));
    for (magic, what) in [
        (&b"ply\n"[..], "Stanford polygon file"),
        (b"LASF", "ASPRS LAS"),
        (b"PAR1", "Parquet"),
        (b"\x1f\x8b\x08\x08", "gzip"),
        (b"# .PCD v0.7", "Point Cloud Library"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"PK\x03\x04", "zip"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
    ] {
        let bytes = [magic, &vec![0x80; 160 - magic.len()]].concat();
        for name in ["a.bin", "a.pcd.bin"] {
            let error = refused(folder.path(), name, &bytes);
            assert!(error.contains("offset 0: found ") && error.contains(what), "{error}");
        }
        let path = folder.path().join("a.bin");
        assert!(inspect(&path).problems.iter().any(|problem| problem.contains(what)), "{}", inspect(&path));
    }
    // Coordinates that begin with the same bytes, and no returns at all.
    let (frame, warnings) = told(folder.path(), "a.bin", &[0x1f, 0x8b, 0x08, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((frame.len(), warnings.len()), (1, 0));
    let (frame, warnings) = told(folder.path(), "a.bin", &[0; 32]);
    assert_eq!((frame.len(), warnings), (2, vec!["all 2 points lie at exactly (0, 0, 0): no returns?".into()]));
}

fn drain(path: &Path, options: &FilesOptions) -> Result<Vec<(i64, f32)>, BoxError> {
    let mut source = Files::open(path, options.clone())?;
    let mut frames = Vec::new();
    while let Next::Item(frame) = source.next()? {
        frames.push((frame.id, frame.x[0]));
    }
    Ok(frames)
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_keeps_its_place_among_the_scans() {
    let folder = tempfile::tempdir().unwrap();
    for scans in ["scans", "drive/velodyne"] {
        let at = folder.path().join(scans);
        std::fs::create_dir_all(&at).unwrap();
        for i in [0, 2] {
            std::fs::write(at.join(format!("{i}.bin")), floats([i as f32, 0.0, 0.0, 0.5])).unwrap();
        }
        std::os::unix::fs::symlink("nowhere.bin", at.join("1.bin")).unwrap();
        let input = folder.path().join(scans.split('/').next().unwrap());
        let error = drain(&input, &FilesOptions::default()).unwrap_err().to_string();
        assert!(error.contains("1.bin: No such file"), "{error}");
        let skip = FilesOptions { on_error: OnError::Skip, ..FilesOptions::default() };
        assert_eq!(drain(&input, &skip).unwrap(), [(0, 0.0), (2, 2.0)]);
        assert_eq!(skip.read.notices.drops()["unreadable"].count, 1);
        let report = inspect(&input);
        assert_eq!(report.points, Some(2));
        assert!(report.problems.iter().any(|problem| problem.contains("1.bin: No such file")), "{report}");
    }
}

#[test]
fn a_frame_s_number_may_be_written_with_a_point_and_a_large_one_is_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let frames = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        drain(&path, &FilesOptions::default()).unwrap().into_iter().map(|frame| frame.0).collect::<Vec<_>>()
    };
    let numbers = [2.0, 3.0, 1_000_000.0, 99_999_999.0];
    let whole = numbers.map(|n| n as i64);
    let text = |form: fn(f64) -> String, line: fn(String) -> String| {
        numbers.iter().map(|&n| line(form(n))).collect::<String>()
    };
    let forms: [fn(f64) -> String; 3] = [|n| format!("{n:.1}"), |n| format!("{n:.3}"), |n| format!("{n:e}")];
    for form in forms {
        let csv = "frame,x,y,z\n".to_string() + &text(form, |n| format!("{n},1,2,3\n"));
        assert_eq!(frames("a.csv", csv.as_bytes()), whole, "{csv}");
        let json = text(form, |n| format!("{{\"frame\":{n},\"x\":1,\"y\":2,\"z\":3}}\n"));
        assert_eq!(frames("a.jsonl", json.as_bytes()), whole, "{json}");
    }
    let axis = || Arc::new(Float64Array::from(vec![1.0; 4])) as ArrayRef;
    let frame = Arc::new(Float64Array::from(numbers.to_vec())) as ArrayRef;
    let bytes = table(vec![("frame", frame), ("x", axis()), ("y", axis()), ("z", axis())]);
    assert_eq!(frames("a.parquet", &bytes), whole);
    // With a point and as large as seconds of these years it is a moment.
    let stamps = b"frame,x,y,z\n1711852200.0,1,2,3\n1711852200.25,1,2,3\n1711852201.5,1,2,3\n";
    assert_eq!(
        frames("b.csv", stamps),
        [1_711_852_200_000_000_000, 1_711_852_200_250_000_000, 1_711_852_201_500_000_000]
    );
    assert_eq!(frames("c.csv", b"frame,x,y,z\n1711852200,1,2,3\n"), [1_711_852_200]);
}

#[test]
fn a_pose_that_is_no_rigid_motion_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("velodyne")).unwrap();
    for i in 0..2 {
        std::fs::write(at(&format!("velodyne/{i}.bin")), floats([1.0, 0.0, 0.0, 0.5])).unwrap();
    }
    let same = "1 0 0 0 0 1 0 0 0 0 1 0";
    let error = |poses: &str, calib: &str| {
        std::fs::write(at("poses.txt"), format!("{same}\n{poses}\n")).unwrap();
        std::fs::write(at("calib.txt"), format!("P0: {same}\nTr: {calib}\n")).unwrap();
        drain(folder.path(), &FilesOptions::default()).err().map(|error| error.to_string())
    };
    let swap = "4.276802385584e-04 -9.999672484946e-01 -8.084491683471e-03 -1.198459927713e-02 \
                -7.210626507497e-03 8.081198471645e-03 -9.999413164504e-01 -5.403984729748e-02 \
                9.999738645903e-01 4.859485810390e-04 -7.206933692422e-03 -2.921968648686e-01";
    assert_eq!(error(same, swap), None, "KITTI's own, of drive 00");
    let rigid = "12 numbers, a 3×4 matrix [R | t] row by row, R a rotation";
    let zeros = "0 0 0 0 0 0 0 0 0 0 0 0";
    for wrong in [zeros, "100 0 0 0 0 100 0 0 0 0 100 0", "1 0 0.02 0 0 1 0 0 0 0 1 0", "1e200 0 0 0 0 1 0 0 0 0 1 0"] {
        let message = error(wrong, swap).unwrap();
        assert!(message.ends_with(&format!("poses.txt: line 2: found \"{wrong}\", expected {rigid}")), "{message}");
        assert!(inspect(folder.path()).problems.contains(&message), "{message}");
        let message = error(same, wrong).unwrap();
        assert!(message.contains("calib.txt: line 2: found \"Tr: ") && message.ends_with(rigid), "{message}");
        assert!(inspect(folder.path()).problems.contains(&message), "{message}");
    }
    assert!(error("1 0 0 1e200 0 1 0 0 0 0 1 0", swap).is_some());
}

#[test]
fn names_of_columns_may_have_blanks() {
    let folder = tempfile::tempdir().unwrap();
    for (name, header, divider) in [
        ("a.txt", "//X,Y,Z,Scan Angle Rank", ","),
        ("a.asc", "x,y,z,Scan Angle", ", "),
        ("b.asc", "//X;Y;Z;Scan Angle Rank", ";"),
        ("b.txt", "x\ty\tz\tscan angle", "\t"),
        ("c.txt", "//X Y Z angle", " "),
    ] {
        let rows = ["1.5 2.5 3.5 -4", "5 6 7 8"].map(|row| row.replace(' ', divider)).join("\n");
        let (frame, warnings) = told(folder.path(), name, format!("{header}\n{rows}\n").as_bytes());
        assert_eq!((frame.x, frame.y, frame.z), (vec![1.5, 5.0], vec![2.5, 6.0], vec![3.5, 7.0]), "{name}");
        assert!(frame.dropped.is_empty() && warnings.is_empty() && frame.intensity.is_none(), "{name}: {warnings:?}");
        let frames = drain(&folder.path().join(name), &FilesOptions::default()).unwrap();
        assert_eq!(frames, [(0, 1.5)], "{name}");
    }
}

#[test]
fn vertices_that_a_header_does_not_count_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "1 2 3 0.5\n4 5 6 0.5\n";
    let one = ply("float intensity", rows, 1);
    let (frame, warnings) = told(folder.path(), "a.ply", one.as_bytes());
    assert_eq!((frame.len(), warnings), (1, vec!["1 lines behind the 1 vertices of the header".to_string()]));
    // A face of which the header tells is no vertex.
    let face = |text: &str| text.replace("end_header", "element face 1\nproperty list uchar int v\nend_header");
    for (count, behind) in [(2, 0), (1, 1)] {
        let text = face(&ply("float intensity", rows, count)) + "3 0 1 1\n\n";
        assert_eq!(told(folder.path(), "a.ply", text.as_bytes()).1.len(), behind, "{count}");
    }

    let list = "list char int ids";
    let error = refused(folder.path(), "a.ply", ply(list, "1 2 3 -1\n", 1).as_bytes());
    assert!(error.contains("line 9: found \"1 2 3 -1\""), "{error}");
    for (encoding, length) in [("binary_little_endian", -1i8), ("binary_big_endian", -100)] {
        let mut bytes = ply(list, "", 1).replace("ascii", encoding).into_bytes();
        bytes.extend([0; 12]);
        bytes.push(length as u8);
        let found = format!("found a list ids of {length} numbers, expected a whole number of them, 0 or more");
        let error = refused(folder.path(), "a.ply", &bytes);
        assert!(error.contains(&found), "{error}");
    }
}

#[test]
fn a_viewpoint_that_is_no_pose_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let of = |viewpoint: &str| {
        let text = pcd("intensity", "4 F", &["0.5"]).replace("DATA", &format!("VIEWPOINT {viewpoint}\nDATA"));
        told(folder.path(), "a.pcd", text.as_bytes())
    };
    let (frame, warnings) = of("1 2 3 1 0 0 0");
    assert!(frame.pose.is_some() && warnings.is_empty(), "{warnings:?}");
    for wrong in ["nan 0 0 1 0 0 0", "0 0 0 0 0 0 0", "a b c d e f g", "0 0 0 1 0 0"] {
        let (frame, warnings) = of(wrong);
        assert_eq!((frame.len(), frame.pose, warnings.len()), (1, None, 1), "{wrong}");
        assert!(warnings[0].starts_with(&format!("line 6: found \"VIEWPOINT {wrong}\", expected ")), "{warnings:?}");
        let problems = inspect(&folder.path().join("a.pcd")).problems;
        assert!(problems.iter().any(|problem| problem.contains(&warnings[0])), "{problems:?}");
    }
}

#[test]
fn an_array_that_is_no_list_of_points_is_named_by_type_and_shape() {
    let folder = tempfile::tempdir().unwrap();
    let error = |descr: &str, order: &str, shape: &str| {
        let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        refused(
            folder.path(),
            "a.npy",
            &[b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), &[0; 64]].concat(),
        )
    };
    let expected = ", expected numbers [points, 3 to 16], or a structured array with x, y, z";
    let found = |found: &str| format!("a.npy: found an array {found}{expected}");
    assert_eq!(error("'<f4'", "False", "(3, 400)"), found("[3, 400] of numbers of type <f4"));
    assert_eq!(error("'<c8'", "False", "(400, 3)"), found("[400, 3] of type <c8"));
    assert_eq!(error("'|O'", "False", "(400, 3)"), found("[400, 3] of type |O"));
    assert_eq!(error("'<f8'", "False", "(1200,)"), found("[1200] of numbers of type <f8"));
    let descr = "[('x', '<f2'), ('y', '<f4'), ('z', '<f4')]";
    assert_eq!(error(descr, "False", "(5,)"), found("[5] with x of type <f2"));
}
