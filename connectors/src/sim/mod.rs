//! Built-in simulations: a drive of a LiDAR and a town with an outbreak.

mod dice;
pub mod street;
pub mod town;
