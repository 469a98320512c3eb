//! An agent in a window that closes with it: says where it starts, and keeps an error until somebody has read it.

use crate::{
    exit::{Exit, Outcome},
    launch,
    out::say,
};
use std::io::{self, BufRead};

/// Its end was asked for, so there is nothing to read: done, or ended by SIGHUP, SIGINT, SIGTERM, or Ctrl-C on Windows.
const ASKED_FOR: [i32; 5] = [0, 128 + 1, 128 + 2, 128 + 15, 0xC000_013A_u32.cast_signed()];
/// Enter in either mode of a terminal, Ctrl-C and Ctrl-D: an agent that broke may leave it raw.
const KEYS: [u8; 4] = [b'\n', b'\r', 3, 4];

/// Runs what starts the agent, and waits for Enter where it ended with an error.
pub(crate) fn at_an_error(agent: &str, start: impl FnOnce() -> Outcome) -> Outcome {
    let title = launch::profile(agent).map_or_else(|_| agent.to_owned(), |profile| profile.title);
    if let Ok(folder) = std::env::current_dir() {
        say(format!("{title} starts in {}", folder.display()));
    }
    let ended = start();
    let code = match &ended {
        Ok(code) => *code,
        Err(failure) => {
            if !failure.message.is_empty() {
                say(&failure.message);
            }
            failure.exit as i32
        }
    };
    if !ASKED_FOR.contains(&code) {
        say(format!("{title} ended with code {code}; Enter closes this window"));
        wait(io::stdin().lock());
    }
    // Some terminals keep a window whose program failed; this one was read.
    Ok(Exit::Ok as i32)
}

/// Until one of the keys, or until the terminal is gone.
fn wait(keyboard: impl BufRead) {
    keyboard.bytes().take_while(|key| key.as_ref().is_ok_and(|key| !KEYS.contains(key))).for_each(drop);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_keys_ends_the_wait_and_so_does_the_terminals_end() {
        for (typed, left) in [("abc\nrest", "rest"), ("\rx", "x"), ("\u{3}", ""), ("\u{4}y", "y"), ("never", ""), ("", "")] {
            let mut keyboard = typed.as_bytes();
            wait(&mut keyboard);
            assert_eq!(keyboard, left.as_bytes(), "{typed:?}");
        }
    }
}
