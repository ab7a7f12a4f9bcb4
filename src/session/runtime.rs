//! Identity of the programs that take part: digests for the record, and proof that they stayed.
//!
//! The digests are taken by a thread while the run goes on. A program that is not the same file
//! afterwards (device, inode, size, times) is a violation: nothing in a run may change it.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread::JoinHandle;

use crate::model::{Access, Code, Event, Finding, PathRule, Tool};
use crate::verify::hash::sha256_of;

type Identity = (u64, u64, u64, i64, i64, i64, i64);

fn identity(path: &str) -> Option<Identity> {
    let m = std::fs::metadata(path).ok()?;
    Some((
        m.dev(),
        m.ino(),
        m.size(),
        m.mtime(),
        m.mtime_nsec(),
        m.ctime(),
        m.ctime_nsec(),
    ))
}

/// Watches the tools of one run.
#[derive(Debug)]
pub(super) struct Watch {
    before: Vec<(String, Option<Identity>)>,
    digests: Option<JoinHandle<Vec<Tool>>>,
}

impl Watch {
    /// Notes the files as they are and starts hashing them.
    /// Without `hashes` only the latter is left out: a command that installs nothing ends sooner than
    /// a runtime of a hundred megabytes is read.
    ///
    /// A program below a place that the run may write (`npm install -g npm`) is run from a copy and
    /// may change.
    pub(super) fn start(
        tools: &[Tool],
        rules: &[PathRule],
        protected: &[OsString],
        hashes: bool,
    ) -> Self {
        let written = |path: &str| {
            let path = Path::new(path);
            let mut written = rules.iter().filter(|rule| rule.access == Access::Write);
            written.any(|rule| path.starts_with(&rule.path))
                && !protected.iter().any(|root| path.starts_with(root))
        };
        let before = tools
            .iter()
            .filter(|tool| !written(&tool.path))
            .map(|t| (t.path.clone(), identity(&t.path)))
            .collect();
        let mut tools = tools.to_vec();
        tools.push(Tool {
            name: "v4run".to_owned(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            path: std::fs::read_link("/proc/self/exe")
                .map_or_else(|_| "v4run".to_owned(), |path| path.display().to_string()),
            sha256: None,
        });
        let digests = std::thread::Builder::new()
            .name("digests".to_owned())
            .spawn(move || {
                for tool in tools.iter_mut().filter(|_| hashes) {
                    tool.sha256 = File::open(&tool.path)
                        .and_then(|file| sha256_of(&file))
                        .ok();
                }
                tools
            })
            .ok();
        Self { before, digests }
    }

    /// The events to record: every tool, and a violation for each that changed.
    pub(super) fn finish(self) -> Vec<Event> {
        let tools = self
            .digests
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        let mut events: Vec<Event> = tools.into_iter().map(Event::ToolIdentified).collect();
        for (path, before) in self.before {
            if identity(&path) != before {
                let message = format!("`{path}` was changed during the run");
                events.push(Event::Found(Finding::new(
                    Code::RuntimeChanged,
                    path,
                    message,
                )));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_program_is_a_violation() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("tool").display().to_string();
        std::fs::write(&path, "before").unwrap();
        let tool = Tool {
            name: "tool".into(),
            version: None,
            path: path.clone(),
            sha256: None,
        };
        let watch = Watch::start(std::slice::from_ref(&tool), &[], &[], true);
        let calm = watch.finish();
        assert!(!calm.iter().any(|event| matches!(event, Event::Found(_))));
        let watch = Watch::start(&[tool], &[], &[], true);
        std::fs::write(&path, "afterwards").unwrap();
        let changed = watch.finish();
        assert!(changed.iter().any(
            |event| matches!(event, Event::Found(finding) if finding.code == Code::RuntimeChanged)
        ));
    }
}
