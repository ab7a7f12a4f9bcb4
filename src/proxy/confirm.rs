//! An address that only a lockfile names: an index of the run must name it too.
//!
//! Called before the artifact is fetched. A manager that installs from a lock asks for the addresses
//! in it and no index. The lock's word on a digest is an anchor, its word on a place is no permission:
//! whoever can change the lock could name any host. So the index of that name is fetched and read
//! like one that the manager asked for, with all that belongs to it: digests of both are compared,
//! and a name that several repositories have is refused. Protocols whose names have one repository
//! by configuration are left alone.

use http::HeaderMap;
use http::header::{ACCEPT, HeaderValue};
use url::Url;

use super::expect::{Named, Promise};
use super::pipeline::Pipeline;
use crate::model::Code;
use crate::model::Finding;
use crate::model::redact_url;

impl Pipeline {
    /// The promise of an artifact that may be fetched from there. Where that is not known yet, the
    /// index is read, which may promise more.
    pub(super) async fn confirm(
        &self,
        promise: Promise,
        named: Option<&Named>,
        url: &Url,
    ) -> Result<Promise, Finding> {
        let name = promise.named.name.as_str();
        if self.is_vouched(url) {
            return Ok(promise);
        }
        let rivals = self.rivals(name);
        if rivals.is_empty() {
            return Ok(promise);
        }
        let kinds = HeaderValue::from_static(self.protocol.index_kinds());
        let headers = HeaderMap::from_iter([(ACCEPT, kinds)]);
        for (_, address) in &rivals {
            // The same document that the manager would be given, and never twice at a time.
            let key = format!("{:?} {address}", headers.get(ACCEPT));
            self.under_way
                .run(key, || self.index(name, address, headers.clone()))
                .await?;
            if self.is_vouched(url) {
                return self.expectations.promise(url, named);
            }
        }
        let shown = redact_url(url);
        let message = format!(
            "{} names an address that no index of this run names for `{name}`: {shown}",
            promise.stated
        );
        Err(Finding::new(Code::RepositoryRefused, shown, message)
            .with_hint("recreate the lock against the index that your configuration names"))
    }

    fn is_vouched(&self, url: &Url) -> bool {
        self.repositories.of(url).is_some() || self.expectations.is_vouched(url)
    }
}
