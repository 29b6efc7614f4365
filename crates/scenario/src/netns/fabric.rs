//! The switches of a scenario and the cables that are plugged into them, in a namespace of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use locum_lab::Namespace;
use locum_lab::wiring::{MUTE, bridge, cable};

use crate::model::{Scenario, Segment, Way};

/// When a switch forgets a silent station, unless the file says otherwise.
pub(super) const AGEING: Duration = Duration::from_secs(300);

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
    /// The device at the switch, by the name of the cable; of a trunk, the one at the first switch.
    ports: BTreeMap<String, String>,
}

impl Fabric {
    /// Builds the switches of a scenario in `lan`, and plugs in its machines.
    pub(super) fn build(lan: Namespace, scenario: &Scenario, plugs: &[Plug<'_>]) -> Result<Fabric> {
        lan.sysctl(&MUTE)?;
        let switches = Switches::of(scenario);
        let mut ports = BTreeMap::new();
        let mut lines = switches.lines();
        for (index, plug) in plugs.iter().enumerate() {
            // Devices have short names, cables any.
            let device = format!("port{index}");
            let switch = switches.find(plug.segment)?;
            lines += &cable(&device, switch, MACHINE_DEVICE, plug.machine.name());
            ports.insert(plug.link.to_owned(), device);
        }
        for (index, trunk) in scenario.trunks.iter().map(|trunk| trunk.get_ref()).enumerate() {
            let [first, second] = [0, 1].map(|end| format!("trunk{index}.{end}"));
            writeln!(lines, "link add {first} type veth peer name {second}")?;
            for (device, segment) in [&first, &second].into_iter().zip(&trunk.between) {
                writeln!(lines, "link set {device} master {} up", switches.find(Some(segment))?)?;
            }
            ports.insert(trunk.name.clone(), first);
        }
        lan.ip(&lines)?;
        Ok(Fabric { lan, ports })
    }

    pub(super) fn lan(&self) -> &Namespace {
        &self.lan
    }

    fn port(&self, link: &str) -> Result<&str> {
        let port = self.ports.get(link).map(String::as_str);
        port.with_context(|| format!("the scenario has no cable {link:?}"))
    }

    /// Cuts a cable where nobody sees it: the switch neither forwards nor floods by its port.
    pub(super) fn cut(&self, link: &str, way: Way) -> Result<()> {
        ensure!(way == Way::Both, "a bridge cuts both ways");
        self.set_state(link, DISABLED)
    }

    /// Mends a cable that was cut.
    pub(super) fn heal(&self, link: &str, way: Way) -> Result<()> {
        ensure!(way == Way::Both, "a bridge heals both ways");
        self.set_state(link, FORWARDING)
    }

    fn set_state(&self, link: &str, state: u8) -> Result<()> {
        let device = self.port(link)?;
        self.lan.bridge(&format!("link set dev {device} state {state}\n"))
    }

    /// Takes a port down or up, and with it the carrier at the other end.
    pub(super) fn set_link(&self, link: &str, up: bool) -> Result<()> {
        let state = if up { "up" } else { "down" };
        self.lan.ip(&format!("link set {} {state}\n", self.port(link)?))
    }
}

/// The switches of a scenario: their names in the file, their ageing, and the names of their bridges.
struct Switches(Vec<(String, Duration, String)>);

impl Switches {
    fn of(scenario: &Scenario) -> Switches {
        let lan = Segment { name: ONLY_SEGMENT.to_owned(), ageing: None };
        let mut segments: Vec<&Segment> =
            scenario.segments.iter().map(|segment| segment.get_ref()).collect();
        if segments.is_empty() {
            segments.push(&lan);
        }
        let switch = |(index, segment): (usize, &Segment)| {
            let ageing = segment.ageing.map_or(AGEING, |ageing| ageing.0);
            (segment.name.clone(), ageing, format!("switch{index}"))
        };
        Switches(segments.into_iter().enumerate().map(switch).collect())
    }

    fn lines(&self) -> String {
        self.0.iter().map(|(_, ageing, device)| bridge(device, *ageing)).collect()
    }

    /// The bridge of a segment; the first if none is named.
    fn find(&self, segment: Option<&str>) -> Result<&str> {
        let mut switches = self.0.iter();
        let found = switches.find(|(name, ..)| segment.is_none_or(|wanted| wanted == name));
        let found = found.with_context(|| format!("the scenario has no segment {segment:?}"))?;
        Ok(&found.2)
    }
}
