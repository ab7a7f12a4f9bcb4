//! Placeholder of the layer `session`.

pub mod children;
mod identity;
mod places;
