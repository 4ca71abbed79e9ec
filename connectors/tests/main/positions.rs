//! Sources that start at a position: what they hand out is what was left at it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use thalweg::contacts::{ContactRow, Fact, TestRow};
use thalweg::source::{Place, Position};
use thalweg::{Frame, Next, Source};
use thalweg_connectors::ReadOptions;
use thalweg_connectors::contacts::{self, Pace, Rejected};
use thalweg_connectors::points::files_options::FilesOptions;
use thalweg_connectors::points::folder::{Files, Input};
use thalweg_connectors::points::map_origin::{MapOrigin, WorldOrigin};
use thalweg_connectors::points::replay::Rate;
use thalweg_connectors::records::Records;
use thalweg_connectors::sim::street::Street;

use crate::captures::build::{plain, revolutions};

/// All items to the end, each with the position behind it.
fn all<S: Source>(mut source: S) -> Vec<(S::Item, Position)> {
    let mut items = Vec::new();
    loop {
        match source.next().unwrap() {
            Next::Item(item) => items.push((item, source.position().unwrap())),
            Next::Idle => {}
            Next::End => return items,
        }
    }
}

/// Number and first x of the next frame of a followed folder, which must come soon.
fn next(source: &mut Files) -> (i64, f32) {
    for _ in 0..1000 {
        match source.next().unwrap() {
            Next::Item(frame) => return (frame.id, frame.x[0]),
            Next::Idle => std::thread::sleep(std::time::Duration::from_millis(5)),
            Next::End => break,
        }
    }
    panic!("found no frame");
}

/// Starts at the position behind each item in turn.
fn check<S: Source, T: PartialEq + Debug>(what: &str, open: impl Fn() -> S, view: impl Fn(&S::Item) -> T) {
    let whole = all(open());
    assert!(whole.len() > 3, "{what}");
    for (at, (_, position)) in whole.iter().enumerate() {
        // As a checkpoint keeps it.
        let kept = serde_json::from_str(&serde_json::to_string(position).unwrap()).unwrap();
        let mut source = open();
        source.start_at(&kept).unwrap();
        let rest: Vec<(T, Position)> = all(source).into_iter().map(|(item, at)| (view(&item), at)).collect();
        let expected: Vec<_> = whole[at + 1..].iter().map(|(item, at)| (view(item), at.items)).collect();
        let rest: Vec<_> = rest.into_iter().map(|(item, at)| (item, at.items)).collect();
        assert_eq!(rest, expected, "{what}, behind {position}");
    }
}

fn seen(frame: &Frame) -> (i64, Vec<f32>, String) {
    (frame.id, frame.x.clone(), format!("{:?} {:?}", frame.origin, frame.pose))
}

fn files(paths: &[&Path], options: FilesOptions) -> Files {
    Files::over(paths.iter().map(|path| Input::Path(path.into())), options).unwrap()
}

#[test]
fn frames_go_on_behind_any_position() {
    let folder = tempfile::tempdir().unwrap();
    let (scans, table, far) = (folder.path().join("scans"), folder.path().join("t.csv"), folder.path().join("far.csv"));
    std::fs::create_dir(&scans).unwrap();
    for scan in 0..5u32 {
        let bytes: Vec<u8> = [scan as f32, 1.0, 2.0, 0.5].into_iter().flat_map(f32::to_le_bytes).collect();
        std::fs::write(scans.join(format!("{scan}.bin")), bytes).unwrap();
    }
    let rows = (7..13).map(|frame| format!("{frame},{frame}.5,0,0\n{frame},{frame}.75,0,0\n")).collect::<String>();
    std::fs::write(&table, format!("frame,x,y,z\n{rows}")).unwrap();
    // f64 coordinates far out: the origin is the first frame's, wherever the run starts.
    let rows = (0..5).map(|frame| format!("{frame},{}.125,5000000.5,0\n", 600_900 + 50 * frame)).collect::<String>();
    std::fs::write(&far, format!("frame,x,y,z\n{rows}")).unwrap();
    check("a folder and a table", || files(&[&scans, &table], FilesOptions::default()), seen);
    // Captures hold several frames each.
    let captures = folder.path().join("captures");
    std::fs::create_dir(&captures).unwrap();
    for name in ["1.pcap", "2.pcapng"] {
        std::fs::write(captures.join(name), plain(&revolutions(120))).unwrap();
    }
    check("a folder of captures", || files(&[&captures, &scans], FilesOptions::default()), seen);
    check("a table far out", || files(&[&far], FilesOptions::default()), seen);
    let offset = || FilesOptions { start_offset: 2, until: Some(9), ..FilesOptions::default() };
    check("from the second to the ninth", || files(&[&scans, &table], offset()), seen);
    check("sim:street", || Street::new(4, 1), seen);
    check(
        "with an origin of its own",
        || Rate::new(MapOrigin::new(Street::new(4, 1), 1e-6, WorldOrigin::default()), 0.0),
        seen,
    );
}

#[test]
fn rows_go_on_behind_any_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let rows = (0..40).map(|t| format!("{t},a{},b{}\n", t % 7, t % 5)).collect::<String>();
    std::fs::write(path("contacts.csv"), format!("t,i,j\n{rows}")).unwrap();
    std::fs::write(path("tests.csv"), "t,person,result\n3,a1,pos\n17,b2,neg\n38,a1,what\n39,b1,neg\n").unwrap();
    let records = || Records::open(&path("contacts.csv"), &["i", "j"]).unwrap();
    check("records", records, |record| (record.t, record.text("i").map(str::to_string)));

    let open = |until: Option<u64>| {
        let options = contacts::FilesOptions {
            contacts: vec![path("contacts.csv")],
            tests: vec![path("tests.csv")],
            ..contacts::FilesOptions::default()
        };
        let pace = Pace { until, ..Pace::default() };
        contacts::source(&options, None, pace, &Arc::default(), &Arc::new(Rejected::beside("out.csv"))).unwrap()
    };
    // Numbers of people follow their arrival, so rows are compared by names.
    let rows = |source: contacts::Merge| {
        let names = source.names();
        let rows = all(source).into_iter().flat_map(|(batch, _)| batch.rows);
        let named = |(fact, diff)| match fact {
            Fact::Contact(ContactRow { t, a, b, .. }) => (t, BTreeSet::from([a, b]), diff),
            Fact::Test(TestRow { t, person, positive }) => (t + i64::from(positive), BTreeSet::from([person]), diff),
            Fact::Due(_) => panic!("no row of the input"),
        };
        let rows: Vec<_> = rows.map(named).collect();
        let names = names.list();
        let name = |(t, people, diff): (i64, BTreeSet<u32>, i32)| {
            (t, people.iter().map(|&person| names[person as usize].to_string()).collect::<BTreeSet<_>>(), diff)
        };
        rows.into_iter().map(name).collect::<Vec<_>>()
    };
    let whole = rows(open(None));
    assert_eq!(whole.len(), 43);
    for taken in 1..whole.len() {
        let (_, position) = all(open(Some(taken as u64))).pop().unwrap();
        assert_eq!(position.places.iter().map(|place| place.records).sum::<u64>(), taken as u64);
        let mut source = open(None);
        source.start_at(&position).unwrap();
        assert_eq!(rows(source), whole[taken..], "behind {position}");
    }
    let elsewhere = Position {
        items: 1,
        places: vec![Place { input: "other.csv".into(), records: 1, ..Place::default() }],
        newest: None,
    };
    assert!(
        open(None)
            .start_at(&elsewhere)
            .unwrap_err()
            .to_string()
            .contains("found a start at other.csv, expected places in")
    );
}

#[test]
fn frames_carry_columns_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("radar.csv");
    let text = "frame,x,y,z,doppler,intensity,snr\n0,1,2,0,-0.5,300,7\n0,1,2,1,0.25,,8.5\n1,0,1,0,1,20,9\n";
    std::fs::write(&path, text).unwrap();
    let open = |names: &[&str]| {
        let carry = names.iter().map(|name| name.to_string()).collect();
        let read = ReadOptions { carry, ..ReadOptions::default() };
        files(&[&path], FilesOptions { read, ..FilesOptions::default() })
    };
    let frames: Vec<Frame> = all(open(&["doppler", "intensity", "snr"])).into_iter().map(|(frame, _)| frame).collect();
    // As they were read: a radar's intensity is no reflectivity from 0 to 1.
    assert_eq!(frames[0].columns["doppler"], [-0.5, 0.25]);
    assert!(frames[0].columns["intensity"][0] == 300.0 && frames[0].columns["intensity"][1].is_nan());
    assert_eq!((&frames[1].columns["snr"][..], &frames[0].intensity), (&[9.0][..], &None));
    // Doppler may be missing, others must be there.
    std::fs::write(&path, "frame,x,y,z\n0,1,2,0\n").unwrap();
    assert!(all(open(&["doppler"])).iter().all(|(frame, _)| frame.columns.is_empty()));
    assert!(open(&["snr"]).next().unwrap_err().to_string().contains("snr"));
}

#[test]
fn a_followed_folder_goes_on_in_the_order_in_which_its_files_came() {
    let folder = tempfile::tempdir().unwrap();
    let (scans, list) = (folder.path().join("scans"), folder.path().join("arrivals.jsonl"));
    std::fs::create_dir(&scans).unwrap();
    let scan = |name: &str, x: f32| {
        std::fs::write(scans.join(name), [x, 0.0, 0.0, 0.5].map(f32::to_le_bytes).as_flattened()).unwrap();
    };
    let open = || {
        let stop = Arc::default();
        let options = FilesOptions {
            follow: true,
            settle: std::time::Duration::ZERO,
            on_error: thalweg_connectors::OnError::Skip,
            arrivals: Some(list.clone()),
            stop: Arc::clone(&stop),
            ..FilesOptions::default()
        };
        (files(&[&scans], options), stop)
    };
    let (mut source, _) = open();
    let mut given = Vec::new();
    // Against the order of names; one cannot be read when it comes, and is written anew after the run.
    for (name, x) in [("c.bin", 1.0), ("b.bin", 2.0), ("torn.bin", f32::NAN), ("a.bin", 3.0), ("d.bin", 4.0)] {
        if name == "torn.bin" {
            std::fs::write(scans.join(name), [0; 7]).unwrap();
            for _ in 0..100 {
                assert!(matches!(source.next().unwrap(), Next::Idle));
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            continue;
        }
        scan(name, x);
        given.push((next(&mut source), source.position().unwrap()));
    }
    drop(source);
    scan("e.bin", 5.0);
    // What was read long ago may have gone.
    std::fs::remove_file(scans.join("c.bin")).unwrap();
    for at in 0..given.len() {
        let (mut source, _) = open();
        source.start_at(&given[at].1).unwrap();
        let mut rest: Vec<_> = given[at + 1..].iter().map(|((id, x), _)| (*id, *x)).collect();
        let last = given.last().unwrap().0.0;
        rest.push((last + 1, 5.0));
        let found: Vec<_> = rest.iter().map(|_| next(&mut source)).collect();
        assert_eq!(found, rest, "behind {}", given[at].1);
    }
}

#[test]
fn frames_that_come_too_late_or_from_a_clock_that_jumps_are_left_out_alike_from_any_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.csv");
    // A wild stamp, one that is too late, one of a clock that has gone back within what is allowed, and a gap that the next frame confirms.
    let times = [0.0, 1.0, 2.0, 500.0, 3.0, 0.5, 2.5, 4.0, 900.0, 901.0, 902.0];
    let rows = times.iter().enumerate().map(|(frame, time)| format!("{frame},{time},{frame},0,0\n"));
    std::fs::write(&path, format!("frame,time,x,y,z\n{}", rows.collect::<String>())).unwrap();
    let open = || {
        let options = FilesOptions {
            follow: true,
            lateness: Some(1_000_000_000),
            ahead: Some(100_000_000_000),
            sums: true,
            stop: Arc::new(true.into()),
            ..FilesOptions::default()
        };
        let notices = options.read.notices.clone();
        (files(&[&path], options), notices)
    };
    let (source, notices) = open();
    let given: Vec<i64> = all(source).into_iter().map(|(frame, _)| frame.id).collect();
    assert_eq!(given, [0, 1, 2, 4, 6, 7, 9, 10]);
    let drops = notices.drops();
    assert_eq!((drops["late"].count, drops["out_of_range"].count), (1, 2));
    assert!(drops["late"].first.contains("frame 5") && drops["late"].first.contains("more than 1 s before the newest"));
    assert!(drops["out_of_range"].first.contains("frame 3") && drops["out_of_range"].first.contains("time 500.000 s"));
    check("by event time", || open().0, seen);
}

#[test]
fn rows_that_come_too_late_or_from_a_clock_that_jumps_are_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let times = [0, 10, 20, 9_000_000, 30, 5, 15, 100_000, 100_010, 100_020];
    let rows = times.iter().map(|t| format!("{t},a,b\n")).collect::<String>();
    std::fs::write(path("contacts.csv"), format!("t,i,j\n{rows}")).unwrap();
    let second = 1_000_000_000;
    let options = |follow| contacts::FilesOptions {
        contacts: vec![path("contacts.csv")],
        follow,
        ..contacts::FilesOptions::default()
    };
    let given = |follow: bool, pace: Pace| {
        let rejected = Arc::new(Rejected::beside("out.csv"));
        let source = contacts::source(&options(follow), None, pace, &Arc::new(follow.into()), &rejected).unwrap();
        let rows = all(source).into_iter().flat_map(|(batch, _)| batch.rows);
        let stamps = rows.filter_map(|(fact, _)| thalweg::asof::Stamped::t(&fact)).map(|t| t / second);
        (stamps.collect::<Vec<_>>(), rejected.dropped())
    };
    let pace = Pace { behind: Some(20 * second), ahead: Some(1_000 * second), ..Pace::default() };
    let (stamps, dropped) = given(true, pace);
    assert_eq!(stamps, [0, 10, 20, 30, 15, 100_010, 100_020]);
    assert_eq!((dropped["late"].count, dropped["out_of_range"].count), (1, 2));
    assert!(
        dropped["late"].first.ends_with("contacts.csv: line 7: t: found 5 s, more than 20 s before the newest, 30 s")
    );
    assert!(dropped["out_of_range"].first.contains("contacts.csv: line 5: t: found 9000000 s"), "{dropped:?}");
    // An input that ends is taken whole, in any order.
    let (stamps, dropped) = given(false, pace);
    assert_eq!((stamps, dropped.len()), (times.to_vec(), 0));
}

#[test]
fn of_a_followed_folder_the_newest_file_can_be_had_and_a_run_that_goes_on_leaves_out_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (scans, list) = (folder.path().join("scans"), folder.path().join("arrivals.jsonl"));
    std::fs::create_dir(&scans).unwrap();
    let scan = |number: u32| {
        let bytes = [number as f32, 0.0, 0.0, 0.5].map(f32::to_le_bytes);
        std::fs::write(scans.join(format!("{number}.bin")), bytes.as_flattened()).unwrap();
    };
    let open = || {
        let options = FilesOptions {
            follow: true,
            settle: std::time::Duration::ZERO,
            newest: true,
            arrivals: Some(list.clone()),
            ..FilesOptions::default()
        };
        let notices = options.read.notices.clone();
        (files(&[&scans], options), notices)
    };
    (0..6).for_each(scan);
    let (mut source, notices) = open();
    assert_eq!(next(&mut source), (5, 5.0));
    let behind = source.position().unwrap();
    (6..9).for_each(scan);
    std::thread::sleep(std::time::Duration::from_millis(60));
    assert_eq!(next(&mut source), (8, 8.0));
    let drops = notices.drops();
    assert_eq!(drops["overrun"].count, 7);
    assert!(drops["overrun"].first.ends_with("0.bin: newer files had come before it could be read"), "{drops:?}");
    drop(source);
    // The eighth was read before, though a newer one has come since.
    scan(9);
    let (mut source, notices) = open();
    source.start_at(&behind).unwrap();
    assert_eq!((next(&mut source), next(&mut source)), ((8, 8.0), (9, 9.0)));
    assert!(notices.drops().is_empty(), "{notices:?}");
}
