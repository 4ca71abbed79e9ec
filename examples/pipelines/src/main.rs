//! Five pipelines as users write them; see README.md. Each is a file of its own.

mod contact_alerts;
mod map_odometry;
mod molecules;
mod radar_readout;
mod sweep_network;
#[cfg(test)]
mod tests;

use std::path::Path;

use thalweg::{BoxError, SegmentationModel};
use thalweg_connectors::sim::street::Street;

const USAGE: &str = "usage: pipelines-examples NAME ARGS
  sweep-network  MODEL OUTPUT
  map-odometry   ODOMETRY MODEL LABELS DEGREES
  contact-alerts CONTACTS TESTS VACCINATIONS PEOPLE ALERTS
  radar-readout  MODEL OUTPUT
  molecules      XYZ MODEL OUTPUT";

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let paths: Vec<&Path> = arguments.iter().skip(1).map(Path::new).collect();
    match (arguments.first().map(String::as_str), paths.as_slice()) {
        (Some("sweep-network"), [model, output]) => sweep_network::run(Street::new(3, 1), model, output),
        (Some("map-odometry"), [odometry, model, labels, degrees]) => {
            let model = SegmentationModel::open(model)?;
            map_odometry::run(Street::new(3, 1), odometry, &model, [labels, degrees])
        }
        (Some("contact-alerts"), [contacts, tests, vaccinations, people, alerts]) => {
            contact_alerts::run([contacts, tests, vaccinations], 0.2, [people, alerts])
        }
        (Some("radar-readout"), [model, output]) => radar_readout::run(radar_readout::Walk(0, 20), model, output),
        (Some("molecules"), [xyz, model, output]) => molecules::run(xyz, model, output),
        _ => Err(USAGE.into()),
    }
}
