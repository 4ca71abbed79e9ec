//! What can move between the processes of a run, and how it does: as little-endian columns.
//!
//! The form is bincode's with fixed widths: a number is its little-endian bytes, a column its length and then its values, a struct its fields
//! in order. Both ends are the same program, which they make sure of when they meet, so the form names nothing.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::BoxError;

/// Items, messages and outputs of a plan: whatever serde can write and read again.
///
/// Between threads an item moves by pointer. Between processes it moves as bytes.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Reading {
///     sensor: String,
///     values: Vec<f32>,
/// }
///
/// fn travels<T: thalweg::Portable>() {}
/// travels::<Reading>();
/// ```
pub trait Portable: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Portable for T {}

/// The bytes of a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, BoxError> {
    Ok(bincode::serialize(value)?)
}

/// The value of bytes that [`encode`] made. Memory is reserved as bytes are found, never by a declared length alone.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BoxError> {
    bincode::deserialize(bytes).map_err(|error| {
        format!("found {} bytes that are no {} ({error})", bytes.len(), std::any::type_name::<T>()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_cut_bytes_are_errors() {
        let value = (7u64, vec![1.5f32, f32::NAN, -0.0], Some(String::from("seven")));
        let bytes = encode(&value).unwrap();
        let back: (u64, Vec<f32>, Option<String>) = decode(&bytes).unwrap();
        assert_eq!((back.0, back.2), (value.0, value.2));
        assert!(back.1.iter().zip(&value.1).all(|(a, b)| a.to_bits() == b.to_bits()));
        for cut in 0..bytes.len() {
            assert!(decode::<(u64, Vec<f32>, Option<String>)>(&bytes[..cut]).is_err());
        }
        // A length that no file holds.
        assert!(decode::<Vec<f32>>(&u64::MAX.to_le_bytes()).is_err());
    }
}
