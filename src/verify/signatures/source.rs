//! Addresses of source repositories, compared as what they mean.
//!
//! A manifest spells its repository in many ways; a certificate in one. Equal are host, owner and name,
//! in any case of letters. Whatever is no such address is equal to nothing.

use url::Url;

/// Whether both name the same source repository.
pub fn same_repository(one: &str, other: &str) -> bool {
    matches!((normal(one), normal(other)), (Some(one), Some(other)) if one == other)
}

/// Whether a text without a scheme begins with a host: one with a dot, before owner and name.
fn has_host(text: &str) -> bool {
    let mut segments = text.split('/');
    segments.next().is_some_and(|first| first.contains('.')) && segments.count() >= 2
}

/// Host and path, lower case, without decoration.
fn normal(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("git+").unwrap_or(text);
    // scp's form of ssh: `git@host:owner/name.git`.
    let spelled = match text.split_once(':') {
        Some((login, path)) if login.contains('@') && !path.starts_with("//") => {
            let host = login.rsplit('@').next()?;
            format!("https://{host}/{path}")
        }
        // Some issuers write host and path alone.
        None if has_host(text) => format!("https://{text}"),
        _ => text.to_owned(),
    };
    let url = Url::parse(&spelled).ok()?;
    if !matches!(url.scheme(), "https" | "http" | "git" | "ssh") {
        return None;
    }
    let host = url.host_str()?;
    let path = url.path().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    if path.is_empty() {
        return None;
    }
    Some(format!("{host}/{path}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_are_equal() {
        let plain = "https://code.invalid/Owner/name";
        for same in [
            "git+https://code.invalid/owner/name.git",
            "git://code.invalid/owner/name.git",
            "ssh://git@code.invalid/owner/name",
            "git@code.invalid:owner/name.git",
            "code.invalid/Owner/name",
            "https://code.invalid/owner/name/",
            "https://code.invalid/owner/name#readme",
        ] {
            assert!(same_repository(plain, same), "{same}");
        }
        for other in [
            "https://code.invalid/owner/names",
            "https://code.invalid/owner",
            "https://evil.invalid/owner/name",
            "https://code.invalid:8443@evil.invalid/owner/name",
            "https://code.invalid/",
            "file:///owner/name",
            "code.invalid/owner",
            "./owner/name/x",
            "owner/name",
            "",
        ] {
            assert!(!same_repository(plain, other), "{other}");
            assert!(!same_repository(other, other) || normal(other).is_some());
        }
    }
}
