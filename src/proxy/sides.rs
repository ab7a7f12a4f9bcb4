//! Asking for side files, and learning which kinds of them a repository has.
//!
//! Called for an artifact or a document whose digest only files beside it state. Most repositories have
//! one or two of the kinds that v4run knows, the same for nearly every artifact, so a kind that some
//! artifacts in a row clearly lack (`404`, `410`) is not asked for any more in this run. That loosens
//! nothing:
//!
//! - a kind that was there once in this run is asked for always: a repository that stops offering it
//!   cannot make it forgotten;
//! - where the kinds that are asked for state nothing, all others are asked for before anything is
//!   refused; without any of them nothing passes;
//! - every kind that was answered must match, and the record grades each artifact by the strongest of
//!   them. Who can leave out a side file can also write one: the same repository serves both, so none
//!   of them is a word against it. What is kept against a repository is the digest of what was given
//!   out, which the first-seen ledger holds, whichever kinds there were.
//!
//! Documents that change are rare and teach nothing: all their kinds are asked for.

use std::collections::HashMap;
use std::sync::Mutex;

use http::{HeaderMap, StatusCode};
use url::Url;

use super::limits;
use super::lock;
use super::pipeline::Pipeline;
use super::upstream::Fetched;
use crate::model::Algorithm;
use crate::model::Code;
use crate::model::Digest;
use crate::model::Finding;
use crate::model::redact_url;

/// What side files state: the digest and the address of the file that states it.
pub(super) type Stated = Vec<(Digest, Url)>;

/// What asking for side files brought.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) stated: Stated,
    /// Kinds that are clearly not there.
    absent: Vec<Algorithm>,
}

/// Which kinds are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which<'a> {
    All,
    /// Those that the repository of that artifact may have, after what was learnt.
    Had(&'a Url),
}

/// What is known of the kinds of each repository, by its identifier.
#[derive(Debug, Default)]
pub(super) struct Kinds(Mutex<HashMap<(String, Algorithm), Kind>>);

#[derive(Debug, Default)]
struct Kind {
    seen: bool,
    absent: u32,
}

impl Kinds {
    /// Whether to ask a repository for a kind.
    fn may_have(&self, repository: &str, algorithm: Algorithm) -> bool {
        let kinds = lock(&self.0);
        let known = kinds.get(&(repository.to_owned(), algorithm));
        known.is_none_or(|kind| kind.seen || kind.absent < limits::KIND_ABSENT)
    }

    /// Notes what an artifact had that passed by its side files.
    fn note(&self, repository: &str, told: &Told) {
        let mut kinds = lock(&self.0);
        let mut of = |algorithm, seen: bool| {
            let kind = kinds.entry((repository.to_owned(), algorithm)).or_default();
            kind.seen |= seen;
            kind.absent = kind.absent.saturating_add(u32::from(!seen));
        };
        for (digest, _) in &told.stated {
            of(digest.algorithm(), true);
        }
        for algorithm in &told.absent {
            of(*algorithm, false);
        }
    }
}

/// What one side file says.
enum Side {
    States(Digest),
    Absent,
    /// The repository does not say whether it is there.
    Withheld,
}

impl Pipeline {
    /// Learns from an artifact that passed.
    pub(super) fn learn(&self, url: &Url, told: &Told) {
        if let Some(repository) = self.repositories.of(url) {
            self.kinds.note(&repository.id, told);
        }
    }

    /// What the side files state.
    pub(super) async fn stated(
        &self,
        sides: &[(Algorithm, Url)],
        which: Which<'_>,
        headers: &HeaderMap,
    ) -> Result<Told, Finding> {
        let repository = match which {
            Which::All => None,
            Which::Had(url) => self.repositories.of(url),
        };
        let (likely, other): (Vec<_>, Vec<_>) = sides.iter().cloned().partition(|(kind, _)| {
            repository.is_none_or(|known| self.kinds.may_have(&known.id, *kind))
        });
        let told = self.ask_for(&likely, headers).await?;
        match told.stated.is_empty() {
            true => self.ask_for(&other, headers).await,
            false => Ok(told),
        }
    }

    /// All are asked for at once: a wait for each would double the time.
    async fn ask_for(
        &self,
        sides: &[(Algorithm, Url)],
        headers: &HeaderMap,
    ) -> Result<Told, Finding> {
        let Some(((algorithm, url), rest)) = sides.split_first() else {
            return Ok(Told::default());
        };
        let (first, rest) = tokio::join!(
            self.side(*algorithm, url, headers),
            Box::pin(self.ask_for(rest, headers))
        );
        let (first, mut told) = (first?, rest?);
        match first {
            Side::States(digest) => told.stated.insert(0, (digest, url.clone())),
            Side::Absent => told.absent.push(*algorithm),
            Side::Withheld => {}
        }
        Ok(told)
    }

    async fn side(
        &self,
        algorithm: Algorithm,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<Side, Finding> {
        let fetched = self
            .fetch(url, headers.clone(), limits::SIDE_FILE, false, Vec::new)
            .await?;
        match fetched {
            Fetched::Failed {
                status: StatusCode::NOT_FOUND | StatusCode::GONE,
                ..
            } => Ok(Side::Absent),
            // Some repositories forbid what they do not have.
            Fetched::Failed { status, .. }
                if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS =>
            {
                Ok(Side::Withheld)
            }
            Fetched::Failed { status, .. } => {
                let message = format!("whether there is a digest cannot be told: {status}");
                Err(Finding::new(Code::UpstreamFailed, redact_url(url), message))
            }
            Fetched::Complete { body, .. } => {
                match self.protocol.side_digest(algorithm, &body.concat()) {
                    Some(digest) => Ok(Side::States(digest)),
                    None => {
                        let name = algorithm.name();
                        let message = format!("the repository serves it, but it states no {name}");
                        Err(
                            Finding::new(Code::IntegrityMissing, redact_url(url), message)
                                .with_hint("ask the repository's operator to correct that file"),
                        )
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stated: &[Algorithm], absent: &[Algorithm]) -> Told {
        let url = Url::parse("https://r.invalid/x").unwrap();
        let digest = |kind: &Algorithm| Digest::new(*kind, vec![0; kind.size()]).unwrap();
        Told {
            stated: stated
                .iter()
                .map(|kind| (digest(kind), url.clone()))
                .collect(),
            absent: absent.to_vec(),
        }
    }

    #[test]
    fn a_kind_that_is_never_there_is_asked_for_a_few_times() {
        let kinds = Kinds::default();
        for _ in 0..limits::KIND_ABSENT {
            assert!(kinds.may_have("r", Algorithm::Sha512));
            kinds.note("r", &told(&[Algorithm::Sha1], &[Algorithm::Sha512]));
        }
        assert!(!kinds.may_have("r", Algorithm::Sha512));
        assert!(kinds.may_have("r", Algorithm::Sha1));
        assert!(kinds.may_have("r", Algorithm::Sha256));
        assert!(kinds.may_have("other", Algorithm::Sha512));
    }

    #[test]
    fn a_kind_that_was_there_once_is_asked_for_always() {
        let kinds = Kinds::default();
        kinds.note("r", &told(&[Algorithm::Sha512], &[]));
        for _ in 0..100 {
            kinds.note("r", &told(&[Algorithm::Sha1], &[Algorithm::Sha512]));
        }
        assert!(kinds.may_have("r", Algorithm::Sha512));
    }
}
