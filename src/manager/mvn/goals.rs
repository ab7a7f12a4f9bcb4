//! Judges goals and phases: which of them a run may be about.
//!
//! A goal is code of a plugin, a phase is what plugins are bound to it. Goals that only fetch and
//! print are in the profile; they are known by the plugin's prefix, but a name is never enough: what
//! the plugin's jar may run is decided by its bytes, when it is opened. Everything else ends here,
//! before anything is started.

use std::collections::BTreeMap;

use super::options::{Given, Source, Word};
use super::pom::Reference;
use crate::model::{Code, Finding, StandIns};
use crate::profile::{Does, Profile};

/// The group of the plugins that are known by a prefix.
const GROUP: &str = "org.apache.maven.plugins";

/// Plugins whose purpose is to run programs or code of the project.
const RUNNERS: &[&str] = &[
    "exec", "antrun", "surefire", "failsafe", "invoker", "jetty", "groovy",
];

/// Why phases that test end a run.
const TESTS: &str = "runs the project's tests: code of the project and of all that it depends on";

/// Artifacts of the plugins that are known to work on what classes declare: they compile, copy and
/// pack files of the project itself.
pub(super) const WORKERS: &[&str] = &[
    "maven-clean-plugin",
    "maven-compiler-plugin",
    "maven-dependency-plugin",
    "maven-deploy-plugin",
    "maven-enforcer-plugin",
    "maven-install-plugin",
    "maven-jar-plugin",
    "maven-resources-plugin",
    "maven-source-plugin",
    "maven-surefire-plugin",
    "maven-war-plugin",
];

/// Plugins that put whole jars of components into what they make.
const PACKERS: &[&str] = &[
    "assembly",
    "docker",
    "ear",
    "jib",
    "jlink",
    "native",
    "onejar",
    "rar",
    "shade",
    "spring-boot",
    "war",
];

/// Goals that copy jars into the output directories and do not read them.
const COPIES: &[&str] = &["dependency:copy", "dependency:copy-dependencies"];

/// Goals that unpack jars there and do not read what is in them.
const UNPACKS: &[&str] = &["dependency:unpack", "dependency:unpack-dependencies"];

/// Phases before the tests.
const BUILD: &[&str] = &[
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
];

/// Phases that run the tests unless they are told not to.
const TESTED: &[&str] = &["test", "prepare-package", "package"];

/// Phases that run the tests of the finished product, or put it elsewhere.
const OUTWARD: &[&str] = &[
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

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Prints and ends.
    Print,
    /// Fetches and prints.
    Resolve,
    /// Builds, into the output directories of the project.
    Build,
}

/// Refuses what may not run. `properties` and `options` are those that Maven gets. A project may name a
/// goal for when nobody names one: that is refused.
pub(super) fn check(
    goals: &[Word],
    properties: &BTreeMap<String, String>,
    options: &[Given],
    profile: &Profile,
    approves: &dyn Fn(Option<&str>, &str) -> bool,
) -> Result<Kind, Finding> {
    let mut names = options.iter().map(|given| given.name);
    if goals.is_empty() && !names.any(|name| name == "help" || name == "version") {
        let message = "no goal is named, and what the project says instead is not taken";
        return Err(Finding::new(Code::CommandUnknown, "mvn", message));
    }
    if goals.iter().any(|goal| moved(&goal.text) != StandIns::None)
        && stand_ins(goals) == StandIns::None
    {
        let message = "copies or unpacks jars, which are not within reach of the run until it is over; \
                       other goals would find nothing to read";
        let hint = "run it as a command of its own";
        return Err(Finding::new(Code::CommandRunsCode, named(goals), message).with_hint(hint));
    }
    let mut judged = goals
        .iter()
        .map(|goal| one(&goal.text, properties, profile, approves));
    judged.try_fold(Kind::Print, |most, kind| Ok(most.max(kind?)))
}

/// Whether a plugin that is bound to that phase runs in some build; where only the plugin knows its
/// phase, it may.
pub(super) fn is_early(phase: Option<&str>) -> bool {
    phase.is_none_or(|phase| BUILD.contains(&phase) || TESTED.contains(&phase))
}

/// What helps when code is refused that nobody answers for.
pub(super) fn trust_hint(goals: &[Word]) -> String {
    format!(
        "`v4run trust mvn {}` shows what would be loaded, for review and approval in the policy",
        named(goals)
    )
}

/// Why a plugin does not run in a build although somebody answers for its bytes, if it does not.
/// `known` are those of which a run takes care itself.
pub(super) fn by_design(artifact: &str, known: &[&str]) -> Option<&'static str> {
    if known.contains(&artifact) {
        return None;
    }
    let prefix = prefix(artifact)?;
    let packer = || {
        PACKERS.contains(&prefix).then_some(
            "what it makes is made of whole jars, and jars are handed out without their code",
        )
    };
    runner(prefix).or_else(packer)
}

/// Why plugins of that prefix run code by design.
fn runner(prefix: &str) -> Option<&'static str> {
    RUNNERS
        .contains(&prefix)
        .then_some("its purpose is to run programs or code of the project")
}

/// The word by which a command line names the plugins of that artifact.
fn prefix(artifact: &str) -> Option<&str> {
    let own = artifact.strip_prefix("maven-");
    let own = own.and_then(|rest| rest.strip_suffix("-plugin"));
    own.or_else(|| artifact.strip_suffix("-maven-plugin"))
}

/// The plugins that a goal may be of, with the group where it names one; none for a phase.
fn plugins(text: &str) -> Vec<(Option<&str>, String)> {
    let text = text.split('@').next().unwrap_or_default();
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [prefix, _] => vec![
            (Some(GROUP), format!("maven-{prefix}-plugin")),
            (None, format!("{prefix}-maven-plugin")),
        ],
        [group, artifact, _] | [group, artifact, _, _] => {
            vec![(Some(*group), (*artifact).to_owned())]
        }
        _ => Vec::new(),
    }
}

/// Whether an approval names the plugin of a goal.
fn is_approved(text: &str, approves: &dyn Fn(Option<&str>, &str) -> bool) -> bool {
    let plugins = plugins(text);
    plugins
        .iter()
        .any(|(group, artifact)| approves(*group, artifact))
}

/// The plugin that a goal is of; nothing for a phase.
pub(super) fn plugin(text: &str) -> Option<String> {
    let name = canonical(text)?;
    let prefix = name.split(':').next()?;
    Some(format!("maven-{prefix}-plugin"))
}

/// Refuses goals of plugins that nobody answers for, in any version. Whether they run is decided by
/// their bytes; this says beforehand that they cannot.
pub(super) fn answered(
    goals: &[Word],
    answers: impl Fn(&Reference) -> bool,
    approves: &dyn Fn(Option<&str>, &str) -> bool,
) -> Result<(), Finding> {
    for goal in goals {
        if is_approved(&goal.text, approves) {
            continue;
        }
        let Some(artifact) = plugin(&goal.text) else {
            continue;
        };
        let what = Reference {
            group: GROUP.to_owned(),
            artifact,
            ..Reference::default()
        };
        if !answers(&what) {
            let message = format!(
                "`{}:{}` is code that Maven loads into itself, and nobody answers for it",
                what.group, what.artifact
            );
            let finding = Finding::new(Code::CommandRunsCode, &goal.text, message);
            return Err(finding.with_hint(trust_hint(goals)));
        }
    }
    Ok(())
}

/// Whether a rehearsal of these goals makes sense: any of them, but one at least.
pub(super) fn rehearsed(goals: &[Word]) -> Result<Kind, Finding> {
    if goals.is_empty() {
        let message = "no goal is named, so there is nothing to find out";
        return Err(Finding::new(Code::CommandUnknown, "mvn", message));
    }
    Ok(Kind::Resolve)
}

fn one(
    text: &str,
    properties: &BTreeMap<String, String>,
    profile: &Profile,
    approves: &dyn Fn(Option<&str>, &str) -> bool,
) -> Result<Kind, Finding> {
    if moved(text) != StandIns::None {
        return Ok(Kind::Build);
    }
    let known = canonical(text).and_then(|name| profile.command(&name));
    if known.is_some_and(|command| command.does == Does::Install || command.does == Does::Read) {
        return Ok(Kind::Resolve);
    }
    let refuse = |code, message: &str| Err(Finding::new(code, text, message));
    if let Some(command) = known {
        return refuse(Code::CommandRunsCode, &command.why);
    }
    if let Some(why) = plugins(text)
        .iter()
        .find_map(|(_, name)| by_design(name, &[]))
    {
        return refuse(Code::CommandRunsCode, why);
    }
    if is_approved(text, approves) {
        return Ok(Kind::Build);
    }
    if BUILD.contains(&text) {
        return Ok(Kind::Build);
    }
    if TESTED.contains(&text) {
        if skips_tests(properties) {
            return Ok(Kind::Build);
        }
        let hint = "build with `-DskipTests`, and run the tests without v4run";
        return Err(Finding::new(Code::CommandRunsCode, text, TESTS).with_hint(hint));
    }
    if OUTWARD.contains(&text) {
        return refuse(
            Code::CommandRunsCode,
            "it puts what the project made where others use it, after running its tests",
        );
    }
    refuse(
        Code::CommandUnknown,
        "is not a goal that v4run knows to be free of component code",
    )
}

/// Why goals run code by design, if they do and if each of them is of a known kind. Those that v4run
/// builds itself, and any goal that may fetch, are none.
pub(super) fn runs_code(
    goals: &[Word],
    properties: &BTreeMap<String, String>,
) -> Option<&'static str> {
    let mut why = None;
    for goal in goals {
        let text = goal.text.as_str();
        let mut named = plugins(text).into_iter();
        if let Some(runs) = named.find_map(|(_, name)| runner(prefix(&name)?)) {
            why = Some(runs);
        } else if OUTWARD.contains(&text) || (TESTED.contains(&text) && !skips_tests(properties)) {
            why = Some(TESTS);
        } else if !BUILD.contains(&text) && !TESTED.contains(&text) {
            return None;
        }
    }
    why
}

fn skips_tests(properties: &BTreeMap<String, String>) -> bool {
    let skips = ["skipTests", "maven.test.skip"];
    let mut skips = skips.iter().filter_map(|name| properties.get(*name));
    skips.any(|value| value == "true")
}

/// What a goal needs of jars that it only moves about.
fn moved(text: &str) -> StandIns {
    let name = canonical(text).unwrap_or_default();
    if COPIES.contains(&name.as_str()) {
        return StandIns::Files;
    }
    match UNPACKS.contains(&name.as_str()) {
        true => StandIns::Entries,
        false => StandIns::None,
    }
}

/// What stands for jars, if all that the run does is to move them about in one way.
pub(super) fn stand_ins(goals: &[Word]) -> StandIns {
    let mut all = goals.iter().map(|goal| moved(&goal.text));
    let first = all.next().unwrap_or_default();
    match all.all(|other| other == first) {
        true => first,
        false => StandIns::None,
    }
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
    fn nobody_s_goal_is_the_project_s() {
        let profile = Profile::parse(super::super::PROFILE).unwrap();
        let none = BTreeMap::new();
        let given = |name| Given {
            name,
            value: None,
            source: Source::Argv,
        };
        let of = |options: &[Given]| check(&[], &none, options, &profile, &|_, _| false).ok();
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[given("offline")]), None);
        assert_eq!(of(&[given("version")]), Some(Kind::Print));
    }

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
            ("compile", None),
            ("install", Some(Code::CommandRunsCode)),
            ("deploy", Some(Code::CommandRunsCode)),
            ("some:thing", Some(Code::CommandUnknown)),
            ("nonsense", Some(Code::CommandUnknown)),
        ] {
            let result = one(goal, &BTreeMap::new(), &profile, &|_, _| false);
            assert_eq!(result.err().map(|finding| finding.code), code, "{goal}");
        }
        let skipping = BTreeMap::from([("skipTests".to_owned(), "true".to_owned())]);
        let none = |_: Option<&str>, _: &str| false;
        let of = |goal: &str| one(goal, &skipping, &profile, &none);
        assert_eq!(of("package").unwrap(), Kind::Build);
        assert!(of("install").is_err());
        let not = BTreeMap::from([("skipTests".to_owned(), "false".to_owned())]);
        assert!(one("package", &not, &profile, &none).is_err());
    }

    #[test]
    fn an_approved_plugin_s_goals_run_unless_they_run_programs() {
        let profile = Profile::parse(super::super::PROFILE).unwrap();
        let approves = |group: Option<&str>, artifact: &str| {
            group.is_none_or(|group| group == "g") && artifact != "other-maven-plugin"
        };
        let of = |goal: &str| {
            let kind = one(goal, &BTreeMap::new(), &profile, &approves);
            kind.map_err(|finding| finding.code)
        };
        for goal in ["flatten:flatten", "g:flatten-maven-plugin:1:x", "g:any:x"] {
            assert_eq!(of(goal), Ok(Kind::Build), "{goal}");
        }
        for goal in [
            "exec:exec",
            "g:exec-maven-plugin:1:exec",
            "shade:shade",
            "spring-boot:repackage",
        ] {
            assert_eq!(of(goal), Err(Code::CommandRunsCode), "{goal}");
        }
        for goal in ["other:x", "h:flatten-maven-plugin:x", "unknown"] {
            assert_eq!(of(goal), Err(Code::CommandUnknown), "{goal}");
        }
        assert!(by_design("maven-surefire-plugin", WORKERS).is_none());
        assert!(by_design("maven-surefire-plugin", &[]).is_some());
    }
}
