//! A pipeline on a connector of one's own: how high the points of each frame reach.

mod xyz;

use std::path::PathBuf;

use thalweg::{BoxError, Frame, Pipeline, Source, sink::Collect};

/// Lowest and highest z of a frame (m).
fn heights(frame: Frame) -> Result<[f32; 2], BoxError> {
    Ok(frame.z.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &z| [low.min(z), high.max(z)]))
}

/// The heights of every frame of `source`, in its order.
fn run(source: impl Source<Item = Frame> + 'static) -> Result<Vec<[f32; 2]>, BoxError> {
    let sink = Collect::default();
    Pipeline::from_source(source).workers(2).run(|frames| frames.map("heights", heights), sink.clone())?;
    Ok(sink.items().into_iter().map(|(_, heights)| heights).collect())
}

fn main() -> Result<(), BoxError> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: my-connector FILE.xyz")?);
    for (frame, [low, high]) in run(xyz::Xyz::open(&path)?)?.into_iter().enumerate() {
        println!("frame {frame}: {low} m to {high} m");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_in_order() {
        let text = "0 0 1\n0 0 4\n\n0 0 -2\n\n0 0 7\n0 0 8\n";
        let source = xyz::Xyz::read("points.xyz".as_ref(), text.as_bytes());
        assert_eq!(run(source).unwrap(), [[1.0, 4.0], [-2.0, -2.0], [7.0, 8.0]]);
    }
}
