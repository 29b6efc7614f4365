//! Who is measured: redis-server in the kernel's network stack, and locum in its own, in networks of the same shape.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use locum_lab::locum::Config;
use locum_lab::node::Locum;
use locum_lab::process::Process;
use locum_lab::{Lab, NodeKind, SERVICE_V4, Topology, wait};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server with its network.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) lab: Lab,
    /// Where clients reach it.
    pub(crate) address: Ipv4Addr,
    /// They end with this.
    _processes: Vec<Process>,
}

impl Contender {
    /// redis-server, without persistence, on a kernel veth.
    pub(crate) fn redis() -> Result<Contender> {
        let lab = Lab::new("redis", Topology { kind: NodeKind::Kernel, ..Topology::default() })?;
        let address = lab.node(1).address();
        let bind = address.to_string();
        let words = ["--bind", &bind, "--protected-mode", "no", "--save", "", "--appendonly", "no"];
        let server = lab.node(1).spawn("redis-server", Path::new("redis-server"), &words)?;
        let contender = Contender { name: "redis-server", lab, address, _processes: vec![server] };
        wait::until("redis-server", PATIENCE, || contender.answers())?;
        Ok(contender)
    }

    /// The first of two nodes of locum: alone, or with the second one to follow it.
    pub(crate) fn locum(binary: &Path, protected: bool) -> Result<Contender> {
        let name = if protected { "locum, protected" } else { "locum, unprotected" };
        let lab = Lab::new(if protected { "pair" } else { "alone" }, Topology::default())?;
        let locum = Locum::new(binary, lab.files());
        locum.prepare()?;
        let mut processes = Vec::new();
        for (id, wanted) in [(1, "unprotected"), (2, "in_sync")] {
            if id == 2 && !protected {
                break;
            }
            let file = Config::default().file(&lab, id).write()?.to_string_lossy().into_owned();
            processes.push(lab.node(id).spawn("locum", locum.binary(), &["run", "-c", &file])?);
            wait::until(wanted, PATIENCE, || {
                let status = locum.status(id).map_err(|error| format!("{error:#}"))?;
                let protection = status["replication"]["protection"].as_str().unwrap_or_default();
                if protection == wanted { Ok(()) } else { Err(protection.to_owned()) }
            })?;
        }
        let contender = Contender { name, lab, address: SERVICE_V4, _processes: processes };
        wait::until("the service", PATIENCE, || contender.answers())?;
        Ok(contender)
    }

    fn answers(&self) -> Result<(), String> {
        let address = self.address.to_string();
        let output = self.lab.client(1).run("redis-cli", &["-h", &address, "PING"]);
        match output {
            Ok(output) if output.stdout.trim() == "PONG" => Ok(()),
            Ok(output) => Err(output.stderr),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    /// Requests per second of one run of redis-benchmark with 50 connections.
    pub(crate) fn measure(&self, test: &Test, requests: usize) -> Result<f64> {
        let (address, requests) = (self.address.to_string(), requests.to_string());
        let pipeline = test.pipeline.to_string();
        let words = [
            "-h",
            &address,
            "-c",
            "50",
            "-P",
            &pipeline,
            "-n",
            &requests,
            "-r",
            "100000",
            "-t",
            test.command,
            "--csv",
        ];
        let output = self.lab.client(1).run("redis-benchmark", &words)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        let text = output.success()?;
        // "GET","98765.43",... after a line of headings.
        let row = text.lines().last().unwrap_or_default();
        let rate = row.split(',').nth(1).and_then(|rate| rate.trim_matches('"').parse().ok());
        ensure!(rate.is_some(), "redis-benchmark of {}: {said}", self.name);
        Ok(rate.unwrap_or_default())
    }
}

/// One kind of load.
pub(crate) struct Test {
    pub(crate) command: &'static str,
    pub(crate) pipeline: usize,
}
