//! Judges goals and phases: which of them a run may be about.
//!
//! A goal is code of a plugin, a phase is what plugins are bound to it. Goals that only fetch and
//! print are in the profile; they are known by the plugin's prefix, but a name is never enough: what
//! the plugin's jar may run is decided by its bytes, when it is opened. Everything else ends here,
//! before anything is started.

use super::options::{Source, Word};
use crate::model::{Code, Finding};
use crate::profile::{Does, Profile};

/// The group of the plugins that are known by a prefix.
const GROUP: &str = "org.apache.maven.plugins";

/// Plugins whose purpose is to run programs or code of the project.
const RUNNERS: &[&str] = &[
    "exec", "antrun", "surefire", "failsafe", "invoker", "jetty", "groovy",
];

/// Phases of Maven's own lifecycles.
const PHASES: &[&str] = &[
    "pre-clean",
    "clean",
    "post-clean",
    "validate",
    "initialize",
    "generate-sources",
    "process-sources",
    "generate-resources",
    "process-resources",
    "compile",
    "process-classes",
    "generate-test-sources",
    "process-test-sources",
    "generate-test-resources",
    "process-test-resources",
    "test-compile",
    "process-test-classes",
    "test",
    "prepare-package",
    "package",
    "pre-integration-test",
    "integration-test",
    "post-integration-test",
    "verify",
    "install",
    "deploy",
    "pre-site",
    "site",
    "post-site",
    "site-deploy",
];

/// Refuses what may not run.
pub(super) fn check(goals: &[Word], profile: &Profile) -> Result<(), Finding> {
    goals.iter().try_for_each(|goal| one(&goal.text, profile))
}

fn one(text: &str, profile: &Profile) -> Result<(), Finding> {
    let known = canonical(text).and_then(|name| profile.command(&name));
    if known.is_some_and(|command| command.does == Does::Install || command.does == Does::Read) {
        return Ok(());
    }
    let refuse = |code, message: &str| Err(Finding::new(code, text, message));
    if let Some(command) = known {
        return refuse(Code::CommandRunsCode, &command.why);
    }
    let prefix = canonical(text).unwrap_or_default();
    let prefix = prefix.split(':').next().unwrap_or_default();
    if RUNNERS.contains(&prefix) {
        return refuse(
            Code::CommandRunsCode,
            "its purpose is to run programs or code of the project",
        );
    }
    if PHASES.contains(&text) {
        return refuse(
            Code::CommandRunsCode,
            "the phases of a build run plugins that the project chooses, over whole jars; v4run runs \
             goals that fetch and print",
        );
    }
    refuse(
        Code::CommandUnknown,
        "is not a goal that v4run knows to be free of component code",
    )
}

/// `prefix:goal` of a goal in any of its spellings; nothing for a phase.
fn canonical(text: &str) -> Option<String> {
    let text = text.split('@').next().unwrap_or_default();
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [prefix, goal] => Some(format!("{prefix}:{goal}")),
        [group, artifact, goal] | [group, artifact, _, goal] if *group == GROUP => {
            let prefix = artifact.strip_prefix("maven-")?.strip_suffix("-plugin")?;
            Some(format!("{prefix}:{goal}"))
        }
        _ => None,
    }
}

/// Where a goal was named, for messages.
pub(super) fn named(goals: &[Word]) -> String {
    let typed = goals.iter().filter(|goal| goal.source == Source::Argv);
    typed
        .map(|goal| goal.text.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_that_fetch_run_and_all_others_do_not() {
        let profile = Profile::parse(super::super::PROFILE).unwrap();
        for (goal, code) in [
            ("dependency:resolve", None),
            ("dependency:tree@id", None),
            (
                "org.apache.maven.plugins:maven-dependency-plugin:resolve",
                None,
            ),
            (
                "org.apache.maven.plugins:maven-dependency-plugin:3.5.0:resolve",
                None,
            ),
            (
                "evil:maven-dependency-plugin:3.5.0:resolve",
                Some(Code::CommandUnknown),
            ),
            ("exec:java", Some(Code::CommandRunsCode)),
            ("antrun:run", Some(Code::CommandRunsCode)),
            (
                "org.apache.maven.plugins:maven-antrun-plugin:3.1.0:run",
                Some(Code::CommandRunsCode),
            ),
            ("test", Some(Code::CommandRunsCode)),
            ("deploy", Some(Code::CommandRunsCode)),
            ("some:thing", Some(Code::CommandUnknown)),
            ("nonsense", Some(Code::CommandUnknown)),
        ] {
            let result = one(goal, &profile);
            assert_eq!(result.err().map(|finding| finding.code), code, "{goal}");
        }
    }
}
