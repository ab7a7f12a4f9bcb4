//! Core extensions of a project: `.mvn/extensions.xml`.
//!
//! Maven loads them into itself before it reads anything else. Each must be approved by name here,
//! before the start; that an approved one has the approved bytes is seen to when it is opened.
//! Maven's page on core extensions.

use std::path::Path;

use crate::manager::{Refusal, read};
use crate::model::xml::Text;
use crate::model::{Code, Finding};
use crate::profile::Policy;

/// The file names a few extensions.
const LIMIT: u64 = 1 << 20;

/// Core extensions are code that Maven loads into itself before anything else. Each must be approved;
/// that an approved one has the approved bytes is seen to when it is opened.
pub(super) fn check(root: &Path, policy: &Policy, hint: &str) -> Result<(), Refusal> {
    let path = root.join(".mvn/extensions.xml");
    let shown = path.display().to_string();
    let refuse = |place: &str, message: String| {
        Refusal::from(Finding::new(Code::ConfigRefused, place, message))
    };
    let bytes = read::inside(root, &path, LIMIT);
    let bytes = bytes.map_err(|error| refuse(&shown, error.to_string()))?;
    let Some(bytes) = bytes else { return Ok(()) };
    let text = Text::decode(&bytes).map_err(|error| refuse(&shown, error.to_string()))?;
    let tree = text.tree("extensions");
    let tree = tree.map_err(|error| refuse(&shown, error.to_string()))?;
    let mut findings = Vec::new();
    for extension in tree.root().all("extension") {
        let child = |name: &str| {
            let child = extension.child(name);
            child
                .map(|child| child.text().into_owned())
                .unwrap_or_default()
        };
        let (group, artifact) = (child("groupId"), child("artifactId"));
        let version = child("version");
        let purl = format!("pkg:maven/{group}/{artifact}@{version}");
        let named = |stated: &str| stated.split(['?', '#']).next() == Some(&purl);
        if policy
            .approvals
            .iter()
            .any(|approval| named(&approval.purl))
        {
            continue;
        }
        let message = format!(
            "`{group}:{artifact}:{version}` is an extension: code that Maven loads into itself, and \
             no approval of the policy names it"
        );
        let place = format!("{shown}:{}", extension.line());
        findings.push(Finding::new(Code::ConfigRefused, place, message).with_hint(hint));
    }
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Refusal {
            findings,
            events: Vec::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, approvals: &str) -> Vec<Finding> {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        std::fs::create_dir(root.join(".mvn")).unwrap();
        std::fs::write(root.join(".mvn/extensions.xml"), text).unwrap();
        std::fs::write(root.join("v4run.toml"), approvals).unwrap();
        let policy = Policy::load(None, &root, &root.join("none")).unwrap();
        let result = check(&root, &policy, "h");
        result
            .err()
            .map_or_else(Vec::new, |refusal| refusal.findings)
    }

    #[test]
    fn each_extension_needs_an_approval() {
        let one = |artifact: &str| {
            format!(
                "<extension><groupId>g</groupId><artifactId>{artifact}</artifactId>\
                 <version>1</version></extension>"
            )
        };
        let text = format!("<extensions>\n{}\n{}\n</extensions>", one("a"), one("b"));
        let all = refused(&text, "");
        assert_eq!(all.len(), 2);
        assert!(all[1].subject.ends_with("extensions.xml:3"), "{all:?}");
        let approval = format!(
            "[[approvals]]\npurl = 'pkg:maven/g/a@1'\nsha256 = '{}'\nowner = 'o'\nreason = 'r'\n",
            "ab".repeat(32)
        );
        let left = refused(&text, &approval);
        assert_eq!(left.len(), 1);
        assert!(left[0].message.contains("g:b:1"), "{left:?}");
        assert!(refused("<extensions/>", "").is_empty());
        assert_eq!(refused("<extensions>", "").len(), 1);
        assert_eq!(refused("<!DOCTYPE x []><extensions/>", "").len(), 1);
    }
}
