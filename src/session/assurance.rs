//! What is known of a run's repositories before it starts: statements, probes, exceptions, as events.
//!
//! Statements are v4run's own about the manager's default repository, and the policy's about any; the
//! policy's go first. A repository is the manager's default when its driver took it from nowhere but the
//! manager itself; then it may not be private either, and that is how the plan says it. Probes are those
//! that `v4run probe` left in the state directory. Judging them is left to the controls.

use std::path::Path;
use std::time::SystemTime;

use super::probe::kept;
use crate::model::redact_url;
use crate::model::{
    Code, Event, Fact, Finding, KnownRepository, Network, ReleaseAge, Repository, Voucher,
};
use crate::profile::{Policy, facts};

/// The exceptions of the policy.
pub(super) fn exceptions(policy: &Policy) -> impl Iterator<Item = Event> {
    policy.exceptions.iter().cloned().map(Event::Excepted)
}

/// The minimum age of versions, for the proxy.
pub(super) fn release_age(policy: &Policy) -> Option<ReleaseAge> {
    let exempt = policy.age_exemptions.iter();
    Some(ReleaseAge {
        seconds: policy.minimum_release_age?.as_secs(),
        exempt: exempt
            .map(|one| (one.package.clone(), one.why.clone()))
            .collect(),
    })
}

/// Every repository of the plan with what is stated about it, and what probes of it saw. `state` is
/// where probes are kept, if there is such a place.
pub(super) fn known(
    network: &Network,
    policy: &Policy,
    state: Option<&Path>,
    now: SystemTime,
) -> Result<Vec<Event>, Finding> {
    let mut events = Vec::new();
    for repository in &network.repositories {
        let base = redact_url(&repository.base);
        events.push(Event::RepositoryKnown(KnownRepository {
            repository: repository.id.clone(),
            standard: is_standard(repository),
            at: humantime::format_rfc3339_seconds(now).to_string(),
            facts: stated(repository, &network.protocol, policy)?,
            base: base.clone(),
        }));
        let probes = state.map(|state| kept::load(state, &base));
        events.extend(probes.into_iter().flatten().map(Event::Probed));
    }
    Ok(events)
}

fn is_standard(repository: &Repository) -> bool {
    !repository.may_be_private
}

fn stated(repository: &Repository, protocol: &str, policy: &Policy) -> Result<Vec<Fact>, Finding> {
    let allowed = policy.repositories.iter();
    let inherits = allowed
        .filter(|allowed| allowed.url == repository.base)
        .find_map(|allowed| allowed.inherits.as_deref());
    let (sheet, voucher) = match inherits {
        Some(id) => (facts::sheet(id), Voucher::Policy),
        None if is_standard(repository) => (facts::sheet(protocol), Voucher::BuiltIn),
        None => (None, Voucher::BuiltIn),
    };
    let sheet = sheet.transpose().map_err(|error| {
        Finding::new(Code::Internal, "facts", format!("built-in facts: {error}"))
    })?;
    let own = policy.facts.iter();
    let mut found: Vec<Fact> = own
        .filter(|stated| stated.repository == repository.base)
        .map(|stated| stated.fact.clone())
        .collect();
    for fact in sheet.into_iter().flat_map(|sheet| sheet.facts(voucher)) {
        if found.iter().all(|known| known.control != fact.control) {
            found.push(fact);
        }
    }
    found.sort_by_key(|fact| fact.control);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn network(private: bool) -> Network {
        let base: url::Url = "https://r.invalid/npm/".parse().unwrap();
        Network::of(&Repository {
            id: "registry".into(),
            origin: base.clone(),
            base,
            configured_in: "here".into(),
            may_be_private: private,
            credential: None,
        })
    }

    fn facts_of(private: bool, text: &str) -> BTreeMap<u8, (bool, Voucher)> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("v4run.toml"), text).unwrap();
        let none = directory.path().join("none");
        let policy = Policy::load(None, directory.path(), &none).unwrap();
        let events = known(&network(private), &policy, None, SystemTime::now()).unwrap();
        let [Event::RepositoryKnown(known)] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(known.standard, !private);
        let facts = known.facts.iter();
        facts
            .map(|fact| (fact.control.number(), (fact.holds, fact.voucher)))
            .collect()
    }

    #[test]
    fn only_the_manager_s_own_default_has_built_in_facts() {
        let own = facts_of(false, "");
        assert_eq!(own[&12], (false, Voucher::BuiltIn));
        assert!(own[&3].0 && !own.contains_key(&8));
        assert!(facts_of(true, "").is_empty());
    }

    #[test]
    fn a_policy_lets_a_mirror_inherit_and_speaks_first() {
        let listed = "[[repositories]]\nurl = 'https://r.invalid/npm'\ninherits = 'npm'\n";
        let inherited = facts_of(true, listed);
        assert_eq!(inherited[&12], (false, Voucher::Policy));
        let fact = "[[facts]]\nrepository = 'https://r.invalid/npm'\ncontrol = '4.12'\nholds = true\n\
                    statement = 's'\nsource = 't'\nchecked = '2026-10-01'\n";
        let spoken = facts_of(true, &format!("{listed}{fact}"));
        assert_eq!(spoken[&12], (true, Voucher::Policy));
        assert_eq!(spoken.len(), inherited.len());
        let elsewhere = facts_of(true, &fact.replace("r.invalid", "other.invalid"));
        assert!(elsewhere.is_empty());
    }
}
