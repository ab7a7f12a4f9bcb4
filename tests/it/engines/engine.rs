//! The engines themselves: how each builds an image, runs a command in one and gives files back.
//!
//! Only their own commands. Where their daemon and storage are, `scripts/engines.sh` says by the
//! environment; nothing here starts or ends a daemon, and no engine is asked to fetch anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A way to have an image built, or a command run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// `docker build`, the builder of today.
    BuildKit,
    /// `docker build`, the builder of old.
    Legacy,
    /// `docker run`.
    DockerRun,
    /// `buildah bud` with that isolation.
    Buildah(&'static str),
    /// `podman run`, with runc.
    PodmanRun,
}

/// What came of a command.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: Option<i32>,
    /// Standard output alone.
    pub(super) stdout: String,
    /// Both streams.
    pub(super) log: String,
}

impl Outcome {
    fn of(output: &Output) -> Self {
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut log = stdout.clone();
        log.push_str(&String::from_utf8_lossy(&output.stderr));
        Self {
            status: output.status.code(),
            stdout,
            log,
        }
    }

    /// Nothing if it went well, else what it said last.
    pub(super) fn done(self) -> Result<Self, String> {
        match self.status {
            Some(0) => Ok(self),
            _ => Err(self.told()),
        }
    }

    /// Its last words.
    pub(super) fn told(&self) -> String {
        let lines: Vec<&str> = self.log.lines().collect();
        let from = lines.len().saturating_sub(40);
        format!("status {:?}\n{}", self.status, lines[from..].join("\n"))
    }

    /// Requires that a step ended with that status and that v4run named this code.
    pub(super) fn refused(self, status: i32, code: &str) -> Result<(), String> {
        let forms = [format!("code: {status}"), format!("status {status}")];
        let ended = self.status == Some(status)
            || (self.status != Some(0) && forms.iter().any(|form| self.log.contains(form)));
        let named = [",", "]"].map(|end| self.log.contains(&format!("[{code}{end}")));
        match ended && named.contains(&true) {
            true => Ok(()),
            false => Err(format!(
                "not refused with {status} and {code}: {}",
                self.told()
            )),
        }
    }
}

/// Runs a command to its end.
pub(super) fn command(words: &[&str]) -> Outcome {
    let output = Command::new(words[0]).args(&words[1..]).output();
    Outcome::of(&output.unwrap_or_else(|error| panic!("{}: {error}", words[0])))
}

/// A place of the engines that the script made.
pub(super) fn place(name: &str) -> String {
    let base = std::env::var_os("V4RUN_ENGINES").expect("scripts/engines.sh sets V4RUN_ENGINES");
    PathBuf::from(base).join(name).display().to_string()
}

/// podman and buildah with the storage that is theirs here.
fn with_storage(program: &str, words: &[&str]) -> Outcome {
    let (root, run) = (place("storage"), place("storage-run"));
    let own = [program, "--root", &root, "--runroot", &run];
    command(&[&own, words].concat())
}

impl Engine {
    /// The same engine's way to build.
    pub(super) fn builder(self) -> Self {
        match self {
            Self::DockerRun => Self::BuildKit,
            Self::PodmanRun => Self::Buildah("oci"),
            other => other,
        }
    }

    /// Whether it is Docker.
    pub(super) fn docker(self) -> bool {
        matches!(self, Self::BuildKit | Self::Legacy | Self::DockerRun)
    }

    /// Whether it builds images.
    pub(super) fn builds(self) -> bool {
        self == self.builder()
    }

    /// As it is called in the table.
    pub(super) fn title(self) -> String {
        match self {
            Self::BuildKit => "docker build, BuildKit".to_owned(),
            Self::Legacy => "docker build, legacy".to_owned(),
            Self::DockerRun => "docker run".to_owned(),
            Self::Buildah(isolation) => format!("buildah bud, {isolation}"),
            Self::PodmanRun => "podman run, runc".to_owned(),
        }
    }

    /// Builds an image; `more` are words of its command line.
    pub(super) fn build(self, text: &str, context: &Path, tag: &str, more: &[&str]) -> Outcome {
        let file = context.with_extension("Containerfile");
        fs::write(&file, text).unwrap();
        let (file, context) = (file.display().to_string(), context.display().to_string());
        let rest = ["--no-cache", "--tag", tag, "--file", &file, &context];
        match self.builder() {
            Self::Buildah(isolation) => {
                let words = ["bud", "--runtime", "runc", "--isolation", isolation];
                // Isolation by chroot has the host's network anyway.
                let network = ["--pull-never", "--network", "host"];
                let network = &network[..if isolation == "oci" { 3 } else { 1 }];
                with_storage("buildah", &[&words, network, more, &rest].concat())
            }
            other => {
                let kit = if other == Self::Legacy { "0" } else { "1" };
                let mut words = vec!["env", "", "docker", "build", "--network", "host"];
                let variable = format!("DOCKER_BUILDKIT={kit}");
                words[1] = &variable;
                if other == Self::BuildKit {
                    words.extend(["--progress", "plain"]);
                }
                command(&[&words, more, &rest].concat())
            }
        }
    }

    /// Runs a command in an image, in the network of the host.
    pub(super) fn run(self, tag: &str, more: &[&str], words: &[&str]) -> Outcome {
        let rest = [&["--network", "host"], more, &[tag], words].concat();
        if self.docker() {
            return command(&[&["docker", "run"], &rest[..]].concat());
        }
        // Its caller here may not raise limits.
        let own = [
            "--runtime",
            "runc",
            "run",
            "--pull",
            "never",
            "--ulimit",
            "host",
        ];
        with_storage("podman", &[&own, &rest[..]].concat())
    }

    /// A command about containers: `stop`, `wait`, `rm`.
    pub(super) fn container(self, words: &[&str]) -> Outcome {
        if self.docker() {
            return command(&[&["docker"], words].concat());
        }
        with_storage("podman", &[&["--runtime", "runc"], words].concat())
    }

    /// Copies a folder out of an image.
    pub(super) fn take(self, tag: &str, from: &str, to: &Path) -> Result<(), String> {
        let to = to.display().to_string();
        if self.docker() {
            let made = command(&["docker", "create", tag, "true"]).done()?;
            let id = made.stdout.trim().to_owned();
            let copied = command(&["docker", "cp", &format!("{id}:{from}"), &to]);
            command(&["docker", "rm", &id]).done()?;
            return copied.done().map(|_| ());
        }
        let made = with_storage("buildah", &["from", "--pull-never", tag]).done()?;
        let id = made.stdout.trim().to_owned();
        let mounted = with_storage("buildah", &["mount", &id]).done()?;
        let copied = command(&["cp", "-a", &format!("{}{from}", mounted.stdout.trim()), &to]);
        with_storage("buildah", &["rm", &id]).done()?;
        copied.done().map(|_| ())
    }
}
