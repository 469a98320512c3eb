//! macOS and Windows: both tell a user of its own processes' variables, by `sysinfo`. An empty list is one that was not told:
//! macOS hides those of programs that it protects, Windows those of programs that run as an administrator.

use crate::coverage::process::{Inside, Process, asked};
use std::{collections::BTreeMap, ffi::OsString};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind, get_current_pid};

fn refreshed(which: ProcessesToUpdate<'_>, kind: ProcessRefreshKind) -> Result<System, String> {
    let mut system = System::new().map_err(|e| e.to_string())?;
    system.refresh_processes_specifics(which, true, kind);
    Ok(system)
}

pub(super) fn list() -> Result<Vec<Process>, String> {
    let always = UpdateKind::Always;
    let kind = ProcessRefreshKind::nothing().with_cmd(always).with_exe(always).with_user(always);
    let system = refreshed(ProcessesToUpdate::All, kind)?;
    let own = get_current_pid().ok().and_then(|pid| system.process(pid)?.user_id().cloned());
    let Some(own) = own else { return Err("the system does not say whose this process is".to_owned()) };
    let ours = system.processes().values().filter(|process| process.user_id() == Some(&own));
    let found = ours.map(|process| {
        let mut arguments: Vec<String> = process.cmd().iter().map(text).collect();
        if arguments.is_empty() {
            arguments.push(process.name().to_string_lossy().into_owned());
        }
        Process {
            pid: process.pid().as_u32(),
            parent: process.parent().map(Pid::as_u32),
            arguments,
            program: process.exe().map(Into::into),
            since_unix_ms: Some(process.start_time().saturating_mul(1000)).filter(|at| *at > 0),
        }
    });
    Ok(found.collect())
}

#[allow(clippy::ptr_arg, reason = "it is mapped over slices of these")]
fn text(word: &OsString) -> String {
    word.to_string_lossy().into_owned()
}

pub(super) fn inside(pid: u32, names: &[String]) -> Inside {
    let (pid, always) = (Pid::from_u32(pid), UpdateKind::Always);
    let kind = ProcessRefreshKind::nothing().with_environ(always).with_cwd(always);
    let system = match refreshed(ProcessesToUpdate::Some(&[pid]), kind) {
        Ok(system) => system,
        Err(why) => return Inside { folder: None, variables: Err(why) },
    };
    let Some(process) = system.process(pid) else {
        return Inside { folder: None, variables: Err("it has just ended".to_owned()) };
    };
    let mut variables = BTreeMap::new();
    for variable in process.environ().iter().map(text) {
        if let Some((name, value)) = asked(&variable, names) {
            variables.entry(name).or_insert_with(|| value.to_owned());
        }
    }
    let variables = match process.environ().is_empty() {
        true => Err("the system does not show them".to_owned()),
        false => Ok(variables),
    };
    Inside { folder: process.cwd().map(Into::into), variables }
}
