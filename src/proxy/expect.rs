//! What the run's anchors promise: which artifacts there are, and with which digests.
//!
//! Statements come from the plan (lockfile, policy) and from every index document that passed in
//! this run. They only add up: a later statement never replaces an earlier one, and where two of
//! them disagree about one file, that file is refused. An index of a large tree names tens
//! of thousands of versions of which a few are asked for, so statements are kept small.

use std::borrow::Cow;
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
use crate::protocol::Protocol;

/// Which artifact: package, version and, where a version has several, file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Named {
    /// Package name.
    pub(super) name: String,
    /// Package version.
    pub(super) version: String,
    /// File name.
    pub(super) file: Option<String>,
}

/// What an artifact must satisfy, all statements about it taken together.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    /// Which artifact.
    pub(super) named: Named,
    /// The repository whose index named it, if one did.
    pub(super) repository: Option<Arc<str>>,
    /// Whether it only describes another file.
    pub(super) describes: bool,
    /// Every strong statement, best anchor first. Never empty.
    pub(super) integrities: Vec<Integrity>,
    /// The best anchor among them.
    pub(super) anchor: Anchor,
    /// The statements in words, for messages.
    pub(super) stated: String,
}

/// The statements of a run.
#[derive(Debug)]
pub(super) struct Expectations {
    protocol: &'static dyn Protocol,
    state: Mutex<State>,
}

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
    /// The form of the version that is compared, where it is another.
    same: Option<Box<str>>,
    file: Option<Box<str>>,
    url: Option<Box<str>>,
    integrity: Option<Integrity>,
    anchor: Anchor,
    stated_in: Arc<str>,
    repository: Option<Arc<str>>,
    same_url: Option<u32>,
    same_version: Option<u32>,
}

impl Expectations {
    /// None yet. The protocol says which versions are equal.
    pub(super) fn new(protocol: &'static dyn Protocol) -> Self {
        Self {
            protocol,
            state: Mutex::default(),
        }
    }

    /// Adds statements, those of an index with its repository. Those that say what is known already
    /// are dropped.
    pub(super) fn add(&self, expected: Vec<Expected>, repository: Option<&str>) {
        let repository: Option<Arc<str>> = repository.map(Into::into);
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
            let same = match self.protocol.same_version(&one.version) {
                Cow::Borrowed(_) => None,
                Cow::Owned(same) => Some(same.into()),
            };
            state.add(Statement {
                name: Arc::clone(&name),
                version: one.version.into(),
                same,
                file: one.file.map(Into::into),
                url: one.url.as_ref().map(|url| url.as_str().into()),
                integrity: one.integrity,
                anchor: one.anchor,
                stated_in: Arc::clone(&stated_in),
                repository: repository.clone(),
                same_url: None,
                same_version: None,
            });
        }
    }

    /// The first of these statements that contradicts one from before the start: then the lockfile
    /// or the repository was changed, and nothing of that index is to be believed. Compared are
    /// statements about the same file: one about all files of a version is not broken by an index
    /// that lists more of them, and is judged with the file that is asked for.
    pub(super) fn conflict(&self, expected: &[Expected]) -> Option<Finding> {
        let state = self.state();
        expected.iter().find_map(|one| {
            let promised = one
                .integrity
                .as_ref()
                .filter(|i| i.algorithm().is_strong())?;
            let version = self.protocol.same_version(&one.version);
            state
                .of(&one.name, &version)
                .filter(|statement| statement.anchor != Anchor::Index)
                .filter(|statement| statement.file.as_deref() == one.file.as_deref())
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

    /// What a statement names at exactly that address, if its digest suffices.
    pub(super) fn at(&self, url: &Url) -> Option<Named> {
        let state = self.state();
        state
            .at(url.as_str())
            .find(|statement| statement.strong().is_some())
            .map(Statement::named)
    }

    /// Whether an index of the run or a policy names that address, with a digest that suffices.
    pub(super) fn is_vouched(&self, url: &Url) -> bool {
        let state = self.state();
        state
            .at(url.as_str())
            .any(|statement| statement.anchor != Anchor::Lockfile && statement.strong().is_some())
    }

    /// Everything that is promised about the artifact at `url`: by address, and by each identity
    /// that the address or a statement about it gives.
    pub(super) fn promise(&self, url: &Url, named: Option<&Named>) -> Result<Promise, Finding> {
        let state = self.state();
        let mut found: Vec<&Statement> = state.at(url.as_str()).collect();
        let mut identities: Vec<Named> = found.iter().map(|one| one.named()).collect();
        identities.extend(named.cloned());
        identities.sort_unstable();
        identities.dedup();
        for identity in &identities {
            let version = self.protocol.same_version(&identity.version);
            let about = state.of(&identity.name, &version);
            found.extend(about.filter(|statement| self.speaks_of(statement, identity)));
        }
        found.sort_by_key(|statement| statement.anchor);
        let named = named.or(identities.first());
        let describes = named.is_some_and(|named| self.describes(named));
        judge(url, &found, named, describes)
    }

    /// The artifacts of an index that statements from before the start allow, with the digest that
    /// each is to have.
    pub(super) fn foreseen(&self, index: &[Expected]) -> Vec<(Url, Promise)> {
        let state = self.state();
        let allowed = index.iter().filter_map(|one| {
            let (url, integrity) = (one.url.as_ref()?, one.integrity.as_ref()?);
            let named = Named {
                name: one.name.clone(),
                version: one.version.clone(),
                file: one.file.clone(),
            };
            let version = self.protocol.same_version(&one.version);
            let statement = state.of(&one.name, &version).find(|statement| {
                let strong = statement.strong();
                statement.anchor != Anchor::Index
                    && self.speaks_of(statement, &named)
                    && strong.is_some_and(|known| known.agrees_with(integrity))
            })?;
            let promise = Promise {
                named,
                repository: None,
                describes: false,
                integrities: vec![integrity.clone()],
                anchor: statement.anchor,
                stated: statement.stated_in.to_string(),
            };
            Some((url.clone(), promise))
        });
        allowed.collect()
    }

    /// A statement without a file speaks of every file of the version that is an artifact.
    fn speaks_of(&self, statement: &Statement, named: &Named) -> bool {
        match &statement.file {
            None => !self.describes(named),
            Some(file) => named.file.as_deref() == Some(&**file),
        }
    }

    fn describes(&self, named: &Named) -> bool {
        let file = named.file.as_deref();
        file.is_some_and(|file| self.protocol.describes(file))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Statement {
    fn strong(&self) -> Option<&Integrity> {
        self.integrity
            .as_ref()
            .filter(|integrity| integrity.algorithm().is_strong())
    }

    fn named(&self) -> Named {
        Named {
            name: self.name.to_string(),
            version: self.version.to_string(),
            file: self.file.as_deref().map(str::to_owned),
        }
    }

    /// The version as it is compared.
    fn same(&self) -> &str {
        self.same.as_deref().unwrap_or(&self.version)
    }

    fn says_what(&self, other: &Self) -> bool {
        self.name == other.name
            && self.version == other.version
            && self.file == other.file
            && self.url == other.url
            && self.integrity == other.integrity
            && self.anchor == other.anchor
    }
}

impl State {
    fn add(&mut self, mut statement: Statement) {
        let known = self
            .of(&statement.name, statement.same())
            .any(|existing| existing.says_what(&statement));
        let Ok(index) = u32::try_from(self.statements.len()) else {
            return;
        };
        if known {
            return;
        }
        let version = self.hash((&*statement.name, statement.same()));
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

    fn of<'a, 'b>(
        &'a self,
        name: &'b str,
        version: &'b str,
    ) -> impl Iterator<Item = &'a Statement> + use<'a, 'b> {
        self.chain(
            self.by_version.get(&self.hash((name, version))).copied(),
            |statement| statement.same_version,
        )
        .filter(move |statement| &*statement.name == name && statement.same() == version)
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
    named: Option<&Named>,
    describes: bool,
) -> Result<Promise, Finding> {
    let subject = match named {
        Some(named) => format!("{}@{}", named.name, named.version),
        None => redact_url(url),
    };
    let strong: Vec<(&Statement, &Integrity)> = found
        .iter()
        .filter_map(|statement| statement.strong().map(|integrity| (*statement, integrity)))
        .collect();
    let Some(((best, _), named)) = strong.first().copied().zip(named) else {
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
    narrow(&mut integrities);
    Ok(Promise {
        named: named.clone(),
        repository: found.iter().find_map(|one| one.repository.clone()),
        describes,
        integrities,
        anchor: best.anchor,
        stated: stated.join(", "),
    })
}

/// Drops alternatives that a statement with one digest decides: whoever looks for the content by its
/// digest then looks for the right one.
fn narrow(integrities: &mut Vec<Integrity>) {
    let single = |integrity: &Integrity| integrity.deciding().count() == 1;
    let decided: Vec<Integrity> = integrities.iter().filter(|i| single(i)).cloned().collect();
    integrities.retain(|integrity| {
        single(integrity)
            || !decided
                .iter()
                .any(|one| one.algorithm() == integrity.algorithm() && one.agrees_with(integrity))
    });
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
    use crate::protocol::npm::Npm;
    use crate::protocol::pypi::Pypi;

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
        let expectations = Expectations::new(&Npm);
        expectations.add(statements, None);
        let url = Url::parse(URL).unwrap();
        let named = Named {
            name: "left".into(),
            version: "1.0.0".into(),
            file: None,
        };
        expectations
            .promise(&url, Some(&named))
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
        let expectations = Expectations::new(&Npm);
        let elsewhere = "https://files.invalid:8443/x";
        expectations.add(
            vec![
                stated(Anchor::Lockfile, Some(elsewhere), sha512(1)),
                stated(Anchor::Lockfile, Some("http://clear.invalid/x"), sha512(1)),
                stated(Anchor::Lockfile, Some("https://weak.invalid/x"), None),
            ],
            None,
        );
        let url = Url::parse(elsewhere).unwrap();
        assert_eq!(expectations.at(&url).unwrap().name, "left");
        assert_eq!(
            expectations.promise(&url, None).unwrap().named.version,
            "1.0.0"
        );
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
        let expectations = Expectations::new(&Npm);
        for _ in 0..3 {
            expectations.add(vec![stated(Anchor::Index, Some(URL), sha512(1))], None);
        }
        assert_eq!(expectations.state().statements.len(), 1);
    }

    fn of_file(file: Option<&str>, anchor: Anchor, digests: &[u8]) -> Expected {
        let text: Vec<String> = digests
            .iter()
            .map(|byte| integrity(Algorithm::Sha256, *byte).to_string())
            .collect();
        let url = file.map(|file| format!("https://files.invalid/{file}"));
        Expected {
            file: file.map(str::to_owned),
            integrity: Some(Integrity::parse(&text.join(" ")).unwrap()),
            ..stated(anchor, url.as_deref(), None)
        }
    }

    fn ask_file(statements: Vec<Expected>, file: &str) -> Result<Promise, Code> {
        let expectations = Expectations::new(&Pypi);
        assert_eq!(expectations.conflict(&statements), None);
        let (locked, indexed) = statements
            .into_iter()
            .partition(|one| one.anchor != Anchor::Index);
        expectations.add(locked, None);
        assert_eq!(expectations.conflict(&indexed), None);
        expectations.add(indexed, Some("default"));
        let url = Url::parse(&format!("https://files.invalid/{file}")).unwrap();
        expectations
            .promise(&url, None)
            .map_err(|finding| finding.code)
    }

    #[test]
    fn a_statement_without_a_file_holds_for_every_file() {
        let pages = || {
            vec![
                of_file(Some("a.whl"), Anchor::Index, &[1]),
                of_file(Some("b.whl"), Anchor::Index, &[2]),
                of_file(Some("a.whl.metadata"), Anchor::Index, &[7]),
                of_file(None, Anchor::Lockfile, &[1, 3]),
            ]
        };
        let promise = ask_file(pages(), "a.whl").unwrap();
        assert_eq!(promise.anchor, Anchor::Lockfile);
        assert_eq!(promise.named.file.as_deref(), Some("a.whl"));
        assert_eq!(promise.repository.as_deref(), Some("default"));
        // The one digest of the index is among those of the lock and decides alone.
        assert_eq!(promise.integrities.len(), 1);
        assert_eq!(
            ask_file(pages(), "b.whl").unwrap_err(),
            Code::AnchorConflict
        );
        let companion = ask_file(pages(), "a.whl.metadata").unwrap();
        assert!(companion.describes);
        assert_eq!(companion.anchor, Anchor::Index);
        assert_eq!(
            ask_file(pages(), "c.whl").unwrap_err(),
            Code::IntegrityMissing
        );
    }

    #[test]
    fn statements_about_files_do_not_mix() {
        let expectations = Expectations::new(&Pypi);
        expectations.add(vec![of_file(Some("a.whl"), Anchor::Lockfile, &[1])], None);
        let other = of_file(Some("b.whl"), Anchor::Index, &[2]);
        assert_eq!(expectations.conflict(&[other]), None);
        let same = of_file(Some("a.whl"), Anchor::Index, &[2]);
        assert_eq!(
            expectations.conflict(&[same]).unwrap().code,
            Code::AnchorConflict
        );
    }

    #[test]
    fn spellings_of_one_version_are_one() {
        let short = Expected {
            version: "1".into(),
            ..of_file(None, Anchor::Lockfile, &[1])
        };
        let promise = ask_file(
            vec![short, of_file(Some("a.whl"), Anchor::Index, &[2])],
            "a.whl",
        );
        assert_eq!(promise.unwrap_err(), Code::AnchorConflict);
    }
}
