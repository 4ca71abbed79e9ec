//! Thalweg: streaming geometric deep learning. Exact graphs over spatial streams, and graph networks as dataflow stages.
