//! The ready pipelines of Thalweg.
