//! What would make a control met, and who can do that: one sentence or two a control.
//!
//! Shown by `v4run assess` for the controls that hold a level up, and by `v4run explain`. A remedy that
//! does not exist is not invented: where only the operator can help, it says so.

use crate::model::ControlId;

/// What to do about a control.
pub fn remedy(control: ControlId) -> &'static str {
    match control.number() {
        1 => {
            "Install into an empty place, so that every component is fetched; replace files, git and \
             URL dependencies by versions of a repository that the configuration names."
        }
        2 => {
            "Use the origin itself or a mirror that passes its signatures on; for a mirror of your own \
             name its `origin` under `repositories` in the policy, or state in `[[facts]]` that it is \
             authoritative."
        }
        3 => {
            "The operator has to demand a second factor or a short-lived identity for publishing; of a \
             repository of your own, state it in `[[facts]]` with its source."
        }
        4 => {
            "The operator has to offer a second factor for publishing; of a repository of your own, \
             state it in `[[facts]]` with its source."
        }
        5 => {
            "The publishers have to publish with a second factor, and the repository has to show it \
             for each version; choose versions that do, or state it in `[[facts]]` from your \
             repository's own audit log."
        }
        6 => {
            "The operator has to take reports: a valid security.txt below /.well-known is seen by \
             `v4run probe`, anything else is for `[[facts]]`."
        }
        7 => {
            "The operator has to take reports from programs (an API); of a repository of your own, \
             state it in `[[facts]]`."
        }
        8 => {
            "The operator has to tell publishers about security problems of what they published; \
             nothing of it can be seen from outside, so state it in `[[facts]]` with its source."
        }
        9 => {
            "The repository needs a channel for advisories that a client can ask; `v4run probe` asks \
             it for a version that is known to be bad, and believes it from then on."
        }
        10 => {
            "The publishers have to publish with a provenance attestation, and the repository has to \
             serve it; prefer versions that have one."
        }
        11 => {
            "The repository has to state when each version was published, and must never change one; \
             keep v4run's store between runs, so that a change is seen."
        }
        12 => {
            "Only the operator can demand signatures. Where it does not, nothing reaches this control \
             but an exception in the policy with owner, reason and expiry."
        }
        13 => {
            "Commit a lockfile with SHA-512 or SHA-256 digests, and remove what is refused; nothing \
             stands in for it."
        }
        14 => {
            "Pin every local artifact file in the lockfile or the policy by its digest; nothing stands \
             in for it."
        }
        15 => {
            "The operator has to refuse plaintext; `v4run probe` looks. Your own half is enforced in \
             every run."
        }
        16 => {
            "Correct the certificate or the trust store; nothing stands in for it. A private anchor \
             keeps it at verified."
        }
        17 => {
            "The operator has to analyse every version before it can be installed and publish the \
             result; a repository of your own that does can state it in `[[facts]]`."
        }
        18 => {
            "Remove the dependency that tried to run something, or run that step on purpose after the \
             install; nothing stands in for it."
        }
        _ => {
            "Let the install end by itself, into an empty place; what differs between proxy, package \
             manager and disk is in the findings."
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_control_has_one_of_its_own() {
        let texts: BTreeSet<&str> = ControlId::all().map(remedy).collect();
        assert_eq!(texts.len(), 19);
        assert!(
            texts
                .iter()
                .all(|text| text.ends_with('.') && !text.contains("  "))
        );
    }
}
