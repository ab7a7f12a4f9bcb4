//! `v4run build --propose`: what wants to run code, as text for a person, and the approvals that it would take.
//!
//! Names and scripts come from packages, so none of them can end a comment or a text. The approvals have no
//! owner and no reason: the policy refuses them as they are. Nothing runs and nothing is written.

use std::path::Path;

use super::{Standing, builder, environment, policy, standing};
use crate::diag::sanitize;
use crate::manager::{BuildRequest, Manager, Wanted};
use crate::model::{Code, Finding};
use crate::profile::Policy;
use crate::profile::build::platform;
use crate::session::places;

/// Text about everything that wants to run code in the project at the working directory.
pub fn propose(manager: &'static dyn Manager, explicit: Option<&Path>) -> Result<String, Finding> {
    let directory = places::working_directory()?;
    let environment = environment();
    let home = places::home(&environment);
    let policy = policy(explicit, &directory)?;
    let request = BuildRequest {
        directory: &directory,
        environment: &environment,
        home: home.as_deref(),
        policy: &policy,
    };
    let wanted = builder(manager)?.wanted(&request)?;
    Ok(text(&wanted, &policy))
}

/// The same about these components.
pub(super) fn text(wanted: &[Wanted], policy: &Policy) -> String {
    if wanted.is_empty() {
        return "# nothing that is installed here wants to be built".to_owned();
    }
    let mut text = String::new();
    for one in wanted {
        let mut say = |line: &str| text.push_str(&format!("# {}\n", sanitize(line)));
        let place = if one.own { "the project" } else { &one.path };
        say(&format!("{} in {place} wants to run:", one.purl));
        for script in &one.scripts {
            say(&format!("  {}: {}", script.name, flat(&script.command)));
        }
        if let Some((name, content)) = &one.text {
            say(&format!("  {name} says:"));
            content.lines().for_each(|line| say(&format!("  | {line}")));
        }
        match standing(policy, one) {
            Standing::Approved(build) => say(&format!("approved: {}", build.stated_in)),
            Standing::Refused(why) => say(&format!("not approved any more: {why}")),
            Standing::Unnamed => text.push_str(&table(one)),
        }
        text.push('\n');
    }
    text
}

/// That nobody approves a component, with the approval that it takes.
pub(super) fn unnamed(wanted: &Wanted) -> Finding {
    let message = format!(
        "`{}` wants to run {}, and nobody approves it; to approve it:\n{}",
        wanted.purl,
        scripts(wanted),
        table(wanted)
    );
    Finding::new(Code::BuildUnapproved, &wanted.path, message)
}

/// That an approval of a component does not count.
pub(super) fn objected(wanted: &Wanted, why: &str) -> Finding {
    let message = format!("`{}` is not built: {why}", wanted.purl);
    Finding::new(Code::BuildUnapproved, &wanted.path, message)
        .with_hint("review it again, then correct the approval: `v4run build --propose`")
}

/// The scripts of a component, in one line.
fn scripts(wanted: &Wanted) -> String {
    let scripts = wanted.scripts.iter();
    let scripts: Vec<String> = scripts
        .map(|script| format!("{} (`{}`)", script.name, flat(&script.command)))
        .collect();
    scripts.join(", ")
}

/// The approval that would cover a component.
fn table(wanted: &Wanted) -> String {
    let digest = wanted
        .integrity
        .as_ref()
        .and_then(|one| one.deciding().next());
    let Some(digest) = digest else {
        return "# it has no digest of its own, so that nothing could approve it\n".to_owned();
    };
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let toolchain: Vec<String> = wanted.toolchain.iter().map(|path| quoted(path)).collect();
    let lines = [
        "[[builds]]".to_owned(),
        format!("purl = {}", quoted(&wanted.purl)),
        format!("digest = {}", quoted(&digest.to_string())),
        "owner = \"\" # who answers for it".to_owned(),
        "reason = \"\" # why it may run".to_owned(),
        "expires = \"\" # the last day, YYYY-MM-DD".to_owned(),
        format!("platform = {}", quoted(&platform())),
        format!("toolchain = [{}]", toolchain.join(", ")),
    ];
    let lines = lines.map(|line| sanitize(&line).into_owned());
    format!("{}\n", lines.join("\n"))
}

/// A command without line ends.
fn flat(command: &str) -> String {
    command.split_whitespace().collect::<Vec<_>>().join(" ")
}
