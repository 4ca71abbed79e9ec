//! What two kinds of graph are compared by: changes of lists as rows.

use std::fmt::Debug;
use thalweg::knn::ListChanges;

/// A list: neighbours and the bits of their squared distances.
pub type Row = Vec<(u64, u32)>;

pub fn row((dst, d2): (&[u64], &[f32])) -> Row {
    dst.iter().zip(d2).map(|(&id, d2)| (id, d2.to_bits())).collect()
}

/// Each node with its old and its new list.
pub fn rows(changes: &ListChanges) -> Vec<(u64, Row, Row)> {
    (0..changes.src.len()).map(|i| (changes.src[i], row(changes.old.row(i)), row(changes.new.row(i)))).collect()
}

/// Fails with the first row that differs.
pub fn agree<T: Debug + PartialEq>(found: &[T], expected: &[T], case: &str) {
    if found != expected {
        let at = found.iter().zip(expected).position(|(a, b)| a != b);
        panic!(
            "{case}: {} changes, expected {}; first at {at:?}: {:?}, expected {:?}",
            found.len(),
            expected.len(),
            at.map(|i| &found[i]),
            at.map(|i| &expected[i])
        );
    }
}
