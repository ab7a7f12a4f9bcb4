//! What an entry of a jar is, by its name.
//!
//! Names that make a class loader, Maven or a library find code are listed here; everything else is a
//! resource until its content says otherwise. A name below `META-INF/versions/N/` is judged as the one
//! that it replaces. Case does not save anything: some file systems and tools do not see it.

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A directory.
    Directory,
    /// The manifest of the jar.
    Manifest,
    /// The descriptor of a module, if it is one.
    Descriptor,
    /// A class.
    Class,
    /// Anything else.
    Resource,
    /// Never handed out, with the word for it.
    Dropped(&'static str),
}

/// Endings of native libraries and programs.
const NATIVE: [&str; 6] = [".so", ".dll", ".dylib", ".jnilib", ".exe", ".o"];

/// Endings of archives that class loaders read.
const ARCHIVES: [&str; 11] = [
    ".jar", ".war", ".ear", ".rar", ".sar", ".aar", ".zip", ".jmod", ".nar", ".hpi", ".pack",
];

/// Where libraries and Maven look for names of classes to load. One with a final `/` stands for all
/// that lies below it.
const ANNOUNCED: [&str; 10] = [
    "meta-inf/services/",
    "meta-inf/sisu/",
    "meta-inf/plexus/",
    "meta-inf/groovy/",
    "meta-inf/maven/extension.xml",
    "meta-inf/maven/plugin.xml",
    "meta-inf/maven/slf4j-configuration.properties",
    "meta-inf/spring.factories",
    "meta-inf/spring/",
    "meta-inf/index.list",
];

/// Signatures of the jar: what they sign is not what is handed out.
const SIGNATURES: [&str; 4] = [".sf", ".rsa", ".dsa", ".ec"];

/// Judges a name.
pub(super) fn place(name: &str) -> Place {
    if name.ends_with('/') {
        return Place::Directory;
    }
    let lower = name.to_ascii_lowercase();
    let judged = unversioned(&lower);
    let file = judged.rsplit('/').next().unwrap_or_default();
    if name == "META-INF/MANIFEST.MF" {
        return Place::Manifest;
    }
    if judged == "module-info.class" {
        return Place::Descriptor;
    }
    if judged == "meta-inf/manifest.mf" {
        return Place::Dropped("manifest");
    }
    if file.ends_with(".class") {
        return Place::Class;
    }
    let announces = |entry: &&str| match entry.ends_with('/') {
        true => judged.starts_with(*entry),
        false => judged == *entry,
    };
    if ANNOUNCED.iter().any(announces) {
        return Place::Dropped("service");
    }
    if is_signature(judged) {
        return Place::Dropped("signature");
    }
    let native = NATIVE.iter().any(|ending| file.ends_with(ending));
    // A version may follow: `libx.so.1.2`.
    let versioned = file.split_once(".so.").is_some_and(|(_, version)| {
        version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    if native || versioned {
        return Place::Dropped("native");
    }
    if ARCHIVES.iter().any(|ending| file.ends_with(ending)) {
        return Place::Dropped("archive");
    }
    Place::Resource
}

/// The name that an entry of a multi-release jar stands for.
fn unversioned(lower: &str) -> &str {
    let mut name = lower;
    while let Some(rest) = name.strip_prefix("meta-inf/versions/") {
        let Some((version, rest)) = rest.split_once('/') else {
            break;
        };
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        name = rest;
    }
    name
}

fn is_signature(lower: &str) -> bool {
    let Some(file) = lower.strip_prefix("meta-inf/") else {
        return false;
    };
    !file.contains('/')
        && (file.starts_with("sig-") || SIGNATURES.iter().any(|ending| file.ends_with(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_known_by_name_wherever_it_lies() {
        for (name, expected) in [
            ("a/", Place::Directory),
            ("META-INF/MANIFEST.MF", Place::Manifest),
            ("meta-inf/manifest.mf", Place::Dropped("manifest")),
            ("module-info.class", Place::Descriptor),
            ("META-INF/versions/9/module-info.class", Place::Descriptor),
            ("a/module-info.class", Place::Class),
            ("a/B.class", Place::Class),
            ("a/B.CLASS", Place::Class),
            ("META-INF/versions/11/a/B.class", Place::Class),
            ("META-INF/B.class", Place::Class),
            ("META-INF/services/x.Y", Place::Dropped("service")),
            (
                "META-INF/versions/9/META-INF/services/x.Y",
                Place::Dropped("service"),
            ),
            ("meta-inf/Services/x.Y", Place::Dropped("service")),
            (
                "META-INF/sisu/javax.inject.Named",
                Place::Dropped("service"),
            ),
            ("META-INF/plexus/components.xml", Place::Dropped("service")),
            ("META-INF/maven/plugin.xml", Place::Dropped("service")),
            ("META-INF/maven/extension.xml", Place::Dropped("service")),
            ("META-INF/INDEX.LIST", Place::Dropped("service")),
            ("META-INF/X.SF", Place::Dropped("signature")),
            ("META-INF/a/x.rsa", Place::Resource),
            ("lib/libx.so", Place::Dropped("native")),
            ("lib/libx.so.1.2", Place::Dropped("native")),
            ("x.DLL", Place::Dropped("native")),
            ("notes.so.txt", Place::Resource),
            ("BOOT-INF/lib/x.jar", Place::Dropped("archive")),
            ("META-INF/maven/g/a/pom.xml", Place::Resource),
            ("META-INF/versions/x/a.txt", Place::Resource),
            ("log4j.properties", Place::Resource),
            ("class", Place::Resource),
        ] {
            assert_eq!(place(name), expected, "{name}");
        }
    }
}
