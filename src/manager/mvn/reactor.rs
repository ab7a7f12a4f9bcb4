//! The modules of a build: where it writes, and whether it would make code for Maven itself.
//!
//! Told from the POMs of the build before the start. A module that a POM of the build uses as plugin or
//! extension would run as soon as it is compiled; a packaging that copies whole jars cannot be made of
//! views; configuration may run tests that were to be left out. Each is named with file and line. Parents
//! that are fetched are judged in the same way when Maven opens them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::pom::{Member, Project, Reference};
use crate::model::{Code, Finding};

/// What a build needs no whole jars for, or what they can be put into when it is over.
const PACKAGINGS: &[&str] = &["jar", "pom", WEB];

/// The packaging that holds the jars of components.
const WEB: &str = "war";

/// The modules of a build.
#[derive(Debug, Default)]
pub(super) struct Reactor {
    /// Their directories.
    pub(super) modules: Vec<PathBuf>,
    /// Their names, `group:artifact`.
    pub(super) names: Vec<String>,
    /// Whether one of them packs the jars of components.
    pub(super) packs: bool,
    /// The parents that they name.
    pub(super) parents: Vec<Reference>,
    /// Name and version of the first.
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
}

impl Reactor {
    /// Of the POMs of a build.
    pub(super) fn of(project: &Project) -> Self {
        let directories = project.members.iter();
        let directories = directories.filter_map(|member| member.path.parent());
        let first = project.members.first();
        Self {
            modules: directories.map(PathBuf::from).collect(),
            names: project.members.iter().map(own_name).collect(),
            packs: project.members.iter().any(|one| one.pom.packaging == WEB),
            parents: project.parents.clone(),
            name: first.map(own_name),
            version: first.and_then(|first| {
                let parent = first.pom.parent.as_ref();
                let own = first.pom.own.version.clone();
                own.or_else(|| parent?.version.clone())
                    .map(|version| first.pom.resolved(&version))
            }),
        }
    }

    /// Name and directory below the project of each module, with a space between them.
    pub(super) fn places(&self, root: &Path) -> Vec<String> {
        let modules = self.names.iter().zip(&self.modules);
        let below = modules.filter_map(|(name, module)| {
            let directory = module.strip_prefix(root).ok()?.to_str()?;
            let directory = if directory.is_empty() { "." } else { directory };
            Some(format!("{name} {directory}"))
        });
        below.collect()
    }
}

/// `group:artifact` of a module.
fn own_name(member: &Member) -> String {
    let own = &member.pom.own;
    let group = match (own.group.is_empty(), &member.pom.parent) {
        (true, Some(parent)) => &parent.group,
        (true, None) | (false, _) => &own.group,
    };
    name(member, group, &own.artifact)
}

fn name(member: &Member, group: &str, artifact: &str) -> String {
    let pom = &member.pom;
    format!("{}:{}", pom.resolved(group), pom.resolved(artifact))
}

/// Why the build of a project may not run, if anything speaks against it.
pub(super) fn objections(project: &Project) -> Vec<Finding> {
    let names: BTreeSet<String> = project.members.iter().map(own_name).collect();
    let members = project.members.iter();
    let own = |member| {
        let mut findings = one(member);
        findings.extend(inherited(member, &names, &member.pom.switches));
        findings
    };
    members.flat_map(own).collect()
}

fn refuse(member: &Member, line: u32, message: String) -> Finding {
    let place = format!("{}:{line}", member.path.display());
    Finding::new(Code::CommandRunsCode, place, message)
}

/// What speaks against a POM of the build itself.
fn one(member: &Member) -> Vec<Finding> {
    let pom = &member.pom;
    let mut findings = Vec::new();
    if !PACKAGINGS.contains(&pom.packaging.as_str()) {
        let message = format!(
            "packaging `{}`: it makes code for Maven, or is made of whole jars; v4run builds the \
             packagings {}",
            pom.packaging,
            PACKAGINGS.join(", ")
        );
        findings.push(refuse(member, pom.packaging_line, message));
    }
    // Which value a property has is decided by profiles, parents and the command line.
    for (module, line) in pom
        .modules
        .iter()
        .filter(|(module, _)| module.contains("${"))
    {
        let message =
            format!("the module `{module}` cannot be read before the start; name it as it is");
        findings.push(refuse(member, *line, message));
    }
    findings
}

/// What speaks against any POM that the build consists of. `names` are the modules, `switches` what would
/// run tests that were to be left out.
pub(super) fn inherited(
    member: &Member,
    names: &BTreeSet<String>,
    switches: &[(String, u32)],
) -> Vec<Finding> {
    let pom = &member.pom;
    let mut findings = Vec::new();
    for asked in &pom.code {
        let Reference {
            group,
            artifact,
            line,
            ..
        } = &asked.what;
        let used = name(member, group, artifact);
        if names.contains(&used) {
            let message = format!(
                "`{used}` is a module of this build and would run inside Maven as soon as it is \
                 compiled"
            );
            findings.push(refuse(member, *line, message));
        }
    }
    for (switch, line) in switches {
        let message = format!(
            "`<{switch}>` in the configuration of a plugin may run tests that were to be left out"
        );
        findings.push(refuse(member, *line, message));
    }
    for (what, line) in &pom.inline {
        let message = format!("{what} would run inside Maven, and nobody answers for it");
        findings.push(refuse(member, *line, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::mvn::pom;

    fn read(files: &[(&str, &str)]) -> Project {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        for (name, body) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = format!(
                "<project>\n<groupId>g</groupId><artifactId>{}</artifactId>{body}</project>",
                name.split('/').next().unwrap()
            );
            std::fs::write(path, text).unwrap();
        }
        pom::project(&root, &root.join("pom.xml")).unwrap()
    }

    fn told(body: &str) -> Vec<String> {
        let project = read(&[
            (
                "pom.xml",
                &format!("<modules><module>a</module></modules>{body}"),
            ),
            ("a/pom.xml", "<version>1</version>"),
        ]);
        let objections = objections(&project);
        objections.into_iter().map(|one| one.message).collect()
    }

    #[test]
    fn the_first_names_the_build() {
        let reactor = Reactor::of(&read(&[
            (
                "pom.xml",
                "<version>${v}</version><modules><module>a</module><module>gone</module></modules>\
                 <properties><v>2</v></properties>",
            ),
            ("a/pom.xml", ""),
        ]));
        assert_eq!(reactor.modules.len(), 2);
        assert_eq!(reactor.name.as_deref(), Some("g:pom.xml"));
        assert_eq!(reactor.version.as_deref(), Some("2"));
    }

    #[test]
    fn what_would_run_or_cannot_be_made_is_named() {
        for (body, word) in [
            ("<packaging>ear</packaging>", "packaging `ear`"),
            (
                "<profiles><profile><modules><module>${x}</module></modules></profile></profiles>\
                 <properties><x>a</x></properties>",
                "the module `${x}`",
            ),
            (
                "<build><plugins><plugin><artifactId>x</artifactId><configuration><rules>\
                 <evaluateBeanshell/></rules></configuration></plugin></plugins></build>",
                "the script in",
            ),
            (
                "<packaging>maven-plugin</packaging>",
                "packaging `maven-plugin`",
            ),
            (
                "<build><plugins><plugin><groupId>g</groupId><artifactId>a</artifactId></plugin>\
                 </plugins></build>",
                "`g:a` is a module",
            ),
            (
                "<build><plugins><plugin><artifactId>x</artifactId><dependencies><dependency>\
                 <groupId>g</groupId><artifactId>a</artifactId></dependency></dependencies></plugin>\
                 </plugins></build>",
                "`g:a` is a module",
            ),
            (
                "<build><extensions><extension><groupId>${x}</groupId><artifactId>a</artifactId>\
                 </extension></extensions></build><properties><x>g</x></properties>",
                "`g:a` is a module",
            ),
            (
                "<build><plugins><plugin><artifactId>x</artifactId><configuration><skipTests>false\
                 </skipTests></configuration></plugin></plugins></build>",
                "<skipTests>",
            ),
            (
                "<build><plugins><plugin><artifactId>x</artifactId><configuration><compilerArgs>\
                 <arg>-processor</arg></compilerArgs></configuration></plugin></plugins></build>",
                "`-processor`",
            ),
        ] {
            let told = told(body);
            assert!(
                told.len() == 1 && told[0].contains(word),
                "{body}: {told:?}"
            );
        }
        assert!(told("<packaging>pom</packaging>").is_empty());
        assert!(told("<packaging>war</packaging>").is_empty());
    }
}
