//! Control 4.15: the repository is used over TLS only.
//!
//! Two halves. The client's: plaintext is impossible in a run, and every connection shows its TLS
//! version. The repository's: it served over TLS each time, but whether it also answers plaintext
//! is for a probe or a statement, so that the whole is observed at best.
//! SCVS 1.0, chapter V4, control 4.15.

use serde_json::json;

use crate::assess::repository::{is_addressed, operator};
use crate::assess::transport::hosts;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Status, Subject};

/// Control 4.15.
#[derive(Debug)]
pub(super) struct RepositoryTls;

impl Control for RepositoryTls {
    fn id(&self) -> ControlId {
        const { ControlId::new(15) }
    }

    fn title(&self) -> &'static str {
        "The repository is used over TLS only"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "Every exchange of this install with a repository used TLS 1.2 or newer, and plaintext \
         or a redirect to it was impossible (the client's half). That the repository itself \
         refuses plaintext needs a probe or a statement; without one only the client's half is \
         observed. A repository that answers plaintext with content contradicts the control."
    }

    fn cannot_see(&self) -> &'static str {
        "How the repository answers others, and whether it still answers plaintext."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let connections = &evidence.index.connections;
        let count = connections.len();
        if count == 0 {
            return Verdict::new(Status::NotApplicable, "no repository was contacted");
        }
        let old = connections
            .iter()
            .filter(|connection| !matches!(connection.tls.version.as_str(), "TLSv1.2" | "TLSv1.3"))
            .count();
        let half = operator(evidence, self.id());
        let addressed = is_addressed(evidence, self.id());
        let repository = if addressed && half.status.result() != "unknown" {
            half.detail
        } else {
            format!(
                "whether the repository refuses plaintext is not known ({})",
                half.detail
            )
        };
        let status = if old > 0 || half.status == Status::Violated {
            Status::Violated
        } else {
            Status::Observed
        };
        Verdict::new(
            status,
            format!(
                "client half enforced: {} of {count} connections used TLS 1.2 or newer, plaintext \
                 was impossible; {repository}",
                count - old
            ),
        )
        .count("connections", count)
        .restrict(half.status.result() == "unknown", "client-half")
        .share(count - old, count)
        .resting_on(json!({ "hosts": hosts(connections), "repositories": half.evidence }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AnchorClass, Event, Outcome};
    use crate::record::fixture;
    use crate::record::fixture::connected;

    #[test]
    fn the_repository_half_keeps_it_from_being_enforced() {
        let verdict = |events: &[Event]| RepositoryTls.assess(&Evidence::new(events));
        assert_eq!(verdict(&[]).status, Status::NotApplicable);
        let mut event = connected(AnchorClass::PublicWeb);
        let good = verdict(&[event.clone()]);
        assert_eq!(
            (good.status, good.modifiers),
            (Status::Observed, vec!["client-half".into()])
        );
        if let Event::Connected { tls, .. } = &mut event {
            tls.version = "TLSv1.1".into();
        }
        assert_eq!(verdict(&[event]).status, Status::Violated);
    }

    #[test]
    fn the_repository_half_is_stated_or_probed() {
        let verdict = |outcome: Option<Outcome>, fact: Option<bool>| {
            let id = RepositoryTls.id();
            let facts = fact
                .map(|holds| fixture::fact(id, holds))
                .into_iter()
                .collect();
            let mut events = vec![
                connected(AnchorClass::PublicWeb),
                Event::Released(fixture::released("x", "1.0.0", 1)),
                Event::RepositoryKnown(fixture::known(facts)),
            ];
            events.extend(outcome.map(|outcome| Event::Probed(fixture::probed(id, outcome))));
            let found = RepositoryTls.assess(&Evidence::new(&events));
            (found.status, found.modifiers.len())
        };
        assert_eq!(verdict(None, None), (Status::Observed, 1));
        assert_eq!(verdict(None, Some(true)), (Status::Observed, 0));
        assert_eq!(
            verdict(Some(Outcome::Supports), None),
            (Status::Observed, 0)
        );
        assert_eq!(
            verdict(Some(Outcome::CannotTell), None),
            (Status::Observed, 1)
        );
        assert_eq!(
            verdict(Some(Outcome::Contradicts), Some(true)).0,
            Status::Violated
        );
        assert_eq!(verdict(None, Some(false)).0, Status::Violated);
    }
}
