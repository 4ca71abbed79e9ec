//! The voxel pyramid of one frame: nodes, exact kNN lists, features and parents of every level.

use super::config::Config;
use super::features::{GEOMETRY, geometry, heights, scalars};
use crate::knn::{Points3, knn_graph_shared};
use crate::layers::{Matrix, Positions};
use crate::points::voxel::voxels;
use crate::report::Clock;
use crate::share::over_rows;
use crate::{Error, KnnGraph};

/// One level.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// Positions of its nodes (m).
    pub x: Vec<f32>,
    /// See [`Level::x`].
    pub y: Vec<f32>,
    /// See [`Level::x`].
    pub z: Vec<f32>,
    /// Neighbours a node.
    pub k: usize,
    /// Their indices, `[nodes, k]` row-major.
    pub neighbor: Vec<u32>,
    /// `[nodes, features]`.
    pub features: Matrix,
    /// The node of the next level that each node belongs to; empty at the top.
    pub parent: Vec<u32>,
}

impl Level {
    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// True if the level has no node.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// The neighbour list of a node.
    pub fn list(&self, node: usize) -> &[u32] {
        &self.neighbor[node * self.k..(node + 1) * self.k]
    }

    /// The nodes' positions.
    pub fn positions(&self) -> Positions<'_> {
        Positions { x: &self.x, y: &self.y, z: &self.z }
    }
}

/// All levels of one frame.
#[derive(Clone, Debug, Default)]
pub struct Pyramid {
    /// Finest first.
    pub levels: Vec<Level>,
}

impl Pyramid {
    /// Checks that every level has one entry a node in each column, and that lists and parents are nodes there are.
    ///
    /// # Errors
    /// [`Error::Shape`] with the level.
    pub fn check(&self) -> Result<(), Error> {
        for (l, level) in self.levels.iter().enumerate() {
            let nodes = level.len();
            let above = self.levels.get(l + 1).map_or(0, Level::len);
            let parents = if l + 1 < self.levels.len() { nodes } else { 0 };
            let found = [level.y.len(), level.z.len(), level.features.rows(), level.neighbor.len(), level.parent.len()];
            let what = || format!("level {l} of the pyramid: y, z, features, lists, parents");
            Error::unless_same(&what(), found, [nodes, nodes, nodes, nodes.saturating_mul(level.k), parents])?;
            for (what, ends, nodes) in [("list", &level.neighbor, nodes), ("parent", &level.parent, above)] {
                if let Some(end) = ends.iter().max().filter(|end| **end as usize >= nodes) {
                    let (what, expected) = (format!("a {what} of level {l}"), format!("one of {nodes} nodes"));
                    return Err(Error::Shape { what, found: format!("node {end}"), expected });
                }
            }
        }
        Ok(())
    }

    /// Builds the levels above `graph`, which is level 0, and everyone's features, by `threads` threads; times go into `clock`.
    ///
    /// # Errors
    /// Those of [`KnnGraph::check`] and of the kNN engine; none for a graph that the engine made of finite points.
    pub fn build(graph: &KnnGraph, config: &Config, threads: usize, clock: &mut Clock) -> Result<Pyramid, Error> {
        graph.check()?;
        let nodes = &graph.nodes;
        let mut level = Level {
            x: nodes.x.clone(),
            y: nodes.y.clone(),
            z: nodes.z.clone(),
            k: graph.k,
            neighbor: graph.neighbor.clone(),
            ..Level::default()
        };
        let mut ground = clock.time("features", || heights(level.positions(), &config.columns, config.hag_scale));
        let mut levels = Vec::with_capacity(config.levels);
        for l in 0..config.levels {
            clock.time("features", || {
                let extra = if l == 0 { Some(scalars(nodes, config)) } else { None };
                level.features = features(&level, &ground, extra.as_ref(), config.edge(l) as f32, threads)?;
                Ok::<_, Error>(())
            })?;
            if l + 1 == config.levels {
                levels.push(level);
                break;
            }
            let above = clock.time("level_voxels", || voxels(&level.x, &level.y, &level.z, config.edge(l + 1)));
            let pick = |v: &[f32]| above.representative.iter().map(|&i| v[i as usize]).collect::<Vec<_>>();
            let (x, y, z) = (pick(&level.x), pick(&level.y), pick(&level.z));
            let lists = clock.time("level_knn", || knn_graph_shared(Points3::new(&x, &y, &z)?, config.k, threads))?;
            let mut lifted = Matrix::zeros(x.len(), ground.cols());
            for (i, &child) in above.representative.iter().enumerate() {
                lifted.row_mut(i).copy_from_slice(ground.row(child as usize));
            }
            ground = lifted;
            level.parent = above.of_point;
            levels.push(std::mem::replace(
                &mut level,
                Level { x, y, z, k: lists.k, neighbor: lists.neighbor, ..Level::default() },
            ));
        }
        Ok(Pyramid { levels })
    }
}

/// Geometry, then heights, then `extra`, row by row.
fn features(
    level: &Level,
    ground: &Matrix,
    extra: Option<&Matrix>,
    edge: f32,
    threads: usize,
) -> Result<Matrix, Error> {
    const ROWS: usize = 512;
    let width = GEOMETRY + ground.cols() + extra.map_or(0, Matrix::cols);
    let mut out = Matrix::zeros(level.len(), width);
    over_rows(
        threads,
        out.data_mut(),
        width,
        ROWS,
        || (),
        |(), first, rows| {
            for (i, row) in (first..).zip(rows.chunks_exact_mut(width)) {
                geometry(level.positions(), i, level.list(i), edge, &mut row[..GEOMETRY]);
                row[GEOMETRY..][..ground.cols()].copy_from_slice(ground.row(i));
                if let Some(extra) = extra {
                    row[GEOMETRY + ground.cols()..].copy_from_slice(extra.row(i));
                }
            }
            Ok(())
        },
    )?;
    Ok(out)
}
