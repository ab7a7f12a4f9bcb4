//! Approvals: downloaded code that may run, by digest.
//!
//! A package manager that runs what it downloads (Maven's plugins) runs only bytes that somebody
//! answers for. An approval names the bytes; the package URL is for its readers and for messages, and
//! never a ground to trust. It has an owner and a reason, and may have a last day, because an exception
//! that nobody owns stays for ever. Written in the policy of the machine or, reviewed with the code, of
//! the project; under a lockdown in the machine's only.
//!
//! It is told in every output of a run that used it.

use std::str::FromStr as _;
use std::time::SystemTime;

use packageurl::PackageUrl;
use toml::Spanned;

use super::raw::RawApproval;
use crate::model::{Algorithm, Digest};

/// Longest text of an approval.
const TEXT: usize = 1000;

/// Code that may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Package URL.
    pub purl: String,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Who answers for it.
    pub owner: String,
    /// Why it may run.
    pub reason: String,
    /// Last day, `YYYY-MM-DD`, in UTC.
    pub expires: Option<String>,
    /// File and line, for messages.
    pub stated_in: String,
}

impl Approval {
    /// Whether its last day is over.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        let Some(day) = &self.expires else {
            return false;
        };
        // A day that cannot be read is over.
        end_of(day).is_none_or(|end| now > end)
    }

    /// Who says so and why, in one line.
    pub fn why(&self) -> String {
        let until = self.expires.as_ref().map(|day| format!(", until {day}"));
        format!(
            "approved by {}: {} ({}{})",
            self.owner,
            self.reason,
            self.stated_in,
            until.unwrap_or_default()
        )
    }
}

/// What is wrong with an approval, and at which byte of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) message: String,
}

/// Reads one table.
pub(super) fn read(raw: &RawApproval, stated_in: String) -> Result<Approval, Wrong> {
    let wrong = |value: &Spanned<String>, message: &str| Wrong {
        at: value.span().start,
        message: message.to_owned(),
    };
    let purl = PackageUrl::from_str(raw.purl.get_ref())
        .map_err(|_invalid| wrong(&raw.purl, "`purl` is not a package URL"))?;
    if purl.version().is_none() {
        let message = "`purl` names no version: an approval is about one file";
        return Err(wrong(&raw.purl, message));
    }
    let digest = Digest::from_hex(Algorithm::Sha256, raw.sha256.get_ref())
        .map_err(|_invalid| wrong(&raw.sha256, "`sha256` is 64 hexadecimal digits"))?;
    let expires = raw.expires.as_ref().map(|day| match end_of(day.get_ref()) {
        Some(_) => Ok(day.get_ref().clone()),
        None => Err(wrong(day, "`expires` is a day, YYYY-MM-DD")),
    });
    Ok(Approval {
        purl: raw.purl.get_ref().clone(),
        digest,
        owner: text(&raw.owner, "owner")?,
        reason: text(&raw.reason, "reason")?,
        expires: expires.transpose()?,
        stated_in,
    })
}

/// One line that somebody wrote for others.
pub(super) fn text(value: &Spanned<String>, key: &str) -> Result<String, Wrong> {
    let text = value.get_ref().trim();
    let plain = !text.is_empty() && text.len() <= TEXT && !text.chars().any(char::is_control);
    match plain {
        true => Ok(text.to_owned()),
        false => Err(Wrong {
            at: value.span().start,
            message: format!("`{key}` is one line that says something"),
        }),
    }
}

/// The last moment of a day.
pub(super) fn end_of(day: &str) -> Option<SystemTime> {
    if day.len() != 10 {
        return None;
    }
    humantime::parse_rfc3339(&format!("{day}T23:59:59Z")).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Policy;

    fn policy(text: &str) -> Result<Policy, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("v4run.toml"), text).unwrap();
        let missing = directory.path().join("missing.toml");
        Policy::load(None, directory.path(), &missing).map_err(|finding| {
            let place = finding.subject.rsplit('/').next().unwrap().to_owned();
            format!("{place}: {}", finding.message)
        })
    }

    fn table(change: impl Fn(&str) -> String) -> String {
        let digest = "ab".repeat(32);
        let lines = [
            "[[approvals]]".to_owned(),
            "purl = \"pkg:maven/g/x-maven-plugin@1.0\"".to_owned(),
            format!("sha256 = \"{digest}\""),
            "owner = \"build team\"".to_owned(),
            "reason = \"copies resources\"".to_owned(),
            "expires = \"2030-02-28\"".to_owned(),
        ];
        lines.map(|line| change(&line)).join("\n")
    }

    #[test]
    fn an_approval_has_bytes_an_owner_and_a_reason() {
        let read = policy(&table(str::to_owned)).unwrap();
        let [one] = read.approvals.as_slice() else {
            panic!("{read:?}")
        };
        assert_eq!(one.digest.hex(), "ab".repeat(32));
        assert!(one.stated_in.ends_with("v4run.toml:3"), "{}", one.stated_in);
        let why = one.why();
        assert!(
            why.starts_with("approved by build team: copies resources ("),
            "{why}"
        );
        assert!(why.ends_with(", until 2030-02-28)"), "{why}");
        let day = |text: &str| humantime::parse_rfc3339(text).unwrap();
        assert!(!one.is_expired(day("2030-02-28T23:59:59Z")));
        assert!(one.is_expired(day("2030-03-01T00:00:00Z") + Duration::from_secs(1)));
        let lasting = table(|line| match line.starts_with("expires") {
            true => String::new(),
            false => line.to_owned(),
        });
        assert!(!policy(&lasting).unwrap().approvals[0].is_expired(day("2999-01-01T00:00:00Z")));
    }

    #[test]
    fn what_says_nothing_is_refused_with_its_line() {
        for (key, value, line) in [
            ("purl", "x-maven-plugin", 2),
            ("purl", "pkg:maven/g/x-maven-plugin", 2),
            ("sha256", "abcd", 3),
            ("owner", " ", 4),
            ("reason", "a\\nb", 5),
            ("expires", "2030-02-31", 6),
            ("expires", "soon", 6),
        ] {
            let text = table(|old| match old.starts_with(key) {
                true => format!("{key} = \"{value}\""),
                false => old.to_owned(),
            });
            let error = policy(&text).unwrap_err();
            assert!(
                error.starts_with(&format!("v4run.toml:{line}: `{key}`")),
                "{error}"
            );
        }
        for key in ["owner", "reason", "sha256", "purl"] {
            let text = table(|old| match old.starts_with(key) {
                true => String::new(),
                false => old.to_owned(),
            });
            assert!(policy(&text).unwrap_err().contains(key), "{key}");
        }
    }

    #[test]
    fn a_lockdown_leaves_approvals_to_the_machine() {
        let directory = tempfile::tempdir().unwrap();
        let system = directory.path().join("system.toml");
        std::fs::write(
            &system,
            format!("lockdown = true\n{}", table(str::to_owned)),
        )
        .unwrap();
        let read = Policy::load(None, directory.path(), &system).unwrap();
        assert_eq!(read.approvals.len(), 1);
        std::fs::write(directory.path().join("v4run.toml"), table(str::to_owned)).unwrap();
        let error = Policy::load(None, directory.path(), &system).unwrap_err();
        assert!(error.message.contains("locked down"), "{}", error.message);
    }
}
