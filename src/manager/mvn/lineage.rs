//! Parents of the project that only a repository has, judged when Maven opens their POMs.
//!
//! Maven reads every parent before it makes a plan and loads anything, so a refusal here is as good as one
//! before the start, and names the plugin, the POM and the line. Called with each verified file that holds
//! no code. Which of them are parents is told from the project's POMs and from the parents' own POMs in the
//! local repository, which Maven has read before: files that somebody may have changed, so what is told
//! from them is a ground to refuse and never one to permit. What runs is decided by bytes.
//!
//! POMs of components and of plugins are no parents of the project; what they bind has no effect on it.
//! <https://maven.apache.org/ref/3.8.7/maven-model-builder/>.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::pom::{self, Grounds, LIMIT, Member, Pom, Project, Reference};
use super::prepare::INSTALLED;
use super::{anchors, goals, reactor};
use crate::manager::{Opened, read};
use crate::model::maven::{self, Coordinates};
use crate::model::{Code, Finding, Lineage};

/// More parents than any project has.
const DEPTH: usize = 64;

/// Versions of one parent that are looked at when the project does not say which.
const VERSIONS: usize = 64;

/// Parents in the form of a [`Lineage`].
pub(super) fn named(parents: &[Reference]) -> Vec<String> {
    let all: BTreeSet<String> = parents.iter().map(written).collect();
    all.into_iter().collect()
}

fn written(what: &Reference) -> String {
    let version = what.version.as_deref().unwrap_or_default();
    format!("{}:{}:{version}", what.group, what.artifact)
}

/// What speaks against a file that Maven opens.
pub(super) fn objection(opened: &Opened<'_>) -> io::Result<Option<Finding>> {
    let Some(lineage) = &opened.trust.lineage else {
        return Ok(None);
    };
    let below = opened.path.strip_prefix(&lineage.kept).ok();
    let coordinates = below.and_then(|path| Coordinates::from_path(path.to_str()?));
    let Some(coordinates) = coordinates.filter(|one| one.extension == "pom") else {
        return Ok(None);
    };
    if !is_parent(lineage, &coordinates) {
        return Ok(None);
    }
    let length = opened.content.metadata()?.len();
    let mut bytes = vec![0; usize::try_from(length.min(LIMIT)).unwrap_or_default()];
    opened.content.read_exact_at(&mut bytes, 0)?;
    let read = match length > LIMIT {
        true => Err((None, "it is too large".to_owned())),
        false => pom::read(&bytes).map_err(|error| (error.line(), error.to_string())),
    };
    Ok(match read {
        Ok(pom) => judged(lineage, opened.path, pom),
        Err((line, error)) => Some(refusal(opened.path, line, &error)),
    })
}

fn refusal(path: &Path, line: Option<u32>, error: &str) -> Finding {
    let shown = path.display().to_string();
    let place = line.map_or_else(|| shown.clone(), |line| format!("{shown}:{line}"));
    let message = format!("a parent of the project cannot be judged: {error}");
    Finding::new(Code::BuildRefused, place, message)
}

/// Whether the project inherits from a POM.
fn is_parent(lineage: &Lineage, what: &Coordinates) -> bool {
    let mut waiting: Vec<String> = lineage.parents.clone();
    let mut seen = BTreeSet::new();
    while let Some(named) = waiting.pop() {
        if !seen.insert(named.clone()) || seen.len() > DEPTH {
            continue;
        }
        let mut parts = named.splitn(3, ':');
        let [group, artifact, version] = [(); 3].map(|()| parts.next().unwrap_or_default());
        let fixed = maven::is_version(version);
        let same = what.group == group && what.artifact == artifact;
        if same && (!fixed || what.base == version) {
            return true;
        }
        if !group.split('.').all(maven::is_name) || !maven::is_name(artifact) {
            continue;
        }
        let place = Path::new(&lineage.kept)
            .join(group.replace('.', "/"))
            .join(artifact);
        let versions = match fixed {
            true => vec![version.to_owned()],
            false => versions(&place),
        };
        for version in versions {
            let path = place
                .join(&version)
                .join(format!("{artifact}-{version}.pom"));
            let pom = read::file(&path, LIMIT).ok().flatten();
            let pom = pom.and_then(|bytes| pom::read(&bytes).ok());
            waiting.extend(pom.and_then(|pom| Some(written(pom.parent.as_ref()?))));
        }
    }
    false
}

/// The versions of an artifact that are kept.
fn versions(place: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| maven::is_version(name))
        .take(VERSIONS)
        .collect()
}

/// What speaks against a parent. All of it is said in one finding, because it is read once.
fn judged(lineage: &Lineage, path: &Path, pom: Pom) -> Option<Finding> {
    let member = Member {
        path: path.to_path_buf(),
        pom,
    };
    let answered = |what: &Reference| {
        let start = format!("{}:{}:", what.group, what.artifact);
        let approved = lineage.approved.iter().any(|one| match &what.version {
            Some(version) => *one == format!("{start}{version}"),
            None => one.starts_with(&start),
        });
        approved || anchors::is_installed(Path::new(INSTALLED), what)
    };
    let tests = match lineage.builds {
        true => member.pom.tests.clone(),
        false => Vec::new(),
    };
    let names = lineage.members.iter().cloned().collect();
    let mut findings = match lineage.builds {
        true => reactor::inherited(&member, &names, &tests),
        false => Vec::new(),
    };
    let project = Project {
        members: vec![member],
        ..Project::default()
    };
    findings.extend(pom::judge(
        &project,
        &Grounds {
            answered: &answered,
            // The proxy sees every address itself.
            mirrored: &|_, _| true,
            runs: &|phase| lineage.builds && goals::is_early(phase),
            by_design: &|artifact| goals::by_design(artifact, goals::WORKERS),
            hint: &lineage.hint,
        },
    ));
    let mut findings = findings.into_iter();
    let first = findings.next()?;
    let all = findings.fold(first.message, |all, one| {
        format!("{all}\n{}: {}", one.subject, one.message)
    });
    let message = format!("a parent of the project is refused: {all}");
    let finding = Finding::new(Code::BuildRefused, first.subject, message);
    Some(match first.hint {
        Some(hint) => finding.with_hint(hint),
        None => finding,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::Trust;
    use crate::verify::hash::sha256;

    fn parent(artifact: &str) -> String {
        format!(
            "<parent><groupId>g</groupId><artifactId>{artifact}</artifactId><version>1</version></parent>"
        )
    }

    fn bound(group: &str) -> String {
        format!(
            "<build><plugins>\n<plugin><groupId>{group}</groupId><artifactId>p</artifactId>\
             <version>1</version><executions><execution><phase>validate</phase></execution>\
             </executions></plugin></plugins></build>"
        )
    }

    /// What is said of a POM when Maven opens it.
    fn opened(root: &Path, artifact: &str, parents: &[&str]) -> Option<Finding> {
        let path = root.join(format!("g/{artifact}/1/{artifact}-1.pom"));
        let lineage = Lineage {
            kept: root.into(),
            parents: parents.iter().map(|one| (*one).to_owned()).collect(),
            members: vec!["m:p".to_owned()],
            approved: vec!["ok:p:1".to_owned()],
            builds: true,
            hint: "h".to_owned(),
        };
        objection(&Opened {
            path: &path,
            sha256: &sha256(b""),
            content: &fs::File::open(&path).unwrap(),
            trust: &Trust {
                lineage: Some(lineage),
                ..Trust::default()
            },
            own: false,
        })
        .unwrap()
    }

    #[test]
    fn parents_of_parents_are_judged_and_no_other_pom() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let put = |artifact: &str, body: &str| {
            let place = root.join(format!("g/{artifact}/1"));
            fs::create_dir_all(&place).unwrap();
            let text = format!("<project><artifactId>{artifact}</artifactId>{body}</project>");
            fs::write(place.join(format!("{artifact}-1.pom")), text).unwrap();
        };
        put("up", &parent("top"));
        put("top", &format!("{}{}", parent("up"), bound("evil")));
        put("other", &bound("evil"));
        put("approved", &bound("ok"));
        put("member", &bound("m"));
        put(
            "tests",
            "<build><plugins><plugin><artifactId>maven-surefire-plugin</artifactId>\
             <configuration><skip>false</skip></configuration></plugin></plugins></build>",
        );
        put("broken", "<version>1</version><version>2</version>");
        let found = opened(&root, "top", &["g:up:1"]).unwrap();
        assert_eq!(found.code, Code::BuildRefused);
        assert!(found.subject.ends_with("top-1.pom:2"), "{found:?}");
        assert!(
            found.message.contains("`evil:p:1`") && found.hint.is_some(),
            "{found:?}"
        );
        for named in ["g:top:1", "g:top:${v}", "g:up:[1,2)"] {
            assert!(opened(&root, "top", &[named]).is_some(), "{named}");
        }
        for (artifact, named) in [
            ("up", "g:up:1"),
            ("approved", "g:approved:1"),
            ("other", "g:up:1"),
            ("other", "g:other:2"),
            ("other", "g:../../x:1"),
        ] {
            assert_eq!(opened(&root, artifact, &[named]), None, "{artifact}");
        }
        for artifact in ["member", "tests", "broken"] {
            assert!(
                opened(&root, artifact, &[&format!("g:{artifact}:1")]).is_some(),
                "{artifact}"
            );
        }
    }
}
