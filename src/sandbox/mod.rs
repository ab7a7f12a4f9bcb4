//! Placeholder of the layer `sandbox`.
