//! A town to simulate: people with households, schools, work, shops, transport and leisure, an outbreak among them, tests, and what reporting
//! does to all of it.
//!
//! Everything follows from (people, days, seed), on every machine. Contacts come to about 11 a person and day. Infection is that of the
//! models: at a contact's stamp with probability `1 - exp(-rate · duration)` from people who are infectious before it; E→I and I→R after
//! exponential times; seeds are independent, in I one second before the first contact. Contacts and tests are reported in an order of
//! their own: some contacts days late, some made up and taken back, results after a delay, some wrong at first and corrected.
//! It is an input to try things on, not a model of any real town.

mod feed;
mod files;

use thalweg::contacts::{ContactRow, Fact, Parameters, Prior, TestRow};

pub use self::feed::TownFeed;
pub use self::files::{truth, write};
use super::dice::Dice;

/// A day (s).
const DAY: i64 = 86_400;
const NS: i64 = 1_000_000_000;
/// The evening hour in which people are tested begins (s of the day).
const TESTS_AT: i64 = 20 * 3600;
/// Share of people tested on a day whatever their state.
const TESTED: f64 = 0.03;
/// Share of infections with symptoms, and of people with fresh symptoms who are tested that day.
const SYMPTOMS: f64 = 0.6;
const TESTED_FOR_SYMPTOMS: f64 = 0.5;
/// Mean delay of a result (s).
const DELAY: f64 = 43_200.0;
/// Shares of results reported wrong at first, and of tests reported for somebody else and taken back.
const WRONG: f64 = 0.01;
const MISTAKEN: f64 = 0.005;
/// Shares of contacts reported up to two days late, and of contacts made up (and taken back within a day).
const LATE: f64 = 0.01;
const MADE_UP: f64 = 0.002;

/// Shares of households of at most 1, 2, 3 and 4 people; the others have 5. Whoever is not one of the first two goes to school.
const HOUSEHOLDS: [f64; 4] = [0.33, 0.67, 0.81, 0.94];

/// The size of a town.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Town {
    /// People, at least 2.
    pub people: u32,
    /// Days.
    pub days: u32,
    /// Same seed, same town.
    pub seed: u64,
}

impl Town {
    /// What the outbreak in it follows: R about 1.7, 2 days latent, 5 days infectious, one person in 200 a seed.
    pub fn parameters(self) -> Parameters {
        Parameters {
            rate: 2e-5,
            latency: 1.0 / (2.0 * DAY as f64),
            recovery: 1.0 / (5.0 * DAY as f64),
            false_negative: 0.1,
            false_positive: 0.002,
            ascertainment: 0.0,
            prior: Prior::Seeds((f64::from(self.people) / 200.0).max(1.0)),
        }
    }

    /// The moment of its truth: the end of its last day (s).
    pub fn as_of(self) -> i64 {
        i64::from(self.days) * DAY
    }

    /// A person's id.
    pub fn name(self, person: u32) -> String {
        let width = (self.people.max(1) - 1).to_string().len();
        format!("p{person:0width$}")
    }
}

/// Where people meet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    School,
    Work,
    Transport,
    Shop,
    Leisure,
}

/// Contacts at a place: for each person who goes there on a day so many, of a length between (s), within hours of the day (s).
struct Custom {
    place: Place,
    weekday: f64,
    weekend: f64,
    duration: (i64, i64),
    hours: (i64, i64),
}

const CUSTOMS: [Custom; 5] = [
    Custom { place: Place::School, weekday: 12.0, weekend: 0.0, duration: (300, 2700), hours: (8 * 3600, 15 * 3600) },
    Custom { place: Place::Work, weekday: 6.2, weekend: 0.0, duration: (300, 3600), hours: (9 * 3600, 17 * 3600) },
    Custom { place: Place::Transport, weekday: 2.2, weekend: 0.0, duration: (300, 1800), hours: (7 * 3600, 9 * 3600) },
    Custom { place: Place::Shop, weekday: 1.8, weekend: 3.0, duration: (60, 600), hours: (10 * 3600, 20 * 3600) },
    Custom { place: Place::Leisure, weekday: 0.4, weekend: 5.2, duration: (900, 7200), hours: (10 * 3600, 22 * 3600) },
];

/// One person's course.
#[derive(Clone, Copy)]
struct Course {
    /// Time of infection, of the end of latency and of recovery (s); infinite where it has not come to that.
    infected: f64,
    infectious: f64,
    recovered: f64,
    symptoms: bool,
}

/// What is reported, and when (s).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Report {
    at: i64,
    fact: Fact,
    diff: i32,
}

/// The town as it lives through its days.
pub struct Simulation {
    town: Town,
    dice: Dice,
    /// Each household's first person; people of one stand together.
    households: Vec<u32>,
    /// For each place, groups of people who meet there: a class in a school, a team at work, one line, one shop, friends.
    groups: Vec<Vec<Vec<u32>>>,
    courses: Vec<Course>,
    day: u32,
    /// Reports of days to come.
    waiting: Vec<Report>,
}

impl Simulation {
    /// The town on its first morning.
    pub fn new(town: Town) -> Simulation {
        let mut dice = Dice::new(town.seed, 101, 0);
        let unit = &mut || unit(&mut dice);
        let (mut households, mut pupils, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = 0;
        while next < town.people {
            households.push(next);
            let lot = unit();
            let size = 1 + HOUSEHOLDS.iter().filter(|&&share| lot >= share).count() as u32;
            let size = size.min(town.people - next);
            for member in 0..size {
                if member >= 2 {
                    pupils.push(next + member);
                } else if unit() < 0.68 {
                    workers.push(next + member);
                }
            }
            next += size;
        }
        let everybody: Vec<u32> = (0..town.people).collect();
        let riders: Vec<u32> = everybody.iter().copied().filter(|_| unit() < 0.5).collect();
        let groups = CUSTOMS
            .iter()
            .map(|custom| match custom.place {
                Place::School => shared_out(&pupils, 25, unit),
                Place::Work => shared_out(&workers, 12, unit),
                Place::Transport => shared_out(&riders, 80, unit),
                Place::Shop => shared_out(&everybody, 150, unit),
                Place::Leisure => shared_out(&everybody, 20, unit),
            })
            .collect();
        let well =
            Course { infected: f64::INFINITY, infectious: f64::INFINITY, recovered: f64::INFINITY, symptoms: false };
        let courses = vec![well; town.people as usize];
        Simulation { town, dice, households, groups, courses, day: 0, waiting: Vec::new() }
    }

    /// What is reported on the next day, in order of report; `None` when all is told.
    fn next_day(&mut self) -> Option<Vec<Report>> {
        if self.day > self.town.days {
            return None;
        }
        let mut reports = std::mem::take(&mut self.waiting);
        if self.day < self.town.days {
            let mut contacts = self.contacts();
            contacts.sort_unstable();
            self.spread(&contacts);
            self.report_contacts(&contacts, &mut reports);
            self.test(&mut reports);
            let tomorrow = i64::from(self.day + 1) * DAY;
            (self.waiting, reports) = reports.into_iter().partition(|report| report.at >= tomorrow);
        }
        reports.sort_unstable();
        self.day += 1;
        Some(reports)
    }

    /// A day's contacts.
    fn contacts(&mut self) -> Vec<ContactRow> {
        let Simulation { town, dice, households, groups, day, .. } = self;
        let midnight = i64::from(*day) * DAY;
        let weekend = *day % 7 >= 5;
        let mut contacts = Vec::with_capacity(6 * town.people as usize);
        let mut meet = |dice: &mut Dice, a: u32, b: u32, duration: (i64, i64), hours: (i64, i64)| {
            let t = midnight + between(dice, hours);
            contacts.push(ContactRow::new(t * NS, a, b, between(dice, duration) * NS));
        };
        for (i, &first) in households.iter().enumerate() {
            let end = households.get(i + 1).copied().unwrap_or(town.people);
            for a in first..end {
                for b in a + 1..end {
                    meet(dice, a, b, (1800, 10_800), (18 * 3600, 23 * 3600));
                }
            }
        }
        for (custom, groups) in CUSTOMS.iter().zip(groups.iter()) {
            let mean = if weekend { custom.weekend } else { custom.weekday } / 2.0;
            for group in groups.iter().filter(|group| group.len() > 1) {
                for (place, &person) in group.iter().enumerate() {
                    let count = mean as usize + usize::from(unit(dice) < mean.fract());
                    for _ in 0..count {
                        // Anybody else of the group.
                        let other = (place + 1 + below(dice, group.len() - 1)) % group.len();
                        meet(dice, person, group[other], custom.duration, custom.hours);
                    }
                }
            }
        }
        contacts
    }

    /// Lets the infection pass over a day's contacts, ascending by stamp.
    fn spread(&mut self, contacts: &[ContactRow]) {
        let parameters = self.town.parameters();
        if let (0, Some(first)) = (self.day, contacts.first()) {
            let share = parameters.prior(self.town.people);
            let before = (first.t / NS - 1) as f64;
            let seeds: Vec<u32> = (0..self.town.people).filter(|_| unit(&mut self.dice) < share).collect();
            let nobody = seeds.is_empty().then(|| below(&mut self.dice, self.town.people as usize) as u32);
            for seed in seeds.into_iter().chain(nobody) {
                self.infect(seed, before, false);
            }
        }
        for contact in contacts {
            let t = (contact.t / NS) as f64;
            let (a, b) = (self.courses[contact.a as usize], self.courses[contact.b as usize]);
            let gives = |course: &Course| course.infected < t && course.infectious <= t && course.recovered > t;
            let (from, to) = match (a.infected.is_finite(), b.infected.is_finite()) {
                (true, false) => (a, contact.b),
                (false, true) => (b, contact.a),
                _ => continue,
            };
            let p = -libm::expm1(-parameters.rate * (contact.duration / NS) as f64);
            if gives(&from) && unit(&mut self.dice) < p {
                self.infect(to, t, true);
            }
        }
    }

    fn infect(&mut self, person: u32, t: f64, latent: bool) {
        let parameters = self.town.parameters();
        let infectious = if latent { t + wait(&mut self.dice, parameters.latency) } else { t };
        let recovered = infectious + wait(&mut self.dice, parameters.recovery);
        let symptoms = unit(&mut self.dice) < SYMPTOMS;
        self.courses[person as usize] = Course { infected: t, infectious, recovered, symptoms };
    }

    fn report_contacts(&mut self, contacts: &[ContactRow], reports: &mut Vec<Report>) {
        let people = self.town.people as usize;
        for &contact in contacts {
            let dice = &mut self.dice;
            let (at, fact) = (contact.t / NS, Fact::Contact(contact));
            let late = if unit(dice) < LATE { between(dice, (3600, 2 * DAY)) } else { 0 };
            reports.push(Report { at: at + late, fact, diff: 1 });
            if unit(dice) < MADE_UP {
                let (a, b) = (below(dice, people) as u32, below(dice, people) as u32);
                let fact = Fact::Contact(ContactRow::new(contact.t, a, b, contact.duration));
                reports.push(Report { at, fact, diff: 1 });
                reports.push(Report { at: at + between(dice, (600, DAY)), fact, diff: -1 });
            }
        }
    }

    /// Tests people in the evening.
    fn test(&mut self, reports: &mut Vec<Report>) {
        let parameters = self.town.parameters();
        let people = self.town.people;
        let begin = i64::from(self.day) * DAY + TESTS_AT;
        for person in 0..people {
            let dice = &mut self.dice;
            let course = self.courses[person as usize];
            let fresh = course.symptoms && (begin - DAY..begin).contains(&(course.infectious.min(1e15) as i64));
            let symptomatic = fresh && unit(dice) < TESTED_FOR_SYMPTOMS;
            if unit(dice) >= TESTED && !symptomatic {
                continue;
            }
            let t = begin + between(dice, (0, 3600));
            let infected = course.infected <= t as f64 && course.recovered > t as f64;
            let p = if infected { 1.0 - parameters.false_negative } else { parameters.false_positive };
            let result = |person, positive| Fact::Test(TestRow { t: t * NS, person, positive });
            let fact = result(person, unit(dice) < p);
            let at = t + wait(dice, 1.0 / DELAY) as i64;
            if unit(dice) < WRONG {
                let Fact::Test(TestRow { positive, .. }) = fact else { continue };
                let corrected = at + between(dice, (3600, DAY));
                reports.push(Report { at, fact: result(person, !positive), diff: 1 });
                reports.push(Report { at: corrected, fact: result(person, !positive), diff: -1 });
                reports.push(Report { at: corrected, fact, diff: 1 });
            } else {
                reports.push(Report { at, fact, diff: 1 });
            }
            if unit(dice) < MISTAKEN {
                let fact = result(below(dice, people as usize) as u32, true);
                reports.push(Report { at, fact, diff: 1 });
                reports.push(Report { at: at + between(dice, (3600, DAY)), fact, diff: -1 });
            }
        }
    }

    /// Everybody ever infected: (person, state at the end, time of infection in s).
    fn truth(&self) -> impl Iterator<Item = (u32, &'static str, i64)> {
        let end = self.town.as_of() as f64;
        let state = move |course: &Course| {
            if course.recovered <= end {
                "R"
            } else if course.infectious <= end {
                "I"
            } else {
                "E"
            }
        };
        let infected = (0..).zip(&self.courses).filter(|(_, course)| course.infected.is_finite());
        infected.map(move |(person, course)| (person, state(course), course.infected as i64))
    }
}

/// Uniform in 0 ≤ u < 1.
fn unit(dice: &mut Dice) -> f64 {
    (dice.bits() >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform in 0 … n − 1.
fn below(dice: &mut Dice, n: usize) -> usize {
    ((u128::from(dice.bits()) * n as u128) >> 64) as usize
}

/// Uniform in low … high − 1.
fn between(dice: &mut Dice, (low, high): (i64, i64)) -> i64 {
    low + below(dice, (high - low).unsigned_abs() as usize) as i64
}

/// An exponential time of a rate; infinite at rate 0.
fn wait(dice: &mut Dice, rate: f64) -> f64 {
    -libm::log1p(-unit(dice)) / rate
}

/// Cuts people, shuffled, into groups of about a size.
fn shared_out(people: &[u32], size: usize, unit: &mut impl FnMut() -> f64) -> Vec<Vec<u32>> {
    let mut people = people.to_vec();
    for i in (1..people.len()).rev() {
        people.swap(i, ((unit() * (i + 1) as f64) as usize).min(i));
    }
    people.chunks(size).map(<[u32]>::to_vec).collect()
}
