//! Contacts and tests to risks, joined with vaccinations: one table of everybody, and alerts above a threshold into another sink.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg::contacts::{AsOf, Bp, Parameters, Scores, ScoringOptions};
use thalweg::{BoxError, Pipeline};
use thalweg_connectors::arrow::array::{ArrayRef, Float32Array, Int64Array, StringArray, UInt32Array};
use thalweg_connectors::contacts::{FilesOptions, Pace, Rejected, WithRejected, source};
use thalweg_connectors::out::records::ColumnsSink;
use thalweg_connectors::records::{Record, Records};

/// Doses by person.
type Doses = Arc<BTreeMap<String, u32>>;

/// (as-of time in s, person, score, doses).
type Row = (i64, String, f32, u32);

/// Everybody's risk at the end of each day, with doses; those above `threshold` who have none into `alerts`.
pub fn run(
    [contacts, tests, vaccinations]: [&Path; 3],
    threshold: f32,
    [people, alerts]: [&Path; 2],
) -> Result<(), BoxError> {
    let files = |path: &Path| vec![PathBuf::from(path)];
    let options = FilesOptions { contacts: files(contacts), tests: files(tests), ..FilesOptions::default() };
    let rejected = Arc::new(Rejected::beside(&people.display().to_string()));
    let rows = source(&options, None, Pace::default(), &Arc::default(), &rejected)?;
    let scoring = ScoringOptions::new(AsOf::Every(86_400_000_000_000), rows.names());
    let spread = Parameters { rate: 1e-4, false_negative: 0.1, ..Parameters::default() };

    let pipeline = Pipeline::new();
    let risks = pipeline.source(rows).risk(scoring, move || Ok(Box::new(Bp::new(spread)?)));
    let doses = pipeline.source(Records::open(vaccinations, &["person", "doses"])?);
    let doses = doses.fold("doses", Doses::default(), dose);
    let table = risks.join_latest(doses, with_doses);
    table.clone().sink(WithRejected::new(ColumnsSink::create(people, columns)?, rejected));
    let urgent = move |rows: Vec<Row>| Ok(rows.into_iter().filter(|row| row.2 > threshold && row.3 == 0).collect());
    table.map("alerts", urgent).sink(ColumnsSink::create(alerts, columns)?);
    pipeline.workers(2).run()?;
    Ok(())
}

fn dose(all: &mut Doses, record: Record) -> Result<Option<Doses>, BoxError> {
    let person = record.text("person").ok_or("a vaccination of nobody")?.to_string();
    Arc::make_mut(all).insert(person, record.number("doses").unwrap_or(1.0) as u32);
    Ok(Some(Arc::clone(all)))
}

fn with_doses(scores: Scores, doses: Option<&Doses>) -> Result<Vec<Row>, BoxError> {
    let seconds = scores.as_of / 1_000_000_000;
    let row = |score: &thalweg::contacts::Score| {
        let name = scores.names[score.person as usize].to_string();
        let of_person = doses.and_then(|doses| doses.get(&name)).copied().unwrap_or(0);
        (seconds, name, score.score, of_person)
    };
    Ok(scores.rows.iter().map(row).collect())
}

fn columns(items: &[Vec<Row>]) -> Vec<(&'static str, ArrayRef)> {
    let rows = || items.iter().flatten();
    vec![
        ("as_of", Arc::new(Int64Array::from_iter_values(rows().map(|row| row.0)))),
        ("person", Arc::new(StringArray::from_iter_values(rows().map(|row| &row.1)))),
        ("score", Arc::new(Float32Array::from_iter_values(rows().map(|row| row.2)))),
        ("doses", Arc::new(UInt32Array::from_iter_values(rows().map(|row| row.3)))),
    ]
}
