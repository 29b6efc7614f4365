//! The network of a test: nodes and clients on one bridge, and the ways to break it.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::capture::Capture;
use crate::netns::Namespace;
use crate::process::{Output, Process, run_tool};
use crate::room::{self, Room};
use crate::wiring::{MUTE, PROMPT, bridge, cable, uplink};

/// What a node's cable ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A bridge with a TAP as its other port, as locum is deployed. The kernel has no address.
    Tap,
    /// The kernel's own network stack with the node address, as keepalived needs it.
    Kernel,
}

/// The shape of a lab.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// How many nodes, with ids from 1.
    pub nodes: u8,
    /// How many clients, numbered from 1.
    pub clients: u8,
    /// What the nodes are.
    pub kind: NodeKind,
    /// Whether the nodes have a second network for heartbeats: `hb0` on its own bridge.
    pub heartbeat_network: bool,
    /// When bridges forget where they saw a MAC address. Zero makes them hubs: everyone hears all.
    pub ageing: Duration,
}

impl Default for Topology {
    fn default() -> Topology {
        Topology {
            nodes: 2,
            clients: 1,
            kind: NodeKind::Tap,
            heartbeat_network: false,
            ageing: Duration::from_secs(300),
        }
    }
}

/// A small network. Dropping it takes down its namespaces and everything in them.
#[derive(Debug)]
pub struct Lab {
    lan: Namespace,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    files: PathBuf,
}

/// One node's namespace.
#[derive(Debug)]
pub struct Node {
    id: u8,
    namespace: Namespace,
    files: PathBuf,
}

/// One client's namespace, with a kernel that has `10.77.0.200+n` and `fd77::200+n`.
#[derive(Debug)]
pub struct Client {
    number: u8,
    namespace: Namespace,
    files: PathBuf,
    runs: Cell<u32>,
}

/// The service address of every lab.
pub const SERVICE_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// The IPv6 service address of every lab.
pub const SERVICE_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100);

impl Lab {
    /// Builds the network. Call it inside (see [`crate::enter`]).
    ///
    /// # Errors
    /// What the kernel or `ip` refuses.
    pub fn new(name: &str, topology: Topology) -> Result<Lab> {
        let Room { prefix, files } = Room::new(name)?;
        let mut names = vec![format!("{prefix}-lan")];
        names.extend((1..=topology.nodes).map(|id| format!("{prefix}-node{id}")));
        names.extend((1..=topology.clients).map(|number| format!("{prefix}-client{number}")));
        let mut namespaces = Namespace::create(&names)?.into_iter();
        let lan = namespaces.next().context("the lan was just created")?;
        let nodes: Vec<Node> = (1..=topology.nodes)
            .zip(namespaces.by_ref())
            .map(|(id, namespace)| Node { id, namespace, files: files.clone() })
            .collect();
        let clients: Vec<Client> = (1..=topology.clients)
            .zip(namespaces)
            .map(|(number, namespace)| Client {
                number,
                namespace,
                files: files.clone(),
                runs: Cell::new(0),
            })
            .collect();
        let lab = Lab { lan, nodes, clients, files };
        lab.build(&topology)?;
        Ok(lab)
    }

    fn build(&self, topology: &Topology) -> Result<()> {
        self.lan.sysctl(&MUTE)?;
        let mut lines = bridge("br0", topology.ageing);
        // Ports are moved here by `partition`.
        lines += &bridge("island", topology.ageing);
        for node in &self.nodes {
            lines += &cable(&node.port(), "br0", "eth0", node.namespace.name());
        }
        for client in &self.clients {
            lines += &cable(&client.port(), "br0", "eth0", client.namespace.name());
        }
        if topology.heartbeat_network {
            lines += &bridge("br1", topology.ageing);
            for node in &self.nodes {
                lines += &cable(&node.heartbeat_port(), "br1", "eth1", node.namespace.name());
            }
        }
        self.lan.ip(&lines)?;
        for node in &self.nodes {
            node.build(topology)?;
        }
        for client in &self.clients {
            client.build()?;
        }
        Ok(())
    }

    /// The node with this id, from 1.
    ///
    /// # Panics
    /// When the topology has no such node: a mistake in the test.
    pub fn node(&self, id: u8) -> &Node {
        self.nodes.iter().find(|node| node.id == id).expect("the topology has this node")
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The client with this number, from 1.
    ///
    /// # Panics
    /// When the topology has no such client: a mistake in the test.
    pub fn client(&self, number: u8) -> &Client {
        let mut clients = self.clients.iter();
        clients.find(|client| client.number == number).expect("the topology has this client")
    }

    /// The directory of this lab's logs, captures and configuration files.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// Pulls the cable of a node: the switch's end goes down, the node loses carrier.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn cut(&self, node: u8) -> Result<()> {
        self.lan.ip(&format!("link set {} down\n", self.node(node).port()))
    }

    /// Plugs the cable of a node in again.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn heal(&self, node: u8) -> Result<()> {
        self.lan.ip(&format!("link set {} up\n", self.node(node).port()))
    }

    /// Pulls the cable of a node's heartbeat network alone.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn cut_heartbeat(&self, node: u8) -> Result<()> {
        self.lan.ip(&format!("link set {} down\n", self.node(node).heartbeat_port()))
    }

    /// Moves nodes and clients to another bridge. Unlike a cut nobody sees a carrier change.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn partition(&self, nodes: &[u8], clients: &[u8]) -> Result<()> {
        self.move_ports(nodes, clients, "island")
    }

    /// Moves nodes and clients back.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn reunite(&self, nodes: &[u8], clients: &[u8]) -> Result<()> {
        self.move_ports(nodes, clients, "br0")
    }

    fn move_ports(&self, nodes: &[u8], clients: &[u8], bridge: &str) -> Result<()> {
        let nodes = nodes.iter().map(|&id| self.node(id).port());
        let clients = clients.iter().map(|&number| self.client(number).port());
        let mut lines = String::new();
        for port in nodes.chain(clients) {
            writeln!(lines, "link set {port} master {bridge}")?;
        }
        self.lan.ip(&lines)
    }

    /// Everything the programs of this lab have written, for the report of a failure.
    pub fn logs(&self) -> String {
        room::logs(&self.files)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let nodes = self.nodes.iter().map(|node| &node.namespace);
        let clients = self.clients.iter().map(|client| &client.namespace);
        Namespace::delete(nodes.chain(clients).chain([&self.lan]));
    }
}

impl Node {
    fn build(&self, topology: &Topology) -> Result<()> {
        match topology.kind {
            NodeKind::Tap => {
                self.namespace.sysctl(&MUTE)?;
                let mut lines = uplink("br0", "eth0", "tap0", topology.ageing);
                if topology.heartbeat_network {
                    lines += &uplink("br1", "eth1", "hb0", topology.ageing);
                }
                self.namespace.ip(&lines)
            }
            NodeKind::Kernel => {
                self.namespace.sysctl(&PROMPT)?;
                // So that a service can bind the service address before the node has it.
                self.namespace.sysctl(&[("net/ipv4/ip_nonlocal_bind", "1")])?;
                self.namespace
                    .ip(&format!("addr add {}/24 dev eth0\nlink set eth0 up\n", self.address()))
            }
        }
    }

    /// Its id, from 1.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// Its own IPv4 address: `10.77.0.10+id`.
    pub fn address(&self) -> Ipv4Addr {
        crate::node::address(self.id)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Starts a program in its namespace.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn<S: AsRef<OsStr> + Sync>(
        &self,
        name: &str,
        program: &Path,
        args: &[S],
    ) -> Result<Process> {
        let name = format!("node{}-{name}", self.id);
        Process::spawn(&self.namespace, &self.files, &name, program, args)
    }

    /// Records every frame that the program behind `device` sends, from now on.
    ///
    /// # Errors
    /// When tcpdump does not start.
    pub fn capture(&self, device: &str) -> Result<Capture> {
        let name = format!("node{}-{device}", self.id);
        Capture::start(&self.namespace, &self.files, &name, device)
    }

    fn port(&self) -> String {
        format!("node{}", self.id)
    }

    fn heartbeat_port(&self) -> String {
        format!("hb{}", self.id)
    }
}

impl Client {
    fn build(&self) -> Result<()> {
        self.namespace.sysctl(&PROMPT)?;
        self.namespace.ip(&format!(
            "addr add {}/24 dev eth0\naddr add {}/64 dev eth0 nodad\nlink set eth0 up\n",
            self.address(),
            self.address_v6(),
        ))
    }

    /// Its IPv4 address: `10.77.0.200+n`.
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 200 + self.number)
    }

    /// Its IPv6 address: `fd77::200+n`.
    pub fn address_v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x200 + u16::from(self.number))
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn<S: AsRef<OsStr> + Sync>(&self, program: &str, args: &[S]) -> Result<Process> {
        Process::spawn(
            &self.namespace,
            &self.files,
            &self.run_name(program),
            Path::new(program),
            args,
        )
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it cannot be started or hangs.
    pub fn run<S: AsRef<OsStr> + Sync>(&self, program: &str, args: &[S]) -> Result<Output> {
        run_tool(&self.namespace, &self.files, &self.run_name(program), program, args)
    }

    /// The MAC address that its kernel has learnt for an address, if any.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn neighbour(&self, address: IpAddr) -> Result<Option<String>> {
        let address = address.to_string();
        let shown = self.run("ip", &["neigh", "show", address.as_str()])?.success()?;
        let mut words = shown.split_whitespace().skip_while(|&word| word != "lladdr");
        Ok(words.nth(1).map(str::to_owned))
    }

    fn port(&self) -> String {
        format!("client{}", self.number)
    }

    fn run_name(&self, program: &str) -> String {
        self.runs.set(self.runs.get() + 1);
        format!("client{}-{}-{program}", self.number, self.runs.get())
    }
}
