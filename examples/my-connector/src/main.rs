//! A pipeline on a connector of one's own: how far apart the points of each frame stand.

mod xyz;

use std::path::PathBuf;

use thalweg::{BoxError, Frame, KnnGraph, Pipeline, Source, sink::Collect};

/// Mean distance from a node to its nearest other node (m); NaN for fewer than two.
fn spacing(graph: KnnGraph) -> Result<f64, BoxError> {
    let nearest: Vec<f64> = graph.d2.chunks(graph.k.max(1)).map(|d2| f64::from(d2[0]).sqrt()).collect();
    Ok(nearest.iter().sum::<f64>() / nearest.len() as f64)
}

/// The spacing of every frame of `source`, in its order.
fn run(source: impl Source<Item = Frame> + 'static) -> Result<Vec<f64>, BoxError> {
    let sink = Collect::default();
    Pipeline::from_source(source)
        .workers(2)
        .run(|points| points.voxel_downsample(0.10).knn_graph(16).map("spacing", spacing), sink.clone())?;
    Ok(sink.items().into_iter().map(|(_, spacing)| spacing).collect())
}

fn main() -> Result<(), BoxError> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: my-connector FILE.xyz")?);
    for (frame, spacing) in run(xyz::Xyz::open(&path)?)?.into_iter().enumerate() {
        println!("frame {frame}: {spacing:.3} m");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_in_order_with_their_spacing() {
        // By hand: nearest distances 1, 1 and 4; then 2 and 2; then none.
        let text = "0 0 0\n1 0 0\n1 4 0\n\n0 0 0\n0 0 2\n\n7 7 7\n";
        let source = xyz::Xyz::read("points.xyz".as_ref(), text.as_bytes());
        let found = run(source).unwrap();
        assert_eq!(found[..2], [2.0, 2.0]);
        assert!(found.len() == 3 && found[2].is_nan());
    }
}
