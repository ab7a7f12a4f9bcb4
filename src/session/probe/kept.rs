//! Probes of repositories between runs: one small file a repository in the state directory.
//!
//! Written whole and renamed, so that a reader sees the old or the new one; the owner alone may write.
//! Who reads it believes nothing but its own form: another address, too many entries or another shape is
//! no probe. A file that cannot be read is the same as none, because none claims anything.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::{Code, Finding, Probed};

/// Largest file that is read.
const LIMIT: u64 = 1 << 20;
/// Most observations of one repository.
const ENTRIES: usize = 64;
/// Form of the file.
const FORM: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    form: u32,
    base: String,
    probes: Vec<Probed>,
}

/// What was seen of a repository, with its time; expired observations too.
pub(in crate::session) fn load(state: &Path, base: &str) -> Vec<Probed> {
    let mut bytes = Vec::new();
    let read = File::open(place(state, base))
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    if read.is_err() || bytes.len() as u64 > LIMIT {
        return Vec::new();
    }
    let Ok(kept) = serde_json::from_slice::<Kept>(&bytes) else {
        return Vec::new();
    };
    let own = kept.form == FORM
        && kept.base == base
        && kept.probes.len() <= ENTRIES
        && kept.probes.iter().all(|probe| probe.base == base);
    if own { kept.probes } else { Vec::new() }
}

/// Keeps what was seen of a repository in the place of what was kept before.
pub(in crate::session) fn store(
    state: &Path,
    base: &str,
    probes: &[Probed],
) -> Result<(), Finding> {
    let failed = |error: &dyn std::fmt::Display| {
        let shown = state.display().to_string();
        let message = format!("the probes cannot be kept in `{shown}`: {error}");
        Finding::new(Code::RecordFailed, shown, message)
            .with_hint("name a writable directory with XDG_STATE_HOME")
    };
    let kept = Kept {
        form: FORM,
        base: base.to_owned(),
        probes: probes.to_vec(),
    };
    let text = serde_json::to_vec_pretty(&kept).map_err(|error| failed(&error))?;
    std::fs::create_dir_all(state).map_err(|error| failed(&error))?;
    let mut file = tempfile::NamedTempFile::new_in(state).map_err(|error| failed(&error))?;
    file.write_all(&text)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    file.persist(place(state, base))
        .map_err(|error| failed(&error))?;
    Ok(())
}

fn place(state: &Path, base: &str) -> PathBuf {
    state.join(format!("{}.json", hex::encode(Sha256::digest(base))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ControlId, Outcome};
    use crate::record::fixture::probed;

    const BASE: &str = "https://registry.invalid:8443/";

    #[test]
    fn what_is_kept_is_read_again_by_its_own_repository_only() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path().join("v4run/probes");
        let probes = vec![probed(ControlId::new(6), Outcome::Supports)];
        store(&state, BASE, &probes).unwrap();
        store(&state, BASE, &probes).unwrap();
        assert_eq!(load(&state, BASE), probes);
        let other = "https://other.invalid/";
        assert!(load(&state, other).is_empty());
        std::fs::copy(place(&state, BASE), place(&state, other)).unwrap();
        assert!(load(&state, other).is_empty());
    }

    #[test]
    fn what_has_another_form_is_none() {
        let state = tempfile::tempdir().unwrap();
        assert!(load(state.path(), BASE).is_empty());
        let probe = probed(ControlId::new(6), Outcome::Supports);
        store(state.path(), BASE, std::slice::from_ref(&probe)).unwrap();
        let path = place(state.path(), BASE);
        let text = std::fs::read_to_string(&path).unwrap();
        for changed in [
            String::new(),
            text.replacen("\"form\": 1", "\"form\": 2", 1),
            text.replacen("supports", "proves", 1),
            text.replacen("\"form\"", "\"more\": 0, \"form\"", 1),
            text[..text.len() / 2].to_owned(),
        ] {
            assert_ne!(changed, text);
            std::fs::write(&path, &changed).unwrap();
            assert!(load(state.path(), BASE).is_empty(), "{changed}");
        }
        store(state.path(), BASE, &vec![probe; ENTRIES + 1]).unwrap();
        assert!(load(state.path(), BASE).is_empty());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_with_a_remedy() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("file");
        std::fs::write(&file, "").unwrap();
        let finding = store(&file.join("probes"), BASE, &[]).unwrap_err();
        assert_eq!(finding.code, Code::RecordFailed);
        assert!(finding.hint.unwrap().contains("XDG_STATE_HOME"));
    }
}
