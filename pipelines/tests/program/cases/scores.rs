//! Scores against the joint distribution of everybody's states: gaps from seconds to centuries, copies, early tests, units.

use super::oracle::{Event, SI, Spread, infected};
use super::write::{gz, table};
use super::{Case, Done, Verdict, case, check};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Contacts and tests of a list of events.
fn files(events: &[Event]) -> (String, String) {
    let (mut contacts, mut tests) = ("t,i,j,duration\n".to_string(), "t,person,result\n".to_string());
    for event in events {
        match *event {
            Event::Contact(t, i, j, duration) => contacts += &format!("{t},{},{},{duration}\n", NAMES[i], NAMES[j]),
            Event::Test(t, person, positive) => {
                tests += &format!("{t},{},{}\n", NAMES[person], if positive { "positive" } else { "negative" });
            }
        }
    }
    (contacts, tests)
}

fn last(events: &[Event]) -> f64 {
    events.iter().fold(f64::MIN, |last, event| match *event {
        Event::Contact(t, ..) | Event::Test(t, ..) => last.max(t),
    })
}

fn right(people: usize, events: &[Event], spread: &Spread) -> Vec<(&'static str, f64)> {
    NAMES.into_iter().zip(infected(people, events, last(events), spread)).collect()
}

/// Events as CSV, and the scores that enumeration gives.
fn network(name: impl Into<String>, people: usize, events: &[Event], spread: &Spread) -> Case {
    let (contacts, tests) = files(events);
    let options = spread.options();
    case(name, format!("run risk --contacts c.csv --tests t.csv --output o.csv {options}"))
        .file("c.csv", contacts)
        .file("t.csv", tests)
        .scores(&right(people, events, spread))
}

/// Every score is a number from 0 to 1.
fn probabilities(done: &Done) -> Verdict {
    let scores = done.scores("o.csv")?;
    let bad: Vec<_> = scores.iter().filter(|(.., score)| !(0.0..=1.0).contains(score)).collect();
    if bad.is_empty() && !scores.is_empty() { Ok(()) } else { Err(format!("of {} scores {bad:?}", scores.len())) }
}

#[test]
fn trees_of_contacts_with_gaps_from_seconds_to_centuries_score_as_enumerated() {
    let day = 86_400.0;
    let gaps = [1.0, 3600.0, day, 30.0 * day, 365.0 * day, 20_000.0 * day];
    let rates = [
        (1e-3, 0.0, 0.0),
        (1e-4, 0.0, 1e-6),
        (1e-3, 5e-6, 1e-5),
        (1e-2, 1e-12, 1e-9),
        (10.0, 1e3, 1e-7),
        (1e-6, 1e-3, 1e3),
        (1e-4, 2e-6, 2e-6),
    ];
    let mut cases = Vec::new();
    for (n, (rate, latency, recovery)) in rates.into_iter().enumerate() {
        for (m, gap) in gaps.into_iter().enumerate() {
            let spread = Spread { rate, latency, recovery, false_negative: 0.2, false_positive: 0.1, prior: 0.2 };
            let start = [0.0, -1e9, 1.7e9][(n + m) % 3];
            let events = [
                Event::Contact(start, 0, 1, 600.0),
                Event::Test(start + gap / 2.0, 1, true),
                Event::Contact(start + gap, 1, 2, 1200.0),
                Event::Contact(start + gap + 7200.0, 2, 3, 60.0),
                Event::Test(start + 2.0 * gap + 7200.0, 3, (n + m) % 2 == 0),
            ];
            cases.push(network(format!("gap {gap}, rates {rate} {latency} {recovery}"), 4, &events, &spread));
        }
    }
    check(cases);
}

#[test]
fn no_time_and_no_rate_makes_a_score_that_is_none() {
    let apart = "t,i,j,duration\n0,x,y,60\n1700000000,a,b,600\n1700003600,b,c,600\n";
    let none = "t,person,result\n";
    let rates = "--set latency=5e-6 --set recovery=1e-5 --set rate=1e-3";
    let zero = [("a", 0.0), ("b", 0.0), ("c", 0.0), ("x", 0.0), ("y", 0.0)];
    let mut cases = vec![
        case("two outbreaks, decades apart", format!("run risk --contacts c.csv --tests t.csv --output o.csv {rates}"))
            .file("c.csv", apart)
            .file("t.csv", none)
            .scores(&zero),
    ];
    let many: String = (0..60)
        .map(|i| format!("{},p{},p{},600\n", if i % 2 == 0 { i } else { 1_700_000_000 + i }, i % 12, (i * 5 + 1) % 12))
        .collect();
    let span = "t,i,j,duration\n-9000000000,a,b,600\n0,b,c,600\n9000000000,c,d,600\n";
    for model in ["bp", "mean-field", "tgnn", "tracing"] {
        for (name, contacts) in [
            ("decades", apart.to_string()),
            ("a crowd over decades", format!("t,i,j,duration\n{many}")),
            ("570 years", span.to_string()),
            ("a duration without end", "t,i,j,duration\n1,a,b,9000000000\n2,b,c,1\n".into()),
        ] {
            for rates in [
                rates,
                "--set rate=1000 --set latency=1000 --set recovery=1000",
                "--set rate=1e-12 --set latency=1e-12 --set recovery=1e-12",
                "--set rate=1e-3",
            ] {
                let line = format!("run risk --contacts c.csv --tests t.csv --output o.csv --model {model} {rates}");
                cases.push(
                    case(format!("{model}: {name}"), line)
                        .file("c.csv", contacts.clone())
                        .file("t.csv", "t,person,result\n5,a,positive\n")
                        .judge(probabilities),
                );
            }
        }
    }
    check(cases);
}

#[test]
fn a_unit_of_time_is_the_column_s_own() {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Decimal128Array, DurationMicrosecondArray, DurationMillisecondArray, DurationNanosecondArray,
        DurationSecondArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
        TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
        UInt64Array,
    };

    use super::write::{arrow_file, arrow_stream, batch_of, parquet_of};

    // 600 s at 1e-3 a second, half infected at first.
    let score = 0.5 + 0.25 * (1.0 - (-0.6f64).exp());
    let one = |value: f64| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    let durations: Vec<(&str, ArrayRef)> = vec![
        ("s", Arc::new(DurationSecondArray::from(vec![600]))),
        ("ms", Arc::new(DurationMillisecondArray::from(vec![600_000]))),
        ("us", Arc::new(DurationMicrosecondArray::from(vec![600_000_000]))),
        ("ns", Arc::new(DurationNanosecondArray::from(vec![600_000_000_000]))),
        ("f64", one(600.0)),
        ("f32", Arc::new(Float32Array::from(vec![600.0]))),
        ("i32", Arc::new(Int32Array::from(vec![600]))),
        ("u64", Arc::new(UInt64Array::from(vec![600]))),
        ("decimal", Arc::new(Decimal128Array::from(vec![60_000]).with_precision_and_scale(10, 2).unwrap())),
        ("text", Arc::new(StringArray::from(vec!["600.000"]))),
        ("text with an exponent", Arc::new(StringArray::from(vec!["6e2"]))),
    ];
    let second = 1_711_852_200i64;
    let stamps: Vec<(&str, ArrayRef)> = vec![
        ("s", Arc::new(TimestampSecondArray::from(vec![second]))),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![second * 1000]))),
        ("us", Arc::new(TimestampMicrosecondArray::from(vec![second * 1_000_000]))),
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![second * 1_000_000_000]))),
        ("ms, UTC", Arc::new(TimestampMillisecondArray::from(vec![second * 1000]).with_timezone("UTC"))),
        ("ms, +02:00", Arc::new(TimestampMillisecondArray::from(vec![second * 1000]).with_timezone("+02:00"))),
        ("f64", one(second as f64)),
        ("i64", Arc::new(Int64Array::from(vec![second]))),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![i128::from(second) * 100]).with_precision_and_scale(20, 2).unwrap()),
        ),
        ("text", Arc::new(StringArray::from(vec!["2024-03-31 02:30:00"]))),
    ];
    let id = |name: &str| Arc::new(StringArray::from(vec![name])) as ArrayRef;
    let mut cases = Vec::new();
    let mut add = |what: String, t: &ArrayRef, duration: &ArrayRef, as_of: i64| {
        let columns = vec![("t", t.clone()), ("i", id("a")), ("j", id("b")), ("duration", duration.clone())];
        for (file, bytes) in [
            ("c.parquet", parquet_of(columns.clone())),
            ("c.arrow", arrow_file(&batch_of(columns.clone()))),
            ("s.arrow", arrow_stream(&batch_of(columns))),
        ] {
            let line = format!("run risk --contacts {file} --output o.csv --set rate=1e-3");
            cases.push(
                case(format!("{what}, {file}"), line)
                    .file(file, bytes)
                    .scores(&[("a", score), ("b", score)])
                    .quiet()
                    .judge(move |done| {
                        let found = done.scores("o.csv")?[0].0;
                        if found == as_of { Ok(()) } else { Err(format!("found as_of {found}, right: {as_of}")) }
                    }),
            );
        }
    };
    for (name, duration) in &durations {
        add(format!("duration in {name}"), &one(10.0), duration, 10);
    }
    for (name, t) in &stamps {
        add(format!("t in {name}"), t, &durations[0].1, second);
    }
    check(cases);
}

/// A contact of 600 s, then tests with errors.
fn tested(tests: &[(&str, &str)], right: f64) -> Case {
    let names: Vec<&str> = tests.iter().map(|test| test.0).collect();
    let line = format!(
        "run risk --contacts c.csv --tests {} --output o.csv --json --set rate=1e-3 --set false_negative=0.2 --set false_positive=0.1",
        names.join(" ")
    );
    let case = case(names.join(" "), line).file("c.csv", "t,i,j,duration\n10,a,b,600\n");
    tests.iter().fold(case, |case, (name, text)| case.file(*name, *text)).judge(move |done| {
        let scores = done.scores("o.csv")?;
        let found = scores.iter().find(|row| row.1 == "a").map_or(f64::NAN, |row| row.2);
        if (found - right).abs() < 1e-5 { Ok(()) } else { Err(format!("found {found} for a, right: {right}")) }
    })
}

#[test]
fn copies_are_one_row_and_what_is_taken_back_never_was() {
    let spread = Spread { false_negative: 0.2, false_positive: 0.1, ..SI };
    let contact = Event::Contact(10.0, 0, 1, 600.0);
    let once = infected(2, &[contact, Event::Test(20.0, 0, true)], 20.0, &spread)[0];
    let both = infected(2, &[contact, Event::Test(20.0, 0, true), Event::Test(20.0, 0, false)], 20.0, &spread)[0];
    let later = infected(2, &[contact, Event::Test(20.0, 0, true), Event::Test(21.0, 0, true)], 21.0, &spread)[0];
    let untested = infected(2, &[contact], 10.0, &spread)[0];
    assert!((once - 0.9268).abs() < 5e-5);
    let header = "t,person,result\n20,a,positive\n";
    let dropped = |reason: &'static str, count: u64| {
        move |done: &Done| {
            let found = &done.json()?["dropped"][reason];
            if *found == count { Ok(()) } else { Err(format!("found {reason}: {found}, right: {count}")) }
        }
    };
    let mut cases = vec![
        tested(&[("t.csv", header)], once),
        tested(&[("t.csv", header), ("t.csv", header)], once).judge(dropped("duplicate", 1)).says(&[
            "1",
            "duplicate",
            "a test of a at 20 s",
        ]),
        tested(&[("t.csv", "t,person,result\n20,a,positive\n20,a,positive\n20,a,positive\n")], once)
            .judge(dropped("duplicate", 2)),
        tested(&[("t.csv", "t,person,result\n20,a,positive\n20.0,a,POS\n1970-01-01T00:00:20Z, a ,1\n")], once)
            .judge(dropped("duplicate", 2)),
        tested(&[("t.csv", header), ("u.jsonl", "{\"t\":20.0,\"person\":\"a\",\"result\":true}\n")], once)
            .judge(dropped("duplicate", 1)),
        tested(&[("t.csv", "t,person,result\n20,a,positive\n20,a,negative\n")], both),
        tested(&[("t.csv", "t,person,result\n20,a,positive\n21,a,positive\n")], later),
        tested(&[("t.csv", "t,person,result,diff\n20,a,positive,1\n20,a,positive,-1\n")], untested),
        tested(&[("t.csv", "t,person,result,Diff\n20,a,positive,1.0\n20,a,pos,-1.0\n")], untested),
        tested(&[("t.csv", "t,person,result,diff\n20,a,positive,-1\n20,a,positive,1\n")], untested),
        tested(&[("t.csv", "t,person,result,diff\n20,a,positive,1\n20,b,negative,-1\n")], once)
            .judge(dropped("unmatched", 1))
            .says(&["1", "unmatched", "a test of b at 20 s"]),
        tested(&[("t.csv", "t,person,result,diff\n20,a,positive,1\n20,a,positive,1\n20,a,positive,-1\n")], once),
    ];
    // Contacts: copies are one, other durations add up, in either order of the pair.
    let score = |duration: f64| 0.5 + 0.25 * (1.0 - (-1e-3 * duration).exp());
    for (name, rows, duration, reason, count) in [
        ("once", "10,a,b,600\n", 600.0, "duplicate", 0),
        ("copies", "10,a,b,600\n10,b,a,600.0\n10,a,b,6e2\n", 600.0, "duplicate", 2),
        ("durations add up", "10,a,b,600\n10,b,a,300\n", 900.0, "duplicate", 0),
        ("with oneself", "10,a,b,600\n10,a,a,300\n", 600.0, "self_contact", 1),
    ] {
        let line = "run risk --contacts c.csv --output o.csv --json --set rate=1e-3";
        let case = case(name, line)
            .file("c.csv", format!("t,i,j,duration\n{rows}"))
            .scores(&[("a", score(duration)), ("b", score(duration))]);
        cases.push(if count == 0 { case.quiet() } else { case.judge(dropped(reason, count)).says(&[reason]) });
    }
    let line = "run risk --contacts c.csv c.csv d.csv.gz --output o.csv --json --set rate=1e-3";
    let rows = "t,i,j,duration\n10,a,b,600\n";
    cases.push(
        case("a file twice, and packed", line)
            .file("c.csv", rows)
            .file("d.csv.gz", gz(rows.as_bytes()))
            .scores(&[("a", score(600.0)), ("b", score(600.0))])
            .judge(dropped("duplicate", 2)),
    );
    let line = "run risk --contacts c.csv --output o.csv --json --set rate=1e-3";
    let taken = "t,i,j,duration,diff\n10,a,b,600,1\n10,a,b,300,1\n10,b,a,300,-1\n11,a,b,600,-1\n";
    cases.push(
        case("taken back, and one that never was", line).file("c.csv", taken).judge(dropped("unmatched", 1)).judge(
            move |done| {
                let scores = done.scores("o.csv")?;
                if (scores[0].2 - score(600.0)).abs() < 1e-5 {
                    Ok(())
                } else {
                    Err(format!("found {scores:?}, right: {}", score(600.0)))
                }
            },
        ),
    );
    check(cases);
}

#[test]
fn a_test_before_all_contacts_is_where_the_seeding_is() {
    let year = 31_536_000.0;
    let mut cases = Vec::new();
    for recovery in [1.16e-6, 1.16e-8, 0.0] {
        for (gap, positive) in [(year, true), (year, false), (1.0, true), (100.0 * year, true)] {
            let spread = Spread { rate: 1e-4, recovery, prior: 0.01, ..SI };
            let events = [Event::Test(-gap, 0, positive), Event::Contact(0.0, 0, 1, 600.0)];
            cases.push(network(format!("a test {gap} s before, recovery {recovery}"), 2, &events, &spread).quiet());
            // Nobody is infected so long: below 1e-18 the tests count as a contradiction (docs/risk.md).
            if gap * recovery > 20.0 {
                continue;
            }
            let later = [
                Event::Test(-gap, 0, positive),
                Event::Contact(0.0, 0, 1, 600.0),
                Event::Contact(gap, 1, 2, 600.0),
                Event::Test(gap + 60.0, 2, positive),
            ];
            cases.push(
                network(format!("a test {gap} s before and one after, recovery {recovery}"), 3, &later, &spread)
                    .quiet(),
            );
        }
    }
    // Tests alone.
    let tests = [Event::Test(0.0, 0, true), Event::Test(5.0, 1, false)];
    let spread = Spread { prior: 0.25, false_negative: 0.2, false_positive: 0.1, ..SI };
    cases.push(network("tests alone", 2, &tests, &spread));
    check(cases);
}

#[test]
fn one_stamp_far_away_does_not_make_a_hundred_thousand_tables() {
    let rows: String =
        (0..20).map(|i| format!("{},p{},p{},60\n", 1_711_852_200 + 3600 * i, i % 5, (i + 1) % 5)).collect();
    let mut cases = Vec::new();
    for (name, stray) in [
        ("2201", "2201-01-01T00:00:00Z"),
        ("1677", "1677-10-01T00:00:00Z"),
        ("1700", "1700-01-01"),
        ("2262", "2262-04-11"),
        ("1970", "0"),
    ] {
        for (every, more) in
            [(86_400, ""), (3_600, ""), (1, ""), (86_400, "--set emit=changes"), (86_400, "--set window=604800")]
        {
            if name == "1970" && every > 3_600 {
                continue;
            }
            let line = format!("run risk --contacts c.csv --output o.csv --every {every} --set rate=1e-3 {more}");
            cases.push(
                case(format!("{name}, every {every} {more}"), line)
                    .file("c.csv", format!("t,i,j,duration\n{rows}{stray},p1,p2,60\n"))
                    .code(&[0, 1, 78])
                    .judge(|done| {
                        if done.took.as_secs() > 20 {
                            return Err(format!("took {:?}", done.took));
                        }
                        match done.code {
                            Some(0) if done.scores("o.csv")?.is_empty() => Err("an empty output, exit 0".into()),
                            Some(0) => Ok(()),
                            _ if done.stderr.contains("every") => Ok(()),
                            _ => Err("the error does not speak of every".into()),
                        }
                    }),
            );
        }
    }
    check(cases);
}

#[test]
fn a_rate_must_be_said_where_a_model_uses_it() {
    let rows = table("t,i,j,duration\n10,a,b,600\n").csv();
    let line = |model: &str| format!("run risk --contacts c.csv --output o.csv --model {model}");
    check(["bp", "mean-field", "tgnn", "tracing"].map(|model| {
        case(model, line(model)).file("c.csv", rows.clone()).code(&[78]).says(&["rate", "infection"]).nothing_written()
    }));
}
