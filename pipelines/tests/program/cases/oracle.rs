//! What is right, worked out plainly: nearest neighbours by brute force, an epidemic by the joint distribution of everybody's states.

/// Coordinates (m).
pub type Point = [f64; 3];

/// A row of `run knn`.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    pub frame: i64,
    pub src: u64,
    pub rank: u64,
    pub dst: u64,
    pub d2: f32,
}

/// `n` points that differ, on a grid of quarter metres, so that every format holds them exactly.
pub fn cloud(n: usize, seed: u64) -> Vec<Point> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let mut points: Vec<Point> = Vec::new();
    while points.len() < n {
        let point = [draw(160) as f64 / 4.0 - 20.0, draw(160) as f64 / 4.0 - 20.0, draw(16) as f64 / 4.0];
        if !points.contains(&point) && point[0] != 0.0 {
            points.push(point);
        }
    }
    points
}

/// The lower median over the finite values, cut to whole thousands.
pub fn origin(frame: &[Point]) -> Point {
    std::array::from_fn(|axis| {
        let mut values: Vec<f64> = frame.iter().filter(|p| p.iter().all(|v| v.is_finite())).map(|p| p[axis]).collect();
        values.sort_by(f64::total_cmp);
        let Some(&median) = values.get(values.len().saturating_sub(1) / 2) else { return 0.0 };
        (median / 1000.0).trunc() * 1000.0
    })
}

/// The `k` nearest neighbours of every finite point of every frame, by (d2, index), after the first frame's origin is subtracted.
pub fn graph(k: usize, frames: &[(i64, Vec<Point>)]) -> Vec<Edge> {
    let shift = frames.iter().find(|(_, points)| !points.is_empty()).map_or([0.0; 3], |(_, points)| origin(points));
    let mut edges = Vec::new();
    for (frame, points) in frames {
        let at: Vec<[f32; 3]> =
            points.iter().map(|p| std::array::from_fn(|axis| (p[axis] - shift[axis]) as f32)).collect();
        let finite: Vec<usize> = (0..at.len()).filter(|&i| at[i].iter().all(|v| v.is_finite())).collect();
        for &src in &finite {
            let mut others: Vec<(f32, usize)> = finite
                .iter()
                .filter(|&&dst| dst != src)
                .map(|&dst| {
                    let [dx, dy, dz]: [f32; 3] = std::array::from_fn(|axis| at[dst][axis] - at[src][axis]);
                    (dx * dx + dy * dy + dz * dz, dst)
                })
                .collect();
            others.sort_by(|a, b| a.partial_cmp(b).unwrap());
            edges.extend(others.iter().take(k).enumerate().map(|(rank, &(d2, dst))| Edge {
                frame: *frame,
                src: src as u64,
                rank: rank as u64,
                dst: dst as u64,
                d2,
            }));
        }
    }
    edges
}

/// Parameters of an epidemic, as `--set` has them.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub rate: f64,
    pub latency: f64,
    pub recovery: f64,
    pub false_negative: f64,
    pub false_positive: f64,
    /// Each person's probability of being infected at first.
    pub prior: f64,
}

/// Infection alone, half of the people infected at first, tests without error.
pub const SI: Spread =
    Spread { rate: 1e-3, latency: 0.0, recovery: 0.0, false_negative: 0.0, false_positive: 0.0, prior: 0.5 };

impl Spread {
    /// The `--set` options that say so.
    pub fn options(&self) -> String {
        let Spread { rate, latency, recovery, false_negative, false_positive, prior } = self;
        format!(
            "--set rate={rate} --set latency={latency} --set recovery={recovery} --set false_negative={false_negative} \
             --set false_positive={false_positive} --set prior={prior}"
        )
    }
}

/// What happens to people numbered from 0, stamps and durations in seconds.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Contact(f64, usize, usize, f64),
    Test(f64, usize, bool),
}

impl Event {
    fn stamp(&self) -> f64 {
        match *self {
            Event::Contact(t, ..) | Event::Test(t, ..) => t,
        }
    }
}

/// S, E, I, R after a wait of `dt` seconds, from each of them.
fn waiting(spread: &Spread, dt: f64) -> [[f64; 4]; 4] {
    let Spread { latency: l, recovery: r, .. } = *spread;
    let (stays_e, stays_i) = ((-l * dt).exp(), (-r * dt).exp());
    let e_to_i = if l == 0.0 {
        0.0
    } else if (l - r).abs() < 1e-12 * l {
        l * dt * stays_e
    } else {
        l * (stays_i - stays_e) / (l - r)
    };
    let e_to_r = (1.0 - stays_e - e_to_i).max(0.0);
    [[1.0, 0.0, 0.0, 0.0], [0.0, stays_e, e_to_i, e_to_r], [0.0, 0.0, stays_i, 1.0 - stays_i], [0.0, 0.0, 0.0, 1.0]]
}

/// Everybody's probability of being E or I at `as_of`, given the events up to then: the joint distribution of all states, step by step.
pub fn infected(people: usize, events: &[Event], as_of: f64, spread: &Spread) -> Vec<f64> {
    let size = 4usize.pow(people as u32);
    let state = |joint: usize, person: usize| joint / 4usize.pow(person as u32) % 4;
    let with = |joint: usize, person: usize, to: usize| {
        joint - state(joint, person) * 4usize.pow(person as u32) + to * 4usize.pow(person as u32)
    };
    let mut events: Vec<Event> = events.iter().copied().filter(|event| event.stamp() <= as_of).collect();
    events.sort_by(|a, b| a.stamp().total_cmp(&b.stamp()));
    let mut now = events.first().map_or(as_of, Event::stamp) - 1.0;
    let first = |joint: usize| -> f64 {
        let of = |person| match state(joint, person) {
            0 => 1.0 - spread.prior,
            2 => spread.prior,
            _ => 0.0,
        };
        (0..people).map(of).product()
    };
    let mut chance: Vec<f64> = (0..size).map(first).collect();
    let wait = |chance: &mut Vec<f64>, dt: f64| {
        let step = waiting(spread, dt);
        for person in 0..people {
            let mut next = vec![0.0; size];
            for (joint, p) in chance.iter().enumerate() {
                for (to, share) in step[state(joint, person)].iter().enumerate() {
                    next[with(joint, person, to)] += p * share;
                }
            }
            *chance = next;
        }
    };
    let mut rest = &events[..];
    while let Some(t) = rest.first().map(Event::stamp) {
        let (same, later) = rest.split_at(rest.iter().take_while(|event| event.stamp() == t).count());
        rest = later;
        wait(&mut chance, t - now);
        now = t;
        let catches = if spread.latency > 0.0 { 1 } else { 2 };
        let mut next = vec![0.0; size];
        for (joint, &p) in chance.iter().enumerate() {
            let mut escapes = vec![1.0; people];
            for event in same {
                if let Event::Contact(_, i, j, duration) = *event {
                    for (from, to) in [(i, j), (j, i)] {
                        if state(joint, from) == 2 && state(joint, to) == 0 {
                            escapes[to] *= (-spread.rate * duration).exp();
                        }
                    }
                }
            }
            // Every subset of those exposed.
            let exposed: Vec<usize> = (0..people).filter(|&person| escapes[person] < 1.0).collect();
            for subset in 0..1usize << exposed.len() {
                let (mut to, mut share) = (joint, p);
                for (bit, &person) in exposed.iter().enumerate() {
                    if subset >> bit & 1 == 1 {
                        share *= 1.0 - escapes[person];
                        to = with(to, person, catches);
                    } else {
                        share *= escapes[person];
                    }
                }
                next[to] += share;
            }
        }
        chance = next;
        for event in same {
            if let Event::Test(_, person, positive) = *event {
                for (joint, p) in chance.iter_mut().enumerate() {
                    let infected = matches!(state(joint, person), 1 | 2);
                    let says_so = if infected { 1.0 - spread.false_negative } else { spread.false_positive };
                    *p *= if positive { says_so } else { 1.0 - says_so };
                }
            }
        }
        let total: f64 = chance.iter().sum();
        assert!(total > 0.0, "a contradiction");
        chance.iter_mut().for_each(|p| *p /= total);
    }
    wait(&mut chance, as_of - now);
    let of = |person| (0..size).filter(|&joint| matches!(state(joint, person), 1 | 2)).map(|joint| chance[joint]).sum();
    (0..people).map(of).collect()
}

/// Two people, half of them infected at first, meet once for 600 s at 1e-3 a second: 1/2 + 1/4 (1 - exp(-0.6)).
#[test]
fn the_oracle_knows_two_people() {
    let found = infected(2, &[Event::Contact(10.0, 0, 1, 600.0)], 10.0, &SI);
    let right = 0.5 + 0.25 * (1.0 - (-0.6f64).exp());
    assert!((found[0] - right).abs() < 1e-12 && (right - 0.6128).abs() < 5e-5);
    let tested = [Event::Contact(10.0, 0, 1, 600.0), Event::Test(20.0, 0, true)];
    let spread = Spread { false_negative: 0.2, false_positive: 0.1, ..SI };
    let found = infected(2, &tested, 20.0, &spread);
    assert!((found[0] - 0.9268).abs() < 5e-5, "{found:?}");
}
