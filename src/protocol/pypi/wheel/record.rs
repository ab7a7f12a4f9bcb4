//! `RECORD`: every file of a wheel with its digest.
//!
//! pip installs without comparing them and takes the paths over into what it later removes, so both
//! directions are checked: nothing unlisted is in the archive, nothing is listed that is not there.
//!
//! PEP 376 and 427: CSV of path, `algorithm=urlsafe-base64-without-padding`, size.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use csv::ReaderBuilder;

use super::WheelError;
use crate::model::Algorithm;
use crate::model::Digest;

/// What `RECORD` says, by path.
#[derive(Debug)]
pub(super) struct Record(HashMap<String, Option<Digest>>);

impl Record {
    /// Reads the file.
    pub(super) fn read(content: &[u8]) -> Result<Self, WheelError> {
        let mut rows = HashMap::new();
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(content);
        for row in reader.records() {
            let malformed = |reason| WheelError::Record {
                path: String::new(),
                reason,
            };
            let row = row.map_err(|_error| malformed("it is not CSV in UTF-8"))?;
            let mut cells = row.iter();
            let (path, hash) = (cells.next().unwrap_or_default(), cells.next());
            if path.is_empty() {
                continue;
            }
            let digest = match hash.unwrap_or_default() {
                "" => None,
                text => Some(digest(path, text)?),
            };
            let before = rows.insert(path.to_owned(), digest.clone());
            if before.is_some_and(|before| before != digest) {
                return Err(WheelError::Record {
                    path: path.to_owned(),
                    reason: "it is listed twice with different digests",
                });
            }
        }
        Ok(Self(rows))
    }

    /// Takes the digest of a file out; an error when none is listed.
    pub(super) fn take(&mut self, path: &str) -> Result<Digest, WheelError> {
        let reason = match self.0.remove(path) {
            Some(Some(digest)) => return Ok(digest),
            Some(None) => "it is listed without a digest",
            None => "it is in the archive and not listed",
        };
        Err(WheelError::Record {
            path: path.to_owned(),
            reason,
        })
    }

    /// Takes a file out that needs no digest.
    pub(super) fn pass(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// After every file was taken out: nothing may be left but directories of the archive.
    pub(super) fn finish(self, is_directory: impl Fn(&str) -> bool) -> Result<(), WheelError> {
        let mut left: Vec<String> = self
            .0
            .into_keys()
            .filter(|path| !is_directory(path))
            .collect();
        left.sort_unstable();
        match left.into_iter().next() {
            None => Ok(()),
            Some(path) => Err(WheelError::Record {
                path,
                reason: "it is listed and not in the archive",
            }),
        }
    }
}

fn digest(path: &str, text: &str) -> Result<Digest, WheelError> {
    let refuse = |reason| WheelError::Record {
        path: path.to_owned(),
        reason,
    };
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| refuse("its digest cannot be read"))?;
    let algorithm = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
        .ok_or_else(|| refuse("its digest is of a kind that suffices for nothing"))?;
    URL_SAFE_NO_PAD
        .decode(value.trim_end_matches('='))
        .ok()
        .and_then(|bytes| Digest::new(algorithm, bytes).ok())
        .ok_or_else(|| refuse("its digest cannot be read"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA256: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

    #[test]
    fn each_row_is_a_path_with_a_digest() {
        let text = format!(
            "left/__init__.py,sha256={SHA256},0\r\n\"le,ft.py\",sha256={SHA256}=,0\nRECORD,,\n\n"
        );
        let mut record = Record::read(text.as_bytes()).unwrap();
        assert_eq!(
            record.take("le,ft.py").unwrap().algorithm(),
            Algorithm::Sha256
        );
        assert!(record.take("left/__init__.py").is_ok());
        assert!(record.take("left/__init__.py").is_err());
        assert!(record.take("RECORD").is_err());
        assert!(record.finish(|_| false).is_ok());
    }

    #[test]
    fn what_is_listed_must_be_there() {
        let text = format!("a/b.py,sha256={SHA256},0\na/,,\n");
        let record = || Record::read(text.as_bytes()).unwrap();
        assert!(record().finish(|path| path == "a/").is_err());
        let mut taken = record();
        taken.pass("a/b.py");
        assert!(taken.finish(|path| path == "a/").is_ok());
    }

    #[test]
    fn other_digests_are_refused() {
        for hash in [
            "md5=1B2M2Y8AsgTpgAmY7PhCfg",
            "sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk",
            "sha256=",
            "sha256=47DEQpj8",
            "sha256",
            "SHA256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
        ] {
            assert!(
                Record::read(format!("a,{hash},0\n").as_bytes()).is_err(),
                "{hash}"
            );
        }
        let torn = format!("a,sha256={SHA256},0\na,,\n");
        assert!(Record::read(torn.as_bytes()).is_err());
        assert!(Record::read(b"\xff,,\n").is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[a-z,\"\\n=\\r/]{0,80}") {
            let _ = Record::read(text.as_bytes());
        }
    }
}
