//! `leeward panel`: opens the panel in a browser by a link that is good once, since every user of the machine can read a command
//! line; without a desktop, or on request, prints the address with what it needs to ask.

use crate::{
    args, block_on, browser, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
    progress,
};
use leeward::instance::{self, Client, ClientError, read_token};
use serde_json::{Value, json};
use std::time::Duration;

/// Its files are read from a disk that may sleep.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs `leeward panel`.
pub(crate) fn run(args: &args::Panel, out: &mut Out) -> Outcome {
    let config = config::load_to_ask()?;
    let opens = !args.print && browser::is_there();
    let (client, link) = block_on(progress::while_waiting("asking Leeward", async {
        let client = instance::running(&config).await?.ok_or(ClientError::NotRunning(None))?;
        client.check("/_leeward/ui/", LIMIT).await?;
        let link = if opens { link(&client).await } else { None };
        Ok::<_, ClientError>((client, link))
    }))??;
    if let Some(link) = link {
        match browser::open(&link) {
            Ok(()) => {
                say("the panel opens in your browser; `leeward panel --print` prints its address");
                return Ok(Exit::Ok as i32);
            }
            Err(why) => say(format!("no browser could be opened ({why})")),
        }
    }
    let token = read_token(&config.paths).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    if out.is_terminal() {
        say("whoever has this address controls Leeward; it works on this machine, or through `ssh -L`");
    }
    // After the #, which no browser sends and no log shows.
    out.line(format!("http://{}/_leeward/ui/#token={}", client.address(), token.reveal()))?;
    Ok(Exit::Ok as i32)
}

/// A link that is good once. An older instance gives none.
async fn link(client: &Client) -> Option<String> {
    let given = client.post("/_leeward/v1/panel", &json!(null), LIMIT).await.ok()?;
    Some(format!("http://{}{}", client.address(), given.get("path").and_then(Value::as_str)?))
}
