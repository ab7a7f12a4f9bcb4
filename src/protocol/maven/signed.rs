//! Signatures of a Maven repository: files beside each file.
//!
//! `.asc` is the publisher's, over the bytes, by a key that the repository does not vouch for; whose it must
//! be is the policy's to say. `.sigstore.json` is a bundle over the bytes, by a certificate. Neither names
//! the artifact: the place does. Nothing is judged here.
//!
//! <https://maven.apache.org/repositories/layout.html>; Sigstore bundle format.

use url::Url;

use crate::protocol::{About, Detached, Signs};

/// What Maven repositories have.
#[derive(Debug)]
pub(super) struct MavenSigns;

/// Endings of signatures by their form.
const ENDINGS: [(&str, Detached); 2] = [
    (".asc", Detached::OpenPgp),
    (".sigstore.json", Detached::Bundle),
];

impl Signs for MavenSigns {
    fn detached(&self, url: &Url) -> Vec<(Detached, Url)> {
        let of = |(ending, form)| {
            let mut beside = url.clone();
            beside.set_path(&format!("{}{ending}", url.path()));
            (form, beside)
        };
        ENDINGS.map(of).into()
    }

    fn subject(&self, about: About<'_>) -> Option<String> {
        about.file.map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_lie_beside_the_file() {
        let url = Url::parse("https://r.invalid/m/g/x/1%2B2/x-1%2B2.jar").unwrap();
        let found = MavenSigns.detached(&url);
        let paths: Vec<&str> = found.iter().map(|(_, url)| url.path()).collect();
        assert_eq!(
            paths,
            [
                "/m/g/x/1%2B2/x-1%2B2.jar.asc",
                "/m/g/x/1%2B2/x-1%2B2.jar.sigstore.json"
            ]
        );
    }
}
