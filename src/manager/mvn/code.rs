//! What the virtual machine gets when it opens an artifact: the file, or a view of it without code.
//!
//! Called by the supervisor with the sealed copy of a file whose digest matched. Any jar that Maven
//! opens may end in a class loader, so whole jars are given only where the bytes themselves are
//! trusted: an approval names their digest, or the operating system installed the very same file,
//! where nobody but root can write. A name is never enough, and no name makes a file harmless: an
//! archive that is called a POM is an archive.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::view::{self, Form};
use super::{goals, lineage, unpacked, whole};
use crate::manager::{HandOut, Opened};
use crate::model::{Code, Digest, Finding, StandIns, Trust};

/// Names annotation processors, which a compiler runs when it finds them.
const PROCESSORS: &str = "javax.annotation.processing.Processor";

/// Where classes of tests go below a module's own directory.
const TESTS: &str = "test-classes";

/// Largest file of the operating system that is compared.
const LARGEST: u64 = 1 << 30;

/// See [`crate::manager::Manager::hand_out`].
pub(super) fn hand_out(opened: &Opened<'_>) -> io::Result<HandOut> {
    if opened.own {
        return own(opened);
    }
    // By content: a class loader opens a file of any name as an archive.
    if !view::may_hold_code(opened.content)? {
        return Ok(match lineage::objection(opened)? {
            Some(finding) => HandOut::Refused(Box::new(finding)),
            None => HandOut::Whole,
        });
    }
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    if opened.trust.rehearsal {
        let view = view::of(opened.content, Form::Rehearsal).map_err(invalid)?;
        return Ok(HandOut::View(view.bytes));
    }
    let form = match opened.trust.declarations {
        true => declaring(opened.trust),
        false => Form::CodeFree,
    };
    let Some(reason) = reason(opened.path, opened.sha256, opened.trust)? else {
        // A plugin that the run is about cannot do without its code; better said than left to Maven.
        if is_wanted(opened) && view::is_plugin(opened.content).map_err(invalid)? {
            return Ok(HandOut::Refused(Box::new(unanswered(opened.path))));
        }
        match opened.trust.stand_ins {
            StandIns::None => {}
            StandIns::Files => {
                let length = opened.content.metadata()?.len();
                return Ok(HandOut::View(whole::stand_in(length, opened.sha256)));
            }
            StandIns::Entries => {
                let text = |entry| unpacked::stand_in(entry, opened.sha256);
                let outline = view::outline(opened.content, &text).map_err(invalid)?;
                return Ok(HandOut::View(outline));
            }
            StandIns::Views => {
                if let Some(finding) = laid_over(opened) {
                    return Ok(HandOut::Refused(Box::new(finding)));
                }
            }
        }
        let view = view::of(opened.content, form).map_err(invalid)?;
        return Ok(HandOut::View(view.bytes));
    };
    if !opened.trust.workers.is_empty()
        && view::is_plugin(opened.content).map_err(invalid)?
        && let Some(why) = unfit(opened, &reason)
    {
        let name = opened.path.display().to_string();
        let message = format!("`{name}` refused: the plugin is trusted, but {why}");
        let finding = Finding::new(Code::CommandRunsCode, name, message);
        return Ok(HandOut::Refused(Box::new(finding)));
    }
    Ok(HandOut::Trusted(reason.why))
}

/// What the run made itself: classes as they are, because they are packed; of jars what the compiler
/// needs of another module. Classes of tests are for running only.
fn own(opened: &Opened<'_>) -> io::Result<HandOut> {
    let is_class = opened.path.extension().is_some_and(|name| name == "class");
    if opened
        .path
        .file_name()
        .is_some_and(|name| name == PROCESSORS)
    {
        let name = opened.path.display().to_string();
        let message = format!("`{name}` refused: the compiler would run what it names");
        let finding = Finding::new(Code::CommandRunsCode, name, message);
        return Ok(HandOut::Refused(Box::new(finding)));
    }
    let mut parts = opened.path.iter();
    if parts.any(|part| part == TESTS) {
        let name = opened.path.display().to_string();
        let message = format!("`{name}` refused: classes of tests are compiled and not run");
        let finding = Finding::new(Code::CommandRunsCode, name, message);
        return Ok(HandOut::Refused(Box::new(finding)));
    }
    if !view::may_hold_code(opened.content)? || (is_class && view::is_class(opened.content)?) {
        return Ok(HandOut::Whole);
    }
    if opened.trust.stand_ins == StandIns::Views
        && let Some(finding) = laid_over(opened)
    {
        return Ok(HandOut::Refused(Box::new(finding)));
    }
    let view = view::of(opened.content, declaring(opened.trust));
    let view = view.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(HandOut::View(view.bytes))
}

/// What a build sees of jars.
fn declaring(trust: &Trust) -> Form {
    match trust.stand_ins {
        StandIns::Views => Form::Packed,
        StandIns::None | StandIns::Files | StandIns::Entries => Form::Compiler,
    }
}

/// What a build that packs jars would unpack into what it makes, of which a view is not enough.
fn laid_over(opened: &Opened<'_>) -> Option<Finding> {
    if opened.path.extension().is_some_and(|end| end == "jar") {
        return None;
    }
    let name = opened.path.display().to_string();
    let message = format!(
        "`{name}` refused: what is made of it would lack its code; a build packs jars and no other archives"
    );
    Some(Finding::new(Code::CommandRunsCode, name, message))
}

/// Whether the run is about a plugin: all of a build are, else those of the goals.
fn is_wanted(opened: &Opened<'_>) -> bool {
    let name = artifact(opened.path);
    opened.trust.declarations
        || opened
            .trust
            .wanted
            .iter()
            .any(|one| Some(one.as_str()) == name)
}

fn unanswered(path: &Path) -> Finding {
    let name = path.display().to_string();
    let message = format!("`{name}` refused: it is a plugin, and nobody answers for its bytes");
    Finding::new(Code::CommandRunsCode, name, message).with_hint(
        "`v4run trust mvn` with the same goals shows what would be loaded, for review and approval \
         in the policy",
    )
}

/// The `artifactId` of a file of the local repository, by its place.
fn artifact(path: &Path) -> Option<&str> {
    path.parent()?.parent()?.file_name()?.to_str()
}

/// Why a plugin whose bytes are trusted cannot take part in a build, if it cannot. What the operating
/// system installed is there for many purposes; who approves bytes in the policy knows what they are for.
fn unfit(opened: &Opened<'_>, reason: &Reason) -> Option<&'static str> {
    let name = artifact(opened.path).unwrap_or_default();
    if opened.trust.workers.iter().any(|worker| worker == name) {
        return None;
    }
    let by_design = goals::by_design(name, &[]);
    let unknown =
        "it is not known to do without whole jars, and what it makes of views would be wrong";
    by_design.or_else(|| (!reason.is_approved).then_some(unknown))
}

/// Why bytes are trusted.
#[derive(Debug)]
pub(super) struct Reason {
    /// In words.
    pub(super) why: String,
    /// Whether the policy says so.
    is_approved: bool,
}

/// Why the bytes of a file at that path are trusted, if they are.
pub(super) fn reason(path: &Path, bytes: &Digest, trust: &Trust) -> io::Result<Option<Reason>> {
    let mut approved = trust.approved.iter();
    if let Some(approval) = approved.find(|approval| approval.digest == *bytes) {
        return Ok(Some(Reason {
            why: approval.why.clone(),
            is_approved: true,
        }));
    }
    for twin in &trust.twins {
        let Ok(below) = path.strip_prefix(&twin.below) else {
            continue;
        };
        let Ok(path) = Path::new(&twin.installed).join(below).canonicalize() else {
            continue;
        };
        if is_installed(&path) && sha256(&path)? == *bytes {
            return Ok(Some(Reason {
                why: format!("installed by the system: {}", path.display()),
                is_approved: false,
            }));
        }
    }
    Ok(None)
}

/// Whether only root can change a file: itself and every directory above it.
fn is_installed(path: &Path) -> bool {
    let closed = |path: &Path| {
        let data = std::fs::symlink_metadata(path);
        data.is_ok_and(|data| data.uid() == 0 && data.mode() & 0o022 == 0)
    };
    path.is_file() && path.ancestors().all(closed)
}

fn sha256(path: &Path) -> io::Result<Digest> {
    let file = File::open(path)?;
    if file.metadata()?.len() > LARGEST {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    crate::verify::hash::sha256_of(&file)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::model::Approval;
    use crate::verify::hash::sha256 as digest;

    fn given(name: &str, content: &[u8], trust: &Trust) -> io::Result<HandOut> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        hand_out(&Opened {
            path: Path::new(name),
            sha256: &digest(content),
            content: &file,
            trust,
            own: false,
        })
    }

    fn archive() -> Vec<u8> {
        let mut output = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut output);
        let (mut entry, config) = archive.new_file("a/B.class").start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(b"\xca\xfe\xba\xbe").unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
        archive.finish().unwrap();
        output
    }

    #[test]
    fn no_name_makes_an_archive_harmless() {
        let none = Trust::default();
        for name in [
            "/r/g/x/1/x-1.jar",
            "/r/g/x/1/x-1.pom",
            "/r/g/maven-metadata-r.xml",
        ] {
            let text = given(name, b"<project/>", &none).unwrap();
            assert_eq!(text, HandOut::Whole, "{name}");
            let HandOut::View(view) = given(name, &archive(), &none).unwrap() else {
                panic!("{name}");
            };
            assert!(!view.windows(7).any(|window| window == b"B.class"));
            let hidden = [b"<project/>".to_vec(), archive()].concat();
            assert_ne!(
                given(name, &hidden, &none).ok(),
                Some(HandOut::Whole),
                "{name}"
            );
            assert!(given(name, b"\xca\xfe\xba\xbe", &none).is_err(), "{name}");
        }
    }

    #[test]
    fn bytes_run_when_an_approval_names_them() {
        let trust = Trust {
            approved: vec![Approval {
                digest: digest(&archive()),
                why: "approved".into(),
            }],
            ..Trust::default()
        };
        let whole = given("/r/x.jar", &archive(), &trust).unwrap();
        assert_eq!(whole, HandOut::Trusted("approved".into()));
        let other = [archive(), b"PK\x05\x06".to_vec()].concat();
        assert!(!matches!(
            given("/r/x.jar", &other, &trust),
            Ok(HandOut::Trusted(_))
        ));
    }
}
