//! What a POM asks for, as far as it matters to what may run and where things come from.
//!
//! Read are the project's own POMs before the start: untrusted files that a pull request may change.
//! Listed is every plugin, extension and dependency of a plugin with its line, whether it stands in
//! the build, in what is managed for it, or in a profile, because any of them may come to be loaded;
//! and every repository, import, module and file outside the repositories that a POM names. Nothing is
//! resolved: properties are put in where the same POM or its parent states them, the rest stays as it
//! is written.
//!
//! It grants nothing. What runs is decided by bytes when it is opened, wherever it was asked for; this
//! reading says who asks, and refuses early what would be refused late.
//! <https://maven.apache.org/ref/3.8.7/maven-model/maven.html>.

mod inline;
mod judge;
mod project;

pub(super) use self::judge::{Grounds, judge};
pub(super) use self::project::{Member, Project, read as project};

use std::collections::BTreeMap;

use crate::model::xml::{Element, Text, XmlError};

/// The largest POMs have some hundred kilobytes.
pub(super) const LIMIT: u64 = 8 << 20;

/// Why an element of a POM can load code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loads {
    /// A plugin.
    Plugin,
    /// A plugin that also extends Maven itself.
    ExtendingPlugin,
    /// An extension of the build.
    Extension,
    /// A dependency that is put beside a plugin's own.
    PluginDependency,
}

/// Something with a name in the repository layout, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) group: String,
    pub(super) artifact: String,
    pub(super) version: Option<String>,
    /// Line of the POM, from 1.
    pub(super) line: u32,
}

/// Code that a POM asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) what: Reference,
    pub(super) loads: Loads,
    /// Whether Maven loads it whatever the goal is: neither only managed nor of a profile that may not
    /// be active.
    pub(super) always: bool,
    /// The phases that it is bound to, of a plugin of the build itself; nothing stands for one that
    /// only the plugin knows.
    pub(super) bound: Vec<Option<String>>,
}

/// A repository that a POM names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) line: u32,
}

/// What one POM says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pom {
    /// Its own name; group and version may be the parent's.
    pub(super) own: Reference,
    pub(super) packaging: String,
    pub(super) parent: Option<Reference>,
    /// Where the parent's POM lies; `None` where only the repositories have it.
    pub(super) parent_path: Option<String>,
    pub(super) code: Vec<Asked>,
    pub(super) repositories: Vec<Named>,
    /// POMs whose managed versions are taken over.
    pub(super) imports: Vec<Reference>,
    /// Dependencies that name a file of the machine.
    pub(super) system: Vec<Reference>,
    pub(super) modules: Vec<(String, u32)>,
    /// Line of the packaging.
    pub(super) packaging_line: u32,
    /// Configuration of plugins that may run tests although they are to be left out.
    pub(super) switches: Vec<(String, u32)>,
    /// Configuration that leaves the tests of a project in, whoever says otherwise.
    pub(super) tests: Vec<(String, u32)>,
    /// Configuration that makes trusted code run other code.
    pub(super) inline: Vec<(String, u32)>,
    pub(super) properties: BTreeMap<String, String>,
}

/// Why a POM cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum PomError {
    /// Not a document that can be read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// An element that is there twice, of which readers take different ones.
    #[error("`{name}` is there twice")]
    Twice {
        /// Its name.
        name: String,
        /// The line of the second one.
        line: u32,
    },
}

impl PomError {
    /// The line that is wrong, where it is known.
    pub(super) const fn line(&self) -> Option<u32> {
        match self {
            Self::Twice { line, .. } => Some(*line),
            Self::Xml(_) => None,
        }
    }
}

/// Elements that occur once in whatever holds them. A second one would be read by some and not by
/// others.
const ONCE: [&str; 15] = [
    "artifactId",
    "build",
    "dependencies",
    "dependencyManagement",
    "extensions",
    "groupId",
    "modules",
    "packaging",
    "parent",
    "pluginManagement",
    "pluginRepositories",
    "plugins",
    "profiles",
    "repositories",
    "version",
];

/// Reads a POM.
pub(super) fn read(bytes: &[u8]) -> Result<Pom, PomError> {
    let text = Text::decode(bytes)?;
    let tree = text.tree("project")?;
    let root = tree.root();
    let mut pom = Pom {
        own: reference(root),
        packaging: root.value("packaging").unwrap_or("jar".into()).into_owned(),
        packaging_line: root.child("packaging").unwrap_or(root).line(),
        switches: switches(root),
        tests: inline::tests(root),
        inline: inline::runs(root),
        ..Pom::default()
    };
    if let Some(parent) = root.child("parent") {
        pom.parent = Some(reference(parent));
        pom.parent_path = match parent.child("relativePath") {
            None => Some("../pom.xml".to_owned()),
            Some(path) => Some(path.text().into_owned()).filter(|path| !path.is_empty()),
        };
    }
    once(root)?;
    section(root, true, &mut pom)?;
    for profile in root.list("profiles", "profile") {
        once(profile)?;
        section(profile, false, &mut pom)?;
    }
    Ok(pom)
}

/// Elements of a plugin's configuration that switch tests on again, or have them run in Maven's own
/// process.
const SWITCHES: [&str; 5] = ["skip", "skipTests", "skipExec", "forkCount", "forkMode"];

fn switches(root: Element<'_>) -> Vec<(String, u32)> {
    let configurations = root.below().filter(|one| one.name() == "configuration");
    let inner = configurations.flat_map(Element::below);
    let found = inner.filter(|one| SWITCHES.contains(&one.name()) && one.text() != "true");
    found
        .map(|one| (one.name().to_owned(), one.line()))
        .collect()
}

/// What a project and each of its profiles may have.
fn section(holder: Element<'_>, active: bool, pom: &mut Pom) -> Result<(), PomError> {
    for build in holder.all("build") {
        once(build)?;
        for extension in build.list("extensions", "extension") {
            add(extension, Loads::Extension, active, Vec::new(), pom);
        }
        plugins(build, active, pom)?;
        for managed in build.all("pluginManagement") {
            plugins(managed, false, pom)?;
        }
    }
    for reporting in holder.all("reporting") {
        plugins(reporting, false, pom)?;
    }
    let lists = [
        ("repositories", "repository"),
        ("pluginRepositories", "pluginRepository"),
    ];
    for (list, item) in lists {
        pom.repositories
            .extend(holder.list(list, item).map(|repository| Named {
                id: repository.value("id").unwrap_or_default().into_owned(),
                url: repository.value("url").unwrap_or_default().into_owned(),
                line: repository.line(),
            }));
    }
    let managed = holder
        .all("dependencyManagement")
        .flat_map(|managed| managed.list("dependencies", "dependency"));
    for dependency in holder.list("dependencies", "dependency").chain(managed) {
        match dependency.value("scope").as_deref() {
            Some("import") => pom.imports.push(reference(dependency)),
            Some("system") => pom.system.push(reference(dependency)),
            _ if dependency.child("systemPath").is_some() => {
                pom.system.push(reference(dependency));
            }
            _ => {}
        }
    }
    for module in holder.list("modules", "module") {
        pom.modules
            .push((module.text().into_owned(), module.line()));
    }
    for property in holder.all("properties").flat_map(Element::children) {
        let text = property.text().into_owned();
        // The first that states one is the project itself; a profile may not be active.
        let name = property.name().to_owned();
        pom.properties.entry(name).or_insert(text);
    }
    Ok(())
}

fn plugins(holder: Element<'_>, active: bool, pom: &mut Pom) -> Result<(), PomError> {
    for plugin in holder.list("plugins", "plugin") {
        once(plugin)?;
        let extends = plugin
            .value("extensions")
            .is_some_and(|text| text != "false");
        let loads = match extends {
            true => Loads::ExtendingPlugin,
            false => Loads::Plugin,
        };
        let executions = plugin.list("executions", "execution");
        let bound = executions.filter(|_| active).map(|execution| {
            let phase = execution.value("phase");
            phase.map(|phase| phase.into_owned())
        });
        add(plugin, loads, active && extends, bound.collect(), pom);
        for dependency in plugin.list("dependencies", "dependency") {
            let scope = dependency.value("scope");
            if scope.as_deref() == Some("system") || dependency.child("systemPath").is_some() {
                pom.system.push(reference(dependency));
            }
            add(dependency, Loads::PluginDependency, false, Vec::new(), pom);
        }
    }
    Ok(())
}

fn add(
    element: Element<'_>,
    loads: Loads,
    always: bool,
    bound: Vec<Option<String>>,
    pom: &mut Pom,
) {
    let mut what = reference(element);
    if what.group.is_empty() && matches!(loads, Loads::Plugin | Loads::ExtendingPlugin) {
        what.group = "org.apache.maven.plugins".to_owned();
    }
    pom.code.push(Asked {
        what,
        loads,
        always,
        bound,
    });
}

fn reference(element: Element<'_>) -> Reference {
    let value = |name: &str| element.value(name).map(|text| text.into_owned());
    Reference {
        group: value("groupId").unwrap_or_default(),
        artifact: value("artifactId").unwrap_or_default(),
        version: value("version"),
        line: element.line(),
    }
}

fn once(element: Element<'_>) -> Result<(), PomError> {
    for name in ONCE {
        if let Some(second) = element.all(name).nth(1) {
            return Err(PomError::Twice {
                name: name.to_owned(),
                line: second.line(),
            });
        }
    }
    Ok(())
}

impl Pom {
    /// A text with the properties that this POM states. Others stay as they are written.
    pub(super) fn resolved(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // A property may stand in another one; a circle ends after as many steps.
        for _ in 0..8 {
            let Some((before, rest)) = text.split_once("${") else {
                break;
            };
            let Some((name, after)) = rest.split_once('}') else {
                break;
            };
            let parent = self.parent.as_ref();
            let version = self.own.version.as_deref();
            let value = match name {
                "project.version" => version.or(parent.and_then(|one| one.version.as_deref())),
                "project.groupId" if !self.own.group.is_empty() => Some(self.own.group.as_str()),
                "project.groupId" => parent.map(|one| one.group.as_str()),
                other => self.properties.get(other).map(String::as_str),
            };
            let Some(value) = value else { break };
            text = format!("{before}{value}{after}");
            if text.len() > 4096 {
                break;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
