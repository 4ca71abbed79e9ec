//! Contacts and tests from files: damaged files in every format, the order in which files are merged, and when rows are due.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use flate2::{Compression, write::GzEncoder};
use parquet::arrow::ArrowWriter;
use thalweg::asof::Stamped;
use thalweg::contacts::{AsOf, Fact, FactRows};
use thalweg::{Next, Source};
use thalweg_connectors::Error;
use thalweg_connectors::contacts::{FilesOptions, Merge, Pace, Rejected, source};
use thalweg_connectors::inspect;

use crate::allocations::most_while;
use crate::mutate::{Random, mutate};

const MUTATIONS: u64 = 400;

fn open(contacts: &Path, tests: Option<&Path>, pace: Pace) -> Result<(Merge, Arc<Rejected>), Error> {
    let rejected = Arc::new(Rejected::beside("out.csv"));
    let options = FilesOptions {
        contacts: vec![contacts.into()],
        tests: tests.into_iter().map(Into::into).collect(),
        ..FilesOptions::default()
    };
    Ok((source(&options, None, pace, &Arc::default(), &rejected)?, rejected))
}

fn all(mut source: Merge) -> Result<Vec<FactRows>, thalweg::BoxError> {
    let mut items = Vec::new();
    loop {
        match source.next()? {
            Next::Item(item) => items.push(item),
            Next::Idle => std::thread::sleep(Duration::from_millis(1)),
            Next::End => return Ok(items),
        }
    }
}

/// Contacts of about 200 rows in each format: (name, bytes).
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let rows: Vec<(i64, i64, String)> = (0..200).map(|i| (i * 600, i % 13, format!("p{}", i % 17))).collect();
    let csv = rows.iter().fold("t,i,j\n".to_string(), |csv, (t, i, j)| csv + &format!("{t},{i},\"{j}\"\n"));
    let json = rows.iter().fold(String::new(), |json, (t, i, j)| {
        json + &format!("{{\"t\":{t},\"i\":{i},\"j\":\"{j}\",\"duration\":12.5}}\n")
    });
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(csv.as_bytes()).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("t", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("i", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)))),
        ("j", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.2)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut parquet = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    parquet.write(&batch).unwrap();
    vec![
        ("c.csv", csv.into_bytes()),
        ("c.jsonl", json.into_bytes()),
        ("c.csv.gz", gz.finish().unwrap()),
        ("c.parquet", parquet.into_inner().unwrap()),
    ]
}

#[test]
fn damaged_tables_end_in_rows_or_errors_within_their_memory() {
    let folder = tempfile::tempdir().unwrap();
    let files = files();
    let (mut read, mut refused) = (0, 0);
    for (name, bytes) in &files {
        let path = folder.path().join(name);
        for seed in 0..MUTATIONS {
            let mut damaged = bytes.clone();
            let mut random = Random::new(seed);
            let other = &files[random.below(files.len())].1;
            mutate(&mut damaged, other, &mut random);
            std::fs::write(&path, &damaged).unwrap();
            let (outcome, most) = most_while(|| match open(&path, None, Pace::default()) {
                Ok((source, _)) => all(source).map_err(|e| e.to_string()),
                Err(e) => Err(e.to_string()),
            });
            assert!(most < 80 << 20, "{name}, seed {seed}: {most} bytes for a file of {}", damaged.len());
            match outcome {
                Ok(_) => read += 1,
                Err(message) => {
                    assert!(message.contains(name), "{name}, seed {seed}: {message}");
                    refused += 1;
                }
            }
        }
    }
    // A damaged line of text is malformed and the rest goes on; damaged gzip data fail their checksum.
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}

fn stamps(items: &[FactRows]) -> Vec<(Vec<i64>, bool)> {
    let stamp = |(fact, _): &(Fact, i32)| fact.t().expect("a row has a stamp") / 1_000_000_000;
    items.iter().map(|item| (item.rows.iter().map(stamp).collect(), item.due)).collect()
}

#[test]
fn files_are_merged_by_event_time_and_due_as_as_of_times_pass() {
    let folder = tempfile::tempdir().unwrap();
    let (contacts, tests) = (folder.path().join("contacts"), folder.path().join("tests"));
    std::fs::write(&contacts, "t,i,j\n1,a,b\n4,a,c\n12,b,c\n3,a,d\n21,a,b\n").unwrap();
    std::fs::write(&tests, "t\tperson\tresult\n2\ta\tpositive\n4\tb\tnegative\n30\tb\tnegative").unwrap();
    let (source, _) = open(&contacts, Some(&tests), Pace::default()).unwrap();
    let order = vec![1, 2, 4, 4, 12, 3, 21, 30];
    assert_eq!(stamps(&all(source).unwrap()), [(order.clone(), true)]);

    let pace = Pace { revisions: Some(AsOf::Every(10_000_000_000)), ..Pace::default() };
    let (source, _) = open(&contacts, Some(&tests), pace).unwrap();
    let due = [(vec![1, 2, 4, 4], true), (vec![12, 3], true), (vec![21, 30], true)];
    assert_eq!(stamps(&all(source).unwrap()), due);

    let pace = Pace { start_offset: 2, until: Some(5), ..Pace::default() };
    let (source, _) = open(&contacts, Some(&tests), pace).unwrap();
    assert_eq!(stamps(&all(source).unwrap()), [(order[2..5].to_vec(), true)]);

    let began = std::time::Instant::now();
    let (source, _) = open(&contacts, Some(&tests), Pace { rate: 100.0, ..Pace::default() }).unwrap();
    let paced: Vec<i64> = stamps(&all(source).unwrap()).into_iter().flat_map(|(stamps, _)| stamps).collect();
    assert_eq!(paced, order);
    assert!(began.elapsed() >= Duration::from_millis(290), "29 s of event time at rate 100");
}

#[test]
fn inspect_knows_tables_of_contacts_and_tests() {
    let folder = tempfile::tempdir().unwrap();
    let contacts = "t,i,j,duration,diff\n100,a,b,20,1\n86500,b,c,60,1\nsoon,a,c,20,1\n100,a,b,20,-1\n";
    std::fs::write(folder.path().join("contacts.csv"), contacts).unwrap();
    let tests = "{\"t\": 5, \"person\": \"a\", \"result\": \"positive\"}\n{\"t\": 6, \"person\": \"b\", \"result\": \"negative\"}\n";
    std::fs::write(folder.path().join("tests.jsonl"), tests).unwrap();
    std::fs::write(folder.path().join("points.csv"), "frame,x,y,z\n0,1,2,3\n").unwrap();
    let report = inspect(&folder.path().join("contacts.csv"));
    assert_eq!(
        (report.rows, report.people, report.positive, report.span),
        (Some(3), Some(3), None, Some([100.0, 86500.0]))
    );
    assert_eq!(report.problems.len(), 2, "{report}");
    assert!(report.to_string().contains("stamps   100 to 86500 s, 1.0 days"), "{report}");
    let report = inspect(&folder.path().join("tests.jsonl"));
    assert_eq!((report.rows, report.people, report.positive), (Some(2), Some(2), Some(1)), "{report}");
    let report = inspect(&folder.path().join("points.csv"));
    assert_eq!((report.rows, report.points), (None, Some(1)), "{report}");
    assert!(inspect(folder.path()).what.contains("inputs of `risk`: contacts.csv (contacts)"));
}
