//! What the run's anchors promise: which artifacts there are, and with which digests.
//!
//! Statements come from the plan (lockfile, policy) and from every index document that passed in
//! this run. They only add up: a later statement never replaces an earlier one, and where two of
//! them disagree about one version, that version is refused. An index of a large tree names tens
//! of thousands of versions of which a few are asked for, so statements are kept small.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use url::Url;

use crate::model::Anchor;
use crate::model::Code;
use crate::model::Expected;
use crate::model::Finding;
use crate::model::Integrity;
use crate::model::redact_url;

/// What an artifact must satisfy, all statements about it taken together.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    /// Package name.
    pub(super) name: String,
    /// Package version.
    pub(super) version: String,
    /// Every strong statement, best anchor first. Never empty.
    pub(super) integrities: Vec<Integrity>,
    /// The best anchor among them.
    pub(super) anchor: Anchor,
    /// The statements in words, for messages.
    pub(super) stated: String,
}

/// The statements of a run.
#[derive(Debug, Default)]
pub(super) struct Expectations(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    hasher: RandomState,
    statements: Vec<Statement>,
    /// Heads of chains through `Statement::same_url`.
    by_url: HashMap<u64, u32>,
    /// Heads of chains through `Statement::same_version`.
    by_version: HashMap<u64, u32>,
    hosts: HashSet<(String, u16)>,
}

#[derive(Debug)]
struct Statement {
    name: Arc<str>,
    version: Box<str>,
    url: Option<Box<str>>,
    integrity: Option<Integrity>,
    anchor: Anchor,
    stated_in: Arc<str>,
    same_url: Option<u32>,
    same_version: Option<u32>,
}

impl Expectations {
    /// Adds statements. Those that say what is known already are dropped.
    pub(super) fn add(&self, expected: Vec<Expected>) {
        let mut state = self.state();
        // Statements of one document share name and place.
        let (mut name, mut stated_in): (Arc<str>, Arc<str>) = ("".into(), "".into());
        for one in expected {
            if *name != *one.name {
                name = one.name.into();
            }
            if *stated_in != *one.stated_in {
                stated_in = one.stated_in.into();
            }
            state.add(Statement {
                name: Arc::clone(&name),
                version: one.version.into(),
                url: one.url.as_ref().map(|url| url.as_str().into()),
                integrity: one.integrity,
                anchor: one.anchor,
                stated_in: Arc::clone(&stated_in),
                same_url: None,
                same_version: None,
            });
        }
    }

    /// The first of these statements that contradicts one from before the start: then the lockfile
    /// or the repository was changed, and nothing of that index is to be believed.
    pub(super) fn conflict(&self, expected: &[Expected]) -> Option<Finding> {
        let state = self.state();
        expected.iter().find_map(|one| {
            let promised = one
                .integrity
                .as_ref()
                .filter(|i| i.algorithm().is_strong())?;
            state
                .of(&one.name, &one.version)
                .filter(|statement| statement.anchor != Anchor::Index)
                .find_map(|statement| {
                    let also = statement
                        .strong()
                        .filter(|also| !also.agrees_with(promised))?;
                    let subject = format!("{}@{}", one.name, one.version);
                    let places = (&*statement.stated_in, one.stated_in.as_str());
                    Some(conflict(subject, (also, places.0), (promised, places.1)))
                })
        })
    }

    /// Whether some statement names an artifact at that host with a digest that suffices.
    pub(super) fn names_host(&self, host: &str, port: u16) -> bool {
        self.state().hosts.contains(&(host.to_owned(), port))
    }

    /// Name and version of what a statement names at exactly that address, if its digest suffices.
    pub(super) fn at(&self, url: &Url) -> Option<(String, String)> {
        let state = self.state();
        state
            .at(url.as_str())
            .find(|statement| statement.strong().is_some())
            .map(|statement| (statement.name.to_string(), statement.version.to_string()))
    }

    /// Everything that is promised about the artifact at `url`: by address, and by each name and
    /// version that the address or a statement about it gives.
    pub(super) fn promise(
        &self,
        url: &Url,
        named: Option<(&str, &str)>,
    ) -> Result<Promise, Finding> {
        let state = self.state();
        let mut found: Vec<&Statement> = state.at(url.as_str()).collect();
        let mut identities: Vec<(&str, &str)> = found
            .iter()
            .map(|statement| (&*statement.name, &*statement.version))
            .collect();
        identities.extend(named);
        identities.sort_unstable();
        identities.dedup();
        for (name, version) in &identities {
            found.extend(state.of(name, version));
        }
        found.sort_by_key(|statement| statement.anchor);
        judge(url, &found, named.or(identities.first().copied()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Statement {
    fn strong(&self) -> Option<&Integrity> {
        self.integrity
            .as_ref()
            .filter(|integrity| integrity.algorithm().is_strong())
    }

    fn says_what(&self, other: &Self) -> bool {
        self.name == other.name
            && self.version == other.version
            && self.url == other.url
            && self.integrity == other.integrity
            && self.anchor == other.anchor
    }
}

impl State {
    fn add(&mut self, mut statement: Statement) {
        let known = self
            .of(&statement.name, &statement.version)
            .any(|existing| existing.says_what(&statement));
        let Ok(index) = u32::try_from(self.statements.len()) else {
            return;
        };
        if known {
            return;
        }
        let version = self.hash((&*statement.name, &*statement.version));
        statement.same_version = self.by_version.insert(version, index);
        if let Some(url) = &statement.url {
            let key = self.hash(&**url);
            statement.same_url = self.by_url.insert(key, index);
            if statement.strong().is_some() {
                self.note_host(url);
            }
        }
        self.statements.push(statement);
    }

    fn note_host(&mut self, text: &str) {
        let Ok(url) = Url::parse(text) else { return };
        if let ("https", Some(host), Some(port)) =
            (url.scheme(), url.host_str(), url.port_or_known_default())
        {
            self.hosts.insert((host.to_owned(), port));
        }
    }

    fn hash(&self, value: impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }

    fn at<'a>(&'a self, url: &'a str) -> impl Iterator<Item = &'a Statement> {
        self.chain(self.by_url.get(&self.hash(url)).copied(), |statement| {
            statement.same_url
        })
        .filter(move |statement| statement.url.as_deref() == Some(url))
    }

    fn of<'a>(&'a self, name: &'a str, version: &'a str) -> impl Iterator<Item = &'a Statement> {
        self.chain(
            self.by_version.get(&self.hash((name, version))).copied(),
            |statement| statement.same_version,
        )
        .filter(move |statement| &*statement.name == name && &*statement.version == version)
    }

    fn chain<'a>(
        &'a self,
        head: Option<u32>,
        next: impl Fn(&Statement) -> Option<u32> + 'a,
    ) -> impl Iterator<Item = &'a Statement> {
        let statement = |index: u32| {
            usize::try_from(index)
                .ok()
                .and_then(|at| self.statements.get(at))
        };
        std::iter::successors(head.and_then(statement), move |current| {
            next(current).and_then(statement)
        })
    }
}

fn judge(
    url: &Url,
    found: &[&Statement],
    identity: Option<(&str, &str)>,
) -> Result<Promise, Finding> {
    let subject = match identity {
        Some((name, version)) => format!("{name}@{version}"),
        None => redact_url(url),
    };
    let strong: Vec<(&Statement, &Integrity)> = found
        .iter()
        .filter_map(|statement| statement.strong().map(|integrity| (*statement, integrity)))
        .collect();
    let Some(((best, _), (name, version))) = strong.first().copied().zip(identity) else {
        let weak = found.iter().find_map(|statement| {
            statement
                .integrity
                .as_ref()
                .map(|integrity| (statement, integrity))
        });
        return Err(match weak {
            Some((statement, integrity)) => Finding::new(
                Code::IntegrityWeak,
                subject,
                format!(
                    "only `{}` is known, which suffices for nothing: {integrity} (stated in {})",
                    integrity.algorithm().name(),
                    statement.stated_in
                ),
            )
            .with_hint(Code::IntegrityWeak.remedy()),
            None => Finding::new(
                Code::IntegrityMissing,
                subject,
                format!(
                    "neither lockfile nor index of this run names a digest: {}",
                    redact_url(url)
                ),
            )
            .with_hint(Code::IntegrityMissing.remedy()),
        });
    };
    for (index, (one, promised)) in strong.iter().enumerate() {
        for (other, also) in strong.iter().skip(index.saturating_add(1)) {
            if !promised.agrees_with(also) {
                let (one, other) = (&*one.stated_in, &*other.stated_in);
                return Err(conflict(subject, (promised, one), (also, other)));
            }
        }
    }
    let mut integrities: Vec<Integrity> = Vec::new();
    let mut stated: Vec<String> = Vec::new();
    for (statement, integrity) in &strong {
        if !integrities.contains(integrity) {
            integrities.push((*integrity).clone());
        }
        let place = statement.stated_in.to_string();
        if !stated.contains(&place) {
            stated.push(place);
        }
    }
    Ok(Promise {
        name: name.to_owned(),
        version: version.to_owned(),
        integrities,
        anchor: best.anchor,
        stated: stated.join(", "),
    })
}

fn conflict(subject: String, one: (&Integrity, &str), other: (&Integrity, &str)) -> Finding {
    let message = format!(
        "two anchors promise different digests\n  {} ({})\n  {} ({})",
        one.0, one.1, other.0, other.1
    );
    Finding::new(Code::AnchorConflict, subject, message).with_hint(Code::AnchorConflict.remedy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Algorithm;
    use crate::model::Digest;

    const URL: &str = "https://registry.invalid/left/-/left-1.0.0.tgz";

    fn integrity(algorithm: Algorithm, byte: u8) -> Integrity {
        Integrity::of(Digest::new(algorithm, vec![byte; algorithm.size()]).unwrap())
    }

    fn sha512(byte: u8) -> Option<Integrity> {
        Some(integrity(Algorithm::Sha512, byte))
    }

    fn stated(anchor: Anchor, url: Option<&str>, integrity: Option<Integrity>) -> Expected {
        Expected {
            name: "left".into(),
            version: "1.0.0".into(),
            file: None,
            url: url.map(|url| Url::parse(url).unwrap()),
            integrity,
            anchor,
            stated_in: format!("{anchor:?}"),
        }
    }

    fn ask(statements: Vec<Expected>) -> Result<Promise, Code> {
        let expectations = Expectations::default();
        expectations.add(statements);
        let url = Url::parse(URL).unwrap();
        expectations
            .promise(&url, Some(("left", "1.0.0")))
            .map_err(|finding| finding.code)
    }

    #[test]
    fn the_best_anchor_is_named_and_all_must_hold() {
        let promise = ask(vec![
            stated(
                Anchor::Index,
                Some(URL),
                Some(integrity(Algorithm::Sha256, 1)),
            ),
            stated(Anchor::Lockfile, None, sha512(1)),
        ])
        .unwrap();
        assert_eq!(promise.anchor, Anchor::Lockfile);
        assert_eq!(promise.integrities.len(), 2);
        assert_eq!(promise.stated, "Lockfile, Index");
    }

    #[test]
    fn lock_and_index_that_differ_are_a_conflict_wherever_the_bytes_lie() {
        for url in [Some(URL), None, Some("https://registry.invalid/other.tgz")] {
            let code = ask(vec![
                stated(Anchor::Lockfile, None, sha512(1)),
                stated(Anchor::Index, url, sha512(2)),
            ])
            .unwrap_err();
            assert_eq!(code, Code::AnchorConflict);
        }
    }

    #[test]
    fn without_a_strong_digest_there_is_no_promise() {
        assert_eq!(ask(vec![]).unwrap_err(), Code::IntegrityMissing);
        let none = stated(Anchor::Index, Some(URL), None);
        assert_eq!(ask(vec![none]).unwrap_err(), Code::IntegrityMissing);
        let weak = stated(Anchor::Lockfile, None, Some(integrity(Algorithm::Sha1, 1)));
        assert_eq!(ask(vec![weak]).unwrap_err(), Code::IntegrityWeak);
    }

    #[test]
    fn an_address_that_a_statement_gives_is_enough() {
        let expectations = Expectations::default();
        let elsewhere = "https://files.invalid:8443/x";
        expectations.add(vec![
            stated(Anchor::Lockfile, Some(elsewhere), sha512(1)),
            stated(Anchor::Lockfile, Some("http://clear.invalid/x"), sha512(1)),
            stated(Anchor::Lockfile, Some("https://weak.invalid/x"), None),
        ]);
        let url = Url::parse(elsewhere).unwrap();
        assert_eq!(expectations.at(&url).unwrap().0, "left");
        assert_eq!(expectations.promise(&url, None).unwrap().version, "1.0.0");
        assert!(expectations.names_host("files.invalid", 8443));
        for (host, port) in [
            ("files.invalid", 443),
            ("clear.invalid", 443),
            ("clear.invalid", 80),
            ("weak.invalid", 443),
        ] {
            assert!(!expectations.names_host(host, port), "{host}:{port}");
        }
        assert!(
            expectations
                .at(&Url::parse("https://weak.invalid/x").unwrap())
                .is_none()
        );
    }

    #[test]
    fn equal_statements_are_kept_once() {
        let expectations = Expectations::default();
        for _ in 0..3 {
            expectations.add(vec![stated(Anchor::Index, Some(URL), sha512(1))]);
        }
        assert_eq!(expectations.state().statements.len(), 1);
    }
}
