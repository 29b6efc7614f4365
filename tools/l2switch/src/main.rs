//! `l2switch`: an Ethernet switch in user space, whose cables can be as bad as one likes.

#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use locum_l2switch::{Command, Control, Remote, Switch, channel, hurry, serve};
use locum_link::{Tap, TapOptions};
use log::LevelFilter;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What the control socket understands, for `--help`.
const COMMANDS: &str = "\
Tell it what to do through its control socket, a line at a time:

    echo 'impair n1 rx latency=5ms loss=0.1' | nc -UN /run/l2switch.sock

  impair PORT tx|rx|both KEY=VALUE ...   latency, jitter, loss, burst=ENTER/LEAVE/LOSS,
                                         duplicate, reorder, reorder_by, corrupt,
                                         bandwidth (bit/s), queue (bytes)
  clear PORT                             a perfect cable again
  cut|heal PORT tx|rx|both               where neither side can see it
  down PORT, up PORT                     the switch forgets the stations of the port
  ageing DURATION                        how long a silent station is remembered
  stats                                  all counters, as one line of JSON

Directions are those of the station behind the port: tx is what it sends.";

/// An Ethernet switch in user space, whose cables can be as bad as one likes
#[derive(Debug, Parser)]
#[command(version, after_help = COMMANDS)]
struct Arguments {
    /// A port, by a name of your choice: tap:DEV is a TAP, made unless it exists, if:DEV an interface
    #[arg(long = "port", value_name = "NAME=tap:DEV|NAME=if:DEV", required = true)]
    ports: Vec<PortArgument>,
    /// Where to listen for commands
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// What decides chance: the same seed and frames, the same losses
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long a silent station is remembered
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ageing: Option<Duration>,
    /// Capture what each station sends and receives, as DIR/NAME.pcap
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
    /// Stop when standard input is closed: the switch does not outlive who started it
    #[arg(long)]
    exit_with_stdin: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PortArgument {
    name: String,
    device: DeviceArgument,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DeviceArgument {
    Tap(String),
    Interface(String),
}

impl FromStr for PortArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<PortArgument, String> {
        let parts = text.split_once('=').and_then(|(name, device)| {
            let (kind, device) = device.split_once(':')?;
            let device = device.to_owned();
            let device = match kind {
                "tap" => DeviceArgument::Tap(device),
                "if" => DeviceArgument::Interface(device),
                _ => return None,
            };
            Some(PortArgument { name: name.to_owned(), device })
        });
        parts.ok_or_else(|| "say NAME=tap:DEV or NAME=if:DEV".to_owned())
    }
}

fn main() -> Result<()> {
    env_logger::Builder::new().filter_level(LevelFilter::Info).parse_default_env().init();
    let arguments = Arguments::parse();
    let switch = build(&arguments)?;
    let control = arguments.control.as_deref().map(Control::bind).transpose()?;
    let (remote, inbox) = channel()?;
    if arguments.exit_with_stdin {
        stop_with_input(remote.clone())?;
    }
    stop_by_signal(remote)?;
    hurry();
    log::info!("switching between {} ports", arguments.ports.len());
    serve(switch, &inbox, control).context("cannot wait for frames")
}

fn build(arguments: &Arguments) -> Result<Switch> {
    let mut switch = Switch::new(arguments.seed);
    for PortArgument { name, device } in &arguments.ports {
        match device {
            DeviceArgument::Tap(device) => {
                switch.add_tap(name, Tap::open(device, TapOptions::default())?)?;
            }
            DeviceArgument::Interface(device) => switch.add_interface(name, device)?,
        }
    }
    if let Some(ageing) = arguments.ageing {
        switch.obey(&Command::Ageing(ageing))?;
    }
    if let Some(directory) = &arguments.pcap {
        switch.record(directory)?;
    }
    Ok(switch)
}

/// A thread that stops the switch on SIGTERM and SIGINT. It ends with the process.
fn stop_by_signal(remote: Remote) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot catch signals")?;
    let wait = move || {
        if signals.forever().next().is_some() {
            remote.stop();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).context("no thread")?;
    Ok(())
}

/// A thread that stops the switch when nobody holds the other end of its standard input any more.
fn stop_with_input(remote: Remote) -> Result<()> {
    let wait = move || {
        // What is said there means nothing, and an error is an end as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        remote.stop();
    };
    thread::Builder::new().name("input".to_owned()).spawn(wait).context("no thread")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_mistakes_are_told() {
        let port = |name: &str, device| PortArgument { name: name.to_owned(), device };
        let tap = DeviceArgument::Tap("tap0".to_owned());
        let interface = DeviceArgument::Interface("veth0".to_owned());
        assert_eq!("a=tap:tap0".parse(), Ok(port("a", tap)));
        assert_eq!("b=if:veth0".parse(), Ok(port("b", interface)));
        for bad in ["", "a", "a=tap0", "a=bridge:br0", "tap:tap0"] {
            let answer = bad.parse::<PortArgument>().expect_err(bad);
            assert_eq!(answer, "say NAME=tap:DEV or NAME=if:DEV");
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
