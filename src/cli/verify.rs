//! `v4run verify DIR`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{print, told};
use crate::diag;
use crate::model::{Code, Finding};
use crate::record;
use crate::record::PublicKey;

/// Which record.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A record directory.
    directory: PathBuf,
    /// The record has to be signed by this key: its public half, or a certificate, in PEM.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Public keys and certificates are short.
const LIMIT: u64 = 64 * 1024;

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        let key = match self.key.as_deref().map(read).transpose() {
            Ok(key) => key,
            Err(finding) => return told(&finding),
        };
        match record::verify_with(&self.directory, key.as_ref()) {
            Ok(verification) => {
                for check in &verification.checks {
                    let word = match (check.holds, check.compared) {
                        (true, true) => "ok  ",
                        (true, false) => "--  ",
                        (false, _) => "FAIL",
                    };
                    print(&format!(
                        "{word}  {}: {}",
                        check.name,
                        diag::sanitize(&check.detail)
                    ));
                }
                if verification.holds() {
                    0
                } else {
                    diag::REFUSED
                }
            }
            Err(error) => told(&error.finding()),
        }
    }
}

fn read(path: &Path) -> Result<PublicKey, Finding> {
    let shown = path.display().to_string();
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut text));
    if let Err(error) = read {
        let message = format!("the key cannot be read: {error}");
        return Err(Finding::new(Code::Usage, shown, message));
    }
    PublicKey::from_pem(&text).map_err(|error| {
        let message = format!("the key cannot be used: {error}");
        let finding = Finding::new(Code::Usage, shown, message);
        match error.hint() {
            Some(hint) => finding.with_hint(hint),
            None => finding,
        }
    })
}
