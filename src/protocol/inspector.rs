//! The look into an artifact before its first byte goes to the manager.
//!
//! Used by the proxy for what it fetched and by the supervisor for files on disk, each with one of
//! its own. What the protocol finds depends on the bytes and the file name only, so it is kept for
//! the run: a manager may ask for one artifact more than once. Which paths it may write depends on
//! what came before it and is asked each time.
//!
//! Two inspectors do not know of each other's artifacts; both know what is installed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::placing::Placing;
use super::{Artifact, Inspection, Protocol, ReadAt};
use crate::model::Digest;
use crate::model::Event;
use crate::model::Examined;
use crate::model::Finding;
use crate::model::Layout;

type Outcome = Result<Option<Arc<Inspection>>, Box<Finding>>;

/// What was found in the artifacts of a run, and whose files are whose.
#[derive(Debug)]
pub struct Inspector {
    protocol: &'static dyn Protocol,
    placing: Placing,
    known: Mutex<HashMap<(Digest, String), Outcome>>,
}

impl Inspector {
    /// For an install tree of that layout.
    pub fn new(protocol: &'static dyn Protocol, layout: Layout) -> Self {
        Self {
            protocol,
            placing: Placing::new(layout),
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
        let key = (sha256.clone(), artifact.file.to_owned());
        let before = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        let outcome = before.unwrap_or_else(|| {
            let found = self.protocol.inspect(artifact, content);
            let outcome: Outcome = found.map(|inspection| inspection.map(Arc::new));
            if let Ok(Some(inspection)) = &outcome {
                self.report(inspection, sha256, tell);
            }
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(key, outcome.clone());
            outcome
        });
        match outcome? {
            None => Ok(()),
            Some(inspection) => self.placing.claim(&inspection),
        }
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
    use crate::model::Code;
    use crate::protocol::pypi::Pypi;
    use crate::protocol::pypi::wheel::fixture;

    #[test]
    fn an_artifact_is_told_once_and_judged_each_time() {
        let inspector = Inspector::new(&Pypi, Layout::default());
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
    }
}
