//! Logins of `~/.netrc`.
//!
//! pip takes passwords for an index from there; under v4run the proxy presents them and pip never
//! sees the file. Macro definitions are passed over, a file of another form gives no logins.
//! Form: <https://docs.python.org/3/library/netrc.html>.

use crate::manager::{Request, read};

/// Files with logins are short.
const LIMIT: u64 = 1 << 20;

/// One login.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::manager) struct Login {
    /// The host it is for; none for all others.
    pub(in crate::manager) host: Option<String>,
    /// Name.
    pub(in crate::manager) user: String,
    /// Password.
    pub(in crate::manager) password: String,
}

/// The logins of the user's own file, or of the one that `NETRC` names.
pub(in crate::manager) fn of(request: &Request<'_>) -> Vec<Login> {
    let named = request.environment.get(std::ffi::OsStr::new("NETRC"));
    let own = || request.home.as_ref().map(|home| home.join(".netrc"));
    let path = named.map(|path| request.directory.join(path)).or_else(own);
    let bytes = path.and_then(|path| read::file(&path, LIMIT).ok().flatten());
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| parse(&text)).unwrap_or_default()
}

/// Reads a file. `None` when it is not of this form.
pub(in crate::manager) fn parse(text: &str) -> Option<Vec<Login>> {
    let mut logins = Vec::new();
    let mut words = Words(text);
    let mut next = words.next();
    while let Some(word) = next {
        let host = match word.as_str() {
            "machine" => Some(words.next()?),
            "default" => None,
            "macdef" => {
                words.skip_macro();
                next = words.next();
                continue;
            }
            _ => return None,
        };
        let mut login = Login {
            host,
            user: String::new(),
            password: String::new(),
        };
        next = loop {
            match words.next() {
                Some(word) => match word.as_str() {
                    "login" | "user" => login.user = words.next()?,
                    "password" => login.password = words.next()?,
                    "account" => drop(words.next()?),
                    _ => break Some(word),
                },
                None => break None,
            }
        };
        logins.push(login);
    }
    Some(logins)
}

/// The login for a host: its own, else the one for all.
pub(in crate::manager) fn find<'a>(logins: &'a [Login], host: &str) -> Option<&'a Login> {
    let own = logins
        .iter()
        .find(|login| login.host.as_deref() == Some(host));
    own.or_else(|| logins.iter().find(|login| login.host.is_none()))
}

struct Words<'a>(&'a str);

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        loop {
            self.0 = self.0.trim_start();
            if !self.0.starts_with('#') {
                break;
            }
            self.0 = self.0.split_once('\n').map_or("", |(_, rest)| rest);
        }
        if let Some(rest) = self.0.strip_prefix('"') {
            return self.quoted(rest);
        }
        let end = self.0.find(char::is_whitespace).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        let plain = word.replace('\\', "");
        (!word.is_empty()).then_some(plain)
    }

    fn quoted(&mut self, rest: &str) -> Option<String> {
        let mut word = String::new();
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            if c == '"' && !escaped {
                let skip = at.saturating_add(2).min(self.0.len());
                self.0 = self.0.get(skip..).unwrap_or_default();
                return Some(word);
            }
            escaped = c == '\\' && !escaped;
            if !escaped {
                word.push(c);
            }
        }
        None
    }

    /// A macro ends at the first empty line.
    fn skip_macro(&mut self) {
        self.0 = self.0.split_once("\n\n").map_or("", |(_, rest)| rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn logins_are_found_by_host() {
        let text = "# mine\nmachine a.invalid login u password p#1\nmacdef x\n  machine evil\n\ndefault user d password \"q \\\"w\"\nmachine b.invalid\n  login \"v\" account z password r\n";
        let logins = parse(text).unwrap();
        let of =
            |host| find(&logins, host).map(|login| (login.user.as_str(), login.password.as_str()));
        assert_eq!(of("a.invalid"), Some(("u", "p#1")));
        assert_eq!(of("b.invalid"), Some(("v", "r")));
        assert_eq!(of("c.invalid"), Some(("d", "q \"w")));
        assert_eq!(logins.len(), 3);
        assert!(find(&parse("machine a login b password c").unwrap(), "x").is_none());
    }

    #[test]
    fn other_text_gives_no_logins() {
        for text in [
            "nonsense",
            "machine",
            "machine a login",
            "machine a password \"x",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "(machine |login |\"|\\\\|\n|[a-z#\u{e4} ]){0,60}") {
            let _ = parse(&text);
        }
    }
}
