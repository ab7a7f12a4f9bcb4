//! The look into an artifact before its first byte goes to the manager.
//!
//! What the protocol finds depends on the bytes and the file name only, so it is kept for the run:
//! a manager may ask for one artifact more than once. Which paths it may write depends on what came
//! before it and is asked each time. Untrusted content is read here, in the proxy's confinement.
//!
//! It blocks the proxy's one thread while it reads; managers wait for that very artifact.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use super::expect::Named;
use super::pipeline::Pipeline;
use crate::model::Digest;
use crate::model::Event;
use crate::model::Examined;
use crate::model::Finding;
use crate::model::Layout;
use crate::protocol::Artifact;
use crate::protocol::Inspection;
use crate::protocol::Placing;
use crate::protocol::ReadAt;
use crate::store::Content;
use crate::verify::Digests;

type Outcome = Result<Option<Arc<Inspection>>, Finding>;

/// What was found in the artifacts of a run, and whose files are whose.
#[derive(Debug)]
pub(super) struct Inspector {
    placing: Placing,
    known: Mutex<HashMap<(Digest, String), Outcome>>,
}

impl Inspector {
    /// For an install tree of that layout.
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            placing: Placing::new(layout),
            known: Mutex::default(),
        }
    }

    fn known(&self, key: &(Digest, String)) -> Option<Outcome> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).cloned()
    }

    fn keep(&self, key: (Digest, String), outcome: &Outcome) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, outcome.clone());
    }
}

impl Pipeline {
    /// An error when the artifact contradicts itself or would write what is not its own.
    pub(super) fn look_into(
        &self,
        named: &Named,
        url: &Url,
        content: &Content,
        digests: &Digests,
    ) -> Result<(), Finding> {
        let last = url.path().rsplit('/').next().unwrap_or_default();
        let file = named.file.as_deref().unwrap_or(last);
        let key = (digests.sha256.clone(), file.to_owned());
        let outcome = match self.inspector.known(&key) {
            Some(outcome) => outcome,
            None => {
                let artifact = Artifact {
                    name: Some(&named.name),
                    version: Some(&named.version),
                    file,
                };
                let outcome = self
                    .protocol
                    .inspect(&artifact, opened(content).as_ref())
                    .map(|inspection| inspection.map(Arc::new))
                    .map_err(|finding| *finding);
                self.inspector.keep(key, &outcome);
                if let Ok(Some(inspection)) = &outcome {
                    self.report(inspection, digests);
                }
                outcome
            }
        };
        match outcome? {
            None => Ok(()),
            Some(inspection) => self
                .inspector
                .placing
                .claim(&inspection)
                .map_err(|finding| *finding),
        }
    }

    fn report(&self, inspection: &Inspection, digests: &Digests) {
        for finding in &inspection.findings {
            self.events.found(finding);
        }
        let examined = &inspection.examined;
        self.events.event(Event::Examined(Examined {
            sha256: Some(digests.sha256.clone()),
            shadows: self.inspector.placing.shadows(&examined.programs),
            ..examined.clone()
        }));
    }
}

fn opened(content: &Content) -> Box<dyn ReadAt + '_> {
    match content {
        // Content in memory is small.
        Content::Memory(pieces) => Box::new(pieces.concat()),
        Content::File(file, _) => Box::new(Shared(file)),
    }
}

struct Shared<'a>(&'a File);

impl ReadAt for Shared<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        ReadAt::read_at(self.0, buffer, offset)
    }

    fn size(&self) -> std::io::Result<u64> {
        ReadAt::size(self.0)
    }
}
