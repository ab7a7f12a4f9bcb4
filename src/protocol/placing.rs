//! Whose file is whose, over all artifacts of a run.
//!
//! Asked after an artifact was looked into and before its first byte goes to the manager: a path
//! that belongs to another package, to the environment or to the manager itself is not for it.
//! Files with the same content are no clash, because packages that share a directory commonly bring
//! the same file. Paths are compared as the [`Layout`] maps them, so that two kinds of file that end
//! in one directory meet.
//!
//! What does not fit on the disk any more is refused before it is begun: a manager that fetches
//! everything first then leaves nothing half installed.
//!
//! What it does not see: files that the manager makes itself, and packages that nobody installed
//! through the layout's root. A package may always replace its own files.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Inspection;
use crate::model::Code;
use crate::model::Digest;
use crate::model::Finding;
use crate::model::Layout;

/// The owners of paths; shared by everything that releases artifacts in one process.
#[derive(Debug)]
pub(super) struct Placing {
    layout: Layout,
    claims: Mutex<Claims>,
}

#[derive(Debug)]
struct Claims {
    owners: HashMap<String, Owner>,
    /// Unpacked bytes by package.
    needs: HashMap<String, u64>,
}

#[derive(Clone, Debug)]
struct Owner {
    name: String,
    digest: Option<Digest>,
    installed: bool,
}

impl Placing {
    /// Over what is there before the start.
    pub(super) fn new(mut layout: Layout) -> Self {
        let occupied = std::mem::take(&mut layout.occupied);
        let owners = occupied.into_iter().map(|file| {
            let owner = Owner {
                name: file.owner,
                digest: file.digest,
                installed: true,
            };
            (file.path, owner)
        });
        let claims = Mutex::new(Claims {
            owners: owners.collect(),
            needs: HashMap::new(),
        });
        Self { layout, claims }
    }

    /// Which of these programs have the name of a system program.
    pub(super) fn shadows(&self, programs: &[String]) -> Vec<String> {
        let known = |program: &&String| self.layout.programs.contains(program);
        programs.iter().filter(known).cloned().collect()
    }

    /// Gives an artifact its paths, all or none.
    pub(super) fn claim(&self, inspection: &Inspection) -> Result<(), Box<Finding>> {
        if self.layout.places.is_empty() {
            return Ok(());
        }
        let paths: Vec<(String, &Option<Digest>)> = inspection
            .placed
            .iter()
            .map(|placed| (self.path(placed.kind, &placed.path), &placed.digest))
            .collect();
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let Claims { owners, needs } = &mut *claims;
        for (path, digest) in &paths {
            if let Some(owner) = self
                .reserved(path)
                .filter(|owner| *owner != inspection.name)
            {
                return Err(clash(inspection, path, owner, true));
            }
            let Some(owner) = owners.get(path) else {
                continue;
            };
            let same = digest.is_some() && owner.digest == **digest;
            if owner.name != inspection.name && !same {
                return Err(clash(inspection, path, &owner.name, owner.installed));
            }
        }
        let others = needs.iter().filter(|(name, _)| **name != inspection.name);
        let needed = others.fold(inspection.examined.unpacked, |sum, (_, size)| {
            sum.saturating_add(*size)
        });
        if let Some(room) = self.layout.room.filter(|room| *room < needed) {
            return Err(no_room(inspection, needed, room));
        }
        needs.insert(inspection.name.clone(), inspection.examined.unpacked);
        for (path, digest) in paths {
            let owner = Owner {
                name: inspection.name.clone(),
                digest: digest.clone(),
                installed: false,
            };
            // A shared file stays with whom it was first: a third one is compared with the same.
            owners
                .entry(path)
                .and_modify(|known| {
                    if known.name == owner.name {
                        *known = owner.clone();
                    }
                })
                .or_insert(owner);
        }
        Ok(())
    }

    fn path(&self, kind: &str, path: &str) -> String {
        match self.layout.places.get(kind).map(String::as_str) {
            Some("") => path.to_owned(),
            Some(place) => format!("{place}/{path}"),
            // No directory is known: it meets its own kind only.
            None => format!("<{kind}>/{path}"),
        }
    }

    fn reserved(&self, path: &str) -> Option<&str> {
        self.layout
            .reserved
            .iter()
            .find(|(directory, _)| {
                path.strip_prefix(directory.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .map(|(_, owner)| owner.as_str())
    }
}

fn clash(inspection: &Inspection, path: &str, owner: &str, installed: bool) -> Box<Finding> {
    let whose = match (owner, installed) {
        ("", _) => "which belongs to the environment itself".to_owned(),
        (owner, true) => format!("which belongs to the installed `{owner}`"),
        (owner, false) => format!("which `{owner}`, another package of this run, brings too"),
    };
    let subject = format!("{}@{}", inspection.name, inspection.examined.version);
    let message = format!(
        "`{}` would write `{path}`, {whose}",
        inspection.examined.file
    );
    Box::new(
        Finding::new(Code::OverwriteRefused, subject, message)
            .with_hint(Code::OverwriteRefused.remedy()),
    )
}

fn no_room(inspection: &Inspection, needed: u64, room: u64) -> Box<Finding> {
    let file = &inspection.examined.file;
    let message = format!(
        "`{file}` does not fit: the packages of this run unpack to {needed} bytes or more, and \
         {room} bytes were free at its start"
    );
    let finding = Finding::new(Code::NoRoom, file.clone(), message);
    Box::new(finding.with_hint(Code::NoRoom.remedy()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::Algorithm;
    use crate::model::Occupied;
    use crate::protocol::Placed;

    fn digest(byte: u8) -> Option<Digest> {
        Some(Digest::new(Algorithm::Sha256, vec![byte; 32]).unwrap())
    }

    fn layout() -> Layout {
        let places = [("lib", "lib/site"), ("data", ""), ("scripts", "bin")];
        let file = |path: &str, owner: &str, digest| Occupied {
            path: path.into(),
            owner: owner.into(),
            digest,
        };
        Layout {
            places: BTreeMap::from(places.map(|(kind, place)| (kind.into(), place.into()))),
            occupied: vec![
                file("lib/site/other/a.py", "other", digest(1)),
                file("lib/site/other/b.py", "other", None),
                file("bin/interpreter", "", None),
            ],
            reserved: vec![("lib/site/manager".into(), "manager".into())],
            programs: vec!["ls".into()],
            fitting: Vec::new(),
            room: Some(100),
        }
    }

    fn wants(name: &str, files: &[(&'static str, &str, Option<Digest>)]) -> Inspection {
        Inspection {
            name: name.into(),
            placed: files
                .iter()
                .map(|(kind, path, digest)| Placed {
                    kind,
                    path: (*path).into(),
                    digest: digest.clone(),
                })
                .collect(),
            ..Inspection::default()
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_begun() {
        let placing = Placing::new(layout());
        let sized = |name, unpacked| {
            let mut wants = wants(name, &[("lib", name, None)]);
            wants.examined.unpacked = unpacked;
            wants
        };
        placing.claim(&sized("first", 60)).unwrap();
        // Asked for again it is the same package, not a second one.
        placing.claim(&sized("first", 60)).unwrap();
        let refused = placing.claim(&sized("second", 41)).unwrap_err();
        assert_eq!(refused.code, Code::NoRoom);
        assert!(refused.message.contains("101 bytes"), "{refused:?}");
        placing.claim(&sized("third", 40)).unwrap();
        let unknown = Placing::new(Layout {
            room: None,
            ..layout()
        });
        unknown.claim(&sized("second", u64::MAX)).unwrap();
    }

    #[test]
    fn files_of_others_are_not_written_by_any_way() {
        let placing = Placing::new(layout());
        for (kind, path) in [
            ("lib", "other/a.py"),
            ("lib", "other/b.py"),
            ("data", "lib/site/other/a.py"),
            ("data", "bin/interpreter"),
            ("scripts", "interpreter"),
            ("lib", "manager/new.py"),
            ("lib", "manager"),
            ("data", "lib/site/manager/x/y.py"),
        ] {
            let refused = placing.claim(&wants("left", &[(kind, path, digest(2))]));
            assert_eq!(refused.unwrap_err().code, Code::OverwriteRefused, "{path}");
        }
        for (kind, path) in [("lib", "managers/x.py"), ("scripts", "left")] {
            placing
                .claim(&wants("left", &[(kind, path, digest(2))]))
                .unwrap();
        }
    }

    #[test]
    fn own_files_and_equal_files_are_no_clash() {
        let placing = Placing::new(layout());
        placing
            .claim(&wants("other", &[("lib", "other/a.py", digest(9))]))
            .unwrap();
        placing
            .claim(&wants("manager", &[("lib", "manager/x.py", digest(9))]))
            .unwrap();
        placing
            .claim(&wants("one", &[("lib", "shared/x.py", digest(1))]))
            .unwrap();
        placing
            .claim(&wants("two", &[("lib", "shared/x.py", digest(1))]))
            .unwrap();
        let third = wants("three", &[("lib", "shared/x.py", digest(2))]);
        assert!(placing.claim(&third).unwrap_err().message.contains("`one`"));
        let unknown = wants("three", &[("lib", "other/b.py", None)]);
        assert!(placing.claim(&unknown).is_err());
    }

    #[test]
    fn a_refused_artifact_gets_nothing() {
        let placing = Placing::new(layout());
        let both = [
            ("lib", "new.py", digest(1)),
            ("lib", "other/a.py", digest(2)),
        ];
        assert!(placing.claim(&wants("left", &both)).is_err());
        placing
            .claim(&wants("right", &[("lib", "new.py", digest(3))]))
            .unwrap();
    }

    #[test]
    fn without_places_nothing_is_installed() {
        let layout = Layout {
            places: BTreeMap::new(),
            ..layout()
        };
        let placing = Placing::new(layout);
        placing
            .claim(&wants("left", &[("lib", "manager/x.py", None)]))
            .unwrap();
        assert_eq!(placing.shadows(&["ls".into(), "x".into()]), ["ls"]);
    }
}
