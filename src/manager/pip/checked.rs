//! What the user of pip asked for, after every place that pip takes options from was judged.
//!
//! The border between the two halves of the driver: the reading half makes a [`Checked`], the
//! planning half turns it into a launch. Everything in it has passed the rules of the profile;
//! credentials stand apart from the text that pip will see. It decides nothing itself.

use std::path::PathBuf;

use url::Url;

use crate::model::{Credential, Digest, Event, Expected, Finding, Integrity, Secret};

/// Version of the pip that is going to run, as its package states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PipVersion {
    /// First number: the year of the release.
    pub(super) major: u16,
    /// Second number.
    pub(super) minor: u16,
}

impl PipVersion {
    /// A version by its two leading numbers.
    pub(super) const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Reads the leading numbers of a version text. `None` when there are none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.');
        let major = parts.next()?.parse().ok()?;
        let minor: String = parts
            .next()
            .unwrap_or("0")
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        Some(Self::new(major, minor.parse().ok()?))
    }
}

/// What pip is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `install`.
    Install,
    /// `download`.
    Download,
    /// `wheel`, which under v4run only collects wheels.
    Wheel,
    /// `uninstall`.
    Uninstall,
    /// `list`.
    List,
    /// `show`.
    Show,
    /// `check`.
    Check,
    /// `freeze`.
    Freeze,
    /// `inspect`.
    Inspect,
    /// `hash`.
    Hash,
    /// `index versions`.
    IndexVersions,
    /// `cache`, reading or emptying pip's own cache.
    Cache(CacheAction),
    /// `help`, `--help`, or no subcommand at all.
    Help,
    /// `--version`.
    Version,
}

/// What `pip cache` is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheAction {
    /// `dir`.
    Dir,
    /// `info`.
    Info,
    /// `list`.
    List,
    /// `remove`.
    Remove,
    /// `purge`.
    Purge,
}

impl Command {
    /// The words that pip is given: the subcommand and, for `index` and `cache`, its action. The
    /// action is a positional argument for pip, so that it stands first in [`Checked::arguments`]
    /// too and only the first word is to be used before them.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Download => "download",
            Self::Wheel => "wheel",
            Self::Uninstall => "uninstall",
            Self::List => "list",
            Self::Show => "show",
            Self::Check => "check",
            Self::Freeze => "freeze",
            Self::Inspect => "inspect",
            Self::Hash => "hash",
            Self::IndexVersions => "index",
            Self::Cache(_) => "cache",
            Self::Help => "help",
            Self::Version => "--version",
        }
    }

    /// Whether the command asks an index for packages.
    pub(super) const fn resolves(self) -> bool {
        match self {
            Self::Install | Self::Download | Self::Wheel => true,
            Self::Uninstall
            | Self::List
            | Self::Show
            | Self::Check
            | Self::Freeze
            | Self::Inspect
            | Self::Hash
            | Self::IndexVersions
            | Self::Cache(_)
            | Self::Help
            | Self::Version => false,
        }
    }
}

/// An index that pip is to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    /// Address without credentials, path with a final `/`.
    pub(super) url: Url,
    /// What the proxy presents there.
    pub(super) credential: Option<Credential>,
    /// Where it was configured, for messages.
    pub(super) configured_in: String,
    /// Whether the user or the policy named it, so that it may lie at a private address.
    pub(super) may_be_private: bool,
}

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    /// Normalized name.
    pub(super) name: String,
    /// Version specifier as text, empty when there is none.
    pub(super) specifier: String,
    /// Extras, normalized.
    pub(super) extras: Vec<String>,
    /// Environment marker as text.
    pub(super) marker: Option<String>,
    /// Digests that the line gives, weak ones left out.
    pub(super) hashes: Vec<Digest>,
    /// `requirements.txt:3`, or `command line`.
    pub(super) place: String,
    /// Whether it only limits what another requirement may choose.
    pub(super) constraint: bool,
}

/// Where the command puts things, as the user said it; relative to the working directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Destination {
    /// `--target`.
    pub(super) target: Option<PathBuf>,
    /// `--prefix`.
    pub(super) prefix: Option<PathBuf>,
    /// `--root`.
    pub(super) root: Option<PathBuf>,
    /// `--user`; `Some(false)` is `--no-user`.
    pub(super) user: Option<bool>,
    /// `--path` of the reading commands.
    pub(super) paths: Vec<PathBuf>,
    /// `download --dest`.
    pub(super) download: Option<PathBuf>,
    /// `wheel --wheel-dir`.
    pub(super) wheels: Option<PathBuf>,
    /// `--report`; `-` is standard output.
    pub(super) report: Option<PathBuf>,
    /// `--log`.
    pub(super) log: Option<PathBuf>,
    /// `--upgrade`.
    pub(super) upgrade: bool,
    /// `--dry-run`.
    pub(super) dry_run: bool,
    /// `--break-system-packages`.
    pub(super) break_system_packages: bool,
}

/// What the user asked for, after everything was read and judged.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    /// What pip is to do.
    pub(super) command: Command,
    /// pip's own command line after the subcommand: full option names only, configuration and
    /// environment folded in. The options of [`Destination`] except `--upgrade`, `--dry-run`,
    /// `--break-system-packages` and `--path`, and all of indexes and links, are left out.
    pub(super) arguments: Vec<String>,
    /// Effective indexes, the one of `--index-url` first. Empty with `--no-index`.
    pub(super) indexes: Vec<Index>,
    /// Repositories that the policy or the user allows beside them.
    pub(super) find_links: Vec<PathBuf>,
    /// Everything asked for.
    pub(super) requirements: Vec<Requirement>,
    /// Whether pip will demand a digest for everything.
    pub(super) hash_mode: bool,
    /// Digests known before the start.
    pub(super) expected: Vec<Expected>,
    /// Local wheels whose digest is known.
    pub(super) pinned: Vec<(PathBuf, Integrity)>,
    /// Files that pip itself must read.
    pub(super) reads: Vec<PathBuf>,
    /// Files that pip reads with another content than they have on disk: what v4run understood.
    pub(super) views: Vec<(PathBuf, Vec<u8>)>,
    /// Files for the private configuration directory: name and content.
    pub(super) generated: Vec<(String, Vec<u8>)>,
    /// Where things go.
    pub(super) destination: Destination,
    /// Whether pip itself is among what is asked for.
    pub(super) upgrades_pip: bool,
    /// Certificates of the user's own `cert`, PEM.
    pub(super) extra_anchors: Vec<String>,
    /// The user's own way out, with credentials if any.
    pub(super) upstream_proxy: Option<Secret>,
    /// Hosts that go without it.
    pub(super) no_proxy: String,
    /// Inputs that were read.
    pub(super) events: Vec<Event>,
    /// Notes.
    pub(super) findings: Vec<Finding>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        assert_eq!(PipVersion::parse("23.2.1"), Some(PipVersion::new(23, 2)));
        assert_eq!(PipVersion::parse("25.1rc1"), Some(PipVersion::new(25, 1)));
        assert_eq!(PipVersion::parse("26"), Some(PipVersion::new(26, 0)));
        assert_eq!(PipVersion::parse("new"), None);
        assert!(PipVersion::new(22, 2) < PipVersion::new(22, 10));
    }
}
