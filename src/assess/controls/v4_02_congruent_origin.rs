//! Control 4.2: the repository serves what the authoritative origin serves.
//!
//! Shown by a signature of the origin over name, version and digest, or by the digest that the origin
//! itself states, for every component; the worst decides. What holds by the word of the repository alone
//! is observed. A mirror that differs is a refusal (applied for all controls alike in the parent module).
//! SCVS 1.0, chapter V4, control 4.2.

use serde_json::json;

use crate::assess::repository::operator;
use crate::assess::verdict::things;
use crate::assess::vouched::{Components, reason, row, standing};
use crate::assess::{Control, Evidence, Verdict, worst};
use crate::model::{ControlId, Level, Proof, Standing, Status, Subject, Vouched};

/// Control 4.2.
#[derive(Debug)]
pub(super) struct CongruentOrigin;

impl Control for CongruentOrigin {
    fn id(&self) -> ControlId {
        const { ControlId::new(2) }
    }

    fn title(&self) -> &'static str {
        "The repository serves what the authoritative origin serves"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "Where the repository is itself the origin of the ecosystem, a dated statement says so. \
         Where it is a mirror, the digest of every artifact used must equal the one that the \
         origin states, or a signature of the origin must verify over name, version and digest, by \
         a key that did not come from the repository itself, or one of the publisher over the bytes, \
         by a key that the policy pins. An attestation of a builder counts as \
         much where the policy names the source; without that it is an observation."
    }

    fn cannot_see(&self) -> &'static str {
        "Whether two channels that agree were changed in the same way, and what the repository \
         serves to others."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let components = Components::of(evidence);
        let total = components.applicable();
        if total == 0 {
            return Verdict::unknown("nothing was installed");
        }
        // What nothing shows may still be stated: of a repository that is itself the origin.
        let stated = operator(evidence, self.id());
        let (mut signed, mut compared, mut pinned, mut observed) = (0, 0, 0, 0);
        let mut rows = Vec::new();
        let mut open = None;
        let status = worst(components.released.iter().map(|(package, vouched)| {
            let (status, counter) = match judge(*vouched) {
                Shown::Contradicted => (Status::Violated, None),
                Shown::Signed => (Status::Verified, Some(&mut signed)),
                Shown::Compared => (Status::Verified, Some(&mut compared)),
                Shown::Pinned => (Status::Verified, Some(&mut pinned)),
                Shown::Observed => (Status::Observed, Some(&mut observed)),
                Shown::Not => {
                    open = open.or(reason(*vouched));
                    (stated.status, None)
                }
            };
            if let Some(counter) = counter {
                *counter += 1;
            }
            rows.push(row(package, status, *vouched));
            status
        }));
        let status = match components.unseen {
            0 => status,
            _ => worst([status, Status::Unknown]),
        };
        let rest = signed + compared + pinned + observed < total;
        let shown = signed + compared + pinned;
        let mut detail = format!(
            "{shown} of {} are what the origin published: {signed} by a signature, {compared} by \
             the digest that it states, {pinned} by an attestation from the source that the policy names",
            things(total, "component")
        );
        if observed > 0 {
            detail.push_str(&format!(", {observed} more by the repository's own word"));
        }
        if rest {
            detail.push_str(&format!(
                "; of the rest it is only stated: {}",
                stated.detail
            ));
        }
        if let Some(open) = open.filter(|_| rest) {
            detail.push_str(&format!("; not shown: {open}"));
        }
        Verdict::new(status, detail)
            .count("signed", signed)
            .count("compared", compared)
            .count("pinned", pinned)
            .count("observed", observed)
            .restrict(shown < total, format!("partial {shown}/{total}"))
            .restrict(
                components.bundled > 0,
                format!("bundled {}", components.bundled),
            )
            .share(shown, total)
            .resting_on(json!({ "components": rows, "stated": stated.evidence }))
    }
}

/// How it is known that a component is what the origin published.
enum Shown {
    Contradicted,
    Signed,
    Compared,
    Pinned,
    Observed,
    Not,
}

fn judge(vouched: Option<&Vouched>) -> Shown {
    let of = |proof| standing(vouched, proof);
    let proofs = [
        Proof::RegistrySignature,
        Proof::PublishAttestation,
        Proof::PublisherSignature,
        Proof::Origin,
        Proof::Provenance,
    ];
    let by = |standing| {
        proofs
            .into_iter()
            .find(|proof| of(*proof) == Some(standing))
    };
    if by(Standing::Invalid).is_some() {
        return Shown::Contradicted;
    }
    let pinned = vouched.is_some_and(|one| one.built.as_ref().is_some_and(|built| built.pinned));
    match by(Standing::Verified) {
        Some(Proof::RegistrySignature | Proof::PublishAttestation | Proof::PublisherSignature) => {
            Shown::Signed
        }
        Some(Proof::Origin) => Shown::Compared,
        // Whoever builds from a source of his own can attest anything of it: only where somebody
        // outside the repository says which source is right does that show more than its word.
        Some(Proof::Provenance) if pinned => Shown::Pinned,
        Some(Proof::Provenance) => Shown::Observed,
        None if by(Standing::Observed).is_some() => Shown::Observed,
        None => Shown::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::vouched::fixture::{check, run};
    use crate::model::Built;
    use crate::record::fixture::healthy;

    fn status(checks: &[(Proof, Standing)], pinned: Option<bool>) -> Status {
        let events = run(|vouched| {
            vouched.checks = checks
                .iter()
                .map(|(proof, it)| check(*proof, *it))
                .collect();
            vouched.built = pinned.map(|pinned| Built {
                repository: "https://code.invalid/o/a".into(),
                commit: "c".into(),
                reference: None,
                builder: None,
                pinned,
            });
        });
        CongruentOrigin.assess(&Evidence::new(&events)).status
    }

    #[test]
    fn only_what_lies_outside_the_repository_verifies() {
        use Proof::{
            Origin, Provenance, PublishAttestation, PublisherSignature, RegistrySignature,
        };
        use Standing::{Invalid, Observed, Unknown, Verified};
        for (checks, pinned, expected) in [
            (&[][..], None, Status::Unknown),
            (&[(RegistrySignature, Unknown)], None, Status::Unknown),
            (&[(RegistrySignature, Observed)], None, Status::Observed),
            (&[(RegistrySignature, Verified)], None, Status::Verified),
            (&[(PublishAttestation, Verified)], None, Status::Verified),
            (&[(PublisherSignature, Verified)], None, Status::Verified),
            (&[(PublisherSignature, Unknown)], None, Status::Unknown),
            (
                &[(PublisherSignature, Invalid), (Provenance, Verified)],
                Some(true),
                Status::Violated,
            ),
            (&[(Origin, Verified)], None, Status::Verified),
            (
                &[(Origin, Invalid), (RegistrySignature, Verified)],
                None,
                Status::Violated,
            ),
            (&[(Provenance, Verified)], Some(false), Status::Observed),
            (&[(Provenance, Verified)], Some(true), Status::Verified),
            (
                &[(Provenance, Verified), (Provenance, Invalid)],
                Some(true),
                Status::Violated,
            ),
        ] {
            assert_eq!(status(checks, pinned), expected, "{checks:?}");
        }
    }

    #[test]
    fn components_of_which_nothing_is_known_are_unknown() {
        let events = healthy();
        let verdict = CongruentOrigin.assess(&Evidence::new(&events));
        assert_eq!(verdict.status, Status::Unknown);
        assert_eq!(verdict.conforming, Some((0, 4)));
        let nothing = CongruentOrigin.assess(&Evidence::new(&[]));
        assert_eq!(nothing.status, Status::Unknown);
    }
}
