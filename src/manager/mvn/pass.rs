//! Which of Maven's command lines a shim hands on: lifecycles that run the project's code by design.
//!
//! Decided by the words of the command line alone. Each of them has to be a phase, or a goal whose
//! purpose is to run code, and one of them has to run code; what v4run builds itself does not pass.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::options::Given;
use super::{checked, goals, options};
use crate::manager::Passing;

/// See [`crate::manager::Manager::passes`].
pub(super) fn judge(words: &[OsString]) -> Option<Passing> {
    let read = options::read(&checked::arguments(words).ok()?);
    let prints = |given: &Given| matches!(given.name, "help" | "version");
    if !read.unknown.is_empty() || read.given.iter().any(prints) {
        return None;
    }
    let mut properties = BTreeMap::new();
    for (key, value) in read.given.iter().filter_map(Given::property) {
        // Said twice, the one that leaves the tests out counts: that is confined.
        if value == "true" || !properties.contains_key(key) {
            properties.insert(key.to_owned(), value.to_owned());
        }
    }
    let why = goals::runs_code(&read.goals, &properties)?;
    Some(Passing {
        subject: format!("mvn {}", goals::named(&read.goals)),
        why: why.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goals_decide() {
        for (line, passes) in [
            ("verify", true),
            ("-B clean verify -DskipTests", true),
            ("clean install", true),
            ("deploy", true),
            ("test", true),
            ("package", true),
            ("package -Dx=y", true),
            ("exec:java", true),
            ("clean exec:exec@id", true),
            ("package -DskipTests", false),
            ("package -DskipTests -DskipTests=false", false),
            ("package -Dmaven.test.skip=true", false),
            ("compile", false),
            ("clean", false),
            ("dependency:resolve", false),
            ("dependency:resolve verify", false),
            ("verify some:thing", false),
            ("verify frob", false),
            ("spring-boot:run", false),
            ("--frob verify", false),
            ("-v verify", false),
            ("", false),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(judge(&words).is_some(), passes, "{line}");
        }
    }
}
