//! keepalived in the lab: the yardstick of the takeover benchmark.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::enter;
use crate::process::Process;
use crate::topology::{Lab, Node, SERVICE_V4};

/// How long keepalived may take to stop.
const END: Duration = Duration::from_secs(10);

/// How keepalived is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time between adverts. VRRPv3 goes down to 10 ms; a backup waits for three of them and a skew.
    pub advert: Duration,
    /// Whether the address moves with a virtual MAC (a macvlan) or by gratuitous ARP alone.
    pub use_vmac: bool,
}

impl Config {
    /// As fast as keepalived goes.
    pub const FASTEST: Config = Config { advert: Duration::from_millis(10), use_vmac: false };

    /// The file for a node. Real-time priority, without the limit of 10 ms after which the kernel kills a
    /// keepalived that was busy with the network of a busy machine. The highest priorities below "owner" make the skew the shortest, and nobody
    /// pre-empts, as in locum's default.
    fn text(&self, node: &Node) -> String {
        let Config { advert, use_vmac } = *self;
        let seconds = advert.as_secs_f64();
        let priority = 255 - node.id();
        let vmac = if use_vmac { "use_vmac\n    vmac_xmit_base" } else { "" };
        format!(
            "global_defs {{
    router_id node{id}
    vrrp_version 3
    vrrp_rt_priority 50
    vrrp_rlimit_rttime 10000000
    vrrp_no_swap
}}
vrrp_instance service {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 7
    priority {priority}
    advert_int {seconds}
    {vmac}
    virtual_ipaddress {{
        {SERVICE_V4}/24
    }}
}}
",
            id = node.id(),
        )
    }
}

/// The keepalived of one node.
#[derive(Debug)]
pub struct Keepalived(Process);

impl Keepalived {
    /// Starts keepalived on a node.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn start(lab: &Lab, node: u8, config: &Config) -> Result<Keepalived> {
        let node = lab.node(node);
        let path = |suffix: &str| lab.files().join(format!("keepalived{}.{suffix}", node.id()));
        let file = path("conf");
        fs::write(&file, config.text(node))?;
        // A pid file of a killed predecessor makes keepalived refuse to start.
        let pid_files = [path("pid"), path("vrrp.pid")];
        for pid_file in pid_files.iter().filter(|pid_file| pid_file.exists()) {
            fs::remove_file(pid_file)?;
        }
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let ([pid, vrrp_pid], file) = (pid_files.map(text), text(file));
        let args = ["-n", "-l", "-D", "-P", "-f", &file, "-p", &pid, "-r", &vrrp_pid];
        let program = enter::find_tool("keepalived").context("keepalived is not installed")?;
        Ok(Keepalived(node.spawn("keepalived", &program, &args)?))
    }

    /// The state it entered last, by its log: `BACKUP`, `MASTER` or `FAULT`.
    pub fn state(&self) -> Option<String> {
        let log = self.0.stdout() + &self.0.stderr();
        let newest = log.lines().rev().find_map(|line| line.split_once(") Entering "));
        newest.and_then(|(_, entered)| entered.split(' ').next().map(str::to_owned))
    }

    /// SIGTERM: it says goodbye with priority 0.
    ///
    /// # Errors
    /// When it is gone.
    pub fn terminate(&self) -> Result<()> {
        self.0.terminate()
    }

    /// Waits for the end of a terminated keepalived.
    ///
    /// # Errors
    /// When it does not end.
    pub fn wait_for_end(&mut self) -> Result<()> {
        self.0.wait(END).map(drop)
    }

    /// SIGKILL to all its processes. The address stays on the dead node's interface: keepalived has no
    /// warden.
    pub fn kill(&mut self) {
        self.0.kill();
    }
}

/// Which node's kernel has the service address, when exactly one does.
///
/// # Errors
/// When none or several have it: the text says which.
pub fn holder(lab: &Lab) -> Result<u8> {
    let mut holders = Vec::new();
    for node in lab.nodes() {
        if has_address(node)? {
            holders.push(node.id());
        }
    }
    match *holders.as_slice() {
        [holder] => Ok(holder),
        _ => bail!("nodes with the service address: {holders:?}"),
    }
}

/// Removes the service address from a node whose keepalived was killed.
///
/// # Errors
/// What `ip` says.
pub fn clean(node: &Node) -> Result<()> {
    if has_address(node)? {
        node.namespace().ip(&format!("addr del {SERVICE_V4}/24 dev eth0\n"))?;
    }
    ensure!(!has_address(node)?, "node {} still has {SERVICE_V4}", node.id());
    Ok(())
}

/// Where the service is reached.
pub fn service(port: u16) -> SocketAddr {
    SocketAddr::from((SERVICE_V4, port))
}

/// `/proc/net/fib_trie` of the namespace lists local addresses; reading it starts no process.
fn has_address(node: &Node) -> Result<bool> {
    let trie = node.namespace().run(|| {
        fs::read_to_string("/proc/thread-self/net/fib_trie").context("read the routing table")
    })?;
    let wanted = format!("|-- {SERVICE_V4}");
    let mut lines = trie.lines().skip_while(|line| !line.trim_start().ends_with(&wanted));
    Ok(lines.nth(1).is_some_and(|line| line.contains("LOCAL")))
}
