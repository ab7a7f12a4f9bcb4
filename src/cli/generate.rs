//! `v4run generate`: what a package or image carries beside the program, made from what the program
//! itself says: the manual page and completions from the definition of the command line, a page for
//! each finding code and control from the texts of `v4run explain`.
//!
//! The same program prints the same bytes on every machine: no date, no path, no variable's value.
//! It writes standard output, or pages into a directory that it was given. man-pages(7).

use std::io;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Arg, Args, Command, CommandFactory as _, Subcommand, ValueHint};
use clap_complete::aot::{Bash, Fish, Generator, Zsh};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{complain, print};
use crate::assess;
use crate::diag;
use crate::diag::{ERROR, STATUSES};
use crate::manager;
use crate::model::Code;
use crate::profile;

/// What is to be made.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The manual page, v4run(1).
    Man,
    /// Completions of a shell.
    Completions {
        /// bash, zsh or fish.
        #[arg(value_parser = PossibleValuesParser::new(["bash", "zsh", "fish"]))]
        shell: String,
    },
    /// The JSON Schema of v4run.toml, for editors.
    Schema,
    /// A page in Markdown for each finding code and each control, and a list of them.
    Codes {
        /// Where they go; made when missing.
        directory: PathBuf,
    },
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        let made = match &self.what {
            What::Man => manual().map(|text| print(&text)),
            What::Completions { shell } => {
                print(&completions(shell));
                Ok(())
            }
            What::Schema => {
                let text = serde_json::to_string_pretty(&profile::schema());
                print(&text.unwrap_or_default());
                Ok(())
            }
            What::Codes { directory } => codes(directory),
        };
        match made {
            Ok(()) => 0,
            Err(error) => {
                complain(&format!("v4run: generate: {error}"));
                ERROR
            }
        }
    }
}

/// The command line with the package managers, which the parser takes by any name.
fn command() -> Command {
    let mut command = super::Arguments::command()
        .bin_name("v4run")
        .disable_help_subcommand(true);
    for manager in manager::ALL {
        let arguments = Arg::new("ARGUMENTS")
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .value_hint(ValueHint::AnyPath)
            .help("Arguments of the package manager, as without v4run");
        command = command.subcommand(
            Command::new(manager.name())
                .about(format!("Run {} under v4run", manager.name()))
                .disable_help_flag(true)
                .arg(arguments),
        );
    }
    command.build();
    command
}

fn completions(shell: &str) -> String {
    let command = command();
    let mut text = Vec::new();
    match shell {
        "zsh" => Zsh.generate(&command, &mut text),
        "fish" => Fish.generate(&command, &mut text),
        _ => Bash.generate(&command, &mut text),
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Variables that count beside those that stand for an option.
const VARIABLES: [(&str, &str); 5] = [
    ("V4RUN_SIGN_KEY", "As --sign-key, or the key itself."),
    ("XDG_STATE_HOME", "Records lie below v4run/records there."),
    ("XDG_CACHE_HOME", "The store lies in v4run there."),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "Certificates that are trusted in the place of the platform's.",
    ),
    (
        "HTTPS_PROXY, NO_PROXY",
        "A proxy of the network, and the hosts that it is not for.",
    ),
];

/// Files that are read and written.
const FILES: [(&str, &str); 4] = [
    ("v4run.toml", "Policy of a project, reviewed with its code."),
    (
        "/etc/v4run/policy.toml",
        "Policy of a machine or image; with `lockdown = true` a project can only ask for more.",
    ),
    (
        "summary.json, record.cdx.json, events.jsonl, findings.sarif",
        "In the record of a run: its result, what was installed, what happened, what was seen.",
    ),
    (
        "attestation.intoto.jsonl",
        "In the record of a run with a signing key.",
    ),
];

fn manual() -> io::Result<String> {
    let command = command();
    let page = Man::new(command.clone()).manual("Commands");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    Roff::default()
        .control("SH", ["COMMANDS"])
        .to_writer(&mut text)?;
    described(&command, "v4run", &mut text)?;
    let mut rest = Roff::default();
    rest.control("SH", ["EXIT STATUS"]);
    rest.text([roman(
        "The package manager's own, where nothing was refused; and of v4run's own:",
    )]);
    let statuses = STATUSES.map(|(status, meaning)| (status.to_string(), meaning));
    entries(&mut rest, statuses.iter().map(|(a, b)| (a.as_str(), *b)));
    rest.control("SH", ["ENVIRONMENT"]);
    entries(&mut rest, VARIABLES.into_iter());
    rest.control("SH", ["FILES"]);
    entries(&mut rest, FILES.into_iter());
    rest.to_writer(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn entries<'a>(page: &mut Roff, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, text) in entries {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(text)]);
    }
}

/// Every subcommand with its own options, those below it after it.
fn described(command: &Command, above: &str, text: &mut Vec<u8>) -> io::Result<()> {
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        let name = format!("{above} {}", below.get_name());
        let mut head = Roff::default();
        head.control("SS", [name.as_str()]);
        let about = below.get_long_about().or_else(|| below.get_about());
        head.text([roman(about.map(ToString::to_string).unwrap_or_default())]);
        head.to_writer(text)?;
        let mut options = Vec::new();
        Man::new(below.clone()).render_options_section(&mut options)?;
        // A part of this section, not one of its own.
        let options = String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "");
        text.extend_from_slice(options.as_bytes());
        described(below, &name, text)?;
    }
    Ok(())
}

/// Writes the pages of codes and controls.
fn codes(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let controls = assess::texts();
    let names = Code::ALL.iter().map(|code| code.name().to_owned());
    let numbers = controls.iter().map(|text| text.control.to_string());
    let mut list = "# Finding codes and controls\n\n".to_owned();
    for topic in names.chain(numbers) {
        let Some(text) = diag::explain(&topic, &controls) else {
            continue;
        };
        let (title, body) = text.split_once('\n').unwrap_or((&text, ""));
        std::fs::write(
            directory.join(format!("{topic}.md")),
            format!("# {title}\n{body}"),
        )?;
        list.push_str(&format!("- [{title}]({topic}.md)\n"));
    }
    std::fs::write(directory.join("index.md"), list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(command: &Command) -> Vec<String> {
        let below = command.get_subcommands();
        below
            .flat_map(|one| {
                let deeper = names(one)
                    .into_iter()
                    .map(|name| format!("{} {name}", one.get_name()));
                std::iter::once(one.get_name().to_owned()).chain(deeper.collect::<Vec<_>>())
            })
            .collect()
    }

    #[test]
    fn the_manual_has_every_command_option_and_status() {
        let page = manual().unwrap();
        let plain = page.replace('\\', "");
        let command = command();
        let all = names(&command);
        assert!(all.iter().any(|name| name == "profile show"), "{all:?}");
        for name in all {
            assert!(plain.contains(&format!("v4run {name}\"")), "{name}\n{page}");
        }
        for option in command.get_arguments().filter_map(Arg::get_long) {
            assert!(plain.contains(&format!("--{option}")), "{option}");
        }
        for (status, meaning) in STATUSES {
            assert!(
                plain.contains(&format!("fB{status}fR\n{meaning}")),
                "{page}"
            );
        }
        assert!(plain.contains("V4RUN_RECORD"), "{page}");
    }

    #[test]
    fn completions_know_commands_managers_and_options() {
        for shell in ["bash", "zsh", "fish"] {
            let text = completions(shell);
            for word in ["doctor", "npm", "mvn", "repair", "generate"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn every_code_and_control_has_a_page() {
        let place = tempfile::tempdir().unwrap();
        codes(place.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
        let list = read("index.md");
        for code in Code::ALL {
            let page = read(&format!("{}.md", code.name()));
            assert!(page.contains(code.meaning()) && page.contains(code.remedy()));
            assert!(list.contains(&format!("({}.md)", code.name())));
        }
        assert!(read("4.18.md").contains("4.18"));
    }
}
