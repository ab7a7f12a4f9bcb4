//! Placeholder of the layer `supervisor`.
