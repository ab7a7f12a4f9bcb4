//! The manifest of a jar, without what makes the virtual machine load or run something.
//!
//! Kept is the main section, attribute by attribute as it was written, because tools read the module
//! name, versions and vendor from it. Sections about single entries carry digests of entries that are
//! no longer what they were, and are left out.
//!
//! <https://docs.oracle.com/en/java/javase/17/docs/specs/jar/jar.html>,
//! java.lang.instrument (agents).

/// Attributes that name other jars to search, classes to start, or rights for native code.
const LOADING: [&str; 14] = [
    "add-exports",
    "add-opens",
    "agent-class",
    "boot-class-path",
    "can-redefine-classes",
    "can-retransform-classes",
    "can-set-native-method-prefix",
    "class-path",
    "enable-native-access",
    "extension-list",
    "launcher-agent",
    "launcher-agent-class",
    "main-class",
    "premain-class",
];

/// The reduced manifest. Lines that are no attributes are left out.
pub(super) fn reduced(manifest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(manifest.len());
    let mut keeps = false;
    for line in lines(manifest) {
        if line.is_empty() {
            break;
        }
        if !line.starts_with(b" ") {
            let colon = line.iter().position(|byte| *byte == b':');
            let name = colon.and_then(|at| line.get(..at)).unwrap_or_default();
            keeps = is_name(name) && !loads(name);
        }
        if keeps {
            out.extend(line);
            out.extend(b"\r\n");
        }
    }
    out.extend(b"\r\n");
    out
}

/// Lines end with CR LF, LF or CR.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = match end {
            Some(end) => rest.split_at_checked(end)?,
            None => (rest, &b""[..]),
        };
        rest = match after {
            [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
            [] => after,
        };
        Some(line)
    })
}

fn is_name(name: &[u8]) -> bool {
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.iter().all(known)
}

fn loads(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    LOADING.iter().any(|other| other.as_bytes() == lower)
        || [&b"-implementation-url"[..], b"-extension-name"]
            .iter()
            .any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_the_module_stays_and_what_loads_goes() {
        let manifest = b"Manifest-Version: 1.0\r\nAutomatic-Module-Name: org.\r\n example\n\
            class-path: evil.jar\n more.jar\rPremain-Class: a.B\nImplementation-Title: T\n\
            broken line\n continued\nLauncher-Agent-Class: a.B\nx-Implementation-URL: u\n\n\
            Name: a/B.class\nSHA-256-Digest: abc\n";
        assert_eq!(
            String::from_utf8(reduced(manifest)).unwrap(),
            "Manifest-Version: 1.0\r\nAutomatic-Module-Name: org.\r\n example\r\n\
             Implementation-Title: T\r\n\r\n"
        );
    }

    #[test]
    fn an_empty_or_damaged_manifest_is_an_empty_one() {
        for manifest in [
            &b""[..],
            b"\n",
            b"\r\nClass-Path: x",
            b" y\n",
            b"\xff\xfe: 1",
        ] {
            assert_eq!(reduced(manifest), b"\r\n");
        }
        assert_eq!(reduced(b"A: 1"), b"A: 1\r\n\r\n");
    }
}
