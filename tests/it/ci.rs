//! CI services: what they obey in a run's output, and the recipes below `scripts/ci` by their own
//! shell lines. The runner's reading of commands is written down here: leading white space does not
//! count, and `##[` counts anywhere.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use serde_json::json;

use crate::project::{Project, program, search_path};
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::v4run;

const STEP: &str = include_str!("../../scripts/ci/run.sh");
const GITHUB: &str = include_str!("../../scripts/ci/github/action.yml");
const GITLAB: &str = include_str!("../../scripts/ci/gitlab.yml");
const JENKINS: &str = include_str!("../../scripts/ci/Jenkinsfile");
const BUILDKITE: &str = include_str!("../../scripts/ci/buildkite.yml");

/// What a component's author would like the service to do.
const INJECTED: &str = "x\n::add-mask::secret\n  ::error::injected\n##[error]injected";

fn project() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    (registry, project)
}

/// The commands that a runner obeys in a log, in order; none between `stop-commands` and its word.
fn obeyed(log: &str) -> Vec<String> {
    let mut until: Option<String> = None;
    let mut found = Vec::new();
    for line in log.lines().map(str::trim) {
        match &until {
            Some(word) if line == format!("::{word}::") => until = None,
            Some(_) => {}
            None => {
                if let Some(word) = line.strip_prefix("::stop-commands::") {
                    until = Some(word.to_owned());
                } else if line.starts_with("::") || line.contains("##[") {
                    found.push(line.to_owned());
                }
            }
        }
    }
    assert_eq!(until, None, "commands are stopped for ever\n{log}");
    found
}

#[test]
fn a_refusal_is_annotated_and_nothing_foreign_is_obeyed() {
    let (_registry, project) = project();
    project.edit_lock("thing", |entry| entry["integrity"] = json!("sha512-AAAA"));
    let run = project
        .v4run(&["npm", "ci", &format!("--x={INJECTED}")])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", project.directory())
        .env("NO_COLOR", "1")
        .run();
    assert_ne!(run.code(), 0, "{}", run.told());
    let commands = obeyed(&run.stderr);
    let group = commands.first().map(String::as_str).unwrap_or_default();
    assert!(group.starts_with("::group::v4run npm ci"), "{}", run.told());
    assert_eq!(commands[1], "::endgroup::", "{}", run.told());
    let errors = &commands[2..];
    assert!(!errors.is_empty(), "{}", run.told());
    for error in errors {
        assert!(error.starts_with("::error "), "{error}");
        assert!(error.contains("title=v4run%3A "), "{error}");
    }
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.told());
}

#[test]
fn output_of_the_manager_is_not_obeyed() {
    let registry = Registry::start();
    let described = Package::new("thing", "1.0.0").field("description", json!(INJECTED));
    registry.publish(&described);
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    let view = ["view", "thing", "description"];
    // The control: what npm prints of a package is obeyed.
    let bare = project.npm(&view).run();
    assert!(
        !obeyed(&bare.succeeds().stdout).is_empty(),
        "{}",
        bare.told()
    );
    // A runner sees both streams as one.
    let line = "exec v4run npm view thing description 2>&1";
    let argv = vec![program("bash").into(), "-c".into(), line.into()];
    let run = project
        .command(argv)
        .env("PATH", tools(&project))
        .env("GITHUB_ACTIONS", "true")
        .run();
    let log = &run.succeeds().stdout;
    assert!(log.contains("::add-mask::secret"), "{log}");
    assert_eq!(obeyed(log).len(), 2, "{log}");
    // Without a service nothing is said to one.
    let run = project.v4run(&["npm", "ci"]).run();
    assert!(!run.succeeds().stderr.contains("::"), "{}", run.told());
}

#[test]
fn a_machine_that_cannot_enforce_says_one_line() {
    let (_registry, project) = project();
    let run = project
        .v4run_plain(&["doctor", "--ci"])
        .fails(libc::SYS_landlock_create_ruleset, libc::ENOSYS)
        .run();
    run.exits(125).says("sandbox-unenforceable").says("hint:");
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.told());
    assert_eq!(run.stdout, "");
}

#[test]
fn the_summary_is_markdown_without_foreign_markup() {
    let (_registry, project) = project();
    let run = project.v4run(&["npm", "ci", "--x=<img src=x>`|"]).run();
    let record = run.record().folder.clone();
    let words = ["assess", "--format", "markdown", record.to_str().unwrap()];
    let told = project.v4run_plain(&words).run();
    let text = &told.succeeds().stdout;
    assert!(text.starts_with("### v4run npm ci"), "{text}");
    assert!(!text.contains("<img") && !text.contains('`'), "{text}");
    assert_eq!(text.matches("\n| 4.").count(), 19, "{text}");
}

/// The lines below the line that ends so, without their indentation, up to `end` or less indentation.
fn block(text: &str, start: &str, end: &str) -> String {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.trim_end().ends_with(start));
    lines.next().unwrap_or_else(|| panic!("no {start}\n{text}"));
    let lines: Vec<&str> = lines.collect();
    let indentation = lines[0].len() - lines[0].trim_start().len();
    let own = lines.iter().take_while(|line| {
        line.len() - line.trim_start().len() >= indentation && line.trim() != end
    });
    own.map(|line| format!("{}\n", &line[indentation..]))
        .collect()
}

/// A folder of PATH with v4run in it.
fn tools(project: &Project) -> OsString {
    let folder = project.outside("tools");
    fs::create_dir_all(&folder).unwrap();
    let _ = symlink(v4run(), folder.join("v4run"));
    let mut folders = vec![folder];
    folders.extend(std::env::split_paths(&search_path()));
    std::env::join_paths(folders).unwrap()
}

/// The shell lines of each recipe.
fn recipes() -> Vec<(&'static str, String)> {
    let script = block(GITLAB, "script:", "after_script:");
    let script: String = script
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("- ")))
        .collect();
    vec![
        ("github", block(GITHUB, "run: |", "")),
        ("gitlab", script),
        ("jenkins", block(JENKINS, "sh '''", "'''")),
        // Buildkite takes away one of two.
        (
            "buildkite",
            block(BUILDKITE, "command: |", "").replace("$$", "$"),
        ),
    ]
}

#[test]
fn every_recipe_installs_and_refuses_by_its_own_lines() {
    let (_registry, project) = project();
    let path = tools(&project);
    let action = project.outside("action");
    fs::create_dir_all(action.join("github")).unwrap();
    fs::write(action.join("run.sh"), STEP).unwrap();
    fs::set_permissions(action.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let summary = project.outside("summary.md");
    let output = project.outside("output");
    for (name, lines) in recipes() {
        for (refused, expected) in [(false, 0), (true, 126)] {
            let place = project.outside(&format!("{name}-{expected}"));
            fs::create_dir_all(&place).unwrap();
            // What the recipe says is run; the refusal is one that every run would meet.
            let lines = match refused {
                true => lines.replace("npm ci", "npm test"),
                false => lines.clone(),
            };
            let command = if refused { "npm test" } else { "npm ci" };
            let argv: Vec<PathBuf> = vec![program("bash"), "-eo".into(), "pipefail".into()];
            let mut argv: Vec<OsString> = argv.into_iter().map(OsString::from).collect();
            argv.extend(["-c".into(), OsString::from(&lines)]);
            let run = project
                .command(argv)
                .env("PATH", &path)
                .env("V4RUN_ACTION", action.join("github"))
                .env("V4RUN_INPUT_COMMAND", command)
                .env("V4RUN_INPUT_RECORD", place.join("v4run-record"))
                .env("GITHUB_OUTPUT", &output)
                .env("GITHUB_STEP_SUMMARY", &summary)
                .env("V4RUN_COMMAND", command)
                .env("CI_PROJECT_DIR", &place)
                .env("WORKSPACE", &place)
                .env("BUILDKITE_BUILD_CHECKOUT_PATH", &place)
                .run();
            run.exits(expected);
            assert!(
                run.stdout.contains("enforceable here"),
                "{name}: {}",
                run.told()
            );
            let record = place.join("v4run-record/summary.json");
            assert!(record.exists(), "{name}: {}", run.told());
            let installed = project.path("node_modules/thing/index.js").exists();
            assert_eq!(installed, !refused, "{name}: {}", run.told());
            let _ = fs::remove_dir_all(project.path("node_modules"));
        }
    }
    let summary = fs::read_to_string(summary).unwrap();
    assert_eq!(summary.matches("### v4run npm").count(), 2, "{summary}");
    let output = fs::read_to_string(output).unwrap();
    assert_eq!(
        output
            .lines()
            .filter(|line| line.starts_with("record=/"))
            .count(),
        2
    );
}

/// Shells that can say whether a script of theirs is one; those that are not installed say nothing.
#[test]
fn completions_are_scripts_of_their_shells() {
    let (_registry, project) = project();
    let mut asked = 0;
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let run = project
            .v4run_plain(&["generate", "completions", shell])
            .run();
        let file = project.outside(shell);
        fs::write(&file, &run.succeeds().stdout).unwrap();
        let path = std::env::split_paths("/usr/bin:/bin").map(|folder| folder.join(shell));
        let Some(program) = path.into_iter().find(|path| path.exists()) else {
            continue;
        };
        project
            .command(vec![program.into(), check.into(), file.into()])
            .run()
            .exits(0);
        asked += 1;
    }
    assert!(asked > 0, "no shell to ask");
}
