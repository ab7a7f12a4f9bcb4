//! Judges every option by the rules of the profile: handed on, taken, left out or refused.
//!
//! The rules say for each option what happens to it by who says it: the command line, the user's
//! variables, or the project. What is handed on is written anew, by full names, so that Maven and
//! v4run cannot be of two minds. An option that no rule knows is refused on the command line and in
//! the project; of the virtual machine's, the user's are left out with a note.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::options::{self, Given, Source, Word};
use super::settings::Author;
use super::words::Gathered;
use crate::manager::place::resolved;
use crate::model::{Code, Finding};
use crate::profile::{Action, Profile, Setting};

/// Options of which only the first counts, and the command line before the rest.
const ONCE: &[&str] = &[
    "builder",
    "color",
    "fail-on-severity",
    "file",
    "global-settings",
    "log-file",
    "resume-from",
    "settings",
    "threads",
];

/// A path that v4run uses itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// As it was written.
    pub(super) text: String,
    pub(super) source: Source,
}

impl Taken {
    /// Who says it.
    pub(super) const fn author(&self) -> Author {
        match self.source {
            Source::Argv | Source::Variable(_) => Author::User,
            Source::File(..) => Author::Project,
        }
    }

    /// The path in full. What a project says must lie in it.
    pub(super) fn path(&self, directory: &Path, project: &Path) -> Result<PathBuf, Finding> {
        let path = directory.join(&self.text);
        let real = resolved(&path);
        if self.author() == Author::Project && !real.starts_with(project) {
            let message = format!(
                "names `{}`, which lies outside the project; a project may only name what lies in it",
                self.text
            );
            return Err(Finding::new(
                Code::ConfigRefused,
                self.source.to_string(),
                message,
            ));
        }
        Ok(real)
    }
}

/// What is left after judging.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Options that Maven gets.
    pub(super) passed: Vec<Given>,
    /// Goals and phases.
    pub(super) goals: Vec<Word>,
    /// Properties that Maven gets.
    pub(super) properties: BTreeMap<String, String>,
    /// Options that the virtual machine gets.
    pub(super) machine: Vec<String>,
    /// What v4run uses itself, by its name in the profile.
    pub(super) taken: BTreeMap<String, Taken>,
    /// What has no effect.
    pub(super) notes: Vec<Finding>,
}

/// Judges what was gathered and the command line.
pub(super) fn check(
    gathered: &Gathered,
    arguments: &[Word],
    profile: &Profile,
) -> Result<Checked, Vec<Finding>> {
    let mut judge = Judge {
        profile,
        checked: Checked::default(),
        refused: Vec::new(),
    };
    judge.checked.notes.clone_from(&gathered.notes);
    // The command line first: of an option that counts once, the first is the one.
    let typed = options::read(arguments);
    let configured = options::read(&gathered.maven);
    for word in typed.unknown.iter().chain(&configured.unknown) {
        judge.unknown(word);
    }
    for word in &configured.goals {
        let message = format!(
            "`{}` is no option; goals stand on the command line",
            word.text
        );
        judge.refuse(&word.source, message);
    }
    judge.checked.goals = typed.goals;
    // Of properties the last one counts, so those of the command line come last.
    let (first, last): (Vec<_>, Vec<_>) = typed
        .given
        .into_iter()
        .partition(|given| given.name != "define");
    for given in first.into_iter().chain(configured.given).chain(last) {
        judge.option(given);
    }
    for word in &gathered.machine {
        judge.machine(word);
    }
    match judge.refused.is_empty() {
        true => Ok(judge.checked),
        false => Err(judge.refused),
    }
}

struct Judge<'a> {
    profile: &'a Profile,
    checked: Checked,
    refused: Vec<Finding>,
}

impl Judge<'_> {
    fn option(&mut self, given: Given) {
        let key = match given.property() {
            Some((name, _)) => format!("-D{name}"),
            None => given.name.to_owned(),
        };
        let value = given.property().map(|(_, value)| value.to_owned());
        let value = value.or_else(|| given.value.clone()).unwrap_or_default();
        let Some(rule) = self.profile.setting(&key) else {
            let word = Word {
                text: format!("--{key}"),
                source: given.source,
            };
            return self.unknown(&word);
        };
        let shown = match key.starts_with("-D") {
            true => key.clone(),
            false => format!("--{key}"),
        };
        match self.decided(rule, &shown, &value, &given.source) {
            Some(Action::Take) => self.take(key, value, given.source),
            Some(Action::Pass) => self.pass(given),
            Some(Action::Drop | Action::Refuse) | None => {}
        }
    }

    fn pass(&mut self, given: Given) {
        let known = |known: &Given| known.name == given.name;
        if ONCE.contains(&given.name) && self.checked.passed.iter().any(known) {
            return;
        }
        if let Some((name, value)) = given.property() {
            let pair = (name.to_owned(), value.to_owned());
            self.checked.properties.extend([pair]);
        }
        self.checked.passed.push(given);
    }

    fn take(&mut self, key: String, value: String, source: Source) {
        let taken = Taken {
            text: value,
            source,
        };
        let first = ONCE.contains(&key.as_str());
        let entry = self.checked.taken.entry(key);
        match entry {
            std::collections::btree_map::Entry::Occupied(_) if first => {}
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                entry.insert(taken);
            }
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(taken);
            }
        }
    }

    fn machine(&mut self, word: &Word) {
        let text = &word.text;
        let property = text.strip_prefix("-D").map(|property| {
            let (name, value) = property.split_once('=').unwrap_or((property, ""));
            (format!("-D{name}"), value.to_owned())
        });
        let (key, value) = property.unwrap_or_else(|| (text.clone(), String::new()));
        let Some(rule) = self.profile.setting(&key) else {
            let why = "it is no option of the virtual machine that v4run knows to be harmless";
            match &word.source {
                Source::File(..) => self.refuse(&word.source, format!("`{text}`: {why}")),
                Source::Argv | Source::Variable(_) => self.note(&word.source, text, why),
            }
            return;
        };
        match self.decided(rule, &key, &value, &word.source) {
            // The command line is stronger than what stands beside it.
            Some(Action::Take) if self.checked.taken.contains_key(&key) => {}
            Some(Action::Take) => self.take(key, value, word.source.clone()),
            Some(Action::Pass) => self.checked.machine.push(text.clone()),
            Some(Action::Drop | Action::Refuse) | None => {}
        }
    }

    /// What the rule says, when it says to do something.
    fn decided(
        &mut self,
        rule: &Setting,
        shown: &str,
        value: &str,
        source: &Source,
    ) -> Option<Action> {
        let action = match source {
            Source::Argv => rule.cli,
            Source::Variable(_) => rule.user,
            Source::File(..) => rule.project,
        };
        let harmless = rule.harmless.iter().any(|known| known == value);
        match action {
            Action::Refuse if !harmless => {
                self.refuse(source, format!("`{shown}` is refused: {}", rule.why));
                None
            }
            Action::Refuse => None,
            Action::Drop => {
                if rule.note && !harmless {
                    self.note(source, shown, &rule.why);
                }
                None
            }
            Action::Pass | Action::Take => Some(action),
        }
    }

    fn unknown(&mut self, word: &Word) {
        let message = format!(
            "`{}` is no option that v4run knows, or lacks its value",
            word.text
        );
        match word.source {
            Source::Argv => {
                let finding = Finding::new(Code::CommandUnknown, &word.text, message);
                self.refused.push(finding);
            }
            Source::Variable(_) | Source::File(..) => self.refuse(&word.source, message),
        }
    }

    fn refuse(&mut self, source: &Source, message: String) {
        self.refused.push(Finding::new(
            Code::ConfigRefused,
            source.to_string(),
            message,
        ));
    }

    fn note(&mut self, source: &Source, what: &str, why: &str) {
        let message = format!("`{what}` has no effect: {why}");
        let finding = Finding::new(Code::ConfigIgnored, source.to_string(), message);
        self.checked.notes.push(finding);
    }
}

/// The words of the command line.
pub(super) fn arguments(words: &[std::ffi::OsString]) -> Result<Vec<Word>, Finding> {
    let word = |word: &std::ffi::OsString| {
        let text = word.to_str().ok_or_else(|| {
            let message = "is not UTF-8, and Maven cannot be told so";
            Finding::new(Code::Usage, word.to_string_lossy(), message)
        })?;
        Ok(Word {
            text: text.to_owned(),
            source: Source::Argv,
        })
    };
    words.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, source: &Source) -> Word {
        Word {
            text: text.to_owned(),
            source: source.clone(),
        }
    }

    fn judged(
        typed: &[&str],
        configured: &[&str],
        machine: &[(&str, Source)],
    ) -> Result<Checked, Vec<Finding>> {
        let profile = Profile::parse(super::super::PROFILE).unwrap();
        let file = Source::File(PathBuf::from("/p/.mvn/maven.config"), 3);
        let gathered = Gathered {
            maven: configured.iter().map(|text| word(text, &file)).collect(),
            machine: machine
                .iter()
                .map(|(text, from)| word(text, from))
                .collect(),
            ..Gathered::default()
        };
        let typed: Vec<Word> = typed.iter().map(|text| word(text, &Source::Argv)).collect();
        check(&gathered, &typed, &profile)
    }

    fn file() -> Source {
        Source::File(PathBuf::from("/p/.mvn/jvm.config"), 1)
    }

    #[test]
    fn the_command_line_is_stronger_than_the_project() {
        let checked = judged(
            &["-T", "1", "-Da=1", "-s", "mine.xml", "validate"],
            &["-T", "2", "-Da=2", "-Db=2", "-s", "theirs.xml", "-o"],
            &[],
        )
        .unwrap();
        assert_eq!(checked.properties["a"], "1");
        assert_eq!(checked.properties["b"], "2");
        assert_eq!(checked.taken["settings"].text, "mine.xml");
        let threads: Vec<_> = checked
            .passed
            .iter()
            .filter(|given| given.name == "threads")
            .collect();
        assert_eq!(threads.len(), 1);
        assert_eq!(threads[0].value.as_deref(), Some("1"));
        assert_eq!(checked.goals.len(), 1);
    }

    #[test]
    fn what_weakens_or_loads_code_is_refused_with_file_and_line() {
        for text in [
            "-Dmaven.ext.class.path=x.jar",
            "-Dmaven.wagon.http.ssl.insecure=true",
            "-Daether.checksums.algorithms=MD5",
            "-Djavax.net.ssl.trustStore=x",
            "-Djava.security.manager",
            "-c",
            "--lax-checksums",
            "-l",
            "clean",
        ] {
            let mut words = vec![text];
            words.extend(["x"].iter().filter(|_| text == "-l"));
            let refused = judged(&["validate"], &words, &[]).unwrap_err();
            assert_eq!(refused[0].code, Code::ConfigRefused, "{text}");
            assert_eq!(refused[0].subject, "/p/.mvn/maven.config:3", "{text}");
        }
        for text in [
            "-javaagent:x.jar",
            "-agentpath:x.so",
            "-agentlib:jdwp",
            "-Xbootclasspath/a:x",
            "-cp=x",
            "-jar=x",
            "-XX:OnError=x",
            "-XX:Flags=x",
            "@x",
            "-Djava.system.class.loader=x",
        ] {
            assert!(judged(&[], &[], &[(text, file())]).is_err(), "{text}");
        }
        for text in ["--sett", "-c", "-Dmaven.ext.class.path=x", "--define"] {
            assert!(judged(&[text], &[], &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_passes_and_what_the_user_says_beside_is_left_out_with_a_note() {
        let user = Source::Variable("MAVEN_OPTS");
        let checked = judged(
            &[
                "-Dmaven.wagon.http.ssl.insecure=false",
                "-Dmaven.wagon.http.pool=false",
            ],
            &[],
            &[
                ("-Xmx1g", file()),
                ("-Xmx2g", user.clone()),
                ("-javaagent:x", user.clone()),
                ("-Dmaven.repo.local=/r", user.clone()),
                ("-Djavax.net.ssl.trustStore=x", user),
            ],
        )
        .unwrap();
        assert_eq!(checked.machine, ["-Xmx1g", "-Xmx2g"]);
        assert_eq!(checked.taken["-Dmaven.repo.local"].text, "/r");
        assert_eq!(checked.notes.len(), 3, "{:?}", checked.notes);
    }

    #[test]
    fn a_project_names_only_what_lies_in_it() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let path = |text: &str, source: Source| {
            let taken = Taken {
                text: text.to_owned(),
                source,
            };
            taken.path(&root.join("p"), &root.join("p"))
        };
        assert!(path("s.xml", file()).is_ok());
        assert!(path("../s.xml", file()).is_err());
        assert!(path("/etc/s.xml", file()).is_err());
        assert!(path("/etc/s.xml", Source::Argv).is_ok());
    }
}
