//! Keys and roots that signatures are checked with, looked at before anything starts.
//!
//! The proxy would refuse them too, but only as its own end; here they are a mistake in the policy that is
//! told with file and line.

use crate::model::{Code, Finding, Signing};
use crate::verify::signatures::{Key, Publisher, Roots};

/// Whether all of them can be used.
pub(super) fn usable(signing: &Signing) -> Result<(), Finding> {
    let wrong = |place: &str, text: String| Finding::new(Code::PolicyInvalid, place, text);
    for key in signing.origins.iter().flat_map(|one| &one.keys) {
        Key::read(key).map_err(|error| wrong(&key.stated_in, error.to_string()))?;
    }
    for key in &signing.publishers {
        Publisher::read(key).map_err(|error| wrong(&key.stated_in, error.to_string()))?;
    }
    if let Some(roots) = &signing.roots {
        Roots::new(Some(roots)).map_err(|error| wrong("trust-root", error.to_string()))?;
    }
    Ok(())
}
