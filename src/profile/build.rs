//! Approved builds: what the policy says of a component that may run code once, and the system calls that
//! such a run may make.
//!
//! An approval names a component by its package URL and by the digest of its artifact, the toolchain that it
//! may execute, and who answers for it until when. It counts on one platform where it says so. What the
//! sandbox of a build relaxes is data: `profiles/build.toml`, laid over the table of installs.
//! Whether an approval covers a component is asked here; nothing is run here.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use packageurl::PackageUrl;
use serde::Deserialize;
use toml::Spanned;

use super::approval::{Wrong, end_of, text};
use super::kernel::{self, Call};
use super::manager::Profile;
use crate::model::{Digest, Integrity, Limits};

/// The embedded profile, TOML.
pub const PROFILE: &str = include_str!("../../profiles/build.toml");

/// Largest value of a limit that is a mistake no more.
const LARGEST: u32 = 1 << 24;

/// Its name, beside those of managers.
pub const NAME: &str = "build";

/// The profile of builds; empty where it cannot be read, which the tests exclude.
pub fn profile() -> &'static Profile {
    static PARSED: OnceLock<Profile> = OnceLock::new();
    PARSED.get_or_init(|| Profile::parse(PROFILE).unwrap_or_default())
}

/// The table of system calls for builds.
pub fn calls() -> &'static [Call] {
    static TABLE: OnceLock<Vec<Call>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let rules = &profile().calls;
        let relaxed = kernel::all().map(|call| {
            let rule = rules
                .iter()
                .find(|rule| rule.names.iter().any(|name| name == call.name));
            let arms = rule.and_then(|rule| kernel::relaxation(&rule.rule));
            Call {
                arms: arms.unwrap_or(call.arms),
                ..*call
            }
        });
        relaxed.collect()
    })
}

/// This platform, as approvals name it: `linux-x86_64`.
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// A component that may run code once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Package URL.
    pub purl: String,
    /// Digest of the artifact.
    pub digest: Digest,
    /// Who answers for it.
    pub owner: String,
    /// Why it may run.
    pub reason: String,
    /// Last day, `YYYY-MM-DD`, in UTC.
    pub expires: String,
    /// The platform that it counts on; any where it names none.
    pub platform: Option<String>,
    /// Directories that programs may be executed from: absolute, or relative to the project.
    pub toolchain: Vec<PathBuf>,
    /// Directory with the headers that native modules are built against, in place of those found.
    pub headers: Option<PathBuf>,
    /// What the build requires, in the words of its ecosystem, in the place of what it says itself.
    pub requires: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// File and line, for messages.
    pub stated_in: String,
}

impl Build {
    /// Why the approval does not count for these bytes, here and now; `None` where it does.
    pub fn objection(&self, digest: Option<&Integrity>, now: SystemTime) -> Option<String> {
        if !digest.is_some_and(|integrity| integrity.accepts(&self.digest)) {
            let installed = digest.map_or("no digest".to_owned(), ToString::to_string);
            return Some(format!(
                "it was installed from {installed}, and {} approves {}",
                self.stated_in, self.digest
            ));
        }
        if end_of(&self.expires).is_none_or(|end| now > end) {
            return Some(format!(
                "the approval in {} was over on {}",
                self.stated_in, self.expires
            ));
        }
        let here = platform();
        let other = self.platform.as_ref().filter(|named| **named != here)?;
        Some(format!(
            "the approval in {} is for {other}, and this is {here}",
            self.stated_in
        ))
    }
}

/// One `[[builds]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawBuild {
    purl: Spanned<String>,
    pub(super) digest: Spanned<String>,
    owner: Spanned<String>,
    reason: Spanned<String>,
    expires: Spanned<String>,
    platform: Option<Spanned<String>>,
    toolchain: Spanned<Vec<String>>,
    headers: Option<Spanned<String>>,
    #[serde(default)]
    requires: Vec<String>,
    limits: Option<Spanned<RawLimits>>,
}

/// A `[builds.limits]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawLimits {
    seconds: Option<u32>,
    cpu_seconds: Option<u32>,
    memory_mib: Option<u32>,
    processes: Option<u32>,
    file_mib: Option<u32>,
    disk_mib: Option<u32>,
}

/// Reads one table.
pub(super) fn read(raw: &RawBuild, stated_in: String) -> Result<Build, Wrong> {
    fn wrong<T>(value: &Spanned<T>, message: &str) -> Wrong {
        Wrong {
            at: value.span().start,
            message: message.to_owned(),
        }
    }
    let purl: PackageUrl<'_> = raw
        .purl
        .get_ref()
        .parse()
        .map_err(|_invalid| wrong(&raw.purl, "`purl` is not a package URL"))?;
    if purl.version().is_none() {
        let message = "`purl` names no version: an approval is about one artifact";
        return Err(wrong(&raw.purl, message));
    }
    let message = "`digest` is one strong digest as in lockfiles: \"sha512-…\"";
    let digest = Integrity::parse(raw.digest.get_ref())
        .ok()
        .filter(|integrity| integrity.algorithm().is_strong() && integrity.deciding().count() == 1)
        .and_then(|integrity| integrity.deciding().next().cloned())
        .ok_or_else(|| wrong(&raw.digest, message))?;
    if end_of(raw.expires.get_ref()).is_none() {
        return Err(wrong(&raw.expires, "`expires` is a day, YYYY-MM-DD"));
    }
    let named = raw.platform.as_ref();
    if let Some(platform) = named.filter(|name| !name.get_ref().starts_with("linux-")) {
        let message = format!("`platform` is as in \"{}\"", self::platform());
        return Err(wrong(platform, &message));
    }
    let toolchain: Vec<PathBuf> = raw.toolchain.get_ref().iter().map(PathBuf::from).collect();
    let plain = |path: &PathBuf| {
        let mut parts = path.components();
        let climbs = parts.any(|part| matches!(part, Component::ParentDir | Component::CurDir));
        !climbs && path.components().count() > 1
    };
    if toolchain.is_empty() || !toolchain.iter().all(plain) {
        let message = "`toolchain` lists directories: absolute, or below the project";
        return Err(wrong(&raw.toolchain, message));
    }
    let headers = raw.headers.as_ref();
    if let Some(value) = headers.filter(|value| !Path::new(value.get_ref()).is_absolute()) {
        return Err(wrong(value, "`headers` is an absolute path"));
    }
    Ok(Build {
        purl: raw.purl.get_ref().clone(),
        digest,
        owner: text(&raw.owner, "owner")?,
        reason: text(&raw.reason, "reason")?,
        expires: raw.expires.get_ref().clone(),
        platform: named.map(|value| value.get_ref().clone()),
        toolchain,
        headers: headers.map(|value| PathBuf::from(value.get_ref())),
        requires: raw.requires.clone(),
        limits: match &raw.limits {
            Some(raw) => limits(raw)?,
            None => Limits::default(),
        },
        stated_in,
    })
}

fn limits(raw: &Spanned<RawLimits>) -> Result<Limits, Wrong> {
    let stated = raw.get_ref();
    let all = Limits::default();
    let read = Limits {
        seconds: stated.seconds.unwrap_or(all.seconds),
        cpu_seconds: stated.cpu_seconds.unwrap_or(all.cpu_seconds),
        memory: stated.memory_mib.unwrap_or(all.memory),
        processes: stated.processes.unwrap_or(all.processes),
        file: stated.file_mib.unwrap_or(all.file),
        disk: stated.disk_mib.unwrap_or(all.disk),
    };
    let values = [
        read.seconds,
        read.cpu_seconds,
        read.memory,
        read.processes,
        read.file,
        read.disk,
    ];
    if values.iter().all(|value| (1..=LARGEST).contains(value)) {
        return Ok(read);
    }
    Err(Wrong {
        at: raw.span().start,
        message: format!("a limit is between 1 and {LARGEST}"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::Policy;
    use super::super::kernel::{Judge, Rules, Verdict};
    use super::*;

    const DIGEST: &str = "sha256-q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";

    fn table(change: impl Fn(&str) -> String) -> String {
        let lines = [
            "[[builds]]".to_owned(),
            "purl = \"pkg:npm/native@1.0.0\"".to_owned(),
            format!("digest = \"{DIGEST}\""),
            "owner = \"build team\"".to_owned(),
            "reason = \"native module\"".to_owned(),
            "expires = \"2030-02-28\"".to_owned(),
            "toolchain = [\"/usr/bin\", \"node_modules/tool\"]".to_owned(),
            "platform = \"linux-riscv\"".to_owned(),
            "limits = { seconds = 60, memory-mib = 512 }".to_owned(),
        ];
        lines.map(|line| change(&line)).join("\n")
    }

    fn policy(text: &str, locked: bool) -> Result<Policy, String> {
        let directory = tempfile::tempdir().unwrap();
        let system = directory.path().join("system.toml");
        if locked {
            std::fs::write(&system, "lockdown = true\n").unwrap();
        }
        std::fs::write(directory.path().join("v4run.toml"), text).unwrap();
        Policy::load(None, directory.path(), &system).map_err(|finding| {
            let place = finding.subject.rsplit('/').next().unwrap().to_owned();
            format!("{place}: {}", finding.message)
        })
    }

    #[test]
    fn an_approval_counts_for_its_bytes_its_platform_and_its_days() {
        let read = policy(&table(str::to_owned), false).unwrap();
        let [build] = read.builds.as_slice() else {
            panic!("{read:?}")
        };
        assert_eq!((build.limits.seconds, build.limits.memory), (60, 512));
        assert_eq!(build.limits.processes, Limits::default().processes);
        assert!(build.stated_in.ends_with("v4run.toml:3"));
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let digest = Integrity::parse(DIGEST).unwrap();
        let here = Build {
            platform: Some(platform()),
            ..build.clone()
        };
        assert_eq!(here.objection(Some(&digest), now), None);
        let why = |build: &Build, digest, now| build.objection(digest, now).unwrap();
        assert!(why(build, Some(&digest), now).contains("is for linux-riscv"));
        assert!(why(&here, None, now).contains("no digest"));
        let other = Integrity::parse(&DIGEST.replace("q6ur", "AAAA")).unwrap();
        assert!(why(&here, Some(&other), now).contains("approves sha256-q6ur"));
        let late = UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        assert!(why(&here, Some(&digest), late).contains("over on 2030-02-28"));
    }

    #[test]
    fn what_says_nothing_is_refused_with_its_line() {
        for (key, value, line) in [
            ("purl", "\"native\"", 2),
            ("purl", "\"pkg:npm/native\"", 2),
            ("digest", "\"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=\"", 3),
            ("owner", "\" \"", 4),
            ("expires", "\"soon\"", 6),
            ("toolchain", "[]", 7),
            ("toolchain", "[\"/usr/../bin\"]", 7),
            ("toolchain", "[\"/\"]", 7),
            ("platform", "\"windows\"", 8),
            ("limits", "{ seconds = 0 }", 9),
            ("limits", "{ minutes = 1 }", 9),
        ] {
            let text = table(|old| match old.starts_with(key) {
                true => format!("{key} = {value}"),
                false => old.to_owned(),
            });
            let error = policy(&text, false).unwrap_err();
            assert!(
                error.starts_with(&format!("v4run.toml:{line}: ")),
                "{error}"
            );
        }
        for key in ["owner", "reason", "digest", "purl", "expires", "toolchain"] {
            let text = table(|old| match old.starts_with(key) {
                true => String::new(),
                false => old.to_owned(),
            });
            assert!(policy(&text, false).unwrap_err().contains(key), "{key}");
        }
    }

    #[test]
    fn a_lockdown_leaves_builds_to_the_machine() {
        let error = policy(&table(str::to_owned), true).unwrap_err();
        assert!(error.contains("locked down"), "{error}");
    }

    #[test]
    fn the_table_of_builds_differs_in_what_its_profile_names_and_in_nothing_else() {
        assert!(Profile::parse(PROFILE).is_ok());
        let named: Vec<&str> = profile()
            .calls
            .iter()
            .flat_map(|rule| rule.names.iter().map(String::as_str))
            .collect();
        for rule in &profile().calls {
            assert!(kernel::relaxation(&rule.rule).is_some(), "{}", rule.rule);
            assert!(rule.why.len() > 10);
        }
        let none = [0; 6];
        for (install, build) in Rules::Install.all().zip(Rules::Build.all()) {
            assert_eq!(install.name, build.name);
            if !named.contains(&install.name) {
                assert_eq!(
                    format!("{:?}", install.arms),
                    format!("{:?}", build.arms),
                    "{}",
                    install.name
                );
            }
        }
        let verdict = |name: &str| {
            let mut calls = calls().iter();
            calls
                .find(|call| call.name == name)
                .unwrap()
                .verdict(&none, 1)
        };
        assert_eq!(verdict("clone"), Some(Verdict::Judge(Judge::Process)));
        assert_eq!(verdict("vfork"), Some(Verdict::Judge(Judge::Process)));
        assert_eq!(verdict("connect"), Some(Verdict::Judge(Judge::Connect)));
        for name in ["socket", "bind", "listen", "accept", "ptrace", "unshare"] {
            let refused = matches!(verdict(name), Some(Verdict::Refuse(1 | 13, _)));
            assert!(refused, "{name}");
        }
    }
}
