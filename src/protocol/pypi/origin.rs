//! What a wheel may not say of where it came from.
//!
//! Asked after the look into a wheel that agrees with itself. `direct_url.json` is an installer's note
//! that a package came from a directory or an address and not from an index. An installer that has no
//! such note to write leaves one that a wheel brought, and whoever lists the environment believes it:
//! the package would be taken for the user's own directory, which nobody fetched.
//!
//! <https://packaging.python.org/en/latest/specifications/direct-url/>.

use crate::model::{Code, Finding};
use crate::protocol::Inspection;

/// The note, in the directory of descriptions.
const NOTE: &str = "direct_url.json";

/// Refuses a wheel with such a note.
pub(super) fn check(file: &str, inspection: &Inspection) -> Result<(), Box<Finding>> {
    let mut placed = inspection.placed.iter();
    let note = placed.find(|placed| {
        let mut parts = placed.path.rsplit('/');
        let (name, folder) = (parts.next(), parts.next());
        name == Some(NOTE) && folder.is_some_and(|folder| folder.ends_with(".dist-info"))
    });
    let Some(note) = note else {
        return Ok(());
    };
    let subject = format!("{}@{}", inspection.name, inspection.examined.version);
    let message = format!(
        "the wheel `{file}` was not given out: `{}` would say where it was installed from, which \
         the installer says",
        note.path
    );
    let finding = Finding::new(Code::ArtifactInvalid, subject, message);
    Err(Box::new(finding.with_hint(Code::ArtifactInvalid.remedy())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::pypi::wheel::fixture::wheel;
    use crate::protocol::pypi::{Artifact, Protocol as _, Pypi};

    fn codes(own: &[(&str, &[u8])]) -> Option<Code> {
        let artifact = Artifact {
            name: Some("left"),
            version: Some("1.0"),
            file: "left-1.0-py3-none-any.whl",
        };
        let look = Pypi.inspect(&artifact, &wheel("left", "1.0", own));
        look.err().map(|finding| finding.code)
    }

    #[test]
    fn a_wheel_does_not_say_where_it_came_from() {
        let refused = Some(Code::ArtifactInvalid);
        assert_eq!(codes(&[("left.py", b"")]), None);
        assert_eq!(codes(&[("left/direct_url.json", b"{}")]), None);
        for path in [
            "left-1.0.dist-info/direct_url.json",
            "left-1.0.data/data/lib/python3/site-packages/left-1.0.dist-info/direct_url.json",
        ] {
            assert_eq!(codes(&[(path, b"{}")]), refused, "{path}");
        }
    }
}
