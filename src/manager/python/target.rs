//! The environment that a pip run is about, as its layout on disk shows it.
//!
//! Second step of a run, after `find` named an interpreter: is it a virtual environment's or a whole
//! installation's, where do packages lie, which pip would be imported. It restates what CPython's
//! start-up and `site` would work out, without running them, because running them runs what lies in
//! the environment. What it finds is described, not judged, but for places that others may write.
//!
//! <https://docs.python.org/3/library/site.html>, PEP 405 (virtual environments), PEP 668.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::find::Found;
use crate::manager::elf;
use crate::manager::elf::Needs;
use crate::manager::place;
use crate::manager::version::text_of;
use crate::model::{Code, Finding};

/// Parts of the standard library that need system libraries, of those that pip uses.
const EXTENSIONS: &[&str] = &[
    "_ssl", "_hashlib", "_ctypes", "_bz2", "_lzma", "zlib", "pyexpat",
];

/// Version of the pip that is going to run, as its package states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::manager) struct PipVersion {
    /// First number: the year of the release.
    pub(in crate::manager) major: u16,
    /// Second number.
    pub(in crate::manager) minor: u16,
}

impl PipVersion {
    /// A version by its two leading numbers.
    pub(in crate::manager) const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Reads the leading numbers of a version text. `None` when there are none.
    pub(in crate::manager) fn parse(text: &str) -> Option<Self> {
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

/// Where `--user` puts things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct UserSite {
    /// Its base directory.
    pub(in crate::manager) base: PathBuf,
    /// Its package directory.
    pub(in crate::manager) site: PathBuf,
    /// Whether the environment looks there.
    pub(in crate::manager) enabled: bool,
}

/// The interpreter, the environment and its pip. Paths are canonical, except `executable`, `program`
/// and `prefix`, which are as pip will print them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct Target {
    /// The base interpreter's ELF.
    pub(in crate::manager) interpreter: PathBuf,
    /// What it needs to start.
    pub(in crate::manager) needs: Needs,
    /// The environment's own name for its interpreter: goes into the scripts that pip writes.
    pub(in crate::manager) executable: PathBuf,
    /// What pip is called by: the console script, or the package's `__main__.py`.
    pub(in crate::manager) program: PathBuf,
    /// The environment.
    pub(in crate::manager) prefix: PathBuf,
    /// The installation that it is based on; the same where there is no virtual environment.
    pub(in crate::manager) base_prefix: PathBuf,
    /// Python's version.
    pub(in crate::manager) python_version: (u8, u8),
    /// The same, in full where the environment states it.
    pub(in crate::manager) python: String,
    /// The standard library.
    pub(in crate::manager) library: PathBuf,
    /// Where packages are installed to, pure ones first.
    pub(in crate::manager) site_packages: Vec<PathBuf>,
    /// Where packages are looked for, in order: what `sys.path` would have after the library.
    pub(in crate::manager) search: Vec<PathBuf>,
    /// Where console scripts are put.
    pub(in crate::manager) scripts: PathBuf,
    /// Base of the other places that packages may put files in (`share`, `include`).
    pub(in crate::manager) data: PathBuf,
    /// pip's package directory.
    pub(in crate::manager) pip: PathBuf,
    /// pip's version as its package states it.
    pub(in crate::manager) pip_version: String,
    /// The environment's own configuration file, if there is one.
    pub(in crate::manager) site_config: Option<PathBuf>,
    /// Whether the installation belongs to the distribution's package manager (PEP 668).
    pub(in crate::manager) externally_managed: bool,
    /// `--user`.
    pub(in crate::manager) user: UserSite,
}

/// Keys of `pyvenv.cfg`, lower case.
type Settings = BTreeMap<String, String>;

impl Target {
    /// Looks at the environment of an interpreter, and for its pip.
    pub(in crate::manager) fn of(
        found: &Found,
        environment: &BTreeMap<OsString, OsString>,
        home: Option<&Path>,
    ) -> Result<Self, Finding> {
        let target = Self::bare(found, environment, home)?;
        let shown = target.executable.display().to_string();
        let pip = target
            .search
            .iter()
            .map(|place| place.join("pip"))
            .find(|pip| pip.join("__init__.py").is_file())
            .ok_or_else(|| no_pip(&shown, &target.prefix))?;
        if let Some(why) = place::open_to_others(&pip) {
            let message = format!("`{}` {why}", pip.display());
            return Err(Finding::new(Code::ManagerNotFound, shown, message));
        }
        let script = found.script.clone();
        Ok(Self {
            program: script.unwrap_or_else(|| pip.join("__main__.py")),
            pip_version: package_version(&pip).unwrap_or_default(),
            pip: pip.canonicalize().unwrap_or(pip),
            ..target
        })
    }

    /// Looks at the environment of an interpreter; which pip it has is left open.
    pub(in crate::manager) fn bare(
        found: &Found,
        environment: &BTreeMap<OsString, OsString>,
        home: Option<&Path>,
    ) -> Result<Self, Finding> {
        let shown = found.executable.display().to_string();
        let missing = |why: String| Finding::new(Code::ManagerNotFound, shown.clone(), why);
        let (prefix, settings) = environment_of(&found.executable);
        let (base, library, version) = library_of(&found.interpreter).ok_or_else(|| {
            missing("is a Python whose standard library v4run cannot find".to_owned())
        })?;
        let prefix = prefix.unwrap_or_else(|| base.clone());
        let own = settings.is_some();
        let folder = format!("python{}.{}", version.0, version.1);
        let flag = |key: &str| {
            let value = settings.as_ref().and_then(|settings| settings.get(key));
            value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        let distribution = is_distribution(&base, &folder);
        let user = user_site(
            environment,
            home,
            &folder,
            !own || flag("include-system-site-packages"),
        );
        let base_places = if distribution {
            distribution_places(&folder)
        } else {
            installed_places(&base, &folder)
        };
        let mut search = Vec::new();
        if own {
            search.extend(installed_places(&prefix, &folder));
        }
        if user.enabled {
            search.push(user.site.clone());
        }
        if !own || flag("include-system-site-packages") {
            search.extend(base_places.iter().cloned());
        }
        search.retain(|path| path.is_dir());
        let (site_packages, data) = match (own, distribution) {
            (true, _) => (installed_places(&prefix, &folder), prefix.clone()),
            (false, false) => (base_places, prefix.clone()),
            // Debian's `posix_local` scheme.
            (false, true) => {
                let local = PathBuf::from("/usr/local");
                let places = base_places.into_iter().take(1).collect();
                (places, local)
            }
        };
        let stated = ["version_info", "version"]
            .iter()
            .find_map(|key| settings.as_ref()?.get(*key));
        let mut needs = elf::needs(&found.interpreter)
            .map_err(|error| missing(format!("cannot be read as a program: {error}")))?;
        needs.libraries.extend(extensions(&library));
        Ok(Self {
            needs,
            interpreter: found.interpreter.clone(),
            executable: found.executable.clone(),
            python: stated.map_or_else(
                || version_of_folder(&base).unwrap_or(format!("{}.{}", version.0, version.1)),
                |text| short(text),
            ),
            python_version: version,
            externally_managed: !own && library.join("EXTERNALLY-MANAGED").is_file(),
            library,
            site_packages,
            search,
            scripts: data.join("bin"),
            data,
            site_config: Some(prefix.join("pip.conf")).filter(|path| path.is_file()),
            prefix,
            base_prefix: base,
            user,
            ..Self::default()
        })
    }

    /// Whether it is a virtual environment.
    pub(in crate::manager) fn is_virtual(&self) -> bool {
        self.prefix != self.base_prefix
    }

    /// pip's version by number.
    pub(in crate::manager) fn pip_number(&self) -> Result<PipVersion, Finding> {
        let oldest = PipVersion::new(22, 2);
        let message = match PipVersion::parse(&self.pip_version) {
            Some(version) if version >= oldest => return Ok(version),
            Some(_) => format!("is pip {}; v4run needs 22.2 or newer", self.pip_version),
            None => "does not state its version".to_owned(),
        };
        let hint = "upgrade it from a Python of your own: \
                    `python3 -m pip --python ENVIRONMENT install --upgrade pip`";
        let finding = Finding::new(
            Code::ManagerNotFound,
            self.pip.display().to_string(),
            message,
        );
        Err(finding.with_hint(hint))
    }
}

/// The virtual environment that an interpreter belongs to, with its settings, as CPython looks for
/// it: `pyvenv.cfg` beside the program or one level up.
fn environment_of(executable: &Path) -> (Option<PathBuf>, Option<Settings>) {
    let places = executable.ancestors().skip(1).take(2);
    for place in places {
        if let Some(text) = text_of(&place.join("pyvenv.cfg")) {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            let settings = lines
                .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            // The prefix is the directory above the program's, wherever the file lies.
            let prefix = executable.ancestors().nth(2).map(Path::to_path_buf);
            return (prefix, Some(settings));
        }
    }
    (None, None)
}

/// System libraries that parts of the standard library bring with them (`_ssl`, `zlib`, …).
fn extensions(library: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = std::fs::read_dir(library.join("lib-dynload")) else {
        return BTreeSet::new();
    };
    let wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        EXTENSIONS
            .iter()
            .any(|known| name.split('.').next() == Some(known))
    };
    let files = entries.flatten().take(1000).map(|entry| entry.path());
    let needs = files
        .filter(wanted)
        .filter_map(|path| elf::needs(&path).ok());
    needs.flat_map(|needs| needs.libraries).collect()
}

/// Prefix, standard library and version of an installation, from where its program lies.
fn library_of(interpreter: &Path) -> Option<(PathBuf, PathBuf, (u8, u8))> {
    let named = interpreter
        .file_name()
        .and_then(OsStr::to_str)
        .and_then(|name| numbers(name.strip_prefix("python")?));
    for base in interpreter.ancestors().skip(1) {
        for folder in ["lib", "lib64"] {
            let lib = base.join(folder);
            let mut versions: Vec<(u8, u8)> = match named {
                Some(version) => vec![version],
                None => versions_in(&lib),
            };
            versions.retain(|(major, minor)| {
                lib.join(format!("python{major}.{minor}/os.py")).is_file()
            });
            if let [(major, minor)] = versions[..] {
                let library = lib.join(format!("python{major}.{minor}"));
                let library = library.canonicalize().ok()?;
                return Some((base.to_path_buf(), library, (major, minor)));
            }
        }
    }
    None
}

fn versions_in(lib: &Path) -> Vec<(u8, u8)> {
    let Ok(entries) = std::fs::read_dir(lib) else {
        return Vec::new();
    };
    let names = entries.flatten().take(4096);
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| numbers(name.strip_prefix("python")?))
        .collect()
}

/// `3.11` of `3.11`; nothing for `3`, `3-config`, `3.11t`.
fn numbers(text: &str) -> Option<(u8, u8)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The first three numbers of `3.11.7.final.0`.
fn short(text: &str) -> String {
    let parts: Vec<&str> = text.split('.').take(3).collect();
    parts.join(".")
}

/// The version that a version manager named an installation after.
fn version_of_folder(base: &Path) -> Option<String> {
    let name = base.file_name()?.to_str()?;
    numbers(name.rsplit_once('.').map_or(name, |(front, _)| front))?;
    Some(name.to_owned())
}

/// Package directories of an environment or installation.
fn installed_places(prefix: &Path, folder: &str) -> Vec<PathBuf> {
    let place = |lib: &str| prefix.join(lib).join(folder).join("site-packages");
    let pure = place("lib");
    let native = place("lib64");
    let same = match (pure.canonicalize(), native.canonicalize()) {
        (Ok(pure), Ok(native)) => pure == native,
        (_, Err(_)) => true,
        (Err(_), Ok(_)) => false,
    };
    if same { vec![pure] } else { vec![pure, native] }
}

/// Whether packages lie where Debian puts them.
fn is_distribution(base: &Path, folder: &str) -> bool {
    base == Path::new("/usr")
        && Path::new("/usr/lib/python3/dist-packages").is_dir()
        && !base.join("lib").join(folder).join("site-packages").is_dir()
}

/// Debian's package directories, the one for local installs first.
fn distribution_places(folder: &str) -> Vec<PathBuf> {
    vec![
        PathBuf::from(format!("/usr/local/lib/{folder}/dist-packages")),
        PathBuf::from("/usr/lib/python3/dist-packages"),
        PathBuf::from(format!("/usr/lib/{folder}/dist-packages")),
    ]
}

fn user_site(
    environment: &BTreeMap<OsString, OsString>,
    home: Option<&Path>,
    folder: &str,
    visible: bool,
) -> UserSite {
    let stated = |name: &str| {
        let value = environment.get(OsStr::new(name));
        value.filter(|value| !value.is_empty())
    };
    let base = stated("PYTHONUSERBASE")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(home?.join(".local")));
    let Some(base) = base else {
        return UserSite::default();
    };
    UserSite {
        site: base.join("lib").join(folder).join("site-packages"),
        base,
        enabled: visible && stated("PYTHONNOUSERSITE").is_none(),
    }
}

/// `__version__` of a package, which is one plain assignment in pip.
fn package_version(package: &Path) -> Option<String> {
    let text = text_of(&package.join("__init__.py"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("__version__")?.trim().strip_prefix('='))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned())
}

fn no_pip(executable: &str, prefix: &Path) -> Finding {
    let message = format!("no pip in the environment `{}`", prefix.display());
    let hint = format!("put one there: `{executable} -m ensurepip`");
    Finding::new(Code::ManagerNotFound, "pip", message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An installation with a copy of this test as its interpreter, and an environment of it.
    struct Layout {
        _guard: tempfile::TempDir,
        root: PathBuf,
    }

    impl Layout {
        fn new() -> Self {
            let guard = tempfile::tempdir().unwrap();
            let root = guard.path().canonicalize().unwrap();
            let layout = Self {
                _guard: guard,
                root,
            };
            layout.write("base/lib/python3.11/os.py", "");
            layout.write("base/bin/python3.11", "");
            std::fs::copy(
                std::env::current_exe().unwrap(),
                layout.root.join("base/bin/python3.11"),
            )
            .unwrap();
            layout
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn pip(&self, packages: &str) {
            self.write(
                &format!("{packages}/pip/__init__.py"),
                "from x import y\n\n__version__ = \"23.2.1\"\n",
            );
        }

        fn of(&self, executable: &str) -> Result<Target, Finding> {
            let found = Found {
                interpreter: self.root.join("base/bin/python3.11"),
                executable: self.root.join(executable),
                script: None,
            };
            Target::of(&found, &BTreeMap::new(), Some(&self.root.join("home")))
        }
    }

    #[test]
    fn an_environment_is_told_from_its_base() {
        let layout = Layout::new();
        layout.pip("base/lib/python3.11/site-packages");
        layout.pip("env/lib/python3.11/site-packages");
        layout.write("env/bin/python", "");
        layout.write("env/pyvenv.cfg", "home = /elsewhere\nversion = 3.11.7\n");
        let base = layout.of("base/bin/python3.11").unwrap();
        assert!(!base.is_virtual() && base.user.enabled);
        assert_eq!(base.scripts, layout.root.join("base/bin"));
        let own = layout.of("env/bin/python").unwrap();
        assert!(own.is_virtual() && !own.user.enabled);
        assert_eq!(own.python, "3.11.7");
        assert_eq!(own.prefix, layout.root.join("env"));
        assert_eq!(own.base_prefix, layout.root.join("base"));
        let packages = layout.root.join("env/lib/python3.11/site-packages");
        assert_eq!(own.site_packages, std::slice::from_ref(&packages));
        assert_eq!(own.search, [packages]);
        assert_eq!(own.pip_number().unwrap(), PipVersion::new(23, 2));
        // What the settings call home has no say in where the library is.
        assert_eq!(own.library, layout.root.join("base/lib/python3.11"));
    }

    #[test]
    fn packages_of_the_base_are_seen_where_the_settings_say_so() {
        let layout = Layout::new();
        layout.pip("base/lib/python3.11/site-packages");
        layout.write("env/bin/python", "");
        layout.write("env/lib/python3.11/site-packages/x.py", "");
        layout.write("env/pyvenv.cfg", "include-system-site-packages = True\n");
        let target = layout.of("env/bin/python").unwrap();
        assert_eq!(target.search.len(), 2);
        assert!(target.user.enabled);
        assert!(target.pip.starts_with(layout.root.join("base")));
    }

    #[test]
    fn a_missing_or_an_old_pip_is_named() {
        let layout = Layout::new();
        let finding = layout.of("base/bin/python3.11").unwrap_err();
        assert_eq!(finding.code, Code::ManagerNotFound);
        assert!(finding.hint.unwrap().contains("ensurepip"));
        layout.write(
            "base/lib/python3.11/site-packages/pip/__init__.py",
            "__version__ = '20.3'\n",
        );
        let target = layout.of("base/bin/python3.11").unwrap();
        assert!(target.pip_number().unwrap_err().message.contains("20.3"));
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert_eq!(PipVersion::parse("23.2.1"), Some(PipVersion::new(23, 2)));
        assert_eq!(PipVersion::parse("25.1rc1"), Some(PipVersion::new(25, 1)));
        assert_eq!(PipVersion::parse("26"), Some(PipVersion::new(26, 0)));
        assert_eq!(PipVersion::parse("new"), None);
        assert!(PipVersion::new(22, 2) < PipVersion::new(22, 10));
    }
}
