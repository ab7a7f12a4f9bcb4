//! Signatures in files of their own: a publisher's by a pinned key, and bundles.
//!
//! A publisher's signature is asked for where the policy pins a key for the name, and a bundle where it says
//! from which source the name comes: without that nothing can come of them, and nobody is asked. What is
//! not there is unknown, what contradicts a refusal.

use url::Url;

use super::ask::{Answer, Hearing};
use super::judge::both;
use super::{Job, Offer, limits, unknown};
use crate::model::{Check, Finding, Integrity, Proof, Standing, Vouched};
use crate::protocol::{Attestation, Detached};
use crate::proxy::pipeline::Pipeline;
use crate::store::Content;
use crate::verify::hash::pieces;
use crate::verify::signatures::{Judgement, Publisher, judge_detached, stamp};

impl Pipeline {
    /// What lies beside an artifact.
    pub(super) async fn detached(
        &self,
        job: &Job,
        offer: &Offer,
        vouched: &mut Vouched,
        findings: &mut Vec<Finding>,
        hearing: &mut Hearing,
    ) {
        let judge = &self.vouching.judge;
        let keys = judge.publishers(&job.named.name);
        let sourced = judge.pin(&job.named.name).is_some();
        let all = judge.signs.detached(&job.url);
        if !all.is_empty() && keys.is_empty() && !sourced {
            vouched.unasked =
                Some("no key of its publisher and no source of it is pinned".to_owned());
            return;
        }
        for (form, url) in all {
            match form {
                Detached::OpenPgp if keys.is_empty() => {}
                Detached::OpenPgp => {
                    let (check, finding) = self.publisher(job, offer, &url, &keys, hearing).await;
                    vouched.checks.push(check);
                    findings.extend(finding);
                }
                Detached::Bundle if sourced => {
                    self.bundle(job, offer, &url, vouched, findings, hearing)
                        .await;
                }
                Detached::Bundle => {}
            }
        }
    }

    async fn publisher(
        &self,
        job: &Job,
        offer: &Offer,
        url: &Url,
        keys: &[&Publisher],
        hearing: &mut Hearing,
    ) -> (Check, Option<Finding>) {
        let proof = Proof::PublisherSignature;
        let plain = |reason: &str| (unknown(proof, reason.to_owned()), None);
        let body = match self
            .question(hearing, url, "*/*", limits::DETACHED, offer)
            .await
        {
            Answer::Body(body) => body,
            Answer::Absent => return plain("the repository has no signature beside it"),
            Answer::Failed(reason) => return plain(&reason),
        };
        let content = match self.whole(job) {
            Ok(content) => content,
            Err(reason) => return plain(&reason),
        };
        match judge_detached(&body, keys, &content) {
            Judgement::Holds(signed) => {
                let check = Check {
                    proof,
                    standing: Standing::Verified,
                    signer: Some(signed.fingerprint),
                    time: Some(stamp(signed.time)),
                    reason: Some("the time is the signer's own word".to_owned()),
                };
                (check, None)
            }
            Judgement::Unknown(reason) => plain(&reason),
            Judgement::Invalid(reason) => {
                let (check, finding) = self.vouching.judge.refused(proof, job.about(), reason);
                (check, Some(finding))
            }
        }
    }

    /// The bytes of what was released, as they lie in the store.
    fn whole(&self, job: &Job) -> Result<Vec<u8>, String> {
        if job.digests.size > limits::SIGNED {
            return Err(format!(
                "it has {} bytes, and signatures are checked up to {}",
                job.digests.size,
                limits::SIGNED
            ));
        }
        let lost = || "its bytes are no longer in the store".to_owned();
        let mut promises = both(&job.digests).map(|digest| Integrity::of(digest.clone()));
        let found = promises.find_map(|promise| self.blobs.find(&[promise]).ok().flatten());
        let (content, digests) = found.ok_or_else(lost)?;
        if digests.sha256 != job.digests.sha256 {
            return Err(lost());
        }
        match content {
            Content::Memory(chunks) => Ok(chunks.concat()),
            Content::File(file, _) => {
                let read: std::io::Result<Vec<_>> = pieces(&file).collect();
                read.map(|read| read.concat()).map_err(|_error| lost())
            }
        }
    }

    async fn bundle(
        &self,
        job: &Job,
        offer: &Offer,
        url: &Url,
        vouched: &mut Vouched,
        findings: &mut Vec<Finding>,
        hearing: &mut Hearing,
    ) {
        let judge = &self.vouching.judge;
        let proof = Proof::Provenance;
        let body = match self
            .question(
                hearing,
                url,
                "application/json",
                limits::ATTESTATIONS,
                offer,
            )
            .await
        {
            Answer::Body(body) => body,
            Answer::Absent => {
                let reason = "the repository has no bundle beside it".to_owned();
                vouched.checks.push(unknown(proof, reason));
                return;
            }
            Answer::Failed(reason) => {
                vouched.checks.push(unknown(proof, reason));
                return;
            }
        };
        let content = match self.whole(job) {
            Ok(content) => content,
            Err(reason) => {
                vouched.checks.push(unknown(proof, reason));
                return;
            }
        };
        let attestation = Attestation {
            bundle: String::from_utf8_lossy(&body).into_owned(),
            by_repository: false,
            publisher: None,
            over: Some(content),
        };
        let about = job.about();
        let (check, built, finding) = judge.attestation(
            &job.repository,
            about,
            &attestation,
            None,
            None,
            &job.digests,
        );
        vouched.checks.push(check);
        vouched.built = built;
        findings.extend(finding);
    }
}
