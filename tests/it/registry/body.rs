//! Response bodies that can misbehave: stop short, trickle, or go on for hundreds of megabytes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// One step of a body.
enum Step {
    Data(Bytes),
    /// The same piece so many times; memory stays flat.
    Repeat(Bytes, u64),
    Wait(Duration),
    Fail,
}

/// A body made of steps.
pub(crate) struct Reply {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    length: Option<u64>,
}

impl Reply {
    /// The whole content at once.
    pub(crate) fn whole(content: Vec<u8>) -> Self {
        let length = u64::try_from(content.len()).unwrap();
        Self::of([Step::Data(content.into())], Some(length))
    }

    /// Half of the content, then the connection ends although the length promises more.
    pub(crate) fn truncated(content: &[u8]) -> Self {
        let half = Bytes::copy_from_slice(&content[..content.len() / 2]);
        Self::of(
            [
                Step::Data(half),
                Step::Wait(Duration::from_millis(20)),
                Step::Fail,
            ],
            None,
        )
    }

    /// The content in pieces with a pause before each.
    pub(crate) fn slow(content: &[u8], pieces: usize, pause: Duration) -> Self {
        let size = content.len().div_ceil(pieces).max(1);
        let steps = content
            .chunks(size)
            .flat_map(|piece| [Step::Wait(pause), Step::Data(Bytes::copy_from_slice(piece))]);
        Self::of(steps, Some(u64::try_from(content.len()).unwrap()))
    }

    /// `head`, then padding up to `size` bytes, then `tail`; no length is announced.
    pub(crate) fn padded(head: Vec<u8>, size: u64, tail: Vec<u8>) -> Self {
        const PIECE: usize = 64 * 1024;
        let count = size / u64::try_from(PIECE).unwrap();
        let padding = Bytes::from(vec![b'x'; PIECE]);
        Self::of(
            [
                Step::Data(head.into()),
                Step::Repeat(padding, count),
                Step::Data(tail.into()),
            ],
            None,
        )
    }

    fn of(steps: impl IntoIterator<Item = Step>, length: Option<u64>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            sleep: None,
            length,
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(sleep) = self.sleep.as_mut() {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Repeat(data, count)) => {
                if count > 1 {
                    self.steps.push_front(Step::Repeat(data.clone(), count - 1));
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Step::Wait(pause)) => {
                self.sleep = Some(Box::pin(tokio::time::sleep(pause)));
                self.poll_frame(cx)
            }
            Some(Step::Fail) => Poll::Ready(Some(Err(io::Error::other("told to fail")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.sleep.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
