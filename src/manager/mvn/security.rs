//! Passwords of settings files, decrypted where they are encrypted.
//!
//! Maven keeps an encrypted password as `{base64}` and the key to all of them, the master password, in
//! `settings-security.xml`, itself encrypted with a fixed key. What is decrypted goes to the proxy and
//! nowhere else. A password that cannot be decrypted ends the run before the start, because it would
//! be sent as it stands. Follows the form that Maven 3 writes (AES-128 in CBC mode with PKCS #7
//! padding, key and first block from the SHA-256 of password and salt); other forms are refused.

use std::path::{Path, PathBuf};

use aes::Aes128;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use sha2::{Digest as _, Sha256};

use crate::manager::read;
use crate::model::{Code, Finding};

/// The file holds one password.
const LIMIT: u64 = 1 << 16;

/// The key of the master password.
const FIXED: &str = "settings.security";

/// Files that refer to each other.
const RELOCATIONS: usize = 4;

/// The master password, read when it is first needed.
#[derive(Debug)]
pub(super) struct Vault {
    file: PathBuf,
}

impl Vault {
    /// Of the file with the master password, whether it exists or not.
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
        }
    }

    /// A password in plain. `place` is where it stands.
    pub(super) fn open(&self, password: &str, place: &str) -> Result<String, Finding> {
        let Some(inner) = encrypted(password) else {
            return Ok(password.replace("\\{", "{").replace("\\}", "}"));
        };
        let refuse = |message: String| {
            Finding::new(Code::Usage, place, message)
                .with_hint("write the master password anew with `mvn --encrypt-master-password`")
        };
        let file = self.file.display();
        let master = self.master().ok_or_else(|| {
            refuse(format!(
                "holds an encrypted password, and `{file}` no master"
            ))
        })?;
        let master = encrypted(&master)
            .and_then(|text| decrypted(text, FIXED))
            .ok_or_else(|| refuse(format!("`{file}`: the master password cannot be decrypted")))?;
        decrypted(inner, &master).ok_or_else(|| {
            refuse("holds a password that the master password does not decrypt".to_owned())
        })
    }

    fn master(&self) -> Option<String> {
        let mut file = self.file.clone();
        for _ in 0..RELOCATIONS {
            let bytes = read::file(&file, LIMIT).ok().flatten()?;
            let text = String::from_utf8(bytes).ok()?;
            let document = roxmltree::Document::parse(&text).ok()?;
            let root = document.root_element();
            let child = |name: &str| {
                let child = root.children().find(|node| node.has_tag_name(name))?;
                Some(child.text()?.trim().to_owned())
            };
            match child("relocation") {
                Some(other) => file = PathBuf::from(other),
                None => return child("master"),
            }
        }
        None
    }
}

/// What stands between the first pair of braces that are not escaped.
fn encrypted(text: &str) -> Option<&str> {
    let start = text.find('{')?;
    if start > 0 && text.get(..start)?.ends_with('\\') {
        return None;
    }
    let inner = text.get(start + 1..)?;
    let end = inner.find('}')?;
    let escaped = inner.get(..end)?.ends_with('\\');
    (!escaped && end > 0).then(|| inner.get(..end)).flatten()
}

/// Eight bytes of salt, one that counts the padding behind, the text, the padding.
fn decrypted(encoded: &str, password: &str) -> Option<String> {
    let clean: String = encoded.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = STANDARD.decode(clean).ok()?;
    let (salt, rest) = bytes.split_at_checked(8)?;
    let (padding, rest) = rest.split_first()?;
    let end = rest.len().checked_sub(usize::from(*padding))?;
    let text = rest.get(..end)?;
    let mut hash = Sha256::new();
    hash.update(password.as_bytes());
    hash.update(salt);
    let keys = hash.finalize();
    let (key, first) = keys.split_at_checked(16)?;
    let cipher = cbc::Decryptor::<Aes128>::new_from_slices(key, first).ok()?;
    let plain = cipher.decrypt_padded_vec::<Pkcs7>(text).ok()?;
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_maven_encrypted_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings-security.xml");
        let vault = Vault::new(&file);
        let finding = vault.open(PASSWORD, "settings.xml:3").unwrap_err();
        assert_eq!(finding.code, Code::Usage);
        assert!(finding.message.contains("no master"), "{}", finding.message);
        let text = format!("<settingsSecurity><master>{MASTER}</master></settingsSecurity>");
        std::fs::write(&file, text).unwrap();
        assert_eq!(vault.open(PASSWORD, "").unwrap(), "pass word");
        let commented = format!("old {PASSWORD} expires");
        assert_eq!(vault.open(&commented, "").unwrap(), "pass word");
        assert_eq!(vault.open("plain", "").unwrap(), "plain");
        assert_eq!(vault.open("a\\{b\\}", "").unwrap(), "a{b}");
        assert!(vault.open("{AAAA}", "").is_err());
        let other = directory.path().join("other.xml");
        let text = format!(
            "<settingsSecurity><relocation>{}</relocation></settingsSecurity>",
            file.display()
        );
        std::fs::write(&other, text).unwrap();
        assert_eq!(Vault::new(&other).open(PASSWORD, "").unwrap(), "pass word");
        let text = format!(
            "<settingsSecurity><relocation>{}</relocation></settingsSecurity>",
            other.display()
        );
        std::fs::write(&other, text).unwrap();
        assert!(Vault::new(&other).open(PASSWORD, "").is_err());
    }

    /// As Maven 3.8.7 wrote them.
    const MASTER: &str = "{J+xSv8+an8AH9LLoc5aIDSZJmvo6sCjs5LhwotA3L4o=}";
    const PASSWORD: &str = "{uW6N7yfyuO8HGuZ7KhDfg9L2Vq1ZbmqhBUV+1VwQDIs=}";
}
