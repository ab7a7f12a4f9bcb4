//! What is known about the repositories that a run used: statements and probes, folded to one verdict.
//!
//! For every control that makes a demand on an operator. Each repository that served something in the
//! run is judged by itself and the worst counts. The rules: a probe that contradicts wins over every
//! statement; one that supports makes it observed, never more; a statement counts until its last day;
//! v4run's own statements are about the operator of the manager's default repository, so that they
//! count only where a certificate of the public web showed that it was that operator who answered.
//! What nobody states and nothing shows is unknown.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use url::Url;

use super::verdict::things;
use super::{Evidence, Verdict, worst};
use crate::model::{
    AnchorClass, ControlId, Fact, KnownRepository, Outcome, Probed, Status, Voucher,
};
use crate::record::Index;

/// What is known about one repository.
struct Half {
    status: Status,
    detail: String,
    modifiers: Vec<String>,
    row: Value,
}

/// The verdict on a control of the operators.
pub(super) fn operator(evidence: &Evidence<'_>, control: ControlId) -> Verdict {
    let index = &evidence.index;
    let used: BTreeSet<&str> = index.repositories.values().flatten().copied().collect();
    let halves: Vec<Half> = used.iter().map(|id| judge(index, id, control)).collect();
    let status = worst(halves.iter().map(|half| half.status));
    let Some(decisive) = halves.iter().find(|half| half.status == status) else {
        return Verdict::unknown("no repository was used in this run");
    };
    let met = halves.iter().filter(|half| half.status.result() == "met");
    let mut detail = decisive.detail.clone();
    if halves.len() > 1 {
        detail.push_str(&format!(
            "; the worst of {}",
            things(halves.len(), "repository used")
        ));
    }
    let mut verdict = Verdict::new(status, detail)
        .count("repositories", halves.len())
        .share(met.count(), halves.len());
    verdict.modifiers.clone_from(&decisive.modifiers);
    let rows: Vec<Value> = halves.into_iter().map(|half| half.row).collect();
    verdict.resting_on(json!(rows))
}

/// Whether any repository of the run has statements or probes on a control.
pub(super) fn is_addressed(evidence: &Evidence<'_>, control: ControlId) -> bool {
    let known = evidence.index.known.values();
    let mut facts = known.flat_map(|known| &known.facts);
    facts.any(|fact| fact.control == control)
        || evidence
            .index
            .probes
            .iter()
            .any(|probe| probe.control == control)
}

fn judge(index: &Index<'_>, id: &str, control: ControlId) -> Half {
    let Some(known) = index.known.get(id).copied() else {
        return Half {
            status: Status::Unknown,
            detail: format!("nothing is recorded about the operator of `{id}`"),
            modifiers: Vec::new(),
            row: json!({ "repository": id, "status": Status::Unknown }),
        };
    };
    let probes: Vec<&Probed> = index
        .probes
        .iter()
        .copied()
        .filter(|probe| probe.control == control && probe.base == known.base)
        .collect();
    let fact = known.facts.iter().find(|fact| fact.control == control);
    let (status, detail, modifiers) = conclude(index, known, fact, &probes);
    Half {
        row: json!({
            "repository": id,
            "base": known.base,
            "status": status,
            "statement": fact,
            "probes": probes,
            "assessed_at": known.at,
        }),
        status,
        detail: format!("`{id}`: {detail}"),
        modifiers,
    }
}

fn conclude(
    index: &Index<'_>,
    known: &KnownRepository,
    fact: Option<&Fact>,
    probes: &[&Probed],
) -> (Status, String, Vec<String>) {
    let current = |outcome| {
        let mut fresh = probes
            .iter()
            .filter(|probe| !is_past(&probe.expires, &known.at));
        fresh.find(|probe| probe.outcome == outcome)
    };
    if let Some(probe) = current(Outcome::Contradicts) {
        let detail = format!("a probe contradicts it: {} ({})", probe.detail, probe.at);
        return (Status::Violated, detail, Vec::new());
    }
    let credited = fact.map(|fact| (fact, credit(index, known, fact)));
    if let Some((fact, Credit::Counts)) = credited
        && !fact.holds
    {
        let compensated = fact.compensated_by.as_ref();
        let modifiers = compensated.map(|by| format!("compensated: {by}"));
        return (
            Status::Violated,
            stated(fact),
            modifiers.into_iter().collect(),
        );
    }
    if let Some(probe) = current(Outcome::Supports) {
        let detail = format!("a probe showed it: {} ({})", probe.detail, probe.at);
        return (Status::Observed, detail, Vec::new());
    }
    match credited {
        Some((fact, Credit::Counts)) => (Status::Declared, stated(fact), Vec::new()),
        Some((fact, Credit::Stale)) => {
            let detail = format!(
                "the statement ended on {} ({})",
                fact.expires, fact.stated_in
            );
            (Status::Unknown, detail, vec!["stale".to_owned()])
        }
        Some((_, Credit::PrivateAnchor)) => {
            let detail = "TLS ended at an anchor that only this machine or user trusts, so that \
                          whoever stands there answers, and nothing is stated about them";
            (
                Status::Unknown,
                detail.to_owned(),
                vec!["private-anchor".to_owned()],
            )
        }
        Some((_, Credit::Unseen)) => {
            let detail = "nothing was fetched from it in this run, so that no certificate showed \
                          who stands there";
            (Status::Unknown, detail.to_owned(), Vec::new())
        }
        None => match (current(Outcome::CannotTell), probes.first()) {
            (Some(probe), _) => {
                let detail = format!("no statement, and a probe could not tell: {}", probe.detail);
                (Status::Unknown, detail, Vec::new())
            }
            (None, Some(_)) => {
                let detail = "no statement, and the last probe is too old".to_owned();
                (Status::Unknown, detail, vec!["stale".to_owned()])
            }
            (None, None) => {
                let detail = "no dated statement about its operator, and no probe".to_owned();
                (Status::Unknown, detail, Vec::new())
            }
        },
    }
}

fn stated(fact: &Fact) -> String {
    format!(
        "{} (source: {}; checked {}, until {})",
        fact.statement, fact.source, fact.checked, fact.expires
    )
}

/// What a statement is worth in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credit {
    Counts,
    Stale,
    PrivateAnchor,
    Unseen,
}

fn credit(index: &Index<'_>, known: &KnownRepository, fact: &Fact) -> Credit {
    if is_past(&format!("{}T23:59:59Z", fact.expires), &known.at) {
        return Credit::Stale;
    }
    if fact.voucher == Voucher::Policy {
        return Credit::Counts;
    }
    let place = Url::parse(&known.base).ok().and_then(|base| {
        let port = base.port_or_known_default()?;
        Some(format!("{}:{port}", base.host_str()?))
    });
    let mut anchors = index
        .connections
        .iter()
        .filter(|connection| Some(connection.host) == place.as_deref())
        .map(|connection| connection.tls.anchor_class)
        .peekable();
    if !known.standard || anchors.peek().is_none() {
        return Credit::Unseen;
    }
    match anchors.all(|class| class == Some(AnchorClass::PublicWeb)) {
        true => Credit::Counts,
        false => Credit::PrivateAnchor,
    }
}

/// Whether a moment was over at another one. What cannot be read is over.
pub(super) fn is_past(moment: &str, at: &str) -> bool {
    let read = |text: &str| humantime::parse_rfc3339(text).ok();
    match (read(moment), read(at)) {
        (Some(moment), Some(at)) => at > moment,
        (None, _) | (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Event;
    use crate::record::fixture::{connected, fact, known, probed, released};

    const CONTROL: ControlId = ControlId::new(3);

    fn verdict(anchor: Option<AnchorClass>, facts: Vec<Fact>, probes: Vec<Probed>) -> Verdict {
        let mut events = vec![Event::Released(released("x", "1.0.0", 1))];
        events.extend(anchor.map(connected));
        events.push(Event::RepositoryKnown(known(facts)));
        events.extend(probes.into_iter().map(Event::Probed));
        operator(&Evidence::new(&events), CONTROL)
    }

    fn by(voucher: Voucher, holds: bool, expires: &str) -> Fact {
        Fact {
            voucher,
            expires: expires.into(),
            ..fact(CONTROL, holds)
        }
    }

    #[test]
    fn statements_and_probes_by_the_table() {
        use AnchorClass::{PublicWeb, SystemOnly, UserConfigured};
        use Outcome::{CannotTell, Contradicts, Supports};
        let late = "2027-01-31";
        let over = "2026-11-21";
        let built_in = |holds, expires| Some(by(Voucher::BuiltIn, holds, expires));
        let policy = |holds, expires| Some(by(Voucher::Policy, holds, expires));
        let rows = [
            (Some(PublicWeb), None, None, Status::Unknown, ""),
            (
                Some(PublicWeb),
                built_in(true, late),
                None,
                Status::Declared,
                "",
            ),
            (
                Some(PublicWeb),
                built_in(false, late),
                None,
                Status::Violated,
                "compensated: x",
            ),
            (
                Some(PublicWeb),
                built_in(true, over),
                None,
                Status::Unknown,
                "stale",
            ),
            (
                Some(PublicWeb),
                built_in(false, over),
                None,
                Status::Unknown,
                "stale",
            ),
            (
                Some(SystemOnly),
                built_in(true, late),
                None,
                Status::Unknown,
                "private-anchor",
            ),
            (
                Some(UserConfigured),
                built_in(false, late),
                None,
                Status::Unknown,
                "private-anchor",
            ),
            (None, built_in(true, late), None, Status::Unknown, ""),
            (
                Some(SystemOnly),
                policy(true, late),
                None,
                Status::Declared,
                "",
            ),
            (None, policy(true, late), None, Status::Declared, ""),
            (None, policy(true, over), None, Status::Unknown, "stale"),
            (
                None,
                policy(true, "nonsense"),
                None,
                Status::Unknown,
                "stale",
            ),
            (None, None, Some(Supports), Status::Observed, ""),
            (None, None, Some(CannotTell), Status::Unknown, ""),
            (None, None, Some(Contradicts), Status::Violated, ""),
            (
                None,
                policy(true, late),
                Some(Contradicts),
                Status::Violated,
                "",
            ),
            (
                None,
                policy(true, late),
                Some(Supports),
                Status::Observed,
                "",
            ),
            (
                None,
                policy(true, late),
                Some(CannotTell),
                Status::Declared,
                "",
            ),
            (
                None,
                policy(false, late),
                Some(Supports),
                Status::Violated,
                "compensated: x",
            ),
            (
                None,
                policy(true, over),
                Some(Supports),
                Status::Observed,
                "",
            ),
        ];
        for (anchor, fact, outcome, status, modifier) in rows {
            let probes = outcome.map(|outcome| probed(CONTROL, outcome));
            let shown = format!("{anchor:?} {fact:?} {outcome:?}");
            let found = verdict(
                anchor,
                fact.into_iter().collect(),
                probes.into_iter().collect(),
            );
            assert_eq!(found.status, status, "{shown}: {}", found.detail);
            assert_eq!(found.modifiers.join(" "), modifier, "{shown}");
        }
    }

    #[test]
    fn a_probe_counts_for_its_time_and_its_repository() {
        let old = Probed {
            expires: "2026-11-22T11:59:59Z".into(),
            ..probed(CONTROL, Outcome::Supports)
        };
        let found = verdict(None, vec![], vec![old]);
        assert_eq!(
            (found.status, found.modifiers.join(" ")),
            (Status::Unknown, "stale".into())
        );
        let other = Probed {
            base: "https://other.invalid/".into(),
            ..probed(CONTROL, Outcome::Contradicts)
        };
        assert_eq!(verdict(None, vec![], vec![other]).status, Status::Unknown);
    }

    #[test]
    fn the_worst_repository_counts_and_none_is_unknown() {
        assert_eq!(
            operator(&Evidence::new(&[]), CONTROL).status,
            Status::Unknown
        );
        let mut second = released("y", "1.0.0", 2);
        second.repository = "second".into();
        let mut events = vec![
            Event::Released(released("x", "1.0.0", 1)),
            Event::RepositoryKnown(known(vec![by(Voucher::Policy, true, "2027-01-31")])),
        ];
        assert_eq!(
            operator(&Evidence::new(&events), CONTROL).status,
            Status::Declared
        );
        events.push(Event::Released(second));
        let found = operator(&Evidence::new(&events), CONTROL);
        assert_eq!(
            (found.status, found.conforming),
            (Status::Unknown, Some((1, 2)))
        );
        assert!(found.detail.contains("`second`"), "{}", found.detail);
    }

    proptest! {
        #[test]
        fn a_probe_never_promotes_beyond_observed(
            holds: bool,
            built_in: bool,
            outcomes in proptest::collection::vec(0..3_usize, 0..4),
        ) {
            let voucher = if built_in { Voucher::BuiltIn } else { Voucher::Policy };
            let all = [Outcome::Supports, Outcome::Contradicts, Outcome::CannotTell];
            let probes: Vec<Probed> = outcomes.iter().map(|pick| probed(CONTROL, all[*pick])).collect();
            let facts = vec![by(voucher, holds, "2027-01-31")];
            let status = verdict(Some(AnchorClass::PublicWeb), facts.clone(), probes.clone()).status;
            prop_assert!(status <= Status::Observed);
            let mut turned = probes;
            turned.reverse();
            prop_assert_eq!(verdict(Some(AnchorClass::PublicWeb), facts, turned).status, status);
        }
    }
}
