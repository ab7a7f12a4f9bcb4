//! Control 4.18: the client does not execute component code.
//!
//! In a watched run there is one program start, the manager's own, or the few that its plan names;
//! everything else is refused by the kernel and each attempt is a refusal that violates the control (applied in the parent module).
//! Install scripts that were left out are told, with the package they belong to.
//! SCVS 1.0, chapter V4, control 4.18.

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
         component is started or loaded. Install scripts are left out and listed."
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
        verdict
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
    use crate::model::{Algorithm, Event};
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
