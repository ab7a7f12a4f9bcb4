//! Where a pip command writes outside its private directories.
//!
//! Installing changes one environment: packages, scripts and the data that packages bring. A virtual
//! environment is granted whole, because bare pip puts data files anywhere in it; of an installation
//! or the user's own directory only the usual places are. The running pip, the interpreter's names
//! and the environment's settings stay protected in it. Nothing of the project is granted but what
//! the user named as a destination.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::checked::{CacheAction, Checked, Command};
use super::scheme::{Install, LANDMARKS};
use super::target::Target;
use crate::manager::place::resolved;
use crate::manager::rules::Writes;
use crate::manager::{PrivateDirs, Promotion};

/// Places below the base of an installation that packages put files in.
const PARTS: &[&str] = &["bin", "include", "share", "etc", "man"];

/// The same for `--user`, whose base holds things of other programs as well.
const USER_PARTS: &[&str] = &[
    "bin",
    "include",
    "share/man",
    "share/doc",
    "share/jupyter",
    "share/applications",
    "share/icons",
    "etc/jupyter",
];

/// Where a command puts things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// What is granted.
    pub(super) writes: Writes,
    /// What of it the run must leave alone.
    pub(super) protected: Vec<OsString>,
    /// What is moved to its place after success.
    pub(super) promotions: Vec<Promotion>,
    /// Where packages are installed, if they are.
    pub(super) install: Option<Install>,
    /// pip's own options that say so.
    pub(super) options: Vec<String>,
}

/// What is needed to work it out.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) target: &'a Target,
    pub(super) checked: &'a Checked,
    pub(super) directory: &'a Path,
    pub(super) home: Option<&'a Path>,
    pub(super) private: &'a PrivateDirs,
    /// pip's cache of the caller.
    pub(super) cache: Option<&'a Path>,
}

impl Scene<'_> {
    /// Works it out.
    pub(super) fn places(&self) -> Places {
        let mut places = Places::default();
        let destination = &self.checked.destination;
        match self.checked.command {
            Command::Install => self.install(&mut places),
            Command::Uninstall => {
                if !self.is_refused_by_pip() {
                    let own = self.own(self.defaults_to_user());
                    self.grant(&mut places, own);
                }
            }
            Command::Download => self.collect("dest", destination.download.as_ref(), &mut places),
            Command::Wheel => self.collect("wheel-dir", destination.wheels.as_ref(), &mut places),
            Command::Cache(CacheAction::Remove | CacheAction::Purge) => {
                let cache = self.cache.filter(|cache| cache.is_dir());
                let cache = cache.map(|cache| (cache.to_path_buf(), "pip's cache"));
                places.writes.directories.extend(cache);
            }
            Command::List
            | Command::Show
            | Command::Check
            | Command::Freeze
            | Command::Inspect
            | Command::Hash
            | Command::IndexVersions
            | Command::Cache(CacheAction::Dir | CacheAction::Info | CacheAction::List)
            | Command::Help
            | Command::Version => {}
        }
        if let Some(log) = &destination.log {
            let path = self.directory.join(log);
            if path.parent().is_some_and(Path::is_dir) {
                places.options.push(format!("--log={}", path.display()));
                places.writes.files.push((path, Some(Vec::new())));
            }
        }
        canonical(&mut places.writes);
        places
    }

    /// Whether pip itself refuses to touch the environment, with a message of the distribution.
    fn is_refused_by_pip(&self) -> bool {
        let destination = &self.checked.destination;
        let elsewhere = destination.target.is_some()
            || destination.prefix.is_some()
            || destination.root.is_some();
        self.target.externally_managed && !destination.break_system_packages && !elsewhere
    }

    /// Whether pip goes to the user's own directory by itself, as it decides it.
    fn defaults_to_user(&self) -> bool {
        let destination = &self.checked.destination;
        match destination.user {
            Some(user) => user,
            None => {
                let user = &self.target.user;
                let writable = |place: &PathBuf| is_writable(place);
                !self.target.is_virtual()
                    && user.enabled
                    && !self.target.site_packages.iter().all(writable)
            }
        }
    }

    fn install(&self, places: &mut Places) {
        let destination = &self.checked.destination;
        let absolute = |path: &PathBuf| self.directory.join(path);
        let mut option = |name: &str, path: &Path| {
            places.options.push(format!("--{name}={}", path.display()));
        };
        let scheme = if let Some(target) = destination.target.as_ref().map(absolute) {
            option("target", &target);
            Install::flat(target)
        } else {
            let mut scheme = match destination.prefix.as_ref().map(absolute) {
                Some(prefix) => {
                    option("prefix", &prefix);
                    self.below(&prefix)
                }
                None => {
                    let user = self.defaults_to_user();
                    match destination.user {
                        Some(true) => places.options.push("--user".to_owned()),
                        Some(false) => places.options.push("--no-user".to_owned()),
                        None => {}
                    }
                    self.own(user)
                }
            };
            if let Some(root) = destination.root.as_ref().map(absolute) {
                places.options.push(format!("--root={}", root.display()));
                scheme = scheme.moved(&root);
            }
            scheme
        };
        if !destination.dry_run && !self.is_refused_by_pip() {
            self.grant(places, scheme);
        }
    }

    /// The scheme of the environment, or of `--user`.
    fn own(&self, user: bool) -> Install {
        let target = self.target;
        if user {
            return Install {
                packages: vec![target.user.site.clone()],
                ..self.below(&target.user.base)
            };
        }
        Install::of(target)
    }

    fn below(&self, base: &Path) -> Install {
        Install::below(self.target, base)
    }

    fn grant(&self, places: &mut Places, scheme: Install) {
        let why = "the environment that is installed into";
        let base = &scheme.base;
        let directories = &mut places.writes.directories;
        if self.is_whole(base) {
            directories.push((base.clone(), why));
        } else {
            let user = *base == self.target.user.base;
            let parts = if user { USER_PARTS } else { PARTS };
            // Where links of an installation or of a user's directory lead is their owner's choice;
            // an environment may lie in the project.
            let real = resolved(base);
            let chosen = user || (!self.target.is_virtual() && *base == self.target.data);
            let stays = |path: &PathBuf| chosen || resolved(path).starts_with(&real);
            let packages = scheme.packages.iter().filter(|path| stays(path));
            directories.extend(packages.map(|path| (path.clone(), why)));
            let parts = parts.iter().map(|part| base.join(part)).filter(stays);
            // What cannot be made is left out: a package that brings nothing for it needs none.
            let possible = parts.filter(|path| path.is_dir() || is_writable(path));
            directories.extend(possible.map(|path| (path, why)));
        }
        // A pip that is to be replaced runs from a copy.
        if !self.checked.upgrades_pip {
            places.protected.push(self.target.pip.clone().into());
        }
        places
            .protected
            .extend(self.names().into_iter().map(OsString::from));
        places.install = Some(scheme);
    }

    /// The interpreter's names and the environment's settings.
    fn names(&self) -> Vec<PathBuf> {
        let (major, minor) = self.target.python_version;
        let mut names = vec![
            self.target.prefix.join("pyvenv.cfg"),
            self.target.interpreter.clone(),
            self.target.executable.clone(),
        ];
        let programs = ["python".to_owned(), "python3".to_owned()];
        let programs = programs
            .into_iter()
            .chain([format!("python{major}.{minor}")]);
        names.extend(programs.map(|name| self.target.scripts.join(name)));
        names.retain(|path| std::fs::symlink_metadata(path).is_ok());
        // Made beside a program they would move its standard library.
        let beside = [
            Some(self.target.scripts.as_path()),
            self.target.interpreter.parent(),
        ];
        for place in beside.into_iter().flatten() {
            names.extend(LANDMARKS.map(|name| place.join(name)));
        }
        // The name itself, not what it leads to.
        let real = |path: PathBuf| match (path.parent().map(Path::canonicalize), path.file_name()) {
            (Some(Ok(parent)), Some(name)) => parent.join(name),
            _ => path,
        };
        let mut names: Vec<PathBuf> = names.into_iter().map(real).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether a directory may be granted whole: it is a virtual environment's own or one that the
    /// user named, and holds neither the project, nor a home, nor the interpreter's installation.
    fn is_whole(&self, base: &Path) -> bool {
        let target = self.target;
        let named = *base != target.user.base && *base != target.base_prefix;
        let real = base
            .canonicalize()
            .unwrap_or_else(|_new| base.to_path_buf());
        let holds = |path: &Path| path.starts_with(&real);
        named
            && real.parent().is_some()
            && (target.is_virtual() || *base != target.data)
            && !holds(self.directory)
            && !holds(&self.private.home)
            && !self.home.is_some_and(holds)
            && !holds(&target.library)
            && !holds(&target.interpreter)
    }

    /// Files that are collected: into the directory that was named, or by way of a private one where
    /// that is the working directory or holds it.
    fn collect(&self, option: &str, named: Option<&PathBuf>, places: &mut Places) {
        let to = self
            .directory
            .join(named.map_or(Path::new("."), PathBuf::as_path));
        let to = to.canonicalize().unwrap_or(to);
        let broad = self.directory.starts_with(&to) || self.private.home.starts_with(&to);
        let into = if broad {
            let from = self.private.tmp.join("collected");
            places.promotions.push(Promotion {
                from: from.clone(),
                to,
            });
            from
        } else {
            let why = "the directory that was named for the files";
            places.writes.directories.push((to.clone(), why));
            to
        };
        places
            .options
            .push(format!("--{option}={}", into.display()));
    }
}

/// Whether a directory can be written, or made: asked of the nearest one that exists.
fn is_writable(path: &Path) -> bool {
    let mut near = path.ancestors();
    near.find(|path| path.exists())
        .is_some_and(|path| access(path, AccessFlags::W_OK).is_ok())
}

/// Links resolved, as far as the paths exist, and each place once.
fn canonical(writes: &mut Writes) {
    for (path, _) in &mut writes.directories {
        *path = resolved(path);
    }
    for (path, _) in &mut writes.files {
        *path = resolved(path);
    }
    writes.directories.sort();
    writes
        .directories
        .dedup_by(|later, earlier| later.0 == earlier.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::pip::checked::Destination;
    use crate::manager::pip::target::UserSite;

    struct Layout {
        _guard: tempfile::TempDir,
        root: PathBuf,
        target: Target,
        private: PrivateDirs,
    }

    impl Layout {
        /// An environment in a project, based on an installation beside it.
        fn new() -> Self {
            let guard = tempfile::tempdir().unwrap();
            let root = guard.path().canonicalize().unwrap();
            let make = |path: &str| {
                let path = root.join(path);
                std::fs::create_dir_all(&path).unwrap();
                path
            };
            let prefix = make("project/.venv");
            let packages = make("project/.venv/lib/python3.11/site-packages");
            let scripts = make("project/.venv/bin");
            for name in ["python", "pip"] {
                std::fs::write(scripts.join(name), "").unwrap();
            }
            std::fs::write(prefix.join("pyvenv.cfg"), "").unwrap();
            let target = Target {
                interpreter: make("base/bin").join("python3.11"),
                executable: scripts.join("python"),
                base_prefix: root.join("base"),
                python_version: (3, 11),
                library: make("base/lib/python3.11"),
                site_packages: vec![packages.clone()],
                data: prefix.clone(),
                pip: packages.join("pip"),
                user: UserSite {
                    base: root.join("home/.local"),
                    site: root.join("home/.local/lib/python3.11/site-packages"),
                    enabled: false,
                },
                scripts,
                prefix,
                ..Target::default()
            };
            let private = PrivateDirs {
                home: make("run/home"),
                cache: make("run/cache"),
                tmp: make("run/tmp"),
                config: make("run/config"),
            };
            Self {
                _guard: guard,
                root,
                target,
                private,
            }
        }

        fn places(&self, command: Command, destination: Destination) -> Places {
            let checked = Checked {
                command,
                arguments: Vec::new(),
                indexes: Vec::new(),
                find_links: Vec::new(),
                own: Vec::new(),
                requirements: Vec::new(),
                hash_mode: false,
                expected: Vec::new(),
                pinned: Vec::new(),
                reads: Vec::new(),
                views: Vec::new(),
                generated: Vec::new(),
                destination,
                upgrades_pip: false,
                extra_anchors: Vec::new(),
                upstream_proxy: None,
                no_proxy: String::new(),
                events: Vec::new(),
                findings: Vec::new(),
            };
            Scene {
                target: &self.target,
                checked: &checked,
                directory: &self.root.join("project"),
                home: Some(&self.root.join("home")),
                private: &self.private,
                cache: None,
            }
            .places()
        }

        fn directories(&self, places: &Places) -> Vec<String> {
            let all = places.writes.directories.iter();
            all.map(|(path, _)| {
                let below = path.strip_prefix(&self.root).unwrap();
                below.to_string_lossy().into_owned()
            })
            .collect()
        }
    }

    #[test]
    fn an_environment_is_granted_and_the_project_is_not() {
        let layout = Layout::new();
        let places = layout.places(Command::Install, Destination::default());
        assert_eq!(layout.directories(&places), ["project/.venv"]);
        let protected: Vec<&Path> = places.protected.iter().map(Path::new).collect();
        assert!(protected.contains(&layout.target.pip.as_path()));
        assert!(protected.contains(&layout.target.prefix.join("pyvenv.cfg").as_path()));
        assert!(protected.contains(&layout.target.executable.as_path()));
        let words = places.install.unwrap().by_word();
        assert_eq!(words["purelib"], "lib/python3.11/site-packages");
        assert_eq!(
            (words["scripts"].as_str(), words["data"].as_str()),
            ("bin", "")
        );
        for command in [Command::List, Command::Show, Command::Freeze, Command::Hash] {
            let places = layout.places(command, Destination::default());
            assert_eq!(places, Places::default(), "{command:?}");
        }
    }

    #[test]
    fn an_installation_is_granted_in_parts() {
        let mut layout = Layout::new();
        let base = layout.root.join("base");
        layout.target.prefix.clone_from(&base);
        layout.target.data.clone_from(&base);
        layout.target.scripts = base.join("bin");
        layout.target.site_packages = vec![base.join("lib/python3.11/site-packages")];
        let places = layout.places(Command::Install, Destination::default());
        let directories = layout.directories(&places);
        assert!(directories.contains(&"base/lib/python3.11/site-packages".to_owned()));
        assert!(directories.contains(&"base/bin".to_owned()));
        assert!(!directories.contains(&"base".to_owned()), "{directories:?}");
        layout.target.externally_managed = true;
        let places = layout.places(Command::Install, Destination::default());
        assert_eq!(layout.directories(&places), [""; 0]);
        let broken = Destination {
            break_system_packages: true,
            ..Destination::default()
        };
        assert!(
            !layout
                .places(Command::Install, broken)
                .writes
                .directories
                .is_empty()
        );
    }

    #[test]
    fn named_destinations_are_granted_and_the_working_directory_is_not() {
        let layout = Layout::new();
        let of = |text: &str| Some(PathBuf::from(text));
        let target = Destination {
            target: of("tree"),
            ..Destination::default()
        };
        let places = layout.places(Command::Install, target);
        assert_eq!(layout.directories(&places), ["project/tree"]);
        assert_eq!(places.install.unwrap().by_word()["purelib"], "");
        let user = Destination {
            user: Some(true),
            ..Destination::default()
        };
        let places = layout.places(Command::Install, user);
        let directories = layout.directories(&places);
        assert!(directories.contains(&"home/.local/bin".to_owned()));
        assert!(!directories.iter().any(|path| path == "home/.local/share"));
        let here = layout.places(Command::Download, Destination::default());
        assert_eq!(layout.directories(&here), [""; 0]);
        assert_eq!(here.promotions[0].to, layout.root.join("project"));
        let named = Destination {
            download: of("wheels"),
            ..Destination::default()
        };
        let named = layout.places(Command::Download, named);
        assert_eq!(layout.directories(&named), ["project/wheels"]);
        let above = Destination {
            prefix: of(".."),
            ..Destination::default()
        };
        let places = layout.places(Command::Install, above);
        assert!(!layout.directories(&places).iter().any(String::is_empty));
    }
}
