//! What a policy states about repositories, and the gaps that it answers for.
//!
//! A statement (`[[facts]]`) has a repository, a control, a source and a day on which that was read; it
//! counts for at most [`LIFE`] days from then. An exception (`[[exceptions]]`) has an owner, a reason and
//! a last day, and covers one control that is not the client's own, or the age of one package. One whose
//! last day is over makes the policy invalid: whoever owns it has to look again. Both are read once and
//! shown in every output of a run that they touch.

use std::time::{Duration, SystemTime};

use toml::Spanned;
use url::Url;

use super::approval::{Wrong, end_of, text};
use super::raw::{RawException, RawFact};
use crate::model::{ControlId, Exception, Fact, Voucher};

/// Days that a statement counts from the day on which its source was read.
pub(super) const LIFE: u64 = 180;
/// Controls that are the client's own: v4run proves or refuses them, nobody answers for them instead.
pub const CLIENT: [u8; 5] = [13, 14, 16, 18, 19];

/// A statement of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedFact {
    /// Base address of the repository that it is about.
    pub repository: Url,
    /// The statement.
    pub fact: Fact,
}

/// A package that may be younger than the policy's minimum release age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeExemption {
    /// Its name, in the ecosystem's own form.
    pub package: String,
    /// Who answers for it, why, and until when.
    pub why: String,
}

/// What one `[[exceptions]]` table says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Excepted {
    /// A control.
    Control(Exception),
    /// The age of a package.
    Age(AgeExemption),
}

/// Reads one `[[facts]]` table.
pub(super) fn fact(raw: &RawFact, stated_in: String) -> Result<Fact, Wrong> {
    let checked = day(&raw.checked, "checked")?;
    let expires = match &raw.expires {
        Some(stated) => {
            let expires = day(stated, "expires")?;
            if days_between(&checked, &expires).is_none_or(|days| days > LIFE) {
                let message = format!(
                    "`expires` is a day from `checked` on, at most {LIFE} days later: what is known \
                     of a repository has to be looked at again"
                );
                return Err(wrong(stated, message));
            }
            expires
        }
        None => later(&checked, LIFE)
            .ok_or_else(|| wrong(&raw.checked, "`checked` is a day, YYYY-MM-DD".to_owned()))?,
    };
    if start_of(&checked)
        .is_none_or(|start| start > SystemTime::now() + Duration::from_secs(86_400))
    {
        let message = "`checked` is a day to come: a source was read on a day that is over";
        return Err(wrong(&raw.checked, message.to_owned()));
    }
    let compensated_by = raw.compensated_by.as_ref();
    Ok(Fact {
        control: control(&raw.control)?,
        holds: raw.holds,
        statement: text(&raw.statement, "statement")?,
        source: text(&raw.source, "source")?,
        checked,
        expires,
        compensated_by: compensated_by
            .map(|value| text(value, "compensated-by"))
            .transpose()?,
        voucher: Voucher::Policy,
        stated_in,
    })
}

/// Reads one `[[exceptions]]` table.
pub(super) fn exception(
    raw: &RawException,
    stated_in: String,
    now: SystemTime,
) -> Result<Excepted, Wrong> {
    let owner = text(&raw.owner, "owner")?;
    let reason = text(&raw.reason, "reason")?;
    let expires = day(&raw.expires, "expires")?;
    if end_of(&expires).is_none_or(|end| now > end) {
        let message = format!(
            "`expires` was {expires}: the exception of {owner} is over; renew it, or remove it"
        );
        return Err(wrong(&raw.expires, message));
    }
    match (&raw.control, &raw.package) {
        (Some(stated), None) => {
            let control = control(stated)?;
            if CLIENT.contains(&control.number()) {
                let message = format!(
                    "`control` {control} is the client's own: v4run proves it in each run, and no \
                     exception stands in for that; allowed are 4.1 to 4.12, 4.15 and 4.17"
                );
                return Err(wrong(stated, message));
            }
            Ok(Excepted::Control(Exception {
                control,
                owner,
                reason,
                expires,
                stated_in,
                at: humantime::format_rfc3339_seconds(now).to_string(),
            }))
        }
        (None, Some(package)) => Ok(Excepted::Age(AgeExemption {
            package: text(package, "package")?,
            why: format!("{owner}: {reason} ({stated_in}, until {expires})"),
        })),
        (Some(_), Some(_)) | (None, None) => {
            let message = "an exception has either `control` or `package`".to_owned();
            Err(wrong(&raw.owner, message))
        }
    }
}

/// A length of time of at least one day, as `7 days`.
pub(super) fn age(raw: &Spanned<String>) -> Result<Duration, Wrong> {
    let read = humantime::parse_duration(raw.get_ref()).ok();
    read.filter(|age| age.as_secs() >= 86_400 && age.as_secs() <= 86_400 * 3660)
        .ok_or_else(|| {
            let message = "`minimum-release-age` is a length of time from one day to ten years, as \
                           \"7 days\"";
            wrong(raw, message.to_owned())
        })
}

/// The last moment of a day.
pub(super) fn later(day: &str, days: u64) -> Option<String> {
    let moment = start_of(day)?.checked_add(Duration::from_secs(days.checked_mul(86_400)?))?;
    let text = humantime::format_rfc3339_seconds(moment).to_string();
    text.get(..10).map(str::to_owned)
}

/// Days from one day to another; none when the other is earlier.
pub(super) fn days_between(from: &str, to: &str) -> Option<u64> {
    let span = start_of(to)?.duration_since(start_of(from)?).ok()?;
    Some(span.as_secs() / 86_400)
}

fn start_of(day: &str) -> Option<SystemTime> {
    if day.len() != 10 {
        return None;
    }
    humantime::parse_rfc3339(&format!("{day}T00:00:00Z")).ok()
}

fn wrong<T>(value: &Spanned<T>, message: String) -> Wrong {
    Wrong {
        at: value.span().start,
        message,
    }
}

fn day(value: &Spanned<String>, key: &str) -> Result<String, Wrong> {
    match start_of(value.get_ref()) {
        Some(_) => Ok(value.get_ref().clone()),
        None => Err(wrong(value, format!("`{key}` is a day, YYYY-MM-DD"))),
    }
}

fn control(value: &Spanned<String>) -> Result<ControlId, Wrong> {
    let text = value.get_ref();
    ControlId::all()
        .find(|control| control.to_string() == *text)
        .ok_or_else(|| wrong(value, "`control` is one of \"4.1\" to \"4.19\"".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;

    fn policy(system: &str, text: &str) -> Result<Policy, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("v4run.toml"), text).unwrap();
        let machine = directory.path().join("system.toml");
        std::fs::write(&machine, system).unwrap();
        Policy::load(None, directory.path(), &machine).map_err(|finding| {
            let place = finding.subject.rsplit('/').next().unwrap().to_owned();
            format!("{place}: {}", finding.message)
        })
    }

    const FACT: &str = "[[facts]]\nrepository = 'https://r.invalid/npm'\ncontrol = '4.3'\nholds = true\n\
                        statement = 'single sign-on with a second factor'\n\
                        source = 'platform team, review of 2026-10'\nchecked = '2026-10-01'\n";
    const EXCEPTION: &str = "[[exceptions]]\ncontrol = '4.12'\nowner = 'security team'\n\
                             reason = 'digests are pinned'\nexpires = '2999-12-31'\n";

    /// One line of a table in other words.
    fn with(table: &str, key: &str, value: &str) -> String {
        let line = |old: &str| match old.starts_with(key) {
            true => format!("{key} = {value}"),
            false => old.to_owned(),
        };
        table.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn statements_have_a_source_and_an_end() {
        let read = policy("", FACT).unwrap();
        let stated = &read.facts[0];
        assert_eq!(stated.repository.as_str(), "https://r.invalid/npm/");
        assert_eq!(stated.fact.expires, "2027-03-30");
        assert_eq!(stated.fact.voucher, Voucher::Policy);
        assert!(stated.fact.stated_in.ends_with("v4run.toml:2"));
        let shorter = format!("{FACT}expires = '2026-10-31'\n");
        assert_eq!(
            policy("", &shorter).unwrap().facts[0].fact.expires,
            "2026-10-31"
        );
    }

    #[test]
    fn exceptions_cover_a_control_or_the_age_of_a_package() {
        let aged = with(EXCEPTION, "control", "'x'").replace("control", "package");
        let both = format!("{EXCEPTION}{}\n", with(EXCEPTION, "control", "'4.2'"));
        let read = policy("", &format!("minimum-release-age = '3 days'\n{both}{aged}")).unwrap();
        assert_eq!(
            read.minimum_release_age,
            Some(Duration::from_secs(3 * 86_400))
        );
        let controls: Vec<u8> = read
            .exceptions
            .iter()
            .map(|one| one.control.number())
            .collect();
        assert_eq!(controls, [12, 2]);
        assert_eq!(read.age_exemptions[0].package, "x");
        assert!(
            read.age_exemptions[0]
                .why
                .starts_with("security team: digests are pinned (")
        );
    }

    #[test]
    fn every_mistake_names_its_line_and_what_is_allowed() {
        for (text, expected) in [
            (
                with(FACT, "control", "'4.20'"),
                "v4run.toml:3: `control` is one of",
            ),
            (
                with(FACT, "checked", "'soon'"),
                "v4run.toml:7: `checked` is a day",
            ),
            (
                with(FACT, "checked", "'2999-01-01'"),
                "v4run.toml:7: `checked` is a day to come",
            ),
            (
                format!("{FACT}expires = '2028-01-01'\n"),
                "v4run.toml:8: `expires` is a day from",
            ),
            (
                format!("{FACT}expires = '2026-09-30'\n"),
                "v4run.toml:8: `expires` is a day from",
            ),
            (
                with(FACT, "source", "' '"),
                "v4run.toml:6: `source` is one line",
            ),
            (
                with(FACT, "holds", "'yes'"),
                "v4run.toml:4: invalid type: string",
            ),
            (
                with(FACT, "source", "''").replace("source = ''\n", ""),
                "missing field `source`",
            ),
            (
                with(EXCEPTION, "expires", "'2026-01-01'"),
                "v4run.toml:5: `expires` was 2026-01-01",
            ),
            (
                with(EXCEPTION, "expires", "'2026-02-30'"),
                "v4run.toml:5: `expires` is a day",
            ),
            (
                with(EXCEPTION, "control", "'4.13'"),
                "v4run.toml:2: `control` 4.13 is the client's",
            ),
            (
                with(EXCEPTION, "control", "'4.18'"),
                "allowed are 4.1 to 4.12, 4.15 and 4.17",
            ),
            (
                EXCEPTION
                    .replace("control", "package")
                    .replace("owner", "control = '4.2'\nowner"),
                "either `control` or `package`",
            ),
            (
                format!("{EXCEPTION}until = 'x'\n"),
                "v4run.toml:6: unknown field `until`, expected one of",
            ),
            (
                format!("{EXCEPTION}owner = 'x'\n"),
                "v4run.toml:6: duplicate key",
            ),
            (
                "minimum-release-age = '1h'\n".to_owned(),
                "v4run.toml:1: `minimum-release-age` is",
            ),
            (
                "minimum-release-age = 7\n".to_owned(),
                "v4run.toml:1: invalid type: integer",
            ),
            (
                "minimum-age = '7d'\n".to_owned(),
                "unknown field `minimum-age`, expected one of `repositories`",
            ),
            (
                "level = 'L1'\nlevel = 'L2'\n".to_owned(),
                "v4run.toml:2: duplicate key",
            ),
        ] {
            let error = policy("", &text).unwrap_err();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn a_lockdown_leaves_them_to_the_machine() {
        for text in [FACT, EXCEPTION] {
            assert!(policy(&format!("lockdown = true\n{text}"), "").is_ok());
            let error = policy("lockdown = true\n", text).unwrap_err();
            assert!(error.contains("locked down"), "{error}");
        }
        let system = "lockdown = true\nminimum-release-age = '7 days'\n";
        let longer = policy(system, "minimum-release-age = '10 days'\n").unwrap();
        assert_eq!(
            longer.minimum_release_age,
            Some(Duration::from_secs(864_000))
        );
        let shorter = policy(system, "minimum-release-age = '1 day'\n").unwrap();
        assert_eq!(
            shorter.minimum_release_age,
            Some(Duration::from_secs(604_800))
        );
    }
}
