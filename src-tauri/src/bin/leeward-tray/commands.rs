//! What the panel may ask. One line each: the supervisor decides.

use leeward::{
    control::{Restarted, Wish, Wishes},
    status::Status,
};
use tauri::State;
use tokio::sync::{oneshot, watch};

/// The picture the panel starts with; later ones come as `status` events.
#[tauri::command]
pub(crate) fn status(picture: State<'_, watch::Receiver<Status>>) -> Status {
    picture.borrow().clone()
}

/// A new engine generation on the same socket.
#[tauri::command]
pub(crate) async fn restart(wishes: State<'_, Wishes>) -> Result<Restarted, String> {
    ask_for_restart(&wishes).await
}

/// The wish itself, for the panel and the menu.
pub(crate) async fn ask_for_restart(wishes: &Wishes) -> Result<Restarted, String> {
    const ENDED: &str = "the engine has ended; quit Leeward and start it again";
    let (reply, answer) = oneshot::channel();
    wishes.send(Wish::Restart { reply }).await.map_err(|_| ENDED)?;
    answer.await.map_err(|_| ENDED)?
}
