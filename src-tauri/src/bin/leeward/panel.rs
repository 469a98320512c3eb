//! `leeward panel`: the address of the panel in a browser, with what it needs to ask. Opens no browser: the address
//! would stand in its command line, where every user of the machine can read it.

use crate::{
    block_on, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
    progress,
};
use leeward::instance::{self, ClientError, read_token};
use std::time::Duration;

/// Its files are read from a disk that may sleep.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs `leeward panel`.
pub(crate) fn run(out: &mut Out) -> Outcome {
    let config = config::load_to_ask()?;
    let address = block_on(progress::while_waiting("asking Leeward", async {
        let client = instance::running(&config).await?.ok_or(ClientError::NotRunning(None))?;
        client.check("/_leeward/ui/", LIMIT).await?;
        Ok::<_, ClientError>(client.address())
    }))??;
    let token = read_token(&config.paths).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    if out.is_terminal() {
        say("whoever has this address controls Leeward; it works on this machine, or through `ssh -L`");
    }
    // After the #, which no browser sends and no log shows.
    out.line(format!("http://{address}/_leeward/ui/#token={}", token.reveal()))?;
    Ok(Exit::Ok as i32)
}
