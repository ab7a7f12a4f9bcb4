//! Source archives of a project called `thing`.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The name that the archives have.
pub(crate) const SOURCE: &str = "thing-1.0.tar.gz";

/// What `PKG-INFO` says.
pub(crate) const DESCRIBED: &str = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n";

/// An archive of these files, and of what describes the project.
pub(crate) fn archive<T: AsRef<str>>(files: &[(&str, T)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let files = files
        .iter()
        .map(|(name, content)| (*name, content.as_ref()));
    for (name, content) in files.chain([("PKG-INFO", DESCRIBED)]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len()).unwrap());
        header.set_mode(0o644);
        let path = format!("thing-1.0/{name}");
        builder
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    let mut encoder = builder.into_inner().unwrap();
    encoder.flush().unwrap();
    encoder.finish().unwrap()
}
