//! How a response reaches its client: as it comes, from its first content on (U8), or whole (U11). Pure; buffers nothing.

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    response,
};
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
    /// It asks for a stream that is one JSON array.
    pub(super) asks_for_json_stream: bool,
    /// Bytes that count as small (`stream.commit_bytes`).
    pub(super) commit_bytes: u64,
}

impl Delivery {
    /// Chooses from the response's head.
    pub(super) fn of(request: Facts, head: &response::Parts, body: &impl Body) -> Self {
        if !request.repairable || !head.status.is_success() || body.is_end_stream() {
            return Self::Stream;
        }
        let whole = request.inference && request.buffers_whole;
        if is_type(&head.headers, "text/event-stream") {
            // Events in a compressed stream cannot be told apart, nor pings put between them.
            return match request.inference && !head.headers.contains_key(CONTENT_ENCODING) {
                true if whole => Self::BufferStream,
                true => Self::UntilFirstContent,
                false => Self::Stream,
            };
        }
        let small = match body.size_hint().exact() {
            Some(length) => length <= request.commit_bytes,
            None => is_type(&head.headers, "application/json") && !request.asks_for_json_stream,
        };
        match small {
            _ if whole => Self::BufferBody,
            true => Self::BufferSmall,
            false => Self::Stream,
        }
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

/// A stream of events that can be read as it passes.
pub(super) fn is_plain_event_stream(headers: &HeaderMap) -> bool {
    is_type(headers, "text/event-stream") && !headers.contains_key(CONTENT_ENCODING)
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

    const INFERENCE: Facts =
        Facts { repairable: true, inference: true, buffers_whole: false, asks_for_json_stream: false, commit_bytes: 10 };

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
            (INFERENCE, head(200, &[events, ("content-encoding", "gzip")]), false, Delivery::Stream),
            (other, head(200, &[events]), false, Delivery::Stream),
            (Facts { buffers_whole: true, ..other }, head(200, &[json]), false, Delivery::BufferSmall),
            (INFERENCE, head(200, &[json]), false, Delivery::BufferSmall),
            (Facts { asks_for_json_stream: true, ..INFERENCE }, head(200, &[json]), false, Delivery::Stream),
            (INFERENCE, head(200, &[]), true, Delivery::BufferSmall),
            (Facts { commit_bytes: 3, ..INFERENCE }, head(200, &[]), true, Delivery::Stream),
            (Facts { commit_bytes: 3, ..whole }, head(200, &[]), true, Delivery::BufferBody),
            (INFERENCE, head(529, &[events]), false, Delivery::Stream),
            (Facts { repairable: false, ..whole }, head(200, &[events]), false, Delivery::Stream),
        ];
        for (nth, (request, head, sized, wanted)) in rows.iter().enumerate() {
            let open = StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, ()>>());
            let got = if *sized {
                Delivery::of(*request, head, &Full::new(Bytes::from_static(b"four")))
            } else {
                Delivery::of(*request, head, &open)
            };
            assert_eq!(got, *wanted, "row {nth}");
        }
        let empty = Full::new(Bytes::new());
        assert_eq!(Delivery::of(INFERENCE, &head(200, &[json]), &empty), Delivery::Stream, "there is nothing to hold back");
    }
}
