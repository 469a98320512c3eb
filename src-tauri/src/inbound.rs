//! The client's side: accepting, one connection's life, what may pass, and where each request goes.
//!
//! Sees the layers below and hands requests to them: Leeward's own paths to `admin`, all others to `exchange`. Knows nothing
//! of upstream connections, and neither supervises nor counts itself.

mod awaiting;
mod client;
mod client_io;
mod client_stream;
mod connection;
mod connection_state;
mod dispatch;
mod farewell;
mod greeting;
pub mod guard;
pub mod intercept;
pub mod listen;
mod refusal;
mod response;
mod server;
mod splice;
pub mod tunnel;
mod websocket;

pub use listen::{Accept, Adopt, Also, Event, Kind, Listen, Order, Pulse, Served};
pub use server::Inbound;
