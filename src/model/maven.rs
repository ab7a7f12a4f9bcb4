//! Names of Maven artifacts and where a repository keeps them.
//!
//! Protocol, lock, local repository and record all speak of artifacts by the path that the default
//! repository layout gives them, so there is one reading of such a path. Nothing is decided here.
//!
//! A path does not say where a classifier ends and an extension begins; the split here is for
//! records and never for comparing, which is done with the whole file name.
//!
//! <https://maven.apache.org/repositories/layout.html>.

/// Longest path that is looked at.
const LONGEST: usize = 1024;

/// Extensions with a dot in them, which a split at the last dot would tear apart.
const DOUBLE: [&str; 4] = ["tar.gz", "tar.bz2", "tar.xz", "tar.Z"];

/// Endings of files that lie beside an artifact and are none.
const BESIDE: [&str; 9] = [
    "asc",
    "lastUpdated",
    "lock",
    "md5",
    "part",
    "sha1",
    "sha256",
    "sha512",
    "tmp",
];

/// One file of a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coordinates {
    /// `groupId`.
    pub group: String,
    /// `artifactId`.
    pub artifact: String,
    /// Version of the directory: of a snapshot the one that ends in `-SNAPSHOT`.
    pub base: String,
    /// Version of the file: of a snapshot usually one with a time stamp.
    pub version: String,
    /// What distinguishes several files of one version, such as `sources`.
    pub classifier: Option<String>,
    /// `jar`, `pom`, `tar.gz`, …
    pub extension: String,
}

impl Coordinates {
    /// Reads a path below the root of a repository, already decoded.
    pub fn from_path(path: &str) -> Option<Self> {
        if path.len() > LONGEST {
            return None;
        }
        let (directory, file) = path.rsplit_once('/')?;
        let (directory, base) = directory.rsplit_once('/')?;
        let (group, artifact) = directory.rsplit_once('/')?;
        let group = group_of(group)?;
        if !is_name(artifact) || !is_version(base) {
            return None;
        }
        let rest = file.strip_prefix(artifact)?.strip_prefix('-')?;
        let (version, rest) = match base.strip_suffix("SNAPSHOT") {
            Some(stem) => match timestamp(rest, stem) {
                Some(end) => rest.split_at_checked(end)?,
                None => rest.split_at_checked(rest.strip_prefix(base).map(|_| base.len())?)?,
            },
            None => rest.split_at_checked(rest.strip_prefix(base).map(|_| base.len())?)?,
        };
        let (classifier, extension) = ending(rest)?;
        Some(Self {
            group,
            artifact: artifact.to_owned(),
            base: base.to_owned(),
            version: version.to_owned(),
            classifier: classifier.map(str::to_owned),
            extension: extension.to_owned(),
        })
    }

    /// `group:artifact`, the name of the package.
    pub fn name(&self) -> String {
        format!("{}:{}", self.group, self.artifact)
    }

    /// The directory of the version below the root of a repository.
    pub fn directory(&self) -> String {
        let group = self.group.replace('.', "/");
        format!("{group}/{}/{}", self.artifact, self.base)
    }

    /// The file's name.
    pub fn file(&self) -> String {
        let classifier = self.classifier.as_deref();
        let classifier = classifier.map(|text| format!("-{text}"));
        format!(
            "{}-{}{}.{}",
            self.artifact,
            self.version,
            classifier.unwrap_or_default(),
            self.extension
        )
    }

    /// Its path below the root of a repository.
    pub fn path(&self) -> String {
        format!("{}/{}", self.directory(), self.file())
    }

    /// The POM of the version.
    #[must_use]
    pub fn pom(&self) -> Self {
        Self {
            classifier: None,
            extension: "pom".to_owned(),
            ..self.clone()
        }
    }
}

/// Whether that may be the directory of a group, and its `groupId`.
pub fn group_of(directory: &str) -> Option<String> {
    let parts = directory.split('/');
    let plain = |part: &str| is_name(part) && !part.contains("..");
    parts
        .clone()
        .all(plain)
        .then(|| directory.replace('/', "."))
}

/// Whether a version names a file whose content may change: that is what snapshots are for.
pub fn is_changing(version: &str) -> bool {
    version.ends_with("SNAPSHOT")
}

/// Whether that may be a `groupId` or an `artifactId`.
pub fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(known)
}

/// Whether that may be a version, as a segment of a path.
pub fn is_version(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~!@$^=,".contains(&byte);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(known)
}

/// Where `<stem>yyyyMMdd.HHmmss-N` ends in `text`.
fn timestamp(text: &str, stem: &str) -> Option<usize> {
    let stamp = text.strip_prefix(stem)?;
    let (day, rest) = stamp.split_at_checked(8)?;
    let (time, rest) = rest.strip_prefix('.')?.split_at_checked(6)?;
    let build = rest.strip_prefix('-')?;
    let digits = build.bytes().take_while(u8::is_ascii_digit).count();
    let numbers = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // Day, dot, time, dash and build number.
    (digits > 0 && numbers(day) && numbers(time))
        .then(|| stem.len().saturating_add(16).saturating_add(digits))
}

/// Splits `-classifier.extension` or `.extension`.
fn ending(rest: &str) -> Option<(Option<&str>, &str)> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(&byte);
    if !rest.bytes().all(known) {
        return None;
    }
    let double = DOUBLE.iter().find_map(|extension| {
        let before = rest.strip_suffix(extension)?.strip_suffix('.')?;
        Some((before, *extension))
    });
    let (before, extension) = double.or_else(|| rest.rsplit_once('.'))?;
    let classifier = match before {
        "" => None,
        _ => Some(before.strip_prefix('-').filter(|text| !text.is_empty())?),
    };
    if BESIDE.contains(&extension) {
        return None;
    }
    let letters = extension
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    (!extension.is_empty() && letters).then_some((classifier, extension))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(path: &str) -> Option<(String, String, String, String)> {
        let read = Coordinates::from_path(path)?;
        assert_eq!(read.path(), path);
        let kind = match &read.classifier {
            Some(classifier) => format!("{classifier}:{}", read.extension),
            None => read.extension.clone(),
        };
        Some((read.name(), read.base, read.version, kind))
    }

    fn expect(path: &str, name: &str, base: &str, version: &str, kind: &str) {
        let all = [name, base, version, kind].map(str::to_owned);
        assert_eq!(parts(path), Some(all.into()), "{path}");
    }

    #[test]
    fn files_of_releases_and_snapshots_are_read() {
        expect("a/b/x/1.0/x-1.0.jar", "a.b:x", "1.0", "1.0", "jar");
        expect(
            "g/x-y/1/x-y-1-sources.jar",
            "g:x-y",
            "1",
            "1",
            "sources:jar",
        );
        expect("g/x/1/x-1-bin.tar.gz", "g:x", "1", "1", "bin:tar.gz");
        expect("g/x/1/x-1.pom", "g:x", "1", "1", "pom");
        expect(
            "g/x/1-b+2/x-1-b+2-a.b.jar",
            "g:x",
            "1-b+2",
            "1-b+2",
            "a.b:jar",
        );
        let stamped = "1.0-20240102.030405-17";
        for (version, kind) in [
            ("1.0-SNAPSHOT", "jar"),
            (stamped, "jar"),
            (stamped, "c:jar"),
        ] {
            let tail = match kind {
                "jar" => ".jar",
                _ => "-c.jar",
            };
            let path = format!("g/x/1.0-SNAPSHOT/x-{version}{tail}");
            expect(&path, "g:x", "1.0-SNAPSHOT", version, kind);
        }
        expect(
            "g/x/SNAPSHOT/x-SNAPSHOT.jar",
            "g:x",
            "SNAPSHOT",
            "SNAPSHOT",
            "jar",
        );
        let read = Coordinates::from_path("g/x/1/x-1-c.jar").unwrap();
        assert_eq!(read.pom().path(), "g/x/1/x-1.pom");
    }

    #[test]
    fn what_contradicts_itself_is_no_artifact() {
        for path in [
            "",
            "x",
            "x-1.jar",
            "x/1/x-1.jar",
            "g/x/1/y-1.jar",
            "g/x/1/x-2.jar",
            "g/x/1/x-1",
            "g/x/1/x-1.",
            "g/x/1/x-1-.jar",
            "g/x/1/x-10.jar",
            "g/x/1/x-1_c.jar",
            "g//x/1/x-1.jar",
            "/g/x/1/x-1.jar",
            "../x/1/x-1.jar",
            "g/../1/..-1.jar",
            "g/x/../x-...jar",
            "g/x/1/x-1.jar/",
            "g/x/1/x-1 .jar",
            "g/x/1:2/x-1:2.jar",
            "g/x/1/x-1.ja\u{fc}",
            "g/x/1.0-SNAPSHOT/x-1.1-20240102.030405-1.jar",
        ] {
            assert_eq!(parts(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(path in "[a-c./-]{0,12}(SNAPSHOT|1)?/[a-c.1/-]{0,16}") {
            if let Some(read) = Coordinates::from_path(&path) {
                prop_assert_eq!(read.path(), path);
            }
        }
    }
}
