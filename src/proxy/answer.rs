//! What the manager gets: a status, a few headers, and a body that needs no copy.
//!
//! Headers are an allow-list: whatever else the repository sent (cookies, hop-by-hop headers,
//! alternative services) ends here. A refusal is a plain text that names the finding.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use crate::model::Code;
use crate::model::Finding;
use crate::model::Severity;
use crate::store::Content;

/// Bytes of a file answered at a time.
const BLOCK: u64 = 128 * 1024;

/// Headers of the repository that reach the manager.
const HEADERS: [HeaderName; 7] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    ETAG,
    LAST_MODIFIED,
    CACHE_CONTROL,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
];

/// An answer; cheap to clone, so that equal requests share it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

impl Answer {
    /// A repository's answer: status, the headers of the list, this body.
    pub(super) fn passed(status: StatusCode, headers: &HeaderMap, body: Vec<Bytes>) -> Self {
        let mut kept = HeaderMap::new();
        for name in HEADERS {
            for value in headers.get_all(&name) {
                kept.append(name.clone(), value.clone());
            }
        }
        Self {
            status,
            headers: kept,
            content: Content::Memory(body.into()),
        }
    }

    /// An index document that v4run wrote: the repository's validators do not hold for it.
    pub(super) fn rewritten(kind: &'static str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Self {
            status: StatusCode::OK,
            headers,
            content: Content::Memory(Arc::new([body])),
        }
    }

    /// Verified bytes.
    pub(super) fn artifact(content: Content) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        Self {
            status: StatusCode::OK,
            headers,
            content,
        }
    }

    /// A short text.
    pub(super) fn text(status: StatusCode, text: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        Self {
            status,
            headers,
            content: Content::Memory(Arc::new([Bytes::from(text)])),
        }
    }

    /// A refusal or failure: 403 for what a rule refused, 502 for what did not work.
    pub(super) fn finding(finding: &Finding) -> Self {
        let status = match finding.code.severity() {
            Severity::Violation => StatusCode::FORBIDDEN,
            // Asking again would not make it older.
            Severity::Failure if finding.code == Code::ReleaseTooNew => StatusCode::FORBIDDEN,
            Severity::Error | Severity::Failure | Severity::Note => StatusCode::BAD_GATEWAY,
        };
        Self::text(
            status,
            format!("v4run: {}: {}\n", finding.code.name(), finding.message),
        )
    }

    /// What is given out, unless the answer is a failure.
    pub(super) fn given(&self) -> Option<&Content> {
        Some(&self.content).filter(|_| self.status == StatusCode::OK)
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The answer to `HEAD`: the length of the body, and no body.
    pub(super) fn without_body(mut self) -> Self {
        let size = AnswerBody::new(self.content).size_hint().lower();
        self.headers.insert(CONTENT_LENGTH, size.into());
        self.content = Content::Memory(Arc::new([]));
        self
    }

    /// As the server sends it.
    pub(super) fn response(self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::new(self.content));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// Pieces in memory: all of them, the next one, bytes left.
    Memory(Arc<[Bytes]>, usize, u64),
    /// A file: next position, size.
    File(Arc<File>, u64, u64),
}

impl AnswerBody {
    fn new(content: Content) -> Self {
        match content {
            Content::Memory(chunks) => {
                let size = chunks.iter().map(|chunk| chunk.len() as u64).sum();
                Self::Memory(chunks, 0, size)
            }
            Content::File(file, size) => Self::File(file, 0, size),
        }
    }

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        match self {
            Self::Memory(chunks, index, left) => loop {
                let chunk = chunks.get(*index)?.clone();
                *index = index.saturating_add(1);
                *left = left.saturating_sub(chunk.len() as u64);
                if !chunk.is_empty() {
                    return Some(Ok(chunk));
                }
            },
            Self::File(file, position, size) => {
                let count = size.saturating_sub(*position).min(BLOCK);
                if count == 0 {
                    return None;
                }
                let mut block = vec![0_u8; usize::try_from(count).unwrap_or_default()];
                *position = position.saturating_add(count);
                let at = position.saturating_sub(count);
                Some(
                    file.read_exact_at(&mut block, at)
                        .map(|()| Bytes::from(block)),
                )
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(self.next().map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Memory(_, _, left) => *left,
            Self::File(_, position, size) => size.saturating_sub(*position),
        })
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONNECTION, SET_COOKIE};
    use http_body_util::BodyExt as _;
    use std::io::Write as _;

    use super::*;
    use crate::model::Code;

    #[tokio::test]
    async fn bodies_come_whole_from_memory_and_from_files() {
        let memory: Arc<[Bytes]> = [
            Bytes::from_static(b"ab"),
            Bytes::new(),
            Bytes::from_static(b"c"),
        ]
        .into();
        let body = AnswerBody::new(Content::Memory(memory));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");

        let content = vec![7_u8; 300_000];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let body = AnswerBody::new(Content::File(Arc::new(file), 300_000));
        assert_eq!(body.collect().await.unwrap().to_bytes(), content);
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_breaks_the_answer() {
        let file = tempfile::tempfile().unwrap();
        let body = AnswerBody::new(Content::File(Arc::new(file), 10));
        assert!(body.collect().await.is_err());
    }

    #[test]
    fn only_listed_headers_pass() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("x"));
        headers.insert(SET_COOKIE, HeaderValue::from_static("x"));
        headers.insert(CONNECTION, HeaderValue::from_static("x"));
        let response = Answer::passed(StatusCode::OK, &headers, Vec::new()).response();
        assert_eq!(response.headers().len(), 1);
    }

    #[test]
    fn refusals_are_403_and_failures_502() {
        for (code, status) in [(Code::IntegrityMismatch, 403), (Code::UpstreamFailed, 502)] {
            let answer = Answer::finding(&Finding::new(code, "x", "reason"));
            assert_eq!(answer.response().status(), status);
        }
    }
}
