//! What a CI service reads out of a job's output, and how v4run speaks to it.
//!
//! A runner of GitHub's obeys lines that start with `::`, also behind white space, and `##[` anywhere
//! in a line. Whatever a package manager prints passes through untouched, and names of components are
//! not ours; so the runner is told to obey nothing until a word that only v4run knows, and v4run's own
//! annotations come after that word. Buildkite has group headings only. GitLab's sections are made of
//! control characters, which v4run never prints: it gets none. Pure text; nothing is printed here.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::render::{finding as rendered, severity};
use super::sanitize::sanitize;
use crate::model::Finding;

/// A service that understands more than lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ci {
    /// GitHub Actions, and what reads the same commands.
    GitHub,
    /// Buildkite.
    Buildkite,
}

/// Findings that are annotated: GitHub shows ten errors a step.
const ANNOTATED: usize = 10;

impl Ci {
    /// The service that started this program, by its own variable.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let is = |name| variable(name).as_deref() == Some(OsStr::new("true"));
        match (is("GITHUB_ACTIONS"), is("BUILDKITE")) {
            (true, _) => Some(Self::GitHub),
            (false, true) => Some(Self::Buildkite),
            (false, false) => None,
        }
    }

    /// What stands before the output of a package manager. `word` ends what [`Ci::close`] ends.
    pub fn open(self, title: &str, word: &str) -> String {
        let title = sanitize(title);
        match self {
            Self::GitHub => format!(
                "::group::{}\n::stop-commands::{word}",
                data(&title).trim_start()
            ),
            Self::Buildkite => format!("--- {title}"),
        }
    }

    /// What stands after it.
    pub fn close(self, word: &str) -> String {
        match self {
            Self::GitHub => format!("::{word}::\n::endgroup::"),
            Self::Buildkite => "+++ v4run".to_owned(),
        }
    }

    /// The findings as annotations, beside the file and line that they name below `workspace`.
    pub fn annotations<'a>(
        self,
        findings: impl Iterator<Item = &'a Finding>,
        workspace: Option<&Path>,
    ) -> Vec<String> {
        match self {
            Self::GitHub => findings
                .take(ANNOTATED)
                .map(|finding| annotation(finding, workspace))
                .collect(),
            Self::Buildkite => Vec::new(),
        }
    }
}

fn annotation(finding: &Finding, workspace: Option<&Path>) -> String {
    let place = match place(finding) {
        Some((path, line)) => {
            let below = workspace.and_then(|root| Path::new(path).strip_prefix(root).ok());
            let path = below.map_or_else(|| path.to_owned(), |path| path.display().to_string());
            format!("file={},line={line},", property(&path))
        }
        None => String::new(),
    };
    let word = severity(finding.code.severity());
    let title = format!("v4run: {word}: {}", finding.code.name());
    let text = rendered(finding);
    let text = text.strip_prefix("v4run: ").unwrap_or(&text);
    format!("::error {place}title={}::{}", property(&title), data(text))
}

/// How the names of files end that findings name lines of.
const ENDINGS: [&str; 9] = [
    ".json", ".toml", ".lock", ".txt", ".xml", ".conf", ".config", "npmrc", ".cfg",
];

/// The file and line that a finding names: `package-lock.json:12`.
fn place(finding: &Finding) -> Option<(&str, u32)> {
    let first = finding.message.lines().next().unwrap_or_default();
    let words = first.split_whitespace();
    std::iter::once(finding.subject.as_str())
        .chain(words)
        .find_map(|word| {
            let word = word.trim_matches(|c: char| "`'\"(),;:".contains(c));
            let (path, line) = word.rsplit_once(':')?;
            // Neither an address of the network nor a Maven coordinate.
            let is_file = ENDINGS.iter().any(|ending| path.ends_with(ending));
            let line = line.parse().ok().filter(|line| *line > 0)?;
            is_file.then_some((path, line))
        })
}

/// Text of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(&sanitize(text))
        .replace(':', "%3A")
        .replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Code;

    fn of(name: &'static str) -> Option<Ci> {
        Ci::of(|asked| (asked == name).then(|| "true".into()))
    }

    #[test]
    fn the_service_is_known_by_its_variable() {
        assert_eq!(of("GITHUB_ACTIONS"), Some(Ci::GitHub));
        assert_eq!(of("BUILDKITE"), Some(Ci::Buildkite));
        assert_eq!(of("CI"), None);
        assert_eq!(Ci::of(|_| Some("no".into())), None);
    }

    #[test]
    fn a_finding_stands_at_the_line_that_it_names() {
        let github = Ci::GitHub;
        let at = |subject: &str, message: &str| {
            let finding = Finding::new(Code::ConfigRefused, subject, message);
            let root = Some(Path::new("/w"));
            github.annotations([finding].iter(), root).remove(0)
        };
        let all = at("/w/sub/.npmrc:3", "`ca` is refused");
        assert!(
            all.starts_with("::error file=sub/.npmrc,line=3,title=v4run%3A refused%3A config"),
            "{all}"
        );
        let all = at("x", "stated in `package-lock.json:12`, which is refused");
        assert!(all.contains("file=package-lock.json,line=12,"), "{all}");
        for (subject, message) in [
            ("org.example:tool:1.0", "m"),
            ("https://registry.invalid:443", "m"),
            ("x", "connected to registry.invalid:443"),
        ] {
            assert!(!at(subject, message).contains("file="), "{subject}");
        }
    }

    #[test]
    fn foreign_text_ends_no_command_and_starts_none() {
        let evil = "a%0A\n::set-output name=x::y\r\n  ::add-mask::z,file=b:1\n##[error]x";
        let finding = Finding::new(Code::IntegrityMismatch, evil, evil);
        for text in Ci::GitHub.annotations([finding].iter(), None) {
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains("##["), "{text}");
            assert_eq!(text.matches("::error ").count(), 1);
            assert!(text.contains("%250A"), "{text}");
        }
        let open = Ci::GitHub.open("npm ci\n::error::x", "word");
        assert_eq!(open.lines().count(), 2, "{open}");
        assert_eq!(Ci::Buildkite.open("npm\n+++ x", "").lines().count(), 1);
    }
}
