//! What the user of pip asked for, after every place that pip takes options from was judged.
//!
//! The border between the two halves of the driver: the reading half makes a [`Checked`], the
//! planning half turns it into a launch. Everything in it has passed the rules of the profile;
//! credentials stand apart from the text that pip will see. It decides nothing itself.

use std::path::PathBuf;

use super::asked::{Index, Requirement};
use crate::model::{Event, Expected, Finding, Integrity, Secret};

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
    /// Directories of the project that are to be built: whether in place.
    pub(super) own: Vec<(PathBuf, bool)>,
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
