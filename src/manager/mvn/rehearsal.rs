//! What a build would load as code, found out by Maven itself without running any of it.
//!
//! `v4run trust mvn GOAL…` starts Maven with its own core only. Every jar of the local repository is
//! seen without code, and a plugin's description of itself is replaced by one whose goals do nothing.
//! So Maven goes through the whole build, resolves for each plugin and extension exactly what it would
//! load for it, by its own rules, and runs nothing of it. It tells of each class realm in its log,
//! which goes to a private file and is read here afterwards: that says who asks for what. Digests are
//! those that v4run computed when the jars were fetched or opened.
//!
//! What is printed are approvals without owner and reason. The policy refuses them as they are, so that
//! nothing comes into force that nobody answers for. What a plugin fetches by itself when it runs, and
//! a packaging that only an extension knows, stay unseen; the log's errors are told then.
//! <https://maven.apache.org/ref/3.8.7/maven-plugin-api/plugin.html>.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::classfile::{Class, op};
use super::code;
use super::inspect::opened;
use super::xml::escaped;
use crate::manager::read;
use crate::model::maven::Coordinates;
use crate::model::xml::{Element, Text, XmlError};
use crate::model::{Digest, Event, Trust};

/// Name of the file for Maven's log in the private directory for temporary files.
pub(super) const LOG: &str = "rehearsal.log";

/// With every detail, a large build tells some hundred megabytes.
const LIMIT: u64 = 1 << 30;

/// Entry of the class of the goals.
pub(super) const CLASS: &str = "v4run/Rehearsal.class";

const NAME: &str = "v4run/Rehearsal";
const ABOVE: &str = "org/apache/maven/plugin/AbstractMojo";

/// Goals that Maven needs to know of a plugin to plan a build.
const KEPT: [&str; 9] = [
    "goal",
    "phase",
    "requiresProject",
    "requiresOnline",
    "requiresDirectInvocation",
    "aggregator",
    "inheritedByDefault",
    "executePhase",
    "executeGoal",
];

/// The same of the plugin itself.
const OWN: [&str; 6] = [
    "groupId",
    "artifactId",
    "version",
    "goalPrefix",
    "inheritedByDefault",
    "requiredMavenVersion",
];

/// The class of every goal: it does nothing.
pub(super) fn class() -> Vec<u8> {
    let mut class = Class::default();
    class.constructor(ABOVE);
    class.method("execute", "()V", &[op::RETURN]);
    class.finish(NAME, ABOVE, &[], &[])
}

/// A plugin's description with the same goals, each of which does nothing and takes no parameter.
pub(super) fn descriptor(bytes: &[u8]) -> Result<String, XmlError> {
    let text = Text::decode(bytes)?;
    let tree = text.tree("plugin")?;
    let root = tree.root();
    let mut output = String::from("<plugin>");
    copied(root, &OWN, &mut output);
    output.push_str("<mojos>");
    for mojo in root.list("mojos", "mojo") {
        output.push_str("<mojo>");
        copied(mojo, &KEPT, &mut output);
        output.push_str(
            "<implementation>v4run.Rehearsal</implementation><language>java</language>\
             <instantiationStrategy>per-lookup</instantiationStrategy>\
             <executionStrategy>once-per-session</executionStrategy></mojo>",
        );
    }
    output.push_str("</mojos></plugin>");
    Ok(output)
}

fn copied(from: Element<'_>, names: &[&str], output: &mut String) {
    for name in names {
        if let Some(value) = from.value(name) {
            let value = escaped(&value);
            output.push_str(&format!("<{name}>{value}</{name}>"));
        }
    }
}

/// What Maven told of one rehearsal.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// What would be loaded, as `group:artifact:extension[:classifier]:version` or as path below the
    /// local repository, and for whom.
    loaded: BTreeMap<String, BTreeSet<String>>,
    /// Lines of errors.
    errors: Vec<String>,
}

/// Errors that are passed on.
const ERRORS: usize = 20;

fn told(log: &str, local: &Path) -> Told {
    let mut told = Told::default();
    let mut realm = None;
    for line in log.lines() {
        if let Some(text) = line.strip_prefix("[ERROR] ") {
            if told.errors.len() < ERRORS && !text.trim().is_empty() {
                told.errors.push(text.to_owned());
            }
            continue;
        }
        let Some(text) = line.strip_prefix("[DEBUG] ") else {
            continue;
        };
        if let Some(name) = text.strip_prefix("Populating class realm ") {
            realm = asker(name);
            continue;
        }
        // Of an extension of Maven itself the file is told, of the others the name.
        let name = text.strip_prefix("  Included: ").map(str::trim);
        let name = name.or_else(|| {
            let path = Path::new(text.strip_prefix("  Included ")?.trim());
            path.strip_prefix(local).ok()?.to_str()
        });
        if let (Some(name), Some(asker)) = (name, &realm) {
            let entry = told.loaded.entry(name.to_owned());
            entry.or_default().insert(asker.clone());
        }
    }
    told
}

/// For whom a realm is, in words.
fn asker(realm: &str) -> Option<String> {
    let (kind, name) = realm.trim().split_once('>')?;
    // A second part says in which project's name.
    let name = name.split("--").next().unwrap_or(name);
    let word = match kind {
        "plugin" => "plugin",
        "extension" => "extension of the build",
        "coreExtension" => "extension of Maven",
        _ => return None,
    };
    Some(format!("{word} {name}"))
}

/// The path of an artifact below a repository. Of a snapshot the name has the version with its time.
fn paths(name: &str) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let parts: Vec<&str> = name.split(':').collect();
    let (group, artifact, extension, classifier, version) = match parts.as_slice() {
        [group, artifact, extension, version] => (group, artifact, extension, None, version),
        [group, artifact, extension, classifier, version] => {
            (group, artifact, extension, Some(*classifier), version)
        }
        _ => return Vec::new(),
    };
    let extensions = match *extension {
        "jar" => vec!["jar"],
        other => vec![other, "jar"],
    };
    let of = |extension: &str| {
        Coordinates {
            group: (*group).to_owned(),
            artifact: (*artifact).to_owned(),
            base: (*version).to_owned(),
            version: (*version).to_owned(),
            classifier: classifier.map(str::to_owned),
            extension: extension.to_owned(),
        }
        .path()
    };
    extensions.into_iter().map(of).collect()
}

/// The digest of each file below the local repository that was opened in a run, by path.
fn digests<'a>(local: &Path, events: &'a [Event]) -> BTreeMap<String, &'a Digest> {
    let below = |(path, digest): (&Path, &'a Digest)| {
        let below = path.strip_prefix(local).ok()?.to_str()?;
        Some((below.to_owned(), digest))
    };
    events.iter().filter_map(opened).filter_map(below).collect()
}

/// The text for the policy: each jar that would be loaded and that nothing answers for.
pub(super) fn text(
    log: &Path,
    local: &Path,
    trust: &Trust,
    events: &[Event],
) -> Result<String, std::io::Error> {
    let log = read::file(log, LIMIT).map_err(std::io::Error::other)?;
    let log = log.unwrap_or_default();
    let told = told(&String::from_utf8_lossy(&log), local);
    let digests = digests(local, events);
    let mut approvals = String::new();
    let (mut wanted, mut answered) = (0_usize, 0_usize);
    for (name, askers) in &told.loaded {
        let paths = paths(name);
        let mut found = paths
            .iter()
            .filter_map(|path| Some((path, *digests.get(path)?)));
        let Some((path, digest)) = found.next() else {
            approvals.push_str(&format!(
                "# {}: not in the local repository when it was asked for\n\n",
                plain(name)
            ));
            continue;
        };
        if code::reason(&local.join(path), digest, trust)?.is_some() {
            answered = answered.saturating_add(1);
            continue;
        }
        wanted = wanted.saturating_add(1);
        approvals.push_str(&approval(path, digest, askers));
    }
    let mut text = format!(
        "# {} jars would be loaded as code: {answered} are answered for, {wanted} are not.\n",
        told.loaded.len()
    );
    for error in &told.errors {
        text.push_str(&format!("# Maven: {}\n", plain(error)));
    }
    if wanted > 0 {
        text.push_str(
            "# Review each of them, then fill in owner and reason; without both, the policy is refused.\n",
        );
    }
    Ok(format!("{text}\n{}", approvals.trim_end()))
}

fn approval(path: &str, digest: &Digest, askers: &BTreeSet<String>) -> String {
    let purl = Coordinates::from_path(path).and_then(|one| super::inspect::purl(&one));
    let mut text = String::from("[[approvals]]\n");
    for asker in askers {
        text.push_str(&format!("# for {}\n", plain(asker)));
    }
    text.push_str(&format!("purl = \"{}\"\n", purl.unwrap_or_default()));
    text.push_str(&format!("sha256 = \"{}\"\n", digest.hex()));
    text.push_str("owner = \"\"\nreason = \"\"\n\n");
    text
}

/// Foreign text in a comment.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(500)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Approval, Decision};

    #[test]
    fn a_description_keeps_goals_and_nothing_that_acts() {
        let text = b"<plugin><groupId>g</groupId><artifactId>a</artifactId><goalPrefix>x</goalPrefix>\
            <mojos><mojo><goal>one</goal><phase>compile</phase>\
            <requiresDependencyResolution>test</requiresDependencyResolution>\
            <implementation>evil.Goal</implementation><parameters><parameter><name>p</name>\
            <required>true</required></parameter></parameters></mojo>\
            <mojo><goal>two</goal></mojo></mojos><dependencies><dependency/></dependencies></plugin>";
        let written = descriptor(text).unwrap();
        assert!(
            !written.contains("evil") && !written.contains("required"),
            "{written}"
        );
        assert!(!written.contains("dependenc"), "{written}");
        assert_eq!(written.matches("v4run.Rehearsal").count(), 2);
        assert!(written.contains("<goal>one</goal><phase>compile</phase>"));
        assert!(descriptor(b"<other/>").is_err());
        assert!(
            class()
                .windows(ABOVE.len())
                .any(|part| part == ABOVE.as_bytes())
        );
    }

    #[test]
    fn the_log_says_who_asks() {
        let log = "[DEBUG] Populating class realm plugin>g:a:1\n[DEBUG]   Included: g:a:jar:1\n\
                   [DEBUG]   Included: g:b:jar:x:2\n[DEBUG] Populating class realm maven.ext\n\
                   [DEBUG]   Included: /path.jar\n[DEBUG] Populating class realm coreExtension>g:e:1\n\
                   [DEBUG]   Included: g:b:jar:x:2\n[DEBUG]   Included /r/g/e/1/e-1.jar\n\
                   [DEBUG]   Included /other/x.jar\n[ERROR] broken\n[ERROR] \n[INFO] x\n";
        let told = told(log, Path::new("/r"));
        assert_eq!(told.loaded.len(), 3, "{told:?}");
        assert_eq!(paths("g/e/1/e-1.jar"), ["g/e/1/e-1.jar"]);
        assert_eq!(told.loaded["g:b:jar:x:2"].len(), 2);
        assert!(told.loaded["g:a:jar:1"].contains("plugin g:a:1"));
        assert_eq!(told.errors, ["broken"]);
        assert_eq!(paths("g.h:b:jar:x:2"), ["g/h/b/2/b-2-x.jar"]);
        assert_eq!(paths("g:b:maven-plugin:2")[1], "g/b/2/b-2.jar");
        assert!(paths("nonsense").is_empty());
    }

    #[test]
    fn only_what_nothing_answers_for_is_to_be_approved() {
        let guard = tempfile::tempdir().unwrap();
        let log = guard.path().join(LOG);
        std::fs::write(
            &log,
            "[DEBUG] Populating class realm plugin>g:a:1\n[DEBUG]   Included: g:a:jar:1\n\
             [DEBUG]   Included: g:b:jar:2\n[DEBUG]   Included: g:c:jar:3\n",
        )
        .unwrap();
        let digest = |byte| Digest::new(Algorithm::Sha256, vec![byte; 32]).unwrap();
        let open = |path: &str, byte| Event::Call {
            call: "openat".into(),
            subject: format!("/r/{path}"),
            decision: Decision::Allowed,
            digest: Some(digest(byte)),
        };
        let events = [open("g/a/1/a-1.jar", 1), open("g/b/2/b-2.jar", 2)];
        let trust = Trust {
            approved: vec![Approval {
                digest: digest(1),
                why: "x".into(),
            }],
            ..Trust::default()
        };
        let text = text(&log, Path::new("/r"), &trust, &events).unwrap();
        assert!(
            text.starts_with("# 3 jars would be loaded as code: 1 are answered for, 1 are not.")
        );
        assert!(
            text.contains("# g:c:jar:3: not in the local repository"),
            "{text}"
        );
        assert_eq!(text.matches("[[approvals]]").count(), 1);
        assert!(
            text.contains(&"02".repeat(32)) && text.contains("# for plugin g:a:1"),
            "{text}"
        );
        assert!(text.contains("owner = \"\""), "{text}");
    }
}
