//! Contact networks to simulate outbreaks on: the SocioPatterns offices, `sim:town`, and people at random places.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use thalweg::Next;
use thalweg::contacts::{Contact, Fact};
use thalweg_connectors::contacts::Ids;
use thalweg_connectors::rows::Feed;
use thalweg_connectors::sim::town::{Town, TownFeed};

use crate::random::Random;
use crate::{Result, SECOND};

pub const DAY: i64 = 86_400 * SECOND;

/// Contacts among people `0..people`, ascending, and the as-of time.
pub struct Network {
    pub people: u32,
    pub contacts: Vec<Contact>,
    pub as_of: i64,
}

impl Network {
    /// Numbers the people of `(stamp, i, j) -> duration` anew; the as-of time is the end of the last day.
    fn new(met: BTreeMap<(i64, u32, u32), i64>) -> Network {
        let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
        numbers.extend(met.keys().flat_map(|&(_, i, j)| [(i, 0), (j, 0)]));
        numbers.values_mut().zip(0..).for_each(|(number, next)| *number = next);
        let contacts: Vec<Contact> =
            met.iter().map(|(&(t, i, j), &duration)| Contact { t, a: numbers[&i], b: numbers[&j], duration }).collect();
        let as_of = contacts.last().map_or(0, |contact| (contact.t / DAY + 1) * DAY);
        Network { people: numbers.len() as u32, contacts, as_of }
    }

    /// Seconds of contact of a person and day, in the mean.
    pub fn activity(&self) -> f64 {
        let all: i64 = self.contacts.iter().map(|contact| contact.duration / SECOND).sum();
        2.0 * all as f64 / f64::from(self.people) / self.days()
    }

    /// Days from the first contact on.
    pub fn days(&self) -> f64 {
        (self.as_of - self.contacts.first().map_or(self.as_of, |contact| contact.t)) as f64 / DAY as f64
    }
}

/// The slots of 20 s of a SocioPatterns file: (end, i, j).
pub struct Office(Vec<(i64, u32, u32)>);

impl Office {
    pub fn read(path: &Path) -> Result<Office> {
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
        let row = |line: &str| -> Option<(i64, u32, u32)> {
            let mut cells = line.split(',');
            let mut next = || cells.next()?.parse::<i64>().ok();
            let (t, i, j) = (next()?, next()? as u32, next()? as u32);
            Some((t, i.min(j), i.max(j)))
        };
        let rows: Option<Vec<_>> = text.lines().skip(1).map(row).collect();
        Ok(Office(rows.ok_or_else(|| format!("{}: expected t,i,j", path.display()))?))
    }

    /// Contacts of `days` days from day `first` on among those who `stay`, added up over `bin` seconds and stamped at its end (a day's at 18:00).
    pub fn network(&self, bin: i64, first: i64, days: i64, stay: impl Fn(u32) -> bool) -> Network {
        let mut met = BTreeMap::new();
        for &(t, i, j) in &self.0 {
            let day = (t / 86_400) - first;
            if (0..days).contains(&day) && stay(i) && stay(j) {
                let stamp = if bin == 86_400 { t / bin * bin + 64_800 } else { (t - 1) / bin * bin + bin };
                *met.entry((stamp * SECOND, i, j)).or_insert(0) += 20 * SECOND;
            }
        }
        Network::new(met)
    }
}

/// The true contacts of a simulated town: what is reported, less what is taken back; `daily` adds them up by day.
pub fn town(town: Town, daily: bool) -> Result<Network> {
    let (mut feed, mut people) = (TownFeed::new(town), Ids::new(None));
    let mut rows = BTreeMap::new();
    while let Next::Item((fact, diff)) = feed.next(&mut people)? {
        if let Fact::Contact(contact) = fact {
            *rows.entry(contact).or_insert(0) += diff;
        }
    }
    let mut met = BTreeMap::new();
    for (row, _) in rows.iter().filter(|(row, count)| **count > 0 && row.a != row.b) {
        let t = if daily { row.t / DAY * DAY + 18 * 3600 * SECOND } else { row.t };
        *met.entry((t, row.a.min(row.b), row.a.max(row.b))).or_insert(0) += row.duration;
    }
    Ok(Network::new(met))
}

/// People at random places of a square who meet the nearer the oftener, about ten others each: Biazzo et al. 2022, "proximity".
pub fn proximity(people: u32, days: i64, random: &mut Random) -> Network {
    let side = f64::from(people).sqrt();
    let places: Vec<(f64, f64)> = (0..people).map(|_| (side * random.unit(), side * random.unit())).collect();
    let mut pairs = Vec::new();
    for i in 0..people {
        for j in i + 1..people {
            let ((x, y), (u, v)) = (places[i as usize], places[j as usize]);
            if random.unit() < (-((x - u).powi(2) + (y - v).powi(2)).sqrt() / 1.3).exp() {
                pairs.push((i, j));
            }
        }
    }
    let mut met = BTreeMap::new();
    for day in 0..days {
        for &(i, j) in &pairs {
            if random.unit() < 0.5 {
                let seconds = (-600.0 * (1.0 - random.unit()).ln()) as i64 + 20;
                met.insert((day * DAY + 18 * 3600 * SECOND, i, j), seconds * SECOND);
            }
        }
    }
    Network::new(met)
}
