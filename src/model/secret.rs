//! Values that must not be printed: tokens, passwords, and URLs that may carry them.
//!
//! A [`Secret`] serialises in full, because plans cross a private socket; everything that is
//! printed or recorded goes through `Display` or [`redact_url`].

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

/// A credential. `Debug` and `Display` hide it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a credential.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The credential itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The URL as it may be shown: without user, password, query and fragment.
pub fn redact_url(url: &Url) -> String {
    let mut shown = url.clone();
    // Setting them fails only for URLs that cannot carry them.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let url = Url::parse("https://user:pw@registry.invalid/p?token=abc#x").unwrap();
        assert_eq!(redact_url(&url), "https://registry.invalid/p");
        assert_eq!(
            format!("{:?} {}", Secret::new("t".into()), Secret::new("t".into())),
            "*** ***"
        );
    }
}
