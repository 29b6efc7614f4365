//! The switches of a scenario and the cables that are plugged into them, in a namespace of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use locum_l2switch::{Command, Handle, Switch};
use locum_lab::Namespace;
use locum_lab::wiring::{MUTE, bridge};
use locum_link::segment;
use locum_link::segment::impair::Impairment;
use locum_link::{Tap, TapOptions};

use crate::model::{Action, Scenario, Segment, Way};

/// When a switch forgets a silent station, unless the file says otherwise.
const AGEING: Duration = Duration::from_secs(300);

/// The device of a machine's namespace into which its cable is plugged.
pub(super) const MACHINE_DEVICE: &str = "eth0";

/// The name of the switch of a scenario that has none of its own.
const ONLY_SEGMENT: &str = "lan";

/// The states of a bridge port in the words of `bridge link set`: `BR_STATE_DISABLED` and `_FORWARDING`.
const DISABLED: u8 = 0;
const FORWARDING: u8 = 3;

/// A machine's end of a cable, and where the other one goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plug<'a> {
    /// The name of the cable.
    pub(super) link: &'a str,
    /// The switch; the first if none is named.
    pub(super) segment: Option<&'a str>,
    pub(super) machine: &'a Namespace,
}

/// Switches and cables.
#[derive(Debug)]
pub(super) struct Fabric {
    lan: Namespace,
    /// The ends of each cable at the switches, by its name: a trunk has two.
    cables: BTreeMap<String, Vec<End>>,
    /// The switches in user space; without them the kernel's bridges do it.
    switches: Vec<Handle>,
}

/// Where a cable is plugged into a switch.
#[derive(Clone, Debug)]
struct End {
    device: String,
    /// The number of the switch, and the name of the port there.
    switch: usize,
    port: String,
}

impl Fabric {
    /// Builds the switches of a scenario in `lan`, and plugs in its machines. `seed` is for what chance
    /// does on bad cables.
    pub(super) fn build(
        lan: Namespace,
        scenario: &Scenario,
        plugs: &[Plug<'_>],
        seed: u64,
    ) -> Result<Fabric> {
        lan.sysctl(&MUTE)?;
        let mut wiring = Wiring::new(scenario);
        for (index, plug) in plugs.iter().enumerate() {
            // Devices have short names, cables any.
            let device = format!("port{index}");
            let machine = plug.machine.name();
            writeln!(
                wiring.lines,
                "link add {device} type veth peer name {MACHINE_DEVICE} netns {machine}"
            )?;
            let end = wiring.plug(device, plug.segment)?;
            wiring.cables.insert(plug.link.to_owned(), vec![end]);
        }
        for (index, trunk) in scenario.trunks.iter().map(|trunk| trunk.get_ref()).enumerate() {
            let [first, second] = [0, 1].map(|end| format!("trunk{index}.{end}"));
            writeln!(wiring.lines, "link add {first} type veth peer name {second}")?;
            let ends = [first, second].into_iter().zip(&trunk.between);
            let ends = ends.map(|(device, segment)| wiring.plug(device, Some(segment)));
            let ends = ends.collect::<Result<_>>()?;
            wiring.cables.insert(trunk.name.clone(), ends);
        }
        let switches = wiring.start(&lan, seed)?;
        lan.ip(&wiring.lines)?;
        Ok(Fabric { lan, cables: wiring.cables, switches })
    }

    pub(super) fn lan(&self) -> &Namespace {
        &self.lan
    }

    fn ends(&self, link: &str) -> Result<&[End]> {
        let ends = self.cables.get(link).map(Vec::as_slice);
        ends.with_context(|| format!("the scenario has no cable {link:?}"))
    }

    /// Cuts a cable where nobody sees it, or mends it.
    pub(super) fn set_cut(&self, link: &str, way: Way, cut: bool) -> Result<()> {
        if self.switches.is_empty() {
            // The first end is enough: nothing is forwarded to it or from it.
            let device = self.ends(link)?.first().map_or("", |end| &end.device);
            let state = if cut { DISABLED } else { FORWARDING };
            return self.lan.bridge(&format!("link set dev {device} state {state}\n"));
        }
        for (end, way) in self.ways(link, way)? {
            let port = end.port.clone();
            let command =
                if cut { Command::Cut { port, way } } else { Command::Heal { port, way } };
            self.tell(end, command)?;
        }
        Ok(())
    }

    /// Says what a cable does to frames from now on.
    pub(super) fn impair(&self, link: &str, way: Way, with: &Impairment) -> Result<()> {
        for (end, way) in self.ways(link, way)? {
            let (port, impairment) = (end.port.clone(), with.clone());
            self.tell(end, Command::Impair { port, way, impairment })?;
        }
        Ok(())
    }

    fn tell(&self, end: &End, command: Command) -> Result<()> {
        self.switches.get(end.switch).context("no such switch in user space")?.send(command)?;
        Ok(())
    }

    /// Which ways of which ports are this way of a cable. What a trunk transmits goes from its first
    /// switch into the second.
    fn ways(&self, link: &str, way: Way) -> Result<Vec<(&End, locum_l2switch::Way)>> {
        use locum_l2switch::Way::{Rx, Tx};
        let (tx, rx) = match self.ends(link)? {
            [end] => ((end, Tx), (end, Rx)),
            [first, second, ..] => ((second, Tx), (first, Tx)),
            [] => bail!("{link} has no end"),
        };
        Ok(match way {
            Way::Both => vec![tx, rx],
            Way::Tx => vec![tx],
            Way::Rx => vec![rx],
        })
    }

    /// Takes a port down or up, and with it the carrier at the other end.
    pub(super) fn set_link(&self, link: &str, up: bool) -> Result<()> {
        let device = self.ends(link)?.first().map_or("", |end| &end.device);
        let state = if up { "up" } else { "down" };
        self.lan.ip(&format!("link set {device} {state}\n"))
    }
}

/// Whether the scenario has what a bridge cannot do.
fn needs_user_space(scenario: &Scenario) -> bool {
    let mut steps = scenario.steps.iter().map(|step| step.get_ref());
    steps.any(|step| {
        let one_way = matches!(step.way, Some(Way::Tx | Way::Rx));
        one_way || matches!(step.action, Action::Impair | Action::Clear)
    })
}

/// A fabric that is being built.
struct Wiring {
    segments: Vec<Segment>,
    user_space: bool,
    /// For `ip -batch`.
    lines: String,
    cables: BTreeMap<String, Vec<End>>,
    /// The TAPs that are the ports of each switch in user space.
    taps: Vec<Vec<String>>,
}

impl Wiring {
    fn new(scenario: &Scenario) -> Wiring {
        let mut segments: Vec<Segment> =
            scenario.segments.iter().map(|segment| segment.get_ref().clone()).collect();
        if segments.is_empty() {
            segments.push(Segment { name: ONLY_SEGMENT.to_owned(), ageing: None });
        }
        let user_space = needs_user_space(scenario);
        let mut lines = String::new();
        if !user_space {
            for (index, segment) in segments.iter().enumerate() {
                lines += &bridge(&format!("switch{index}"), ageing(segment));
            }
        }
        let taps = vec![Vec::new(); segments.len()];
        Wiring { segments, user_space, lines, cables: BTreeMap::new(), taps }
    }

    /// Plugs a device into a switch; the first if none is named.
    fn plug(&mut self, device: String, segment: Option<&str>) -> Result<End> {
        let is_it = |other: &Segment| segment.is_none_or(|wanted| wanted == other.name);
        let found = self.segments.iter().position(is_it);
        let switch = found.with_context(|| format!("the scenario has no segment {segment:?}"))?;
        let port = self.taps[switch].len();
        let tap = format!("user{switch}.{port}");
        if self.user_space {
            // Of two ports, and without a memory: a piece of cable.
            let wire = format!("wire{switch}.{port}");
            self.lines += &bridge(&wire, Duration::ZERO);
            for end in [&device, &tap] {
                writeln!(self.lines, "link set {end} master {wire} up")?;
            }
        } else {
            writeln!(self.lines, "link set {device} master switch{switch} up")?;
        }
        self.taps[switch].push(tap.clone());
        Ok(End { device, switch, port: tap })
    }

    /// Starts the switches in user space, if there are to be any. They make their TAPs, before the
    /// cables are plugged into those: a bridge may notice a carrier that comes later half a second late.
    fn start(&self, lan: &Namespace, seed: u64) -> Result<Vec<Handle>> {
        let switches = self.segments.iter().zip(&self.taps).filter(|_| self.user_space);
        let numbered = (0..).zip(switches);
        numbered
            .map(|(number, (segment, taps))| {
                let open =
                    |name: &String| -> Result<Tap> { Ok(Tap::open(name, TapOptions::default())?) };
                let opened: Vec<Tap> = lan.run(|| taps.iter().map(open).collect())?;
                let named: Vec<(String, Tap)> = taps.iter().cloned().zip(opened).collect();
                let config =
                    segment::Config { ageing: ageing(segment), ..segment::Config::default() };
                let build = move || {
                    let mut switch = Switch::with_config(seed ^ number << 32, config);
                    for (name, tap) in named {
                        switch.add_tap(&name, tap)?;
                    }
                    Ok(switch)
                };
                Handle::start(build).context("a switch in user space")
            })
            .collect()
    }
}

fn ageing(segment: &Segment) -> Duration {
    segment.ageing.map_or(AGEING, |ageing| ageing.0)
}
