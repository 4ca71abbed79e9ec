//! The windows (u, v) in which a person may be infectious, side by side in strips of lanes.

use crate::contacts::bp::course::{QUAD, Shape, Weights};

/// A value for each window of a strip of Q quads.
pub(super) type Row<const Q: usize> = [[f64; QUAD]; Q];

/// One window of infectiousness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// First infectious epoch; unused where infectiousness starts with infection.
    pub u: usize,
    /// First epoch no longer infectious; the number of epochs where there is none.
    pub v: usize,
}

/// All windows over some number of epochs, in strips of Q quads; lanes past the last window weigh 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows<const Q: usize> {
    pub epochs: usize,
    pub strips: usize,
    /// In latent shapes the last is that of never being infectious at the middle of an epoch.
    pub each: Vec<Window>,
    /// 1 for the windows that an epoch lies in, else 0 `[strips, epochs]`.
    inside: Vec<Row<Q>>,
}

impl<const Q: usize> Windows<Q> {
    pub fn new(shape: Shape, epochs: usize) -> Self {
        let mut each = Vec::with_capacity(shape.windows(epochs));
        for v in if shape.recovers { 0 } else { epochs }..=epochs {
            if shape.latent {
                each.extend((0..v).map(|u| Window { u, v }));
            } else {
                each.push(Window { u: 0, v });
            }
        }
        if shape.latent {
            each.push(Window { u: epochs, v: epochs });
        }
        let strips = each.len().div_ceil(Q * QUAD);
        let mut inside = vec![[[0.0; QUAD]; Q]; strips * epochs];
        for (number, window) in each.iter().enumerate() {
            for epoch in window.u..window.v {
                inside[number / (Q * QUAD) * epochs + epoch].as_flattened_mut()[number % (Q * QUAD)] = 1.0;
            }
        }
        Windows { epochs, strips, each, inside }
    }

    /// The rows of a strip, one an epoch.
    pub fn inside(&self, strip: usize) -> &[Row<Q>] {
        &self.inside[strip * self.epochs..][..self.epochs]
    }

    /// For the epoch `n` after that of infection, 0..=epochs, what the weights of being in E, I and R at its middle are multiplied by in
    /// each window `[strips, epochs + 1, 3]`.
    pub fn prior(&self, shape: Shape, course: Weights, rest: &mut Vec<f64>, rows: &mut Vec<[Row<Q>; 3]>) {
        let epochs = self.epochs;
        rows.clear();
        rows.resize(self.strips * (epochs + 1), [[[0.0; QUAD]; Q]; 3]);
        // rest: in R from middle e on.
        rest.clear();
        rest.resize(epochs + 1, 1.0);
        for e in (0..epochs).rev() {
            rest[e] = rest[e + 1] * course.step[e].rr;
        }
        let leave = |v: usize| {
            if v < epochs { course.step[v - 1].ir * rest[v] } else { course.step[v - 1].ii + course.step[v - 1].ir }
        };
        for (number, &Window { u, v }) in self.each.iter().enumerate() {
            let strip = &mut rows[number / (Q * QUAD) * (epochs + 1)..][..epochs + 1];
            let lane = number % (Q * QUAD);
            let mut set = |n: usize, state: usize, factor: f64| strip[n][state].as_flattened_mut()[lane] = factor;
            if shape.latent && u == epochs {
                // Without an infectious middle: from E past I within a step, or in E to the end.
                [0, 1, 2].into_iter().for_each(|state| set(epochs, state, 1.0));
                let mut passes = 1.0;
                for n in (0..epochs).rev() {
                    let step = &course.step[n];
                    passes = if n + 1 == epochs {
                        step.ee + step.ei + step.er
                    } else {
                        step.ee * passes + step.er * rest[n + 1]
                    };
                    set(n, 0, passes);
                    set(n, 2, rest[n]);
                }
            } else if shape.latent {
                let mut wait = (u..v - 1).map(|e| course.step[e].ii).product::<f64>() * leave(v);
                set(u, 1, wait);
                for n in (0..u).rev() {
                    wait *= if n + 1 == u { course.step[n].ei } else { course.step[n].ee };
                    set(n, 0, wait);
                }
            } else {
                set(v, 2, rest[v]);
                if v == epochs {
                    set(v, 1, 1.0);
                }
                let mut stay = 1.0;
                for n in (0..v).rev() {
                    stay *= if n + 1 == v { leave(v) } else { course.step[n].ii };
                    set(n, 1, stay);
                }
            }
        }
    }
}
