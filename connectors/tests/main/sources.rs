//! Sources of frames: sequences, folders, files that grow, and replay.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thalweg::{BoxError, Frame, Next, Pose, Source};
use thalweg_connectors::points::folder::{Files, FilesOptions};
use thalweg_connectors::points::replay::{Loop, Rate};

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
    let mut source = Files::open(folder.path(), FilesOptions::default()).unwrap();
    assert_eq!(source.warnings().len(), 1);
    assert!(source.warnings()[0].contains("no Tr"));
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
    let mut source = Files::open(folder.path(), FilesOptions::default()).unwrap();
    assert!(source.warnings().is_empty());
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
    std::fs::write(at("times.txt"), "0\n1\n2\n").unwrap();
    assert!(error().ends_with("times.txt: line 3: found 3 lines, expected 2, one for each scan"), "{}", error());
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

#[test]
fn a_folder_is_followed_file_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = FilesOptions { follow: true, ..FilesOptions::default() };
    let stop = options.stop.clone();
    std::fs::write(at("1.bin"), scan(1.0, 1)).unwrap();
    let mut source = Files::open(folder.path(), options).unwrap();
    assert_eq!(wait(&mut source).x, [1.0]);
    idle_for(&mut source, Duration::from_millis(150));
    // A writer that goes on between any two looks: nothing comes of the file, nor of the one behind it, before it rests.
    let mut growing = OpenOptions::new().create(true).append(true).open(at("2.bin")).unwrap();
    for i in 0..10 {
        growing.write_all(&scan(i as f32, 1)).unwrap();
        if i == 3 {
            std::fs::write(at("3.bin"), scan(30.0, 1)).unwrap();
        }
        assert!(matches!(source.next().unwrap(), Next::Idle));
        std::thread::sleep(Duration::from_millis(20));
    }
    let whole = wait(&mut source);
    assert_eq!((whole.id, whole.len()), (1, 10));
    assert_eq!(wait(&mut source).x, [30.0]);
    // Renamed into place, behind and before the last one taken.
    std::fs::write(at(".5.part"), scan(50.0, 1)).unwrap();
    std::fs::rename(at(".5.part"), at("5.bin")).unwrap();
    std::fs::write(at("0.bin"), scan(0.0, 1)).unwrap();
    let last = wait(&mut source);
    assert_eq!((last.id, last.x[0]), (3, 50.0));
    idle_for(&mut source, Duration::from_millis(150));
    stop.store(true, Ordering::Relaxed);
    assert!(matches!(source.next().unwrap(), Next::End));
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
        assert_eq!((last.id, last.x.clone()), (6, vec![3.0, 4.0]), "{name}");
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
        let mut source = Files::open(&folder.join(sequence), options).unwrap();
        assert_eq!(source.warnings().len(), 1, "no Tr in these");
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
