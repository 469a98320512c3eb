//! How a response reaches its client: as it comes, from its first content on (U8), or whole (U11). Pure; buffers nothing.

use crate::message::coding::Coded;
use http::{HeaderMap, header::CONTENT_TYPE, response};
use http_body::Body;

/// How a response reaches its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Frame by frame, as it comes.
    Stream,
    /// Events, from the first content on.
    UntilFirstContent,
    /// Small and not a stream: when it is there.
    BufferSmall,
    /// A stream that does not say of what: until its first byte shows it.
    UntilKnown,
    /// Events, when the last one is there.
    BufferStream,
    /// No stream, and the user wants it whole whatever its size.
    BufferBody,
}

/// What is known of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// It could be sent once more, should its response break off.
    pub(super) repairable: bool,
    /// It is an inference.
    pub(super) inference: bool,
    /// Responses of its upstream are buffered whole now.
    pub(super) buffers_whole: bool,
    /// Bytes that count as small (`stream.commit_bytes`).
    pub(super) commit_bytes: u64,
}

impl Delivery {
    /// Chooses from the response's head. `wants_stream`: whether the request asks for one; it is asked only where that matters.
    pub(super) fn of(request: Facts, head: &response::Parts, body: &impl Body, wants_stream: impl FnOnce() -> bool) -> Self {
        if !request.repairable || !head.status.is_success() || body.is_end_stream() {
            return Self::Stream;
        }
        let whole = request.inference && request.buffers_whole;
        if is_event_stream(&head.headers) {
            return match Coded::of(&head.headers) {
                Coded::Plain if request.inference => Self::of_events(whole),
                // Pings cannot be put into a compressed stream, so that nobody can wait for its end.
                Coded::As(_) if request.inference => Self::UntilFirstContent,
                // Nothing is to be seen in it.
                Coded::Plain | Coded::As(_) | Coded::Opaque => Self::Stream,
            };
        }
        let small = match body.size_hint().exact() {
            Some(length) => length <= request.commit_bytes,
            // Some servers say so of streams: of events, of an array that grows, of objects line by line.
            None if is_type(&head.headers, "application/json") && !whole && wants_stream() => {
                return if Coded::of(&head.headers) == Coded::Opaque { Self::Stream } else { Self::UntilKnown };
            }
            None => is_type(&head.headers, "application/json"),
        };
        match small {
            _ if whole => Self::BufferBody,
            true => Self::BufferSmall,
            false => Self::Stream,
        }
    }

    /// What a response turns into whose first byte is there. What is labelled JSON and begins as events do is a stream of them.
    pub(super) fn known_by(self, first: u8, request: Facts) -> Self {
        let unlabelled = matches!(self, Self::BufferSmall | Self::UntilKnown | Self::BufferBody);
        // `data:`, `event:`, `id:`, `retry:`, a comment or a byte order mark; no JSON begins so.
        let is_of_events = unlabelled && request.inference && matches!(first, b'd' | b'e' | b'i' | b'r' | b':' | 0xEF);
        match self {
            _ if is_of_events => Self::of_events(request.buffers_whole),
            Self::UntilKnown => Self::Stream,
            known => known,
        }
    }

    fn of_events(whole: bool) -> Self {
        if whole { Self::BufferStream } else { Self::UntilFirstContent }
    }

    /// Events, held back for now.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Self::UntilFirstContent | Self::BufferStream)
    }

    /// Held back until it is whole, for as long as that takes.
    pub(super) fn waits_for_the_end(self) -> bool {
        matches!(self, Self::BufferStream | Self::BufferBody)
    }
}

/// A stream of events.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    is_type(headers, "text/event-stream")
}

fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderValue, Response};
    use http_body_util::{Full, StreamBody};

    const INFERENCE: Facts = Facts { repairable: true, inference: true, buffers_whole: false, commit_bytes: 10 };

    fn head(status: u16, fields: &[(&'static str, &'static str)]) -> response::Parts {
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, HeaderValue::from_static(value));
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_response_is_held_back_only_where_it_could_be_repaired() {
        let events = ("content-type", "text/event-stream; charset=utf-8");
        let json = ("content-type", "application/json");
        let other = Facts { inference: false, ..INFERENCE };
        let whole = Facts { buffers_whole: true, ..INFERENCE };
        let rows: &[(Facts, response::Parts, bool, Delivery)] = &[
            (INFERENCE, head(200, &[events]), false, Delivery::UntilFirstContent),
            (whole, head(200, &[events]), false, Delivery::BufferStream),
            (INFERENCE, head(200, &[events, ("content-encoding", "gzip")]), false, Delivery::UntilFirstContent),
            (whole, head(200, &[events, ("content-encoding", "gzip")]), false, Delivery::UntilFirstContent),
            (INFERENCE, head(200, &[events, ("content-encoding", "gzip, br")]), false, Delivery::Stream),
            (INFERENCE, head(200, &[events, ("content-encoding", "compress")]), false, Delivery::Stream),
            (other, head(200, &[events]), false, Delivery::Stream),
            (Facts { buffers_whole: true, ..other }, head(200, &[json]), false, Delivery::BufferSmall),
            (INFERENCE, head(200, &[json]), false, Delivery::BufferSmall),
            (INFERENCE, head(200, &[events, ("content-encoding", "Identity")]), false, Delivery::UntilFirstContent),
            (INFERENCE, head(200, &[]), true, Delivery::BufferSmall),
            (Facts { commit_bytes: 3, ..INFERENCE }, head(200, &[]), true, Delivery::Stream),
            (Facts { commit_bytes: 3, ..whole }, head(200, &[]), true, Delivery::BufferBody),
            (INFERENCE, head(529, &[events]), false, Delivery::Stream),
            (Facts { repairable: false, ..whole }, head(200, &[events]), false, Delivery::Stream),
        ];
        for (nth, (request, head, sized, wanted)) in rows.iter().enumerate() {
            let open = StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, ()>>());
            let got = if *sized {
                Delivery::of(*request, head, &Full::new(Bytes::from_static(b"four")), || false)
            } else {
                Delivery::of(*request, head, &open, || false)
            };
            assert_eq!(got, *wanted, "row {nth}");
        }
        let open = StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, ()>>());
        assert_eq!(Delivery::of(INFERENCE, &head(200, &[json]), &open, || true), Delivery::UntilKnown);
        assert_eq!(Delivery::of(whole, &head(200, &[json]), &open, || true), Delivery::BufferBody);
        let empty = Full::new(Bytes::new());
        assert_eq!(
            Delivery::of(INFERENCE, &head(200, &[json]), &empty, || true),
            Delivery::Stream,
            "there is nothing to hold back"
        );
    }

    #[test]
    fn what_is_labelled_json_is_known_by_its_first_byte() {
        let (other, whole) = (Facts { inference: false, ..INFERENCE }, Facts { buffers_whole: true, ..INFERENCE });
        for (labelled, first, request, wanted) in [
            (Delivery::BufferSmall, b'd', INFERENCE, Delivery::UntilFirstContent),
            (Delivery::UntilKnown, b':', INFERENCE, Delivery::UntilFirstContent),
            (Delivery::BufferBody, b'e', whole, Delivery::BufferStream),
            (Delivery::BufferSmall, b'd', other, Delivery::BufferSmall),
            (Delivery::BufferSmall, b'{', INFERENCE, Delivery::BufferSmall),
            (Delivery::UntilKnown, b'[', INFERENCE, Delivery::Stream),
            (Delivery::BufferBody, b'{', whole, Delivery::BufferBody),
            (Delivery::BufferStream, b'{', whole, Delivery::BufferStream),
        ] {
            assert_eq!(labelled.known_by(first, request), wanted, "{labelled:?} {}", char::from(first));
        }
    }
}
