//! Commands that ask how the server is doing. It keeps no log of slow commands and watches no latency, since both
//! would depend on the node: they are always empty.

use super::call::{Call, Outcome, SYNTAX};
use super::help;
use super::number;

/// A single server, as Redis calls it: that the nodes share a log is their own affair.
pub(super) fn role(call: &mut Call<'_>) -> Outcome {
    let out = call.out();
    out.array(3);
    out.text("master");
    out.count(0);
    out.array(0);
    Ok(())
}

/// Nothing is ever saved; so, as in Redis, it is when the service began.
pub(super) fn lastsave(call: &mut Call<'_>) -> Outcome {
    let began = call.core.epoch.as_secs();
    call.out().integer(i64::try_from(began).unwrap_or(i64::MAX));
    Ok(())
}

pub(super) fn memory(call: &mut Call<'_>) -> Outcome {
    if call.is(1, "HELP") {
        return help::reply(call);
    }
    for option in (3..call.len()).step_by(2) {
        if !call.is(option, "SAMPLES") || option + 1 >= call.len() {
            return Err(SYNTAX.into());
        }
        // What a key takes is always known, so there is nothing to sample.
        if call.integer(option + 1)? < 0 {
            return Err(SYNTAX.into());
        }
    }
    let (db, key) = (call.db(), call.arg(2));
    match call.store().usage(db, key) {
        Some(bytes) => call.out().count(bytes),
        None => call.out().null(),
    }
    Ok(())
}

pub(super) fn slowlog(call: &mut Call<'_>) -> Outcome {
    match (call.word(1).as_str(), call.len()) {
        ("GET", 2) => call.out().array(0),
        ("GET", 3) => {
            let count = number::integer(call.arg(2)).filter(|count| *count >= -1);
            count.ok_or("ERR count should be greater than or equal to -1")?;
            call.out().array(0);
        }
        ("LEN", _) => call.out().count(0),
        ("RESET", _) => call.out().ok(),
        ("HELP", _) => return help::reply(call),
        _ => return Err(call.wrong_subcommand()),
    }
    Ok(())
}

pub(super) fn latency(call: &mut Call<'_>) -> Outcome {
    match call.word(1).as_str() {
        "LATEST" | "HISTORY" => call.out().array(0),
        "RESET" => call.out().count(0),
        "HELP" => return help::reply(call),
        _ => return Err(call.wrong_subcommand()),
    }
    Ok(())
}
