//! Placeholder of the layer `proxy`.
