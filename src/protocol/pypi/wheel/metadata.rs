//! The descriptions inside a wheel: whose it is, of which version, and which programs it makes.
//!
//! `WHEEL` and `METADATA` are read like mail headers, `entry_points.txt` like an INI file; of each
//! only what decides something. A key that should be there once and is there twice is refused,
//! because readers differ in which of the two they believe.
//!
//! PEP 427, core metadata specification, entry points specification.

use super::WheelError;
use super::content::BREAKS;

/// The file of the directory of descriptions that is read, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Description {
    Metadata,
    Wheel,
}

impl Description {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "METADATA",
            Self::Wheel => "WHEEL",
        }
    }

    /// The one value of a header; continued lines and the text after the headers are not looked at.
    pub(super) fn header(self, content: &[u8], key: &str) -> Result<String, WheelError> {
        let refuse = |reason| WheelError::Description {
            file: self.name(),
            key: key.to_owned(),
            reason,
        };
        let mut found: Option<String> = None;
        for line in content.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                break;
            }
            let Some(at) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let (name, value) = line.split_at_checked(at).unwrap_or_default();
            if !name.eq_ignore_ascii_case(key.as_bytes()) {
                continue;
            }
            let value = std::str::from_utf8(value.get(1..).unwrap_or_default());
            let value = value.map_err(|_error| refuse("it is not UTF-8"))?;
            if found.replace(value.trim().to_owned()).is_some() {
                return Err(refuse("it is there twice"));
            }
        }
        found.ok_or_else(|| refuse("it is missing"))
    }
}

/// Programs that pip makes for `entry_points.txt`.
///
/// Python's readers split lines at more places than `str::lines`, strip any number of brackets from
/// a section and know `#` as the only comment; where they differ among themselves, both count.
pub(super) fn programs(content: &[u8]) -> Result<Vec<String>, WheelError> {
    let text = std::str::from_utf8(content).map_err(|_error| WheelError::Description {
        file: "entry_points.txt",
        key: String::new(),
        reason: "it is not UTF-8",
    })?;
    let bare = |text: &str| -> String {
        let space = |c: char| c.is_whitespace() || c == '\u{1f}';
        text.trim_matches(space).to_owned()
    };
    let (mut makes, mut programs) = (false, Vec::new());
    for line in text.split(BREAKS).map(bare) {
        if line.starts_with('[') && line.ends_with(']') {
            let section = bare(line.trim_matches(['[', ']']));
            makes = matches!(section.as_str(), "console_scripts" | "gui_scripts");
        } else if makes
            && !line.starts_with('#')
            && let Some((name, _)) = line.split_once('=')
        {
            programs.push(bare(name));
        }
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_there_once() {
        let header = |text: &str| Description::Metadata.header(text.as_bytes(), "Name");
        assert_eq!(
            header("Metadata-Version: 2.1\r\nNAME:  left \r\n\r\n").unwrap(),
            "left"
        );
        assert_eq!(header("Name: left\n\nName: right\n").unwrap(), "left");
        assert_eq!(
            header("Summary: x\n Name: y\nName: left\n").unwrap(),
            "left"
        );
        for text in [
            "",
            "\nName: left\n",
            "Name: left\nname: right\n",
            "Names: x\n",
        ] {
            assert!(header(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn programs_are_named_in_two_sections() {
        let text = "[console_scripts]\nleft = left:main\n# no = x\n\n[left.plugins]\nx = y\n\
                    [gui_scripts]\nright=right:main [extra]\n";
        assert_eq!(programs(text.as_bytes()).unwrap(), ["left", "right"]);
        for text in [
            "[[console_scripts]]\nleft=l:m\nright=r:m",
            "[ console_scripts]\nleft=l:m\u{c}right=r:m",
            "[x]\u{2028}[console_scripts]\u{85}left=l:m\r\u{1f}right\u{1f}=r:m",
        ] {
            let found = programs(text.as_bytes()).unwrap();
            assert_eq!(found, ["left", "right"], "{text:?}");
        }
        assert!(programs(b"[console_scripts]\n\xff = x\n").is_err());
    }
}
