//! What npm's own definitions say: its built-in registry and the options it knows.
//!
//! Read as text from the installed npm, so that no registry's address stands in v4run, and so that
//! an option of a newer npm is noticed. The file is part of the trusted runtime; it is never run.

use std::path::Path;

use url::Url;

use crate::manager::read;

/// Where npm keeps its definitions, newest layout first.
const PLACES: &[&str] = &[
    "node_modules/@npmcli/config/lib/definitions/definitions.js",
    "../@npmcli/config/lib/definitions/definitions.js",
    "lib/utils/config/definitions.js",
];

/// The file is about 70 kB.
const LIMIT: u64 = 4 << 20;

/// The definitions' text.
pub(super) fn text(npm: &Path) -> Option<String> {
    let bytes = PLACES
        .iter()
        .find_map(|place| read::file(&npm.join(place), LIMIT).ok().flatten());
    String::from_utf8(bytes?).ok()
}

/// Whether an option is defined.
pub(super) fn defines(text: &str, key: &str) -> bool {
    text.contains(&format!("Definition('{key}',")) || text.contains(&format!("define('{key}',"))
}

/// The built-in default of `registry`.
pub(super) fn registry(text: &str) -> Option<Url> {
    let start = ["Definition('registry',", "define('registry',"]
        .iter()
        .find_map(|s| text.find(s))?;
    let body = text.get(start..)?;
    let value = body
        .get(body.find("default:")? + "default:".len()..)?
        .trim_start();
    let quote = value
        .chars()
        .next()
        .filter(|sign| matches!(sign, '\'' | '"' | '`'))?;
    let value = value.get(1..)?;
    let url = value.get(..value.find(quote)?)?;
    super::registry::base(url)
        .map(|(url, _)| url)
        .filter(|url| url.scheme() == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_and_options_are_found_in_either_style() {
        for style in ["new Definition(", "define("] {
            let text = format!(
                "{style}'git', {{ default: 'git' }}),\n  registry: {style}'registry', {{\n    default: 'https://standard.invalid/',\n    type: url }})"
            );
            assert_eq!(
                registry(&text).unwrap().as_str(),
                "https://standard.invalid/"
            );
            assert!(defines(&text, "git") && !defines(&text, "gi"));
        }
        assert!(registry("nothing").is_none());
    }
}
