//! The built-in simulations: inputs by URI, and what `thalweg simulate` writes. One line each in [`SIMS`].

use std::path::Path;

use thalweg_connectors::sim::{person, street, town};

use crate::failure::Failure;
use crate::keys::{Key, Keys, Listed};
use crate::pose::SENSOR;

/// A simulation.
#[derive(Debug)]
pub struct Sim {
    /// What `simulate` calls it; `sim:` before it makes the URI.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Its keys.
    pub keys: Listed,
    /// Takes its keys; what comes back writes its inputs and truth into a folder.
    pub writer: fn(&mut Keys<'_>) -> Writer,
}

/// Writes into a folder.
pub type Writer = Box<dyn FnOnce(&Path) -> Result<(), Failure>>;

/// All of them.
pub const SIMS: [Sim; 3] = [
    Sim {
        name: "street",
        what: "the simulated drive of a 64-beam sensor, labelled",
        keys: &[&FRAMES, &SEED],
        writer: |keys| {
            let drive = Drive::take(keys);
            Box::new(move |folder| {
                street::write_kitti(folder, drive.frames, drive.seed)
                    .map_err(|error| Failure::run(format!("{}: {error}", folder.display())))
            })
        },
    },
    Sim {
        name: "town",
        what: "the simulated town: contacts, tests, an outbreak",
        keys: &[&PEOPLE, &DAYS, &SEED],
        writer: |keys| {
            let town = town(keys);
            Box::new(move |folder| Ok(town::write(folder, town)?))
        },
    },
    Sim {
        name: "person",
        what: "the simulated person before a radar or a LiDAR, with true joints",
        keys: &[&FRAMES, &SEED, &SENSOR],
        writer: |keys| {
            let (drive, sensor) = (Drive::take(keys), keys.take(&SENSOR, |_| true));
            Box::new(move |folder| Ok(person::write(folder, drive.frames, drive.seed, sensor)?))
        },
    },
];

/// Frames of a drive.
pub const FRAMES: Key = Key {
    name: "frames",
    default: "20",
    expected: "a number of frames, 1 to 1000000",
    what: "of a simulation: frames, 0.1 s apart",
};

/// What makes a simulation another one.
pub const SEED: Key = Key {
    name: "seed",
    default: "1",
    expected: "a whole number, 0 or more",
    what: "of a simulation: the same seed gives the same input",
};

/// People of a town.
pub const PEOPLE: Key = Key {
    name: "people",
    default: "1000",
    expected: "a number of people, 2 to 1000000",
    what: "of sim:town: people in it",
};

/// Days of a town.
pub const DAYS: Key =
    Key { name: "days", default: "14", expected: "a number of days, 1 to 1000", what: "of sim:town: days" };

/// What a simulation of frames is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drive {
    /// Frames, 0.1 s apart.
    pub frames: u64,
    /// Same seed, same drive.
    pub seed: u64,
}

impl Drive {
    /// Takes `frames` and `seed`.
    pub fn take(keys: &mut Keys<'_>) -> Drive {
        Drive { frames: keys.take(&FRAMES, |n| (1..=1_000_000).contains(n)), seed: keys.take(&SEED, |_| true) }
    }

    /// Takes them where an input is the drive; else they must not be set.
    pub fn of(keys: &mut Keys<'_>, input: &[String]) -> Drive {
        if input.iter().any(|input| input == "sim:street" || input == "sim:person") {
            return Drive::take(keys);
        }
        keys.refuse(&[&FRAMES, &SEED], "a simulation as the input beside it");
        Drive::default()
    }
}

/// Takes the size of a town.
pub fn town(keys: &mut Keys<'_>) -> town::Town {
    town::Town {
        people: keys.take(&PEOPLE, |n| (2..=1_000_000).contains(n)),
        days: keys.take(&DAYS, |n| (1..=1000).contains(n)),
        seed: keys.take(&SEED, |_| true),
    }
}

/// The simulation of a name.
///
/// # Errors
/// An unknown name (exit 2).
pub fn by_name(name: &str) -> Result<&'static Sim, Failure> {
    SIMS.iter().find(|sim| sim.name == name).ok_or_else(|| {
        let names: Vec<_> = SIMS.iter().map(|sim| sim.name).collect();
        Failure::Usage(format!("simulation: found {name}, expected {}", names.join(" or ")))
    })
}
