//! Finds Maven's home and the JDK, without running anything.
//!
//! First step of a run. `mvn` is a shell script in the `bin` folder of Maven's home, reached through
//! links of the distribution, of SDKMAN or of a version manager; where PATH has none, the Maven
//! wrapper's already downloaded distribution counts. The script itself is never started: it sources
//! shell files of the user and of the machine. `JAVA_HOME` and PATH say where a JDK is looked for.
//! What a project or another user can write is no Maven and no JDK: such candidates are passed over
//! and named.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::jar;
use crate::manager::elf::{self, Needs};
use crate::manager::place;
use crate::manager::read;
use crate::manager::version::{choose, installed};
use crate::model::{Code, Finding};

/// Entries of a folder that are looked at.
const MANY: usize = 4096;

/// Maven and the JDK that runs it. Paths are canonical.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runtime {
    /// Maven's home.
    pub(super) home: PathBuf,
    /// Maven's version, as its own jar states it.
    pub(super) version: String,
    /// The jar that starts it.
    pub(super) classworlds: PathBuf,
    /// The address of the repository that Maven uses without configuration.
    pub(super) central: Option<String>,
    /// The JDK's home.
    pub(super) jdk: PathBuf,
    /// `java`'s ELF.
    pub(super) java: PathBuf,
    /// Its version, where its installation states it.
    pub(super) java_version: Option<String>,
    /// What it needs to start.
    pub(super) needs: Needs,
}

impl Runtime {
    /// Major and minor version of Maven.
    pub(super) fn number(&self) -> (u32, u32) {
        let mut parts = self.version.split(['.', '-']).map(|part| part.parse().ok());
        let mut next = || parts.next().flatten().unwrap_or(0);
        (next(), next())
    }

    /// Everything that Maven and the JDK consist of: both homes, and what links in them lead to.
    pub(super) fn parts(&self) -> Vec<PathBuf> {
        let mut parts = BTreeSet::from([self.home.clone(), self.jdk.clone()]);
        for folder in [&self.home, &self.jdk] {
            leads(folder, 4, &mut parts);
        }
        parts.into_iter().collect()
    }
}

/// Where the links of a folder lead to.
fn leads(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.take(MANY) {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if kind.is_symlink() {
            let Ok(real) = path.canonicalize() else {
                continue;
            };
            // Documentation and sources are links too, and lead to nothing that runs.
            let wanted = real.is_file() || real.starts_with("/etc");
            if wanted && found.len() < MANY && found.insert(real.clone()) && real.is_dir() {
                leads(&real, depth.saturating_sub(1), found);
            }
            // A jar names others beside it in its manifest.
            let beside = real.parent().filter(|_| is_jar(&real));
            if let Some(beside) = beside.filter(|place| place::open_to_others(place).is_none()) {
                found.insert(beside.to_path_buf());
            }
        } else if kind.is_dir() && depth > 0 {
            leads(&path, depth - 1, found);
        }
    }
}

fn is_jar(path: &Path) -> bool {
    path.extension().is_some_and(|name| name == "jar")
}

/// Where to look.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// The word of the command line: a name or a path.
    pub(super) word: &'a OsStr,
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    pub(super) directory: &'a Path,
    pub(super) project: &'a Path,
    pub(super) home: Option<&'a Path>,
    pub(super) pinned: Option<&'a Path>,
}

impl Search<'_> {
    /// Finds Maven and the JDK.
    pub(super) fn run(&self) -> Result<Runtime, Finding> {
        let mut looked = Vec::new();
        let word = Path::new(self.word);
        let home = match self.pinned {
            Some(path) => self.maven(path, &mut looked),
            None if word.components().count() > 1 => {
                self.maven(&self.directory.join(word), &mut looked)
            }
            None => place::search_path(self.environment)
                .find_map(|directory| self.maven(&directory.join("mvn"), &mut looked))
                .or_else(|| self.downloaded(&mut looked)),
        };
        let home = home.ok_or_else(|| not_found("mvn", &looked, self.pinned))?;
        let mut looked = Vec::new();
        let java = self
            .java(&mut looked)
            .ok_or_else(|| not_found("java", &looked, None))?;
        self.accepted(home, java)
    }

    fn accepted(&self, home: PathBuf, java: PathBuf) -> Result<Runtime, Finding> {
        let broken = |what: &Path, why: String| {
            Finding::new(Code::ManagerNotFound, what.display().to_string(), why)
        };
        let jdk = java.ancestors().nth(2).unwrap_or(Path::new("/"));
        let mut needs = elf::needs(&java)
            .map_err(|error| broken(&java, format!("cannot be read as a program: {error}")))?;
        // The virtual machine is loaded by name, after the start.
        if let Ok(machine) = elf::needs(&jdk.join("lib/server/libjvm.so")) {
            needs.libraries.extend(machine.libraries);
        }
        let classworlds = boot(&home).ok_or_else(|| {
            broken(
                &home,
                "no `boot/plexus-classworlds-*.jar`: is no Maven".to_owned(),
            )
        })?;
        let properties = "META-INF/maven/org.apache.maven/maven-core/pom.properties";
        let core = libraries(&home, "maven-core");
        let version = core.iter().find_map(|jar| jar::text(jar, properties));
        let version = version
            .as_deref()
            .and_then(|text| property(text, "version"));
        let Some(version) = version else {
            let why = "no `lib/maven-core-*.jar` that states a version".to_owned();
            return Err(broken(&home, why));
        };
        let runtime = Runtime {
            version,
            classworlds,
            central: central(&home),
            java_version: release(jdk),
            jdk: jdk.to_path_buf(),
            java,
            needs,
            home,
        };
        // Later versions read more files of the project and the user, which nobody has judged.
        if runtime.number() >= (4, 0) {
            let why = format!("is Maven {}; v4run knows Maven 3", runtime.version);
            return Err(broken(&runtime.home, why));
        }
        Ok(runtime)
    }

    /// Maven's home behind a path of its script.
    fn maven(&self, path: &Path, looked: &mut Vec<String>) -> Option<PathBuf> {
        std::fs::symlink_metadata(path).ok()?;
        let mut note = |why: &str| looked.push(format!("{}: {why}", path.display()));
        let directory = path.parent()?;
        let Ok(real) = path.canonicalize() else {
            note("leads nowhere");
            return None;
        };
        if place::is_ours(&real, directory) {
            note("is v4run itself");
            return None;
        }
        if let Some(why) = self.unsafe_place(directory) {
            note(why);
            return None;
        }
        let prefix = real.ancestors().nth(2)?;
        // Some distributions put a script of their own before the real one.
        let places = [prefix.to_path_buf(), prefix.join("libexec"), real.clone()];
        let home = places.into_iter().find(|home| boot(home).is_some());
        let home = home.or_else(|| self.behind_shim(directory));
        let Some(home) = home.and_then(|home| home.canonicalize().ok()) else {
            note("is a wrapper that v4run cannot look behind");
            return None;
        };
        if let Some(why) = self.unsafe_home(&home) {
            note(why);
            return None;
        }
        Some(home)
    }

    /// An installation of the version manager whose shims lie in `directory`.
    fn behind_shim(&self, directory: &Path) -> Option<PathBuf> {
        let root = directory.parent()?.join("installs/maven");
        let installed = installed(&root, "bin/mvn");
        let variables = ["ASDF_MAVEN_VERSION", "MISE_MAVEN_VERSION"];
        let wanted = variables.iter().filter_map(|name| {
            let value = self.environment.get(OsStr::new(name))?;
            Some(value.to_str()?.to_owned())
        });
        let wanted: Vec<String> = wanted.collect();
        Some(root.join(choose(&wanted, &installed)?))
    }

    /// The distribution that the Maven wrapper has downloaded for this project.
    fn downloaded(&self, looked: &mut Vec<String>) -> Option<PathBuf> {
        let home = wrapper(self.project, self.home?)?;
        if let Some(why) = self.unsafe_home(&home) {
            looked.push(format!("{}: {why}", home.display()));
            return None;
        }
        Some(home)
    }

    fn java(&self, looked: &mut Vec<String>) -> Option<PathBuf> {
        let stated = self.environment.get(OsStr::new("JAVA_HOME"));
        let stated = stated.filter(|value| !value.is_empty());
        let mut places: Vec<PathBuf> = match stated {
            // As in Maven's own script nothing else counts then.
            Some(home) => vec![PathBuf::from(home).join("bin")],
            None => place::search_path(self.environment).collect(),
        };
        places.retain(|place| place.is_absolute());
        places
            .iter()
            .find_map(|place| self.virtual_machine(&place.join("java"), looked))
    }

    fn virtual_machine(&self, path: &Path, looked: &mut Vec<String>) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        let directory = path.parent()?;
        let jdk = real.ancestors().nth(2)?;
        let why = self.unsafe_place(directory);
        let why = why.or_else(|| self.unsafe_home(jdk));
        let why = why.or_else(|| (!elf::is_elf(&real)).then_some("is not a program but a script"));
        let machine = jdk.join("lib/server/libjvm.so").is_file();
        let why = why.or_else(|| {
            let text = "is not in a JDK of version 9 or newer: no `lib/server/libjvm.so` beside it";
            (!machine).then_some(text)
        });
        match why {
            None => Some(real),
            Some(why) => {
                looked.push(format!("{}: {why}", path.display()));
                None
            }
        }
    }

    fn unsafe_place(&self, directory: &Path) -> Option<&'static str> {
        place::inside_project(directory, self.project, self.home)
            .or_else(|| place::open_to_others(directory))
    }

    fn unsafe_home(&self, home: &Path) -> Option<&'static str> {
        let folders = ["", "bin", "lib", "boot"].map(|name| home.join(name));
        let mut there = folders.iter().filter(|path| path.is_dir());
        there.find_map(|path| self.unsafe_place(path))
    }
}

/// The distribution that the wrapper's properties name, where it was downloaded already.
pub(super) fn wrapper(project: &Path, home: &Path) -> Option<PathBuf> {
    let file = project.join(".mvn/wrapper/maven-wrapper.properties");
    let bytes = read::inside(project, &file, 1 << 16).ok().flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    let address = property(&text, "distributionUrl")?.replace('\\', "");
    let file = address.rsplit('/').next()?;
    let name = file
        .strip_suffix(".zip")
        .or_else(|| file.strip_suffix(".tar.gz"))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.starts_with('.') || !name.chars().all(plain) {
        return None;
    }
    let folder = home.join(".m2/wrapper/dists").join(name);
    let sums = std::fs::read_dir(folder).ok()?.flatten().take(MANY);
    let mut homes: Vec<PathBuf> = sums
        .flat_map(|sum| {
            let inner = std::fs::read_dir(sum.path()).into_iter().flatten();
            let inner = inner.flatten().take(MANY).map(|entry| entry.path());
            inner.chain([sum.path()]).collect::<Vec<_>>()
        })
        .filter(|path| path.is_dir() && boot(path).is_some())
        .collect();
    homes.sort();
    homes.first()?.canonicalize().ok()
}

/// The jar that starts Maven.
fn boot(home: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(home.join("boot")).ok()?.flatten();
    let named = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("plexus-classworlds-") && name.ends_with(".jar")
    };
    let mut jars: Vec<PathBuf> = entries
        .take(MANY)
        .map(|entry| entry.path())
        .filter(|path| named(path) && path.is_file())
        .collect();
    jars.sort();
    let there = home.join("bin/m2.conf").is_file();
    jars.into_iter().next().filter(|_| there)
}

/// Jars of Maven's library whose names begin so.
fn libraries(home: &Path, start: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.join("lib")).into_iter().flatten();
    let named = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && name.ends_with(".jar")
    };
    let paths = entries.flatten().take(MANY).map(|entry| entry.path());
    let mut found: Vec<PathBuf> = paths.filter(|path| named(path)).collect();
    found.sort();
    found
}

/// The repository of the model that every project inherits from.
fn central(home: &Path) -> Option<String> {
    let candidates = [
        "maven-model-builder",
        "maven-impl",
        "maven-api-impl",
        "maven-core",
    ];
    let jars = candidates.iter().flat_map(|name| libraries(home, name));
    let model = jars
        .into_iter()
        .find_map(|jar| jar::text(&jar, "org/apache/maven/model/pom-4.0.0.xml"))?;
    let document = roxmltree::Document::parse(&model).ok()?;
    let mut nodes = document.descendants();
    let repository = nodes.find(|node| node.has_tag_name("repository"))?;
    let child = |name: &str| {
        let child = repository.children().find(|node| node.has_tag_name(name))?;
        Some(child.text()?.trim().to_owned())
    };
    child("url").filter(|_| child("id").as_deref() == Some("central"))
}

fn release(jdk: &Path) -> Option<String> {
    let bytes = read::file(&jdk.join("release"), 1 << 16).ok().flatten()?;
    property(&String::from_utf8(bytes).ok()?, "JAVA_VERSION")
}

/// A value of a properties file.
fn property(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let mut hits = lines.filter(|(key, _)| key.trim() == name);
    let value = hits.next()?.1.trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

fn not_found(what: &str, looked: &[String], pinned: Option<&Path>) -> Finding {
    let message = if looked.is_empty() {
        format!("no `{what}` in any directory of PATH")
    } else {
        format!("no usable `{what}`; looked at {}", looked.join("; "))
    };
    let hint = match (pinned, what) {
        (Some(path), _) => format!(
            "the policy pins {}: correct `[managers.mvn] path`",
            path.display()
        ),
        (None, "java") => "set JAVA_HOME to a JDK, or put its `bin` first in PATH".to_owned(),
        (None, _) => "put the `bin` of Maven's home first in PATH, name it (`v4run /…/bin/mvn`), \
                      or pin it with `[managers.mvn] path = \"/…/bin/mvn\"` in the policy"
            .to_owned(),
    };
    Finding::new(Code::ManagerNotFound, what, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    struct Layout {
        _guard: tempfile::TempDir,
        root: PathBuf,
        environment: BTreeMap<OsString, OsString>,
    }

    impl Layout {
        fn new() -> Self {
            let guard = tempfile::tempdir().unwrap();
            let root = guard.path().canonicalize().unwrap();
            for folder in ["project", "home", "bin"] {
                std::fs::create_dir(root.join(folder)).unwrap();
            }
            let mut layout = Self {
                _guard: guard,
                environment: BTreeMap::from([("PATH".into(), root.join("bin").into())]),
                root,
            };
            layout.jdk("jdk");
            let jdk = layout.root.join("jdk");
            layout.environment.insert("JAVA_HOME".into(), jdk.into());
            layout
        }

        fn file(&self, path: &str, content: &[u8]) {
            let path = self.root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }

        fn jdk(&self, path: &str) {
            self.file(&format!("{path}/lib/server/libjvm.so"), b"");
            self.file(&format!("{path}/release"), b"JAVA_VERSION=\"17.0.1\"\n");
            std::fs::create_dir_all(self.root.join(path).join("bin")).unwrap();
            std::fs::copy("/proc/self/exe", self.root.join(path).join("bin/java")).unwrap();
        }

        fn maven(&self, path: &str, version: &str) {
            self.file(&format!("{path}/boot/plexus-classworlds-2.6.0.jar"), b"");
            self.file(&format!("{path}/bin/m2.conf"), b"");
            self.file(&format!("{path}/bin/mvn"), b"#!/bin/sh\n");
            let mut jar = Vec::new();
            let mut archive = rawzip::ZipArchiveWriter::new(&mut jar);
            let model = "<project><repositories><repository><id>central</id>\
                         <url>https://central.invalid/</url></repository></repositories></project>";
            let properties = format!("version={version}\n");
            for (name, text) in [
                (
                    "META-INF/maven/org.apache.maven/maven-core/pom.properties",
                    properties.as_str(),
                ),
                ("org/apache/maven/model/pom-4.0.0.xml", model),
            ] {
                let (mut entry, config) = archive.new_file(name).start().unwrap();
                let mut writer = config.wrap(&mut entry);
                writer.write_all(text.as_bytes()).unwrap();
                let (_, descriptor) = writer.finish().unwrap();
                entry.finish(descriptor).unwrap();
            }
            archive.finish().unwrap();
            self.file(&format!("{path}/lib/maven-core-3.jar"), &jar);
        }

        fn search(&self, word: &str) -> Result<Runtime, Finding> {
            let (project, home) = (self.root.join("project"), self.root.join("home"));
            Search {
                word: OsStr::new(word),
                environment: &self.environment,
                directory: &project,
                project: &project,
                home: Some(&home),
                pinned: None,
            }
            .run()
        }
    }

    #[test]
    fn links_lead_to_a_home_and_its_own_files_say_what_it_is() {
        let layout = Layout::new();
        layout.maven("opt/maven", "3.9.6");
        symlink(
            layout.root.join("opt/maven/bin/mvn"),
            layout.root.join("bin/mvn"),
        )
        .unwrap();
        let found = layout.search("mvn").unwrap();
        assert_eq!(found.home, layout.root.join("opt/maven"));
        assert_eq!(found.number(), (3, 9));
        assert_eq!(found.central.as_deref(), Some("https://central.invalid/"));
        assert_eq!(found.java_version.as_deref(), Some("17.0.1"));
        assert_eq!(found.java, layout.root.join("jdk/bin/java"));
        let named = layout.root.join("opt/maven/bin/mvn");
        assert_eq!(layout.search(named.to_str().unwrap()).unwrap(), found);
    }

    #[test]
    fn what_the_wrapper_has_downloaded_counts_where_path_has_none() {
        let layout = Layout::new();
        let finding = layout.search("mvn").unwrap_err();
        assert_eq!(finding.code, Code::ManagerNotFound);
        layout.file(
            "project/.mvn/wrapper/maven-wrapper.properties",
            b"distributionUrl=https\\://r.invalid/apache-maven-3.9.6-bin.zip\n",
        );
        let home = "home/.m2/wrapper/dists/apache-maven-3.9.6-bin/abc/apache-maven-3.9.6";
        layout.maven(home, "3.9.6");
        assert_eq!(layout.search("mvn").unwrap().home, layout.root.join(home));
    }

    #[test]
    fn what_others_or_the_project_can_write_and_what_nobody_knows_is_no_maven() {
        let layout = Layout::new();
        layout.maven("project/maven", "3.9.6");
        let link = layout.root.join("bin/mvn");
        symlink(layout.root.join("project/maven/bin/mvn"), &link).unwrap();
        let finding = layout.search("mvn").unwrap_err();
        assert!(
            finding.message.contains("inside the project"),
            "{}",
            finding.message
        );
        std::fs::remove_file(&link).unwrap();
        layout.maven("opt/maven", "4.0.0");
        symlink(layout.root.join("opt/maven/bin/mvn"), &link).unwrap();
        let finding = layout.search("mvn").unwrap_err();
        assert!(
            finding.message.contains("Maven 4.0.0"),
            "{}",
            finding.message
        );
        layout.maven("opt/maven", "3.8.7");
        let library = layout.root.join("opt/maven/lib");
        std::fs::set_permissions(library, std::fs::Permissions::from_mode(0o777)).unwrap();
        let finding = layout.search("mvn").unwrap_err();
        assert!(
            finding.message.contains("by other users"),
            "{}",
            finding.message
        );
    }

    #[test]
    fn without_a_machine_java_is_none() {
        let mut layout = Layout::new();
        layout.maven("opt/maven", "3.8.7");
        symlink(
            layout.root.join("opt/maven/bin/mvn"),
            layout.root.join("bin/mvn"),
        )
        .unwrap();
        layout.file("old/bin/java", b"#!/bin/sh\n");
        layout
            .environment
            .insert("JAVA_HOME".into(), layout.root.join("old").into());
        let finding = layout.search("mvn").unwrap_err();
        assert!(finding.message.contains("script"), "{}", finding.message);
        assert!(finding.hint.unwrap().contains("JAVA_HOME"));
    }
}
