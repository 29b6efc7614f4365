//! Commands about the connection itself.

use std::collections::BTreeSet;
use std::fmt::Write;

use locum_stack::service::FlowId;
use locum_types::Instant;

use super::call::{Call, NOT_AN_INTEGER, Outcome, SYNTAX};
use super::keys::database;
use super::number;
use super::session::{Multi, Replies, Session};
use super::store::Failure;

/// The release whose behaviour this is.
pub(super) const VERSION: &str = "7.0.0";

/// Bytes of the name of a connection.
pub(super) const NAME_MAX: usize = 4096;

const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default \
                           user. Are you sure your configuration is correct?";

pub(super) fn ping(call: &mut Call<'_>) -> Outcome {
    if call.len() > 2 {
        return Err("ERR wrong number of arguments for 'ping' command".into());
    }
    let message = (call.len() == 2).then(|| call.arg(1));
    let out = &mut call.session.out;
    if !out.resp3 && call.session.channels.len() + call.session.patterns.len() > 0 {
        out.array(2);
        out.text("pong");
        out.bulk(message.unwrap_or_default());
    } else {
        match message {
            Some(message) => out.bulk(message),
            None => out.simple("PONG"),
        }
    }
    Ok(())
}

pub(super) fn echo(call: &mut Call<'_>) -> Outcome {
    let message = call.arg(1);
    call.out().bulk(message);
    Ok(())
}

pub(super) fn quit(call: &mut Call<'_>) -> Outcome {
    call.session.closing = true;
    call.out().ok();
    Ok(())
}

pub(super) fn select(call: &mut Call<'_>) -> Outcome {
    call.session.db = database(call.arg(1), NOT_AN_INTEGER)?;
    call.out().ok();
    Ok(())
}

pub(super) fn auth(call: &mut Call<'_>) -> Outcome {
    match call.len() {
        2 => Err(NO_PASSWORD.into()),
        3 if call.arg(1) == b"default" => {
            call.out().ok();
            Ok(())
        }
        3 => Err("WRONGPASS invalid username-password pair or user is disabled.".into()),
        _ => Err(SYNTAX.into()),
    }
}

pub(super) fn reset(call: &mut Call<'_>) -> Outcome {
    call.forget_watches();
    call.core.channels.remove(call.session);
    let session = &mut *call.session;
    session.multi = None::<Multi>;
    session.db = 0;
    session.name.clear();
    session.replies = Replies::On;
    session.out.resp3 = false;
    session.out.simple("RESET");
    Ok(())
}

fn check_name(name: &[u8]) -> Result<(), Failure> {
    let text = "ERR Client names cannot contain spaces, newlines or special characters.";
    if name.len() > NAME_MAX {
        return Err("ERR Client names cannot be that long.".into());
    }
    name.iter().all(u8::is_ascii_graphic).then_some(()).ok_or(text.into())
}

pub(super) fn hello(call: &mut Call<'_>) -> Outcome {
    let mut resp3 = call.session.out.resp3;
    let mut name = None;
    if call.len() > 1 {
        let version = number::integer(call.arg(1));
        let version = version.ok_or("ERR Protocol version is not an integer or out of range")?;
        if version != 2 && version != 3 {
            return Err("NOPROTO unsupported protocol version".into());
        }
        resp3 = version == 3;
    }
    let mut index = 2;
    while index < call.len() {
        let left = call.len() - index - 1;
        if call.is(index, "AUTH") && left >= 2 {
            if call.arg(index + 1) != b"default" {
                let text = "WRONGPASS invalid username-password pair or user is disabled.";
                return Err(text.into());
            }
            index += 3;
        } else if call.is(index, "SETNAME") && left >= 1 {
            check_name(call.arg(index + 1))?;
            name = Some(call.arg(index + 1));
            index += 2;
        } else {
            let option = String::from_utf8_lossy(call.arg(index));
            return Err(format!("ERR Syntax error in HELLO option '{option}'").into());
        }
    }
    if let Some(name) = name {
        name.clone_into(&mut call.session.name);
    }
    let id = call.session.flow.0;
    let out = call.out();
    out.resp3 = resp3;
    out.map(7);
    out.text("server");
    out.text("redis");
    out.text("version");
    out.text(VERSION);
    out.text("proto");
    out.integer(if resp3 { 3 } else { 2 });
    out.text("id");
    out.integer(id as i64);
    out.text("mode");
    out.text("standalone");
    out.text("role");
    out.text("master");
    out.text("modules");
    out.array(0);
    Ok(())
}

pub(super) fn client(call: &mut Call<'_>) -> Outcome {
    match (call.word(1).as_str(), call.len()) {
        ("ID", 2) => {
            let id = call.session.flow.0 as i64;
            call.out().integer(id);
        }
        ("GETNAME", 2) => {
            let name = call.session.name.clone();
            call.out().bulk_or_null((!name.is_empty()).then_some(&name));
        }
        ("SETNAME", 3) => {
            check_name(call.arg(2))?;
            call.arg(2).clone_into(&mut call.session.name);
            call.out().ok();
        }
        ("NO-EVICT" | "NO-TOUCH", 3) if !call.is(2, "ON") && !call.is(2, "OFF") => {
            return Err(SYNTAX.into());
        }
        ("SETINFO", 4) | ("NO-EVICT" | "NO-TOUCH", 3) => call.out().ok(),
        ("INFO", 2) => {
            let line = describe(call.session, call.core.store.now) + "\n";
            call.out().verbatim(&line);
        }
        ("HELP", _) => return super::help::reply(call),
        ("LIST", _) => return list(call),
        ("KILL", _) => return kill(call),
        ("REPLY", 3) => return reply(call),
        ("UNBLOCK", 3 | 4) => return unblock(call),
        ("GETREDIR", 2) => call.out().integer(-1),
        _ => return Err(SYNTAX.into()),
    }
    Ok(())
}

/// A connection as CLIENT LIST shows it: without what depends on how TCP cut the stream.
fn describe(session: &Session, now: Instant) -> String {
    let mut line = String::new();
    let mut flags = String::new();
    for (set, flag) in [
        (session.subscriptions() > 0, 'P'),
        (session.multi.is_some(), 'x'),
        (session.blocked.is_some(), 'b'),
        (session.closing, 'c'),
    ] {
        if set {
            flags.push(flag);
        }
    }
    if flags.is_empty() {
        flags.push('N');
    }
    // Writing to a string does not fail.
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags={flags} db={} sub={} psub={} multi={} \
         cmd={} user=default resp={}",
        session.flow.0,
        session.remote,
        session.local,
        String::from_utf8_lossy(&session.name),
        (now - session.opened).as_secs(),
        (now - session.active).as_secs(),
        session.db,
        session.channels.len(),
        session.patterns.len(),
        session.multi.as_ref().map_or(-1, |multi| multi.queue.len() as i64),
        session.last.map_or("NULL", |spec| spec.name),
        if session.out.resp3 { 3 } else { 2 },
    );
    line
}

/// All connections, this one included, in their order.
fn everyone<'a>(call: &'a Call<'_>) -> Vec<&'a Session> {
    let mut all: Vec<&Session> = call.peers.values().collect();
    all.push(call.session);
    all.sort_by_key(|session| session.flow);
    all
}

fn list(call: &mut Call<'_>) -> Outcome {
    let mut wanted: Option<BTreeSet<i64>> = None;
    let mut pubsub_only = false;
    match call.len() {
        2 => {}
        4 if call.is(2, "TYPE") => match call.word(3).as_str() {
            "NORMAL" => {}
            "PUBSUB" => pubsub_only = true,
            "MASTER" | "REPLICA" | "SLAVE" => wanted = Some(BTreeSet::new()),
            _ => {
                let given = String::from_utf8_lossy(call.arg(3));
                return Err(format!("ERR Unknown client type '{given}'").into());
            }
        },
        4.. if call.is(2, "ID") => {
            let ids = call.args.from(3).iter().map(|id| number::integer(id).filter(|id| *id > 0));
            wanted = Some(ids.collect::<Option<_>>().ok_or("ERR Invalid client ID")?);
        }
        _ => return Err(SYNTAX.into()),
    }
    let mut text = String::new();
    for session in everyone(call) {
        let listed = wanted.as_ref().is_none_or(|ids| ids.contains(&(session.flow.0 as i64)));
        if listed && (!pubsub_only || session.subscriptions() > 0) {
            text += &describe(session, call.core.store.now);
            text.push('\n');
        }
    }
    call.out().verbatim(&text);
    Ok(())
}

fn kill(call: &mut Call<'_>) -> Outcome {
    let mut skip_me = true;
    let (mut id, mut addr, mut laddr) = (None, None, None);
    let old_style = call.len() == 3;
    if old_style {
        addr = Some(call.arg(2));
        skip_me = false;
    } else if call.len() < 4 || call.len() % 2 == 1 {
        return Err(SYNTAX.into());
    } else {
        for index in (2..call.len()).step_by(2) {
            match call.word(index).as_str() {
                "ID" => {
                    let given = number::integer(call.arg(index + 1)).filter(|id| *id > 0);
                    id = Some(given.ok_or("ERR client-id should be greater than 0")?);
                }
                "ADDR" => addr = Some(call.arg(index + 1)),
                "LADDR" => laddr = Some(call.arg(index + 1)),
                "SKIPME" if call.is(index + 1, "yes") => skip_me = true,
                "SKIPME" if call.is(index + 1, "no") => skip_me = false,
                "USER" if call.arg(index + 1) == b"default" => {}
                _ => return Err(SYNTAX.into()),
            }
        }
    }
    let me = call.session.flow;
    let meant = |session: &&Session| {
        id.is_none_or(|id| session.flow.0 as i64 == id)
            && addr.is_none_or(|addr| session.remote.to_string().as_bytes() == addr)
            && laddr.is_none_or(|addr| session.local.to_string().as_bytes() == addr)
            && !(skip_me && session.flow == me)
    };
    let meant: Vec<FlowId> =
        everyone(call).into_iter().filter(meant).map(|session| session.flow).collect();
    for flow in &meant {
        if *flow == me {
            call.session.closing = true;
        } else if let Some(peer) = call.peers.get_mut(flow) {
            peer.killed = true;
            call.core.dirty.insert(*flow);
        }
    }
    match (old_style, meant.is_empty()) {
        (true, true) => return Err("ERR No such client".into()),
        (true, false) => call.out().ok(),
        (false, _) => call.out().count(meant.len()),
    }
    Ok(())
}

fn reply(call: &mut Call<'_>) -> Outcome {
    match call.word(2).as_str() {
        "ON" => {
            call.session.replies = Replies::On;
            call.out().ok();
        }
        "OFF" => call.session.replies = Replies::Off,
        "SKIP" if call.session.replies == Replies::Off => {}
        "SKIP" => call.session.replies = Replies::SkipNext,
        _ => return Err(SYNTAX.into()),
    }
    Ok(())
}

fn unblock(call: &mut Call<'_>) -> Outcome {
    let error = match call.word(3).as_str() {
        "" | "TIMEOUT" => false,
        "ERROR" => true,
        _ => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into()),
    };
    let flow = FlowId(u64::try_from(call.integer(2)?).unwrap_or(0));
    let mut done = false;
    if let Some(peer) = call.peers.get_mut(&flow)
        && let Some(blocked) = call.core.waiting.remove(peer)
    {
        done = true;
        if error {
            peer.out.error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
        } else {
            peer.waited_in_vain(blocked.in_vain);
        }
        call.core.dirty.insert(flow);
    }
    call.out().flag(done);
    Ok(())
}
