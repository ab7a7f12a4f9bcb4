//! Control 4.16: the client validates the TLS chain and fails closed.
//!
//! Every recorded connection was verified before a byte was sent, by a code path that passed its
//! self-test in the same run. An anchor that only this machine knows is said, because an
//! intercepting proxy looks like that.
//! SCVS 1.0, chapter V4, control 4.16.

use crate::assess::transport::hosts;
use crate::assess::verdict::things;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{AnchorClass, ControlId, Level, Status, Subject};

/// Control 4.16.
#[derive(Debug)]
pub(super) struct TlsValidation;

impl Control for TlsValidation {
    fn id(&self) -> ControlId {
        const { ControlId::new(16) }
    }

    fn title(&self) -> &'static str {
        "The client validates the TLS chain and fails closed"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Client
    }

    fn interpretation(&self) -> &'static str {
        "Every connection's certificate chain was verified up to a trusted anchor, for the right \
         name and time, before any byte was exchanged; the same code refused expired, self- \
         signed, misnamed and unknown certificates in this run. A private anchor makes it \
         verified instead of enforced."
    }

    fn cannot_see(&self) -> &'static str {
        "Who holds the key of a private anchor, and revocation that the chain does not carry."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let connections = &evidence.index.connections;
        let count = connections.len();
        if count == 0 {
            return Verdict::new(Status::NotApplicable, "no repository was contacted");
        }
        let public = connections
            .iter()
            .filter(|connection| connection.tls.anchor_class == Some(AnchorClass::PublicWeb))
            .count();
        let unnamed = connections
            .iter()
            .filter(|connection| connection.tls.anchor_class.is_none())
            .count();
        let private = count - public - unnamed;
        let status = if public == count {
            Status::Enforced
        } else {
            Status::Verified
        };
        let mut detail = format!(
            "{}, every chain verified before use",
            things(count, "connection")
        );
        if private > 0 {
            detail.push_str(&format!(
                "; {private} ended at an anchor that only this machine or user trusts"
            ));
        }
        Verdict::new(status, detail)
            .count("connections", count)
            .count("private", private)
            .restrict(private > 0, "private-anchor")
            .restrict(unnamed > 0, "anchor-unnamed")
            .share(count, count)
            .resting_on(hosts(connections))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Event;
    use crate::record::fixture::connected;

    #[test]
    fn a_private_anchor_is_said() {
        let verdict = |events: &[Event]| TlsValidation.assess(&Evidence::new(events));
        assert_eq!(verdict(&[]).status, Status::NotApplicable);
        assert_eq!(
            verdict(&[connected(AnchorClass::PublicWeb)]).status,
            Status::Enforced
        );
        for class in [AnchorClass::SystemOnly, AnchorClass::UserConfigured] {
            let found = verdict(&[connected(AnchorClass::PublicWeb), connected(class)]);
            assert_eq!(found.status, Status::Verified);
            assert_eq!(found.modifiers, ["private-anchor"]);
        }
    }
}
