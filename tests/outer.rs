//! Runs a command under a container engine's default system-call profile, without the engine.
//!
//! `outer PROFILE COMMAND…` reads the profile (the JSON that Docker and its relatives use), keeps
//! the entries that hold for a process without capabilities, installs them as a filter and executes
//! the command: what `docker run --cap-drop ALL` puts around a process. Without arguments it is a
//! test of itself, on the profile that `V4RUN_OUTER_PROFILE` names.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test helper that cannot set itself up must fail loudly"
)]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((profile, command)) if !profile.starts_with("--") && !command.is_empty() => {
            install(profile);
            let error = Command::new(&command[0]).args(&command[1..]).exec();
            panic!("cannot execute {}: {error}", command[0]);
        }
        _ => test(),
    }
}

/// The filter refuses what the engine refuses and lets the rest be.
fn test() {
    let profile = std::env::var("V4RUN_OUTER_PROFILE").expect("scripts/test.sh names the profile");
    let own = std::env::current_exe().unwrap();
    let script = "grep -q '^Seccomp:.2' /proc/self/status && ! unshare --uts true 2>/dev/null";
    let outcome = Command::new(own)
        .args([&profile, "sh", "-c", script])
        .status()
        .unwrap();
    assert!(outcome.success(), "the outer filter does not hold");
    println!("test result: ok. 1 passed; 0 failed; 0 ignored");
}

/// Installs the profile's filters for this process.
fn install(profile: &str) {
    let profile: Value = serde_json::from_slice(&std::fs::read(profile).unwrap()).unwrap();
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut always = Vec::new();
    let mut absent = BTreeMap::new();
    for entry in profile["syscalls"].as_array().unwrap() {
        let capabilities = entry["includes"]["caps"]
            .as_array()
            .is_some_and(|c| !c.is_empty());
        let arches = entry["includes"]["arches"].as_array();
        if capabilities || arches.is_some_and(|a| !a.iter().any(|a| a == "amd64" || a == "x86_64"))
        {
            continue;
        }
        let names = entry["names"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str);
        for number in names.filter_map(number) {
            match entry["action"].as_str().unwrap() {
                "SCMP_ACT_ALLOW" => {
                    let rules = allowed.entry(number).or_default();
                    match conditions(&entry["args"]) {
                        Some(conditions) => rules.push(SeccompRule::new(conditions).unwrap()),
                        None => always.push(number),
                    }
                }
                "SCMP_ACT_ERRNO" => {
                    absent.insert(number, Vec::new());
                }
                other => panic!("action {other}"),
            }
        }
    }
    // An empty list of rules allows always.
    for number in always {
        allowed.insert(number, Vec::new());
    }
    for number in absent.keys() {
        allowed.entry(*number).or_default();
    }
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    apply(absent, SeccompAction::Allow, errno(libc::ENOSYS));
    apply(allowed, errno(libc::EPERM), SeccompAction::Allow);
}

fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>, otherwise: SeccompAction, then: SeccompAction) {
    if rules.is_empty() {
        return;
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(rules, otherwise, then, architecture).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

fn conditions(arguments: &Value) -> Option<Vec<SeccompCondition>> {
    let arguments = arguments
        .as_array()
        .filter(|arguments| !arguments.is_empty())?;
    let one = |argument: &Value| {
        let number = |key: &str| argument[key].as_u64().unwrap_or_default();
        let (operator, value) = match argument["op"].as_str().unwrap() {
            "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, number("value")),
            "SCMP_CMP_NE" => (SeccompCmpOp::Ne, number("value")),
            "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(number("value")), number("valueTwo")),
            other => panic!("operator {other}"),
        };
        let index = u8::try_from(number("index")).unwrap();
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value).unwrap()
    };
    Some(arguments.iter().map(one).collect())
}

/// Names that v4run's own table does not know are not needed by anything the suite runs.
fn number(name: &str) -> Option<i64> {
    v4run::profile::kernel::all()
        .find(|call| call.name == name)
        .map(|call| call.number)
}
