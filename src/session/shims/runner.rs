//! What PATH the next step of a CI job has, where the runner takes it from a file.
//!
//! A step of such a job names folders in that file, and the runner puts them before the PATH that it
//! started this step with: what a step exports itself is gone when it ends. So the shims may win
//! here and nowhere afterwards. What the step was started with is read from the oldest ancestor of this
//! process that knows the file, because a process shows the environment of its start.
//! It changes nothing, and knows no runner that takes PATH in another way.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use nix::unistd::getppid;

use crate::sys::process::parent_of;

/// Variables that name such a file.
const VARIABLES: [&str; 1] = ["GITHUB_PATH"];

/// What a step adds to PATH is a few lines, an environment some pages.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Generations between a step and the command that asks.
const MOST: usize = 64;

/// PATH as the next step has it.
pub(super) struct Next {
    /// How it comes about.
    pub(super) how: String,
    /// Its value.
    pub(super) path: OsString,
}

/// One for each such file; the name and the reason where it cannot be told.
pub(super) fn next_steps() -> impl Iterator<Item = Result<Next, (String, String)>> {
    let known = VARIABLES.iter().filter_map(|name| {
        let file = std::env::var_os(name).filter(|file| !file.is_empty())?;
        Some((*name, file))
    });
    known.map(|(name, file)| {
        let how = format!("next step ({name})");
        let start = started_with(name, &file);
        let start = start.or_else(|| std::env::var_os("PATH"));
        match read(Path::new(&file)) {
            Ok(text) => Ok(Next {
                how,
                path: joined(&text, &start.unwrap_or_default()),
            }),
            Err(error) => {
                let why = format!("`{}` cannot be read: {error}", Path::new(&file).display());
                Err((how, why))
            }
        }
    })
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

/// Each line goes before what was there, so that the last one comes first.
fn joined(text: &[u8], start: &OsStr) -> OsString {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.trim_ascii());
    let mut folders: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    folders.reverse();
    if !start.is_empty() {
        folders.push(start.as_bytes());
    }
    OsString::from_vec(folders.join(&b':'))
}

/// PATH at the start of the oldest ancestor that knows that file.
fn started_with(name: &str, file: &OsStr) -> Option<OsString> {
    let mut process = getppid().as_raw();
    let mut found = None;
    for _ in 0..MOST {
        let Ok(environment) = read(Path::new(&format!("/proc/{process}/environ"))) else {
            break;
        };
        let value = |name: &str| {
            let mut entries = environment.split(|byte| *byte == 0);
            let value =
                entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
            value.map(<[u8]>::to_vec)
        };
        if value(name).as_deref() != Some(file.as_bytes()) {
            break;
        }
        found = value("PATH").map(OsString::from_vec);
        let Some(parent) = parent_of(process) else {
            break;
        };
        process = parent;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_comes_first_and_what_was_there_last() {
        let joined = |text: &str, start: &str| joined(text.as_bytes(), OsStr::new(start));
        assert_eq!(joined("/a\n/b\r\n\n", "/c:/d"), "/b:/a:/c:/d");
        assert_eq!(joined("", "/c"), "/c");
        assert_eq!(joined("/a", ""), "/a");
    }
}
