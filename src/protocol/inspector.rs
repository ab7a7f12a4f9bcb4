//! The look into an artifact before its first byte goes to the manager.
//!
//! Used by the proxy for what it fetched and by the supervisor for files on disk, each with one of
//! its own. What the protocol finds depends on the bytes and the file name only, so it is kept for
//! the run: a manager may ask for one artifact more than once. Which paths it may write depends on
//! what came before it and is asked each time.
//!
//! Two inspectors do not know of each other's artifacts; both know what is installed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::placing::Placing;
use super::{Artifact, Inspection, Protocol, ReadAt};
use crate::model::Code;
use crate::model::Digest;
use crate::model::Event;
use crate::model::Examined;
use crate::model::Finding;
use crate::model::Layout;

/// What is known of the artifact with a digest and file name.
#[derive(Clone, Debug)]
struct Known {
    outcome: Result<Option<Arc<Inspection>>, Box<Finding>>,
    told: Arc<AtomicBool>,
}

/// What was found in the artifacts of a run, and whose files are whose.
#[derive(Debug)]
pub struct Inspector {
    protocol: &'static dyn Protocol,
    placing: Placing,
    refused: Vec<Code>,
    known: Mutex<HashMap<(Digest, String), Known>>,
}

impl Inspector {
    /// For an install tree of that layout; what `refused` names is not let through when it is found.
    pub fn new(protocol: &'static dyn Protocol, layout: Layout, refused: Vec<Code>) -> Self {
        Self {
            protocol,
            placing: Placing::new(layout),
            refused,
            known: Mutex::default(),
        }
    }

    /// An error when the artifact contradicts itself or would write what is not its own. `sha256`
    /// is that of the content. What is worth telling is told once.
    pub fn look(
        &self,
        artifact: &Artifact<'_>,
        content: &dyn ReadAt,
        sha256: &Digest,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), Box<Finding>> {
        let known = self.outcome(artifact, content, sha256);
        let Some(inspection) = known.outcome? else {
            return Ok(());
        };
        if !known.told.swap(true, Ordering::Relaxed) {
            self.report(&inspection, sha256, tell);
        }
        let mut findings = inspection.findings.iter();
        if let Some(found) = findings.find(|found| self.refused.contains(&found.code)) {
            let message = format!("{}, which the policy refuses", found.message);
            let refused = Finding::new(Code::PolicyRefused, found.subject.clone(), message);
            return Err(Box::new(refused.with_hint(Code::PolicyRefused.remedy())));
        }
        self.placing.claim(&inspection)
    }

    /// Reads what is in an artifact that is likely to be looked at soon; judges and tells nothing.
    pub fn examine(&self, artifact: &Artifact<'_>, content: &dyn ReadAt, sha256: &Digest) {
        self.outcome(artifact, content, sha256);
    }

    fn outcome(&self, artifact: &Artifact<'_>, content: &dyn ReadAt, sha256: &Digest) -> Known {
        let all = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (sha256.clone(), artifact.file.to_owned());
        if let Some(known) = all().get(&key) {
            return known.clone();
        }
        let found = self.protocol.inspect(artifact, content);
        let known = Known {
            outcome: found.map(|inspection| inspection.map(Arc::new)),
            told: Arc::default(),
        };
        all().entry(key).or_insert(known).clone()
    }

    fn report(&self, inspection: &Inspection, sha256: &Digest, tell: &mut dyn FnMut(Event)) {
        for finding in &inspection.findings {
            tell(Event::Found(finding.clone()));
        }
        let examined = &inspection.examined;
        tell(Event::Examined(Examined {
            sha256: Some(sha256.clone()),
            shadows: self.placing.shadows(&examined.programs),
            ..examined.clone()
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Algorithm;
    use crate::protocol::pypi::Pypi;
    use crate::protocol::pypi::wheel::fixture;

    #[test]
    fn an_artifact_is_told_once_and_judged_each_time() {
        let inspector = Inspector::new(&Pypi, Layout::default(), Vec::new());
        let artifact = Artifact {
            name: None,
            version: None,
            file: "left-1.0-py3-none-any.whl",
        };
        let content = fixture::wheel("left", "1.0", &[("left.pth", b"import left\n")]);
        let sha256 = Digest::new(Algorithm::Sha256, vec![1; 32]).unwrap();
        let mut told = Vec::new();
        for _ in 0..2 {
            let look = inspector.look(&artifact, &content, &sha256, &mut |e| told.push(e));
            look.unwrap();
        }
        assert_eq!(told.len(), 2, "{told:?}");
        let other = Digest::new(Algorithm::Sha256, vec![2; 32]).unwrap();
        for _ in 0..2 {
            let look = inspector.look(&artifact, &b"no zip".to_vec(), &other, &mut |_| {});
            assert_eq!(look.unwrap_err().code, Code::ArtifactInvalid);
        }
        let strict = Inspector::new(&Pypi, Layout::default(), vec![Code::StartupCode]);
        let mut told = 0;
        let look = strict.look(&artifact, &content, &sha256, &mut |_| told += 1);
        assert_eq!(look.unwrap_err().code, Code::PolicyRefused);
        assert_eq!(told, 2);
    }
}
