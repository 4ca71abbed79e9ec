//! Sources of frames: sequences, folders, files that grow, and replay.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thalweg::{BoxError, Frame, Next, Pose, Source};
use thalweg_connectors::OnError;
use thalweg_connectors::points::files_options::FilesOptions;
use thalweg_connectors::points::folder::{Files, Input};
use thalweg_connectors::points::map_origin::{MapOrigin, WorldOrigin};
use thalweg_connectors::points::replay::{Loop, Rate};
use thalweg_connectors::sim::street::Street;

/// A scan of `n` points whose x counts from `first`.
fn scan(first: f32, n: usize) -> Vec<u8> {
    (0..n).flat_map(|i| [first + i as f32, 0.0, 0.0, 0.5]).flat_map(f32::to_le_bytes).collect()
}

fn drain(source: &mut impl Source<Item = Frame>) -> Result<Vec<Frame>, BoxError> {
    let mut out = Vec::new();
    loop {
        match source.next()? {
            Next::Item(frame) => out.push(frame),
            Next::Idle => return Ok(out),
            Next::End => return Ok(out),
        }
    }
}

/// Asks until a frame comes; gives up after 10 s.
fn wait(source: &mut impl Source<Item = Frame>) -> Frame {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        let asked = Instant::now();
        match source.next().unwrap() {
            Next::Item(frame) => return frame,
            Next::Idle => assert!(asked.elapsed() < Duration::from_secs(1), "blocked"),
            Next::End => panic!("ended"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no frame in 10 s")
}

fn idle_for(source: &mut impl Source<Item = Frame>, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        assert!(matches!(source.next().unwrap(), Next::Idle));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn sequence(folder: &Path, frames: usize) {
    std::fs::create_dir(folder.join("velodyne")).unwrap();
    for i in 0..frames {
        std::fs::write(folder.join(format!("velodyne/{i:06}.bin")), scan(i as f32, 3)).unwrap();
    }
}

#[test]
fn a_sequence_has_poses_times_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    sequence(folder.path(), 2);
    // Camera axes: x right, y down, z forward; the car moves 2 m forward and 1 m to the right.
    std::fs::write(at("poses.txt"), "1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 1 0 1 0 0 0 0 1 2\n").unwrap();
    std::fs::write(at("times.txt"), "0.000000e+00\n1.036224e-01\n").unwrap();
    std::fs::create_dir(at("labels")).unwrap();
    let words = [10u32, 7 << 16 | 259, 99].map(u32::to_le_bytes).concat();
    std::fs::write(at("labels/000001.label"), &words).unwrap();
    let options = FilesOptions::default();
    let mut source = Files::open(folder.path(), options.clone()).unwrap();
    let warnings = options.read.notices.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("no Tr"), "{warnings:?}");
    let frames = drain(&mut source).unwrap();
    assert_eq!(frames.iter().map(|f| f.id).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(frames[0].pose, Some(Pose::IDENTITY));
    assert_eq!(frames[1].pose.unwrap().apply([0.0; 3]), [2.0, -1.0, 0.0], "sensor axes: x forward, y left, z up");
    assert_eq!((frames[0].time_ns, frames[1].time_ns), (Some(0), Some(103_622_400)));
    assert_eq!(frames[0].truth, None);
    let truth = frames[1].truth.clone().unwrap();
    assert_eq!((truth.class, truth.instance), (vec![1, 5, 0], vec![0, 7, 0]));

    // A calibration: the sensor stands 0.5 m ahead of the camera; no warning.
    std::fs::write(at("calib.txt"), "P0: 1 0 0 0 0 1 0 0 0 0 1 0\nTr: 0 -1 0 0 0 0 -1 0 1 0 0 0.5\n").unwrap();
    std::fs::write(at("poses.txt"), "1 0 0 0 0 1 0 0 0 0 1 0\n0 0 1 0 0 1 0 0 -1 0 0 0\n").unwrap();
    let options = FilesOptions::default();
    let mut source = Files::open(folder.path(), options.clone()).unwrap();
    assert!(options.read.notices.warnings().is_empty());
    let turned = drain(&mut source).unwrap()[1].pose.unwrap();
    // The camera turns a quarter to the right about itself: a sensor 0.5 m ahead of it then stands 0.5 m to its right.
    assert_eq!(turned.apply([0.0; 3]), [-0.5, -0.5, 0.0]);
}

#[test]
fn what_does_not_fit_a_sequence_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    sequence(folder.path(), 2);
    let error = || match Files::open(folder.path(), FilesOptions::default()) {
        Err(error) => error.to_string(),
        Ok(mut source) => drain(&mut source).unwrap_err().to_string(),
    };
    std::fs::write(at("times.txt"), "0\n").unwrap();
    assert!(error().ends_with("times.txt: line 1: found 1 lines, expected 2, one for each scan"), "{}", error());
    std::fs::write(at("times.txt"), "0\nb\n").unwrap();
    assert!(error().ends_with("times.txt: line 2: found \"b\", expected a time in seconds"), "{}", error());
    std::fs::remove_file(at("times.txt")).unwrap();
    std::fs::write(at("poses.txt"), "1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1\n").unwrap();
    assert!(error().contains("poses.txt: line 2: found"), "{}", error());
    std::fs::remove_file(at("poses.txt")).unwrap();
    std::fs::create_dir(at("labels")).unwrap();
    std::fs::write(at("labels/000000.label"), [0; 8]).unwrap();
    let message = error();
    assert!(message.contains("labels/000000.label: the file: found 2 labels (8 bytes), expected 3"), "{message}");
    assert!(message.ends_with("velodyne/000000.bin"), "{message}");
}

#[test]
fn frames_are_numbered_by_position_or_by_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (i, name) in ["b.bin", "a.bin", "c.bin", ".hidden.bin", "notes.txt", "d.bin"].iter().enumerate() {
        std::fs::write(at(name), scan(10.0 * i as f32, 1)).unwrap();
    }
    let open = |start_offset, until| {
        let options = FilesOptions { start_offset, until, ..FilesOptions::default() };
        drain(&mut Files::open(folder.path(), options).unwrap()).unwrap()
    };
    let shown = |frames: Vec<Frame>| frames.iter().map(|f| (f.id, f.x[0])).collect::<Vec<_>>();
    assert_eq!(shown(open(0, None)), [(0, 10.0), (1, 0.0), (2, 20.0), (3, 50.0)]);
    assert_eq!(shown(open(1, Some(3))), [(1, 0.0), (2, 20.0)]);
    assert_eq!(shown(open(4, None)), []);
    let tables = tempfile::tempdir().unwrap();
    std::fs::write(tables.path().join("1.csv"), "frame,x,y,z\n5,1,0,0\n7,2,0,0\n").unwrap();
    std::fs::write(tables.path().join("2.csv"), "x,y,z\n3,0,0\n").unwrap();
    let options = FilesOptions { start_offset: 1, ..FilesOptions::default() };
    let frames = drain(&mut Files::open(tables.path(), options).unwrap()).unwrap();
    assert_eq!(shown(frames), [(7, 2.0), (2, 3.0)]);
    let empty = tempfile::tempdir().unwrap();
    let error = Files::open(empty.path(), FilesOptions::default()).err().unwrap().to_string();
    assert!(error.contains("found a folder without frames, expected files .bin"), "{error}");
    std::fs::write(at("c.bin"), [0; 17]).unwrap();
    let error = drain(&mut Files::open(folder.path(), FilesOptions::default()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("c.bin: offset 16"), "{error}");
}

fn numbers(frames: &[Frame]) -> Vec<(i64, f32)> {
    frames.iter().map(|f| (f.id, f.x[0])).collect()
}

#[test]
fn all_inputs_are_one_source() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for i in 0..4 {
        std::fs::write(at(&format!("{i}.bin")), scan(i as f32, 1)).unwrap();
    }
    let read = |names: &[&str], options: FilesOptions| {
        let inputs: Vec<_> = names.iter().map(|name| Input::Path(at(name))).collect();
        drain(&mut Files::over(inputs, options)?)
    };
    let span = |start_offset, until| FilesOptions { start_offset, until, ..FilesOptions::default() };
    let bins = ["3.bin", "0.bin", "2.bin", "1.bin"];
    assert_eq!(numbers(&read(&bins, span(1, None)).unwrap()), [(1, 0.0), (2, 2.0), (3, 1.0)]);
    assert_eq!(numbers(&read(&bins, span(1, Some(3))).unwrap()), [(1, 0.0), (2, 2.0)]);
    let street = Input::Source(Box::new(Street::new(2, 1)));
    let inputs = [Input::Path(at("1.bin")), street, Input::Path(at("2.bin"))];
    let frames = drain(&mut Files::over(inputs, span(2, None)).unwrap()).unwrap();
    assert_eq!(frames.iter().map(|f| (f.id, f.len() > 1)).collect::<Vec<_>>(), [(2, true), (3, false)]);

    // Two parts of one export, cut within frame 7; the second has f64 coordinates that lose an origin.
    std::fs::write(at("a.csv"), "frame,x,y,z,intensity\n6,1,0,0,.5\n7,2,0,0,.5\n").unwrap();
    std::fs::write(at("b.csv"), "frame,x,y,z,intensity\n7,3,0,0,.25\n9,4,0,0,.5\n").unwrap();
    let frames = read(&["a.csv", "b.csv"], span(0, None)).unwrap();
    assert_eq!(
        frames.iter().map(|f| (f.id, f.x.clone())).collect::<Vec<_>>(),
        [(6, vec![1.0]), (7, vec![2.0, 3.0]), (9, vec![4.0])]
    );
    assert_eq!(frames[1].intensity, Some(vec![0.5, 0.25]));
    assert_eq!(numbers(&read(&["a.csv", "b.csv"], span(1, Some(2))).unwrap()), [(7, 2.0)]);
    // The numbers of frames are the input's own, whatever stands before it.
    assert_eq!(
        numbers(&read(&["0.bin", "a.csv", "1.bin"], span(0, None)).unwrap()),
        [(0, 0.0), (6, 1.0), (7, 2.0), (3, 1.0)]
    );
    let error = read(&["b.csv", "a.csv"], span(0, None)).unwrap_err().to_string();
    assert!(
        error.ends_with("a.csv: the file: found frame 6 after frame 9, expected ascending frames, each in one piece")
    );
    let skip = FilesOptions { on_error: OnError::Skip, ..FilesOptions::default() };
    std::fs::write(at("torn.bin"), [0; 33]).unwrap();
    let frames = read(&["b.csv", "torn.bin", "a.csv", "2.bin"], skip.clone()).unwrap();
    assert_eq!(numbers(&frames), [(7, 3.0), (9, 4.0), (3, 2.0)]);
    assert_eq!(skip.read.notices.drops()["unreadable"].count, 3);
    assert!(skip.read.notices.warnings().iter().any(|w| w.contains("torn.bin: passed over: offset 32")));
}

#[test]
fn a_folder_has_frames_of_one_format_in_the_order_of_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for i in [10, 2, 1] {
        std::fs::write(at(&format!("{i}.bin")), scan(i as f32, 1)).unwrap();
    }
    std::fs::write(at("trajectory.csv"), "x,y,z\n1,2,3\n").unwrap();
    std::fs::write(at("readme.txt"), "A drive in the rain.\n").unwrap();
    let options = FilesOptions::default();
    let frames = drain(&mut Files::open(folder.path(), options.clone()).unwrap()).unwrap();
    assert_eq!(numbers(&frames), [(0, 1.0), (1, 2.0), (2, 10.0)]);
    let warnings = options.read.notices.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("passed over trajectory.csv: "), "{warnings:?}");
    let csv = thalweg_connectors::points::registry::by_name("csv").unwrap();
    let options = FilesOptions { format: Some(csv), ..FilesOptions::default() };
    let frames = drain(&mut Files::open(folder.path(), options.clone()).unwrap()).unwrap();
    assert_eq!(numbers(&frames), [(0, 1.0)]);
    assert!(options.read.notices.warnings()[0].contains("passed over 1.bin, 2.bin, 10.bin: "));
}

/// Files of a followed folder that have to rest for 100 ms.
fn following() -> FilesOptions {
    let settle = Duration::from_millis(100);
    FilesOptions { follow: true, settle, on_error: OnError::Skip, ..FilesOptions::default() }
}

#[test]
fn a_folder_is_followed_file_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = FilesOptions { settle: Duration::from_millis(500), ..following() };
    let (stop, notices) = (options.stop.clone(), options.read.notices.clone());
    let mut source = Files::open(&at("drive"), options).unwrap();
    idle_for(&mut source, Duration::from_millis(60));
    std::fs::create_dir(at("drive")).unwrap();
    let at = |name: &str| folder.path().join("drive").join(name);
    std::fs::write(at("8.bin"), scan(8.0, 1)).unwrap();
    assert_eq!(wait(&mut source).x, [8.0]);
    // A writer that goes on between any two looks, and rests within a record: nothing comes of the file, nor of the one behind it.
    let mut growing = OpenOptions::new().create(true).append(true).open(at("9.bin")).unwrap();
    for i in 0..10 {
        growing.write_all(&scan(i as f32, 1)).unwrap();
        if i == 3 {
            std::fs::write(at("10.bin"), scan(10.0, 1)).unwrap();
        }
        idle_for(&mut source, Duration::from_millis(20));
    }
    let whole = wait(&mut source);
    assert_eq!((whole.id, whole.len()), (1, 10));
    assert_eq!(wait(&mut source).x, [10.0]);
    growing.write_all(&scan(0.0, 1)).unwrap();
    idle_for(&mut source, Duration::from_millis(700));
    assert!(notices.warnings()[0].contains("9.bin: changed after it was read (160 bytes, 176 since)"));
    // Renamed into place, in the same folder or from another, before the last one taken: at once.
    std::fs::write(at("5.part"), scan(5.0, 1)).unwrap();
    std::fs::write(folder.path().join("6.bin"), scan(6.0, 1)).unwrap();
    idle_for(&mut source, Duration::from_millis(100));
    std::fs::rename(at("5.part"), at("5.bin")).unwrap();
    let began = Instant::now();
    assert_eq!(wait(&mut source).x, [5.0]);
    std::fs::rename(folder.path().join("6.bin"), at("6.bin")).unwrap();
    assert_eq!(wait(&mut source).x, [6.0]);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    // Another file under the name of one that was read; one that was read under another name.
    std::fs::write(at("8.part"), scan(88.0, 1)).unwrap();
    std::fs::rename(at("8.part"), at("8.bin")).unwrap();
    std::fs::rename(at("5.bin"), at("55.bin")).unwrap();
    assert_eq!(wait(&mut source).x, [88.0]);
    idle_for(&mut source, Duration::from_millis(150));
    // An empty file rests too. What is there when the run ends goes through, but not what is torn.
    std::fs::write(at("11.bin"), "").unwrap();
    idle_for(&mut source, Duration::from_millis(200));
    assert!(wait(&mut source).is_empty());
    std::fs::write(at("12.bin"), &scan(0.0, 2)[..21]).unwrap();
    std::fs::write(at("13.bin"), scan(13.0, 1)).unwrap();
    stop.store(true, Ordering::Relaxed);
    assert_eq!(wait(&mut source).x, [13.0]);
    let began = Instant::now();
    while !matches!(source.next().unwrap(), Next::End) {
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    assert!(notices.warnings().iter().any(|w| w.ends_with("left 12.bin: not whole when the run ended")), "{notices:?}");
}

#[test]
fn a_file_that_knows_its_length_is_taken_when_it_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["packed.pcd", "padded.pcd", "little.ply", "format03.las", "format03.laz", "tables/three.parquet"] {
        let from = crate::support::fixtures().join(name);
        let Ok(bytes) = std::fs::read(&from) else { panic!("{name}") };
        let ending = from.extension().unwrap().to_string_lossy().into_owned();
        let sub = folder.path().join(name.replace('/', "-"));
        std::fs::create_dir(&sub).unwrap();
        let options = following();
        let mut source = Files::open(&sub, options.clone()).unwrap();
        let path = sub.join(format!("a.{ending}"));
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        // Longer than it takes to settle, within the header and before the last byte.
        for part in [&bytes[..bytes.len() / 3], &bytes[bytes.len() / 3..bytes.len() - 1]] {
            file.write_all(part).unwrap();
            idle_for(&mut source, Duration::from_millis(150));
        }
        file.write_all(&bytes[bytes.len() - 1..]).unwrap();
        assert!(!wait(&mut source).is_empty(), "{name}");
        assert!(options.read.notices.drops().is_empty());
    }
    // What is no file of its format is passed over, and read once it is.
    let options = following();
    let mut source = Files::open(&at("broken"), options.clone()).unwrap();
    std::fs::create_dir(at("broken")).unwrap();
    std::fs::write(at("broken/a.ply"), "ply\nformat ascii 1.0\nend_header\n").unwrap();
    idle_for(&mut source, Duration::from_millis(250));
    assert_eq!(options.read.notices.drops()["unreadable"].count, 1);
    std::fs::copy(crate::support::fixtures().join("ascii.ply"), at("broken/a.ply")).unwrap();
    assert!(!wait(&mut source).is_empty());
}

#[test]
fn scans_take_the_poses_of_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        std::fs::write(at(name), text).unwrap();
    };
    let poses = |frames: std::ops::Range<usize>, lead: &dyn Fn(usize) -> String| {
        frames.map(|i| format!("{}1 0 0 0 0 1 0 0 0 0 1 {i}\n", lead(i))).collect::<String>()
    };
    let places = |path: &Path| -> Result<Vec<f64>, BoxError> {
        let frames = drain(&mut Files::open(path, FilesOptions::default())?)?;
        Ok(frames.iter().map(|f| f.pose.unwrap().apply([0.0; 3])[0]).collect())
    };
    let scans = |sequence: &str, names: &[&str]| {
        std::fs::create_dir_all(at(sequence).join("velodyne")).unwrap();
        names.iter().for_each(|n| std::fs::write(at(sequence).join("velodyne").join(n), scan(0.0, 3)).unwrap());
    };
    scans("a", &["0.bin", "10.bin", "2.bin", "11.bin"]);
    write("a/poses.txt", &poses(0..12, &|_| String::new()));
    assert_eq!(places(&at("a")).unwrap(), [0.0, 2.0, 10.0, 11.0]);
    // 13 numbers: frames that the text numbers, which need not be all; or times.
    write(
        "a/poses.txt",
        &poses(0..12, &|i| format!("{} ", if i > 4 { i } else { i + 100 })).replace("102 ", "2 ").replace("100 ", "0 "),
    );
    assert_eq!(places(&at("a")).unwrap(), [0.0, 2.0, 10.0, 11.0]);
    write("a/poses.txt", &poses(0..4, &|i| format!("{}.25 ", i)));
    assert_eq!(places(&at("a")).unwrap(), [0.0, 1.0, 2.0, 3.0], "one line a scan, in order");
    scans("sequences/07", &["000001.bin", "000000.bin"]);
    write("poses/07.txt", &poses(0..2, &|_| String::new()));
    assert_eq!(places(&at("sequences/07")).unwrap(), [0.0, 1.0], "the benchmark's own layout");
    write("poses/07.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 nan 0 1 0 0 0 0 1 0\n");
    let found = "07.txt: line 2: found \"1 0 0 nan 0 1 0 0 0 0 1 0\"";
    assert!(places(&at("sequences/07")).unwrap_err().to_string().contains(found));
    let check = thalweg_connectors::points::kitti::check(&at("sequences/07"));
    assert!(check.iter().any(|problem| problem.contains(found)), "{check:?}");

    // A map in UTM: the world loses the thousands of the first pose.
    let utm = "1 0 0 -650123 0 1 0 0 0 0 1 5412345\n1 0 0 -650120 0 1 0 0 0 0 1 5412346\n";
    write("poses/07.txt", utm);
    let world = WorldOrigin::default();
    let files = Files::open(&at("sequences/07"), FilesOptions::default()).unwrap();
    let frames = drain(&mut MapOrigin::new(files, 0.2, world.clone())).unwrap();
    let translation = |f: &Frame| f.pose.unwrap().apply([0.0; 3]);
    assert_eq!(world.get(), Some([5_412_000.0, 650_000.0, 0.0]));
    assert_eq!(frames.iter().map(translation).collect::<Vec<_>>(), [[345.0, 123.0, 0.0], [346.0, 120.0, 0.0]]);
    let world = WorldOrigin::default();
    let files = Files::open(&at("sequences/07"), FilesOptions::default()).unwrap();
    drain(&mut MapOrigin::new(files, 10.0, world.clone())).unwrap();
    assert_eq!(world.get(), None, "within the grid");
}

#[test]
fn a_followed_scan_waits_for_its_pose() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = FilesOptions { poses: true, ..following() };
    let (stop, notices) = (options.stop.clone(), options.read.notices.clone());
    let mut source = Files::open(folder.path(), options).unwrap();
    idle_for(&mut source, Duration::from_millis(60));
    sequence(folder.path(), 3);
    idle_for(&mut source, Duration::from_millis(250));
    let mut poses = OpenOptions::new().create(true).append(true).open(at("poses.txt")).unwrap();
    poses.write_all(b"1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1 ").unwrap();
    assert_eq!(wait(&mut source).pose, Some(Pose::IDENTITY));
    idle_for(&mut source, Duration::from_millis(150));
    poses.write_all(b"2\n").unwrap();
    assert_eq!(wait(&mut source).pose.unwrap().apply([0.0; 3]), [2.0, 0.0, 0.0]);
    idle_for(&mut source, Duration::from_millis(60));
    stop.store(true, Ordering::Relaxed);
    while !matches!(source.next().unwrap(), Next::End) {}
    assert!(notices.warnings().iter().any(|w| w.contains("000002.bin: no line of poses.txt")), "{notices:?}");
}

#[test]
fn a_growing_table_gives_its_frames_as_they_are_complete() {
    for (name, header, row) in [
        ("a.csv", "frame,x,y,z\n", (|f, x| format!("{f},{x},0,0\n")) as fn(i32, i32) -> String),
        ("a.jsonl", "", |f, x| format!("{{\"frame\":{f},\"x\":{x},\"y\":0,\"z\":0}}\n")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, "").unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        let mut append = |text: &str| file.write_all(text.as_bytes()).unwrap();
        let options = FilesOptions { follow: true, ..FilesOptions::default() };
        let stop = options.stop.clone();
        let mut source = Files::open(&path, options).unwrap();
        idle_for(&mut source, Duration::from_millis(30));
        append(header);
        append(&row(4, 1));
        append(&row(4, 2)[..5]);
        idle_for(&mut source, Duration::from_millis(30));
        append(&row(4, 2)[5..]);
        idle_for(&mut source, Duration::from_millis(30));
        append(&row(6, 3));
        let first = wait(&mut source);
        assert_eq!((first.id, first.x.clone()), (4, vec![1.0, 2.0]), "{name}");
        append(row(6, 4).trim_end());
        idle_for(&mut source, Duration::from_millis(30));
        stop.store(true, Ordering::Relaxed);
        let last = wait(&mut source);
        assert_eq!((last.id, last.x.clone()), (6, vec![3.0]), "{name}: the last line has no end");
        assert!(matches!(source.next().unwrap(), Next::End));
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.bin"), scan(0.0, 1)).unwrap();
    let options = FilesOptions { follow: true, ..FilesOptions::default() };
    let error = Files::open(&folder.path().join("a.bin"), options).err().unwrap().to_string();
    assert!(error.contains("expected a folder, or a CSV or JSONL table"), "{error}");
}

/// Frames with given stamps.
struct Stamped(std::vec::IntoIter<Option<i64>>, i64);

impl Source for Stamped {
    type Item = Frame;
    fn name(&self) -> String {
        "stamped".into()
    }
    fn next(&mut self) -> Result<Next<Frame>, BoxError> {
        self.1 += 1;
        let frame = |time_ns| Next::Item(Frame { id: self.1 - 1, time_ns, ..Frame::default() });
        Ok(self.0.next().map_or(Next::End, frame))
    }
}

#[test]
fn the_rate_is_that_of_the_stamps() {
    let ms = |t: i64| Some(t * 1_000_000);
    // 0, 200 and 600 ms, then none: 100 ms each; at twice the speed all is over after 400 ms.
    let stamps = vec![ms(50), ms(250), ms(650), None, None];
    let mut source = Rate::new(Stamped(stamps.clone().into_iter(), 0), 2.0);
    let began = Instant::now();
    for due in [0, 100, 300, 350, 400] {
        let frame = wait(&mut source);
        let late = began.elapsed().as_secs_f64() * 1e3 - f64::from(due);
        assert!((0.0..500.0).contains(&late), "frame {}: {late} ms late", frame.id);
    }
    assert!(matches!(source.next().unwrap(), Next::End));
    let began = Instant::now();
    assert_eq!(drain(&mut Rate::new(Stamped(stamps.into_iter(), 0), 0.0)).unwrap().len(), 5);
    assert!(began.elapsed() < Duration::from_millis(350));
}

#[test]
fn a_loop_counts_on() {
    let passes = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = passes.clone();
    let open = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Stamped(vec![Some(1_000), Some(1_300), Some(1_400)].into_iter(), 5))
    };
    let mut source = Loop::new(open).unwrap();
    let frames: Vec<_> = (0..8).map(|_| wait(&mut source)).map(|f| (f.id, f.time_ns.unwrap())).collect();
    assert_eq!(frames[..3], [(5, 1_000), (6, 1_300), (7, 1_400)]);
    // The step to the last frame, 100 ns, leads to the next pass.
    assert_eq!(frames[3..6], [(8, 1_500), (9, 1_800), (10, 1_900)]);
    assert_eq!(frames[6..], [(11, 2_000), (12, 2_300)]);
    assert_eq!(passes.load(Ordering::Relaxed), 3);
    let mut empty = Loop::new(|| Ok(Stamped(vec![].into_iter(), 0))).unwrap();
    assert!(matches!(empty.next().unwrap(), Next::End));
}

/// The excerpts of KITTI stand as LAZ with `poses.txt` beside them, cameras looking ahead: the car drives along x.
#[test]
fn shared_sequences_have_poses_and_times() {
    let Some(folder) = crate::support::lidar().map(|f| f.join("rancheng-mini_kitti_dataset/laz")) else { return };
    for sequence in ["00", "04", "07"] {
        let options = FilesOptions { until: Some(3), ..FilesOptions::default() };
        let notices = options.read.notices.clone();
        let mut source = Files::open(&folder.join(sequence), options).unwrap();
        assert_eq!(notices.warnings().len(), 1, "no Tr in these");
        let frames = drain(&mut source).unwrap();
        assert_eq!(frames.iter().map(|f| f.id).collect::<Vec<_>>(), [0, 1, 2]);
        let step = |a: &Frame, b: &Frame| {
            let [a, b] = [a, b].map(|f| f.pose.unwrap().apply([0.0; 3]));
            [0, 1, 2].map(|axis| b[axis] - a[axis])
        };
        for pair in frames.windows(2) {
            let [x, y, z] = step(&pair[0], &pair[1]);
            // Ten frames a second, from a start to town speed.
            assert!((0.01..3.0).contains(&x) && y.abs() < 0.2 && z.abs() < 0.2, "{sequence}: {x} {y} {z}");
            let seconds = (pair[1].time_ns.unwrap() - pair[0].time_ns.unwrap()) as f64 / 1e9;
            assert!((0.09..0.12).contains(&seconds), "{sequence}: {seconds} s");
        }
        assert!(frames[0].truth.is_some());
    }
}
