//! Tables of contacts and tests as people export them: names, times, missing values, results, ragged rows, encodings, sources.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Decimal256Array, DictionaryArray, FixedSizeBinaryArray, Float64Array,
    Int8Array, Int64Array, LargeStringArray, NullArray, RunArray, StringArray,
};
use arrow::datatypes::{Int32Type, i256};

use super::oracle::{Event, SI, Spread, infected};
use super::write::{self, Table, gz, parquet_of, table};
use super::{Case, Done, Verdict, case, check};

const RUN: &str = "run risk --output o.csv --set rate=1e-3";

fn contacts(name: impl Into<String>, file: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(name, format!("{RUN} --contacts {file}")).file(file, bytes)
}

/// After one contact of so many seconds between two people, one of two infected at first.
fn met(duration: f64) -> [(&'static str, f64); 2] {
    let score = 0.5 + 0.25 * (1.0 - (-1e-3 * duration).exp());
    [("a", score), ("b", score)]
}

/// a, b and c, where a met b at 10 for 600 s and b met c at 20 for 300 s; one of three infected at first.
fn three() -> Vec<(&'static str, f64)> {
    let events = [Event::Contact(10.0, 0, 1, 600.0), Event::Contact(20.0, 1, 2, 300.0)];
    ["a", "b", "c"].into_iter().zip(infected(3, &events, 20.0, &Spread { prior: 1.0 / 3.0, ..SI })).collect()
}

const THREE: &str = "t,i,j,duration\n10,a,b,600\n20,b,c,300\n";

/// So many rows are malformed.
fn malformed(count: u64) -> impl Fn(&Done) -> Verdict {
    move |done| {
        let found = done.json()?["dropped"]["malformed"].as_u64().unwrap_or(0);
        if found == count { Ok(()) } else { Err(format!("found {found} malformed, right: {count}")) }
    }
}

#[test]
fn one_table_in_every_format_gives_the_same_scores() {
    let events = [Event::Contact(10.5, 0, 1, 600.0), Event::Contact(20.0, 1, 2, 300.0), Event::Test(25.0, 2, true)];
    let spread = Spread { false_negative: 0.2, false_positive: 0.1, prior: 0.25, ..SI };
    let right: Vec<_> = ["a", "b", "c"].into_iter().zip(infected(3, &events, 25.0, &spread)).collect();
    let contacts =
        table("T, I ,J,Duration,Diff,note\n10.5,a,b,600,1,\"x, y\"\n20,b,c,300,1,\n22,c,d,60,1,\n22,d,c,60,-1,z\n");
    let tests = table("t,Person,RESULT,diff\n25,c,Positive,1\n26,a,negative,1\n26,a,negative,-1\n");
    let options = spread.options();
    let mut cases = Vec::new();
    for ((ending, contacts), (_, tests)) in contacts.everywhere().into_iter().zip(tests.everywhere()) {
        let line = format!("run risk --contacts c.{ending} --tests t.{ending} --output o.csv --as-of 25 {options}");
        // d was taken back, and a's test at 26 lies behind.
        cases.push(
            case(ending, line)
                .file(format!("c.{ending}"), contacts)
                .file(format!("t.{ending}"), tests)
                .scores(&right)
                .quiet(),
        );
    }
    check(cases);
}

#[test]
fn names_are_found_without_regard_to_case_and_blanks_or_as_columns_maps_them() {
    let rows = "10,a,b,600,1\n10,a,b,900,1\n10,b,a,900,-1\n";
    let mut cases = Vec::new();
    for header in [
        "t,i,j,Duration,Diff",
        "T,I,J,DURATION,DIFF",
        " t ,i , j, duration,diff ",
        "\"t\",\"i\",\"j\",\"duration\",\"diff\"",
    ] {
        let csv = format!("{header}\n{rows}");
        for (ending, bytes) in table(&csv).everywhere() {
            let file = format!("c.{ending}");
            cases.push(contacts(format!("{header}, {ending}"), &file, bytes).scores(&met(600.0)).quiet());
        }
    }
    // Lines of two writers, each with its own spelling.
    for (name, second) in [("case", "Duration|Diff"), ("blanks", " duration|diff "), ("both", " DURATION | Diff")] {
        let (duration, diff) = second.split_once('|').unwrap();
        let line = |duration: &str, diff: &str, rest: [i32; 2]| {
            format!("{{\"t\":10,\"i\":\"a\",\"j\":\"b\",\"{duration}\":{},\"{diff}\":{}}}\n", rest[0], rest[1])
        };
        let (one, two) = (line("duration", "diff", [900, 1]), line(duration, diff, [900, -1]));
        for rows in [[&one, &two, &line(duration, diff, [600, 1])], [&two, &one, &line("duration", "diff", [600, 1])]] {
            let text = rows.map(String::as_str).concat();
            cases
                .push(contacts(format!("keys spelt in two ways: {name}"), "c.jsonl", text).scores(&met(600.0)).quiet());
        }
        let early = format!("{{\"t\":10,\"i\":\"a\",\"j\":\"b\"}}\n{two}{one}");
        cases.push(contacts(format!("keys that come later: {name}"), "c.jsonl", early).scores(&met(20.0)).quiet());
    }
    let mapped = format!(
        "{RUN} --contacts c.csv --tests t.csv --columns contacts.t=recorded_at,tests.t=Sampled_At,i=From,j=to,person=who"
    );
    let files = |case: Case| {
        case.file("c.csv", "recorded_at,from,to,t,duration\n10,a,b,99,600\n")
            .file("t.csv", "sampled_at,t,Who,result\n2000-01-01,5,z,negative\n")
    };
    cases.push(files(case("maps of their own", mapped)).judge(|done| {
        let found: Vec<_> = done.scores("o.csv")?.into_iter().map(|row| (row.0, row.1)).collect();
        let right = ["a", "b", "z"].map(|person| (946_684_800, person.to_string()));
        if found == right { Ok(()) } else { Err(format!("found {found:?}, right: {right:?}")) }
    }));
    for (file, bytes) in [
        ("c.csv", THREE.as_bytes().to_vec()),
        ("c.jsonl", table(THREE).jsonl().into_bytes()),
        ("c.parquet", table(THREE).parquet()),
    ] {
        for columns in ["t=when", "duration=dwell", "diff=change", "contacts.i=Who"] {
            let name = columns.split('=').nth(1).unwrap();
            let line = format!("{RUN} --contacts {file} --columns {columns}");
            cases.push(
                case(format!("no column of that name in {file}"), line)
                    .file(file, bytes.clone())
                    .code(&[1, 78])
                    .says(&[name])
                    .nothing_written(),
            );
        }
        let line = format!("{RUN} --contacts {file} --columns frob=t");
        cases.push(case("no such column at all", line).file(file, bytes).code(&[78]).says(&["frob"]));
    }
    for (file, bytes) in [
        ("c.csv", table("t,i,k\n1,a,b\n").csv().into_bytes()),
        ("c.jsonl", table("t,i,k\n1,a,b\n").jsonl().into_bytes()),
        ("c.parquet", table("t,i,k\n1,a,b\n").parquet()),
    ] {
        cases.push(contacts(format!("{file} without j"), file, bytes).code(&[1]).says(&[file, "j"]).nothing_written());
    }
    check(cases);
}

#[test]
fn a_time_may_be_written_in_many_ways() {
    let same = [
        "1711852200",
        "1711852200.0",
        "1711852200.000000000",
        "+1711852200",
        "1.7118522e9",
        "2024-03-31T02:30:00Z",
        "2024-03-31t02:30:00z",
        "2024-03-31 02:30:00",
        "2024-03-31T02:30:00",
        "2024-03-31 02:30:00.000",
        "2024-03-31 02:30:00.000000",
        "2024-03-31T02:30:00+00",
        "2024-03-31T02:30:00+0000",
        "2024-03-31T02:30:00+00:00",
        "2024-03-31 02:30:00+00:00",
        "2024-03-31T02:30Z",
        "2024-03-31 02:30",
        "2024-03-31T04:30:00+02:00",
        "2024-03-31T04:30:00+0200",
        "2024-03-31T04:30:00+02",
        "2024-03-30T21:00:00-05:30",
        "2024-03-31 02:30:00Z",
    ];
    let csv: String = same.iter().enumerate().map(|(n, t)| format!("{t},a{n:02},b{n:02},60\n")).collect();
    let json: String = same
        .iter()
        .enumerate()
        .map(|(n, t)| format!("{{\"t\":\"{t}\",\"i\":\"a{n:02}\",\"j\":\"b{n:02}\"}}\n"))
        .collect();
    let text = Table {
        header: ["t", "i", "j"].map(String::from).into(),
        rows: same
            .iter()
            .enumerate()
            .map(|(n, t)| [t.to_string(), format!("a{n:02}"), format!("b{n:02}")].map(write::Cell::Text).into())
            .collect(),
    };
    let all = |done: &Done| -> Verdict {
        let rows = done.scores("o.csv")?;
        let missing: Vec<_> = (0..22).filter(|n| !rows.iter().any(|row| row.1 == format!("a{n:02}"))).collect();
        let as_of = rows.first().map_or(0, |row| row.0);
        if missing.is_empty() && as_of == 1_711_852_200 {
            Ok(())
        } else {
            Err(format!("as_of {as_of}, not read as that second: rows {missing:?}"))
        }
    };
    let mut cases = Vec::new();
    for (file, bytes) in [
        ("c.csv", format!("t,i,j,duration\n{csv}").into_bytes()),
        ("c.tsv", format!("t,i,j,duration\n{csv}").replace(',', "\t").into_bytes()),
        ("c.jsonl", json.into_bytes()),
        ("c.parquet", text.parquet()),
        ("c.arrow", write::arrow_file(&text.batch())),
    ] {
        // Within one second before the last stamp: what is anywhere else is out.
        cases.push(case(file, format!("{RUN} --contacts {file} --set window=1")).file(file, bytes).judge(all).quiet());
    }
    for (date, seconds) in [("2024-03-31", 1_711_843_200), ("1969-12-31", -86_400), ("2024-02-29", 1_709_164_800)] {
        cases.push(contacts(date, "c.csv", format!("t,i,j,duration\n{date},a,b,600\n")).scores(&met(600.0)).judge(
            move |done| {
                let as_of = done.scores("o.csv")?[0].0;
                if as_of == seconds { Ok(()) } else { Err(format!("found {as_of}, right: {seconds}")) }
            },
        ));
    }
    // Too large for seconds.
    for (unit, factor) in [("ms", 1_000i64), ("us", 1_000_000), ("ns", 1_000_000_000)] {
        let rows = format!("t,i,j,duration\n{},a,b,600\n", 1_711_852_200 * factor);
        for (file, bytes) in [
            ("c.csv", rows.clone().into_bytes()),
            ("c.jsonl", table(&rows).jsonl().into_bytes()),
            ("c.parquet", table(&rows).parquet()),
        ] {
            cases.push(
                contacts(format!("{unit} not said, {file}"), file, bytes.clone())
                    .code(&[1, 78])
                    .says(&["time_unit", file])
                    .nothing_written(),
            );
            cases.push(
                case(format!("{unit} said, {file}"), format!("{RUN} --contacts {file} --set time_unit={unit}"))
                    .file(file, bytes)
                    .judge(|done| {
                        let rows = done.scores("o.csv")?;
                        if rows.len() == 2 && rows[0].0 == 1_711_852_200 {
                            Ok(())
                        } else {
                            Err(format!("found {rows:?}"))
                        }
                    }),
            );
        }
    }
    cases.push(
        case("no such unit", format!("{RUN} --contacts c.csv --set time_unit=h"))
            .file("c.csv", THREE)
            .code(&[78])
            .says(&["time_unit"]),
    );
    let bad = [
        "",
        "soon",
        "2024-13-01",
        "2024-02-30",
        "2024-03-31T25:00:00Z",
        "2024-03-31T02:30:00+25:00",
        "31.03.2024",
        "NaN",
        "inf",
        "0x10",
        "1 2",
    ];
    let rows: String = bad.iter().map(|t| format!("{t},x,y,60\n")).collect();
    cases.push(
        case("no times", format!("{RUN} --contacts c.csv --json"))
            .file("c.csv", format!("{THREE}{rows}"))
            .scores(&three())
            .judge(malformed(bad.len() as u64))
            .says(&["11", "malformed", "c.csv", "line 4"]),
    );
    check(cases);
}

#[test]
fn missing_values_are_no_people_and_take_defaults() {
    let mut cases = Vec::new();
    for missing in ["", "NA", "NaN", "null", "\\N", "#N/A"] {
        let ids = format!(
            "t,i,j,duration\n10,a,b,600\n20,b,c,300\n5,{missing},a,600\n6,c,{missing},600\n7,{missing},{missing},600\n{missing},a,c,600\n"
        );
        let defaults = format!("t,i,j,duration,diff\n10,a,b,{missing},{missing}\n");
        let nothing = format!(
            "{{\"t\":5,\"i\":{0},\"j\":\"a\"}}\n{{\"t\":6,\"i\":\"c\",\"j\":{0}}}\n{{\"t\":7,\"i\":{0},\"j\":{0}}}\n{{\"t\":{0},\"i\":\"a\",\"j\":\"c\"}}\n",
            if missing.is_empty() || missing == "null" { "null".into() } else { format!("{missing:?}") }
        );
        for (file, ids, defaults) in [
            ("c.csv", ids.clone().into_bytes(), defaults.clone().into_bytes()),
            ("c.tsv", ids.replace(',', "\t").into_bytes(), defaults.replace(',', "\t").into_bytes()),
            ("c.csv.gz", gz(ids.as_bytes()), gz(defaults.as_bytes())),
            ("c.jsonl", (table(THREE).jsonl() + &nothing).into_bytes(), table(&defaults).jsonl().into_bytes()),
            ("c.parquet", table(&ids).parquet(), table(&defaults).parquet()),
        ] {
            let case =
                contacts(format!("{missing:?} in {file}"), file, ids).scores(&three()).says(&["4", "malformed", file]);
            cases.push(case);
            cases.push(
                contacts(format!("{missing:?} takes the default in {file}"), file, defaults).scores(&met(20.0)).quiet(),
            );
        }
        let tests = format!(
            "t,person,result,diff\n20,a,negative,{missing}\n21,{missing},positive,1\n22,b,{missing},1\n{missing},b,positive,1\n"
        );
        let line = format!("{RUN} --contacts c.csv --tests t.csv --json");
        cases.push(
            case(format!("{missing:?} among tests"), line)
                .file("c.csv", "t,i,j\n10,a,b\n")
                .file("t.csv", tests)
                .judge(malformed(3))
                .says(&["3", "malformed", "t.csv", "line 3"])
                .judge(|done| {
                    let people: Vec<_> = done.scores("o.csv")?.into_iter().map(|row| row.1).collect();
                    if people == ["a", "b"] { Ok(()) } else { Err(format!("found people {people:?}, right: a, b")) }
                }),
        );
    }
    let nan = vec![
        ("t", Arc::new(Int64Array::from(vec![10])) as ArrayRef),
        ("i", Arc::new(StringArray::from(vec!["a"]))),
        ("j", Arc::new(StringArray::from(vec!["b"]))),
        ("duration", Arc::new(Float64Array::from(vec![f64::NAN]))),
    ];
    cases.push(contacts("NaN durations", "c.parquet", parquet_of(nan)).scores(&met(20.0)).quiet());
    // Who infers types from values has none for a column without a value.
    let empty = |names: &[&'static str]| {
        let mut columns = vec![
            ("t", Arc::new(Int64Array::from(vec![10])) as ArrayRef),
            ("i", Arc::new(StringArray::from(vec!["a"]))),
            ("j", Arc::new(StringArray::from(vec!["b"]))),
        ];
        columns.extend(names.iter().map(|name| (*name, Arc::new(NullArray::new(1)) as ArrayRef)));
        columns
    };
    for names in [&["duration"][..], &["diff"], &["diff", "duration", "note"]] {
        let name = format!("{names:?} without a value");
        cases.push(contacts(name.clone(), "c.parquet", parquet_of(empty(names))).scores(&met(20.0)).quiet());
        let file = write::arrow_file(&write::batch_of(empty(names)));
        cases.push(contacts(name, "c.arrow", file).scores(&met(20.0)).quiet());
    }
    let nobody = vec![
        ("t", Arc::new(Int64Array::from(vec![10])) as ArrayRef),
        ("i", Arc::new(StringArray::from(vec!["a"]))),
        ("j", Arc::new(NullArray::new(1))),
    ];
    cases.push(contacts("ids without a value", "c.parquet", parquet_of(nobody)).code(&[1]).says(&["1", "malformed"]));
    let bad = "30,a,c,-5\n30,a,c,long\n30,a,c,inf\n30,a,c,1e99\n";
    cases.push(
        case("durations that are none", format!("{RUN} --contacts c.csv --json --as-of 20"))
            .file("c.csv", format!("{THREE}{bad}"))
            .scores(&three())
            .judge(malformed(4))
            .says(&["duration", "line 4"]),
    );
    let bad = "t,i,j,duration,diff\n10,a,b,600,1\n20,b,c,300,1\n5,a,c,60,2\n5,a,c,60,0\n5,a,c,60,x\n5,a,c,60,0.5\n";
    cases.push(
        case("diffs that are none", format!("{RUN} --contacts c.csv --json"))
            .file("c.csv", bad)
            .scores(&three())
            .judge(malformed(4))
            .says(&["diff", "line 4"]),
    );
    check(cases);
}

#[test]
fn ids_are_strings_and_trimmed() {
    let mut cases = vec![
        contacts("blanks around", "c.csv", "t,i,j,duration\n10, a,b ,600\n20,\" b \",\tc,300\n").scores(&three()).quiet(),
        contacts("blanks around, JSON", "c.jsonl", "{\"t\":10,\"i\":\" a\",\"j\":\"b \",\"duration\":600}\n{\"t\":20,\"i\":\"b\",\"j\":\"c\",\"duration\":300}\n").scores(&three()).quiet(),
        contacts("blanks alone", "c.csv", format!("{THREE}30,  ,a,60\n")).scores(&three()).says(&["1", "malformed", "line 4"]),
        case("bytes that are no text", format!("{RUN} --contacts c.csv --json")).file("c.csv", [THREE.as_bytes(), b"5,\xe9ric,a,60\n"].concat()).scores(&three()).judge(malformed(1)).says(&["line 4"]),
    ];
    let people = |right: &'static [&'static str]| {
        move |done: &Done| {
            let people: Vec<_> = done.scores("o.csv")?.into_iter().map(|row| row.1).collect();
            if people == right { Ok(()) } else { Err(format!("found people {people:?}, right: {right:?}")) }
        }
    };
    let rows = "t,i,j\n10,007,7\n10,1e3,1000\n10,Éric,NAN NA\n10,a b,None\n";
    cases.push(
        contacts("as they are written", "c.csv", rows)
            .judge(people(&["007", "1000", "1e3", "7", "NAN NA", "None", "a b", "Éric"])),
    );
    let t = || Arc::new(Int64Array::from(vec![10, 20])) as ArrayRef;
    let (i, j) = (["a", "b"], ["b", "c"]);
    let duration = || Arc::new(Int64Array::from(vec![600, 300])) as ArrayRef;
    let typed: Vec<(&str, ArrayRef, ArrayRef)> = vec![
        ("large text", Arc::new(LargeStringArray::from(i.to_vec())), Arc::new(LargeStringArray::from(j.to_vec()))),
        (
            "categories",
            Arc::new(i.into_iter().collect::<DictionaryArray<Int32Type>>()),
            Arc::new(j.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ),
        ("bytes of one length", of_one_length(&i), of_one_length(&j)),
    ];
    let runs = vec![
        ("t", t()),
        ("i", Arc::new(i.into_iter().collect::<RunArray<Int32Type>>()) as ArrayRef),
        ("j", Arc::new(j.into_iter().collect::<RunArray<Int32Type>>())),
        ("duration", duration()),
    ];
    cases.push(contacts("runs", "c.arrow", write::arrow_file(&write::batch_of(runs))).scores(&three()).quiet());
    let long = Decimal256Array::from_iter_values([60_000, 30_000].map(i256::from_i128));
    let long = vec![
        ("t", t()),
        ("i", Arc::new(StringArray::from(i.to_vec())) as ArrayRef),
        ("j", Arc::new(StringArray::from(j.to_vec()))),
        ("duration", Arc::new(long.with_precision_and_scale(40, 2).unwrap())),
    ];
    cases.push(contacts("decimals of 256 bits", "c.parquet", parquet_of(long)).scores(&three()).quiet());
    for (name, i, j) in typed {
        let columns = vec![("t", t()), ("i", i), ("j", j), ("duration", duration())];
        cases.push(contacts(name, "c.parquet", parquet_of(columns.clone())).scores(&three()).quiet());
        cases.push(contacts(name, "c.arrow", write::arrow_file(&write::batch_of(columns))).scores(&three()).quiet());
    }
    let numbers = |v: Vec<i64>| Arc::new(Int64Array::from(v)) as ArrayRef;
    let decimals =
        |v: Vec<i128>| Arc::new(Decimal128Array::from(v).with_precision_and_scale(10, 0).unwrap()) as ArrayRef;
    cases.push(
        contacts(
            "numbers",
            "c.parquet",
            parquet_of(vec![("t", t()), ("i", numbers(vec![1, 2])), ("j", numbers(vec![2, -3]))]),
        )
        .judge(people(&["-3", "1", "2"])),
    );
    cases.push(
        contacts(
            "decimals",
            "c.parquet",
            parquet_of(vec![("t", t()), ("i", decimals(vec![1, 2])), ("j", decimals(vec![2, 3]))]),
        )
        .judge(people(&["1", "2", "3"])),
    );
    cases.push(contacts("UUIDs", "c.parquet", uuids()).judge(people(&[
        "00000000-0000-4000-8000-000000000001",
        "00000000-0000-4000-8000-000000000002",
        "00000000-0000-4000-8000-000000000003",
    ])));
    check(cases);
}

fn of_one_length(words: &[&str]) -> ArrayRef {
    Arc::new(FixedSizeBinaryArray::try_from_iter(words.iter()).unwrap())
}

/// Ids of 16 bytes, marked as UUIDs, in a file written column by column.
fn uuids() -> Vec<u8> {
    use parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let message = "message m { required int64 t; required fixed_len_byte_array(16) i (UUID); required fixed_len_byte_array(16) j (UUID); }";
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(parse_message_type(message).unwrap()), Default::default())
            .unwrap();
    let id = |n: u8| FixedLenByteArray::from(vec![0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, n]);
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[10, 20], None, None).unwrap();
    column.close().unwrap();
    for ids in [[id(1), id(2)], [id(2), id(3)]] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<FixedLenByteArrayType>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn results_are_written_in_many_ways() {
    let right = |positive: bool| {
        let events = [Event::Contact(10.0, 0, 1, 600.0), Event::Test(20.0, 0, positive)];
        let spread = Spread { false_negative: 0.2, false_positive: 0.1, ..SI };
        ["a", "b"].into_iter().zip(infected(2, &events, 20.0, &spread)).collect::<Vec<_>>()
    };
    let line = |file: &str| {
        format!("{RUN} --contacts c.csv --tests {file} --set false_negative=0.2 --set false_positive=0.1 --json")
    };
    let tested = |name: String, file: &str, bytes: Vec<u8>, positive: bool| {
        case(name, line(file))
            .file("c.csv", "t,i,j,duration\n10,a,b,600\n")
            .file(file, bytes)
            .scores(&right(positive))
            .quiet()
    };
    let mut cases = Vec::new();
    for (positive, forms) in [
        (true, ["positive", "Positive", "POS", "true", "True", "1", "+", " positive "]),
        (false, ["negative", "NEGATIVE", "neg", "false", "FALSE", "0", "-", "Negative "]),
    ] {
        for form in forms {
            cases.push(tested(
                format!("{form:?}"),
                "t.csv",
                format!("t,person,result\n20,a,{form}\n").into_bytes(),
                positive,
            ));
            cases.push(tested(
                format!("{form:?}"),
                "t.jsonl",
                format!("{{\"t\":20,\"person\":\"a\",\"result\":{form:?}}}\n").into_bytes(),
                positive,
            ));
            let columns = |form: &str| {
                vec![
                    ("t", Arc::new(Int64Array::from(vec![20])) as ArrayRef),
                    ("person", Arc::new(StringArray::from(vec!["a"]))),
                    ("result", Arc::new(StringArray::from(vec![form]))),
                ]
            };
            cases.push(tested(format!("{form:?}"), "t.parquet", parquet_of(columns(form.trim())), positive));
        }
        let typed: [(&str, ArrayRef); 4] = [
            ("boolean", Arc::new(BooleanArray::from(vec![positive]))),
            ("i8", Arc::new(Int8Array::from(vec![i8::from(positive)]))),
            ("i64", Arc::new(Int64Array::from(vec![i64::from(positive)]))),
            ("f64", Arc::new(Float64Array::from(vec![f64::from(u8::from(positive))]))),
        ];
        for (name, result) in typed {
            let columns = vec![
                ("t", Arc::new(Int64Array::from(vec![20])) as ArrayRef),
                ("person", Arc::new(StringArray::from(vec!["a"]))),
                ("result", result),
            ];
            cases.push(tested(name.into(), "t.parquet", parquet_of(columns.clone()), positive));
            cases.push(tested(name.into(), "t.arrow", write::arrow_stream(&write::batch_of(columns)), positive));
        }
        cases.push(tested(
            "JSON's own".into(),
            "t.jsonl",
            format!("{{\"t\":20,\"person\":\"a\",\"result\":{positive}}}\n").into_bytes(),
            positive,
        ));
        cases.push(tested(
            "JSON's number".into(),
            "t.jsonl",
            format!("{{\"t\":20,\"person\":\"a\",\"result\":{}}}\n", u8::from(positive)).into_bytes(),
            positive,
        ));
    }
    let rows = "t,person,result\n20,a,positive\n30,a,maybe\n31,a,2\n32,b,inconclusive\n33,b,p\n34,b,\n";
    for (file, bytes) in [
        ("t.csv", rows.as_bytes().to_vec()),
        ("t.jsonl", table(rows).jsonl().into_bytes()),
        ("t.parquet", table(rows).parquet()),
    ] {
        cases.push(
            case(format!("no results, {file}"), line(file) + " --as-of 20")
                .file("c.csv", "t,i,j,duration\n10,a,b,600\n")
                .file(file, bytes)
                .scores(&right(true))
                .judge(malformed(5))
                .says(&["5", "malformed", file, "maybe"]),
        );
    }
    cases.push(
        case("a header alone", line("t.csv"))
            .file("c.csv", "t,i,j,duration\n10,a,b,600\n")
            .file("t.csv", "t,person,result\n")
            .scores(&met(600.0)),
    );
    check(cases);
}

#[test]
fn records_of_another_length_are_malformed_and_a_quoted_line_break_is_none() {
    let with = |name: &str, rows: &str| case(name, format!("{RUN} --contacts c.csv --json")).file("c.csv", rows);
    let mut cases = vec![
        with("R's write.table", "\"t\",\"i\",\"j\"\n\"1\",10,\"a\",\"b\"\n\"2\",20,\"b\",\"c\"\n")
            .code(&[1])
            .says(&["c.csv", "line 2"])
            .nothing_written(),
        with("R's write.table with blanks", "\"t\" \"i\" \"j\"\n\"1\" 10 \"a\" \"b\"\n")
            .code(&[1])
            .loud()
            .nothing_written(),
        with(
            "R's write.table without names of rows",
            "\"t\" \"i\" \"j\" \"duration\" \"note\"\n10 \"a\" \"b\" 600 \"at a 5\\\" wall\"\n20 \"b\" \"c\" 300 NA\n",
        )
        .scores(&three())
        .quiet(),
        with("more and fewer", &format!("{THREE}30,a\n30,a,c,60,1\n30\n30,a,c\n"))
            .scores(&three())
            .judge(malformed(4))
            .says(&["4", "malformed", "line 4"]),
        with("a comma at every end", "t,i,j,duration,\n10,a,b,600,\n20,b,c,300,\n").scores(&three()).quiet(),
        with("a comma at the end of rows alone", "t,i,j,duration\n10,a,b,600,\n20,b,c,300,\n")
            .code(&[1])
            .says(&["line 2"]),
        with("blank lines", "t,i,j,duration\n\n10,a,b,600\n\r\n20,b,c,300\n\n").scores(&three()).quiet(),
        with("no newline at the end", THREE.trim_end()).scores(&three()).quiet(),
        with("a quotation mark that never ends", &format!("{THREE}30,\"a,c,60\n"))
            .scores(&three())
            .judge(malformed(1))
            .says(&["line 4"]),
        with(
            "quotation marks that never end",
            "t,i,j,duration\n5,\"x,y,60\n10,a,b,600\n5,\"z,\"w,60\n20,\"b\",c,300\n6,\"v,u,60\n",
        )
        .scores(&three())
        .judge(malformed(3))
        .says(&["line 2"]),
        with("marks behind backslashes", "note,t,i,j,duration\n\"say\n\\\"so\\\"\",10,a,b,600\n,20,b,c,300\n")
            .scores(&three())
            .quiet(),
    ];
    let broken = "t,i,j,note,duration\n10,a,b,\"met at\n20,c,d,lunch,9\",600\n20,b,c,\"say \"\"\n\n\"\"\",300\n";
    for (ending, bytes) in [
        ("csv", broken.as_bytes().to_vec()),
        ("crlf.csv", broken.replace('\n', "\r\n").into_bytes()),
        ("tsv", broken.replace(',', "\t").into_bytes()),
        ("csv.gz", gz(broken.as_bytes())),
        ("jsonl", table(broken).jsonl().into_bytes()),
        ("parquet", table(broken).parquet()),
    ] {
        let file = format!("c.{ending}");
        cases.push(contacts(format!("a note with line breaks, {ending}"), &file, bytes).scores(&three()).quiet());
    }
    cases.push(
        contacts(
            "a bad row after a note with line breaks is named by its line",
            "c.csv",
            format!("{broken}x,a,b,,1\n"),
        )
        .scores(&three())
        .says(&["1", "malformed", "line 7"]),
    );
    let tests = "t,person,result,note\n25,c,negative,\"a\n26,a,positive,b\"\n";
    cases.push(
        case("tests", format!("{RUN} --contacts c.csv --tests t.csv"))
            .file("c.csv", THREE)
            .file("t.csv", tests)
            .quiet()
            .judge(|done| {
                let rows = done.scores("o.csv")?;
                if rows[0].0 == 25 { Ok(()) } else { Err(format!("found as_of {}, right: 25", rows[0].0)) }
            }),
    );
    cases.push(
        contacts(
            "JSON lines that are none",
            "c.jsonl",
            table(THREE).jsonl() + "{\"t\":5,\n[1,2]\nhello\n{\"t\":5,\"i\":{},\"j\":\"a\"}\n",
        )
        .scores(&three())
        .says(&["4", "malformed", "line 3"]),
    );
    check(cases);
}

#[test]
fn many_bad_rows_are_not_the_end_and_rows_that_are_all_bad_are_an_error() {
    let mut cases = Vec::new();
    for count in [65_535, 65_536, 65_537, 140_000] {
        let bad = "1,a,\n".repeat(count);
        let csv = format!("t,i,j\n{bad}10,a,b\n20,b,c\n");
        let right = ["a", "b", "c"];
        let people = move |done: &Done| {
            let found: Vec<_> = done.scores("o.csv")?.into_iter().map(|row| row.1).collect();
            if found == right { Ok(()) } else { Err(format!("found people {found:?}, right: {right:?}")) }
        };
        let count_text = format!("{count}|{},{:03}", count / 1000, count % 1000);
        cases.push(contacts(format!("{count} bad rows, CSV"), "c.csv", csv.clone()).judge(people).says(&[
            &count_text,
            "malformed",
            "line 2",
        ]));
        if count == 65_536 {
            cases.push(contacts("bad rows, gz", "c.csv.gz", gz(csv.as_bytes())).judge(people).says(&[&count_text]));
            cases.push(contacts("bad rows, JSON", "c.jsonl", table(&csv).jsonl()).judge(people).says(&[&count_text]));
            cases.push(
                contacts("bad rows, Parquet", "c.parquet", table(&csv).parquet()).judge(people).says(&[&count_text]),
            );
            let tests = format!("t,person,result\n{}20,a,negative\n", "1,a,maybe\n".repeat(count));
            cases.push(
                case("bad tests", format!("{RUN} --contacts c.csv --tests t.csv"))
                    .file("c.csv", THREE)
                    .file("t.csv", tests)
                    .says(&[&count_text, "t.csv"])
                    .judge(people),
            );
            let points = format!(
                "frame,x,y,z\n0,1,2,3\n0,2,2,3\n{}1,1,2,3\n1,2,2,5\n",
                "0,1,2,\n".repeat(count).replace(",\n", ",x\n")
            );
            cases.push(
                case("bad points", "run knn --set k=3 --output o.csv --input p.csv")
                    .file("p.csv", points)
                    .graph(
                        3,
                        &[(0, vec![[1.0, 2.0, 3.0], [2.0, 2.0, 3.0]]), (1, vec![[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]])],
                    )
                    .says(&[&count_text]),
            );
        }
    }
    for (name, file, bytes) in [
        ("times that are none", "c.csv", "t,i,j\n31.03.2024,a,b\n01.04.2024,b,c\n".as_bytes().to_vec()),
        ("missing ids", "c.csv", b"t,i,j\n1,a,NA\n2,NA,c\n".to_vec()),
        ("JSON", "c.jsonl", b"{\"t\":\"soon\",\"i\":\"a\",\"j\":\"b\"}\n".to_vec()),
        ("Parquet", "c.parquet", table("t,i,j\nsoon,a,b\n").parquet()),
        ("gz", "c.csv.gz", gz(b"t,i,j\nsoon,a,b\n")),
    ] {
        cases.push(
            contacts(format!("all refused: {name}"), file, bytes)
                .code(&[1])
                .says(&[file])
                .nothing_written()
                .inspect_says_too(leak(file)),
        );
    }
    check(cases);
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_string().into_boxed_str())
}

#[test]
fn encodings_dividers_and_headerless_files_are_recognised_or_refused() {
    let utf16 = |text: &str| {
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>()
    };
    let no_text = |name: &str, bytes: Vec<u8>, found: &str| {
        contacts(name, "c.csv", bytes).code(&[1]).says(&[&format!("c.csv: line 1: found {found}")]).nothing_written()
    };
    let sociopatterns = "10 a b 3B 3B\n20 b c 3B 2A\n";
    let default: Vec<_> = {
        let events = [Event::Contact(10.0, 0, 1, 20.0), Event::Contact(20.0, 1, 2, 20.0)];
        ["a", "b", "c"].into_iter().zip(infected(3, &events, 20.0, &Spread { prior: 1.0 / 3.0, ..SI })).collect()
    };
    let twice = [gz(&THREE.as_bytes()[..THREE.len() / 2]), gz(&THREE.as_bytes()[THREE.len() / 2..])].concat();
    let mut cases = vec![
        contacts("UTF-16", "c.csv", utf16(THREE)).code(&[0, 1]).judge(|done| match done.code {
            Some(0) => super::same_scores(
                &done.scores("o.csv")?,
                &three().iter().map(|(p, s)| (p.to_string(), *s)).collect::<Vec<_>>(),
            ),
            _ if done.stderr.contains("c.csv") => Ok(()),
            _ => Err("the file is not named".into()),
        }),
        no_text("a workbook", b"PK\x03\x04\x14\0\x06\0xl/workbook.xml".to_vec(), "a zip archive"),
        no_text("bzip2", b"BZh91AY&SY\xcd".to_vec(), "bzip2 data"),
        no_text("zstd", b"\x28\xb5\x2f\xfd\x24%A\x01\0t,i,j".to_vec(), "zstd data"),
        no_text("UTF-16 without a mark", utf16(THREE)[2..].to_vec(), "UTF-16 text"),
        no_text("a program", b"\x7fELF\x02\x01\x01\0\0\0".to_vec(), "bytes that are no text"),
        contacts("a byte order mark", "c.csv", format!("\u{feff}{THREE}")).scores(&three()).quiet(),
        contacts(
            "a byte order mark and quotes",
            "c.csv",
            format!("\u{feff}{}", THREE.replacen("t,i", "\"t\",\"i\"", 1)),
        )
        .scores(&three())
        .quiet(),
        contacts("a byte order mark, JSON", "c.jsonl", format!("\u{feff}{}", table(THREE).jsonl()))
            .scores(&three())
            .quiet(),
        contacts("semicolons and decimal commas", "c.csv", "t;i;j;duration\n10,0;a;b;600,0\n20;b;c;300\n")
            .scores(&three())
            .quiet(),
        contacts("semicolons, a comma in a note", "c.csv", "t;i;j;duration;note\n10;a;b;600;x,y\n20;b;c;300;\n")
            .scores(&three())
            .quiet(),
        contacts("gz of two parts", "c.csv.gz", twice).scores(&three()).quiet(),
        contacts("gz that its name does not tell", "c.csv", gz(THREE.as_bytes())).scores(&three()),
        contacts("a torn gz", "c.csv.gz", {
            let packed = gz(THREE.as_bytes());
            packed[..packed.len() - 9].to_vec()
        })
        .code(&[1])
        .says(&["c.csv.gz"])
        .nothing_written(),
        contacts("SocioPatterns, blanks", "c.dat", sociopatterns).scores(&default),
        contacts("SocioPatterns, tabs", "c.txt", sociopatterns.replace(' ', "\t")).scores(&default),
        contacts("SocioPatterns, three columns", "c.dat", "10 a b\n20 b c\n").scores(&default),
        contacts("SocioPatterns, packed", "c.dat.gz", gz(sociopatterns.as_bytes())).scores(&default),
        contacts("SocioPatterns, blanks, by the name of CSV", "High-School_data_2013.csv", sociopatterns)
            .scores(&default),
        contacts("SocioPatterns, tabs, by the name of CSV", "primaryschool.csv", sociopatterns.replace(' ', "\t"))
            .scores(&default),
        contacts("an empty file", "c.csv", "").code(&[1]).says(&["c.csv"]).nothing_written(),
        contacts("a header alone", "c.csv", "t,i,j\n")
            .judge(|done| if done.scores("o.csv")?.is_empty() { Ok(()) } else { Err("rows".into()) }),
    ];
    for (format, bytes) in [
        ("csv", THREE.as_bytes().to_vec()),
        ("csv", table(THREE).divided('\t', '.').into_bytes()),
        ("jsonl", table(THREE).jsonl().into_bytes()),
        ("csv", gz(THREE.as_bytes())),
    ] {
        cases.push(
            case("standard input", format!("{RUN} --contacts - --format {format}")).stdin(bytes).scores(&three()),
        );
    }
    cases.push(case("standard input, no format said", format!("{RUN} --contacts -")).stdin(THREE).scores(&three()));
    let days = ["t,i,j,duration\n10,a,b,600\n", "t,i,j,duration\n20,b,c,300\n"];
    cases.push(
        case("a folder of tables", format!("{RUN} --contacts days"))
            .file("days/1.csv", days[0])
            .file("days/2.csv", days[1])
            .scores(&three())
            .quiet(),
    );
    cases.push(
        case("a folder of tables of every format", format!("{RUN} --contacts days"))
            .file("days/1.parquet", table(days[0]).parquet())
            .file("days/2.jsonl", table(days[1]).jsonl())
            .scores(&three())
            .quiet(),
    );
    cases.push(
        case("a folder of folders", format!("{RUN} --contacts days"))
            .file("days/x/1.csv", days[0])
            .code(&[0, 1])
            .loud(),
    );
    cases.push(
        case("an empty folder", format!("{RUN} --contacts days --tests t.csv"))
            .file("days/readme.md", "hello")
            .file("t.csv", "t,person,result\n")
            .code(&[1])
            .says(&["days"]),
    );
    check(cases);
}

#[test]
fn tables_of_a_folder_that_are_not_named_as_tables_are_said() {
    let said = ["passed over 3.dat, c: the tables of a folder end in .csv"];
    check([
        case("tables under other names", format!("{RUN} --contacts in"))
            .file("in/1.csv", THREE)
            .file("in/3.dat", "5 x y\n")
            .file("in/c", "t,i,j\n5,v,w\n")
            .file("in/README.txt", "what this is\n")
            .file("in/.4.dat", "5 x y\n")
            .file("in/picture.png", [0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0])
            .scores(&three())
            .says(&said)
            .inspect_says_too("in"),
        case("nothing but tables", format!("{RUN} --contacts in"))
            .file("in/1.csv", THREE)
            .file("in/README.md", "t\n")
            .scores(&three())
            .quiet(),
    ]);
}

#[test]
fn ids_of_two_kinds_are_said_once() {
    let line = format!("{RUN} --contacts c.csv --tests t.csv");
    let said = |done: &Done| {
        let count = done.stderr.lines().filter(|line| line.contains("contact")).count();
        if count == 1 { Ok(()) } else { Err(format!("said {count} times, right: once")) }
    };
    check([
        case("none of those tested is in a contact", line.clone())
            .file("c.csv", THREE)
            .file("t.csv", "t,person,result\n20,x1,negative\n21,x2,negative\n")
            .judge(said),
        case("one is", line)
            .file("c.csv", THREE)
            .file("t.csv", "t,person,result\n20,x1,negative\n21,a,negative\n")
            .quiet(),
    ]);
}
