//! How many numbers a record of a `.bin` has: its bytes do not say, its numbers do.
//!
//! Records of eight numbers pass for twice as many of four, with a fourth number that is on its scale. But in a scan of four numbers the records at
//! odd places are points like those at even places. [`eight`] takes them for the second halves of records only where every one of them has
//! a shape that no list of points has.

/// Numbers of a record that are thought of, beside the format's own.
const SIZES: std::ops::RangeInclusive<usize> = 3..=8;

/// Numbers that are looked at to tell the size of a record.
const LOOKED_AT: usize = 1 << 15;

/// Records of eight that tell something, at least.
const LEAST: usize = 16;

/// Records of eight that are looked at, all over the file.
const SAMPLE: usize = 1 << 10;

/// Records of eight that tell something by their spread alone, at least.
const MANY: usize = 256;

/// A record of eight numbers.
type Record = [f32; 8];

/// What records of eight numbers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eight {
    /// x, y, z, intensity, and four more.
    Intensity,
    /// x, y, z, 1, intensity, 0, 0, 0: PCL's `PointXYZI` as it lies in memory.
    Padded,
    /// They look like eight numbers, of which nothing is known.
    Unknown,
}

/// What the records hold if they are of eight numbers, not of four; `None` if they may well be of four. Too few records tell nothing.
pub(super) fn eight(values: &[[u8; 4]]) -> Option<Eight> {
    if !values.len().is_multiple_of(8) {
        return None;
    }
    let all = values.as_chunks::<8>().0;
    let records = all.iter().step_by(all.len().div_ceil(SAMPLE).max(1));
    let records: Vec<Record> = records.map(|record| record.map(f32::from_le_bytes)).collect();
    if records.len() < LEAST {
        return None;
    }
    if padded(&records) {
        return Some(Eight::Padded);
    }
    if only_the_last(&records) || normals(&records) || (4..8).any(|at| range(&records, at)) {
        return Some(Eight::Intensity);
    }
    let apart = apart(&records);
    if apart > 2.0 && (4..7).any(|at| ring(&records, at)) {
        return Some(Eight::Intensity);
    }
    (apart > 4.0 && records.len() >= MANY).then_some(Eight::Unknown)
}

/// True if the records are x, y, z, 1, intensity, 0, 0, 0.
fn padded(records: &[Record]) -> bool {
    let fits = |r: &Record| r[3] == 1.0 && r[5..] == [0.0; 3];
    records.iter().all(fits) && records.iter().any(|r| r[1] != 0.0 || r[2] != 0.0)
}

/// True if the second halves are three zeros and a number that varies, such as normals that nobody estimated and a time.
fn only_the_last(records: &[Record]) -> bool {
    let fits = |r: &Record| r[4..7] == [0.0; 3] && r[..3] != [0.0; 3];
    records.iter().all(fits) && several(records.iter().map(|r| r[7]))
}

/// True if the second halves begin with a unit vector, or none.
fn normals(records: &[Record]) -> bool {
    let unit = |v: &[f32]| (length(v) - 1.0).abs() < 1e-3;
    let none = |r: &Record| r[4..7] == [0.0; 3] || r[4..7].iter().all(|v| v.is_nan());
    let most = |fits: &dyn Fn(&Record) -> bool| 2 * records.iter().filter(|r| fits(r)).count() > records.len();
    records.iter().all(|r| unit(&r[4..7]) || none(r)) && most(&|r| unit(&r[4..7])) && !most(&|r| unit(&r[..3]))
}

/// True if the number at a place is the distance from the sensor of x, y, z.
fn range(records: &[Record], at: usize) -> bool {
    let points = || records.iter().filter(|r| length(&r[..3]).is_finite() && r[..3] != [0.0; 3]);
    let fits =
        |at: usize| points().filter(|r| (r[at] - length(&r[..3])).abs() <= 1e-3 * (1.0 + length(&r[..3]))).count();
    let count = points().count();
    count >= LEAST
        && 20 * fits(at) >= 19 * count
        // Points along an axis are as far away as their coordinate says.
        && 2 * fits(at - 4) < count
        && several(points().map(|r| r[at]))
}

/// True if the number at a place counts lasers, and the number four places before it counts nothing.
fn ring(records: &[Record], at: usize) -> bool {
    let counts = |v: f32| v.fract() == 0.0 && (0.0..256.0).contains(&v);
    let fractions = records.iter().filter(|r| r[at - 4].fract() != 0.0).count();
    records.iter().all(|r| counts(r[at])) && 2 * fractions > records.len() && several(records.iter().map(|r| r[at]))
}

/// True if there are three different numbers among these.
fn several(numbers: impl Iterator<Item = f32>) -> bool {
    let mut met = Vec::new();
    for number in numbers {
        if !met.contains(&number) {
            met.push(number);
        }
        if met.len() == 3 {
            return true;
        }
    }
    false
}

fn length(v: &[f32]) -> f32 {
    v.iter().map(|v| v * v).sum::<f32>().sqrt()
}

/// How many times wider the numbers of one half are spread than those of the other, in two of the first three columns at least. About 1 where
/// both halves are points; a point at 0, 0, 0, which is no return, does not count.
fn apart(records: &[Record]) -> f64 {
    let halves = |first: usize| {
        let half = records.iter().map(move |r| &r[first..first + 4]);
        half.filter(|h| h[..3] != [0.0; 3] && h.iter().all(|v| v.abs() < 1e9)).collect::<Vec<_>>()
    };
    let (a, b) = (halves(0), halves(4));
    if a.len().min(b.len()) < LEAST {
        return 1.0;
    }
    let spread = |of: &[&[f32]], column: usize| variance(of.iter().map(|half| f64::from(half[column]))) + 1e-4;
    let mut times = [0, 1, 2].map(|column| {
        let squared = spread(&a, column) / spread(&b, column);
        squared.max(1.0 / squared).sqrt()
    });
    times.sort_by(f64::total_cmp);
    times[1]
}

fn variance(numbers: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = numbers.clone().count() as f64;
    let mean = numbers.clone().sum::<f64>() / count;
    numbers.map(|v| (v - mean) * (v - mean)).sum::<f64>() / (count - 1.0)
}

/// How many numbers a record seems to have, if not `own`.
///
/// In records of the right size a column holds one kind of number, and varies less than all numbers mixed: the size is likely under which
/// the numbers are most probable, each column a normal distribution of its own, by the Bayesian information criterion. Too few records
/// tell nothing.
pub(super) fn likely(values: &[[u8; 4]], own: usize) -> Option<usize> {
    let score = |size: usize| -> Option<f64> {
        let records = values.len().min(LOOKED_AT) / size;
        if !values.len().is_multiple_of(size) || records < LEAST {
            return None;
        }
        let spread = |column: usize| {
            let numbers = (0..records).map(|r| f64::from(f32::from_le_bytes(values[r * size + column])));
            let finite: Vec<f64> = numbers.filter(|v| v.is_finite() && v.abs() < 1e9).collect();
            // A number that is no coordinate, nor anything else, is far out.
            if finite.len() < records * 9 / 10 { 1e18 } else { variance(finite.into_iter()) + 1e-4 }
        };
        let parameters = ((records * size) as f64).ln() / records as f64;
        Some((0..size).map(|column| 0.5 * spread(column).ln()).sum::<f64>() / size as f64 + parameters)
    };
    let standing = score(own);
    let scores = SIZES.filter(|&size| size != own).filter_map(|size| Some((size, score(size)?)));
    let (best, least) = scores.min_by(|a, b| a.1.total_cmp(&b.1))?;
    // Twice the own size has the same columns, and a few records more or less differ by chance.
    (least < standing.unwrap_or(f64::INFINITY) - 0.25).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws a number from 0 to 1.
    type Draw<'a> = &'a mut dyn FnMut() -> f32;
    /// What stands behind x, y, z in a record of eight.
    type Rest<'a> = &'a mut dyn FnMut([f32; 3], Draw) -> [f32; 5];
    /// A point of a scan, by its place in it.
    type Point<'a> = &'a mut dyn FnMut(usize, Draw) -> [f32; 4];

    /// Numbers 0 to 1 that any machine makes alike.
    fn random(seed: u64) -> impl FnMut() -> f32 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        }
    }

    fn bytes(values: impl IntoIterator<Item = f32>) -> Vec<[u8; 4]> {
        values.into_iter().map(f32::to_le_bytes).collect()
    }

    #[test]
    fn the_size_of_a_record_shows_in_its_columns() {
        for seed in 0..200 {
            let mut random = random(seed);
            for records in [16, 100, 2000] {
                for size in [3, 4, 5, 6] {
                    let scale = [40.0, 40.0, 3.0, 255.0, 31.0, 0.1];
                    let offset = [-20.0, -20.0, -2.0, 0.0, 0.0, 0.0];
                    let record = |_| (0..size).map(|i| random() * scale[i] + offset[i]).collect::<Vec<f32>>();
                    let mut values: Vec<f32> = (0..records).flat_map(record).collect();
                    if size > 4 {
                        values.iter_mut().skip(4).step_by(size).for_each(|ring| *ring = ring.trunc());
                    }
                    let bytes = bytes(values);
                    let found = likely(&bytes, 4);
                    let expected = (size != 4).then_some(size);
                    let own = bytes.len().is_multiple_of(4);
                    assert!(
                        found == expected || (!own && found.is_some()),
                        "seed {seed}: {records} × {size}: {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn records_of_eight_numbers_are_known_by_their_second_halves() {
        for seed in 0..50 {
            let mut random = random(seed);
            let mut made = |records: usize, rest: Rest| {
                let record = |_| {
                    let place = [40.0 * random() - 20.0, 40.0 * random() - 20.0, 3.0 * random() - 2.0];
                    place.into_iter().chain(rest(place, &mut random)).collect::<Vec<_>>()
                };
                eight(&bytes((0..records).flat_map(record)))
            };
            for records in [16, 50, 3000] {
                let said = |found: Option<Eight>| (seed, records, found);
                let range = |p: [f32; 3]| length(&p);
                let found = made(records, &mut |p, r| [r(), (31.0 * r()).trunc(), p[1].atan2(p[0]), range(p), r()]);
                assert_eq!(said(found), said(Some(Eight::Intensity)), "ring, azimuth, range, time");
                let found = made(records, &mut |_, r| [r(), (31.0 * r()).trunc(), 360.0 * r(), 2.0 + 70.0 * r(), r()]);
                assert_eq!(said(found), said(Some(Eight::Intensity)), "a range of another scale");
                let found = made(records, &mut |_, r| {
                    let (turn, up) = (6.3 * r(), 2.0 * r() - 1.0);
                    let flat = (1.0 - up * up).sqrt();
                    [r(), flat * turn.cos(), flat * turn.sin(), up, 0.1 * r()]
                });
                assert_eq!(said(found), said(Some(Eight::Intensity)), "normal and curvature");
                let found = made(records, &mut |_, r| [r(), 0.0, 0.0, 0.0, 100.0 * r()]);
                assert_eq!(said(found), said(Some(Eight::Intensity)), "no normal, a time");
                let found = made(records, &mut |_, r| [1.0, 255.0 * r(), 0.0, 0.0, 0.0]);
                assert_eq!(said(found), said(Some(Eight::Padded)));
            }
            let found = made(3000, &mut |_, r| [r(), 4.0 * r(), 4.0 * r(), 0.1 * r(), r()]);
            assert_eq!(found, Some(Eight::Unknown), "seed {seed}: velocities");
        }
    }

    #[test]
    fn records_of_four_numbers_stay_such() {
        for seed in 0..200 {
            let mut random = random(seed);
            for records in [32, 60, 512, 6000] {
                let mut of = |point: Point| eight(&bytes((0..records).flat_map(|i| point(i, &mut random))));
                let mut scan = |_: usize, r: Draw| {
                    let (turn, far) = (6.3 * r(), 2.0 + 60.0 * r() * r());
                    [far * turn.cos(), far * turn.sin(), 0.1 * far * (r() - 0.8), r()]
                };
                let found = [
                    of(&mut scan),
                    // Two returns of each pulse, the second of which is mostly none, or always.
                    of(&mut |i, r| if i % 2 == 1 && r() < 0.9 { [0.0; 4] } else { scan(i, r) }),
                    of(&mut |i, r| if i % 2 == 1 { [0.0; 4] } else { scan(i, r) }),
                    // Two sensors in turn, at other heights.
                    of(&mut |i, r| scan(i, r).map(|v| if i % 2 == 1 { v * 0.7 } else { v })),
                    // Points on an axis, a sphere, a grid of whole metres.
                    of(&mut |i, _| [(i / 2) as f32, 0.0, 0.0, 1.0 - (i % 2) as f32]),
                    of(&mut |i, r| {
                        let p = scan(i, r);
                        [p[0] / length(&p[..3]), p[1] / length(&p[..3]), p[2] / length(&p[..3]), 0.5]
                    }),
                    of(&mut |i, _| [(i % 7) as f32, (i / 7 % 6) as f32, (i / 42) as f32, 0.5]),
                    of(&mut |_, _| [0.0; 4]),
                    of(&mut |_, _| [f32::NAN; 4]),
                ];
                assert_eq!(found, [None; 9], "seed {seed}: {records}");
            }
        }
    }
}
