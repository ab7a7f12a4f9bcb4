//! Control 4.18: the client does not execute component code.
//!
//! In a watched run there is one program start, the manager's own, or the few that its plan names;
//! everything else is refused by the kernel and each attempt is a refusal that violates the control (applied in the parent module).
//! Install scripts that were left out are told, with the package they belong to. Where the policy approves
//! that a component runs its own code once, the control is waived by that approval, and never enforced.
//! SCVS 1.0, chapter V4, control 4.18.

use std::collections::BTreeSet;

use serde_json::json;

use crate::assess::verdict::things;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Decision, Level, Status, Subject};
use crate::record::Index;

/// Control 4.18.
#[derive(Debug)]
pub(super) struct NoExecution;

impl Control for NoExecution {
    fn id(&self) -> ControlId {
        const { ControlId::new(18) }
    }

    fn title(&self) -> &'static str {
        "The client does not execute component code"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Client
    }

    fn interpretation(&self) -> &'static str {
        "From start to end of the install, exactly one program is started, the package manager's \
         own runtime as found before, and where that must ask its language's interpreter, that \
         interpreter once before anything is fetched; no other program, process, native library or script of a \
         component is started or loaded. Install scripts are left out and listed. What the policy \
         approves to run once, by digest and with an owner and an end, is a waiver and told as one."
    }

    fn cannot_see(&self) -> &'static str {
        "What the package manager's own code does with a component's data inside its process."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let index = &evidence.index;
        let starts = |wanted: fn(Decision) -> bool| -> Vec<&str> {
            let chosen = index
                .executions
                .iter()
                .filter(|start| wanted(start.decision));
            chosen.map(|start| start.subject).collect()
        };
        let allowed = starts(|decision| decision == Decision::Allowed);
        let denied = starts(|decision| decision != Decision::Allowed);
        let suppressed = index.suppressed.len();
        let rows = json!({
            "planned": index.planned,
            "allowed": allowed,
            "denied": denied,
            "repeated": index.repeated,
            "trusted": index.trusted.iter().map(|(digest, (path, why))| json!({
                "path": path,
                "digest": digest,
                "why": why,
            })).collect::<Vec<_>>(),
            "viewed": index.viewed.len(),
            "builds": index.builds,
            "suppressed": index.suppressed.iter().map(|script| json!({
                "name": script.name,
                "version": script.version,
                "path": script.path,
                "script": script.script,
                "command": script.command,
            })).collect::<Vec<_>>(),
        });
        let verdict = match allowed.len() {
            1 if index.planned.len() < 2 => Verdict::new(
                Status::Enforced,
                format!(
                    "one program was started, the package manager's own; {} refused, {} not run{}",
                    things(denied.len(), "other start"),
                    things(suppressed, "install script"),
                    handed(index)
                ),
            ),
            0 => Verdict::unknown("the start of the package manager is not recorded"),
            more if allowed == index.planned => Verdict::new(
                Status::Enforced,
                format!(
                    "{more} programs were started, those of the plan and in its order; {} refused, \
                     {} not run",
                    things(denied.len(), "other start"),
                    things(suppressed, "install script")
                ),
            ),
            more => Verdict::unknown(format!(
                "{more} programs were started where {} is expected",
                match index.planned.len() {
                    0 | 1 => "one".to_owned(),
                    planned => format!("a plan of {planned}"),
                }
            )),
        };
        let exceptions = index.trusted.len();
        waived(index, verdict)
            .restrict(
                exceptions > 0,
                format!("exceptions: {exceptions} plugins by digest"),
            )
            .count("trusted", exceptions)
            .count("allowed", allowed.len())
            .count("denied", denied.len())
            .count("suppressed", suppressed)
            .share(allowed.len().min(1), allowed.len().max(1))
            .resting_on(rows)
    }
}

/// The verdict of a run in which components ran their code by approval.
fn waived(index: &Index<'_>, verdict: Verdict) -> Verdict {
    let Some(first) = index.builds.first() else {
        return verdict;
    };
    let rest = match index.only_builds() {
        true => "nothing was installed in this run".to_owned(),
        // Without a whole install under it there is nothing to waive.
        false if verdict.status != Status::Enforced => return verdict,
        false => format!(
            "beside that it is {}: {}",
            verdict.status.name(),
            verdict.detail
        ),
    };
    let components: BTreeSet<&str> = index.builds.iter().map(|one| one.purl.as_str()).collect();
    let more = match components.len() {
        0 | 1 => String::new(),
        all => format!(" and {}", things(all - 1, "other component")),
    };
    let detail = format!(
        "{} answers until {} for code of {}{more}, which ran once and without network: {} ({}); {rest}",
        first.owner, first.expires, first.purl, first.reason, first.stated_in
    );
    Verdict {
        status: Status::Waived,
        detail,
        ..verdict
    }
    .restrict(true, format!("builds: {} by digest", components.len()))
    .count("built", components.len())
}

/// What a manager got that runs code of artifacts inside its own process.
fn handed(index: &Index<'_>) -> String {
    if index.trusted.is_empty() && index.viewed.is_empty() {
        return String::new();
    }
    format!(
        "; {} trusted by their digest were handed out as code, {} only without code",
        things(index.trusted.len(), "artifact"),
        things(index.viewed.len(), "artifact")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, BuildEnd, BuildStart, Event};
    use crate::record::fixture::{digest, healthy};

    #[test]
    fn code_that_is_trusted_by_digest_is_an_exception() {
        let mut events = healthy();
        for trusted in [None, Some("approved".to_owned())] {
            events.push(Event::HandedOut {
                path: "/r/a.jar".into(),
                sha256: digest(Algorithm::Sha256, u8::from(trusted.is_some())),
                trusted,
            });
        }
        let verdict = NoExecution.assess(&Evidence::new(&events));
        assert_eq!(verdict.status, Status::Enforced);
        assert_eq!(verdict.modifiers, ["exceptions: 1 plugins by digest"]);
        assert_eq!(verdict.counts["trusted"], 1);
    }

    #[test]
    fn code_that_ran_by_approval_is_waived_and_never_enforced() {
        let start = Event::BuildStarted(BuildStart {
            purl: "pkg:npm/native@1.0.0".into(),
            path: "node_modules/native".into(),
            digest: Some(digest(Algorithm::Sha512, 1)),
            script: "install".into(),
            command: "node-gyp rebuild".into(),
            owner: "build team".into(),
            reason: "native module".into(),
            expires: "2030-01-01".into(),
            stated_in: "v4run.toml:3".into(),
        });
        let end = Event::BuildEnded(BuildEnd {
            purl: "pkg:npm/native@1.0.0".into(),
            script: "install".into(),
            code: Some(0),
            signal: None,
            milliseconds: 1,
            cpu_milliseconds: 1,
            memory: 1,
            processes: 1,
            disk: 1,
        });
        let mut events = healthy();
        events.extend([start.clone(), end.clone()]);
        let status = |events: &[Event]| {
            let assessment = crate::assess::assess(events);
            assessment.control(ControlId::new(18)).unwrap().clone()
        };
        let verdict = status(&events);
        assert_eq!(verdict.status, Status::Waived);
        assert_eq!(verdict.modifiers, ["builds: 1 by digest"]);
        assert!(
            verdict.detail.starts_with(
                "build team answers until 2030-01-01 for code of pkg:npm/native@1.0.0"
            ),
            "{}",
            verdict.detail
        );
        // Without its end the monitor is in doubt; nothing of an install that is not whole is waived.
        events.pop();
        assert_eq!(status(&events).status, Status::Unknown);
        let mut alone: Vec<Event> = healthy();
        alone.retain(|event| {
            matches!(
                event,
                Event::RunStarted { .. } | Event::Enforced { .. } | Event::Contained { .. }
            )
        });
        assert_eq!(status(&alone).status, Status::Unknown);
        alone.extend([start, end]);
        assert_eq!(status(&alone).status, Status::Waived);
    }

    #[test]
    fn one_start_and_no_other() {
        let mut events = healthy();
        let verdict = NoExecution.assess(&Evidence::new(&events));
        assert_eq!(verdict.status, Status::Enforced);
        assert_eq!(verdict.counts["suppressed"], 1);
        events.push(Event::Exec {
            path: "/bin/sh".into(),
            decision: Decision::Allowed,
        });
        assert_eq!(
            NoExecution.assess(&Evidence::new(&events)).status,
            Status::Unknown
        );
        events.retain(|event| !matches!(event, Event::Exec { .. }));
        assert_eq!(
            NoExecution.assess(&Evidence::new(&events)).status,
            Status::Unknown
        );
    }

    #[test]
    fn a_longer_plan_is_kept_to_the_letter() {
        let exec = |path: &str| Event::Exec {
            path: path.into(),
            decision: Decision::Allowed,
        };
        let status = |planned: &[&str], started: &[&str]| {
            let mut events = healthy();
            events.retain(|event| !matches!(event, Event::Exec { .. }));
            events.push(Event::Planned {
                programs: planned.iter().map(|path| (*path).to_owned()).collect(),
            });
            events.extend(started.iter().map(|path| exec(path)));
            NoExecution.assess(&Evidence::new(&events)).status
        };
        let plan = ["/m", "/python", "/m"];
        assert_eq!(status(&plan, &plan), Status::Enforced);
        for started in [
            &["/m"][..],
            &["/m", "/m", "/python"],
            &["/m", "/other", "/m"],
            &["/m", "/python", "/python", "/m"],
        ] {
            assert_eq!(status(&plan, started), Status::Unknown, "{started:?}");
        }
    }
}
