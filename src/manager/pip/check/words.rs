//! The words and files of a command line, checked and written down for pip.
//!
//! Which words there are depends on the subcommand: requirements, names, files, actions. None that
//! comes out of here begins with a dash, so that pip needs no `--` before them.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use sha2::Digest as _;

use super::{Check, LIMIT};
use crate::manager::pip::checked::Command;
use crate::manager::pip::gather::Gatherer;
use crate::manager::pip::groups;
use crate::manager::pip::settings::Setting;
use crate::manager::read;
use crate::model::{Algorithm, Code, Digest, Event, Finding, Integrity};

impl Check<'_> {
    /// What pip is given as words and files, rendered.
    pub(super) fn words(
        &self,
        gatherer: &mut Gatherer<'_>,
        findings: &mut Vec<Finding>,
    ) -> Vec<String> {
        let mut given = Vec::new();
        match self.command {
            Command::Install | Command::Download | Command::Wheel | Command::Uninstall => {
                for setting in self.judged.all("constraint") {
                    let path = gatherer.file(setting.text(), &setting.place, true);
                    given.extend(path.map(|path| format!("--constraint={path}")));
                }
                for word in self
                    .line
                    .words
                    .iter()
                    .filter(|word| !word.trim().is_empty())
                {
                    given.extend(gatherer.word(word, "command line"));
                }
                for setting in &self.editables {
                    let text = setting.text();
                    let bare = text.split('[').next().unwrap_or_default();
                    let extras = text.get(bare.len()..).unwrap_or_default();
                    match gatherer.folder(bare, extras, &setting.place, true) {
                        Ok(text) => given.push(text),
                        Err(finding) => findings.push(finding),
                    }
                }
                for setting in self.judged.all("group") {
                    given.extend(self.group(setting, gatherer, findings));
                }
                for setting in self.judged.all("requirement") {
                    let path = gatherer.file(setting.text(), &setting.place, false);
                    given.extend(path.map(|path| format!("--requirement={path}")));
                }
            }
            Command::Freeze => {
                // Its lines are printed, comments too, and nothing is asked for.
                for setting in self.judged.all("requirement") {
                    let path = self.request.directory.join(setting.text());
                    gatherer
                        .found
                        .reads
                        .push(path.canonicalize().unwrap_or(path));
                    given.push(format!("--requirement={}", setting.text()));
                }
            }
            Command::Hash => {
                for word in &self.line.words {
                    let path = self.request.directory.join(word);
                    let path = path.canonicalize().unwrap_or(path);
                    // It only prints a digest, so that any file may be opened as it is now.
                    let own = digest(&path).map(|own| (path.clone(), Integrity::of(own)));
                    gatherer.found.pinned.extend(own);
                    gatherer.found.reads.push(path);
                    given.push(if word.starts_with('-') {
                        format!("./{word}")
                    } else {
                        word.clone()
                    });
                }
            }
            Command::Show
            | Command::IndexVersions
            | Command::Cache(_)
            | Command::Help
            | Command::List
            | Command::Check
            | Command::Inspect => {
                for word in &self.line.words {
                    if word.starts_with('-') {
                        let message = format!("is no word that this subcommand takes: {word}");
                        findings.push(Finding::new(Code::Usage, "command line", message));
                    } else {
                        given.push(word.clone());
                    }
                }
            }
            Command::Version => {}
        }
        given
    }

    /// The requirements of `--group [PATH:]GROUP`.
    fn group(
        &self,
        setting: &Setting,
        gatherer: &mut Gatherer<'_>,
        findings: &mut Vec<Finding>,
    ) -> Vec<String> {
        let (path, group) = setting
            .text()
            .rsplit_once(':')
            .unwrap_or(("pyproject.toml", setting.text()));
        let mut refuse = |message: String| {
            findings.push(Finding::new(Code::ConfigRefused, &setting.place, message));
            Vec::new()
        };
        if Path::new(path)
            .file_name()
            .is_none_or(|name| name != "pyproject.toml")
        {
            return refuse(format!(
                "`--group` takes groups of a pyproject.toml only: {path}"
            ));
        }
        let full = self.request.directory.join(path);
        let bytes = match read::file(&full, LIMIT) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return refuse(format!(
                    "`--group` names a file that does not exist: {path}"
                ));
            }
            Err(error) => return refuse(format!("`--group` names a file that {error}: {path}")),
        };
        if let Some(sha256) = read::sha256(&bytes) {
            let place = full.display().to_string();
            gatherer.found.events.push(Event::InputRead {
                name: "pyproject.toml".to_owned(),
                path: place,
                sha256,
            });
        }
        let text = String::from_utf8_lossy(&bytes);
        match groups::requirements(&text, group) {
            Ok(list) => {
                let place = format!("{path}: {group}");
                list.iter()
                    .filter_map(|text| gatherer.word(text, &place))
                    .collect()
            }
            Err(error) => refuse(format!("{path} {error}")),
        }
    }
}

/// SHA-256 of a regular file, whatever its size.
fn digest(path: &Path) -> Option<Digest> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let mut file = options.open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).ok()?;
        if read == 0 {
            return Digest::new(Algorithm::Sha256, hasher.finalize().to_vec()).ok();
        }
        hasher.update(buffer.get(..read)?);
    }
}
