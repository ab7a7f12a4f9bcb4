//! What signatures are worth in this run: keys and roots of the plan before those of the repository.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::SystemTime;

use super::{Digests, SigningError, unknown};
use crate::model::{
    Built, Check, Code, ControlId, Digest, Finding, Proof, Repository, Signing, SourcePin,
    Standing, redact_text,
};
use crate::protocol::{About, Attestation, Protocol, Published, Signs};
use crate::verify::signatures::{
    Attested, Judgement, Key, Keys, Publisher, Roots, Signed, Subject, moment, same_repository,
    stamp,
};

/// Everything that a check needs and that does not change in a run.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) signs: &'static dyn Signs,
    /// Keys of the plan by repository.
    trusted: HashMap<String, Keys>,
    none: Keys,
    sources: Vec<SourcePin>,
    publishers: Vec<Publisher>,
    /// Read when the first attestation is met: most runs meet none.
    roots: OnceLock<Result<Roots, String>>,
    replaced: Option<String>,
}

impl Judge {
    pub(super) fn new(
        protocol: &'static dyn Protocol,
        signing: Signing,
        repositories: &[Repository],
    ) -> Result<Self, SigningError> {
        let mut trusted = HashMap::new();
        for repository in repositories {
            let of = signing.origins.iter();
            let of = of.filter(|one| one.origin == repository.origin);
            let keys = of.flat_map(|one| &one.keys).map(|stated| {
                Key::read(stated).map_err(|source| SigningError::Key {
                    stated_in: stated.stated_in.clone(),
                    source,
                })
            });
            let keys = keys.collect::<Result<Keys, _>>()?;
            if !keys.is_empty() {
                trusted.insert(repository.id.clone(), keys);
            }
        }
        let roots = OnceLock::new();
        if let Some(json) = &signing.roots {
            let read = Roots::new(Some(json)).map_err(SigningError::Roots)?;
            let _ = roots.set(Ok(read));
        }
        let publishers = signing.publishers.iter().map(|stated| {
            Publisher::read(stated).map_err(|source| SigningError::Publisher {
                stated_in: stated.stated_in.clone(),
                source,
            })
        });
        Ok(Self {
            publishers: publishers.collect::<Result<_, _>>()?,
            signs: protocol.signs(),
            trusted,
            none: Keys::default(),
            sources: signing.sources,
            roots,
            replaced: signing.roots,
        })
    }

    /// Whether keys of the plan speak for a repository.
    pub(super) fn has_keys(&self, repository: &str) -> bool {
        self.trusted.contains_key(repository)
    }

    fn keys(&self, repository: &str) -> &Keys {
        self.trusted.get(repository).unwrap_or(&self.none)
    }

    fn roots(&self) -> Result<&Roots, &String> {
        let read = || Roots::new(self.replaced.as_deref()).map_err(|error| error.to_string());
        self.roots.get_or_init(read).as_ref()
    }

    /// The pin of a name: of several the one that says most.
    pub(super) fn pin(&self, name: &str) -> Option<&SourcePin> {
        let of = self.sources.iter().filter(|pin| covers(&pin.name, name));
        of.max_by_key(|pin| says(&pin.name))
    }

    /// The keys of a name's publisher: those that are stated for it in the narrowest way.
    pub(super) fn publishers(&self, name: &str) -> Vec<&Publisher> {
        let of = || {
            self.publishers
                .iter()
                .filter(|key| covers(key.name(), name))
        };
        let narrowest = of().map(|key| says(key.name())).max();
        of().filter(|key| Some(says(key.name())) == narrowest)
            .collect()
    }

    /// A check that contradicts, and the refusal for it.
    pub(super) fn refused(
        &self,
        proof: Proof,
        about: About<'_>,
        reason: String,
    ) -> (Check, Finding) {
        let finding = invalid(proof, about, &reason);
        (contradiction(proof, reason), finding)
    }

    /// Checks the repository's signatures over a version; nothing where it states none.
    pub(super) fn signature(
        &self,
        repository: &str,
        about: About<'_>,
        published: &Published,
        own: Option<&Keys>,
        digests: &Digests,
    ) -> Option<Result<Check, Finding>> {
        let integrity = published.integrity.as_deref()?;
        if published.signatures.is_empty() {
            return None;
        }
        let all: Vec<&Digest> = both(digests).collect();
        let signed = Signed {
            name: about.name,
            version: about.version,
            integrity,
            published: published.time.as_deref().and_then(moment),
            now: SystemTime::now(),
        };
        let by = |keys: &Keys| signed.judge(&published.signatures, keys, &all);
        let trusted = self.keys(repository);
        let (judged, standing) = preferred(trusted, own, by);
        Some(match judged {
            Judgement::Holds(key) => Ok(Check {
                proof: Proof::RegistrySignature,
                standing,
                signer: Some(key),
                time: None,
                reason: None,
            }),
            Judgement::Unknown(reason) => Ok(unknown(Proof::RegistrySignature, reason)),
            Judgement::Invalid(reason) => Err(invalid(Proof::RegistrySignature, about, &reason)),
        })
    }

    /// Checks one attestation.
    pub(super) fn attestation(
        &self,
        repository: &str,
        about: About<'_>,
        attestation: &Attestation,
        claimed: Option<&str>,
        own: Option<&Keys>,
        digests: &Digests,
    ) -> (Check, Option<Built>, Option<Finding>) {
        let proof = match attestation.by_repository {
            true => Proof::PublishAttestation,
            false => Proof::Provenance,
        };
        let plain = |reason: String| (unknown(proof, reason), None, None);
        let Some(name) = self.signs.subject(about) else {
            return plain("the protocol has no name for it in attestations".to_owned());
        };
        let roots = match self.roots() {
            Ok(roots) => roots,
            Err(reason) => return plain(reason.clone()),
        };
        let all: Vec<&Digest> = both(digests).collect();
        let subject = Subject {
            name: &name,
            digests: &all,
        };
        let by = |keys: &Keys| match &attestation.over {
            Some(content) => roots.judge_beside(&attestation.bundle, &subject, keys, content),
            None => roots.judge(&attestation.bundle, &subject, keys),
        };
        let (judged, standing) = preferred(self.keys(repository), own, by);
        match judged {
            Judgement::Unknown(reason) => {
                let state = roots.state(SystemTime::now());
                plain(format!("{reason} ({state})"))
            }
            Judgement::Invalid(reason) => {
                let finding = invalid(proof, about, &reason);
                (contradiction(proof, reason), None, Some(finding))
            }
            Judgement::Holds(attested) if attested.key.is_some() => {
                let check = Check {
                    proof: Proof::PublishAttestation,
                    standing,
                    signer: attested.key,
                    time: attested.time.map(stamp),
                    reason: None,
                };
                (check, None, None)
            }
            Judgement::Holds(attested) => {
                let claimed = attestation.publisher.as_deref().or(claimed);
                let reason = Some(roots.state(SystemTime::now()));
                self.provenance(about, attested, claimed, reason)
            }
        }
    }

    /// A certificate holds; now it must be the right one.
    fn provenance(
        &self,
        about: About<'_>,
        attested: Attested,
        claimed: Option<&str>,
        reason: Option<String>,
    ) -> (Check, Option<Built>, Option<Finding>) {
        let proof = Proof::Provenance;
        let pin = self.pin(about.name);
        let expected = match pin {
            Some(pin) => Some((pin.repository.as_str(), pin.stated_in.as_str())),
            None => claimed.map(|claimed| (claimed, "the repository's own word")),
        };
        let actual = attested.repository.as_deref();
        if let Some((expected, stated_in)) = expected
            && !actual.is_some_and(|actual| same_repository(actual, expected))
        {
            let actual = actual.unwrap_or("nothing");
            let reason = redact_text(&format!(
                "it was built from {actual}, expected is {expected} ({stated_in})"
            ));
            let finding = invalid(proof, about, &reason);
            return (contradiction(proof, reason), None, Some(finding));
        }
        let check = Check {
            proof,
            standing: Standing::Verified,
            signer: attested.identity.clone(),
            time: attested.time.map(stamp),
            reason,
        };
        if expected.is_none() {
            // Anybody may sign anything that he built from a source of his own.
            let source = actual.unwrap_or("no source");
            let reason = format!(
                "it holds, built from {source}, and nobody says whether that is the right one"
            );
            let check = Check {
                standing: Standing::Unknown,
                reason: Some(redact_text(&reason)),
                ..check
            };
            return (check, None, None);
        }
        let built = attested.repository.zip(attested.commit);
        let built = built.map(|(repository, commit)| Built {
            repository,
            commit,
            reference: attested.reference,
            builder: attested.identity,
            pinned: pin.is_some(),
        });
        (check, built, None)
    }
}

/// Whether a stated name, or the beginning of one with a final `*`, is for that name.
fn covers(stated: &str, name: &str) -> bool {
    match stated.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => stated == name,
    }
}

/// How much a stated name says.
fn says(stated: &str) -> (bool, usize) {
    (!stated.ends_with('*'), stated.len())
}

/// By the keys of the plan, or else by those of the repository itself, and what that is worth.
fn preferred<T>(
    trusted: &Keys,
    own: Option<&Keys>,
    by: impl Fn(&Keys) -> Judgement<T>,
) -> (Judgement<T>, Standing) {
    let judged = by(trusted);
    match (judged, own) {
        // Where somebody named keys, the repository's own word adds nothing to them.
        (Judgement::Unknown(_), Some(own)) if trusted.is_empty() && !own.is_empty() => {
            (by(own), Standing::Observed)
        }
        (judged, _) => (judged, Standing::Verified),
    }
}

/// The digests that signatures and attestations name.
pub(super) fn both(digests: &Digests) -> impl Iterator<Item = &Digest> {
    std::iter::once(&digests.sha256).chain(&digests.sha512)
}

fn contradiction(proof: Proof, reason: String) -> Check {
    Check {
        proof,
        standing: Standing::Invalid,
        signer: None,
        time: None,
        reason: Some(reason),
    }
}

/// The refusal for something that does not hold.
fn invalid(proof: Proof, about: About<'_>, reason: &str) -> Finding {
    let mut finding = Finding::new(
        Code::SignatureInvalid,
        format!("{}@{}", about.name, about.version),
        format!("its {} does not hold: {reason}", proof.name()),
    )
    .with_hint(Code::SignatureInvalid.remedy());
    if proof == Proof::Provenance {
        finding.control = Some(const { ControlId::new(10) });
    }
    finding
}
