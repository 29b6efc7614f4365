//! `locum status`: once, or again and again.

use std::path::Path;
use std::time::Duration;

use locum_link::Clock;
use locum_types::Mode;

use crate::cli::Status;
use crate::control::Client;
use crate::exit::Exit;
use crate::output;
use crate::status::{NodeStatus, metrics, risk, table};

/// A watcher sees a new status at least this often.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// A change of a mode shows after this time at the latest.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Cursor home, clear the screen (ECMA-48 CUP and ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(super) fn status(how: &Status, socket: &Path) -> anyhow::Result<Exit> {
    let mut client = Client::connect(socket)?;
    let status = client.status()?;
    if how.check {
        return check(&status);
    }
    if how.metrics {
        output::write(metrics::render(&status))?;
        return Ok(Exit::Ok);
    }
    show(how, &status)?;
    if how.watch { watch(how, &mut client, status) } else { Ok(Exit::Ok) }
}

/// For scripts and monitoring: silent success, or every reason why not.
fn check(status: &NodeStatus) -> anyhow::Result<Exit> {
    let risks = risk::risks(status);
    for risk in &risks {
        output::write(format!("{risk}\n"))?;
    }
    Ok(if risks.is_empty() { Exit::Ok } else { Exit::AtRisk })
}

/// Shows the node until it goes away, or the reader does.
fn watch(how: &Status, client: &mut Client, mut shown: NodeStatus) -> anyhow::Result<Exit> {
    let mut shown_at = Clock.now();
    loop {
        client.wait(LOOK_EVERY)?;
        let status = client.status()?;
        let due = Clock.now() - shown_at >= SHOW_EVERY;
        if due || Gist::of(&status) != Gist::of(&shown) {
            show(how, &status)?;
            shown_at = Clock.now();
            shown = status;
        }
    }
}

fn show(how: &Status, status: &NodeStatus) -> anyhow::Result<()> {
    if how.json {
        return output::write(serde_json::to_string(status)? + "\n");
    }
    let text = table::render(status, output::wants_colour());
    match (how.watch, output::is_terminal()) {
        (true, true) => output::write(format!("{CLEAR}{text}")),
        (true, false) => output::write(format!("{text}\n")),
        (false, true | false) => output::write(text),
    }
}

/// What a watcher wants to see change at once.
#[derive(PartialEq)]
struct Gist {
    mode: Mode,
    term: u64,
    peers: Vec<(bool, Option<Mode>)>,
}

impl Gist {
    fn of(status: &NodeStatus) -> Gist {
        let peers = status.peers.iter().map(|peer| (peer.alive, peer.mode)).collect();
        Gist { mode: status.mode, term: status.term, peers }
    }
}
