//! The switch: a [`Segment`] whose ports are devices of the kernel.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use locum_link::segment::impair::Impairment;
use locum_link::segment::rule::{Direction, Fate, Observation};
use locum_link::segment::{Config, PortCounters, PortId, Segment, SwitchCounters};
use locum_link::{Clock, PacketSocket, PcapWriter, Received, Sent, Tap};
use locum_types::Instant;

use crate::command::{Command, CommandError, Way};
use crate::port::{Buffers, Device, DeviceCounters};

/// Reads from one port before the others have their turn.
const BURST: usize = 64;

/// Frames are kept whole in captures.
const SNAPLEN: u32 = locum_link::pcap::SNAPLEN_MAX;

/// A switch: see the [crate].
#[derive(Debug)]
pub struct Switch {
    segment: Segment,
    seed: u64,
    ports: Vec<Port>,
    buffers: Buffers,
    lateness: Lateness,
}

#[derive(Debug)]
struct Port {
    id: PortId,
    name: String,
    /// Unplugged once its interface was deleted, which would be broken at every wait.
    device: Option<Device>,
}

/// How late frames with a latency left the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
struct Lateness {
    /// Times that the switch woke for a frame that was due.
    count: u64,
    /// Their sum, in nanoseconds.
    total_ns: u64,
    /// The worst of them, in nanoseconds.
    max_ns: u64,
}

impl Lateness {
    fn note(&mut self, late: Duration) {
        let late = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.count += 1;
        self.total_ns = self.total_ns.saturating_add(late);
        self.max_ns = self.max_ns.max(late);
    }
}

/// The answer to [`Command::Stats`].
#[derive(Debug, serde::Serialize)]
struct Stats<'a> {
    switch: SwitchCounters,
    late: Lateness,
    ports: BTreeMap<&'a str, PortStats>,
}

#[derive(Debug, serde::Serialize)]
struct PortStats {
    up: bool,
    cable: PortCounters,
    device: Option<DeviceCounters>,
}

impl Switch {
    /// A switch without ports, of the default [`Config`]. `seed` decides what chance does on bad
    /// cables.
    pub fn new(seed: u64) -> Switch {
        Switch::with_config(seed, Config::default())
    }

    /// A switch without ports, of these sizes.
    pub fn with_config(seed: u64, config: Config) -> Switch {
        Switch {
            segment: Segment::new(config),
            seed,
            ports: Vec::new(),
            buffers: Buffers::default(),
            lateness: Lateness::default(),
        }
    }

    /// Adds a port whose cable leads to a TAP.
    ///
    /// # Errors
    /// When the name is taken, or no word of the line protocol.
    pub fn add_tap(&mut self, name: &str, tap: Tap) -> io::Result<()> {
        self.add(name, Some(Device::Tap(tap)))
    }

    /// Adds a port whose cable leads to an interface of the calling thread's network namespace, by
    /// a [`PacketSocket`]. What the kernel itself hears there it goes on hearing.
    ///
    /// # Errors
    /// As [`Switch::add_tap`] and [`PacketSocket::open`].
    pub fn add_interface(&mut self, name: &str, device: &str) -> io::Result<()> {
        self.add(name, Some(Device::Interface(PacketSocket::open(device)?)))
    }

    fn add(&mut self, name: &str, device: Option<Device>) -> io::Result<()> {
        let refuse = |what: &str| {
            let message = format!("port name {name:?} {what}");
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        };
        if name.is_empty() || name.contains(|letter: char| letter.is_whitespace() || letter == '/')
        {
            return refuse("must be a word without '/'");
        }
        if self.ports.iter().any(|port| port.name == name) {
            return refuse("is taken: give each port its own");
        }
        if let Some(device) = &device {
            self.buffers.fit(device);
        }
        let id = self.segment.add_port();
        self.ports.push(Port { id, name: name.to_owned(), device });
        Ok(())
    }

    /// Captures what the station behind each port so far sends and receives, as `PORT.pcap`.
    ///
    /// What it sends is captured even if it is lost on the way into the switch, what it would have
    /// received is not.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn record(&mut self, directory: &Path) -> io::Result<()> {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let epoch = wall.saturating_sub(Duration::from_nanos(Clock.now().as_nanos()));
        for port in &self.ports {
            let path = directory.join(format!("{}.pcap", port.name));
            let file = File::create(&path).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot make {}: {error}", path.display()))
            })?;
            // Not buffered: a capture is whole however the switch ends.
            let mut writer = Some(PcapWriter::new(file, SNAPLEN, epoch)?);
            let id = port.id;
            self.segment.observe(move |seen: &Observation<'_>| {
                let heard = seen.direction == Direction::Transmit || seen.fate == Fate::Passed;
                if seen.port != id || !heard {
                    return;
                }
                let result = writer.as_mut().map(|writer| writer.write(seen.at, seen.frame));
                if let Some(Err(error)) = result {
                    log::warn!("the capture {} ends here: {error}", path.display());
                    writer = None;
                }
            });
        }
        Ok(())
    }

    /// Does what it is told; the answer, empty but for [`Command::Stats`].
    ///
    /// # Errors
    /// There is no such port.
    pub fn obey(&mut self, command: &Command) -> Result<String, CommandError> {
        match command {
            Command::Impair { port, way, impairment } => {
                self.impair(self.find(port)?, *way, impairment);
            }
            Command::Clear { port } => {
                self.impair(self.find(port)?, Way::Both, &Impairment::default());
            }
            Command::Cut { port, way } => self.set_cut(self.find(port)?, *way, true),
            Command::Heal { port, way } => self.set_cut(self.find(port)?, *way, false),
            Command::Down { port } => self.segment.set_up(self.find(port)?, false),
            Command::Up { port } => self.segment.set_up(self.find(port)?, true),
            Command::Ageing(ageing) => self.segment.set_ageing(*ageing),
            Command::Stats => return Ok(self.stats()),
        }
        Ok(String::new())
    }

    fn find(&self, name: &str) -> Result<PortId, CommandError> {
        let found = self.ports.iter().find(|port| port.name == name);
        found.map(|port| port.id).ok_or_else(|| CommandError::UnknownPort {
            name: name.to_owned(),
            ports: self.ports.iter().map(|port| port.name.clone()).collect(),
        })
    }

    fn impair(&mut self, port: PortId, way: Way, impairment: &Impairment) {
        for direction in way.directions() {
            // Each direction draws for itself: what is said of one changes nothing on another.
            let seed = (port.index() as u64) << 1 | u64::from(*direction == Direction::Receive);
            let seed = fastrand::Rng::with_seed(self.seed ^ seed).u64(..);
            self.segment.set_impairment(port, *direction, impairment.clone(), seed);
        }
    }

    fn set_cut(&mut self, port: PortId, way: Way, cut: bool) {
        for direction in way.directions() {
            self.segment.set_cut(port, *direction, cut);
        }
    }

    fn stats(&self) -> String {
        let ports = self.ports.iter().map(|port| {
            let stats = PortStats {
                up: self.segment.is_up(port.id),
                cable: self.segment.port_counters(port.id),
                device: port.device.as_ref().map(Device::counters),
            };
            (port.name.as_str(), stats)
        });
        let stats =
            Stats { switch: self.segment.counters(), late: self.lateness, ports: ports.collect() };
        serde_json::to_string(&stats).expect("numbers, and keys that are text")
    }

    /// The ports whose interface exists: their numbers, and what to wait for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let ports = self.ports.iter().enumerate();
        ports.filter_map(|(number, port)| Some((number, port.device.as_ref()?.as_fd())))
    }

    /// Reads a burst from each of these ports, and sends on what is due after each.
    pub(crate) fn receive(&mut self, ready: &[usize]) {
        for number in ready {
            self.receive_from(*number);
            self.transmit();
        }
    }

    fn receive_from(&mut self, number: usize) {
        let Switch { segment, ports, buffers, .. } = self;
        let Some(port) = ports.get_mut(number) else { return };
        for _ in 0..BURST {
            let (id, Some(device)) = (port.id, &port.device) else { return };
            match device.recv(buffers, |frame| segment.send(Clock.now(), id, frame)) {
                Received::Frame(_) | Received::Oversize => {}
                Received::Empty | Received::LinkDown => return,
                Received::Gone => port.unplug(),
            }
        }
    }

    /// Delivers what is due now.
    pub(crate) fn deliver(&mut self) {
        let now = Clock.now();
        if let Some(due) = self.segment.next_delivery().filter(|due| *due <= now) {
            self.lateness.note(now - due);
            self.segment.poll(now);
        }
        self.transmit();
    }

    /// When the next frame is due.
    pub(crate) fn next_delivery(&self) -> Option<Instant> {
        self.segment.next_delivery()
    }

    /// Hands every device what waits for it.
    fn transmit(&mut self) {
        let Switch { segment, ports, .. } = self;
        for port in ports {
            let device = &port.device;
            let send =
                |frame: &[u8]| device.as_ref().map_or(Sent::Gone, |device| device.send(frame));
            let mut gone = false;
            while let Some(sent) = segment.recv(port.id, send) {
                gone |= sent == Sent::Gone;
            }
            if gone {
                port.unplug();
            }
        }
    }
}

impl Port {
    /// Its interface is no more.
    fn unplug(&mut self) {
        if self.device.take().is_some() {
            log::warn!("the interface of port {} was deleted: it stays unplugged", self.name);
        }
    }
}

#[cfg(test)]
mod tests;
