//! Entries of the re-executions. They are not for people and are in no help text.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::complain;
use crate::diag::ERROR;
use crate::examine;
use crate::model::{Access, PathRule};
use crate::proxy;
use crate::sandbox;
use crate::sandbox::canary;
use crate::session::children::IDLE;
use crate::sys;

fn number(arguments: &[OsString], index: usize) -> Option<i32> {
    arguments.get(index)?.to_str()?.parse().ok()
}

fn descriptor(arguments: &[OsString], index: usize) -> Option<OwnedFd> {
    sys::fd::take_inherited(number(arguments, index)?).ok()
}

fn failed(what: &str, error: impl std::fmt::Display) -> u8 {
    complain(&format!("v4run: {what}: {error}"));
    ERROR
}

/// `__launch SOCKET PARENT`.
pub(super) fn launcher(arguments: &[OsString]) -> u8 {
    let (Some(socket), Some(parent)) = (descriptor(arguments, 2), number(arguments, 3)) else {
        return failed("launcher", "started by something else than v4run");
    };
    failed("launcher", sandbox::launch::main(socket, parent))
}

/// `__proxy CONTROL CONNECTIONS PARENT STORE`.
pub(super) fn proxy(arguments: &[OsString]) -> u8 {
    let (Some(control), Some(connections), Some(parent), Some(store)) = (
        descriptor(arguments, 2),
        descriptor(arguments, 3),
        number(arguments, 4),
        arguments.get(5),
    ) else {
        return failed("proxy", "started by something else than v4run");
    };
    // A session of its own: the terminal is nobody's here. No descriptor but its own two.
    let confined = nix::unistd::setsid()
        .map_err(std::io::Error::from)
        .and_then(|_session| sys::process::close_all_but(&[&control, &connections]))
        .and_then(|()| sys::process::die_with_parent());
    if let Err(error) = confined {
        return failed("proxy", error);
    }
    if nix::unistd::getppid().as_raw() != parent {
        return failed("proxy", "the session is gone");
    }
    let rules = proxy_rules(Path::new(store));
    let reading = match sandbox::helper::confine_with(&rules, proxy::Reading::start) {
        Ok(reading) => reading,
        Err(failure) => return failed("proxy", failure),
    };
    match proxy::serve(control, connections, reading) {
        Ok(()) => 0,
        // A run that was refused before its start has no plan for it.
        Err(proxy::ProxyError::NoPlan) => ERROR,
        Err(error) => failed("proxy", error),
    }
}

/// `__look PARENT STORE PRIORITY`.
pub(super) fn look(arguments: &[OsString]) -> u8 {
    let (Some(parent), Some(store)) = (number(arguments, 2), arguments.get(3)) else {
        return failed("look", "started by something else than v4run");
    };
    if arguments.get(4).is_some_and(|word| word == IDLE) {
        // Where the priority cannot be had, the look competes; it is bounded in time all the same.
        let _ = sys::process::idle();
    }
    let confined = sys::process::close_all_but(&[]).and_then(|()| sys::process::die_with_parent());
    if let Err(error) = confined {
        return failed("look", error);
    }
    if nix::unistd::getppid().as_raw() != parent {
        return failed("look", "the session is gone");
    }
    let rule = PathRule {
        path: Path::new(store).join("v1").into_os_string(),
        access: Access::Read,
        why: "the objects of the store".to_owned(),
    };
    if let Err(failure) = sandbox::helper::confine_offline(&[rule]) {
        return failed("look", failure);
    }
    let (questions, answers) = (std::io::stdin().lock(), std::io::stdout().lock());
    match examine::serve(questions, answers, Path::new(store)) {
        Ok(()) => 0,
        Err(error) => failed("look", error),
    }
}

/// Places where platforms keep certificates and name service settings.
const TRUST: &[&str] = &[
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/usr/lib/ssl",
    "/var/lib/ca-certificates",
    "/etc/resolv.conf",
    "/etc/hosts",
];

/// The proxy writes the store (a probe its own place) and reads trust store and name service settings; nothing else.
pub(super) fn proxy_rules(store: &Path) -> Vec<PathRule> {
    let rule = |path: PathBuf, access, why: &str| PathRule {
        path: path.into_os_string(),
        access,
        why: why.to_owned(),
    };
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .filter_map(std::env::var_os);
    let named = named.flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>());
    TRUST
        .iter()
        .map(PathBuf::from)
        .chain(named)
        .filter_map(|path| path.canonicalize().ok())
        .map(|path| rule(path, Access::Read, "trust store and names"))
        .chain(
            store
                .canonicalize()
                .ok()
                .map(|path| rule(path, Access::Write, "the store")),
        )
        .collect()
}

/// `__canary INSIDE OUTSIDE ADDRESS BYSTANDER [NAME...]`.
pub(super) fn canary(arguments: &[OsString]) -> u8 {
    let address = arguments
        .get(4)
        .and_then(|a| a.to_str())
        .and_then(|a| a.parse().ok());
    let (Some(inside), Some(outside), Some(SocketAddr::V4(listener)), Some(bystander)) = (
        arguments.get(2),
        arguments.get(3),
        address,
        number(arguments, 5),
    ) else {
        return failed(
            "canary",
            "__canary INSIDE OUTSIDE ADDRESS PROCESS [NAME...]",
        );
    };
    let scene = canary::Scene {
        inside: inside.into(),
        outside: outside.into(),
        listener,
        bystander,
    };
    let names: Vec<String> = arguments
        .iter()
        .skip(6)
        .map(|n| n.to_string_lossy().into_owned())
        .collect();
    match canary::main(&scene, &names) {
        Ok(()) => 0,
        Err(error) => failed("canary", error),
    }
}
