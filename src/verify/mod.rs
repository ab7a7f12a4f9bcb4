//! Placeholder of the layer `verify`.
