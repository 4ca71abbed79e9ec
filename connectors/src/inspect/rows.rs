//! A table of contacts or of tests: rows, people, stamps, malformed rows.

use std::path::Path;
use std::sync::Arc;

use thalweg::Next;
use thalweg::contacts::Fact;

use super::Report;
use crate::contacts::{self, FilesOptions, People, Rejected};

/// What the rows of a table are, if they are contacts or tests; false leaves the report as it was.
pub(super) fn inspect(path: &Path, report: &mut Report) -> bool {
    kinds(path).into_iter().any(|(what, options)| rows(what, &options, report))
}

/// What the rows are, by the file's header alone, if it has one.
pub(super) fn by_header(path: &Path, format: &str) -> Option<&'static str> {
    let header = ["csv", "parquet"].contains(&format);
    let opens = |options: &FilesOptions| contacts::open(options, &Arc::new(Rejected::beside(""))).is_ok();
    kinds(path).into_iter().find(|(_, options)| header && opens(options)).map(|(what, _)| what)
}

fn kinds(path: &Path) -> [(&'static str, FilesOptions); 2] {
    let here = || vec![path.to_path_buf()];
    let contacts = FilesOptions { contacts: here(), ..FilesOptions::default() };
    let tests = FilesOptions { tests: here(), ..FilesOptions::default() };
    [("contacts", contacts), ("tests", tests)]
}

fn rows(what: &str, options: &FilesOptions, report: &mut Report) -> bool {
    let rejected = Arc::new(Rejected::beside(&report.path));
    let Ok(mut feeds) = contacts::open(options, &rejected) else { return false };
    let mut people = People::default();
    let (mut count, mut positive, mut taken_back) = (0u64, 0u64, 0u64);
    let mut span: Option<(i64, i64)> = None;
    for feed in &mut feeds {
        feed.close();
        loop {
            match feed.next(&mut people) {
                Ok(Next::Item((fact, diff))) => {
                    count += 1;
                    taken_back += u64::from(diff < 0);
                    positive += u64::from(matches!(&fact, Fact::Test(test) if test.positive));
                    if let Some(t) = fact.t() {
                        let (first, last) = span.unwrap_or((t, t));
                        span = Some((first.min(t), last.max(t)));
                    }
                }
                Ok(Next::Idle) => {}
                Ok(Next::End) => break,
                Err(error) => {
                    report.problems.push(error.to_string());
                    break;
                }
            }
        }
    }
    if count == 0 {
        return false;
    }
    report.what = format!("table of {what}, an input of `risk`");
    (report.rows, report.people) = (Some(count), Some(people.names().len() as u64));
    report.span = span.map(|(first, last)| [first, last].map(|t| t as f64 * 1e-9));
    if what == "tests" {
        report.positive = Some(positive);
    }
    if taken_back > 0 {
        report.problems.push(format!("{taken_back} rows take another back (diff -1)"));
    }
    if rejected.count() > 0 {
        report
            .problems
            .push(format!("{} rows are malformed; `run risk` writes them to OUTPUT.rejected.csv", rejected.count()));
    }
    true
}
