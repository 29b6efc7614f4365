//! Two machines, each behind a cable to the switch.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use locum_l2switch::{Handle, Switch};
use locum_lab::Namespace;
use locum_lab::process::{Output, Process};
use locum_lab::room::Room;
use locum_lab::wiring::{MUTE, uplink};
use locum_link::{Tap, TapOptions};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the cables end in, at the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The far ends of the machines' veth pairs themselves.
    Interfaces,
    /// TAPs, each bridged to such an end.
    Taps,
}

/// Two machines, `a` (10.1.0.1) and `b` (10.1.0.2), and where the switch is.
pub(crate) struct Pair {
    pub(crate) lan: Namespace,
    pub(crate) a: Namespace,
    pub(crate) b: Namespace,
    pub(crate) room: Room,
}

impl Pair {
    /// Builds the namespaces and cables, without a switch.
    pub(crate) fn new(name: &str, ends: Ends) -> Result<Pair> {
        let room = Room::new(name)?;
        let names = ["lan", "a", "b"].map(|name| format!("{}{name}", room.prefix));
        let [lan, a, b]: [Namespace; 3] =
            Namespace::create(&names)?.try_into().ok().context("three namespaces")?;
        for namespace in [&lan, &a, &b] {
            namespace.sysctl(&MUTE)?;
        }
        for (end, machine, address) in [("a", &a, "10.1.0.1/24"), ("b", &b, "10.1.0.2/24")] {
            lan.ip(&format!(
                "link add port-{end} type veth peer name eth0 netns {}\nlink set port-{end} up\n",
                machine.name()
            ))?;
            machine.ip(&format!("addr add {address} dev eth0\nlink set eth0 up\n"))?;
            if ends == Ends::Taps {
                let (bridge, tap) = (format!("wire-{end}"), format!("tap-{end}"));
                lan.ip(&uplink(&bridge, &format!("port-{end}"), &tap, Duration::ZERO))?;
            }
        }
        Ok(Pair { lan, a, b, room })
    }

    /// Starts a switch between the cables, with ports `a` and `b`.
    pub(crate) fn switch(&self, ends: Ends) -> Result<Handle> {
        let plug_in = move || {
            let mut switch = Switch::new(7);
            for port in ["a", "b"] {
                match ends {
                    Ends::Interfaces => switch.add_interface(port, &format!("port-{port}"))?,
                    Ends::Taps => {
                        let tap = Tap::open(&format!("tap-{port}"), TapOptions::default());
                        switch.add_tap(port, tap.map_err(io::Error::other)?)?;
                    }
                }
            }
            Ok(switch)
        };
        // The thread of the switch starts where this one is.
        self.lan.run(|| Handle::start(plug_in).context("start the switch"))
    }

    /// The round-trip times of `count` pings from `a` to `b`, in milliseconds.
    pub(crate) fn round_trips(&self, count: usize) -> Result<Vec<f64>> {
        let output = self.ping(&["-i", "0.02", "-c", &count.to_string()])?.success()?;
        let times = output.lines().filter_map(|line| {
            let (_, rest) = line.split_once("time=")?;
            rest.split(' ').next()?.parse().ok()
        });
        Ok(times.collect())
    }

    /// Whether one of some pings comes back.
    pub(crate) fn reaches(&self) -> Result<bool> {
        Ok(self.ping(&["-i", "0.1", "-c", "3"])?.status.success())
    }

    /// Pings `b` from `a`.
    fn ping(&self, words: &[&str]) -> Result<Output> {
        static SERIAL: AtomicU32 = AtomicU32::new(1);
        let name = format!("ping{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let words = [&["-n", "-W", "1"], words, &["10.1.0.2"]].concat();
        let files = &self.room.files;
        Process::spawn(&self.a, files, &name, Path::new("ping"), &words)?.output(PATIENCE)
    }
}
