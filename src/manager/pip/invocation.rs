//! How pip was called: by its own name, by a path, or as a module of an interpreter.
//!
//! `python -m pip` is pip; `python` with anything else runs code, which is not an install. Options of
//! the interpreter before `-m` have no meaning under v4run, which starts it in its own way.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::find::{is_pip, is_python};
use crate::model::{Code, Finding};

/// Options of the interpreter that take no value and change nothing about which pip runs.
const SWITCHES: &[u8] = b"IEsSBuPOqbdvxR";

/// Whether a word of the command line means pip, as a name or a path.
pub(super) fn answers_to(word: &OsStr) -> bool {
    let path = Path::new(word);
    is_pip(path) || is_python(path)
}

/// pip's own arguments.
pub(super) fn arguments<'a>(
    word: &OsStr,
    given: &'a [OsString],
) -> Result<&'a [OsString], Finding> {
    if !is_python(Path::new(word)) {
        return Ok(given);
    }
    module(given).ok_or_else(|| {
        let subject = word.to_string_lossy();
        let message = "runs Python code; of an interpreter v4run takes `-m pip` only";
        let hint = format!("install with `{subject} -m pip install …`");
        Finding::new(Code::CommandRunsCode, subject, message).with_hint(hint)
    })
}

/// What follows `-m pip`.
fn module(given: &[OsString]) -> Option<&[OsString]> {
    let mut rest = given;
    loop {
        let (first, after) = rest.split_first()?;
        let letters = first.to_str()?.strip_prefix('-')?;
        rest = after;
        if letters.strip_suffix('m').is_some_and(only_switches) {
            let (module, after) = rest.split_first()?;
            return (module == "pip").then_some(after);
        }
        if let Some(at) = letters.find("mpip").filter(|at| letters.len() == at + 4) {
            return only_switches(letters.get(..at)?).then_some(rest);
        }
        if letters.starts_with(['X', 'W']) {
            // Their value is the rest of the word, or the next one.
            if letters.len() == 1 {
                rest = rest.split_first()?.1;
            }
        } else if letters.is_empty() || !only_switches(letters) {
            return None;
        }
    }
}

fn only_switches(letters: &str) -> bool {
    letters.bytes().all(|letter| SWITCHES.contains(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<Vec<String>> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let (word, given) = words.split_first().unwrap();
        let found = arguments(word, given).ok()?;
        Some(
            found
                .iter()
                .map(|w| w.to_string_lossy().into_owned())
                .collect(),
        )
    }

    #[test]
    fn only_the_module_pip_of_an_interpreter_counts() {
        let install = Some(vec!["install".to_owned(), "a".to_owned()]);
        for line in [
            "pip install a",
            "/v/bin/pip3.11 install a",
            "python -m pip install a",
            "python3 -I -m pip install a",
            "python3.12 -Im pip install a",
            "./v/bin/python -X utf8 -W ignore -m pip install a",
            "python -Xutf8 -mpip install a",
        ] {
            assert_eq!(of(line), install, "{line}");
        }
        for line in [
            "python",
            "python -c x",
            "python x.py",
            "python -m venv v",
            "python -m",
            "python -m pip.x",
            "python - -m pip",
            "python -h -m pip",
            "python --check-hash-based-pycs never -m pip",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
