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

/// A text in which no address shows credentials: what stands before the `@` of an authority is gone.
pub fn redact_text(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let ends = |c: char| "/?#\\".contains(c) || c.is_whitespace();
        let end = part.find(ends).unwrap_or(part.len());
        let (authority, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        let host = authority.rsplit('@').next().unwrap_or_default();
        shown.push_str("://");
        if host.len() < authority.len() {
            shown.push_str("***@");
        }
        shown.push_str(host);
        shown.push_str(rest);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_in_a_text_shows_credentials() {
        for (text, shown) in [
            (
                "--index-url=https://u:pw@h.invalid/p",
                "--index-url=https://***@h.invalid/p",
            ),
            ("-ihttps://token@h.invalid", "-ihttps://***@h.invalid"),
            (
                "x @ https://u:p%40w@h.invalid/x#a=b",
                "x @ https://***@h.invalid/x#a=b",
            ),
            (
                "http://u:a@b@h.invalid ftp://v:w@i",
                "http://***@h.invalid ftp://***@i",
            ),
            (
                "https://h.invalid/@scope/name@1",
                "https://h.invalid/@scope/name@1",
            ),
            ("@scope/name@npm:other@1", "@scope/name@npm:other@1"),
            ("", ""),
        ] {
            assert_eq!(redact_text(text), shown);
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let url = Url::parse("https://user:pw@registry.invalid/p?token=abc#x").unwrap();
        assert_eq!(redact_url(&url), "https://registry.invalid/p");
        assert_eq!(
            format!("{:?} {}", Secret::new("t".into()), Secret::new("t".into())),
            "*** ***"
        );
    }

    #[test]
    fn addresses_inside_a_text_lose_their_credentials() {
        for (text, shown) in [
            (
                "--index-url=https://u:p@i.invalid/simple",
                "--index-url=https://***@i.invalid/simple",
            ),
            ("-ihttps://u:p@i.invalid", "-ihttps://***@i.invalid"),
            (
                "a @ git+ssh://token@h.invalid/x, https://u:p@w@i.invalid?q",
                "a @ git+ssh://***@h.invalid/x, https://***@i.invalid?q",
            ),
            ("https://i.invalid/a@b", "https://i.invalid/a@b"),
            ("leaf@1.0", "leaf@1.0"),
            ("://", "://"),
        ] {
            assert_eq!(redact_text(text), shown);
        }
    }
}
