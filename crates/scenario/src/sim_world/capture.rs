//! A capture of every cable, as pcap files.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use locum_link::pcap::{PcapWriter, SNAPLEN_MAX};
use locum_link::segment::rule::{Fate, Observation};
use locum_sim::Jack;

use super::stage::{Cable, Stage};

/// One open capture; what went wrong with it is kept until the end.
struct Capture {
    jack: Jack,
    writer: PcapWriter<BufWriter<File>>,
    failed: Option<io::Error>,
}

/// All of them.
pub(super) struct Captures(Rc<RefCell<Vec<Capture>>>);

impl Captures {
    /// Records from now on what passes each cable, into `directory`: `node1.pcap`.
    pub(super) fn start(stage: &mut Stage, directory: &Path) -> io::Result<Captures> {
        fs::create_dir_all(directory)?;
        let mut captures = Vec::new();
        for (name, cable) in &stage.cables {
            let jack = match *cable {
                Cable::Node(index) => stage.world.jack_of(index),
                Cable::Machine(jack) | Cable::Trunk([jack, _]) => jack,
            };
            let file = File::create(directory.join(format!("{name}.pcap")))?;
            let writer = PcapWriter::new(BufWriter::new(file), SNAPLEN_MAX, Duration::ZERO)?;
            captures.push(Capture { jack, writer, failed: None });
        }
        let mut switches: Vec<_> = captures.iter().map(|capture| capture.jack.switch).collect();
        switches.sort_unstable();
        switches.dedup();
        let captures = Rc::new(RefCell::new(captures));
        for switch in switches {
            let captures = Rc::clone(&captures);
            stage.world.switch_mut(switch).observe(move |seen| {
                let mut captures = captures.borrow_mut();
                let here =
                    |capture: &&mut Capture| capture.jack == Jack { switch, port: seen.port };
                captures.iter_mut().filter(here).for_each(|capture| capture.record(seen));
            });
        }
        Ok(Captures(captures))
    }

    /// Writes everything out.
    pub(super) fn finish(self) -> io::Result<()> {
        for capture in self.0.borrow_mut().iter_mut() {
            capture.failed.take().map_or(Ok(()), Err)?;
            capture.writer.flush()?;
        }
        Ok(())
    }
}

impl Capture {
    fn record(&mut self, seen: &Observation<'_>) {
        if seen.fate == Fate::Passed && self.failed.is_none() {
            self.failed = self.writer.write(seen.at, seen.frame).err();
        }
    }
}
