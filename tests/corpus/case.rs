//! What a case is: an id, what it tries, what closes it, and how the refusal looks.

use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};
use v4run::sandbox::canary::Scene;

/// How a case is tried. `Ok` means that it fired.
#[derive(Clone, Copy)]
pub(crate) enum Attempt {
    /// Here.
    Own(fn(&Scene) -> io::Result<()>),
    /// By the canary of that name, which `v4run doctor` has as well.
    Canary(&'static str),
}

/// One case.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// Letter of the theme and number. Those above the list that the suite began with have `+`.
    pub(crate) id: &'static str,
    what: &'static str,
    /// `call:NAME` (all arms of that call), `filter:NAME:INDEX` (one arm), `unknown:NUMBER` (a call
    /// that the table lacks), `architecture`, `landlock`. Each alone must close the case.
    layers: &'static [&'static str],
    /// Errno of the refusal; 0 for a kill.
    errno: &'static [i32],
    /// Code of the finding, or nothing and why there is none.
    code: &'static str,
    silent: &'static str,
    /// The call that an event of it names, where that is not the one of the first layer.
    seen: &'static str,
    pub(crate) attempt: Attempt,
}

/// A case that the supervisor refuses and records.
pub(crate) const fn case(
    id: &'static str,
    what: &'static str,
    layers: &'static [&'static str],
    errno: &'static [i32],
    code: &'static str,
    attempt: Attempt,
) -> Case {
    Case {
        id,
        what,
        layers,
        errno,
        code,
        silent: "",
        seen: "",
        attempt,
    }
}

impl Case {
    /// Refused without an event, for that reason.
    pub(crate) const fn silent(mut self, why: &'static str) -> Self {
        self.code = "";
        self.silent = why;
        self
    }

    /// Refused and seen at that call.
    pub(crate) const fn at(mut self, call: &'static str) -> Self {
        self.seen = call;
        self
    }

    /// Name in the result file.
    pub(crate) fn name(&self) -> &'static str {
        match self.attempt {
            Attempt::Own(_) => self.id,
            Attempt::Canary(name) => name,
        }
    }

    /// For the runner.
    pub(crate) fn data(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name(),
            "what": self.what,
            "layers": self.layers,
            "errno": self.errno,
            "code": self.code,
            "silent": self.silent,
            "seen": self.seen,
        })
    }
}

/// What the supervisor says of files.
pub(crate) const FILE: &str = "file-access-refused";
/// What the supervisor says of calls that no install needs.
pub(crate) const KERNEL: &str = "kernel-surface-refused";

/// A case about a file, that the supervisor refuses.
pub(crate) const fn changed(
    id: &'static str,
    what: &'static str,
    layers: &'static [&'static str],
    attempt: fn(&Scene) -> io::Result<()>,
) -> Case {
    case(
        id,
        what,
        layers,
        &[libc::EACCES],
        FILE,
        Attempt::Own(attempt),
    )
}

/// A case about a call that no install needs, that the supervisor refuses.
pub(crate) const fn surface(
    id: &'static str,
    what: &'static str,
    layers: &'static [&'static str],
    attempt: fn(&Scene) -> io::Result<()>,
) -> Case {
    case(
        id,
        what,
        layers,
        &[libc::EPERM],
        KERNEL,
        Attempt::Own(attempt),
    )
}

/// A case about a call that the table lacks.
pub(crate) const fn unknown(
    id: &'static str,
    what: &'static str,
    layers: &'static [&'static str],
    attempt: fn(&Scene) -> io::Result<()>,
) -> Case {
    case(id, what, layers, &[libc::ENOSYS], "", Attempt::Own(attempt)).silent(UNKNOWN)
}

/// Why a call that the table does not know leaves no event.
pub(crate) const UNKNOWN: &str =
    "a number that the table lacks: the filter answers as an older kernel";
/// Why a quiet refusal leaves no event.
pub(crate) const QUIET: &str = "part of ordinary operation as root: the filter answers";
/// Why only Landlock's refusal leaves no event.
pub(crate) const FLOOR: &str = "Landlock's alone: the call is not notified, its refusal is silent";

/// The secret outside.
pub(crate) fn secret(scene: &Scene) -> PathBuf {
    scene.outside.join("secret")
}

/// A file inside that is new each time.
pub(crate) fn fresh(scene: &Scene, name: &str) -> io::Result<PathBuf> {
    let path = scene.inside.join(name);
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, "inside")?;
    Ok(path)
}
