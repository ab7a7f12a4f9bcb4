//! The modules of a build, as its POMs name them.
//!
//! Read before the start, for two things: which directories the build writes, and whether the build
//! makes code for Maven itself. A module that is a plugin, or that a POM of the build uses as one, would
//! run as soon as it is compiled; a packaging that copies whole jars cannot be made of views. Both are
//! found with file and line. POMs that are fetched are not looked at here: what they name is judged by
//! its bytes when it is opened.
//!
//! The project is untrusted: modules outside of it, and POMs that cannot be read, end the run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::manager::read;
use crate::model::xml::{Element, Text};
use crate::model::{Code, Finding};

/// POMs are written by hand.
const LIMIT: u64 = 4 << 20;

/// Modules of one build.
const MANY: usize = 2000;

/// What a build needs no whole jars for.
const PACKAGINGS: &[&str] = &["jar", "pom"];

/// What switches tests on again or runs them in Maven's own process, in the configuration of a plugin.
const SWITCHES: &[&str] = &["skip", "skipTests", "skipExec", "forkCount", "forkMode"];

/// The modules of a build.
#[derive(Debug, Default)]
pub(super) struct Reactor {
    /// Directories of the modules, the first is the build's own.
    pub(super) modules: Vec<PathBuf>,
    /// Names of the modules, `group:artifact`.
    names: BTreeSet<String>,
    /// What the POMs use as code: name, place.
    uses: Vec<(String, String)>,
    findings: Vec<Finding>,
    /// Name and version of the first.
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
}

impl Reactor {
    /// Reads the POM `file` and all that it names as modules. `root` is the project's directory.
    pub(super) fn read(file: &Path, root: &Path) -> Result<Self, Finding> {
        let mut reactor = Self::default();
        let mut waiting = vec![file.to_path_buf()];
        let mut seen = BTreeSet::new();
        while let Some(file) = waiting.pop() {
            if !seen.insert(file.clone()) {
                continue;
            }
            if seen.len() > MANY {
                let message = format!("has more than {MANY} modules");
                return Err(Finding::new(
                    Code::Usage,
                    file.display().to_string(),
                    message,
                ));
            }
            waiting.extend(reactor.pom(&file, root)?);
        }
        Ok(reactor)
    }

    /// Why the build may not run, if anything speaks against it.
    pub(super) fn objections(&self) -> Vec<Finding> {
        let own = self
            .uses
            .iter()
            .filter(|(name, _)| self.names.contains(name));
        let own = own.map(|(name, place)| {
            let message = format!(
                "`{name}` is a module of this build and would run inside Maven as soon as it is \
                 compiled"
            );
            Finding::new(Code::CommandRunsCode, place, message)
        });
        self.findings.iter().cloned().chain(own).collect()
    }

    /// Reads one POM; what it names as modules is left to do.
    fn pom(&mut self, file: &Path, root: &Path) -> Result<Vec<PathBuf>, Finding> {
        let shown = file.display().to_string();
        let wrong = |message: String| Finding::new(Code::Usage, &shown, message);
        let bytes = read::inside(root, file, LIMIT).map_err(|error| wrong(error.to_string()))?;
        let bytes = bytes.ok_or_else(|| wrong("there is no such POM".to_owned()))?;
        let text = Text::decode(&bytes).map_err(|error| wrong(error.to_string()))?;
        let tree = text
            .tree("project")
            .map_err(|error| wrong(error.to_string()))?;
        let project = tree.root();
        let directory = file.parent().unwrap_or(root).to_path_buf();
        let value = |element: Element<'_>, name: &str| {
            let child = element.child(name)?;
            Some(child.text().into_owned()).filter(|text| !text.is_empty())
        };
        let parent = project.child("parent");
        let own = |name: &str| value(project, name).or_else(|| value(parent?, name));
        if let (Some(group), Some(artifact)) = (own("groupId"), value(project, "artifactId")) {
            if self.modules.is_empty() {
                self.name = Some(format!("{group}:{artifact}"));
                self.version = own("version");
            }
            self.names.insert(format!("{group}:{artifact}"));
        }
        self.modules.push(directory.clone());
        self.packaging(project, &shown);
        for element in project.below() {
            self.used(element, &shown);
        }
        let mut found = Vec::new();
        for module in project
            .below()
            .filter(|element| element.name() == "modules")
        {
            let named = module.children().map(|child| child.text().into_owned());
            for name in named.filter(|name| !name.is_empty()) {
                let path = directory.join(&name);
                let path = match path.is_dir() {
                    true => path.join("pom.xml"),
                    false => path,
                };
                match path.canonicalize() {
                    Ok(real) if real.starts_with(root) => found.push(real),
                    Ok(_) => {
                        let message = format!("module `{name}` lies outside the project");
                        return Err(wrong(message));
                    }
                    // Modules of a profile that is not active need not be there: Maven tells.
                    Err(_) => {}
                }
            }
        }
        Ok(found)
    }

    fn packaging(&mut self, project: Element<'_>, shown: &str) {
        let Some(packaging) = project.child("packaging") else {
            return;
        };
        let text = packaging.text();
        if PACKAGINGS.contains(&text.as_ref()) {
            return;
        }
        let message = format!(
            "packaging `{text}`: it makes code for Maven, or is made of whole jars; v4run builds \
             packagings {}",
            PACKAGINGS.join(" and ")
        );
        let place = format!("{shown}:{}", packaging.line());
        let finding = Finding::new(Code::CommandRunsCode, place, message);
        self.findings.push(finding);
    }

    /// Plugins, what they are given beside, extensions; and switches that undo what was asked for.
    fn used(&mut self, element: Element<'_>, shown: &str) {
        let place = || format!("{shown}:{}", element.line());
        let text = |name: &str| element.child(name).map(|child| child.text().into_owned());
        match element.name() {
            "plugin" => {
                let group = text("groupId");
                let group = group.unwrap_or_else(|| "org.apache.maven.plugins".to_owned());
                if let Some(artifact) = text("artifactId") {
                    self.uses.push((format!("{group}:{artifact}"), place()));
                }
                for beside in element.list("dependencies", "dependency") {
                    let text = |name: &str| beside.child(name).map(|child| child.text());
                    if let (Some(group), Some(artifact)) = (text("groupId"), text("artifactId")) {
                        let place = format!("{shown}:{}", beside.line());
                        self.uses.push((format!("{group}:{artifact}"), place));
                    }
                }
            }
            "extension" => {
                if let (Some(group), Some(artifact)) = (text("groupId"), text("artifactId")) {
                    self.uses.push((format!("{group}:{artifact}"), place()));
                }
            }
            "configuration" => {
                let mut switches = element.below();
                let switch = switches.find(|inner| SWITCHES.contains(&inner.name()));
                if let Some(switch) = switch.filter(|inner| inner.text() != "true") {
                    let message = format!(
                        "`<{}>` in the configuration of a plugin may run tests that were to be \
                         left out",
                        switch.name()
                    );
                    let place = format!("{shown}:{}", switch.line());
                    self.findings
                        .push(Finding::new(Code::CommandRunsCode, place, message));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Reactor, Finding> {
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
        Reactor::read(&root.join("pom.xml"), &root)
    }

    fn told(body: &str) -> Vec<String> {
        let reactor = read(&[
            (
                "pom.xml",
                &format!("<modules><module>a</module></modules>{body}"),
            ),
            ("a/pom.xml", "<version>1</version>"),
        ]);
        let objections = reactor.unwrap().objections();
        objections.into_iter().map(|one| one.message).collect()
    }

    #[test]
    fn modules_are_found_wherever_they_are_named() {
        let reactor = read(&[
            (
                "pom.xml",
                "<version>2</version><modules><module>a</module><module>gone</module></modules>\
                 <profiles><profile><modules><module>b/pom.xml</module></modules></profile></profiles>",
            ),
            ("a/pom.xml", ""),
            ("b/pom.xml", "<modules><module>../a</module></modules>"),
        ])
        .unwrap();
        assert_eq!(reactor.modules.len(), 3);
        assert_eq!(reactor.name.as_deref(), Some("g:pom.xml"));
        assert_eq!(reactor.version.as_deref(), Some("2"));
        assert!(reactor.objections().is_empty());
        let outside = read(&[("pom.xml", "<modules><module>../..</module></modules>")]);
        assert!(outside.is_err() || outside.unwrap().modules.len() == 1);
        assert!(read(&[]).is_err());
    }

    #[test]
    fn what_would_run_or_cannot_be_made_is_named() {
        for (body, word) in [
            ("<packaging>war</packaging>", "packaging `war`"),
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
                "<build><extensions><extension><groupId>g</groupId><artifactId>a</artifactId>\
                 </extension></extensions></build>",
                "`g:a` is a module",
            ),
            (
                "<build><plugins><plugin><artifactId>x</artifactId><configuration><skipTests>false\
                 </skipTests></configuration></plugin></plugins></build>",
                "<skipTests>",
            ),
        ] {
            let told = told(body);
            assert!(
                told.len() == 1 && told[0].contains(word),
                "{body}: {told:?}"
            );
        }
        assert!(told("<packaging>pom</packaging>").is_empty());
    }
}
