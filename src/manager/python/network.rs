//! What the proxy may do for a pip run: its indexes, and where the files of wheels go.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::asked::Index;
use super::distribution;
use super::scheme::{Install, LANDMARKS};
use super::target::Target;
use crate::manager::{ALL, Request};
use crate::model::python;
use crate::model::{Code, Finding, Layout, Occupied, Pin, Repository};
use crate::profile::{NamePin, Programs};

/// Entries of a directory that are looked at.
const MANY: usize = 16_384;

/// The indexes as the proxy will allow them.
pub(in crate::manager) fn repositories(
    indexes: &[Index],
    request: &Request<'_>,
) -> Vec<Repository> {
    let policy = &request.policy.repositories;
    let mut found: Vec<Repository> = Vec::new();
    for (number, index) in indexes.iter().enumerate() {
        let allowed = policy.iter().find(|allowed| allowed.url == index.url);
        let origin = allowed.and_then(|allowed| allowed.origin.clone());
        let id = match number {
            0 => "index".to_owned(),
            more => format!("index-{}", more + 1),
        };
        if found.iter().all(|known| known.base != index.url) {
            found.push(Repository {
                id,
                base: index.url.clone(),
                origin: origin.unwrap_or_else(|| index.url.clone()),
                configured_in: index.configured_in.clone(),
                may_be_private: index.may_be_private,
                credential: index.credential.clone(),
            });
        }
    }
    found
}

/// The policy's pins in the words of this run. A pin to a repository that the run has not keeps its
/// address, so that nothing else speaks for the name. What the machine pins, a project cannot move.
pub(in crate::manager) fn pins(
    stated: &[NamePin],
    repositories: &[Repository],
) -> Result<Vec<Pin>, Finding> {
    let mut pins: Vec<Pin> = Vec::new();
    let mut binding: Vec<Pin> = Vec::new();
    for one in stated {
        let wrong = |message: String| Finding::new(Code::PolicyInvalid, &one.stated_in, message);
        let name = pinned_name(one)
            .ok_or_else(|| wrong(format!("pins what is no name of a package: {}", one.name)))?;
        let own = repositories
            .iter()
            .find(|known| known.base == one.repository || known.origin == one.repository);
        let pin = Pin {
            name,
            repository: own.map_or_else(|| one.repository.to_string(), |own| own.id.clone()),
            stated_in: one.stated_in.clone(),
        };
        let covers = |known: &&Pin| match known.name.strip_suffix('*') {
            Some(beginning) => pin.name.starts_with(beginning),
            None => known.name == pin.name,
        };
        if one.system {
            binding.push(pin.clone());
        } else if let Some(known) = binding.iter().find(covers)
            && known.repository != pin.repository
        {
            return Err(wrong(format!(
                "pins `{}`, which belongs to {} by the machine's policy ({})",
                pin.name, known.repository, known.stated_in
            )));
        }
        pins.push(pin);
    }
    Ok(pins)
}

/// The normalized name, or the beginning of one with a star.
fn pinned_name(pin: &NamePin) -> Option<String> {
    if !pin.prefix {
        return python::normalize_name(&pin.name);
    }
    // A beginning may end in what no name ends in.
    let whole = python::normalize_name(&format!("{}a", pin.name))?;
    Some(format!("{}*", whole.strip_suffix('a')?))
}

/// Where the parts of a wheel go, and what is there already.
pub(in crate::manager) fn layout(
    target: &Target,
    install: &Install,
    programs: &Programs,
) -> Layout {
    let relative = |path: &Path| {
        let path = path.strip_prefix(&install.base).ok()?;
        path.to_str().map(str::to_owned)
    };
    let mut occupied = Vec::new();
    for place in &install.packages {
        let (found, _) = distribution::read(place, true);
        for distribution in found {
            for entry in distribution.files.into_iter().flatten() {
                let compiled = entry.path.extension() == Some(OsStr::new("pyc"));
                if let Some(path) = relative(&entry.path).filter(|_| !compiled) {
                    occupied.push(Occupied {
                        path,
                        owner: distribution.name.clone(),
                        digest: entry.digest,
                    });
                }
            }
        }
    }
    let (major, minor) = target.python_version;
    let own = [
        target.prefix.join("pyvenv.cfg"),
        target.scripts.join("python"),
        target.scripts.join("python3"),
        target.scripts.join(format!("python{major}.{minor}")),
    ];
    let mut own: Vec<PathBuf> = own.into_iter().filter(|path| path.exists()).collect();
    let beside = [Some(target.scripts.as_path()), target.interpreter.parent()];
    let beside = beside
        .into_iter()
        .flatten()
        .chain([install.scripts.as_path()]);
    own.extend(beside.flat_map(|place| LANDMARKS.map(|name| place.join(name))));
    own.extend(activation(&install.scripts));
    occupied.extend(
        own.iter()
            .filter_map(|path| relative(path))
            .map(|path| Occupied {
                path,
                owner: String::new(),
                digest: None,
            }),
    );
    // A file that is added there counts for the next start of pip as much as one that is changed;
    // also where pip is not yet, or another manager installs.
    let places = install.packages.iter().map(|place| place.join("pip"));
    let pip = places.chain(Some(target.pip.clone()));
    let pip: BTreeSet<String> = pip.filter_map(|path| relative(&path)).collect();
    let pip = pip.into_iter().map(|path| (path, "pip".to_owned()));
    let managers = ALL.iter().flat_map(|manager| {
        // Installers also make one with the interpreter's version at its end.
        let names = manager.programs().iter();
        let names = names.flat_map(|name| [(*name).to_owned(), format!("{name}{major}.{minor}")]);
        names.map(|name| (install.scripts.join(name), manager.name()))
    });
    let managers = managers.filter_map(|(path, owner)| Some((relative(&path)?, owner.to_owned())));
    let other = second_names(install).into_iter();
    let other = other.map(|name| (name, String::new()));
    Layout {
        places: install.by_word(),
        occupied,
        // Where the environment is active, its managers would be those of the next run.
        reserved: pip.chain(managers).chain(other).collect(),
        programs: programs.names.clone(),
        fitting: fitting(target),
        room: install.packages.first().and_then(|place| room(place)),
    }
}

/// Names of wheels that suit the interpreter, in the order in which pip prefers them (PEP 425): its own
/// binary interface, the stable one of it and of older versions, none, and the same for any platform.
fn fitting(target: &Target) -> Vec<String> {
    let (major, minor) = target.python_version;
    let own = format!("cp{major}{minor}");
    let loader = target.needs.interpreter.as_deref().unwrap_or(Path::new(""));
    let musl = loader.to_string_lossy().contains("musl");
    let libc = if musl { "musllinux" } else { "manylinux" };
    let native = format!("*{libc}*_{}*.whl", std::env::consts::ARCH);
    let stable = (2..=minor)
        .rev()
        .map(|minor| format!("cp{major}{minor}-abi3"));
    let generic = [format!("{own}-none"), format!("*py{major}-none")];
    let mut patterns = vec![format!("*-{own}-{own}-{native}")];
    patterns.extend(stable.map(|tags| format!("*-{tags}-{native}")));
    patterns.extend(generic.iter().map(|tags| format!("*-{tags}-{native}")));
    patterns.extend(generic.iter().map(|tags| format!("*-{tags}-any.whl")));
    patterns
}

/// Bytes that an ordinary user may still write where a directory lies, or is to be made.
fn room(place: &Path) -> Option<u64> {
    let there = place.ancestors().find(|place| place.exists())?;
    let state = statvfs(there).ok()?;
    Some(
        state
            .blocks_available()
            .saturating_mul(state.fragment_size()),
    )
}

/// Scripts that a shell reads to enter the environment. No package owns them.
fn activation(scripts: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scripts).into_iter().flatten().flatten();
    let named = entries.take(MANY).filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy()
            .to_lowercase()
            .starts_with("activate")
    });
    named.map(|entry| entry.path()).collect()
}

/// Links beside the library that lead to it (`lib64`): by them a file would have two paths.
fn second_names(install: &Install) -> Vec<String> {
    let places = install.packages.iter();
    let places: Vec<PathBuf> = places.filter_map(|path| path.canonicalize().ok()).collect();
    let entries = std::fs::read_dir(&install.base)
        .into_iter()
        .flatten()
        .flatten();
    let links = entries
        .take(MANY)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    let leading = links.filter(|entry| {
        let real = entry.path().canonicalize();
        real.is_ok_and(|real| places.iter().any(|place| place.starts_with(&real)))
    });
    let names = leading.filter_map(|entry| entry.file_name().into_string().ok());
    let first = |name: &String| {
        let used = install.by_word();
        let mut used = used.values();
        // Where packages go by that very name it is the first.
        used.all(|place| {
            Path::new(place).components().next() != Path::new(name).components().next()
        })
    };
    names.filter(first).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use url::Url;

    use super::*;

    #[test]
    fn wheels_are_preferred_as_pip_prefers_them() {
        let target = Target {
            python_version: (3, 11),
            ..Target::default()
        };
        let arch = std::env::consts::ARCH;
        let better_first = [
            format!("a-1-cp311-cp311-manylinux_2_17_{arch}.manylinux2014_{arch}.whl"),
            format!("a-1-cp39-abi3-manylinux_2_28_{arch}.whl"),
            format!("a-1-cp37-abi3-manylinux_2_28_{arch}.whl"),
            format!("a-1-py3-none-manylinux1_{arch}.whl"),
            "a-1-py2.py3-none-any.whl".to_owned(),
        ];
        let patterns = fitting(&target);
        let rank = |file: &str| {
            let fits = |pattern: &String| globset::Glob::new(pattern).unwrap().compile_matcher();
            patterns
                .iter()
                .position(|pattern| fits(pattern).is_match(file))
        };
        let ranks: Vec<_> = better_first.iter().map(|file| rank(file)).collect();
        assert!(
            ranks.iter().all(Option::is_some) && ranks.is_sorted(),
            "{ranks:?}"
        );
        for foreign in [
            format!("a-1-cp312-cp312-manylinux_2_17_{arch}.whl"),
            format!("a-1-cp311-cp311-musllinux_1_2_{arch}.whl"),
            "a-1-cp311-cp311-win_amd64.whl".to_owned(),
            "a-1-cp312-abi3-manylinux_2_17_riscv64.whl".to_owned(),
            "a-1-py2-none-any.whl".to_owned(),
        ] {
            assert_eq!(rank(&foreign), None, "{foreign}");
        }
    }

    #[test]
    fn pins_are_told_in_the_run_s_own_words() {
        let url = |text: &str| Url::parse(text).unwrap();
        let stated = |name: &str, prefix: bool, repository: &str| NamePin {
            name: name.to_owned(),
            prefix,
            repository: url(repository),
            system: false,
            stated_in: "v4run.toml:2".to_owned(),
        };
        let repositories = [Repository {
            id: "index-2".to_owned(),
            base: url("https://mirror.invalid/simple/"),
            origin: url("https://origin.invalid/simple/"),
            configured_in: String::new(),
            may_be_private: true,
            credential: None,
        }];
        let told = |pin: NamePin| {
            let pin = pins(&[pin], &repositories).map(|mut pins| pins.remove(0));
            pin.map(|pin| (pin.name, pin.repository))
        };
        for (name, prefix, repository, expected) in [
            (
                "Left_Pad",
                false,
                "https://mirror.invalid/simple/",
                ("left-pad", "index-2"),
            ),
            (
                "Team.",
                true,
                "https://origin.invalid/simple/",
                ("team-*", "index-2"),
            ),
            (
                "te",
                true,
                "https://other.invalid/",
                ("te*", "https://other.invalid/"),
            ),
        ] {
            let (name, repository) = told(stated(name, prefix, repository)).unwrap();
            assert_eq!((name.as_str(), repository.as_str()), expected);
        }
        // The machine's word stands, however a project spells the name.
        let machine = NamePin {
            system: true,
            ..stated("team-", true, "https://mirror.invalid/simple/")
        };
        for (name, prefix, repository, fits) in [
            ("Team_core", false, "https://other.invalid/", false),
            ("team.c", true, "https://other.invalid/", false),
            ("team-core", false, "https://mirror.invalid/simple/", true),
            ("te", true, "https://other.invalid/", true),
        ] {
            let both = [machine.clone(), stated(name, prefix, repository)];
            assert_eq!(pins(&both, &repositories).is_ok(), fits, "{name}");
        }
        for (name, prefix) in [("l\u{e9}ft", false), ("left-", false), ("-left", true)] {
            let finding = told(stated(name, prefix, "https://other.invalid/")).unwrap_err();
            assert_eq!(finding.code, Code::PolicyInvalid);
        }
    }

    #[test]
    fn what_no_package_owns_belongs_to_the_environment() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let base = root.join("venv");
        let packages = base.join("lib/python3.11/site-packages");
        std::fs::create_dir_all(packages.join("pip")).unwrap();
        std::fs::create_dir_all(base.join("bin")).unwrap();
        symlink("lib", base.join("lib64")).unwrap();
        symlink("/", base.join("root")).unwrap();
        symlink("bin", base.join("scripts")).unwrap();
        for name in ["activate", "Activate.ps1", "tool"] {
            std::fs::write(base.join("bin").join(name), "").unwrap();
        }
        let install = Install {
            packages: vec![packages.clone()],
            scripts: base.join("bin"),
            headers: base.join("include"),
            data: base.clone(),
            base: base.clone(),
        };
        let target = Target {
            prefix: base.clone(),
            scripts: base.join("bin"),
            interpreter: root.join("base/bin/python3.11"),
            // Not known yet to a manager that is not pip: reserved all the same.
            pip: PathBuf::new(),
            python_version: (3, 11),
            ..Target::default()
        };
        let layout = layout(&target, &install, &Programs::default());
        let mut own: Vec<&str> = layout
            .occupied
            .iter()
            .map(|one| one.path.as_str())
            .collect();
        own.sort_unstable();
        own.dedup();
        assert_eq!(
            own,
            [
                "bin/Activate.ps1",
                "bin/activate",
                "bin/pybuilddir.txt",
                "bin/pyvenv.cfg"
            ]
        );
        let mut reserved = layout.reserved;
        reserved.sort();
        assert_eq!(
            reserved,
            [
                ("bin/pip".to_owned(), "pip".to_owned()),
                ("bin/pip3".to_owned(), "pip".to_owned()),
                ("bin/pip3.11".to_owned(), "pip".to_owned()),
                ("bin/pip33.11".to_owned(), "pip".to_owned()),
                ("bin/uv".to_owned(), "uv".to_owned()),
                ("bin/uv3.11".to_owned(), "uv".to_owned()),
                ("bin/uvx".to_owned(), "uv".to_owned()),
                ("bin/uvx3.11".to_owned(), "uv".to_owned()),
                (
                    "lib/python3.11/site-packages/pip".to_owned(),
                    "pip".to_owned()
                ),
                ("lib64".to_owned(), String::new()),
                ("root".to_owned(), String::new()),
            ]
        );
    }
}
