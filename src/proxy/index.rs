//! Index documents: whose name it is, what the document promises, what of it is given out.
//!
//! Called by the [pipeline](super::pipeline). Where one name may come from any of several
//! repositories, the manager would take the highest version from wherever it is, so that whoever
//! can publish a name anywhere decides what is installed. Therefore, before the first document of a
//! name is given out, every repository of the run is asked; more than one that has it is refused
//! unless the repositories themselves say that they follow one another. A name that the plan pins is
//! asked of its own repository only, and of none when that is not of the run.
//! The outcome does not depend on which of them is asked first, and a repository that cannot say
//! whether it has the name is an error.
//!
//! PEP 708 (for what repositories say about one another).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use super::answer::Answer;
use super::pipeline::Pipeline;
use super::upstream::Fetched;
use crate::model::Code;
use crate::model::Finding;
use crate::model::Pin;
use crate::model::Repository;
use crate::model::redact_url;
use crate::protocol::Document;
use crate::protocol::Index;
use crate::protocol::Rewritten;

/// Which repository speaks for which name.
#[derive(Debug)]
pub(super) struct Belonging {
    pins: Vec<Pin>,
    asked: Mutex<HashMap<String, Arc<OnceCell<Census>>>>,
}

/// What every repository said about one name.
#[derive(Debug)]
struct Census {
    /// Documents that were fetched for it, each until the manager asks for it, by repository.
    documents: Mutex<HashMap<String, Page>>,
}

/// An answer to the question for a name.
#[derive(Debug)]
pub(super) enum Page {
    /// The repository's own refusal.
    Failed(StatusCode, HeaderMap, Bytes),
    /// An index document and what it says.
    Document {
        /// Where it came from, redirects followed.
        url: Url,
        headers: HeaderMap,
        body: Bytes,
        index: Box<Index>,
    },
}

impl Belonging {
    /// Under these pins.
    pub(super) fn new(pins: Vec<Pin>) -> Self {
        Self {
            pins,
            asked: Mutex::default(),
        }
    }

    /// The pin of a name: of several the one that says most.
    pub(super) fn pin(&self, name: &str) -> Option<&Pin> {
        let matches = |pin: &&Pin| match pin.name.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => pin.name == name,
        };
        // Without the star the name itself is longer than any beginning of it.
        let says = |pin: &&Pin| (!pin.name.ends_with('*'), pin.name.len());
        self.pins.iter().filter(matches).max_by_key(says)
    }

    fn cell(&self, name: &str) -> Arc<OnceCell<Census>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(asked.entry(name.to_owned()).or_default())
    }
}

impl Census {
    fn take(&self, repository: &str) -> Option<Page> {
        let mut documents = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        documents.remove(repository)
    }
}

impl Pipeline {
    pub(super) async fn index(
        &self,
        name: &str,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Answer, Finding> {
        let repository = self.repositories.of(url);
        let rivals = self.rivals(name);
        if let (Some(repository), Some(pin)) = (repository, self.belonging.pin(name)) {
            if pin.repository != repository.id {
                return self.elsewhere(name, pin);
            }
        } else if let (Some(repository), true) = (repository, rivals.len() > 1) {
            let cell = self.belonging.cell(name);
            // A repository that failed may answer the next time; what was refused is asked anew.
            let census = cell
                .get_or_try_init(|| self.census(name, &rivals, &headers))
                .await?;
            if let Some(page) = census.take(&repository.id) {
                return self.give(name, url, page);
            }
        }
        let page = match self.ahead.page(url).await {
            Some(page) => page,
            None => self.page(name, url, headers).await?,
        };
        self.give(name, url, page)
    }

    /// Where the index of a name is, if it can be in one place only.
    pub(super) fn only_index(&self, name: &str) -> Option<Url> {
        let rivals = self.rivals(name);
        let pin = self.belonging.pin(name);
        let mut places = rivals
            .into_iter()
            .filter(|(repository, _)| pin.is_none_or(|pin| pin.repository == repository.id));
        match (places.next(), places.next()) {
            (Some((_, url)), None) => Some(url),
            (None, _) | (Some(_), Some(_)) => None,
        }
    }

    /// Fetches and reads an index document.
    pub(super) async fn page(
        &self,
        name: &str,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Page, Finding> {
        let limit = self.protocol.index_limit();
        let headers = self.dated(name, headers);
        Ok(match self.stated_document(url, headers, limit).await? {
            Fetched::Complete { url, headers, body } => {
                let thinned = self.thin(name, &url, &headers, &body)?;
                let note = thinned.as_ref().and_then(|it| self.left_out(name, it));
                let (body, kind) = match thinned {
                    Some(thinned) => (thinned.body.into(), Some(thinned.kind)),
                    None => (body, None),
                };
                let mut index = self.read_index(name, &url, &headers, &body)?;
                index.findings.extend(note);
                if let (Some(kind), None) = (kind, &index.rewritten) {
                    let body = body.clone();
                    index.rewritten = Some(Rewritten { kind, body });
                }
                Page::Document {
                    index: Box::new(index),
                    url,
                    headers,
                    body,
                }
            }
            Fetched::Failed {
                status,
                headers,
                body,
            } => Page::Failed(status, headers, body),
        })
    }

    /// The answer of a repository to which a name does not belong: it has none of that name. When
    /// the run lacks the repository that has it, nobody else may speak in its place.
    pub(super) fn elsewhere(&self, name: &str, pin: &Pin) -> Result<Answer, Finding> {
        let there = |repository: &Repository| repository.id == pin.repository;
        if self.repositories.all().iter().any(there) {
            let text = format!(
                "v4run: `{name}` belongs to `{}` ({})\n",
                pin.repository, pin.stated_in
            );
            return Ok(Answer::text(StatusCode::NOT_FOUND, text));
        }
        let message = format!(
            "it belongs to {} ({}), which is no repository of this run",
            pin.repository, pin.stated_in
        );
        Err(Finding::new(Code::RepositoryRefused, name, message)
            .with_hint("configure that repository, or correct the pin"))
    }

    fn give(&self, name: &str, asked: &Url, page: Page) -> Result<Answer, Finding> {
        match page {
            Page::Failed(status, headers, body) => {
                // A manager may go on as if there were no such package.
                let absent = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
                if status.is_client_error() && !absent && status != StatusCode::TOO_MANY_REQUESTS {
                    let message = format!("the repository answered {status} for the index");
                    let finding = Finding::new(Code::UpstreamFailed, redact_url(asked), message);
                    let denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                    self.events.found(&match denied {
                        true => finding.with_hint(
                            "check the credentials in your own configuration; they are given to \
                             this repository only",
                        ),
                        false => finding,
                    });
                }
                Ok(self.failed(asked, status, &headers, body))
            }
            Page::Document {
                url,
                headers,
                body,
                index,
            } => {
                if let Some(conflict) = self.expectations.conflict(&index.expected) {
                    return Err(conflict);
                }
                let repository = self.repositories.of(&url);
                if let Some(repository) = repository {
                    for file in index.expected.iter().filter_map(|one| one.url.as_ref()) {
                        self.repositories.note(repository, file);
                        if self.protocol.credentials_cover_host() {
                            self.repositories.cover(repository, file);
                        }
                    }
                }
                let id = repository.map(|found| found.id.as_str());
                self.lives.note(name, index.remarks);
                let name = index.expected.first().map(|one| one.name.clone());
                self.expectations.add(index.expected, id);
                for finding in &index.findings {
                    self.events.found(finding);
                }
                if let Some(repository) = repository
                    && let Some(name) = name
                {
                    self.vouching.note(&repository.id, &name, index.published);
                }
                self.served_at(&url, StatusCode::OK, &body, index.serial);
                Ok(match index.rewritten {
                    Some(rewritten) => Answer::rewritten(rewritten.kind, rewritten.body),
                    None => Answer::passed(StatusCode::OK, &headers, vec![body]),
                })
            }
        }
    }

    /// Takes an index document apart; it must be the one of that package.
    fn read_index(
        &self,
        name: &str,
        url: &Url,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Index, Finding> {
        let malformed = |message: String| {
            Finding::new(Code::IndexMalformed, redact_url(url), message)
                .with_hint(Code::IndexMalformed.remedy())
        };
        let document = Document {
            name,
            url,
            kind: headers
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok()),
            body,
            sources: self.sources(name),
        };
        let index = self
            .protocol
            .index(&document)
            .map_err(|error| malformed(error.to_string()))?;
        match index.expected.iter().find(|one| one.name != name) {
            None => Ok(index),
            Some(other) => Err(malformed(format!(
                "the index of `{name}` is one of `{}`",
                other.name
            ))),
        }
    }

    /// The repositories that could have a name, each with the address of its index.
    pub(super) fn rivals(&self, name: &str) -> Vec<(&Repository, Url)> {
        let mut rivals: Vec<(&Repository, Url)> = Vec::new();
        for repository in self.repositories.all() {
            if let Some(address) = self.protocol.index_address(&repository.base, name)
                && !rivals.iter().any(|(_, known)| *known == address)
            {
                rivals.push((repository, address));
            }
        }
        rivals
    }

    async fn census(
        &self,
        name: &str,
        rivals: &[(&Repository, Url)],
        headers: &HeaderMap,
    ) -> Result<Census, Finding> {
        let mut documents = HashMap::new();
        let mut having = Vec::new();
        for (repository, address) in rivals {
            let page = self.page(name, address, headers.clone()).await?;
            match &page {
                Page::Document { index, .. } => {
                    let (tracks, alternates) = (index.tracks.clone(), index.alternates.clone());
                    having.push((*repository, address, tracks, alternates));
                }
                Page::Failed(status, ..)
                    if matches!(*status, StatusCode::NOT_FOUND | StatusCode::GONE) => {}
                Page::Failed(status, ..) => {
                    let message = format!(
                        "whether `{}` has `{name}` cannot be told, so that no other repository \
                         may speak for it: it answered {status}",
                        repository.id
                    );
                    return Err(
                        Finding::new(Code::UpstreamFailed, redact_url(address), message)
                            .with_hint(Code::NameAmbiguous.remedy()),
                    );
                }
            }
            documents.insert(repository.id.clone(), page);
        }
        let claims: Vec<Claim<'_>> = having
            .iter()
            .map(|(repository, address, tracks, alternates)| Claim {
                addresses: self.addresses(repository, address, name),
                tracks,
                alternates,
            })
            .collect();
        if !is_one_project(&claims) {
            let places: Vec<String> = having
                .iter()
                .map(|(repository, address, ..)| {
                    format!("`{}` ({})", repository.id, redact_url(address))
                })
                .collect();
            let message = format!(
                "more than one repository of this run has it, and no pin says which is meant: {}",
                places.join(", ")
            );
            return Err(Finding::new(Code::NameAmbiguous, name, message)
                .with_hint(Code::NameAmbiguous.remedy()));
        }
        Ok(Census {
            documents: Mutex::new(documents),
        })
    }

    /// Under which addresses others may speak of a repository's package: its own and its origin's.
    fn addresses(&self, repository: &Repository, address: &Url, name: &str) -> Vec<Url> {
        let origin = self.protocol.index_address(&repository.origin, name);
        std::iter::once(address.clone()).chain(origin).collect()
    }
}

/// What one repository says about its package of a name.
struct Claim<'a> {
    addresses: Vec<Url>,
    tracks: &'a [Url],
    alternates: &'a [Url],
}

/// Whether the repositories themselves say that their packages are one: all others follow one of
/// them, or each names all of them.
fn is_one_project(claims: &[Claim<'_>]) -> bool {
    let bare = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    let names = |urls: &[Url], claim: &Claim<'_>| {
        let mut addresses = claim.addresses.iter().map(bare);
        addresses.any(|address| urls.iter().any(|url| bare(url) == address))
    };
    let every = |holds: &dyn Fn(usize, &Claim<'_>) -> bool| {
        let mut all = claims.iter().enumerate();
        all.all(|(index, claim)| holds(index, claim))
    };
    if claims.len() < 2 {
        return true;
    }
    let followed = claims.iter().enumerate().any(|(origin, followed)| {
        followed.tracks.is_empty()
            && every(&|index, claim| index == origin || names(claim.tracks, followed))
    });
    followed
        || every(&|index, claim| {
            every(&|other, named| index == other || names(claim.alternates, named))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(name: &str, repository: &str) -> Pin {
        Pin {
            name: name.into(),
            repository: repository.into(),
            stated_in: "v4run.toml:3".into(),
        }
    }

    #[test]
    fn the_pin_that_says_most_counts() {
        let belonging = Belonging::new(vec![
            pin("team-*", "internal"),
            pin("team-open-*", "public"),
            pin("team-open-core", "internal"),
            pin("left", "public"),
        ]);
        let of = |name: &str| belonging.pin(name).map(|pin| pin.repository.as_str());
        assert_eq!(of("team-x"), Some("internal"));
        assert_eq!(of("team-open-x"), Some("public"));
        assert_eq!(of("team-open-core"), Some("internal"));
        assert_eq!(of("left"), Some("public"));
        assert_eq!(of("left-pad"), None);
    }

    fn one_project(pages: &[(&str, &[&str], &[&str])]) -> bool {
        let url = |text: &&str| Url::parse(&format!("https://{text}.invalid/left/")).unwrap();
        let parsed: Vec<(Url, Vec<Url>, Vec<Url>)> = pages
            .iter()
            .map(|(own, tracks, alternates)| {
                let all = |list: &[&str]| list.iter().map(url).collect();
                (url(own), all(tracks), all(alternates))
            })
            .collect();
        let claims: Vec<Claim<'_>> = parsed
            .iter()
            .map(|(own, tracks, alternates)| Claim {
                addresses: vec![own.clone()],
                tracks,
                alternates,
            })
            .collect();
        is_one_project(&claims)
    }

    #[test]
    fn only_the_repositories_themselves_can_say_that_two_are_one() {
        assert!(one_project(&[("a", &[], &[])]));
        assert!(!one_project(&[("a", &[], &[]), ("b", &[], &[])]));
        assert!(one_project(&[("a", &[], &[]), ("b", &["a"], &[])]));
        assert!(one_project(&[("a", &["b"], &[]), ("b", &[], &[])]));
        assert!(!one_project(&[("a", &["b"], &[]), ("b", &["a"], &[])]));
        assert!(!one_project(&[("a", &[], &[]), ("b", &["c"], &[])]));
        assert!(!one_project(&[
            ("a", &[], &[]),
            ("b", &["a"], &[]),
            ("c", &[], &[])
        ]));
        assert!(one_project(&[("a", &[], &["b"]), ("b", &[], &["a"])]));
        assert!(!one_project(&[("a", &[], &["b"]), ("b", &[], &[])]));
        assert!(one_project(&[
            ("a", &[], &["a", "b", "c"]),
            ("b", &[], &["a", "b", "c"]),
            ("c", &[], &["a", "b"]),
        ]));
    }
}
