//! uv's options: names, what they take, and which subcommands know them.
//!
//! A table in code and not in the profile, because one letter means different options to different
//! subcommands. What may be said is decided by the rules of `profiles/uv.toml`, under
//! [`Definition::rule`]. Written down from the help texts of uv 0.13; an option that is not here is
//! refused, because v4run cannot tell what it does. uv's parser takes full names only.
//!
//! <https://docs.astral.sh/uv/reference/cli/>.

use crate::manager::python::options::Takes::{Count, Gather, On, One};
use crate::manager::python::options::{Definition, Grammar, Takes};

/// What stands before the subcommand.
pub(super) const MAIN: &str = "";

const EVERY: &[&str] = &[
    MAIN,
    "pip install",
    "pip sync",
    "pip compile",
    "pip uninstall",
    "pip list",
    "pip freeze",
    "pip show",
    "pip check",
    "pip tree",
    "sync",
    "lock",
    "venv",
];
const INSTALLING: &[&str] = &["pip install", "pip sync", "sync"];
const RESOLVING: &[&str] = &["pip install", "pip sync", "pip compile", "sync", "lock"];
const ASKING: &[&str] = &[
    "pip install",
    "pip sync",
    "pip compile",
    "pip list",
    "pip tree",
    "sync",
    "lock",
    "venv",
];
const FILES: &[&str] = &["pip install", "pip sync", "pip compile"];
const PIP: &[&str] = &[
    "pip install",
    "pip sync",
    "pip compile",
    "pip uninstall",
    "pip list",
    "pip freeze",
    "pip show",
    "pip check",
    "pip tree",
];
const PLACED: &[&str] = &[
    "pip install",
    "pip sync",
    "pip uninstall",
    "pip list",
    "pip freeze",
    "pip show",
    "pip check",
    "pip tree",
];
const PROJECT: &[&str] = &["sync"];

const fn option(
    short: Option<char>,
    names: &'static [&'static str],
    takes: Takes,
    commands: &'static [&'static str],
    rule: &'static str,
) -> Definition {
    Definition {
        short,
        names,
        takes,
        commands,
        rule,
    }
}

/// Every option of every supported subcommand.
#[rustfmt::skip]
pub(super) const OPTIONS: &[Definition] = &[
    option(Some('h'), &["help"], On, EVERY, "help"),
    option(Some('V'), &["version"], On, &[MAIN], "version"),
    option(Some('q'), &["quiet"], Count, EVERY, "quiet"),
    option(Some('v'), &["verbose"], Count, EVERY, "verbose"),
    option(None, &["color"], One, EVERY, "color"),
    option(None, &["no-progress"], On, EVERY, "no-progress"),
    option(None, &["preview"], On, EVERY, "preview"),
    option(None, &["no-preview"], On, EVERY, "preview"),
    option(None, &["offline"], On, EVERY, "offline"),
    option(None, &["no-offline"], On, EVERY, "offline"),
    option(Some('n'), &["no-cache", "no-cache-dir"], On, EVERY, "cache"),
    option(None, &["cache-dir"], One, EVERY, "cache"),
    option(None, &["refresh"], On, EVERY, "cache"),
    option(None, &["no-refresh"], On, EVERY, "cache"),
    option(None, &["refresh-package"], Gather, EVERY, "cache"),
    option(None, &["system-certs", "native-tls"], On, EVERY, "system-certs"),
    option(None, &["no-system-certs", "no-native-tls"], On, EVERY, "system-certs"),
    option(None, &["allow-insecure-host", "trusted-host"], Gather, EVERY, "allow-insecure-host"),
    option(None, &["cert"], One, PIP, "cert"),
    option(None, &["managed-python"], On, EVERY, "python-downloads"),
    option(None, &["no-managed-python"], On, EVERY, "python-downloads"),
    option(None, &["no-python-downloads"], On, EVERY, "python-downloads"),
    option(None, &["python-preference"], One, EVERY, "python-downloads"),
    option(None, &["allow-python-downloads"], On, EVERY, "python-downloads"),
    option(None, &["directory"], One, EVERY, "directory"),
    option(None, &["project"], One, EVERY, "directory"),
    option(None, &["config-file"], One, EVERY, "config-file"),
    option(None, &["no-config"], On, EVERY, "no-config"),
    option(None, &["isolated"], On, EVERY, "no-config"),
    option(Some('p'), &["python"], One, EVERY, "python"),
    option(None, &["system"], On, PLACED, "system"),
    option(None, &["no-system"], On, PLACED, "no-system"),
    option(None, &["break-system-packages"], On, PLACED, "break-system-packages"),
    option(None, &["no-break-system-packages"], On, PLACED, "no-effect"),
    option(Some('t'), &["target"], One, PLACED, "target"),
    option(None, &["prefix"], One, PLACED, "prefix"),
    option(None, &["default-index"], One, ASKING, "index"),
    option(None, &["index"], Gather, ASKING, "index"),
    option(Some('i'), &["index-url", "pypi-url"], One, ASKING, "index"),
    option(None, &["extra-index-url"], Gather, ASKING, "index"),
    option(None, &["no-index"], On, ASKING, "no-index"),
    option(Some('f'), &["find-links"], Gather, RESOLVING, "find-links"),
    option(None, &["index-strategy"], One, ASKING, "index-strategy"),
    option(None, &["keyring-provider"], One, ASKING, "keyring-provider"),
    option(Some('U'), &["upgrade"], On, &["pip install", "pip sync"], "upgrade"),
    option(Some('U'), &["upgrade"], On, PROJECT, "upgrade-sync"),
    option(Some('U'), &["upgrade"], On, &["pip compile", "lock"], "upgrade-all"),
    option(None, &["no-upgrade"], On, RESOLVING, "no-effect"),
    option(Some('P'), &["upgrade-package"], Gather, &["pip install", "pip sync"], "upgrade"),
    option(None, &["upgrade-group"], Gather, &["pip install", "pip sync"], "upgrade"),
    option(Some('P'), &["upgrade-package"], Gather, PROJECT, "upgrade-sync"),
    option(None, &["upgrade-group"], Gather, PROJECT, "upgrade-sync"),
    option(Some('P'), &["upgrade-package"], Gather, &["pip compile", "lock"], "upgrade-part"),
    option(None, &["upgrade-group"], Gather, &["pip compile", "lock"], "upgrade-part"),
    option(None, &["resolution"], One, RESOLVING, "choice"),
    option(None, &["prerelease"], One, RESOLVING, "choice"),
    option(None, &["pre"], On, RESOLVING, "choice"),
    option(None, &["prerelease-package"], Gather, RESOLVING, "choice"),
    option(None, &["fork-strategy"], One, RESOLVING, "choice"),
    option(None, &["exclude-newer"], One, ASKING, "choice"),
    option(None, &["exclude-newer-package"], Gather, ASKING, "choice"),
    option(None, &["no-sources"], On, RESOLVING, "choice"),
    option(None, &["no-sources-package"], Gather, RESOLVING, "choice"),
    option(None, &["reinstall", "force-reinstall"], On, INSTALLING, "reinstall"),
    option(None, &["no-reinstall"], On, INSTALLING, "no-effect"),
    option(None, &["reinstall-package"], Gather, INSTALLING, "reinstall"),
    option(None, &["no-deps"], On, FILES, "choice"),
    option(None, &["deps"], On, FILES, "choice"),
    option(None, &["python-version"], One, &["pip install", "pip sync", "pip compile", "pip tree", "pip check"], "choice"),
    option(None, &["python-platform"], One, &["pip install", "pip sync", "pip compile", "pip tree", "pip check", "sync"], "choice"),
    option(None, &["exact"], On, &["pip install"], "choice"),
    option(None, &["strict"], On, PLACED, "choice"),
    option(None, &["no-strict"], On, PLACED, "choice"),
    option(None, &["dry-run"], On, &["pip install", "pip sync", "pip uninstall", "sync", "lock"], "dry-run"),
    option(None, &["check"], On, &["pip install", "pip sync"], "dry-run"),
    option(None, &["output-format"], One, &["pip install", "pip sync", "sync"], "choice"),
    option(None, &["user"], On, PLACED, "user"),
    option(None, &["require-hashes"], On, FILES, "choice"),
    option(None, &["no-require-hashes"], On, FILES, "verify-hashes"),
    option(None, &["verify-hashes"], On, FILES, "verify-hashes"),
    option(None, &["no-verify-hashes"], On, FILES, "verify-hashes"),
    option(None, &["require-build-hashes"], On, RESOLVING, "no-effect"),
    option(None, &["no-require-build-hashes"], On, RESOLVING, "no-effect"),
    option(None, &["link-mode"], One, &["pip install", "pip sync", "pip compile", "sync", "lock", "venv"], "link-mode"),
    option(None, &["compile-bytecode", "compile"], On, INSTALLING, "compile-bytecode"),
    option(None, &["no-compile-bytecode", "no-compile"], On, INSTALLING, "no-effect"),
    option(None, &["no-build"], On, RESOLVING, "no-effect"),
    option(None, &["build"], On, RESOLVING, "build"),
    option(None, &["no-build-package"], Gather, &["sync", "lock"], "no-effect"),
    option(None, &["only-binary"], Gather, FILES, "no-effect"),
    option(None, &["no-binary"], Gather, FILES, "build"),
    option(None, &["no-binary"], On, &["sync", "lock"], "build"),
    option(None, &["no-binary-package"], Gather, &["sync", "lock"], "build"),
    option(Some('C'), &["config-setting", "config-settings"], Gather, RESOLVING, "build"),
    option(None, &["config-settings-package"], Gather, RESOLVING, "build"),
    option(None, &["no-build-isolation"], On, RESOLVING, "no-effect"),
    option(None, &["build-isolation"], On, RESOLVING, "no-effect"),
    option(None, &["no-build-isolation-package"], Gather, RESOLVING, "no-effect"),
    option(Some('b'), &["build-constraints", "build-constraint"], Gather, FILES, "no-effect"),
    option(None, &["torch-backend"], One, FILES, "torch-backend"),
    option(Some('r'), &["requirements", "requirement"], Gather, &["pip install", "pip uninstall"], "requirements"),
    option(Some('c'), &["constraints", "constraint"], Gather, FILES, "constraints"),
    option(None, &["overrides", "override"], Gather, FILES, "constraints"),
    option(None, &["excludes", "exclude"], Gather, FILES, "constraints"),
    option(Some('e'), &["editable"], Gather, &["pip install"], "editable"),
    option(None, &["no-editable"], On, &["pip install", "sync"], "choice"),
    option(None, &["no-editable-package"], Gather, &["pip install", "sync"], "choice"),
    option(None, &["extra"], Gather, FILES, "extra"),
    option(None, &["all-extras"], On, FILES, "extra"),
    option(None, &["no-all-extras"], On, FILES, "extra"),
    option(None, &["group"], Gather, FILES, "group"),
    option(None, &["allow-empty-requirements"], On, &["pip sync"], "choice"),
    option(None, &["no-allow-empty-requirements"], On, &["pip sync"], "choice"),
    // Reading.
    option(Some('e'), &["editable"], On, &["pip list"], "print"),
    option(None, &["exclude-editable"], On, &["pip list", "pip freeze"], "print"),
    option(None, &["exclude"], Gather, &["pip list", "pip freeze"], "print"),
    option(None, &["format"], One, &["pip list"], "print"),
    option(None, &["outdated"], On, &["pip list", "pip tree"], "print"),
    option(None, &["path"], Gather, &["pip freeze"], "path"),
    option(Some('f'), &["files"], On, &["pip show"], "print"),
    option(Some('d'), &["depth"], One, &["pip tree"], "print"),
    option(None, &["prune"], Gather, &["pip tree"], "print"),
    option(None, &["package"], Gather, &["pip tree"], "print"),
    option(None, &["no-dedupe"], On, &["pip tree"], "print"),
    option(None, &["invert", "reverse"], On, &["pip tree"], "print"),
    option(None, &["show-version-specifiers"], On, &["pip tree"], "print"),
    option(None, &["show-sizes"], On, &["pip tree"], "print"),
    // Writing down what was resolved.
    option(Some('o'), &["output-file"], One, &["pip compile"], "output-file"),
    option(None, &["generate-hashes"], On, &["pip compile"], "print"),
    option(None, &["no-generate-hashes"], On, &["pip compile"], "print"),
    option(None, &["universal"], On, &["pip compile"], "print"),
    option(None, &["no-strip-extras"], On, &["pip compile"], "print"),
    option(None, &["no-strip-markers"], On, &["pip compile"], "print"),
    option(None, &["no-annotate"], On, &["pip compile"], "print"),
    option(None, &["no-header"], On, &["pip compile"], "print"),
    option(None, &["annotation-style"], One, &["pip compile"], "print"),
    option(None, &["custom-compile-command"], One, &["pip compile"], "print"),
    option(None, &["no-emit-package", "unsafe-package"], Gather, &["pip compile"], "print"),
    option(None, &["emit-index-annotation"], On, &["pip compile"], "print"),
    option(None, &["emit-build-options"], On, &["pip compile"], "print"),
    option(None, &["format"], One, &["pip compile"], "print"),
    // Projects.
    option(None, &["frozen"], On, PROJECT, "frozen"),
    option(None, &["locked", "check"], On, PROJECT, "locked"),
    option(None, &["check", "locked"], On, &["lock"], "locked"),
    option(None, &["check-exists", "frozen"], On, &["lock"], "choice"),
    option(None, &["dev"], On, PROJECT, "choice"),
    option(None, &["no-dev"], On, PROJECT, "choice"),
    option(None, &["only-dev"], On, PROJECT, "choice"),
    option(None, &["group"], Gather, PROJECT, "choice"),
    option(None, &["no-group"], Gather, PROJECT, "choice"),
    option(None, &["only-group"], Gather, PROJECT, "choice"),
    option(None, &["all-groups"], On, PROJECT, "choice"),
    option(None, &["no-default-groups"], On, PROJECT, "choice"),
    option(None, &["extra"], Gather, PROJECT, "choice"),
    option(None, &["no-extra"], Gather, PROJECT, "choice"),
    option(None, &["all-extras"], On, PROJECT, "choice"),
    option(None, &["no-all-extras"], On, PROJECT, "choice"),
    option(None, &["no-install-project"], On, PROJECT, "no-install-project"),
    option(None, &["no-install-workspace"], On, PROJECT, "no-install-project"),
    option(None, &["no-install-local"], On, PROJECT, "no-install-project"),
    option(None, &["no-install-package"], Gather, PROJECT, "choice"),
    option(None, &["inexact"], On, PROJECT, "choice"),
    option(None, &["exact"], On, PROJECT, "choice"),
    option(None, &["active"], On, PROJECT, "active"),
    option(None, &["no-active"], On, PROJECT, "no-effect"),
    option(None, &["package"], Gather, PROJECT, "workspace"),
    option(None, &["all-packages"], On, PROJECT, "workspace"),
    option(None, &["script"], One, &["sync", "lock"], "script"),
    // Environments.
    option(Some('c'), &["clear"], On, &["venv"], "clear"),
    option(None, &["no-clear"], On, &["venv"], "choice"),
    option(None, &["allow-existing"], On, &["venv"], "clear"),
    option(None, &["no-project", "no-workspace"], On, &["venv"], "choice"),
    option(None, &["prompt"], One, &["venv"], "choice"),
    option(None, &["system-site-packages"], On, &["venv"], "choice"),
    option(None, &["relocatable"], On, &["venv"], "choice"),
    option(None, &["seed"], On, &["venv"], "seed"),
];

/// The grammar of a subcommand, or of what stands before it.
pub(super) const fn grammar(command: &'static str) -> Grammar {
    Grammar::exact(OPTIONS, command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::uv::PROFILE;
    use crate::profile::Profile;

    #[test]
    fn every_option_has_a_rule() {
        let profile = Profile::parse(PROFILE).unwrap();
        for option in OPTIONS.iter().filter(|option| option.rule != "help") {
            assert!(profile.setting(option.rule).is_some(), "{}", option.rule);
        }
    }

    #[test]
    fn no_subcommand_knows_a_name_twice() {
        for command in EVERY {
            let mut names: Vec<&str> = grammar(command)
                .options()
                .flat_map(|option| option.names.iter().copied())
                .collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{command}");
            let mut shorts: Vec<char> = grammar(command)
                .options()
                .filter_map(|option| option.short)
                .collect();
            let all = shorts.len();
            shorts.sort_unstable();
            shorts.dedup();
            assert_eq!(shorts.len(), all, "{command}");
        }
    }
}
