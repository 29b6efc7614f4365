//! The door of the lab: running the calling program again inside private namespaces.
//!
//! The program starts itself a second time as process 1 of a new process namespace (as TigerBeetle's
//! vortex does), with its own network, its own mounts and an empty `/run`. The first instance only
//! waits. If it dies, by `^C`, SIGTERM or SIGKILL, the kernel kills process 1 and with it everything
//! inside. This needs no cleanup code, so none can be wrong.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Set for the instance that runs inside.
const INSIDE: &str = "LOCUM_LAB_INSIDE";

/// Run inside, before the program: process 1 is the shell until its `exec`.
const PRELUDE: &str =
    r#"mount -t tmpfs lab /run && mkdir /run/lab && ip link set lo up && exec "$0" "$@""#;

/// Run inside by [`probe`]: each thing the lab builds, once.
const REHEARSAL: &str = r#"
try() { "$@" 2>/run/why || { echo "$*: $(cat /run/why)" >&2; exit 1; }; }
mount -t tmpfs lab /run || exit 1
try ip netns add probe
try ip link add veth0 type veth peer name veth1 netns probe
try ip link add br0 type bridge stp_state 0
try ip tuntap add dev tap0 mode tap
try ip link set tap0 master br0 up
"#;

/// What this machine lacks for the lab, and how to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the calling program stands after [`enter`].
#[derive(Debug)]
pub enum Entered {
    /// Inside: build labs.
    Inside,
    /// Outside, and the instance inside has finished: end with its exit code.
    Finished(ExitCode),
    /// Outside, and there is no way in.
    Unable(Missing),
}

/// Goes inside. Call it first thing in `main`, before any thread exists.
///
/// `tools` are the programs the caller means to run, such as `tcpdump`.
pub fn enter(tools: &[&str]) -> Entered {
    if is_inside() {
        return Entered::Inside;
    }
    if let Err(missing) = probe(tools) {
        return Entered::Unable(missing);
    }
    match run_inside() {
        Ok(code) => Entered::Finished(code),
        Err(error) => Entered::Unable(Missing(format!("cannot start again inside: {error}"))),
    }
}

/// Whether the calling program is inside.
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Whether this machine and this user can run the lab.
///
/// # Errors
/// Names the first thing that is missing and the way to get it.
pub fn probe(tools: &[&str]) -> Result<(), Missing> {
    let needed = ["setpriv", "unshare", "sh", "mount", "ip"];
    for tool in needed.iter().chain(tools) {
        if find_tool(tool).is_none() {
            let package = debian_package(tool);
            return Err(Missing(format!("no `{tool}` in PATH: apt-get install {package}")));
        }
    }
    if let Err(error) = fs::File::options().read(true).write(true).open("/dev/net/tun") {
        return Err(Missing(format!(
            "/dev/net/tun: {error}: load the module (modprobe tun) and give this user read and write"
        )));
    }
    let rehearsal = unshare()
        .args(["sh", "-c", REHEARSAL])
        .output()
        .map_err(|error| Missing(format!("cannot run setpriv: {error}")))?;
    if rehearsal.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&rehearsal.stderr);
    Err(Missing(format!(
        "cannot build a network in namespaces: {}: run as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN",
        why.trim()
    )))
}

/// The full path of a program in `PATH` or in the system directories that a user's `PATH` may lack.
pub fn find_tool(name: &str) -> Option<PathBuf> {
    env::split_paths(&full_path()).map(|dir| dir.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn run_inside() -> io::Result<ExitCode> {
    let status = unshare()
        .args(["sh", "-c", PRELUDE])
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .status()?;
    // Killed by a signal: say "failed", as nobody asks which one.
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// `setpriv` ties the life of `unshare` to ours, `--kill-child` that of process 1 to `unshare`'s.
fn unshare() -> Command {
    let mut command = Command::new("setpriv");
    command.env("PATH", full_path());
    command.args(["--pdeathsig", "KILL", "unshare"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command
}

fn full_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

fn debian_package(tool: &str) -> &str {
    match tool {
        "bridge" | "ip" => "iproute2",
        "mount" => "mount",
        "nc" => "netcat-openbsd",
        "ping" => "iputils-ping",
        "setpriv" | "unshare" => "util-linux",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let missing = probe(&["no-such-tool-here"]).expect_err("there is no such tool");
        assert_eq!(
            missing.to_string(),
            "no `no-such-tool-here` in PATH: apt-get install no-such-tool-here"
        );
    }
}
