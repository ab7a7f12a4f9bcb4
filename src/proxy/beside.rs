//! Digests that lie in files beside what they speak of.
//!
//! Called by the [pipeline](super::pipeline) for protocols whose index states no digest: an artifact
//! that no lock or policy knows is fetched together with all its side files, and passes when every
//! one that is there matches and at least one is. The same repository serves both, so this shows that
//! the bytes came as they were sent; from then on the run, and through the first-seen ledger every
//! later one, holds the file to what it was. What the manager asks to check for itself is answered
//! from what was computed here. With such a protocol an address says whose an artifact is, so that a
//! name which belongs to one repository is not looked for in another.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;
use url::Url;

use super::answer::Answer;
use super::artifact::Artifact;
use super::expect::{Named, Promise};
use super::pipeline::Pipeline;
use super::sides::{Stated, Which};
use super::upstream::{Ask, Fetched};
use crate::model::Algorithm;
use crate::model::Anchor;
use crate::model::Code;
use crate::model::Digest;
use crate::model::Expected;
use crate::model::Finding;
use crate::model::Integrity;
use crate::model::Source;
use crate::model::redact_url;
use crate::store::Content;
use crate::store::Item;
use crate::store::Spool;
use crate::verify::Digests;
use crate::verify::Hashed;
use crate::verify::Hashing;
use crate::verify::Verified;
use crate::verify::hash::sha1_of;

/// Lets a manager that knows it check a body without another request.
const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum-sha1");

/// An artifact that was fetched and that its side files agree on.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) content: Content,
    digests: Digests,
    stated: Stated,
}

/// The digests of what was given out, by address.
#[derive(Debug, Default)]
pub(super) struct GivenOut(Mutex<HashMap<Url, Given>>);

#[derive(Debug)]
struct Given {
    sha1: Option<Digest>,
    sha256: Digest,
    sha512: Option<Digest>,
    /// Whether something stated a digest of it.
    compared: bool,
}

impl GivenOut {
    fn note(&self, url: &Url, digests: &Digests, compared: bool) {
        let given = Given {
            sha1: digests.sha1.clone(),
            sha256: digests.sha256.clone(),
            sha512: digests.sha512.clone(),
            compared,
        };
        self.all().insert(url.clone(), given);
    }

    fn digest(&self, url: &Url, algorithm: Algorithm) -> Option<Digest> {
        let all = self.all();
        let given = all.get(url)?;
        match algorithm {
            Algorithm::Sha1 => given.sha1.clone(),
            Algorithm::Sha256 => Some(given.sha256.clone()),
            Algorithm::Sha512 => given.sha512.clone(),
            Algorithm::Md5 | Algorithm::Sha384 => None,
        }
    }

    /// The SHA-256 of what was given out after a comparison.
    pub(super) fn compared(&self, url: &Url) -> Option<Digest> {
        let all = self.all();
        let given = all.get(url).filter(|given| given.compared)?;
        Some(given.sha256.clone())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Url, Given>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    /// The answer to the manager's own question for a digest.
    pub(super) fn side_file(&self, of: &Url, algorithm: Algorithm) -> Answer {
        match self.given_out.digest(of, algorithm) {
            Some(digest) => Answer::text(StatusCode::OK, digest.hex()),
            None => {
                let text = "v4run: no such digest of what was given out in this run\n";
                Answer::text(StatusCode::NOT_FOUND, text.to_owned())
            }
        }
    }

    /// The answer of a repository to which an artifact does not belong.
    pub(super) fn withheld(&self, named: &Named, url: &Url) -> Result<Option<Answer>, Finding> {
        let pin = self.belonging.pin(&named.name);
        match (pin, self.repositories.of(url)) {
            (Some(pin), Some(repository))
                if pin.repository != repository.id && self.states_beside(url) =>
            {
                self.elsewhere(&named.name, pin).map(Some)
            }
            (_, _) => Ok(None),
        }
    }

    pub(super) fn states_beside(&self, url: &Url) -> bool {
        !self.protocol.side_files(url).is_empty()
    }

    /// An artifact that nothing promises: fetched and compared with its side files, where the
    /// protocol has them. `missing` says that nothing is known.
    pub(super) async fn unpromised(
        &self,
        missing: Finding,
        named: Option<&Named>,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Answer, Finding> {
        let sides = self.protocol.side_files(url);
        let absent = missing.code == Code::IntegrityMissing && !sides.is_empty();
        let Some(named) = named.filter(|_| absent) else {
            return Err(missing);
        };
        if self.closed {
            return self.outside(missing, &sides, url, headers).await;
        }
        let compared = match self.leads.compared(url).await {
            Some(compared) => compared,
            None => match self.compared(named, url, headers).await? {
                Fetched::Complete { body, .. } => body,
                Fetched::Failed {
                    status,
                    headers,
                    body,
                } => return Ok(self.failed(url, status, &headers, body)),
            },
        };
        let Compared {
            content,
            digests,
            stated,
        } = compared;
        let expected = expected(named, &digests, &stated);
        let promised: Vec<Integrity> = expected.integrity.iter().cloned().collect();
        let repository = self.repositories.of(url).map(|found| found.id.as_str());
        let promise = Promise {
            named: named.clone(),
            repository: repository.map(Into::into),
            describes: false,
            integrities: promised,
            anchor: expected.anchor,
            stated: expected.stated_in.clone(),
        };
        if !self.protocol.is_changing(&named.version) {
            self.expectations.add(vec![expected], repository);
        }
        self.release(promise, url, content, digests, Source::Network)
            .await
    }

    /// Fetches an artifact with its side files, compares them, and keeps what passed.
    pub(super) async fn compared(
        &self,
        named: &Named,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Fetched<Compared>, Finding> {
        let sides = self.protocol.side_files(url);
        let limit = self.protocol.artifact_limit();
        let start = || Artifact(Hashing::new(Spool::new(self.blobs.directory()), []).complete());
        let (fetched, stated) = tokio::join!(
            self.fetch(url, headers.clone(), limit, false, start),
            self.stated(&sides, Which::Had(url), &headers)
        );
        let (from, headers, hashed) = match fetched?.complete() {
            ControlFlow::Continue((url, headers, body)) => (url, headers, body.0.finish()),
            ControlFlow::Break(failed) => return Ok(failed),
        };
        let told = stated?;
        let subject = format!("{}@{}", named.name, named.version);
        let verified = compare(hashed, &told.stated, subject, url)?;
        self.learn(url, &told);
        let stated = told.stated;
        let promised = Integrity::of(verified.digests().sha256.clone());
        let kept = self.blobs.keep(verified, std::slice::from_ref(&promised));
        let (content, digests) = kept.map_err(|error| super::artifact::store(&error))?;
        let body = Compared {
            content,
            digests,
            stated,
        };
        Ok(Fetched::Complete {
            url: from,
            headers,
            body,
        })
    }

    /// An artifact that a complete lock does not name. Managers look for what nobody has, and that is
    /// an ordinary answer; what is there is refused.
    async fn outside(
        &self,
        missing: Finding,
        sides: &[(Algorithm, Url)],
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Answer, Finding> {
        // Not every repository answers `HEAD`; one that states a digest has the file.
        let told = self.stated(sides, Which::All, &headers).await?;
        if !told.stated.is_empty() {
            return Err(missing);
        }
        let ask = Ask {
            method: Method::HEAD,
            url: url.clone(),
            headers,
            body: Bytes::new(),
            limit: self.protocol.artifact_limit(),
            gzip: false,
        };
        let within = |target: &Url| self.may_follow(url, target);
        match self.upstream.fetch(&ask, within, Vec::new).await? {
            Fetched::Failed {
                status,
                headers,
                body,
            } if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) => {
                Ok(self.failed(url, status, &headers, body))
            }
            Fetched::Failed { .. } | Fetched::Complete { .. } => Err(missing),
        }
    }

    /// Notes what is given out as an artifact, so that the manager's own check can be answered.
    pub(super) fn give_out(
        &self,
        url: &Url,
        content: &Content,
        mut digests: Digests,
    ) -> std::io::Result<Answer> {
        let answer = Answer::artifact(content.clone());
        if !self.states_beside(url) {
            return Ok(answer);
        }
        if digests.sha1.is_none() {
            digests.sha1 = Some(match content {
                Content::Memory(pieces) => sha1_of(pieces.iter().map(|piece| Ok(piece.clone())))?,
                Content::File(file, _) => sha1_of(crate::verify::hash::pieces(file))?,
            });
        }
        self.given_out.note(url, &digests, true);
        let value = digests.sha1.map(|digest| digest.hex());
        let value = value.and_then(|hex| HeaderValue::from_str(&hex).ok());
        Ok(match value {
            Some(value) => answer.with(CHECKSUM, value),
            None => answer,
        })
    }

    /// Notes that this content of a file was verified, where several may be right: whoever keeps it
    /// can be told so in a later run.
    pub(super) fn vouch(&self, url: &Url, digests: &Digests) -> Result<(), Finding> {
        let Some(repository) = self.repositories.of(url) else {
            return Ok(());
        };
        let path = url.path().strip_prefix(repository.base.path());
        let path = path.map(|path| percent_decode_str(path).decode_utf8_lossy());
        let kept = path.and_then(|path| self.protocol.kept(&path));
        let Some(kept) = kept.filter(|kept| kept.changing) else {
            return Ok(());
        };
        let item = Item {
            protocol: self.protocol.name(),
            origin: &redact_url(&repository.origin),
            name: &kept.name,
            version: &kept.version,
            file: &kept.file,
        };
        let vouched = self.ledger.vouch(item, digests);
        vouched.map_err(|error| super::artifact::store(&error))
    }

    /// A document that passes although nothing states its digest.
    pub(super) fn give_out_plain(&self, url: &Url, body: &Bytes) {
        if self.states_beside(url)
            && let Ok(hashed) = hashed(body)
        {
            self.given_out.note(url, hashed.digests(), false);
        }
    }

    /// Fetches a document as a whole, with what the repository states of it.
    pub(super) async fn stated_document(
        &self,
        asked: &Url,
        headers: HeaderMap,
        limit: u64,
    ) -> Result<Fetched<Bytes>, Finding> {
        let sides = self.protocol.side_files(asked);
        if sides.is_empty() {
            return self.document(asked, headers, limit).await;
        }
        let mut again = true;
        loop {
            let (fetched, stated) = tokio::join!(
                self.document(asked, headers.clone(), limit),
                self.stated(&sides, Which::All, &headers)
            );
            let fetched = fetched?;
            let Fetched::Complete { url, body, .. } = &fetched else {
                return Ok(fetched);
            };
            let hashed = hashed(body).map_err(|error| {
                Finding::new(Code::Internal, redact_url(asked), error.to_string())
            })?;
            match compare(hashed, &stated?.stated, redact_url(asked), url) {
                Ok(verified) => {
                    self.vouch(asked, verified.digests())?;
                    self.given_out.note(asked, verified.digests(), true);
                    self.given_out.note(url, verified.digests(), true);
                    return Ok(fetched);
                }
                // It may have been replaced between the two answers.
                Err(finding) if again && finding.code == Code::IntegrityMismatch => again = false,
                Err(finding) => return Err(finding),
            }
        }
    }
}

fn hashed(body: &Bytes) -> std::io::Result<Hashed<()>> {
    let mut hashing = Hashing::new((), []).complete();
    hashing.push(body.clone())?;
    Ok(hashing.finish())
}

fn compare<C>(
    hashed: Hashed<C>,
    stated: &Stated,
    subject: String,
    url: &Url,
) -> Result<Verified<C>, Finding> {
    if stated.is_empty() {
        let message = format!(
            "no lock names its digest and the repository states none beside it: {}",
            redact_url(url)
        );
        return Err(Finding::new(Code::IntegrityMissing, subject, message)
            .with_hint("lock it, or ask the repository's operator for checksums"));
    }
    let digests: Vec<Digest> = stated.iter().map(|(digest, _)| digest.clone()).collect();
    hashed.confirm(&digests).map_err(|mismatch| {
        let other = mismatch.promised.as_ref().map(Integrity::algorithm);
        let place = stated
            .iter()
            .find(|(digest, _)| Some(digest.algorithm()) == other);
        let text = |digest: Option<&Digest>| {
            digest.map_or_else(
                || "nothing".to_owned(),
                |one| format!("{} {}", one.algorithm().name(), one.hex()),
            )
        };
        let message = format!(
            "{} sent {} bytes that are not what it states in {}\n  expected {}\n  computed {}",
            redact_url(url),
            mismatch.size,
            place.map(|(_, url)| redact_url(url)).unwrap_or_default(),
            text(place.map(|(digest, _)| digest)),
            text(mismatch.computed.as_ref()),
        );
        Finding::new(Code::IntegrityMismatch, subject, message)
            .with_hint(Code::IntegrityMismatch.remedy())
    })
}

/// What the first use of an artifact promises of it.
fn expected(named: &Named, digests: &Digests, stated: &Stated) -> Expected {
    let strong = stated
        .iter()
        .any(|(digest, _)| digest.algorithm().is_strong());
    let places: Vec<String> = stated.iter().map(|(_, url)| redact_url(url)).collect();
    Expected {
        name: named.name.clone(),
        version: named.version.clone(),
        file: named.file.clone(),
        url: None,
        integrity: Some(Integrity::of(digests.sha256.clone())),
        anchor: match strong {
            true => Anchor::SideFile,
            false => Anchor::WeakSideFile,
        },
        stated_in: places.join(", "),
    }
}
