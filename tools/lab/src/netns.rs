//! One network namespace: entered by threads, configured by `ip -batch`.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A named network namespace. Threads enter it; what they start stays in it.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
    fd: Arc<OwnedFd>,
}

/// How many frames went through a device, as its kernel counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Into the kernel: on a TAP what the program behind it sent.
    pub received: u64,
    /// Out of the kernel: on a TAP what the program behind it was handed.
    pub sent: u64,
}

impl Namespace {
    /// Makes several at once, which is much faster than one by one.
    ///
    /// # Errors
    /// When there is one of that name, or without the permission: be inside (see [`crate::enter`]).
    pub fn create(names: &[String]) -> Result<Vec<Namespace>> {
        let adds: String = names.iter().map(|name| format!("netns add {name}\n")).collect();
        ip_batch(&[], &adds)?;
        names.iter().map(|name| Namespace::open(name)).collect()
    }

    fn open(name: &str) -> Result<Namespace> {
        let path = PathBuf::from("/run/netns").join(name);
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        Ok(Namespace { name: name.to_owned(), fd: Arc::new(file.into()) })
    }

    /// Its name for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread of its own inside the namespace and waits for it. Processes and
    /// threads that `work` starts, and sockets it opens, belong to the namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or as `work` says.
    ///
    /// # Panics
    /// When `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
                    .with_context(|| format!("enter namespace {}", self.name))?;
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs lines of `ip` commands, without the word `ip`, in the namespace.
    ///
    /// # Errors
    /// What `ip` says, with the line it stumbled over.
    pub fn ip(&self, lines: &str) -> Result<()> {
        ip_batch(&["-n", &self.name], lines)
    }

    /// Runs lines of `bridge` commands, without the word `bridge`, in the namespace.
    ///
    /// # Errors
    /// What `bridge` says, with the line it stumbled over.
    pub fn bridge(&self, lines: &str) -> Result<()> {
        batch("bridge", &["-n", &self.name], lines)
    }

    /// Unmounts several: what still lives in one keeps it, without a name.
    pub fn delete<'a>(all: impl IntoIterator<Item = &'a Namespace>) {
        let lines: String =
            all.into_iter().map(|one| format!("netns del {}\n", one.name())).collect();
        // What stays goes when the process ends.
        let _ = ip_batch(&[], &lines);
    }

    /// How many frames went through a device so far.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn packets(&self, device: &str) -> Result<Packets> {
        // The namespace's own table: `/sys` would show the devices of another one.
        let table = self.run(|| Ok(fs::read_to_string("/proc/thread-self/net/dev")?))?;
        parse_packets(&table, device)
            .with_context(|| format!("no device {device} in namespace {}", self.name))
    }

    /// How many TCP connections the namespace's kernel has opened to somebody, answered or not.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn active_opens(&self) -> Result<u64> {
        let table = self.run(|| Ok(fs::read_to_string("/proc/thread-self/net/snmp")?))?;
        parse_active_opens(&table).context("no count of TCP connections")
    }

    /// Writes kernel settings of the namespace, as `("net/ipv4/ip_forward", "1")`.
    ///
    /// # Errors
    /// When the kernel does not know a setting or refuses a value.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.run(|| {
            for (key, value) in settings {
                let path = PathBuf::from("/proc/sys").join(key);
                // Bridges have settings only where `br_netfilter` is loaded.
                if key.starts_with("net/bridge/") && !path.exists() {
                    continue;
                }
                fs::write(&path, value).with_context(|| format!("{} = {value}", path.display()))?;
            }
            Ok(())
        })
    }
}

fn ip_batch(options: &[&str], lines: &str) -> Result<()> {
    batch("ip", options, lines)
}

fn batch(tool: &str, options: &[&str], lines: &str) -> Result<()> {
    let mut child = Command::new(tool)
        .args(options)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {tool}"))?;
    let mut stdin = child.stdin.take().with_context(|| format!("{tool} has no stdin"))?;
    // It stops reading at the first bad line: its message says more than a broken pipe.
    let written = stdin.write_all(lines.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().with_context(|| format!("wait for {tool}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{tool} {} -batch: {}\n{lines}", options.join(" "), why.trim());
    }
    written.with_context(|| format!("write to {tool}"))
}

/// A line of names, and one of values.
fn parse_active_opens(table: &str) -> Option<u64> {
    let mut rows = table.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (rows.next()?.split_whitespace(), rows.next()?.split_whitespace());
    let (_, value) = names.zip(values).find(|&(name, _)| name == "ActiveOpens")?;
    value.parse().ok()
}

/// Eight columns of what was received, eight of what was sent; both begin with bytes and packets.
fn parse_packets(table: &str, device: &str) -> Option<Packets> {
    let row = table.lines().find_map(|line| {
        let (name, row) = line.split_once(':')?;
        (name.trim() == device).then_some(row)
    })?;
    let columns: Vec<u64> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Some(Packets { received: *columns.get(1)?, sent: *columns.get(9)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_one_device_are_found() {
        let table = "Inter-|   Receive | Transmit\n face |bytes packets errs\n\
             tap01: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n\
              tap0: 90 7 0 0 0 0 0 0 1234 12 0 0 0 0 0 0\n";
        assert_eq!(parse_packets(table, "tap0"), Some(Packets { received: 7, sent: 12 }));
        assert_eq!(parse_packets(table, "tap"), None);
    }

    #[test]
    fn opened_connections_are_found_by_their_name() {
        let table = "Ip: Forwarding ActiveOpens\nIp: 2 64\n\
             Tcp: RtoMin ActiveOpens PassiveOpens\nTcp: 200 18 3\n";
        assert_eq!(parse_active_opens(table), Some(18));
        assert_eq!(parse_active_opens("Ip: 1\n"), None);
    }
}
