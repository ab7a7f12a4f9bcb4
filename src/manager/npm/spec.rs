//! Where a dependency specification points: registry, git, address, local file or directory.
//!
//! Follows npm's own order of tests, so that nothing that npm would fetch from elsewhere passes as
//! a registry version. Unclear text is never taken for a registry version.
//! Grammar: npm-package-arg.

/// What a specification points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// A version, range or tag in a registry.
    Registry,
    /// A registry package under another name.
    Alias(String),
    /// A package archive on disk, path as written.
    File(String),
    /// A directory on disk, path as written.
    Directory(String),
    /// A git repository.
    Git,
    /// An address.
    Remote,
    /// Anything else.
    Unknown,
}

/// Classifies the right-hand side of a dependency.
pub(super) fn of_value(value: &str) -> Spec {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    if lower.starts_with("file:") || lower.starts_with("link:") || looks_local(value) {
        return local(value);
    }
    if let Some(start) = lower.strip_prefix("npm:") {
        let target = value.get(value.len() - start.len()..).unwrap_or_default();
        let plain = of_argument(target) == Spec::Registry;
        return if plain {
            Spec::Alias(name_of(target).to_owned())
        } else {
            Spec::Unknown
        };
    }
    if lower.starts_with("http:") || lower.starts_with("https:") {
        return if lower.contains(".git#") || lower.ends_with(".git") {
            Spec::Git
        } else {
            Spec::Remote
        };
    }
    let scheme = lower
        .split(':')
        .next()
        .filter(|scheme| scheme.len() < lower.len());
    if let Some(scheme) = scheme {
        let git = scheme.starts_with("git") || matches!(scheme, "bitbucket" | "gist" | "ssh");
        return if git || lower.contains('@') {
            Spec::Git
        } else {
            Spec::Unknown
        };
    }
    if value.contains('/') {
        return Spec::Git;
    }
    if is_archive(&lower) {
        return Spec::File(value.to_owned());
    }
    let version = |c: char| c.is_ascii_alphanumeric() || " .*^~<>=|-+_!()".contains(c);
    if value.chars().all(version) {
        Spec::Registry
    } else {
        Spec::Unknown
    }
}

/// Classifies a word of the command line.
pub(super) fn of_argument(word: &str) -> Spec {
    let name = name_of(word);
    let version = word.get(name.len()..).unwrap_or_default();
    let lower = word.to_ascii_lowercase();
    let scheme = lower.split(':').next().unwrap_or_default();
    let addressed = scheme.len() < lower.len()
        && scheme
            .strip_prefix("git+")
            .unwrap_or(scheme)
            .chars()
            .all(|c| c.is_ascii_alphabetic());
    if addressed {
        return of_value(word);
    }
    if !name.starts_with('@') && (name.contains('/') || is_archive(&name.to_ascii_lowercase())) {
        return of_value(word);
    }
    if !is_name(name) {
        return of_value(word);
    }
    match version.strip_prefix('@') {
        Some(version) if !version.is_empty() => of_value(version),
        _ => Spec::Registry,
    }
}

/// The name part of `name@version`, also for scoped names.
pub(super) fn name_of(word: &str) -> &str {
    let skip = usize::from(word.starts_with('@'));
    match word.get(skip..).and_then(|rest| rest.find('@')) {
        Some(at) => word.get(..at + skip).unwrap_or(word),
        None => word,
    }
}

/// Whether a text is a package name: `name` or `@scope/name`.
pub(super) fn is_name(name: &str) -> bool {
    let part = |text: &str| {
        !text.is_empty()
            && !text.starts_with(['.', '-'])
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._~!'()*".contains(c))
    };
    let fits = name.len() <= 214 && name != "node_modules";
    match name.strip_prefix('@') {
        Some(rest) => {
            fits && rest
                .split_once('/')
                .is_some_and(|(s, n)| part(s) && part(n))
        }
        None => fits && part(name) && !name.starts_with('_'),
    }
}

fn looks_local(value: &str) -> bool {
    let mut letters = value.chars();
    let (first, second) = (letters.next(), letters.next());
    matches!(first, Some('.' | '/'))
        || (first == Some('~') && second == Some('/'))
        || (first.is_some_and(|c| c.is_ascii_alphabetic()) && second == Some(':'))
}

fn local(value: &str) -> Spec {
    let path = value
        .get(..5)
        .filter(|start| start.eq_ignore_ascii_case("file:") || start.eq_ignore_ascii_case("link:"));
    let path = if path.is_some() {
        value.get(5..).unwrap_or_default()
    } else {
        value
    };
    // `file://path` and `file:///path` both mean a path.
    let path = match path.strip_prefix("//") {
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None => path.to_owned(),
    };
    let path = percent_encoding::percent_decode_str(&path)
        .decode_utf8_lossy()
        .into_owned();
    if is_archive(&path.to_ascii_lowercase()) {
        Spec::File(path)
    } else {
        Spec::Directory(path)
    }
}

fn is_archive(lower: &str) -> bool {
    [".tgz", ".tar.gz", ".tar"]
        .iter()
        .any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted() {
        for (value, spec) in [
            ("^1.0.0", Spec::Registry),
            ("", Spec::Registry),
            (">=1 <2 || 3.x", Spec::Registry),
            ("1.0.0-beta.1+build", Spec::Registry),
            ("latest", Spec::Registry),
            ("npm:other@^2", Spec::Alias("other".into())),
            ("npm:@s/other@1", Spec::Alias("@s/other".into())),
            ("npm:user/repo", Spec::Unknown),
            ("file:../a", Spec::Directory("../a".into())),
            ("file:vendor/a.tgz", Spec::File("vendor/a.tgz".into())),
            ("FILE:vendor/a.tgz", Spec::File("vendor/a.tgz".into())),
            ("file:///srv/a", Spec::Directory("/srv/a".into())),
            ("file:%2e%2e/a", Spec::Directory("../a".into())),
            ("./a", Spec::Directory("./a".into())),
            ("~/a", Spec::Directory("~/a".into())),
            ("link:../a", Spec::Directory("../a".into())),
            ("a.tgz", Spec::File("a.tgz".into())),
            ("user/repo", Spec::Git),
            ("github:user/repo#v1", Spec::Git),
            ("git+ssh://git@host.invalid/a.git", Spec::Git),
            ("git@host.invalid:a/b.git", Spec::Git),
            ("git://host.invalid/a", Spec::Git),
            ("https://host.invalid/a.git#main", Spec::Git),
            ("https://host.invalid/a.tgz", Spec::Remote),
            ("HTTP://host.invalid/a.tgz", Spec::Remote),
            ("workspace:*", Spec::Unknown),
            ("1.0.0; rm", Spec::Unknown),
        ] {
            assert_eq!(of_value(value), spec, "{value}");
        }
    }

    #[test]
    fn words_of_the_command_line_are_sorted() {
        for (word, spec) in [
            ("a", Spec::Registry),
            ("a@", Spec::Registry),
            ("a@^1", Spec::Registry),
            ("@s/a", Spec::Registry),
            ("@s/a@next", Spec::Registry),
            ("x@npm:a@1", Spec::Alias("a".into())),
            ("x@file:../a", Spec::Directory("../a".into())),
            ("x@https://host.invalid/a.tgz", Spec::Remote),
            ("x@user/repo", Spec::Git),
            ("user/repo", Spec::Git),
            (".", Spec::Directory(".".into())),
            ("../a", Spec::Directory("../a".into())),
            ("a.tgz", Spec::File("a.tgz".into())),
            ("https://host.invalid/a.tgz", Spec::Remote),
            ("git+https://host.invalid/a", Spec::Git),
        ] {
            assert_eq!(of_argument(word), spec, "{word}");
        }
    }
}
