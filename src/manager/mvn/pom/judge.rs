//! What of a build's POMs is refused before anything is started.
//!
//! A file of the machine in place of an artifact, and a repository without TLS or on the file system,
//! can never be verified: better said here, with file and line, than by a download that fails. That a
//! POM names a repository which the user does not know is no reason to refuse the build: a mirror may
//! stand for it, or nothing may be asked of it, and the proxy refuses what is asked.
//!
//! An extension is loaded into Maven whatever the goal is, and a plugin when the build comes to a phase
//! that it is bound to. One that nobody answers for would be shown without its code, and Maven would end
//! in an error that does not say why; so it is refused here. The name is only a ground to refuse: whether
//! it runs is decided by its bytes.

use super::project::Project;
use super::{Member, Named, Pom, Reference};
use crate::model::{Code, Finding};

/// What is known about a build from elsewhere.
pub(in crate::manager::mvn) struct Grounds<'a> {
    /// Whether somebody answers for the code of that name.
    pub(in crate::manager::mvn) answered: &'a dyn Fn(&Reference) -> bool,
    /// Whether a mirror with TLS stands for the repository with that identifier and address.
    pub(in crate::manager::mvn) mirrored: &'a dyn Fn(&str, &str) -> bool,
    /// Whether plugins that are bound to a phase of that name will run; of an unknown phase they may.
    pub(in crate::manager::mvn) runs: &'a dyn Fn(Option<&str>) -> bool,
    /// Why a plugin with that artifact does not run, whoever answers for it.
    pub(in crate::manager::mvn) by_design: &'a dyn Fn(&str) -> Option<&'static str>,
    /// The command that tells what would have to be approved.
    pub(in crate::manager::mvn) hint: &'a str,
}

/// The refusals of a build, in the order of its POMs.
pub(in crate::manager::mvn) fn judge(project: &Project, grounds: &Grounds<'_>) -> Vec<Finding> {
    let members = project.members.iter();
    members.flat_map(|member| one(member, grounds)).collect()
}

fn one(member: &Member, grounds: &Grounds<'_>) -> Vec<Finding> {
    let Member { path, pom } = member;
    let place = |line: u32| format!("{}:{line}", path.display());
    let system = pom.system.iter().map(|dependency| {
        let message = format!(
            "`{}:{}` is a file of the machine (scope `system`), which no repository verifies",
            dependency.group, dependency.artifact
        );
        Finding::new(Code::DependencyRefused, place(dependency.line), message)
            .with_hint("publish it to a repository and depend on it by name")
    });
    let repositories = pom.repositories.iter().filter_map(|repository| {
        let (code, message) = wrong(pom, repository, grounds)?;
        let message = format!("the repository `{}` {message}", repository.id);
        Some(Finding::new(code, place(repository.line), message))
    });
    let code = pom.code.iter().filter_map(|asked| {
        let mut bound = asked.bound.iter();
        let runs = bound.any(|phase| (grounds.runs)(phase.as_deref()));
        let (word, code) = match asked.always {
            true => ("an extension: code", Code::ConfigRefused),
            false if runs => ("a plugin of this build: code", Code::CommandRunsCode),
            false => return None,
        };
        if let (true, Some(why)) = (runs, (grounds.by_design)(&asked.what.artifact)) {
            let message = format!(
                "`{}:{}` is bound to this build: {why}",
                asked.what.group, asked.what.artifact
            );
            return Some(Finding::new(
                Code::CommandRunsCode,
                place(asked.what.line),
                message,
            ));
        }
        let what = Reference {
            version: asked.what.version.as_deref().map(|text| pom.resolved(text)),
            ..asked.what.clone()
        };
        if (grounds.answered)(&what) {
            return None;
        }
        let version = what.version.as_deref().unwrap_or("?");
        let message = format!(
            "`{}:{}:{version}` is {word} that Maven loads into itself, and nobody answers for it",
            what.group, what.artifact
        );
        Some(Finding::new(code, place(what.line), message).with_hint(grounds.hint))
    });
    system.chain(repositories).chain(code).collect()
}

fn wrong(pom: &Pom, repository: &Named, grounds: &Grounds<'_>) -> Option<(Code, String)> {
    let url = pom.resolved(&repository.url);
    if (grounds.mirrored)(&repository.id, &url) {
        return None;
    }
    let scheme = url
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match scheme.as_str() {
        "https" => None,
        "http" => Some((Code::PlainHttp, format!("is reached without TLS: {url}"))),
        // A property that is stated elsewhere; the proxy sees the address itself.
        _ if url.contains("${") || url.is_empty() => None,
        _ => Some((
            Code::RegistryNotAllowed,
            format!("is none that can be verified: {url}"),
        )),
    }
}
