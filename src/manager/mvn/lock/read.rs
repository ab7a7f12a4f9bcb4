//! The text of a summary file.
//!
//! A line is a digest, white space, perhaps the star that `sha256sum` puts before binary files, and a
//! path. Empty lines and lines with `#` say nothing to Maven. A path that the repository layout does
//! not know (a side file, Maven's own notes; `find | sha256sum` lists them all) promises nothing that
//! is ever asked for and is passed over; a line that cannot be read is an error, never passed over.

use super::COMPLETE;
use crate::model::maven::Coordinates;
use crate::model::{Algorithm, Anchor, Digest, Expected, Integrity};

/// Lines of one file.
const LINES: usize = 500_000;

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(super) enum TextError {
    /// Not text.
    #[error("it is not UTF-8")]
    Encoding,
    /// A line without a digest of the file's algorithm, or without a path.
    #[error("it is not a line of `{name}sum`: {text}")]
    Line {
        line: usize,
        name: &'static str,
        text: String,
    },
    /// Two digests for one path.
    #[error("`{path}` is there twice, with different digests")]
    Twice { line: usize, path: String },
    /// More lines than any project has.
    #[error("it has more than {LINES} lines")]
    TooLong,
}

impl TextError {
    /// The line that is wrong, from 1.
    pub(super) const fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } | Self::Twice { line, .. } => Some(*line),
            Self::Encoding | Self::TooLong => None,
        }
    }
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) expected: Vec<Expected>,
    /// The same by path.
    pub(super) paths: Vec<(String, Digest)>,
    pub(super) complete: bool,
}

/// Reads the file that is shown under that name.
pub(super) fn text(shown: &str, algorithm: Algorithm, bytes: &[u8]) -> Result<Text, TextError> {
    let whole = std::str::from_utf8(bytes).map_err(|_invalid| TextError::Encoding)?;
    let mut text = Text::default();
    let mut seen = std::collections::HashMap::new();
    for (index, line) in whole.lines().enumerate() {
        if index >= LINES {
            return Err(TextError::TooLong);
        }
        let number = index.saturating_add(1);
        if line.trim_end() == COMPLETE {
            text.complete = true;
        }
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (digest, path) = entry(algorithm, line).ok_or_else(|| TextError::Line {
            line: number,
            name: algorithm.name(),
            text: line.escape_debug().take(128).collect(),
        })?;
        let before = seen.insert(path, digest.clone());
        if before.as_ref().is_some_and(|before| *before != digest) {
            return Err(TextError::Twice {
                line: number,
                path: path.escape_debug().take(256).collect(),
            });
        }
        let Some(artifact) = Coordinates::from_path(path).filter(|_| before.is_none()) else {
            continue;
        };
        text.paths.push((artifact.path(), digest.clone()));
        text.expected.push(Expected {
            name: artifact.name(),
            file: Some(artifact.file()),
            version: artifact.version,
            url: None,
            integrity: Some(Integrity::of(digest)),
            anchor: Anchor::Lockfile,
            stated_in: format!("{shown}:{number}"),
        });
    }
    Ok(text)
}

fn entry(algorithm: Algorithm, line: &str) -> Option<(Digest, &str)> {
    let (hex, rest) = line.split_once([' ', '\t'])?;
    let digest = Digest::from_hex(algorithm, hex).ok()?;
    let path = rest.trim();
    let path = path.strip_prefix('*').unwrap_or(path);
    let path = path.strip_prefix("./").unwrap_or(path);
    (!path.is_empty()).then_some((digest, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<Text, TextError> {
        text("checksums.sha256", Algorithm::Sha256, lines.as_bytes())
    }

    #[test]
    fn what_tools_write_is_read() {
        let hex = "AB".repeat(32);
        let all = read(&format!(
            "# a comment\r\n\n{hex}  g/h/x/1/x-1.jar\r\n{hex} *./g/h/x/1/x-1.pom\n\
             {hex} g/x/1-SNAPSHOT/x-1-20240102.030405-6.jar\n\
             {hex}  g/h/x/1/_remote.repositories\n{hex}  g/h/x/1/x-1.jar.sha1\n\
             {hex}  g/h/x/1/x-1.jar"
        ))
        .unwrap();
        assert!(!all.complete);
        let read: Vec<_> = all
            .expected
            .iter()
            .map(|one| {
                let file = one.file.as_deref().unwrap();
                (
                    one.name.as_str(),
                    one.version.as_str(),
                    file,
                    one.stated_in.as_str(),
                )
            })
            .collect();
        let stamped = "1-20240102.030405-6";
        assert_eq!(
            read,
            [
                ("g.h:x", "1", "x-1.jar", "checksums.sha256:3"),
                ("g.h:x", "1", "x-1.pom", "checksums.sha256:4"),
                (
                    "g:x",
                    stamped,
                    &format!("x-{stamped}.jar"),
                    "checksums.sha256:5"
                ),
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_error_with_its_line() {
        let hex = "ab".repeat(32);
        let other = "cd".repeat(32);
        for (lines, line) in [
            (hex.clone(), 1),
            (format!("\n{hex} "), 2),
            (format!("\n\n{} g/x/1/x-1.jar", "ab".repeat(20)), 3),
            ("g/x/1/x-1.jar".to_owned(), 1),
            (format!("{hex}  g/x/1/x-1.jar\n{other}  g/x/1/x-1.jar"), 2),
        ] {
            assert_eq!(read(&lines).unwrap_err().line(), Some(line), "{lines:?}");
        }
        assert_eq!(
            text("x", Algorithm::Sha256, b"\xff").unwrap_err().line(),
            None
        );
    }

    #[test]
    fn a_file_says_that_it_is_complete() {
        assert!(read("# v4run: complete \n").unwrap().complete);
        assert!(!read("#v4run: complete\n").unwrap().complete);
    }
}
