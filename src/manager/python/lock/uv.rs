//! `uv.lock`: packages with the digest of each of their files.
//!
//! Only packages of an index count; what comes from a path, a version control address or the
//! workspace is no artifact of a repository and is refused elsewhere if it is asked for.
//! Form: version 1, <https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile>.

use serde::Deserialize;

use super::{LockError, Promise, file_name};

#[derive(Deserialize)]
struct Lock {
    version: u64,
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    source: Source,
    sdist: Option<File>,
    #[serde(default)]
    wheels: Vec<File>,
}

#[derive(Default, Deserialize)]
struct Source {
    registry: Option<String>,
}

#[derive(Deserialize)]
struct File {
    url: Option<String>,
    path: Option<String>,
    filename: Option<String>,
    hash: Option<String>,
}

/// Reads a lock.
pub(super) fn promises(text: &str) -> Result<Vec<Promise>, LockError> {
    let lock: Lock =
        toml::from_str(text).map_err(|error| LockError::Form(error.message().to_owned()))?;
    if lock.version != 1 {
        return Err(LockError::Version(lock.version.to_string()));
    }
    let mut promises = Vec::new();
    for package in lock
        .package
        .into_iter()
        .filter(|package| package.source.registry.is_some())
    {
        let entry = |what: &str| LockError::Entry(package.name.clone(), what.to_owned());
        let version = package
            .version
            .as_ref()
            .ok_or_else(|| entry("has no version"))?;
        for file in package.wheels.iter().chain(&package.sdist) {
            let named = file.filename.clone();
            let place = file.url.as_deref().or(file.path.as_deref());
            let name = named
                .or_else(|| file_name(place?))
                .ok_or_else(|| entry("has a file without a name"))?;
            let hash = file
                .hash
                .clone()
                .ok_or_else(|| entry("has a file without a digest"))?;
            promises.push(Promise {
                name: package.name.clone(),
                version: version.clone(),
                file: Some(name),
                digests: vec![hash],
            });
        }
    }
    Ok(promises)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_digest() {
        let text = "version = 1\nrevision = 3\nrequires-python = '>=3.9'\n[[package]]\nname = 'own'\nversion = '0'\nsource = { editable = '.' }\n[[package]]\nname = 'a'\nversion = '1'\nsource = { registry = 'https://i.invalid/simple' }\nsdist = { url = 'https://f.invalid/a-1.tar.gz', hash = 'sha256:aa', size = 3 }\nwheels = [{ url = 'https://f.invalid/a-1-py3-none-any.whl', hash = 'sha256:bb' }]\n";
        let promises = promises(text).unwrap();
        let files: Vec<_> = promises
            .iter()
            .map(|p| (p.file.as_deref().unwrap(), p.digests[0].as_str()))
            .collect();
        assert_eq!(
            files,
            [
                ("a-1-py3-none-any.whl", "sha256:bb"),
                ("a-1.tar.gz", "sha256:aa")
            ]
        );
    }

    #[test]
    fn a_file_without_digest_is_an_error() {
        let head = "[[package]]\nname = 'a'\nversion = '1'\nsource = { registry = 'x' }\n";
        assert!(
            promises(&format!(
                "version = 1\n{head}wheels = [{{ url = 'https://f.invalid/a.whl' }}]\n"
            ))
            .is_err()
        );
        assert!(
            promises(&format!(
                "version = 1\n{head}wheels = [{{ hash = 'sha256:bb' }}]\n"
            ))
            .is_err()
        );
        assert_eq!(
            promises("version = 2\n"),
            Err(LockError::Version("2".to_owned()))
        );
        assert!(promises("package = []\n").is_err());
    }
}
