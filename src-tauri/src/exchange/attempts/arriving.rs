//! One attempt, from a connection to a response that may go to its client: buffered as far as it must be. Whether another one is
//! made is decided outside.

use super::{Attempts, Failed};
use crate::{
    exchange::{
        arrived::{Arrived, ArrivedBody, Buffering},
        delivery::{Delivery, Facts},
        look,
        response_buffer::{Buffered, ResponseBuffer},
        retry::{self, Kind},
        source::Source,
    },
    message::{
        Failure,
        coding::{Coded, Decoder},
    },
    status::faults::Cause,
};
use http::StatusCode;
use tokio::time::{Instant, timeout_at};

impl Attempts {
    /// One attempt, from a connection to a response that may go to its client.
    pub(super) async fn attempt(&mut self) -> Result<Arrived, Failed> {
        self.number += 1;
        self.context.ticket.trace().begins(self.number);
        let (response, connection) = self.send().await?;
        let declined = self.declined(&response);
        let reused = connection.is_reused();
        let (head, body) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let switched = connection.into_switched();
            let (server, came) = switched.ok_or_else(|| Failure::new(Cause::BadResponse, "it switched protocols and ended"))?;
            return Ok(Arrived { head, reused, body: ArrivedBody::Switched(server, came) });
        }
        let facts = self.facts();
        let delivery = Delivery::of(facts, &head, &body, || self.wants_stream());
        let source = Source::new(body, connection);
        // After the head of a stream has gone out, what is no stream, or one that its head did not announce as compressed, is
        // reported as an event, and needs no buffer.
        let unreadable = !delivery.is_stream() || Coded::of(&head.headers) != Coded::Plain;
        if delivery == Delivery::Stream || (self.head_sent && unreadable) {
            let arrived = Arrived { head, reused, body: ArrivedBody::Stream(source) };
            return match declined {
                Some((failure, wait)) => Err(Failed { failure, declined: Some((Box::new(arrived), wait)) }),
                None => Ok(arrived),
            };
        }
        let decoder = match Coded::of(&head.headers) {
            Coded::As(coding) if facts.inference && !delivery.waits_for_the_end() => Some(Decoder::new(coding)),
            Coded::Plain | Coded::As(_) | Coded::Opaque => None,
        };
        // What is compressed shows nothing without a decoder.
        let shows = decoder.is_some() || Coded::of(&head.headers) == Coded::Plain;
        let buffer = ResponseBuffer::new(delivery, source, &self.context, shows.then_some(facts), decoder);
        Ok(self.buffer(Buffering { head, reused, buffer }).await?)
    }

    /// Buffers a response until it may be forwarded, or its client must hear something.
    pub(super) async fn buffer(&mut self, buffering: Buffering) -> Result<Arrived, Failure> {
        let Buffering { head, reused, mut buffer } = buffering;
        let waiting = Instant::now();
        let ended = if self.head_sent {
            Some(buffer.run().await)
        } else {
            let until = match buffer.delivery() {
                Delivery::BufferBody => self.deadline,
                // No ping keeps its client waiting: each attempt has its own time, as long as the client waits at all.
                _ if buffer.is_compressed() => self.deadline.min(waiting + self.context.exchange.config.stream.commit_wait),
                _ => *self.speak_by.get_or_insert(waiting + self.context.exchange.config.stream.commit_wait),
            };
            timeout_at(until, buffer.run()).await.ok()
        };
        self.waited += waiting.elapsed();
        let body = match ended {
            // The buffer goes with its connection: a request must not run twice at the same time.
            Some(Buffered::Cut(failure)) => return Err(failure),
            Some(Buffered::Whole) => ArrivedBody::Whole(buffer),
            Some(Buffered::Commit) => ArrivedBody::Begun(buffer),
            None if buffer.delivery().is_stream() && !buffer.is_compressed() => ArrivedBody::Waiting(buffer),
            None => ArrivedBody::Begun(buffer),
        };
        Ok(Arrived { head, reused, body })
    }

    /// Whether the request asks for its response piece by piece.
    fn wants_stream(&mut self) -> bool {
        let (look, payload) = (&mut self.look, &self.payload);
        self.context.operation.wants_stream(|| look.get_or_insert_with(|| look::whole(payload)).clone())
    }

    fn facts(&self) -> Facts {
        let config = &self.context.exchange.config;
        Facts {
            repairable: self.body == retry::Body::Held
                && self.context.operation.kind != Kind::NotReplayable
                && config.retry.replays > 0,
            inference: self.context.operation.kind == Kind::Inference,
            buffers_whole: self.context.buffers_whole(),
            commit_bytes: config.stream.commit_bytes,
        }
    }
}
