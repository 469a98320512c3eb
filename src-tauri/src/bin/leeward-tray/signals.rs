//! SIGTERM and SIGINT end the tray in order; Tauri itself handles no signal.

#[cfg(unix)]
mod platform {
    use tokio::signal::unix::{SignalKind, signal};

    /// Waits until the system asks the program to end.
    pub(super) async fn asked_to_end() -> std::io::Result<()> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
}

#[cfg(windows)]
mod platform {
    /// Waits until the system asks the program to end.
    pub(super) async fn asked_to_end() -> std::io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}

/// Waits until the system asks the program to end. Where that cannot be heard, it never returns and says so in the log.
pub(crate) async fn asked_to_end() {
    if let Err(e) = platform::asked_to_end().await {
        tracing::warn!("signals cannot be received: {e}; end Leeward from its menu");
        std::future::pending().await
    }
}
