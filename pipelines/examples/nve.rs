//! A molecule that moves by a model's forces at constant energy: velocity Verlet, 0.5 fs a step, 20 ps, from 300 K.
//!
//!     cargo run --release -p thalweg-pipelines --example nve -- ethanol.xyz [STEPS] [energy.png]
//!
//! Prints how far the total energy drifts, in meV an atom and ps, and how long the longest bond of the start became. Forces that are the
//! exact gradient of an energy conserve it up to the step's own error. (Verlet, Phys. Rev. 159, 98, 1967; Swope et al., JCP 76, 637, 1982.)

use std::path::PathBuf;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use thalweg::molecules::Molecule;
use thalweg::{BoxError, Next, Source};
use thalweg_connectors::molecules::{Molecules, MoleculesOptions};
use thalweg_pipelines::{models, plot};

/// Å/ps² of 1 eV/Å on 1 u.
const ACCELERATION: f64 = 9_648.533_212_33;
/// eV/K.
const BOLTZMANN: f64 = 8.617_333_262e-5;
/// Time step (ps).
const STEP: f64 = 0.0005;
const KELVIN: f64 = 300.0;

/// Mass (u) of the elements that the models know.
fn mass(z: u8) -> f64 {
    match z {
        1 => 1.008,
        6 => 12.011,
        7 => 14.007,
        8 => 15.999,
        _ => 32.06,
    }
}

fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("expected a file of a molecule, such as ethanol.xyz")?);
    let steps: usize = arguments.next().map_or(Ok(40_000), |text| text.parse())?;
    let picture = arguments.next().map(PathBuf::from);
    let Next::Item(mut molecule) = Molecules::open(&[path], MoleculesOptions::default())?.next()? else {
        return Err("found no frame".into());
    };
    let potential = models::potential("rmd17").map_err(|failure| failure.to_string())?;
    let masses: Vec<f64> = molecule.z.iter().map(|&z| mass(z)).collect();
    let atoms = masses.len() as f64;
    let mut velocity = velocities(&masses);
    let (mut energy, mut forces, _) = potential.evaluate(&molecule)?;
    let bonds = close(&molecule, 1.7);
    let (mut time, mut total, mut longest) = (Vec::new(), Vec::new(), 0.0f64);
    let began = std::time::Instant::now();
    for step in 0..steps {
        for (i, mass) in masses.iter().enumerate() {
            for axis in 0..3 {
                velocity[i][axis] += 0.5 * STEP * ACCELERATION * forces[i][axis] / mass;
                molecule.pos[i][axis] += STEP * velocity[i][axis];
            }
        }
        (energy, forces, _) = potential.evaluate(&molecule)?;
        let mut kinetic = 0.0;
        for (i, mass) in masses.iter().enumerate() {
            for axis in 0..3 {
                velocity[i][axis] += 0.5 * STEP * ACCELERATION * forces[i][axis] / mass;
                kinetic += 0.5 * mass * velocity[i][axis] * velocity[i][axis] / ACCELERATION;
            }
        }
        longest = bonds.iter().map(|&(i, j)| distance(&molecule, i, j)).fold(longest, f64::max);
        if step % 20 == 0 {
            time.push(step as f64 * STEP);
            total.push(1000.0 * (energy + kinetic) / atoms);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let slope = slope(&time, &total);
    let mean = total.iter().sum::<f64>() / total.len() as f64;
    let spread = (total.iter().map(|e| (e - mean) * (e - mean)).sum::<f64>() / total.len() as f64).sqrt();
    println!("{steps} steps of 0.5 fs in {seconds:.1} s: {:.0} ps a day", steps as f64 * STEP / seconds * 86_400.0);
    println!("drift {slope:.5} meV an atom and ps, spread {spread:.4} meV an atom; last energy {energy:.4} eV");
    println!("the longest of {} bonds became {longest:.3} Å", bonds.len());
    if let Some(picture) = picture {
        let relative: Vec<f64> = total.iter().map(|e| e - mean).collect();
        let lines = [plot::Line { name: "total energy less its mean", x: &time, y: &relative }];
        let panel =
            plot::Series { title: "constant energy", x_label: "time (ps)", y_label: "meV an atom", lines: &lines };
        plot::Figure::new("NVE", [1000, 500]).panel(panel).save(&picture).map_err(|failure| failure.to_string())?;
    }
    Ok(())
}

/// Velocities (Å/ps) of a Maxwell distribution, from a fixed seed, the molecule as a whole at rest.
fn velocities(masses: &[f64]) -> Vec<[f64; 3]> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut normal = || {
        let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        let (u, v) = (1.0 - unit(random.next_u64()), unit(random.next_u64()));
        box_muller(u, v)
    };
    let mut velocity: Vec<[f64; 3]> = masses
        .iter()
        .map(|mass| {
            let width = (BOLTZMANN * KELVIN * ACCELERATION / mass).sqrt();
            [0, 1, 2].map(|_| width * normal())
        })
        .collect();
    let whole: f64 = masses.iter().sum();
    for axis in 0..3 {
        let drift = masses.iter().zip(&velocity).map(|(mass, v)| mass * v[axis]).sum::<f64>() / whole;
        velocity.iter_mut().for_each(|v| v[axis] -= drift);
    }
    velocity
}

/// Box and Muller's normal number of two uniform ones.
fn box_muller(u: f64, v: f64) -> f64 {
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

fn distance(molecule: &Molecule, i: usize, j: usize) -> f64 {
    (0..3).map(|axis| (molecule.pos[i][axis] - molecule.pos[j][axis]).powi(2)).sum::<f64>().sqrt()
}

/// Pairs nearer than `most` (Å): the bonds at the start.
fn close(molecule: &Molecule, most: f64) -> Vec<(usize, usize)> {
    let atoms = molecule.z.len();
    let pairs = (0..atoms).flat_map(|i| (i + 1..atoms).map(move |j| (i, j)));
    let hydrogens = |i: usize, j: usize| molecule.z[i] == 1 || molecule.z[j] == 1;
    pairs.filter(|&(i, j)| distance(molecule, i, j) < if hydrogens(i, j) { 1.25 } else { most }).collect()
}

/// Slope of the least squares line.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let count = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / count, y.iter().sum::<f64>() / count);
    let over: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    over / x.iter().map(|x| (x - mx) * (x - mx)).sum::<f64>()
}
