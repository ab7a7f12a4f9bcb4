//! What kind of file something is, and small readings of its text.
//!
//! By name and leading bytes, as interpreters and loaders tell it. Nothing here decides.

use serde_json::Value;

/// What a file is to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The description of an npm package.
    Manifest,
    /// The description of a native build that npm runs by itself.
    Build,
    /// Code that an interpreter runs at every start, from this line on.
    Startup(u64),
    /// Machine code.
    Native(&'static str),
    /// A program for a shell.
    Shell,
    /// Code.
    Code,
    /// Anything else: text about code, data.
    Other,
}

/// Endings of code.
const CODE: &[&str] = &[
    ".js", ".cjs", ".mjs", ".jsx", ".ts", ".py", ".pyw", ".sh", ".bash", ".ps1", ".bat", ".cmd",
    ".rb", ".pl", ".php", ".lua",
];

/// Leading bytes of machine code.
const NATIVE: &[(&[u8], &str)] = &[
    (b"\x7fELF", "ELF"),
    (b"MZ", "PE"),
    (b"\xfe\xed\xfa\xce", "Mach-O"),
    (b"\xfe\xed\xfa\xcf", "Mach-O"),
    (b"\xce\xfa\xed\xfe", "Mach-O"),
    (b"\xcf\xfa\xed\xfe", "Mach-O"),
    (b"\0asm", "WebAssembly"),
];

/// Names of hooks that npm runs for a dependency.
const HOOKS: &[&str] = &["preinstall", "install", "postinstall"];

/// What a command of a hook contains that fetches, or runs its own arguments.
const FETCHING: &[&str] = &[
    "curl ",
    "wget ",
    "powershell",
    "node -e",
    "node --eval",
    "python -c",
    "python3 -c",
    "| sh",
    "|sh",
    "| bash",
    "|bash",
    "eval ",
];

/// The kind of a file.
pub(super) fn kind(path: &str, head: &[u8]) -> Kind {
    if let Some((_, what)) = NATIVE.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Kind::Native(what);
    }
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    // Only that of the package itself, which lies in the one top directory.
    let top = path.matches('/').count() == 1;
    match name {
        "package.json" if top => return Kind::Manifest,
        "binding.gyp" if top => return Kind::Build,
        "sitecustomize.py" | "usercustomize.py" if !path.contains('/') => return Kind::Startup(1),
        _ => {}
    }
    if name.ends_with(".pth") {
        return match import(head) {
            Some(line) => Kind::Startup(line),
            None => Kind::Other,
        };
    }
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first.starts_with(b"#!") {
        let first = String::from_utf8_lossy(first);
        let program = first.split(['/', ' ']).rfind(|word| !word.is_empty());
        return match program {
            Some("sh" | "bash" | "dash" | "zsh" | "ksh") => Kind::Shell,
            Some(_) | None => Kind::Code,
        };
    }
    match CODE.iter().any(|ending| name.ends_with(ending)) {
        true => Kind::Code,
        false => Kind::Other,
    }
}

/// The first line of a path file that is executed.
fn import(head: &[u8]) -> Option<u64> {
    let starts = |line: &[u8]| line.starts_with(b"import ") || line.starts_with(b"import\t");
    let at = head.split(|byte| *byte == b'\n').position(starts)?;
    u64::try_from(at + 1).ok()
}

/// The install hooks of a manifest: name, command, and whether it fetches.
pub(super) fn scripts(head: &[u8]) -> Vec<(String, String, bool)> {
    let Ok(manifest) = serde_json::from_slice::<Value>(head) else {
        return Vec::new();
    };
    let command = |name: &&str| {
        let command = manifest.get("scripts")?.get(*name)?.as_str()?;
        let fetches = FETCHING.iter().any(|text| command.contains(text));
        let short: String = command.chars().take(200).collect();
        Some(((*name).to_owned(), short, fetches))
    };
    HOOKS.iter().filter_map(command).collect()
}

/// The line, from 1, that a position lies on.
pub(super) fn line_of(text: &[u8], at: usize) -> u64 {
    let before = text.get(..at).unwrap_or_default();
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    u64::try_from(lines + 1).unwrap_or(u64::MAX)
}

/// Names of the form that renaming tools give.
pub(super) fn renamed(text: &[u8]) -> usize {
    let starts = text.windows(7);
    starts
        .filter(|window| {
            window.starts_with(b"_0x") && window.iter().skip(3).all(u8::is_ascii_hexdigit)
        })
        .count()
}

/// The first character that changes the direction of text.
pub(super) fn direction(text: &[u8]) -> Option<usize> {
    let changes = |window: &[u8]| {
        matches!(
            window,
            [0xe2, 0x80, 0xaa..=0xae] | [0xe2, 0x81, 0xa6..=0xa9]
        )
    };
    text.windows(3).position(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart() {
        for (path, head, expected) in [
            ("package/package.json", "{}", Kind::Manifest),
            ("package/a/package.json", "{}", Kind::Other),
            ("package/binding.gyp", "", Kind::Build),
            ("a.pth", "x\nimport y\n", Kind::Startup(2)),
            ("a.pth", "important\n", Kind::Other),
            ("sitecustomize.py", "", Kind::Startup(1)),
            ("pkg/sitecustomize.py", "", Kind::Code),
            ("x", "#!/usr/bin/env bash\n", Kind::Shell),
            ("x", "#!/usr/bin/python3\n", Kind::Code),
            ("x.txt", "eval(", Kind::Other),
            ("x.exe", "MZ..", Kind::Native("PE")),
        ] {
            assert_eq!(kind(path, head.as_bytes()), expected, "{path}");
        }
    }
}
