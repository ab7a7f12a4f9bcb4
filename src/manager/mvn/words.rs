//! The words that a run of Maven is made from, and where each of them stands.
//!
//! Maven takes options from the command line, from variables and from files of the project, and its
//! script hands more of them to the virtual machine. All of them are read here, with file and line,
//! and nothing is judged. What a shell file says (`~/.mavenrc`, `/etc/mavenrc`) is not read: it is a
//! program. Maven's own page on configuring it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::options::{Source, Word, split};
use crate::manager::read;
use crate::model::{Code, Finding};

/// Configuration files of a project are a few lines long.
const LIMIT: u64 = 1 << 20;

/// Options of the virtual machine that may have their value in the next word.
const TWO_WORDS: &[&str] = &[
    "--add-opens",
    "--add-exports",
    "--add-reads",
    "--add-modules",
    "--limit-modules",
    "--patch-module",
    "--enable-native-access",
    "--module-path",
    "--upgrade-module-path",
    "--class-path",
    "--source",
    "--module",
    "-classpath",
    "-cp",
    "-p",
    "-m",
    "-jar",
];

/// Shell files that Maven's script would run.
const SHELL_FILES: &[&str] = &["/usr/local/etc/mavenrc", "/etc/mavenrc"];

/// Variables that the virtual machine would take options from.
const MACHINE_VARIABLES: &[&str] = &["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

/// A file of the project as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Options and goals for Maven, the strongest last.
    pub(super) maven: Vec<Word>,
    /// Options for the virtual machine, the strongest last.
    pub(super) machine: Vec<Word>,
    /// `.mvn/maven.config` and `.mvn/jvm.config`.
    pub(super) files: Vec<Held>,
    /// What has no effect.
    pub(super) notes: Vec<Finding>,
}

/// Where to look.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    pub(super) home: Option<&'a Path>,
    /// The directory with `.mvn`.
    pub(super) root: &'a Path,
    /// Major and minor version of Maven.
    pub(super) version: (u32, u32),
}

impl Surroundings<'_> {
    /// Reads everything beside the command line.
    pub(super) fn gather(&self) -> Result<Gathered, Finding> {
        let mut gathered = Gathered::default();
        if let Some(held) = self.file("maven.config")? {
            gathered.maven.extend(self.config(&held)?);
            gathered.files.push(held);
        }
        if self.version >= (3, 9) {
            gathered.maven.extend(self.variable("MAVEN_ARGS")?);
        }
        if let Some(held) = self.file("jvm.config")? {
            let words = lines(&held)?
                .into_iter()
                .filter(|word| !word.text.trim_start().starts_with('#'))
                .flat_map(|line| split(&line.text, &line.source));
            gathered.machine.extend(joined(words.collect()));
            gathered.files.push(held);
        }
        let words = joined(self.variable("MAVEN_OPTS")?);
        gathered.machine.extend(words);
        gathered.notes = self.without_effect();
        Ok(gathered)
    }

    fn file(&self, name: &str) -> Result<Option<Held>, Finding> {
        let path = self.root.join(".mvn").join(name);
        let bytes = read::inside(self.root, &path, LIMIT).map_err(|error| {
            Finding::new(
                Code::ConfigRefused,
                path.display().to_string(),
                error.to_string(),
            )
        })?;
        Ok(bytes.map(|bytes| Held { path, bytes }))
    }

    /// The words of `.mvn/maven.config`. From 3.9 on a line is a word, before that white space
    /// separates them.
    fn config(&self, held: &Held) -> Result<Vec<Word>, Finding> {
        let lines = lines(held)?.into_iter();
        if self.version < (3, 9) {
            return Ok(lines
                .flat_map(|line| split(&line.text, &line.source))
                .collect());
        }
        let words = lines.filter(|line| {
            let text = line.text.trim();
            !text.is_empty() && !text.starts_with('#')
        });
        Ok(words.collect())
    }

    fn variable(&self, name: &'static str) -> Result<Vec<Word>, Finding> {
        let Some(value) = self.environment.get(OsStr::new(name)) else {
            return Ok(Vec::new());
        };
        let value = value
            .to_str()
            .ok_or_else(|| Finding::new(Code::Usage, name, "is not UTF-8"))?;
        Ok(split(value, &Source::Variable(name)))
    }

    fn without_effect(&self) -> Vec<Finding> {
        let set = MACHINE_VARIABLES.iter().filter(|name| {
            let value = self.environment.get(OsStr::new(name));
            value.is_some_and(|value| !value.is_empty())
        });
        let set = set.map(|name| {
            let message = "has no effect: every program of Java takes code from it; what Maven needs \
                           goes into MAVEN_OPTS";
            Finding::new(Code::ConfigIgnored, *name, message)
        });
        let own = self.home.map(|home| home.join(".mavenrc"));
        let files = SHELL_FILES.iter().map(PathBuf::from).chain(own);
        let files = files.filter(|path| path.exists()).map(|path| {
            let message = "has no effect: it is a shell file, and no shell is started; what Maven \
                           needs goes into MAVEN_OPTS";
            Finding::new(Code::ConfigIgnored, path.display().to_string(), message)
        });
        set.chain(files).collect()
    }
}

/// The lines of a file with their numbers.
fn lines(held: &Held) -> Result<Vec<Word>, Finding> {
    let text = std::str::from_utf8(&held.bytes).map_err(|_error| {
        let path = held.path.display().to_string();
        Finding::new(Code::ConfigRefused, path, "is not UTF-8")
    })?;
    let word = |(index, text): (usize, &str)| Word {
        text: text.to_owned(),
        source: Source::File(held.path.clone(), index + 1),
    };
    Ok(text.lines().enumerate().map(word).collect())
}

/// Puts an option and its value into one word.
fn joined(words: Vec<Word>) -> Vec<Word> {
    let mut joined: Vec<Word> = Vec::with_capacity(words.len());
    let mut rest = words.into_iter();
    while let Some(mut word) = rest.next() {
        if TWO_WORDS.contains(&word.text.as_str())
            && let Some(value) = rest.next()
        {
            word.text = format!("{}={}", word.text, value.text);
        }
        joined.push(word);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(
        version: (u32, u32),
        files: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Gathered {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        std::fs::create_dir(root.join(".mvn")).unwrap();
        for (name, text) in files {
            std::fs::write(root.join(name), text).unwrap();
        }
        let environment = variables.iter();
        let environment = environment.map(|(key, value)| ((*key).into(), (*value).into()));
        let surroundings = Surroundings {
            environment: &environment.collect(),
            home: Some(&root),
            root: &root,
            version,
        };
        surroundings.gather().unwrap()
    }

    fn texts(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn a_line_is_a_word_only_where_maven_says_so() {
        let config = (".mvn/maven.config", "-T 2\n# no\n-Da=b c\n");
        let old = gathered((3, 8), &[config], &[("MAVEN_ARGS", "-o")]);
        assert_eq!(texts(&old.maven), ["-T", "2", "#", "no", "-Da=b", "c"]);
        let new = gathered((3, 9), &[config], &[("MAVEN_ARGS", "-o")]);
        assert_eq!(texts(&new.maven), ["-T 2", "-Da=b c", "-o"]);
        let Source::File(path, line) = &new.maven[1].source else {
            panic!("{:?}", new.maven);
        };
        assert!(path.ends_with(".mvn/maven.config") && *line == 3);
    }

    #[test]
    fn what_goes_to_the_virtual_machine_is_told_apart() {
        let found = gathered(
            (3, 8),
            &[
                (
                    ".mvn/jvm.config",
                    "-Xmx1g\n--add-opens java.base/java.lang=ALL-UNNAMED\n",
                ),
                (".mavenrc", "touch x"),
            ],
            &[
                ("MAVEN_OPTS", "-Xmx2g -cp x"),
                ("JAVA_TOOL_OPTIONS", "-javaagent:x"),
            ],
        );
        let expected = [
            "-Xmx1g",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            "-Xmx2g",
            "-cp=x",
        ];
        assert_eq!(texts(&found.machine), expected);
        let notes: Vec<_> = found.notes.iter().map(|note| &note.subject).collect();
        assert!(notes[0] == "JAVA_TOOL_OPTIONS" && notes.iter().any(|n| n.ends_with(".mavenrc")));
    }
}
