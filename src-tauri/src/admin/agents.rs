//! `GET /_leeward/v1/agents`: which agents there are, and how each is protected. Decides nothing.

use super::{error::Error, extract::Json, state::Admin};
use crate::status::coverage::{Coverage, Heard};
use axum::extract::State;
use std::sync::Arc;

pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Result<Json<Coverage>, Error> {
    let heard = || Heard::new(admin.local, admin.sessions.list(), &admin.traffic.snapshot());
    admin.agents.look(heard).await.map(Json)
}
