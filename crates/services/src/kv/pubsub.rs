//! SUBSCRIBE, PUBLISH and their kin.

use std::collections::{BTreeMap, BTreeSet};

use locum_stack::service::FlowId;

use super::call::{Call, Outcome};
use super::glob::{self, Pattern};
use super::reply::Out;
use super::session::{SUBSCRIPTIONS_MAX, Session};

type Subscribers = BTreeMap<Box<[u8]>, BTreeSet<FlowId>>;

/// The elements of a confirmation that take room: a word and a number beside the name.
const CONFIRMED: usize = 3;

/// Who listens to what.
#[derive(Debug, Default)]
pub(super) struct Channels {
    names: Subscribers,
    patterns: Subscribers,
}

impl Channels {
    /// Takes over the subscriptions of a restored connection.
    pub(super) fn add(&mut self, session: &Session) {
        for channel in session.channels.iter() {
            self.names.entry(channel.clone()).or_default().insert(session.flow);
        }
        for pattern in session.patterns.iter() {
            self.patterns.entry(pattern.clone()).or_default().insert(session.flow);
        }
    }

    /// Ends all subscriptions of a connection.
    pub(super) fn remove(&mut self, session: &mut Session) {
        for channel in std::mem::take(&mut session.channels).iter() {
            leave(&mut self.names, channel, session.flow);
        }
        for pattern in std::mem::take(&mut session.patterns).iter() {
            leave(&mut self.patterns, pattern, session.flow);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn patterns(&self) -> usize {
        self.patterns.len()
    }
}

fn leave(subscribers: &mut Subscribers, name: &[u8], flow: FlowId) {
    if let Some(flows) = subscribers.get_mut(name) {
        flows.remove(&flow);
        if flows.is_empty() {
            subscribers.remove(name);
        }
    }
}

fn confirm(out: &mut Out, word: &str, name: Option<&[u8]>, count: usize) {
    out.push(3);
    out.text(word);
    out.bulk_or_null(name);
    out.count(count);
}

/// Refuses names that could not all be subscribed to, or confirmed.
fn check_names(call: &Call<'_>) -> Outcome {
    let names = call.args.from(1);
    if call.session.subscriptions() + names.len() > SUBSCRIPTIONS_MAX {
        return Err("ERR too many subscriptions".into());
    }
    call.must_fit(names.len() * CONFIRMED, names.iter().map(<[u8]>::len).sum())
}

pub(super) fn subscribe(call: &mut Call<'_>) -> Outcome {
    check_names(call)?;
    for name in call.args.from(1).iter() {
        if call.session.channels.insert(name) {
            let flow = call.session.flow;
            call.core.channels.names.entry(name.into()).or_default().insert(flow);
        }
        let count = call.session.subscriptions();
        confirm(call.out(), "subscribe", Some(name), count);
    }
    Ok(())
}

pub(super) fn psubscribe(call: &mut Call<'_>) -> Outcome {
    check_names(call)?;
    call.args.from(1).iter().try_for_each(glob::check)?;
    for name in call.args.from(1).iter() {
        if call.session.patterns.insert(name) {
            let flow = call.session.flow;
            call.core.channels.patterns.entry(name.into()).or_default().insert(flow);
        }
        let count = call.session.subscriptions();
        confirm(call.out(), "psubscribe", Some(name), count);
    }
    Ok(())
}

pub(super) fn unsubscribe(call: &mut Call<'_>) -> Outcome {
    let mut names: Vec<Box<[u8]>> = call.args.from(1).iter().map(Box::from).collect();
    if names.is_empty() {
        names = call.session.channels.iter().cloned().collect();
    }
    call.must_fit(names.len() * CONFIRMED, names.iter().map(|name| name.len()).sum())?;
    for name in &names {
        call.session.channels.remove(name);
        leave(&mut call.core.channels.names, name, call.session.flow);
        let count = call.session.subscriptions();
        confirm(call.out(), "unsubscribe", Some(name), count);
    }
    if names.is_empty() {
        let count = call.session.subscriptions();
        confirm(call.out(), "unsubscribe", None, count);
    }
    Ok(())
}

pub(super) fn punsubscribe(call: &mut Call<'_>) -> Outcome {
    let mut names: Vec<Box<[u8]>> = call.args.from(1).iter().map(Box::from).collect();
    if names.is_empty() {
        names = call.session.patterns.iter().cloned().collect();
    }
    call.must_fit(names.len() * CONFIRMED, names.iter().map(|name| name.len()).sum())?;
    for name in &names {
        call.session.patterns.remove(name);
        leave(&mut call.core.channels.patterns, name, call.session.flow);
        let count = call.session.subscriptions();
        confirm(call.out(), "punsubscribe", Some(name), count);
    }
    if names.is_empty() {
        let count = call.session.subscriptions();
        confirm(call.out(), "punsubscribe", None, count);
    }
    Ok(())
}

/// Writes a message, of parts with so many bytes, to one subscriber.
fn deliver(call: &mut Call<'_>, flow: FlowId, bytes: usize, write: impl FnOnce(&mut Out)) {
    let is_own = call.session.flow == flow;
    let subscriber = if is_own { Some(&mut *call.session) } else { call.peers.get_mut(&flow) };
    let Some(subscriber) = subscriber else { return };
    if !subscriber.killed && !call.core.outruns(subscriber, bytes) {
        subscriber.out.aside(write);
        call.core.recount(subscriber);
        call.core.dirty.insert(flow);
    }
}

pub(super) fn publish(call: &mut Call<'_>) -> Outcome {
    let (channel, message) = (call.arg(1), call.arg(2));
    let bytes = channel.len() + message.len();
    let mut receivers = 0;
    let flows = call.core.channels.names.get(channel).cloned().unwrap_or_default();
    for flow in flows {
        receivers += 1;
        deliver(call, flow, bytes, |out| {
            out.push(3);
            out.text("message");
            out.bulk(channel);
            out.bulk(message);
        });
    }
    let matching = call.core.channels.patterns.iter();
    let matching: Vec<(Box<[u8]>, BTreeSet<FlowId>)> = matching
        .filter(|(pattern, _)| glob::matches(pattern, channel))
        .map(|(pattern, flows)| (pattern.clone(), flows.clone()))
        .collect();
    for (pattern, flows) in matching {
        for flow in flows {
            receivers += 1;
            deliver(call, flow, bytes + pattern.len(), |out| {
                out.push(4);
                out.text("pmessage");
                out.bulk(&pattern);
                out.bulk(channel);
                out.bulk(message);
            });
        }
    }
    call.out().integer(receivers);
    Ok(())
}

pub(super) fn pubsub(call: &mut Call<'_>) -> Outcome {
    let channels = &call.core.channels;
    let out = &mut call.session.out;
    match call.args.get(1).to_ascii_uppercase().as_slice() {
        b"CHANNELS" if call.args.len() <= 3 => {
            let pattern = if call.args.len() == 3 { call.args.get(2) } else { b"*" };
            glob::check(pattern)?;
            let pattern = Pattern::new(pattern);
            let names = channels.names.keys().map(|name| &**name);
            let names: Vec<&[u8]> = names.filter(|name| pattern.matches(name)).collect();
            out.bulks(names.into_iter());
        }
        b"NUMSUB" => {
            let names = call.args.from(2);
            out.array(names.len() * 2);
            for name in names.iter() {
                out.bulk(name);
                out.count(channels.names.get(name).map_or(0, BTreeSet::len));
            }
        }
        b"NUMPAT" if call.args.len() == 2 => out.count(channels.patterns.len()),
        b"HELP" => return super::help::reply(call),
        _ => return Err(call.wrong_subcommand()),
    }
    Ok(())
}
