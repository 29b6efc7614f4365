//! One run, told line by line.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use locum_link::pcap::PcapWriter;
use locum_sim::swarm::{Narrator, Plan, run};
use locum_sim::{Station, World, WorldEventKind};
use locum_types::Instant;

/// Whole frames.
const SNAPLEN: u32 = 65_535;

/// Tells everything that happens to nodes, in fixed columns.
struct Teller {
    seen: usize,
    pcap: Option<Rc<RefCell<Captures>>>,
}

/// A file for each station.
struct Captures {
    directory: PathBuf,
    files: BTreeMap<Station, PcapWriter<BufWriter<File>>>,
    error: Option<io::Error>,
}

impl Captures {
    fn note(&mut self, at: Instant, from: Station, frame: &[u8]) -> io::Result<()> {
        if !self.files.contains_key(&from) {
            let name = match from {
                Station::Node(index) => format!("node{}.pcap", index.0 + 1),
                Station::Host(id) => format!("client{}.pcap", id.0),
                Station::Hostile(id) => format!("hostile{}.pcap", id.0),
            };
            let file = BufWriter::new(File::create(self.directory.join(name))?);
            self.files.insert(from, PcapWriter::new(file, SNAPLEN, Duration::ZERO)?);
        }
        match self.files.get_mut(&from) {
            Some(writer) => writer.write(at, frame),
            None => Ok(()),
        }
    }
}

impl Narrator for Teller {
    fn begin(&mut self, world: &mut World) {
        if let Some(captures) = self.pcap.clone() {
            world.watch(move |sight| {
                let mut captures = captures.borrow_mut();
                if captures.error.is_none() {
                    captures.error = captures.note(sight.at, sight.from, sight.frame).err();
                }
            });
        }
    }

    fn fault(&mut self, at: Instant, what: &str) {
        println!("{at:>14}  ------  {what}");
    }

    fn look(&mut self, world: &World) {
        let events = world.events();
        for event in &events[self.seen..] {
            let what = match &event.kind {
                WorldEventKind::Reported(event) => format!("{event:?}"),
                WorldEventKind::Fault(what) => (*what).to_owned(),
            };
            println!("{:>14}  node {:<2} {what}", event.at, event.node);
        }
        self.seen = events.len();
    }
}

/// Runs a seed; true if it held.
pub(super) fn replay(seed: u64, skip: &[usize], pcap: Option<PathBuf>) -> io::Result<bool> {
    let plan = Plan::draw(seed);
    println!("{plan:#?}");
    let captures = match pcap {
        Some(directory) => {
            fs::create_dir_all(&directory)?;
            let captures = Captures { directory, files: BTreeMap::new(), error: None };
            Some(Rc::new(RefCell::new(captures)))
        }
        None => None,
    };
    let mut teller = Teller { seen: 0, pcap: captures.clone() };
    let report = run(&plan, skip, &mut teller);
    if let Some(error) = captures.and_then(|captures| captures.borrow_mut().error.take()) {
        return Err(error);
    }
    println!(
        "{:.3} s simulated, {} frames of nodes, trace {:016x}",
        report.simulated.as_secs_f64(),
        report.frames,
        report.trace_hash
    );
    for violation in &report.violations {
        println!("BROKEN: {violation}");
    }
    Ok(report.violations.is_empty())
}
