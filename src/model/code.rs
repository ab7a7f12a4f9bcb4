//! Every finding code, in one table: name, severity, control, meaning, remedy.
//!
//! The table is what `v4run explain` prints. Codes are a contract: they are added, never renamed.

use serde::{Deserialize, Serialize};

use super::ControlId;

/// What a finding does to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something was refused: exit status 120, or 126 before the start.
    Violation,
    /// v4run could not do its job: exit status 125, or 127 for a missing manager.
    Error,
    /// The repository or network failed; the manager's own exit status tells.
    Failure,
    /// Worth a line; never changes the exit status.
    Note,
}

macro_rules! codes {
    ($($variant:ident, $name:literal, $severity:ident, $control:expr, $meaning:literal, $remedy:literal;)*) => {
        /// A stable finding code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)*
        }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The kebab-case name used in every output.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What a finding with this code does to the run.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// The control that the code touches.
            pub const fn control(self) -> Option<ControlId> {
                match self { $(Self::$variant => $control,)* }
            }

            /// What the code means, one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What to do about it, one sentence.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

const fn control(number: u8) -> Option<ControlId> {
    Some(ControlId::new(number))
}

codes! {
    IntegrityMismatch, "integrity-mismatch", Violation, control(13),
        "The bytes that the repository sent do not have the digest that was promised.",
        "Do not install: the repository, a mirror or the lockfile was changed; compare the anchors in the message.";
    IntegrityMissing, "integrity-missing", Violation, control(13),
        "Neither lockfile nor index names a digest for something that was to be installed.",
        "Recreate the lockfile with a registry that states `integrity`.";
    IntegrityWeak, "integrity-weak", Violation, control(13),
        "Only SHA-1 or MD5 is known for something that was to be installed.",
        "Recreate the lockfile with a registry that states SHA-512.";
    AnchorConflict, "anchor-conflict", Violation, control(13),
        "The lockfile and the repository's index promise different digests for one artifact.",
        "Find out which of the two was changed before anything is installed.";
    FileMismatch, "file-mismatch", Violation, control(14),
        "An artifact file on disk does not have the digest that the lockfile or policy names.",
        "Restore the file, or review the change and update the lockfile.";
    FileUnverified, "file-unverified", Violation, control(14),
        "An artifact file on disk was opened that no lockfile, policy or download of this run names.",
        "Pin the file in the lockfile with its `integrity`.";
    TlsInvalid, "tls-invalid", Violation, control(16),
        "The repository's TLS certificate could not be verified.",
        "Correct the certificate, or name its issuing CA as `cafile` in the user configuration or in SSL_CERT_FILE.";
    PlainHttp, "plain-http", Violation, control(15),
        "Something was to be fetched without TLS.",
        "Use the https address of the repository.";
    RedirectRefused, "redirect-refused", Violation, control(1),
        "The repository redirected to another place.",
        "Configure the place that really serves the packages.";
    RepositoryRefused, "repository-refused", Violation, control(1),
        "A request went to a host that is not an allowed repository.",
        "Add the repository to the policy or to the user configuration if it is to be trusted.";
    AddressRefused, "address-refused", Violation, control(1),
        "The name of a repository resolved to a private address that no configuration allows.",
        "Name the repository in the user configuration or policy if it really is internal.";
    RequestRefused, "request-refused", Violation, control(1),
        "A request that is not a read of the repository's protocol.",
        "Publishing, logging in and searching are not install steps: run them without v4run.";
    MetadataTooLarge, "metadata-too-large", Violation, control(13),
        "An index document or artifact is larger than the bound for its kind.",
        "Ask the repository's operator; no ordinary package needs this.";
    IndexMalformed, "index-malformed", Violation, control(13),
        "An index document could not be read, so that it names no digests.",
        "Check that the configured address is a package registry.";
    ArtifactInvalid, "artifact-invalid", Violation, control(13),
        "What is in an artifact contradicts itself: its name, its list of files or their digests.",
        "Do not install: no ordinary build tool makes such a file; ask its publisher.";
    OverwriteRefused, "overwrite-refused", Violation, control(18),
        "An artifact would write over files of another package, of the manager or of the environment.",
        "Find out which of the two packages is meant; remove the other one first.";
    PolicyRefused, "policy-refused", Violation, control(18),
        "An artifact has something that the policy's `refuse` lists.",
        "Choose a version without it, or take it off `refuse` after a review.";
    StaticLook, "static-look", Violation, control(17),
        "A static look into an artifact saw what the policy refuses, or could not see all of it.",
        "Read `findings.sarif` in the record; leave the version out, or set `look = \"complete\"`.";
    NameAmbiguous, "name-ambiguous", Violation, control(1),
        "More than one of the run's repositories has a package of that name.",
        "Pin the name to one repository in the policy.";
    ConfigRefused, "config-refused", Violation, control(18),
        "Configuration that the project carries would weaken verification or run code.",
        "Remove the key from the project, or set it in the user configuration if you mean it.";
    RegistryNotAllowed, "registry-not-allowed", Violation, control(1),
        "The project names a registry that neither user configuration nor policy lists.",
        "List it under `repositories` in the policy, or configure it for your user.";
    DependencyRefused, "dependency-refused", Violation, control(1),
        "A dependency does not come from a package repository (git, remote URL, unpinned file, directory outside the project).",
        "Publish it to a repository, or pin it in the lockfile with its digest.";
    LockMissing, "lock-missing", Violation, control(13),
        "The command installs from a lockfile and there is none.",
        "Create it with `v4run npm install` and commit it.";
    LockInvalid, "lock-invalid", Violation, control(13),
        "The lockfile cannot be read, or has a form that carries no digests.",
        "Recreate it with a current version of the package manager.";
    CommandRunsCode, "command-runs-code", Violation, control(18),
        "The command runs component code by design.",
        "Run it without v4run, after the install, if that code is to run.";
    BuildRefused, "build-refused", Violation, control(18),
        "A description that the project inherits from a repository names code that nobody answers for, or makes trusted code run other code; refused when it was read, before anything that it names was loaded.",
        "Review what it names: approve it by digest in the policy, or inherit from something else.";
    CommandUnknown, "command-unknown", Violation, control(18),
        "The command is not one that v4run knows to be free of component code.",
        "Run it without v4run if it installs nothing.";
    ExecRefused, "exec-refused", Violation, control(18),
        "A program was to be started.",
        "Nothing to do: the install does not need it; see the package that tried.";
    ProcessRefused, "process-refused", Violation, control(18),
        "A new process was to be created.",
        "Nothing to do: the install does not need it; see the package that tried.";
    CodeMapRefused, "code-map-refused", Violation, control(18),
        "Native code was to be loaded from a file outside the runtime.",
        "Nothing to do: the install does not need it; see the package that tried.";
    NetworkRefused, "network-refused", Violation, control(1),
        "A connection that does not go to the verifying proxy, or a socket of another kind.",
        "Nothing to do: packages come through the proxy only.";
    FileAccessRefused, "file-access-refused", Violation, control(18),
        "A file outside the places of this run was to be read or changed.",
        "Nothing to do: the install does not need it; see the package that tried.";
    KernelSurfaceRefused, "kernel-surface-refused", Violation, control(18),
        "A system call that no install needs.",
        "Nothing to do: the install does not need it; see the package that tried.";
    RuntimeChanged, "runtime-changed", Violation, control(18),
        "The package manager or its runtime was changed during the run.",
        "Reinstall the runtime from a trusted source.";
    DigestChanged, "digest-changed", Violation, control(11),
        "A version has another digest than when it was first seen.",
        "Published versions do not change: ask the publisher and the repository's operator.";
    SignatureInvalid, "signature-invalid", Violation, control(2),
        "A signature or attestation of an artifact does not hold: for its bytes, its name and version, its signer or its time.",
        "Do not install: the repository, a mirror or the publication was changed; ask the publisher.";
    OriginDiffers, "origin-differs", Violation, control(2),
        "A mirror serves other bytes under a name and version than the origin states.",
        "Do not install from that mirror; ask its operator.";
    ViewMismatch, "view-mismatch", Violation, control(19),
        "What was fetched, what the manager recorded and what is on disk differ.",
        "Remove the install directory and install again; if it stays, the manager or a package tampers.";
    BuildUnapproved, "build-unapproved", Violation, control(18),
        "A component wants to run code once, and no approval of the policy covers these very bytes here and now.",
        "Review what `v4run build --propose` prints, fill in owner and reason, and add it to the policy.";
    BuildLimit, "build-limit", Violation, control(18),
        "A build went over a limit of time, memory, processor, processes or disk, and was ended.",
        "Look at what it did in the record; raise the limit under `builds` in the policy if it really needs that.";
    BuildFailed, "build-failed", Failure, None,
        "A script of an approved component did not succeed.",
        "Its output says why; the toolchain may lack a program that the approval does not name.";
    SuppressedScript, "script-suppressed", Note, None,
        "Install-time code of a package was not run.",
        "Review it; if the package needs it, approve that step and run it with `v4run build` after the install.";
    SuppressedProbe, "probe-suppressed", Note, None,
        "A harmless probe that the profile expects was refused.",
        "Nothing to do.";
    StartupCode, "startup-code", Note, None,
        "A package brings a file that runs code whenever the interpreter starts.",
        "Review it: nothing that v4run starts runs it, everything else in that environment does.";
    TrustDowngraded, "trust-downgraded", Note, None,
        "A version was published with less assurance than an earlier one of the same package.",
        "Ask the publisher whether that version is theirs; a fix of an old line may explain it.";
    VersionDeprecated, "version-deprecated", Note, None,
        "The publisher of a version that was used advises against it.",
        "Choose another version; the message has the publisher's reason.";
    VersionYanked, "version-yanked", Note, None,
        "The publisher of a file that was used withdrew it.",
        "Choose another version; the message has the publisher's reason.";
    SecurityPlaceholder, "security-placeholder", Note, None,
        "A version stands in the place of a package that the registry removed for its harm.",
        "Remove the dependency, and look at what was installed of it before.";
    ReleaseWithheld, "release-withheld", Note, None,
        "Versions were left out of an index because they are younger than the policy's minimum age.",
        "Nothing to do; an older version is chosen.";
    ReleaseTooNew, "release-too-new", Failure, None,
        "A version is younger than the policy's minimum age, or nobody states its age.",
        "Wait, choose an older version, or name the package under `exceptions` in the policy.";
    LinkWithheld, "link-withheld", Note, None,
        "Some files of a package were left out of its index, because nothing names their digest.",
        "Ask the repository's operator to state SHA-256 for every file.";
    SourceWithheld, "source-withheld", Failure, None,
        "A package is offered as source only; installing it would run its build code.",
        "Choose a version that has a wheel, build one in a place of its own and publish it, or approve the build: \
         `v4run build --propose pip install …` shows what it takes.";
    ProjectQuarantined, "project-quarantined", Failure, None,
        "The repository has put the project into quarantine and offers none of its files.",
        "Do not install it: the repository suspects it to be harmful.";
    FileRepaired, "file-repaired", Note, None,
        "A kept file was not what was verified and was moved away before the start, because `--repair` says so.",
        "Compare it with what was fetched in its place; remove it when it is not needed.";
    Rehearsed, "rehearsed", Note, None,
        "The run only found out what would be loaded as code, for `v4run trust`; nothing downloaded ran.",
        "Review what it printed, fill in owner and reason, and add it to the policy.";
    Passthrough, "passthrough", Note, None,
        "A shim handed a command that runs code by design to the bare package manager: nothing of it was confined or verified.",
        "Under `shims install --mode strict`, or a machine policy with `lockdown` and no `passthrough = true`, it is refused instead.";
    ConfigIgnored, "config-ignored", Note, None,
        "A setting of the user or the environment has no effect under v4run.",
        "Nothing to do; the message says why.";
    ExceptionUsed, "exception-used", Note, None,
        "A control is not met, and the policy names somebody who answers for that.",
        "Close the gap before the exception ends; `v4run assess` shows what is under it.";
    LevelNotReached, "level-not-reached", Error, None,
        "The requested SCVS level is not supported by the evidence.",
        "`v4run assess` lists the controls that block it.";
    UpstreamFailed, "upstream-failed", Failure, None,
        "The repository could not be reached, or did not answer as it should.",
        "Check network, proxy and the repository's state; v4run tried again where that is safe.";
    ManagerNotFound, "manager-not-found", Error, None,
        "The package manager, or the real program behind its shim, was not found.",
        "Put the directory of the real program first in PATH.";
    SandboxUnenforceable, "sandbox-unenforceable", Error, None,
        "A layer of the sandbox cannot be enforced here.",
        "`v4run doctor` names what is missing and the remedy.";
    ListenerBusy, "listener-busy", Error, None,
        "Another supervisor already listens here: v4run inside v4run, or a runtime with a listener of its own.",
        "Run v4run once, on the outside; under WSL2 set networkingMode=nat.";
    HelperLost, "helper-lost", Error, None,
        "A process of v4run ended before its time; the run was stopped.",
        "Run again; if it repeats, report it with the record.";
    ContainmentIncomplete, "containment-incomplete", Error, None,
        "A process of the run could not be ended.",
        "End it by hand; the record names it.";
    RecordFailed, "record-failed", Error, None,
        "The record could not be written.",
        "Name a writable directory with `--record DIR` or XDG_STATE_HOME.";
    StoreFailed, "store-failed", Error, None,
        "The store could not be written.",
        "Free space, or name a writable directory with XDG_CACHE_HOME.";
    NoRoom, "no-room", Error, None,
        "What is to be installed does not fit on its disk; nothing was installed.",
        "Free space where the packages go, then run again.";
    PolicyInvalid, "policy-invalid", Error, None,
        "A policy file cannot be read or says something that v4run does not know.",
        "Correct the line that the message names.";
    Usage, "usage", Error, None,
        "The command line or the surroundings do not allow a run.",
        "See `v4run --help`.";
    Internal, "internal", Error, None,
        "An error in v4run itself.",
        "Report it with the record.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{name}"
            );
        }
    }

    #[test]
    fn every_violation_names_a_control() {
        for code in Code::ALL {
            assert_eq!(
                code.severity() == Severity::Violation,
                code.control().is_some(),
                "{code:?}"
            );
        }
    }
}
