//! How Maven was called: by which word, and from which directory its project counts.
//!
//! `mvn`, a path to it, or the wrapper `mvnw`, which is a shell script of the project that downloads
//! and starts a Maven: it is refused, with the way that works. The directory that holds `.mvn`
//! decides which files of the project Maven reads; it is looked for as Maven's script does.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::find;
use crate::model::{Code, Finding};

/// Whether a word of the command line means Maven.
pub(super) fn answers_to(word: &OsStr) -> bool {
    let name = Path::new(word).file_name();
    name.is_some_and(|name| name == "mvn" || name == "mvnw")
}

/// The wrapper is refused: it runs the project's own script before anything is verified.
pub(super) fn refusal(word: &OsStr, directory: &Path, home: Option<&Path>) -> Option<Finding> {
    Path::new(word).file_name().filter(|name| *name == "mvnw")?;
    let root = root(directory);
    let found = home.and_then(|home| find::wrapper(&root, home));
    let hint = match found {
        Some(found) => format!(
            "name the Maven that the wrapper has downloaded: `v4run {} …`",
            found.join("bin/mvn").display()
        ),
        None => "install that Maven and use `v4run mvn …`".to_owned(),
    };
    let message = "the wrapper is a shell script of the project that downloads and starts a Maven";
    let subject = word.to_string_lossy();
    Some(Finding::new(Code::CommandRunsCode, subject, message).with_hint(hint))
}

/// The nearest directory above that has a `.mvn`, or the directory itself.
pub(super) fn root(directory: &Path) -> PathBuf {
    let mut above = directory.ancestors().filter(|path| path.parent().is_some());
    let found = above.find(|path| path.join(".mvn").is_dir());
    found.unwrap_or(directory).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_decides() {
        for (word, ours) in [
            ("mvn", true),
            ("/opt/maven/bin/mvn", true),
            ("./mvnw", true),
            ("mvnd", false),
            ("npm", false),
        ] {
            assert_eq!(answers_to(OsStr::new(word)), ours, "{word}");
        }
    }

    #[test]
    fn the_wrapper_is_refused_with_the_maven_that_it_has_downloaded() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let (project, home) = (root.join("project"), root.join("home"));
        let wrapper = project.join(".mvn/wrapper");
        std::fs::create_dir_all(&wrapper).unwrap();
        let line = "distributionUrl=https\\://r.invalid/apache-maven-3.9.6-bin.zip\n";
        std::fs::write(wrapper.join("maven-wrapper.properties"), line).unwrap();
        let refused = |word: &str| refusal(OsStr::new(word), &project, Some(&home));
        assert!(refused("mvn").is_none());
        assert!(refused("./mvnw").unwrap().hint.unwrap().contains("install"));
        let maven = home.join(".m2/wrapper/dists/apache-maven-3.9.6-bin/1a2b/apache-maven-3.9.6");
        for (folder, file) in [("boot", "plexus-classworlds-2.7.0.jar"), ("bin", "m2.conf")] {
            std::fs::create_dir_all(maven.join(folder)).unwrap();
            std::fs::write(maven.join(folder).join(file), "").unwrap();
        }
        let finding = refused("./mvnw").unwrap();
        assert_eq!(finding.code, Code::CommandRunsCode);
        let hint = finding.hint.unwrap();
        assert!(
            hint.contains(&format!("{}/bin/mvn", maven.display())),
            "{hint}"
        );
    }

    #[test]
    fn the_root_is_where_the_settings_of_the_project_lie() {
        let guard = tempfile::tempdir().unwrap();
        let top = guard.path().canonicalize().unwrap();
        let inner = top.join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(root(&inner), inner);
        std::fs::create_dir(top.join(".mvn")).unwrap();
        assert_eq!(root(&inner), top);
    }
}
