//! What the answers of a repository say about the controls: pure, one function a question.
//!
//! An answer supports a control, contradicts it, or says nothing; nothing is guessed into it. Something
//! that answers an address which cannot exist is no repository that can be asked (a captive portal, a
//! catch-all page), and whoever intercepts TLS may intercept plaintext too: then nothing is concluded.
//!
//! RFC 9116 (security.txt), RFC 6797 (strict transport security), RFC 9110 (401 and challenges).

use std::time::{Duration, SystemTime};

use crate::model::{ControlId, Outcome};
use crate::proxy::ProbeAnswer;

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) control: ControlId,
    pub(super) outcome: Outcome,
    pub(super) detail: String,
}

/// The control of incident reporting.
pub(super) const REPORTING: ControlId = ControlId::new(6);
/// The control of strong authentication.
pub(super) const AUTHENTICATION: ControlId = ControlId::new(3);
/// The control of advisories for users.
pub(super) const ADVISORIES: ControlId = ControlId::new(9);
/// The control of TLS.
pub(super) const TRANSPORT: ControlId = ControlId::new(15);

fn said(control: ControlId, outcome: Outcome, detail: impl Into<String>) -> Said {
    Said {
        control,
        outcome,
        detail: detail.into(),
    }
}

/// How an answer that says nothing is told.
fn unusable(answer: &ProbeAnswer) -> String {
    match (&answer.trouble, answer.status) {
        (Some(trouble), _) => trouble.lines().next().unwrap_or_default().to_owned(),
        (None, Some(status)) => format!("the answer was {status}"),
        (None, None) => "there was no answer".to_owned(),
    }
}

/// Why nothing of this repository can be believed: by the answer to an address that cannot exist.
pub(super) fn portal(answer: &ProbeAnswer) -> Option<String> {
    if answer
        .status
        .is_some_and(|status| (200..300).contains(&status))
    {
        return Some(
            "an address that cannot exist was answered with success: this is a captive portal or a \
             page for everything"
                .to_owned(),
        );
    }
    answer
        .trouble
        .as_ref()
        .filter(|trouble| trouble.contains("redirect"))
        .map(|trouble| {
            let first = trouble.lines().next().unwrap_or_default();
            format!(
                "an address that cannot exist leads elsewhere, as a captive portal does: {first}"
            )
        })
}

/// A security.txt.
pub(super) fn reporting(answer: &ProbeAnswer, now: SystemTime) -> Said {
    let unclear = |detail: String| said(REPORTING, Outcome::CannotTell, detail);
    if answer.status != Some(200) {
        return unclear(format!("there is no security.txt: {}", unusable(answer)));
    }
    let Ok(text) = std::str::from_utf8(&answer.body) else {
        return unclear("what lies at security.txt is no text".to_owned());
    };
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    };
    let (Some(contact), Some(expires)) = (field("contact"), field("expires")) else {
        return unclear("what lies at security.txt has no contact or no expiry".to_owned());
    };
    match moment(expires) {
        Some(end) if end > now => said(
            REPORTING,
            Outcome::Supports,
            format!(
                "security.txt names a contact ({}), until {expires}",
                short(contact)
            ),
        ),
        Some(_) => unclear(format!("security.txt ended on {}", short(expires))),
        None => unclear("the expiry of security.txt cannot be read".to_owned()),
    }
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A moment of RFC 3339, with any offset.
fn moment(text: &str) -> Option<SystemTime> {
    let upper = text.to_ascii_uppercase();
    if upper.ends_with('Z') {
        return humantime::parse_rfc3339(&upper).ok();
    }
    let at = upper.len().checked_sub(6)?;
    let (local, offset) = (upper.get(..at)?, upper.get(at..)?);
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let minutes = hours
        .parse::<u64>()
        .ok()?
        .checked_mul(60)?
        .checked_add(minutes.parse().ok()?)?;
    let span = Duration::from_secs(minutes.checked_mul(60)?);
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    match offset.get(..1)? {
        "+" => local.checked_sub(span),
        "-" => local.checked_add(span),
        _ => None,
    }
}

/// An address that wants to know who asks, asked by nobody.
pub(super) fn authentication(answer: &ProbeAnswer) -> Said {
    match answer.status {
        Some(401) => said(
            AUTHENTICATION,
            Outcome::Supports,
            "a request for who is asking is refused without a credential (401)",
        ),
        Some(403) if answer.challenged => said(
            AUTHENTICATION,
            Outcome::Supports,
            "a request for who is asking is refused with a demand for a credential (403)",
        ),
        _ => said(AUTHENTICATION, Outcome::CannotTell, unusable(answer)),
    }
}

/// The address of the repository without TLS; `protected` is the answer to the same with TLS, `public`
/// whether certificates led to the public web.
pub(super) fn transport(plain: &ProbeAnswer, protected: &ProbeAnswer, public: bool) -> Said {
    let supports = |detail: &str| {
        let strict = match protected.strict {
            true => "; it asks for TLS always (HSTS)",
            false => "",
        };
        said(TRANSPORT, Outcome::Supports, format!("{detail}{strict}"))
    };
    let unclear = |detail: String| said(TRANSPORT, Outcome::CannotTell, detail);
    let content = plain
        .status
        .is_some_and(|status| (200..300).contains(&status));
    let same = content && !plain.body.is_empty() && starts_alike(&plain.body, &protected.body);
    if same && protected.status == Some(200) {
        let detail = "a request without TLS was answered with the content that TLS gives";
        return said(TRANSPORT, Outcome::Contradicts, detail);
    }
    if !public {
        return unclear(
            "certificates end at an anchor of this machine or user, so that whoever stands there \
             may answer plaintext too"
                .to_owned(),
        );
    }
    match plain.status {
        None if plain.closed => supports("a request without TLS is not taken"),
        Some(301 | 302 | 307 | 308) if plain.location.starts_with("https://") => {
            supports("a request without TLS is sent to https")
        }
        Some(204) => supports("a request without TLS gets no content"),
        Some(status @ (400 | 403 | 426 | 501)) => {
            supports(&format!("a request without TLS is refused ({status})"))
        }
        Some(_) if content => unclear(
            "a request without TLS was answered with other content than TLS gives: it may be a \
             captive portal's"
                .to_owned(),
        ),
        Some(_) | None => unclear(unusable(plain)),
    }
}

/// What a greeting of TLS below 1.2 met, added to what a request without TLS met: that one was taken
/// contradicts, that none was is the other half of what supports.
pub(super) fn versions(mut transport: Said, older: &Result<Option<String>, String>) -> Said {
    match older {
        Ok(Some(version)) => {
            let detail = format!("a connection with {version} was taken");
            return said(TRANSPORT, Outcome::Contradicts, detail);
        }
        Ok(None) => transport.detail.push_str("; TLS below 1.2 is refused"),
        Err(reason) => {
            let open = format!("; whether TLS below 1.2 is refused cannot be told: {reason}");
            transport.detail.push_str(&open);
            if transport.outcome == Outcome::Supports {
                transport.outcome = Outcome::CannotTell;
            }
        }
    }
    transport
}

fn starts_alike(left: &[u8], right: &[u8]) -> bool {
    let length = left.len().min(right.len());
    length > 0 && left.get(..length) == right.get(..length)
}

/// The channel for advisories, by its answer for a version that has one. `issues` is what it named, if
/// the answer was one to the question.
pub(super) fn canary(answer: &ProbeAnswer, label: &str, issues: Option<&[String]>) -> Said {
    match (answer.status, issues) {
        (Some(200), Some([])) => said(
            ADVISORIES,
            Outcome::Contradicts,
            format!("the channel for advisories names none for {label}, which has one"),
        ),
        (Some(200), Some(_)) => said(
            ADVISORIES,
            Outcome::Supports,
            format!("the channel for advisories names {label}, which has one"),
        ),
        (Some(200), None) => said(
            ADVISORIES,
            Outcome::CannotTell,
            "the answer is not one of a channel for advisories",
        ),
        (Some(_) | None, _) => {
            let detail = format!("there is no channel for advisories: {}", unusable(answer));
            said(ADVISORIES, Outcome::CannotTell, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> ProbeAnswer {
        ProbeAnswer {
            status: Some(status),
            ..ProbeAnswer::default()
        }
    }

    fn text(body: &str) -> ProbeAnswer {
        ProbeAnswer {
            body: body.as_bytes().to_vec(),
            ..status(200)
        }
    }

    fn failed(trouble: &str) -> ProbeAnswer {
        ProbeAnswer {
            trouble: Some(trouble.into()),
            ..ProbeAnswer::default()
        }
    }

    #[test]
    fn a_place_that_answers_everything_is_no_repository() {
        assert!(
            portal(&text("<html>log in</html>"))
                .unwrap()
                .contains("captive portal")
        );
        assert!(
            portal(&failed(
                "the repository redirected to: https://login.invalid/"
            ))
            .is_some()
        );
        for ordinary in [
            status(404),
            status(403),
            status(401),
            failed("it took too long"),
        ] {
            assert_eq!(portal(&ordinary), None, "{ordinary:?}");
        }
    }

    #[test]
    fn security_txt_counts_while_it_is_valid() {
        let now = humantime::parse_rfc3339("2026-11-22T00:00:00Z").unwrap();
        let judge = |body: &str| reporting(&text(body), now).outcome;
        let with = |expires: &str| {
            judge(&format!(
                "# x\nContact: mailto:s@r.invalid\nExpires: {expires}\n"
            ))
        };
        for valid in [
            "2027-01-01T00:00:00Z",
            "2027-01-01t00:00:00.000z",
            "2026-11-22T01:00:00+00:30",
        ] {
            assert_eq!(with(valid), Outcome::Supports, "{valid}");
        }
        for over in [
            "2026-11-21T00:00:00Z",
            "2026-11-22T00:30:00+01:00",
            "soon",
            "",
            "2027",
        ] {
            assert_eq!(with(over), Outcome::CannotTell, "{over}");
        }
        assert_eq!(judge("Contact: x\n"), Outcome::CannotTell);
        assert_eq!(judge("<html>Expires: never</html>"), Outcome::CannotTell);
        assert_eq!(reporting(&status(404), now).outcome, Outcome::CannotTell);
        assert_eq!(reporting(&status(403), now).outcome, Outcome::CannotTell);
    }

    #[test]
    fn who_asks_is_asked_for() {
        assert_eq!(authentication(&status(401)).outcome, Outcome::Supports);
        let challenged = ProbeAnswer {
            challenged: true,
            ..status(403)
        };
        assert_eq!(authentication(&challenged).outcome, Outcome::Supports);
        for silent in [status(403), status(404), status(200), failed("x")] {
            assert_eq!(authentication(&silent).outcome, Outcome::CannotTell);
        }
    }

    #[test]
    fn plaintext_is_refused_or_answered() {
        let tls = text("{\"db\":\"registry\"}");
        let judge = |plain: &ProbeAnswer, public| transport(plain, &tls, public).outcome;
        let closed = ProbeAnswer {
            closed: true,
            ..ProbeAnswer::default()
        };
        let moved = ProbeAnswer {
            location: "https://r.invalid/".into(),
            ..status(301)
        };
        for refusal in [
            &closed,
            &moved,
            &status(501),
            &status(426),
            &status(403),
            &status(204),
        ] {
            assert_eq!(judge(refusal, true), Outcome::Supports, "{refusal:?}");
            assert_eq!(judge(refusal, false), Outcome::CannotTell, "{refusal:?}");
        }
        let elsewhere = ProbeAnswer {
            location: "http://login.invalid/".into(),
            ..status(302)
        };
        let other = text("<html>log in</html>");
        for silent in [
            &elsewhere,
            &other,
            &status(404),
            &status(503),
            &failed("x"),
            &text(""),
        ] {
            assert_eq!(judge(silent, true), Outcome::CannotTell, "{silent:?}");
        }
        for public in [true, false] {
            assert_eq!(judge(&tls, public), Outcome::Contradicts);
        }
        assert_eq!(
            transport(&text("x"), &status(404), true).outcome,
            Outcome::CannotTell
        );
    }

    #[test]
    fn an_old_version_contradicts_and_its_refusal_completes() {
        let by = |outcome, older: &Result<Option<String>, String>| {
            versions(said(TRANSPORT, outcome, "x"), older).outcome
        };
        let taken = Ok(Some("TLS 1.1".to_owned()));
        for before in [Outcome::Supports, Outcome::CannotTell, Outcome::Contradicts] {
            assert_eq!(by(before, &taken), Outcome::Contradicts);
            assert_eq!(by(before, &Ok(None)), before);
        }
        let unclear = Err("late".to_owned());
        assert_eq!(by(Outcome::Supports, &unclear), Outcome::CannotTell);
        assert_eq!(by(Outcome::Contradicts, &unclear), Outcome::Contradicts);
    }

    #[test]
    fn a_channel_is_believed_after_it_named_the_canary() {
        let hit = vec!["minimist".to_owned()];
        let judge =
            |answer: &ProbeAnswer, issues: Option<&[String]>| canary(answer, "m@1", issues).outcome;
        assert_eq!(judge(&status(200), Some(&hit)), Outcome::Supports);
        assert_eq!(judge(&status(200), Some(&[])), Outcome::Contradicts);
        assert_eq!(judge(&status(200), None), Outcome::CannotTell);
        assert_eq!(judge(&status(404), None), Outcome::CannotTell);
        assert_eq!(judge(&status(405), None), Outcome::CannotTell);
        assert_eq!(judge(&failed("x"), None), Outcome::CannotTell);
    }
}
