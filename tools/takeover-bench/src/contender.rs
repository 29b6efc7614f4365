//! What is compared: locum and keepalived, each as a pair of nodes in the same network.

use std::env;
use std::path::Path;

use anyhow::{Result, bail};
use clap::ValueEnum;
use locum_lab::keepalived::{self, Keepalived};
use locum_lab::locum::{self, Group};
use locum_lab::process::Process;
use locum_lab::{Lab, NodeKind, Topology};
use serde::Serialize;

use crate::ECHO_SERVER;

/// The port of the echo service.
pub(crate) const ECHO_PORT: u16 = 7;

/// What happens to the active node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fault {
    /// Its cable is pulled.
    Cut,
    /// Its process dies by SIGKILL: locum's worker, or all of keepalived and its service.
    Kill,
    /// It is told to stop by SIGTERM.
    Term,
    /// The operator hands over. keepalived has no such command.
    Handover,
}

impl Fault {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Fault::Cut => "cut link",
            Fault::Kill => "SIGKILL",
            Fault::Term => "SIGTERM",
            Fault::Handover => "hand-over",
        }
    }
}

/// A pair of nodes that can be struck and restored, over and over.
pub(crate) trait Contender {
    /// Whether it knows this fault.
    fn supports(&self, fault: Fault) -> bool;
    /// The node that serves, when one does and the other could take over; or how things stand.
    fn steady(&self) -> Result<u8, String>;
    /// Brings the fault over a node.
    fn strike(&mut self, fault: Fault, node: u8) -> Result<()>;
    /// Undoes the fault: afterwards the pair goes to its steady state by itself.
    fn restore(&mut self, fault: Fault, node: u8) -> Result<()>;
    /// For the report of a failure.
    fn report(&self) -> String;
}

/// The network of both.
pub(crate) fn lab(name: &str, kind: NodeKind) -> Result<Lab> {
    Lab::new(name, Topology { kind, ..Topology::default() })
}

/// A pair of locum nodes.
pub(crate) struct LocumPair<'lab> {
    lab: &'lab Lab,
    group: Group<'lab>,
    replicated: bool,
}

impl<'lab> LocumPair<'lab> {
    pub(crate) fn start(lab: &'lab Lab, binary: &Path, config: &locum::Config) -> Result<Self> {
        let group = Group::start(lab, binary, config)?;
        Ok(LocumPair { lab, group, replicated: config.replication })
    }

    pub(crate) fn group(&self) -> &Group<'lab> {
        &self.group
    }
}

impl Contender for LocumPair<'_> {
    fn supports(&self, fault: Fault) -> bool {
        match fault {
            Fault::Cut | Fault::Kill | Fault::Term | Fault::Handover => true,
        }
    }

    fn steady(&self) -> Result<u8, String> {
        let active = self.group.steady()?;
        if self.replicated {
            self.group.protected()?;
        }
        Ok(active)
    }

    fn strike(&mut self, fault: Fault, node: u8) -> Result<()> {
        match fault {
            Fault::Cut => self.lab.cut(node),
            Fault::Kill => self.group.process(node)?.kill_worker(),
            Fault::Term => self.group.process(node)?.terminate(),
            Fault::Handover => self.group.handover(node),
        }
    }

    fn restore(&mut self, fault: Fault, node: u8) -> Result<()> {
        match fault {
            Fault::Cut => self.lab.heal(node),
            Fault::Kill | Fault::Term => {
                self.group.wait_for_end(node)?;
                self.group.start_node(node)
            }
            Fault::Handover => Ok(()),
        }
    }

    fn report(&self) -> String {
        self.group.report()
    }
}

/// A pair of keepalived nodes, each with an echo server of this program.
pub(crate) struct KeepalivedPair<'lab> {
    lab: &'lab Lab,
    config: keepalived::Config,
    nodes: Vec<Keepalived>,
    /// The services, apart from keepalived as they are in real life.
    services: Vec<Process>,
}

impl<'lab> KeepalivedPair<'lab> {
    pub(crate) fn start(lab: &'lab Lab, config: keepalived::Config) -> Result<Self> {
        let mut pair = KeepalivedPair { lab, config, nodes: Vec::new(), services: Vec::new() };
        for node in lab.nodes() {
            pair.nodes.push(Keepalived::start(lab, node.id(), &config)?);
            pair.services.push(pair.start_service(node.id())?);
        }
        Ok(pair)
    }

    fn start_service(&self, node: u8) -> Result<Process> {
        let address = keepalived::service(ECHO_PORT).to_string();
        let args = [ECHO_SERVER, &address];
        self.lab.node(node).spawn("service", &env::current_exe()?, &args)
    }

    fn other(node: u8) -> u8 {
        3 - node
    }
}

impl Contender for KeepalivedPair<'_> {
    fn supports(&self, fault: Fault) -> bool {
        match fault {
            Fault::Cut | Fault::Kill | Fault::Term => true,
            Fault::Handover => false,
        }
    }

    fn steady(&self) -> Result<u8, String> {
        let holder = keepalived::holder(self.lab).map_err(|error| error.to_string())?;
        for (node, state) in [(holder, "MASTER"), (Self::other(holder), "BACKUP")] {
            let newest = self.nodes[usize::from(node) - 1].state();
            if newest.as_deref() != Some(state) {
                return Err(format!("node {node} in {newest:?}"));
            }
        }
        Ok(holder)
    }

    fn strike(&mut self, fault: Fault, node: u8) -> Result<()> {
        let index = usize::from(node) - 1;
        match fault {
            Fault::Cut => self.lab.cut(node),
            Fault::Kill => {
                self.nodes[index].kill();
                self.services[index].kill();
                Ok(())
            }
            Fault::Term => self.nodes[index].terminate(),
            Fault::Handover => bail!("keepalived has no command to hand over"),
        }
    }

    fn restore(&mut self, fault: Fault, node: u8) -> Result<()> {
        let index = usize::from(node) - 1;
        match fault {
            Fault::Cut => return self.lab.heal(node),
            Fault::Kill => {
                keepalived::clean(self.lab.node(node))?;
                self.services[index] = self.start_service(node)?;
            }
            Fault::Term => self.nodes[index].wait_for_end()?,
            Fault::Handover => bail!("keepalived has no command to hand over"),
        }
        self.nodes[index] = Keepalived::start(self.lab, node, &self.config)?;
        Ok(())
    }

    fn report(&self) -> String {
        self.lab.logs()
    }
}
