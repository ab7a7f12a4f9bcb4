//! The key that signs a record: read before anything else, and kept out of the manager's sight.
//!
//! Called first of all, before user and capabilities change, so that a key which only the caller may
//! read is read. It comes from a file (`--sign-key FILE`) or from the variable `V4RUN_SIGN_KEY`, which
//! holds a path or the key itself. What must always hold: the variable goes to no other process, and
//! a run whose sandbox could read the file does not start.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::places::Environment;
use crate::model::{Access, Code, Finding, PathRule};
use crate::record::{KeyError, SigningKey};

/// The variable that names the key or holds it.
const VARIABLE: &str = "V4RUN_SIGN_KEY";
/// What a key in the variable begins with.
const PEM: &[u8] = b"-----BEGIN ";
/// Keys are short.
const LIMIT: u64 = 64 * 1024;

/// A key with the place of its file.
#[derive(Debug, Default)]
pub(super) struct Signing {
    /// The key, when the record is to be signed.
    pub(super) key: Option<SigningKey>,
    file: Option<PathBuf>,
}

impl Signing {
    /// Reads the key, if there is to be one, and takes its variable out of the environment.
    pub(super) fn open(
        named: Option<&Path>,
        environment: &mut Environment,
    ) -> Result<Self, Finding> {
        let variable: Option<OsString> = environment.remove(OsStr::new(VARIABLE));
        let variable = variable.filter(|value| !value.is_empty());
        let path = match (named, variable) {
            (Some(path), _) => path.to_path_buf(),
            (None, None) => return Ok(Self::default()),
            (None, Some(value)) if value.as_bytes().trim_ascii_start().starts_with(PEM) => {
                let key = SigningKey::from_pem(value.as_bytes());
                let key = key.map_err(|error| unusable(VARIABLE, &error))?;
                return Ok(Self {
                    key: Some(key),
                    file: None,
                });
            }
            (None, Some(value)) => PathBuf::from(value),
        };
        let shown = path.display().to_string();
        let text = read(&path).map_err(|error| {
            let message = format!("the signing key cannot be read: {error}");
            Finding::new(Code::Usage, &shown, message)
        })?;
        let key = SigningKey::from_pem(&text).map_err(|error| unusable(&shown, &error))?;
        Ok(Self {
            key: Some(key),
            file: path.canonicalize().ok(),
        })
    }

    /// Refuses a run that could read the key's file.
    pub(super) fn kept_apart(&self, rules: &[PathRule]) -> Result<(), Finding> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let exposed = rules
            .iter()
            .find(|rule| rule.access != Access::List && file.starts_with(&rule.path));
        match exposed {
            None => Ok(()),
            Some(rule) => {
                let shown = file.display().to_string();
                let place = Path::new(&rule.path).display();
                let message =
                    format!("the signing key lies where this command may read: `{place}`");
                Err(Finding::new(Code::Usage, shown, message).with_hint(
                    "keep it outside of the project and of the manager's own directories",
                ))
            }
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

fn unusable(subject: &str, error: &KeyError) -> Finding {
    let message = format!("the signing key cannot be used: {error}");
    let finding = Finding::new(Code::Usage, subject, message);
    match error.hint() {
        Some(hint) => finding.with_hint(hint),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(value: &str) -> Environment {
        Environment::from([(VARIABLE.into(), value.into()), ("HOME".into(), "/".into())])
    }

    #[test]
    fn the_variable_is_taken_out_and_what_is_no_key_is_named_without_its_content() {
        let mut some =
            environment("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----");
        let finding = Signing::open(None, &mut some).unwrap_err();
        assert_eq!(some.len(), 1);
        assert_eq!(finding.subject, VARIABLE);
        assert!(!format!("{finding:?}").contains("c2VjcmV0"));
        let mut none = Environment::new();
        assert!(Signing::open(None, &mut none).unwrap().key.is_none());
        let mut missing = environment("/nowhere/key.pem");
        let finding = Signing::open(None, &mut missing).unwrap_err();
        assert_eq!(finding.subject, "/nowhere/key.pem");
    }

    #[test]
    fn a_key_below_a_readable_place_stops_the_run() {
        let signing = Signing {
            key: None,
            file: Some("/project/keys/k.pem".into()),
        };
        let rule = |path: &str, access| PathRule {
            path: path.into(),
            access,
            why: String::new(),
        };
        let read = signing.kept_apart(&[rule("/project", Access::Read)]);
        assert!(read.unwrap_err().message.contains("`/project`"));
        let list = [rule("/", Access::List), rule("/project/key", Access::Read)];
        assert!(signing.kept_apart(&list).is_ok());
    }
}
