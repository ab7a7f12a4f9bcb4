//! Placeholder of the layer `session`.
