//! Placeholder of the layer `diag`.
