//! Runtime trace: what the monitor saw of processes, network and files.
//!
//! A fold over the events at the seal. The monitor is synchronous: a file that is listed with a
//! digest was handed out as exactly those bytes. What is not listed is said in the trace policy:
//! reads that Landlock alone decided leave no event. in-toto predicate runtime-trace v0.1.

use serde_json::{Value, json};

use super::statement::{Resource, artifacts, inputs};
use super::{Kind, Payload, payload};
use crate::model::{Decision, Digest};
use crate::record::index::{Index, Judged};
use crate::record::{Outcome, RecordError};

/// The statement. `head` is the digest of the journal's last line so far.
pub(in crate::record) fn statement(
    index: &Index<'_>,
    outcome: &Outcome,
    head: &str,
) -> Result<Payload, RecordError> {
    let mut subject = artifacts(index);
    subject.extend(inputs(index));
    // Also a run that fetched nothing is a statement about something.
    let mut journal = Resource::named("events.jsonl: the last line before the seal");
    journal.digest.insert("sha256".to_owned(), head.to_owned());
    subject.push(journal);
    payload(Kind::Trace, &subject, &predicate(index, outcome))
}

fn predicate(index: &Index<'_>, outcome: &Outcome) -> Value {
    let time = |when| humantime::format_rfc3339_millis(when).to_string();
    let mut monitor = json!({
        "type": "urn:v4run:monitor:v1",
        "tracePolicy": {
            "mode": "synchronous",
            "enforcedBy": ["landlock", "seccomp user notification", "tls-terminating proxy"],
            "landlockAbi": index.enforced,
            "fileAccess": "inputs, artifacts released, artifacts handed out; digests are of the \
                           bytes that were handed out; reads that landlock alone decided are not \
                           listed",
            "repeatedRefusalsNotListed": index.repeated,
        },
    });
    let policies = index.inputs.iter().filter(|input| input.name == "policy");
    if let (Some(policy), Some(object)) = (policies.last(), monitor.as_object_mut()) {
        let source = Resource::named(policy.path).with(policy.sha256);
        object.insert("configSource".to_owned(), json!(source));
    }
    json!({
        "monitor": monitor,
        "monitoredProcess": {
            "hostID": "urn:v4run:host:local",
            "type": format!("urn:v4run:install:{}", outcome.manager),
            "event": outcome.run.urn().to_string(),
        },
        "monitorLog": {
            "process": processes(index),
            "network": network(index),
            "fileAccess": files(index),
        },
        "metadata": {
            "buildStartedOn": time(outcome.started),
            "buildFinishedOn": time(outcome.ended),
        },
    })
}

fn answer(decision: Decision) -> Value {
    match decision {
        Decision::Allowed => json!("allowed"),
        Decision::Refused(errno) => json!({ "refused": errno }),
    }
}

fn processes(index: &Index<'_>) -> Vec<Value> {
    let starts = index.executions.iter().map(|start| {
        json!({
            "eventType": "exec",
            "processBinary": start.subject,
            "decision": answer(start.decision),
        })
    });
    // Refusals of calls are here, because they are what the process tried.
    let refused = |call: &&Judged<'_>| call.decision != Decision::Allowed;
    let calls = index.calls.iter().filter(refused).map(|call| {
        json!({
            "eventType": call.call,
            "subject": call.subject,
            "decision": answer(call.decision),
        })
    });
    starts.chain(calls).collect()
}

fn network(index: &Index<'_>) -> Vec<Value> {
    let connections = index.connections.iter().map(|connection| {
        let (host, port) = split(connection.host);
        let (address, _) = split(connection.address);
        json!({
            "hostname": host,
            "ip": address,
            "port": port,
            "protocol": "tcp",
            "tls": connection.tls,
        })
    });
    connections.collect()
}

fn split(place: &str) -> (&str, Option<u16>) {
    match place.rsplit_once(':') {
        Some((host, port)) => (
            host.trim_start_matches('[').trim_end_matches(']'),
            port.parse().ok(),
        ),
        None => (place, None),
    }
}

fn files(index: &Index<'_>) -> Vec<Resource> {
    let inputs = index
        .inputs
        .iter()
        .map(|input| Resource::named(input.path).with(input.sha256));
    let opened = |call: &Judged<'_>| {
        let digest: &Digest = call.digest?;
        let allowed = call.decision == Decision::Allowed;
        allowed.then(|| Resource::named(call.subject).with(digest))
    };
    let opened = index.calls.iter().filter_map(opened);
    let released = index.released.iter().map(|released| {
        let name = Resource::named(format!("{}@{}", released.name, released.version));
        released
            .digests()
            .fold(name.at(&released.url), Resource::with)
    });
    inputs.chain(opened).chain(released).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Assessment, Event};
    use crate::record::fixture::{healthy, outcome};

    fn traced(events: &[Event]) -> Value {
        let outcome = outcome(Assessment {
            interpretation: "v4run-1".into(),
            controls: Vec::new(),
            levels: Vec::new(),
            components: 0,
        });
        let index = Index::new(events);
        let payload = statement(&index, &outcome, &"0".repeat(64)).unwrap();
        serde_json::from_slice(&payload.bytes).unwrap()
    }

    #[test]
    fn a_run_is_traced_with_its_refusals() {
        let mut events = healthy();
        events.push(Event::Call {
            call: "connect".into(),
            subject: "10.0.0.1:80".into(),
            decision: Decision::Refused(13),
            digest: None,
        });
        let trace = traced(&events);
        let log = &trace["predicate"]["monitorLog"];
        assert_eq!(log["process"][0]["processBinary"], "/opt/node/bin/node");
        assert_eq!(log["process"][1]["decision"]["refused"], 13);
        assert_eq!(log["network"][0]["hostname"], "registry.invalid");
        assert_eq!(log["network"][0]["port"], 8443);
        assert_eq!(log["network"][0]["ip"], "127.0.0.1");
        assert_eq!(log["fileAccess"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn a_run_without_artifacts_still_has_a_subject() {
        let trace = traced(&[]);
        assert_eq!(trace["subject"].as_array().unwrap().len(), 1);
        assert_eq!(trace["subject"][0]["digest"]["sha256"], "0".repeat(64));
    }
}
