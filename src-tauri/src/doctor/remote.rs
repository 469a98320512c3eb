//! Where this shell runs: in WSL, in a container, behind SSH, in a remote window of VS Code. There 127.0.0.1 is another machine's
//! than its user may think. The evidence is gathered from files and variables; what follows from it is a pure table.

use super::{
    context::{Context, PortHolder, Serving},
    finding::{Finding, Verdict},
};
use serde_json::json;
use std::{fs, path::Path};

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A Linux in Windows; the first version shares Windows' network.
    Wsl1,
    Wsl2,
    Container,
    DevContainer,
    Codespace,
    Ssh,
    /// A remote window of VS Code or its like.
    VsCode,
}

impl Place {
    fn id(self) -> &'static str {
        match self {
            Self::Wsl1 => "wsl1",
            Self::Wsl2 => "wsl2",
            Self::Container => "container",
            Self::DevContainer => "dev-container",
            Self::Codespace => "codespace",
            Self::Ssh => "ssh",
            Self::VsCode => "vs-code-remote",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wsl1 => "WSL 1",
            Self::Wsl2 => "WSL 2",
            Self::Container => "a container",
            Self::DevContainer => "a dev container",
            Self::Codespace => "a GitHub codespace",
            Self::Ssh => "an SSH session",
            Self::VsCode => "a remote window of VS Code",
        }
    }

    /// What to do where no Leeward serves on this side.
    fn advice(self) -> &'static str {
        match self {
            Self::Wsl1 => "WSL 1 shares Windows' 127.0.0.1: start the Leeward on Windows, or one here with `leeward wrap AGENT`",
            Self::Wsl2 => {
                "install Leeward inside WSL and start agents with `leeward wrap AGENT`; to use the one on Windows, set \
                 `networkingMode=mirrored` in .wslconfig, else it needs `listen` on an address that WSL reaches, `client_token` \
                 and `allowed_hosts`"
            }
            Self::Container => {
                "install Leeward inside the container (it may be its first process), or run the container with the host's network; \
                 else the host's Leeward needs `listen` on an address that the container reaches, `client_token` and \
                 `allowed_hosts = [\"host.docker.internal\"]`"
            }
            Self::DevContainer | Self::Codespace => {
                "install Leeward inside it (a line in the Dockerfile or postCreateCommand) and start agents there with \
                 `leeward wrap AGENT`"
            }
            Self::Ssh => {
                "install Leeward on this machine and start agents with `leeward wrap AGENT`; or use the one you came from: \
                 `ssh -R 8787:127.0.0.1:8787 HOST`, and then `export ANTHROPIC_BASE_URL=http://127.0.0.1:8787` here"
            }
            Self::VsCode => {
                "extensions run on this side: install Leeward here, and set their base URL to the Leeward that runs here"
            }
        }
    }
}

/// What says so.
#[derive(Clone, Copy, Debug, Default)]
struct Evidence<'e> {
    /// /proc/version.
    kernel: &'e str,
    /// /proc/1/cgroup; empty in most containers with cgroup 2.
    cgroup: &'e str,
    /// /.dockerenv or /run/.containerenv.
    container_file: bool,
    /// A program of Windows can be started.
    interop: bool,
}

/// Every kind that the evidence names, the innermost first: whoever is in a container on WSL is in a container.
fn places(evidence: Evidence<'_>, env: &dyn Fn(&str) -> Option<String>) -> Vec<Place> {
    let is_set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    let is_true = |name: &str| env(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let kernel = evidence.kernel.to_ascii_lowercase();
    let of_cgroup = ["docker", "kubepods", "containerd", "libpod", "lxc"];
    let contained = evidence.container_file
        || is_set("container")
        || is_set("KUBERNETES_SERVICE_HOST")
        || evidence.cgroup.lines().any(|line| of_cgroup.iter().any(|word| line.contains(word)));
    let mut found = Vec::new();
    if is_true("CODESPACES") {
        found.push(Place::Codespace);
    } else if is_true("REMOTE_CONTAINERS") || is_true("DEVCONTAINER") {
        found.push(Place::DevContainer);
    } else if contained {
        found.push(Place::Container);
    }
    // A container on WSL has its kernel, and none of its ways to Windows.
    if kernel.contains("microsoft") && (found.is_empty() || evidence.interop) {
        found.push(if kernel.contains("wsl2") || kernel.contains("microsoft-standard") { Place::Wsl2 } else { Place::Wsl1 });
    }
    if is_set("SSH_CONNECTION") || is_set("SSH_TTY") {
        found.push(Place::Ssh);
    }
    // VS Code sets it in terminals of its server alone; in a local window there is none.
    if is_set("VSCODE_IPC_HOOK_CLI") || is_set("VSCODE_AGENT_FOLDER") {
        found.push(Place::VsCode);
    }
    found
}

pub(super) fn remote(context: &Context) -> Finding {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let there = |file: &str| Path::new(file).exists();
    let (kernel, cgroup) = (read("/proc/version"), read("/proc/1/cgroup"));
    let evidence = Evidence {
        kernel: &kernel,
        cgroup: &cgroup,
        container_file: there("/.dockerenv") || there("/run/.containerenv"),
        interop: there("/proc/sys/fs/binfmt_misc/WSLInterop") || there("/run/WSL"),
    };
    let way = match &context.serving {
        Serving::Ours { .. } => Way::Here,
        Serving::Nobody { port: PortHolder::Somebody(holder), .. } => Way::Port(holder.to_string()),
        Serving::Nobody { .. } | Serving::Unusable(_) | Serving::NotAsked | Serving::Unanswered => Way::None,
    };
    judge(&places(evidence, &|name| context.var(name)), &way)
}

/// Whether agents on this side have a Leeward.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// One of this user serves here.
    Here,
    /// Somebody listens on its port: it may be forwarded.
    Port(String),
    None,
}

fn judge(places: &[Place], way: &Way) -> Finding {
    let facts = json!({
        "places": places.iter().map(|place| place.id()).collect::<Vec<_>>(),
        "leeward_here": *way == Way::Here,
        "port_taken": matches!(way, Way::Port(_)),
    });
    let Some(innermost) = places.first() else {
        return Finding::new(Verdict::Ok, "This is neither WSL nor a container, and no remote session.", facts);
    };
    let names = places.iter().map(|place| place.name()).collect::<Vec<_>>().join(", in ");
    match way {
        Way::Here => return Finding::new(Verdict::Ok, format!("This is {names}; Leeward serves on this side of it."), facts),
        Way::Port(holder) => {
            let measured = format!(
                "This is {names}; {holder} listens on Leeward's port on this side. If that is a forwarded port, agents here \
                 use the Leeward on the other side."
            );
            return Finding::new(Verdict::Ok, measured, facts);
        }
        Way::None => {}
    }
    // Of an SSH session in a container it is the container that decides where 127.0.0.1 is.
    let measured = format!("This is {names}, and no Leeward serves on this side: 127.0.0.1 is not the machine in front of you.");
    Finding::new(Verdict::Warning, measured, facts).advise(format!("{}; docs/remote.md has each way", innermost.advice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WSL2: &str = "Linux version 5.15.167.4-microsoft-standard-WSL2 (root@x) (gcc 11)";
    const WSL1: &str = "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com) (gcc 5.4)";
    const DEBIAN: &str = "Linux version 6.1.0-30-amd64 (debian-kernel@lists.debian.org)";

    #[test]
    fn each_place_is_known_by_its_evidence() {
        use Place::*;
        let plain = Evidence { kernel: DEBIAN, cgroup: "0::/init.scope\n", ..Evidence::default() };
        let docker = Evidence { container_file: true, ..plain };
        let rows: &[(Evidence<'_>, &[&str], &[Place])] = &[
            (plain, &[], &[]),
            (Evidence::default(), &[], &[]),
            (Evidence { kernel: WSL2, interop: true, ..plain }, &[], &[Wsl2]),
            (Evidence { kernel: WSL2, ..plain }, &[], &[Wsl2]),
            (Evidence { kernel: WSL1, interop: true, ..plain }, &[], &[Wsl1]),
            (docker, &[], &[Container]),
            (Evidence { kernel: WSL2, ..docker }, &[], &[Container]),
            (Evidence { cgroup: "0::/kubepods.slice/x\n", ..plain }, &[], &[Container]),
            (Evidence { cgroup: "12:pids:/docker/4af\n", ..plain }, &[], &[Container]),
            (plain, &["container=podman"], &[Container]),
            (plain, &["KUBERNETES_SERVICE_HOST=10.0.0.1"], &[Container]),
            (docker, &["REMOTE_CONTAINERS=true", "VSCODE_IPC_HOOK_CLI=/tmp/x"], &[DevContainer, VsCode]),
            (docker, &["DEVCONTAINER=true"], &[DevContainer]),
            (docker, &["CODESPACES=true", "DEVCONTAINER=true", "SSH_CONNECTION=a"], &[Codespace, Ssh]),
            (docker, &["REMOTE_CONTAINERS=false"], &[Container]),
            (plain, &["SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22"], &[Ssh]),
            (plain, &["SSH_TTY=/dev/pts/1", "VSCODE_IPC_HOOK_CLI=/tmp/x"], &[Ssh, VsCode]),
            (plain, &["VSCODE_AGENT_FOLDER=/root/.vscode-server"], &[VsCode]),
            (plain, &["SSH_CONNECTION=", "TERM_PROGRAM=vscode", "VSCODE_PID=1"], &[]),
        ];
        for (evidence, variables, wanted) in rows {
            let env = |name: &str| variables.iter().find_map(|v| v.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
            assert_eq!(places(*evidence, &env), *wanted, "{evidence:?} {variables:?}");
        }
    }

    #[test]
    fn what_to_do_is_the_innermost_places_and_only_where_no_leeward_serves() {
        let all = [Place::Wsl1, Place::Wsl2, Place::Container, Place::DevContainer, Place::Codespace, Place::Ssh, Place::VsCode];
        for place in all {
            let alone = judge(&[place], &Way::None);
            assert_eq!(alone.verdict, Verdict::Warning);
            assert!(alone.advice.unwrap().starts_with(place.advice()) && alone.measured.contains(place.name()));
            let served = judge(&[place], &Way::Here);
            assert!(served.verdict == Verdict::Ok && served.advice.is_none(), "{served:?}");
            assert_eq!(served.facts["places"][0], place.id());
            let forwarded = judge(&[place], &Way::Port("sshd (pid 7)".into()));
            assert!(forwarded.verdict == Verdict::Ok && forwarded.measured.contains("sshd (pid 7) listens"), "{forwarded:?}");
        }
        assert!(judge(&[Place::Container, Place::Ssh], &Way::None).advice.unwrap().starts_with(Place::Container.advice()));
        assert_eq!(judge(&[], &Way::None).verdict, Verdict::Ok);
    }
}
