//! LAS and LAZ with other classes: every other byte of a file's content stays, also where LAS becomes LAZ or LAZ becomes LAS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg::{Frame, Segmentation, Sink};
use thalweg_connectors::out::las::{LasSink, relabel};

use crate::support::{files_below, fixtures, lidar, read};

/// What crate `las` reads of a file: the records with their classes taken out, the classes, and what stands before the points.
fn content(path: &Path) -> (Vec<u8>, Vec<u8>, String) {
    let mut reader = las::Reader::from_path(path).unwrap();
    let data = reader.read_all().unwrap();
    let (at, mask) = if data.format().is_extended { (16, 0xff) } else { (15, 0x1f) };
    let mut records = data.raw_bytes().to_vec();
    let class = |record: &mut [u8]| {
        let code = record[at] & mask;
        record[at] &= !mask;
        code
    };
    let classes = records.chunks_exact_mut(data.record_len()).map(class).collect();
    let header = reader.header();
    let vlrs: Vec<_> = header.vlrs().iter().filter(|vlr| vlr.user_id != "laszip encoded").collect();
    let rest = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {vlrs:?} {:?}",
        header.version(),
        header.guid(),
        header.date(),
        header.generating_software(),
        header.system_identifier(),
        header.transforms(),
        header.bounds(),
        header.gps_time_type(),
        header.evlrs(),
    );
    (records, classes, rest)
}

fn files() -> Vec<PathBuf> {
    let mut files = files_below(&fixtures());
    let folders = [
        "PDAL-PDAL/las",
        "PDAL-PDAL/laz",
        "PDAL-PDAL/laszip",
        "laspy-laspy",
        "IGNF-ign-pdal-tools/classified_laz",
        "gadomski-las-rs",
    ];
    files.extend(lidar().iter().flat_map(|lidar| folders.iter().flat_map(|f| files_below(&lidar.join(f)))));
    let las = |path: &PathBuf| path.extension().is_some_and(|e| e == "las" || e == "laz");
    // Those that are read here and by crate `las`.
    let fits = |path: &PathBuf| {
        let small = path.metadata().unwrap().len() < 700_000;
        let whole = |path| las::Reader::from_path(path).is_ok_and(|mut reader| reader.read_all().is_ok());
        let sound = |path| std::panic::catch_unwind(|| whole(path)).unwrap_or(false);
        las(path) && small && read(path).is_ok_and(|f| !f.is_empty()) && sound(path)
    };
    files.into_iter().filter(fits).collect()
}

#[test]
fn all_else_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let files = files();
    assert!(files.len() > 15, "{}", files.len());
    for source in &files {
        let (points, old_classes, rest) = content(source);
        let class: Vec<u8> = (0..old_classes.len()).map(|i| [1, 2, 3, 5, 6, 9, 17, 31][i % 8]).collect();
        for (compress, name) in [(false, "out.las"), (true, "out.laz")] {
            let what = format!("{} as {name}", source.display());
            let bytes = match relabel(source, &class, compress) {
                Ok(bytes) => bytes,
                Err(error) if compress && error.to_string().contains("COPC") => continue,
                Err(error) => panic!("{what}: {error}"),
            };
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            let (new_points, new_classes, new_rest) = content(&path);
            assert!(new_points == points, "{what}: points differ");
            assert_eq!(new_classes, class, "{what}");
            assert_eq!(new_rest, rest, "{what}");
            if !compress && source.extension().unwrap() == "las" {
                let old = std::fs::read(source).unwrap();
                let differ = old.iter().zip(&bytes).filter(|(a, b)| a != b).count();
                assert!(old.len() == bytes.len() && differ <= class.len(), "{what}: {differ} bytes differ");
            }
        }
    }
    eprintln!("{} files", files.len());
}

fn labelled(path: &Path, class: u8) -> Segmentation {
    let frame = read(path).unwrap();
    let n = frame.len();
    let (confidence, instance, classes) =
        (vec![1.0; n], vec![0; n], Arc::new(thalweg_connectors::points::label::classes()));
    Segmentation { frame: Arc::new(frame), class: vec![class; n], confidence, instance, classes }
}

#[test]
fn a_file_for_a_frame_or_a_folder_for_many() {
    let folder = tempfile::tempdir().unwrap();
    let (las, laz) = (fixtures().join("format03.las"), fixtures().join("format06.laz"));
    let one = folder.path().join("one.laz");
    let mut sink = LasSink::create(&one).unwrap();
    sink.write(0, labelled(&las, 6)).unwrap();
    sink.finish().unwrap();
    assert!(read(&one).unwrap().truth.unwrap().class.iter().all(|&c| c == 6));
    let many = folder.path().join("many");
    let mut sink = LasSink::create(&many).unwrap();
    sink.write(0, labelled(&las, 6)).unwrap();
    sink.write(1, labelled(&laz, 200)).unwrap();
    sink.finish().unwrap();
    assert!(read(&many.join("format06.laz")).unwrap().truth.unwrap().class.iter().all(|&c| c == 200));
    assert!(many.join("format03.las").exists());
    let refused = |first: Segmentation, second: Option<Segmentation>| {
        let mut sink = LasSink::create(&folder.path().join("bad.las")).unwrap();
        let outcome = sink.write(0, first).and_then(|()| second.map_or(Ok(()), |s| sink.write(1, s)));
        outcome.unwrap_err().to_string()
    };
    assert!(refused(labelled(&las, 32), None).contains("found class 32 at point 0, expected at most 31"));
    assert!(refused(labelled(&las, 1), Some(labelled(&las, 1))).contains("found a second frame"));
    let other = Frame { path: Some(fixtures().join("kitti.bin").into()), ..Frame::default() };
    let other = Segmentation { frame: Arc::new(other), ..labelled(&las, 1) };
    assert!(refused(other, None).contains("expected LAS or LAZ input"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left of what failed");
}
