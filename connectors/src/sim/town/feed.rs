//! The reports of a town as rows of a source.

use thalweg::Next;
use thalweg::contacts::{ContactRow, Fact, TestRow};

use super::{Report, Simulation, Town};
use crate::error::Error;
use crate::rows::{Feed, Ids};

/// The simulated reports as a feed.
pub struct TownFeed {
    simulation: Simulation,
    day: std::vec::IntoIter<Report>,
    /// Each person's number in the run.
    numbers: Vec<u32>,
}

impl TownFeed {
    /// All reports of a town.
    pub fn new(town: Town) -> TownFeed {
        TownFeed { simulation: Simulation::new(town), day: Vec::new().into_iter(), numbers: Vec::new() }
    }
}

impl Feed<Fact> for TownFeed {
    fn name(&self) -> &str {
        "sim:town"
    }

    fn next(&mut self, people: &mut Ids) -> Result<Next<(Fact, i32)>, Error> {
        let town = self.simulation.town;
        if self.numbers.is_empty() {
            self.numbers = (0..town.people).map(|person| people.number(&town.name(person))).collect();
        }
        let number = |person: u32| self.numbers[person as usize];
        loop {
            if let Some(Report { fact, diff, .. }) = self.day.next() {
                let fact = match fact {
                    Fact::Contact(c) => Fact::Contact(ContactRow::new(c.t, number(c.a), number(c.b), c.duration)),
                    Fact::Test(test) => Fact::Test(TestRow { person: number(test.person), ..test }),
                    due => due,
                };
                return Ok(Next::Item((fact, diff)));
            }
            match self.simulation.next_day() {
                Some(reports) => self.day = reports.into_iter(),
                None => return Ok(Next::End),
            }
        }
    }
}
