//! A town as files: a case that `eval risk` reads.

use std::io::{self, Write};
use std::path::Path;

use thalweg::contacts::{ContactRow, Fact, Prior, TestRow};

use super::{NS, Report, Simulation, Town};
use crate::error::Error;
use crate::out::publish::StagedFolder;

/// Everybody ever infected in a town, and whether they are E or I at its end.
pub fn truth(town: Town) -> Vec<(String, bool)> {
    let mut simulation = Simulation::new(town);
    while simulation.next_day().is_some() {}
    simulation.truth().map(|(person, state, _)| (town.name(person), state != "R")).collect()
}

/// Writes a town into a folder that `eval risk` reads: `contacts.csv` and `tests.csv` in order of report, `truth.csv`, `params.json`.
///
/// # Errors
/// A folder that is there and not empty, or cannot be written.
pub fn write(folder: &Path, town: Town) -> Result<(), Error> {
    let staged = StagedFolder::create(folder)?;
    let io = |e| Error::io(folder, e);
    let mut simulation = Simulation::new(town);
    let mut tests = String::from("t,person,result,diff\n");
    staged.write_with("contacts.csv", |out| {
        out.write_all(b"t,i,j,duration,diff\n")?;
        while let Some(reports) = simulation.next_day() {
            for Report { fact, diff, .. } in reports {
                report(out, &mut tests, town, fact, diff)?;
            }
        }
        Ok(())
    })?;
    staged.write("tests.csv", tests.as_bytes())?;
    let mut truth = String::from("person,state,t_infected\n");
    for (person, state, t) in simulation.truth() {
        truth.push_str(&format!("{},{state},{t}\n", town.name(person)));
    }
    staged.write("truth.csv", truth.as_bytes())?;
    let p = town.parameters();
    let Prior::Seeds(seeds) = p.prior else { return Err(io(io::Error::other("a prior that is no number of seeds"))) };
    let parameters = serde_json::json!({
        "note": "a simulated town",
        "people": town.people, "days": town.days, "seed": town.seed,
        "as_of": town.as_of(),
        "set": {
            "rate": p.rate, "latency": p.latency, "recovery": p.recovery, "seeds": seeds,
            "false_negative": p.false_negative, "false_positive": p.false_positive,
        },
    });
    staged.write("params.json", format!("{parameters:#}\n").as_bytes())?;
    staged.publish()
}

fn report(contacts: &mut dyn Write, tests: &mut String, town: Town, fact: Fact, diff: i32) -> io::Result<()> {
    match fact {
        Fact::Contact(ContactRow { t, a, b, duration }) => {
            let (i, j) = (town.name(a), town.name(b));
            writeln!(contacts, "{},{i},{j},{},{diff}", t / NS, duration / NS)
        }
        Fact::Test(TestRow { t, person, positive }) => {
            let result = if positive { "positive" } else { "negative" };
            tests.push_str(&format!("{},{},{result},{diff}\n", t / NS, town.name(person)));
            Ok(())
        }
        Fact::Due(_) => Ok(()),
    }
}
