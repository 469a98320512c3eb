//! The text of Windows' scheduled task (the schema of [MS-TSCH] 2.5), and what is read back from it. Pure.
//!
//! A logon trigger needs the user's own name, else it means everybody's logon and takes an administrator. The task's own
//! restart is only for a program that cannot be started; so the trigger repeats each minute, and a task that runs ignores it.
//! The defaults would end it on battery and after three days. `conhost --headless` gives a console program no window.

use super::{
    error::Error,
    wanted::{MARK, Wanted},
};

/// The task's name.
pub(super) const NAME: &str = "Leeward";

/// The task of a user, such as `DESKTOP\me`. `system_root`: the folder of Windows.
pub(super) fn task(wanted: &Wanted, user: &str, system_root: &str) -> Result<String, Error> {
    let program = wanted.program_text()?;
    let arguments = match wanted.variables.iter().find(|(name, _)| name == "LEEWARD_HOME") {
        // A task has no variables of its own.
        Some((_, home)) => {
            let (at, home) = (format!("{system_root}\\System32\\cmd.exe"), plain(home)?);
            format!("--headless \"{at}\" /d /s /c \"set \"LEEWARD_HOME={home}\"&& \"{}\" serve --stand-by\"", plain(program)?)
        }
        None => format!("--headless \"{program}\" serve --stand-by"),
    };
    let (user, command) = (escaped(user), escaped(&format!("{system_root}\\System32\\conhost.exe")));
    let (arguments, mark) = (escaped(&arguments), escaped(MARK));
    Ok(format!(
        r#"<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Leeward, the local proxy for coding agents. {mark}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Repetition>
        <Interval>PT1M</Interval>
      </Repetition>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>5</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"#
    ))
}

/// As `schtasks` reads it: UTF-16, with the mark at its beginning.
pub(super) fn encoded(task: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(task.replace('\n', "\r\n").encode_utf16().collect::<Vec<_>>());
    units.flat_map(u16::to_le_bytes).collect()
}

/// What it runs, in what the system says of it: it writes the elements in its own order.
pub(super) fn runs(task: &str) -> Option<(&str, &str)> {
    let of = |name: &str| task.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>")).map(|(text, _)| text.trim());
    Some((of("Command")?, of("Arguments")?))
}

/// cmd.exe has no escape for these within quotes.
fn plain(text: &str) -> Result<&str, Error> {
    match text.contains(['"', '%', '!', '^']) {
        true => Err(Error::Unspellable(format!("a task cannot name {text}: it has a \", %, ! or ^ in it"))),
        false => Ok(text),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "C:\\Windows";

    fn wanted(home: Option<&str>) -> Wanted {
        let variables = home.map(|home| ("LEEWARD_HOME".to_owned(), home.to_owned())).into_iter().collect();
        let program = "C:\\Users\\M & M\\leeward.exe".into();
        Wanted { program, listen: "127.0.0.1:8787".parse().unwrap(), variables }
    }

    #[test]
    fn the_task_is_as_it_was() {
        assert_eq!(task(&wanted(None), "PC\\M & M", ROOT).unwrap(), include_str!("tests/leeward-task.xml"));
    }

    /// Each element is closed in order, and no text holds what begins one: the little of XML that is written here.
    #[test]
    fn the_task_is_well_formed_and_says_what_it_runs() {
        let homes = [
            (None, "--headless \"C:\\Users\\M & M\\leeward.exe\" serve --stand-by"),
            (
                Some("D:\\a b"),
                "--headless \"C:\\Windows\\System32\\cmd.exe\" /d /s /c \"set \"LEEWARD_HOME=D:\\a b\"&& \"C:\\Users\\M & M\\leeward.exe\" serve --stand-by\"",
            ),
        ];
        for (home, arguments) in homes {
            let text = task(&wanted(home), "PC\\M & M", ROOT).unwrap();
            let mut open = Vec::new();
            for (n, tag) in text.split('<').skip(1).enumerate() {
                let (tag, rest) = tag.split_once('>').unwrap();
                assert!(!rest.contains('>') && rest.split('&').skip(1).all(|entity| entity.contains(';')), "{rest}");
                match tag.strip_prefix('/') {
                    Some(name) => assert_eq!(open.pop(), Some(name)),
                    None if tag.starts_with('?') => assert_eq!(n, 0),
                    None => open.push(tag.split(' ').next().unwrap()),
                }
            }
            assert!(open.is_empty() && !NAME.contains('\\'), "{open:?}");
            assert_eq!(runs(&text), Some(("C:\\Windows\\System32\\conhost.exe", escaped(arguments).as_str())));
        }
        assert!(task(&wanted(Some("D:\\100%")), "me", ROOT).is_err());
    }

    #[test]
    fn it_is_encoded_as_the_system_reads_it() {
        assert_eq!(encoded("é\n"), [0xff, 0xfe, 0xe9, 0, 0x0d, 0, 0x0a, 0]);
    }
}
