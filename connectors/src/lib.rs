//! Sources and sinks of Thalweg, one file per format or transport.

pub mod street;
