//! Decompression of index documents, bounded.
//!
//! Repositories send indexes at a tenth of their size when asked to, so the proxy asks as the
//! manager would. The manager is given the plain document: what it reads is then byte for byte what
//! the digests were read from, and no difference between two decoders can matter.
//!
//! RFC 1952.

use std::io::{self, Read as _};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum GzipError {
    /// Larger than its bound.
    #[error("the document is larger than {0} bytes")]
    TooLarge(u64),
    /// Not gzip, or cut off, or followed by something else.
    #[error("the document's compression is damaged")]
    Damaged(#[source] io::Error),
}

/// The plain content.
pub(super) fn plain(compressed: &[u8], limit: u64) -> Result<Bytes, GzipError> {
    let mut text = Vec::with_capacity(compressed.len().saturating_mul(4));
    MultiGzDecoder::new(compressed)
        .take(limit.saturating_add(1))
        .read_to_end(&mut text)
        .map_err(GzipError::Damaged)?;
    if text.len() as u64 > limit {
        return Err(GzipError::TooLarge(limit));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn compressed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn content_comes_back_whole_or_not_at_all() {
        let good = compressed(b"content");
        assert_eq!(plain(&good, 7).unwrap(), "content");
        assert!(matches!(plain(&good, 6), Err(GzipError::TooLarge(6))));
        assert!(matches!(
            plain(&good[..good.len() - 3], 100),
            Err(GzipError::Damaged(_))
        ));
        assert!(matches!(plain(b"content", 100), Err(GzipError::Damaged(_))));
        let followed = [good.as_slice(), b"x"].concat();
        assert!(matches!(plain(&followed, 100), Err(GzipError::Damaged(_))));
        let two = [good.as_slice(), &compressed(b" more")].concat();
        assert_eq!(plain(&two, 100).unwrap(), "content more");
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let bomb = compressed(&vec![0; 10_000_000]);
        assert!(matches!(
            plain(&bomb, 1_000_000),
            Err(GzipError::TooLarge(_))
        ));
    }
}
