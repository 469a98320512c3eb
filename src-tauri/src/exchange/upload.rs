//! A request's body before it is sent: read as far as it is kept, and its turn taken where it is not. Sends nothing.

use super::{context::Exchange, error::Error};
use crate::{
    message::{self, Caps, Payload, ReadError},
    telemetry::Trace,
    upstream::Upstream,
};
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::Instant;

/// Reads a body; `patience`: how long its client waits in all.
pub(super) async fn payload(
    exchange: &Exchange,
    upstream: &Upstream,
    incoming: Incoming,
    patience: Duration,
    trace: &Trace,
) -> Result<Payload, Error> {
    let limits = &exchange.config.limits;
    let caps = Caps { body: limits.body_bytes, replay_body: limits.replay_body_bytes, replay_total: limits.replay_total_bytes };
    let mut payload = message::read(incoming, &exchange.shared.held, caps, trace).await?;
    // A body that its client still sends holds a connection for as long as the client likes: not all of them at once.
    if payload.needs_turn() {
        let turn = upstream.origin.uploads.turn(Instant::now() + patience / 2).await.ok_or(Error::TooManyUploads)?;
        payload.give_turn(turn);
    }
    Ok(payload)
}

impl From<ReadError> for Error {
    fn from(why: ReadError) -> Self {
        match why {
            ReadError::TooLarge => Self::BodyTooLarge,
            ReadError::Malformed(why) => Self::BodyMalformed(why),
            ReadError::Client(why) => Self::BodyBroken(why),
            ReadError::GaveWay => {
                Self::BodyBroken("it paused while other uploads waited for a connection (client.upload_stall)".into())
            }
        }
    }
}
