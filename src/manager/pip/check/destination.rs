//! Where things go, as the checked options say it.

use std::path::PathBuf;

use crate::manager::pip::checked::Destination;
use crate::manager::pip::settings::Judged;

pub(super) fn destination(judged: &Judged) -> Destination {
    let path = |rule: &str| {
        judged
            .last(rule)
            .map(|setting| PathBuf::from(setting.text()))
    };
    let user = judged
        .taken
        .iter()
        .rev()
        .find(|one| matches!(one.option.rule, "user" | "no-user"));
    Destination {
        target: path("target"),
        prefix: path("prefix"),
        root: path("root"),
        user: user.map(|setting| setting.option.rule == "user"),
        paths: judged
            .all("path")
            .map(|setting| PathBuf::from(setting.text()))
            .collect(),
        download: path("dest"),
        wheels: path("wheel-dir"),
        report: path("report"),
        log: path("log"),
        upgrade: false,
        dry_run: false,
        break_system_packages: judged.last("break-system-packages").is_some(),
    }
}
