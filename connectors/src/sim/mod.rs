//! Built-in simulations: a drive of a LiDAR, a person before a radar, a town with an outbreak.

mod dice;
pub mod person;
pub mod street;
pub mod town;
