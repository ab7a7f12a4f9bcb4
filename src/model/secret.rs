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

/// A text as it may be shown: user and password taken out of every address in it.
///
/// For text that cannot be parsed as an address, or only holds one: what a user typed, a line of a
/// file.
pub fn redact_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let ends = |c: char| c.is_whitespace() || c.is_control() || "/?#\"'`<>".contains(c);
        let end = after.find(ends).unwrap_or(after.len());
        let (authority, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str("***@");
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
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
