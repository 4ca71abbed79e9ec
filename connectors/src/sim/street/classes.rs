//! The classes of the street, as SemanticKITTI numbers them for training.

pub(super) const CAR: u8 = 1;
pub(super) const BICYCLE: u8 = 2;
pub(super) const MOTORCYCLE: u8 = 3;
pub(super) const TRUCK: u8 = 4;
pub(super) const OTHER_VEHICLE: u8 = 5;
pub(super) const PERSON: u8 = 6;
pub(super) const BICYCLIST: u8 = 7;
pub(super) const MOTORCYCLIST: u8 = 8;
pub(super) const ROAD: u8 = 9;
pub(super) const PARKING: u8 = 10;
pub(super) const SIDEWALK: u8 = 11;
pub(super) const OTHER_GROUND: u8 = 12;
pub(super) const BUILDING: u8 = 13;
pub(super) const FENCE: u8 = 14;
pub(super) const VEGETATION: u8 = 15;
pub(super) const TRUNK: u8 = 16;
pub(super) const TERRAIN: u8 = 17;
pub(super) const POLE: u8 = 18;
pub(super) const TRAFFIC_SIGN: u8 = 19;
