//! Placeholder of the layer `assess`.
