//! `run risk` and `eval risk` from outside: every table format, any order and number of workers, malformed rows, followed files,
//! revisions, hashed ids, the simulated town.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use flate2::{Compression, write::GzEncoder};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::{code, json, thalweg};

/// Contacts of people 1 to 9 over four days, with copies, both orders of a pair, and two rows that add up.
fn contacts() -> Vec<(i64, u32, u32, i64)> {
    let mut rows = Vec::new();
    for day in 0..4 {
        for i in 1..9u32 {
            rows.push((day * 86_400 + 64_800, i, 1 + (i * 3 + day as u32) % 9, 300 + 60 * i64::from(i)));
        }
    }
    rows.retain(|(_, i, j, _)| i != j);
    let (t, i, j, duration) = rows[3];
    rows.push((t, j, i, duration));
    rows.push((t, i, j, 40));
    rows
}

const TESTS: [(i64, u32, &str); 4] =
    [(72_000, 4, "negative"), (158_400, 7, "positive"), (158_400, 3, "negative"), (331_200, 11, "negative")];

fn contacts_csv(rows: &[(i64, u32, u32, i64)]) -> String {
    rows.iter().fold("t,i,j,duration\n".into(), |csv, (t, i, j, d)| csv + &format!("{t},{i},{j},{d}\n"))
}

fn tests_csv() -> String {
    TESTS.iter().fold("t,person,result\n".into(), |csv, (t, p, r)| csv + &format!("{t},{p},{r}\n"))
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("c.csv"), contacts_csv(&contacts())).unwrap();
    fs::write(folder.path().join("t.csv"), tests_csv()).unwrap();
    folder
}

const SET: [&str; 6] = ["--set", "rate=1e-3", "--set", "recovery=2e-6", "--set", "false_negative=0.1"];

fn risk(at: &Path, more: &[&str]) -> serde_json::Value {
    let run = [&["run", "risk", "--json"], &SET[..], more].concat();
    let output = thalweg(&run, at);
    assert!(output.status.success(), "{more:?}: {}", String::from_utf8_lossy(&output.stderr));
    json(&output)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn one_input_in_every_format_and_order_gives_the_same_bytes_for_any_workers() {
    let folder = folder();
    let at = folder.path();
    let report = risk(at, &["--contacts", "c.csv", "--tests", "t.csv", "--output", "first.csv"]);
    assert_eq!(report["dropped"], serde_json::json!({"duplicate": 1}));
    assert_eq!((report["frames"].as_u64(), report["nodes"].as_u64()), (Some(1), Some(10)));
    let first = fs::read_to_string(at.join("first.csv")).unwrap();
    let people: Vec<_> = first.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(people, ["1", "11", "2", "3", "4", "5", "6", "7", "8", "9"], "by bytes; 11 is in tests alone");
    assert!(first.starts_with("as_of,person,score,model,because\n331200,1,0."), "{first}");

    let rows = contacts();
    let mut backwards = rows.clone();
    backwards.reverse();
    fs::write(at.join("c.tsv"), contacts_csv(&backwards).replace(',', "\t")).unwrap();
    fs::write(at.join("t.tsv.gz"), gz(tests_csv().replace(',', "\t").as_bytes())).unwrap();
    fs::write(at.join("c.csv.gz"), gz(contacts_csv(&rows).replace('\n', "\r\n").as_bytes())).unwrap();
    let object = |(t, i, j, d): &(i64, u32, u32, i64)| {
        format!("{{\"when\":{t}.0,\"from\":{i},\"to\":\"{j}\",\"duration\":{d},\"diff\":null}}\n")
    };
    fs::write(at.join("c.jsonl"), rows.iter().map(object).collect::<String>()).unwrap();
    let object = |(t, p, r): &(i64, u32, &str)| {
        let (day, hour) = (1 + t / 86_400, t % 86_400 / 3600);
        format!("{{\"t\":\"1970-01-0{day}T{hour:02}:00:00Z\",\"person\":{p},\"result\":\"{r}\"}}\n")
    };
    fs::write(at.join("t.ndjson"), TESTS.iter().map(object).collect::<String>()).unwrap();
    parquet(
        &at.join("c.parquet"),
        vec![
            ("t", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.0 as f64))) as ArrayRef),
            ("i", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| i64::from(r.1))))),
            ("j", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.2.to_string())))),
            ("duration", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.3)))),
        ],
    );
    let halves = rows.split_at(11);
    fs::write(at.join("c1.csv"), contacts_csv(halves.1)).unwrap();
    fs::write(at.join("c2.csv"), contacts_csv(halves.0)).unwrap();
    let mapped = ["--columns", "t=when,i=from,j=to"];
    let inputs: [&[&str]; 6] = [
        &["--contacts", "c.csv", "--tests", "t.csv", "--workers", "2"],
        &["--contacts", "c.csv", "--tests", "t.csv", "--workers", "4"],
        &["--contacts", "c.tsv", "--tests", "t.tsv.gz", "--workers", "2"],
        &[&["--contacts", "c.jsonl", "--tests", "t.ndjson"], &mapped[..]].concat(),
        &["--contacts", "c.parquet", "--tests", "t.csv", "--workers", "4"],
        &["--contacts", "c1.csv", "c2.csv", "--tests", "t.csv"],
    ];
    for input in inputs {
        let report = risk(at, &[input, &["--output", "o.csv"]].concat());
        assert_eq!(fs::read_to_string(at.join("o.csv")).unwrap(), first, "{input:?}");
        assert_eq!(report["dropped"], serde_json::json!({"duplicate": 1}), "{input:?}");
    }
    risk(at, &["--contacts", "c.csv.gz", "--tests", "t.csv", "--output", "o.parquet"]);
    let file = fs::File::open(at.join("o.parquet")).unwrap();
    let batch = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
    let kinds: Vec<_> = batch.schema().fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(kinds[..4], [DataType::Int64, DataType::Utf8, DataType::Float32, DataType::Utf8]);
    let DataType::List(item) = &kinds[4] else { panic!("{:?}", kinds[4]) };
    let DataType::Struct(fields) = item.data_type() else { panic!("{item:?}") };
    let fields: Vec<_> = fields.iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
    assert_eq!(fields, [("person", DataType::Utf8), ("weight", DataType::Float32)]);
    assert_eq!(batch.num_rows(), 10);
}

#[test]
fn as_of_every_and_people_come_as_the_contract_says() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("c.csv"), "t,i,j\n5,b,a\n15,c,c\n25,a,d\n").unwrap();
    fs::write(at.join("t.csv"), "t,person,result\n9,e,negative\n31,f,positive\n").unwrap();
    let rows = |more: &[&str]| -> Vec<(i64, String)> {
        risk(at, &[&["--contacts", "c.csv", "--tests", "t.csv", "--output", "o.csv"], more].concat());
        let csv = fs::read_to_string(at.join("o.csv")).unwrap();
        let cells = |line: &str| {
            let mut cells = line.split(',');
            (cells.next().unwrap().parse().unwrap(), cells.next().unwrap().to_string())
        };
        csv.lines().skip(1).map(cells).collect()
    };
    let of = |t: i64, people: &str| people.chars().map(|p| (t, p.to_string())).collect::<Vec<_>>();
    assert_eq!(rows(&[]), of(31, "abcdef"));
    assert_eq!(rows(&["--as-of", "15"]), of(15, "abce"));
    assert_eq!(rows(&["--as-of", "1970-01-01T00:00:14Z"]), of(14, "abe"));
    assert_eq!(rows(&["--as-of", "4"]), []);
    let every = [of(10, "abe"), of(20, "abce"), of(30, "abcde"), of(40, "abcdef")].concat();
    assert_eq!(rows(&["--every", "10"]), every);
    let windowed = [of(10, "abe"), of(20, "c"), of(30, "ad"), of(40, "f")].concat();
    assert_eq!(rows(&["--every", "10", "--set", "window=10"]), windowed);
    fs::write(at.join("t.csv"), "t,person,result\n").unwrap();
    assert_eq!(rows(&[]), of(25, "abcd"));
    fs::write(at.join("c.csv"), "t,i,j\n").unwrap();
    assert_eq!(rows(&[]), []);
    assert_eq!(rows(&["--every", "10"]), []);
}

#[test]
fn malformed_rows_are_kept_apart_and_unreadable_files_end_the_run() {
    let folder = folder();
    let at = folder.path();
    let run = ["--contacts", "c.csv", "--tests", "t.csv", "--output", "o.csv"];
    risk(at, &run);
    let good = fs::read(at.join("o.csv")).unwrap();
    assert!(!at.join("o.csv.rejected.csv").exists());

    let mut bad = contacts_csv(&contacts()).into_bytes();
    bad.extend_from_slice(
        b"1,2\nx,1,2,3\n5,1,,3\n5,1,2,-3\ninf,1,2,3\n5,\xff,2,3\n5,1,2,3e99\n2024-02-30,1,2,3\n5,\"1,2,3\n",
    );
    fs::write(at.join("c.csv"), bad).unwrap();
    fs::write(at.join("t.csv"), tests_csv() + "5,1,maybe\n5,,positive\n").unwrap();
    let report = risk(at, &run);
    assert_eq!(report["dropped"], serde_json::json!({"duplicate": 1, "malformed": 11}));
    assert!(fs::read(at.join("o.csv")).unwrap() == good);
    let rejected = fs::read_to_string(at.join("o.csv.rejected.csv")).unwrap();
    let lines: Vec<_> = rejected.lines().collect();
    assert_eq!(lines.len(), 12, "{rejected}");
    let first = 2 + contacts().len();
    assert_eq!(lines[0], "file,line,reason");
    assert!(lines[1].starts_with(&format!("c.csv,{first},")), "{rejected}");
    assert!(lines[10].starts_with("t.csv,6,") && lines[10].contains("maybe"), "{rejected}");

    fs::write(at.join("c.csv"), contacts_csv(&contacts())).unwrap();
    fs::write(at.join("t.csv"), tests_csv()).unwrap();
    risk(at, &run);
    assert!(!at.join("o.csv.rejected.csv").exists(), "what an older run rejected is still there");

    fs::remove_file(at.join("o.csv")).unwrap();
    let arguments = |contacts: &'static str| {
        ["run", "risk", "--contacts", contacts, "--tests", "t.csv", "--output", "o.csv", "--set", "rate=1e-3"]
    };
    fs::write(at.join("h.csv"), "t,i,k\n1,2,3\n").unwrap();
    let error = code(&arguments("h.csv"), at, 1);
    assert!(error.contains("h.csv") && error.contains("column j") && error.contains("t, i, k"), "{error}");
    let packed = gz(contacts_csv(&contacts()).repeat(50).as_bytes());
    fs::write(at.join("torn.csv.gz"), &packed[..packed.len() / 2]).unwrap();
    assert!(code(&arguments("torn.csv.gz"), at, 1).contains("torn.csv.gz"));
    assert!(code(&arguments("absent.csv"), at, 1).contains("absent.csv"));
    fs::write(at.join("no.parquet"), b"PAR1 but no more").unwrap();
    assert!(code(&arguments("no.parquet"), at, 1).contains("no.parquet"));
    assert!(!at.join("o.csv").exists(), "something stands at the output of a failed run");
}

#[test]
fn bad_settings_end_with_the_codes_of_the_contract() {
    let folder = folder();
    let at = folder.path();
    let run = |more: &[&'static str]| {
        [&["run", "risk", "--contacts", "c.csv", "--tests", "t.csv", "--output", "o.csv"], more].concat()
    };
    code(&["run", "risk", "--output", "o.csv"], at, 2);
    code(&["run", "risk", "--contacts", "c.csv"], at, 2);
    for more in [
        &["--set", "rate=-1"][..],
        &["--set", "rate=fast"],
        &["--set", "false_negative=2"],
        &["--set", "prior=-0.1"],
        &["--set", "seeds=-1"],
        &["--set", "frob=1"],
        &["--set", "emit=some"],
        &["--set", "window=0"],
        &["--as-of", "noon"],
        &["--every", "0"],
        &["--as-of", "1", "--every", "1"],
        &["--model", "frob"],
        &["--columns", "t"],
        &["--columns", "x=y"],
        &["--format", "las"],
        &["--input", "sim:street"],
    ] {
        code(&run(&[&["--set", "rate=1e-3"][..], more].concat()), at, 78);
    }
    let rate = code(&run(&[]), at, 78);
    assert!(
        rate.contains("--set rate: found none") && rate.contains("per second") && rate.contains("ln(1 - p)"),
        "{rate}"
    );
    assert!(!at.join("o.csv").exists());
    fs::write(at.join("good.toml"), "pipeline = \"risk\"\ncontacts = [\"c.csv\"]\ntests = \"t.csv\"\nevery = 86400\noutput = \"o.csv\"\n[columns]\nt = \"t\"\n[set]\nrate = 1e-3\n").unwrap();
    code(&["validate", "good.toml"], at, 0);
    code(&["run", "--config", "good.toml"], at, 0);
    fs::write(at.join("bad.toml"), "pipeline = \"risk\"\nevery = -1\n[set]\nlatency = -1\n").unwrap();
    let problems = code(&["validate", "bad.toml"], at, 78);
    assert!(["every", "latency", "rate"].iter().all(|key| problems.contains(key)), "{problems}");
}

/// (as_of, person, score, because) by how often, a change counting by its `diff`.
fn rows_of(csv: &str) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    let changes = csv.lines().next().unwrap().ends_with(",diff");
    for line in csv.lines().skip(1) {
        let (row, diff) = if changes { line.rsplit_once(',').unwrap() } else { (line, "1") };
        *rows.entry(row.to_string()).or_insert(0) += diff.parse::<i64>().unwrap();
    }
    rows.retain(|_, n| *n != 0);
    rows
}

#[test]
fn late_rows_and_retractions_show_as_revisions_that_add_up() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let late = "t,i,j,duration,diff\n10,a,b,900,1\n30,b,c,900,1\n50,c,d,900,1\n20,a,c,900,1\n50,c,d,900,-1\n";
    fs::write(at.join("c.csv"), late).unwrap();
    fs::write(at.join("t.csv"), "t,person,result,diff\n45,c,positive,1\n45,c,positive,-1\n45,c,negative,1\n").unwrap();
    let run = ["--contacts", "c.csv", "--tests", "t.csv", "--every", "20", "--output"];
    risk(at, &[&run[..], &["all.csv"]].concat());
    risk(at, &[&run[..], &["changes.csv", "--set", "emit=changes"]].concat());
    let all = fs::read_to_string(at.join("all.csv")).unwrap();
    let changes = fs::read_to_string(at.join("changes.csv")).unwrap();
    assert_eq!(changes.lines().next(), Some("as_of,person,score,model,because,diff"));
    assert!(changes.lines().any(|line| line.starts_with("20,") && line.ends_with(",-1")), "{changes}");
    assert_eq!(rows_of(&changes), rows_of(&all));
    // What was taken back is as if it had never been.
    fs::write(at.join("c.csv"), "t,i,j,duration\n10,a,b,900\n20,a,c,900\n30,b,c,900\n").unwrap();
    fs::write(at.join("t.csv"), "t,person,result\n45,c,negative\n").unwrap();
    risk(at, &[&run[..], &["clean.csv"]].concat());
    assert_eq!(fs::read_to_string(at.join("clean.csv")).unwrap(), all);
}

#[cfg(unix)]
fn interrupt(child: &mut Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "the run does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn rows_that_arrive_in_ten_pieces_give_what_one_run_gives() {
    let folder = folder();
    let at = folder.path();
    let bytes = contacts_csv(&contacts()).into_bytes();
    let run = ["--contacts", "c.csv", "--tests", "t.csv", "--every", "86400", "--output"];
    risk(at, &[&run[..], &["whole.csv"]].concat());
    fs::remove_file(at.join("c.csv")).unwrap();
    for (emit, output) in [("all", "pieces.csv"), ("changes", "changes.csv")] {
        fs::write(at.join("c.csv"), b"").unwrap();
        let emit = format!("emit={emit}");
        let follow = [&["run", "risk"], &SET[..], &run[..], &[output, "--follow", "--workers", "2", "--set", &emit]];
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_thalweg")).args(follow.concat()).current_dir(at).spawn().unwrap();
        // Pieces end anywhere, also in the middle of a row.
        for piece in bytes.chunks(bytes.len().div_ceil(10)) {
            fs::OpenOptions::new().append(true).open(at.join("c.csv")).unwrap().write_all(piece).unwrap();
            std::thread::sleep(Duration::from_millis(150));
        }
        interrupt(&mut child);
    }
    let whole = fs::read_to_string(at.join("whole.csv")).unwrap();
    assert_eq!(fs::read_to_string(at.join("pieces.csv")).unwrap(), whole);
    assert_eq!(rows_of(&fs::read_to_string(at.join("changes.csv")).unwrap()), rows_of(&whole));
}

#[test]
fn hashed_ids_hide_names_and_change_nothing_else() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("key"), "a secret\n").unwrap();
    let run = ["--contacts", "c.csv", "--tests", "t.csv", "--output"];
    risk(at, &[&run[..], &["plain.csv"]].concat());
    risk(at, &[&run[..], &["hashed.csv", "--set", "hash_ids=key"]].concat());
    let scores = |name: &str| -> Vec<(String, f64)> {
        let csv = fs::read_to_string(at.join(name)).unwrap();
        let mut rows: Vec<_> = csv
            .lines()
            .skip(1)
            .map(|line| {
                let mut cells = line.split(',').skip(1);
                (cells.next().unwrap().to_string(), cells.next().unwrap().parse().unwrap())
            })
            .collect();
        rows.sort_by(|a: &(String, f64), b| a.1.total_cmp(&b.1));
        rows
    };
    for ((id, plain), (hash, hashed)) in scores("plain.csv").into_iter().zip(scores("hashed.csv")) {
        assert!((plain - hashed).abs() < 1e-5, "{id}: {plain} and {hashed}");
        assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    }
}

#[test]
fn a_simulated_town_is_the_same_by_file_and_by_name_and_can_be_scored() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let size = ["--set", "people=300", "--set", "days=6", "--set", "seed=5"];
    code(&[&["simulate", "town", "--output", "town"], &size[..]].concat(), at, 0);
    let contacts = fs::read_to_string(at.join("town/contacts.csv")).unwrap();
    let rows = contacts.lines().count() as f64 - 1.0;
    let per_person_day = 2.0 * rows / 300.0 / 6.0;
    assert!((9.0..13.0).contains(&per_person_day), "{per_person_day} contacts a person and day");
    assert!(contacts.lines().any(|line| line.ends_with(",-1")));

    let parameters: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(at.join("town/params.json")).unwrap()).unwrap();
    let set: Vec<String> =
        parameters["set"].as_object().unwrap().iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut run =
        vec!["run", "risk", "--contacts", "town/contacts.csv", "--tests", "town/tests.csv", "--output", "f.csv"];
    set.iter().for_each(|pair| run.extend(["--set", pair]));
    code(&run, at, 0);
    code(&[&["run", "risk", "--input", "sim:town", "--output", "s.csv", "--workers", "2"], &size[..]].concat(), at, 0);
    assert!(fs::read(at.join("f.csv")).unwrap() == fs::read(at.join("s.csv")).unwrap());

    let by_folder = thalweg(&["eval", "risk", "--input", "town", "--json"], at);
    assert!(by_folder.status.success(), "{}", String::from_utf8_lossy(&by_folder.stderr));
    let by_name = thalweg(&[&["eval", "risk", "--input", "sim:town", "--json"], &size[..]].concat(), at);
    let (by_folder, by_name) = (json(&by_folder), json(&by_name));
    for key in ["auc", "brier", "ece", "people", "infected", "reliability"] {
        assert_eq!(by_folder[key], by_name[key], "{key}");
    }
    assert!(by_folder["people"].as_u64().unwrap() > 200 && by_folder["reliability"].as_array().unwrap().len() == 10);
    run.splice(0..2, ["eval", "risk", "--truth", "town/truth.csv", "--as-of", "518400", "--json"]);
    let output = run.iter().position(|argument| *argument == "--output").unwrap();
    run.drain(output..output + 2);
    let by_truth = thalweg(&run, at);
    assert!(by_truth.status.success(), "{}", String::from_utf8_lossy(&by_truth.stderr));
    assert_eq!(json(&by_truth)["brier"], by_folder["brier"]);
    code(&["simulate", "town", "--output", "x", "--set", "people=1"], at, 78);
}

#[test]
fn tgnn_is_the_same_for_any_workers_and_takes_weights_of_a_file() {
    let folder = folder();
    let at = folder.path();
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tgnn.safetensors");
    for (workers, model, output) in [("1", "tgnn", "one.csv"), ("3", "tgnn", "three.csv"), ("1", own, "own.csv")] {
        risk(
            at,
            &["--contacts", "c.csv", "--tests", "t.csv", "--workers", workers, "--model", model, "--output", output],
        );
    }
    let read = |file: &str| fs::read_to_string(at.join(file)).unwrap();
    assert_eq!(read("one.csv"), read("three.csv"));
    assert_eq!(read("one.csv"), read("own.csv"));
    let scores = read("one.csv");
    let scores = scores.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse::<f64>().unwrap());
    assert!(scores.clone().count() == 10 && scores.clone().all(|score| (0.0..=1.0).contains(&score)));
    fs::write(at.join("torn.safetensors"), [7; 40]).unwrap();
    let torn =
        ["run", "risk", "--contacts", "c.csv", "--tests", "t.csv", "--model", "torn.safetensors", "--output", "o.csv"];
    let said = code(&[&torn[..], &["--set", "rate=1e-3"]].concat(), at, 1);
    assert!(said.contains("torn.safetensors"), "{said}");
}

#[cfg(unix)]
#[test]
fn tables_that_are_older_than_all_that_is_open_may_go() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let rows =
        |from: i64| (0..100).map(|i| format!("{},p{},p{}\n", from + 10 * i, i % 5, i % 3 + 5)).collect::<String>();
    for (name, second) in [("kept", "whole"), ("lost", "parts")] {
        fs::create_dir(at.join(name)).unwrap();
        let put = |file: &str, from: i64| {
            fs::write(at.join("part"), format!("t,i,j\n{}", rows(from))).unwrap();
            fs::rename(at.join("part"), at.join(name).join(file)).unwrap();
        };
        let line = format!(
            "run risk --contacts {name} --follow --every 100 --set rate=1e-3 --set window=100 --set lateness=100 --output {second}/ \
             --checkpoint {second}.ck --set checkpoint_seconds=0.2 --set segment_seconds=1"
        );
        let run = |exit: i32, wait: u64| {
            let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
                .args(line.split_whitespace())
                .current_dir(at)
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(wait));
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            assert_eq!(child.wait().unwrap().code(), Some(exit), "{name}");
        };
        put("1.csv", 0);
        put("2.csv", 1000);
        run(0, 1500);
        if name == "lost" {
            fs::remove_file(at.join("lost/1.csv")).unwrap();
        }
        put("3.csv", 2000);
        run(0, 1500);
        code(&["read", &format!("{second}/"), "--output", &format!("{second}.csv")], at, 0);
        if name == "lost" {
            fs::remove_file(at.join("lost/3.csv")).unwrap();
            run(1, 1500);
        }
    }
    assert_eq!(fs::read(at.join("whole.csv")).unwrap(), fs::read(at.join("parts.csv")).unwrap());
}

#[cfg(unix)]
#[test]
fn tests_may_come_later_than_contacts() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let contacts: String = (0..200).map(|i| format!("{},p{},p{}\n", 10 * i, i % 5, i % 3 + 5)).collect();
    fs::write(at.join("c.csv"), format!("t,i,j\n{contacts}")).unwrap();
    fs::write(at.join("r.csv"), "t,person,result\n0,p0,negative\n").unwrap();
    let line = "run risk --contacts c.csv --tests r.csv --follow --every 100 --set rate=1e-3 --set window=100 --set lateness=0 \
                --set tests_lateness=1000 --output o.csv --json";
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(line.split_whitespace())
        .current_dir(at)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(800));
    let append = |name: &str, text: &str| {
        let mut file = fs::OpenOptions::new().append(true).open(at.join(name)).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    append("c.csv", "1000,p0,p1\n");
    append("r.csv", "1000,p1,positive\n500,p2,positive\n");
    std::thread::sleep(std::time::Duration::from_millis(800));
    std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(json(&output)["dropped"], serde_json::json!({"late": 2}), "the contact, and the test of 500");
    let rejected = fs::read_to_string(at.join("o.csv.rejected.csv")).unwrap();
    assert!(rejected.contains("c.csv") && rejected.contains("r.csv,4"), "{rejected}");
    // The contact of a day ago, and no table to revise.
    code(
        &["run", "risk", "--contacts", "c.csv", "--set", "rate=1", "--set", "tests_lateness=9", "--output", "x.csv"],
        at,
        78,
    );
}
