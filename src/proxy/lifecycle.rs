//! Minimum age of versions, and what an index says against a version that is used.
//!
//! Under a minimum age every index document is thinned before it is read, and an artifact is given out
//! only when its repository states a time of publication that is old enough: also what a lockfile pins.
//! Then, and only then, more is asked of a repository than the manager asked for: the form of the index
//! that has times. What an index says against a version is told when that version is given out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use url::Url;

use super::expect::Named;
use super::pipeline::Pipeline;
use super::upstream;
use crate::model::{Code, Finding, ReleaseAge, redact_url};
use crate::protocol::{Document, Remark, Thinned};

/// Names that are told of what was left out of one index.
const NAMED: usize = 3;

/// What is known of the lives of versions.
#[derive(Debug, Default)]
pub(super) struct Lives {
    minimum: Option<Duration>,
    exempt: BTreeMap<String, String>,
    /// Times by package and file or version.
    dates: Mutex<HashMap<(String, String), SystemTime>>,
    /// What was said by package and file or version.
    remarks: Mutex<HashMap<(String, String), Vec<Remark>>>,
}

impl Lives {
    /// Under that rule, if there is one.
    pub(super) fn new(age: Option<ReleaseAge>) -> Self {
        let Some(age) = age else {
            return Self::default();
        };
        Self {
            minimum: Some(Duration::from_secs(age.seconds)),
            exempt: age.exempt,
            ..Self::default()
        }
    }

    fn minimum(&self, name: &str) -> Option<Duration> {
        self.minimum.filter(|_| !self.exempt.contains_key(name))
    }

    /// Keeps what an index says against versions.
    pub(super) fn note(&self, name: &str, remarks: Vec<Remark>) {
        let mut all = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        for remark in remarks {
            let key = remark
                .file
                .clone()
                .unwrap_or_else(|| remark.version.clone());
            let known = all.entry((name.to_owned(), key)).or_default();
            if !known.contains(&remark) {
                known.push(remark);
            }
        }
    }

    fn said(&self, named: &Named) -> Vec<Remark> {
        let all = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for key in keys(named) {
            found.extend(
                all.get(&(named.name.clone(), key))
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        found
    }

    fn date(&self, named: &Named) -> Option<SystemTime> {
        let dates = self.dates.lock().unwrap_or_else(PoisonError::into_inner);
        keys(named).find_map(|key| dates.get(&(named.name.clone(), key)).copied())
    }
}

fn keys(named: &Named) -> impl Iterator<Item = String> {
    named
        .file
        .clone()
        .into_iter()
        .chain([named.version.clone()])
}

fn oldest(age: Duration) -> SystemTime {
    SystemTime::now()
        .checked_sub(age)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Pipeline {
    /// The headers that an index of a name is asked for with.
    pub(super) fn dated(&self, name: &str, mut headers: HeaderMap) -> HeaderMap {
        if self.lives.minimum(name).is_some() {
            let kinds = self.protocol.lifecycle().dated_kinds();
            headers.insert(ACCEPT, HeaderValue::from_static(kinds));
        }
        headers
    }

    /// The index of a name without what is too young; `None` where no rule applies.
    pub(super) fn thin(
        &self,
        name: &str,
        url: &Url,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Option<Thinned>, Finding> {
        let Some(minimum) = self.lives.minimum(name) else {
            return Ok(None);
        };
        let document = Document {
            name,
            url,
            kind: headers
                .get(CONTENT_TYPE)
                .and_then(|kind| kind.to_str().ok()),
            body,
            sources: self.sources(name),
        };
        let thinned = self
            .protocol
            .lifecycle()
            .thin(&document, oldest(minimum))
            .map_err(|error| {
                Finding::new(Code::IndexMalformed, redact_url(url), error.to_string())
                    .with_hint(Code::IndexMalformed.remedy())
            })?;
        if let Some(thinned) = &thinned {
            let mut dates = self
                .lives
                .dates
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for (key, time) in &thinned.dates {
                dates.insert((name.to_owned(), key.clone()), *time);
            }
        }
        Ok(thinned)
    }

    /// What was left out of an index, as a note.
    pub(super) fn left_out(&self, name: &str, thinned: &Thinned) -> Option<Finding> {
        let minimum = self.lives.minimum(name)?;
        let count = thinned.left_out.len();
        if count == 0 {
            return None;
        }
        let named: Vec<&str> = thinned
            .left_out
            .iter()
            .rev()
            .take(NAMED)
            .map(String::as_str)
            .collect();
        let more = if count > NAMED { ", …" } else { "" };
        let message = format!(
            "{count} left out of the index, published within {} or at no stated time: {}{more}",
            humantime::format_duration(minimum),
            named.join(", ")
        );
        Some(Finding::new(Code::ReleaseWithheld, name, message))
    }

    /// Whether an artifact may be given out by its age.
    pub(super) async fn old_enough(&self, named: &Named, url: &Url) -> Result<(), Finding> {
        let Some(minimum) = self.lives.minimum(&named.name) else {
            return Ok(());
        };
        if self.lives.date(named).is_none() {
            self.ask_dates(named, url).await;
        }
        let rule = humantime::format_duration(minimum);
        let message = match self.lives.date(named) {
            Some(time) if time <= oldest(minimum) => return Ok(()),
            Some(time) => format!(
                "it was published at {}, and the policy asks for an age of {rule}",
                humantime::format_rfc3339_seconds(time)
            ),
            None => format!(
                "its repository does not state when it was published, and the policy asks for an \
                 age of {rule}"
            ),
        };
        let label = format!("{}@{}", named.name, named.version);
        Err(Finding::new(Code::ReleaseTooNew, label, message)
            .with_hint(Code::ReleaseTooNew.remedy()))
    }

    /// Reads the index of a package for its times; what it cannot say stays unknown.
    async fn ask_dates(&self, named: &Named, url: &Url) {
        let lifecycle = self.protocol.lifecycle();
        let own = self.repositories.of(url);
        let all = self.repositories.all().iter();
        let places = own.into_iter().chain(all.filter(|_| own.is_none()));
        for repository in places {
            let Some(address) = lifecycle.dated_index(&repository.base, &named.name) else {
                continue;
            };
            let headers = upstream::headers(self.protocol, &HeaderMap::new());
            let _page = self.page(&named.name, &address, headers).await;
            if self.lives.date(named).is_some() {
                return;
            }
        }
    }

    /// Tells what speaks against a version that is given out: its index, or its age but for an
    /// exception.
    pub(super) fn remark(&self, named: &Named) {
        let label = format!("{}@{}", named.name, named.version);
        if let (Some(_), Some(why)) = (self.lives.minimum, self.lives.exempt.get(&named.name)) {
            let message = format!("it may be younger than the policy's minimum age: {why}");
            self.events
                .found(&Finding::new(Code::ExceptionUsed, &label, message));
        }
        for remark in self.lives.said(named) {
            let reason = match remark.reason.as_str() {
                "" => "without a reason".to_owned(),
                reason => format!("with the reason: {reason}"),
            };
            let what = if remark.code == Code::VersionYanked {
                "withdrew it"
            } else {
                "advises against it"
            };
            let message = format!("its publisher {what}, {reason}");
            self.events
                .found(&Finding::new(remark.code, &label, message));
        }
        if self.protocol.lifecycle().is_placeholder(&named.version) {
            let message =
                "it stands in the place of a package that the registry removed for its harm";
            self.events
                .found(&Finding::new(Code::SecurityPlaceholder, &label, message));
        }
    }
}
