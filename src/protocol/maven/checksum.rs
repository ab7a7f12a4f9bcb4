//! The files beside an artifact that state its digest.
//!
//! What tools have written there over the years: the digest alone, the digest and a file name, or a
//! name, a sign and the digest. Read is the first line that says anything; what follows the digest
//! means nothing, because the file's own address says what it is about. MD5 is known only to be
//! told apart.

use url::Url;

use crate::model::{Algorithm, Digest};

/// Endings with their algorithm, strongest first.
const ENDINGS: [(&str, Algorithm); 4] = [
    (".sha512", Algorithm::Sha512),
    (".sha256", Algorithm::Sha256),
    (".sha1", Algorithm::Sha1),
    (".md5", Algorithm::Md5),
];

/// Those that are asked for, strongest first.
pub(super) fn side_files(url: &Url) -> Vec<(Algorithm, Url)> {
    let asked = ENDINGS
        .iter()
        .filter(|(_, algorithm)| *algorithm != Algorithm::Md5);
    let beside = |ending: &str| {
        let mut beside = url.clone();
        beside.set_path(&format!("{}{ending}", url.path()));
        beside
    };
    asked
        .map(|(ending, algorithm)| (*algorithm, beside(ending)))
        .collect()
}

/// The file that a side file speaks of.
pub(super) fn of(path: &str) -> Option<(&str, Algorithm)> {
    ENDINGS
        .iter()
        .find_map(|(ending, algorithm)| Some((path.strip_suffix(ending)?, *algorithm)))
}

/// The digest that it states; `None` when it states none of that algorithm.
pub(super) fn read(algorithm: Algorithm, body: &[u8]) -> Option<Digest> {
    let text = std::str::from_utf8(body).ok()?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let value = match line.rsplit_once("= ") {
        Some((_, value)) => value.trim(),
        None => line.split_ascii_whitespace().next()?,
    };
    Digest::from_hex(algorithm, value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_read() {
        let hex = "0123456789abcdef0123456789ABCDEF01234567";
        let digest = Digest::from_hex(Algorithm::Sha1, hex).unwrap();
        for text in [
            hex.to_owned(),
            format!("{hex}\n"),
            format!("\r\n {hex}  x-1.jar\r\n"),
            format!("{hex} *x-1.jar"),
            format!("{hex}\tx"),
            format!("SHA1(x-1.jar)= {hex}\n"),
            format!("SHA1 (x= y.jar) = {hex}"),
        ] {
            let read = read(Algorithm::Sha1, text.as_bytes());
            assert_eq!(read.as_ref(), Some(&digest), "{text:?}");
        }
    }

    #[test]
    fn everything_else_states_nothing() {
        let hex = "00".repeat(20);
        for text in [
            "",
            "\n \n",
            "<html>404</html>",
            "00",
            &format!("{hex}00"),
            &format!("x {hex}"),
        ] {
            assert_eq!(read(Algorithm::Sha1, text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(read(Algorithm::Sha256, hex.as_bytes()), None);
        assert_eq!(read(Algorithm::Sha1, b"\xff"), None);
    }

    #[test]
    fn they_lie_beside_the_file() {
        let url = Url::parse("https://r.invalid/m/g/x/1/x-1.jar").unwrap();
        let sides = side_files(&url);
        let ends: Vec<&str> = sides
            .iter()
            .map(|(_, side)| side.path().strip_prefix(url.path()).unwrap())
            .collect();
        assert_eq!(ends, [".sha512", ".sha256", ".sha1"]);
        assert_eq!(of("x.jar.sha1"), Some(("x.jar", Algorithm::Sha1)));
        assert_eq!(of("x.jar.md5"), Some(("x.jar", Algorithm::Md5)));
        assert_eq!(of("x.jar"), None);
    }
}
