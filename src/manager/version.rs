//! Versions that a version manager has installed, and which of them is meant.
//!
//! Reads what version managers read, without running them: installed versions are folders, wishes
//! are first words of small files. The project only chooses among what the user installed. Which
//! files and variables count is each driver's own business.

use std::path::Path;

use super::read;

/// Version files are a few lines long.
pub(super) const LIMIT: u64 = 1 << 16;

/// Names of installed versions that have `program`, sorted as versions.
pub(super) fn installed(directory: &Path, program: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .take(1000)
        .filter(|entry| entry.path().join(program).exists())
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_by_key(|name| numbers(name));
    names
}

/// The installed version that the first satisfiable wish means, or the only one. A wish is the name
/// of an installation, or the first numbers of its version.
pub(super) fn choose<'a>(wanted: &[String], installed: &'a [String]) -> Option<&'a str> {
    let hit = wanted.iter().find_map(|wish| {
        let exact = installed.iter().find(|name| *name == wish.trim());
        let wish = numbers(wish);
        let fits = |name: &&String| !wish.is_empty() && numbers(name).starts_with(&wish);
        exact.or_else(|| installed.iter().rev().find(fits))
    });
    match installed {
        [only] => Some(only),
        _ => hit.map(String::as_str),
    }
}

/// The numbers of `v20.1.0`; nothing for names such as `lts/iron`.
fn numbers(text: &str) -> Vec<u64> {
    let text = text.trim().trim_start_matches(['v', 'V']);
    text.split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

/// The text of a small file.
pub(super) fn text_of(path: &Path) -> Option<String> {
    let bytes = read::file(path, LIMIT).ok().flatten()?;
    String::from_utf8(bytes).ok()
}

/// Words of a small file, without comments.
pub(super) fn words(path: &Path) -> Vec<String> {
    let text = text_of(path).unwrap_or_default();
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""));
    lines
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

/// The version of a tool in a `.tool-versions` file.
pub(super) fn tool_version(path: &Path, tools: &[&str]) -> Option<String> {
    let text = text_of(path)?;
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let tool = words.next()?;
        if tools.contains(&tool) {
            words.next().map(str::to_owned)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_wish_that_is_installed_wins() {
        let installed: Vec<String> = ["mine", "18.2.0", "20.1.0", "20.10.0"]
            .map(str::to_owned)
            .into();
        let choose = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
            choose(&wanted, &installed).map(str::to_owned)
        };
        assert_eq!(choose(&["v20"]).as_deref(), Some("20.10.0"));
        assert_eq!(choose(&["22", "18"]).as_deref(), Some("18.2.0"));
        assert_eq!(choose(&["mine"]).as_deref(), Some("mine"));
        assert_eq!(choose(&["lts/iron", "system"]), None);
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn comments_are_no_words() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".python-version");
        std::fs::write(&file, "3.12.1 # main\n# other\n3.11\n").unwrap();
        assert_eq!(words(&file), ["3.12.1", "3.11"]);
    }
}
