//! Placeholder of the layer `record`.
