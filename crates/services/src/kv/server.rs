//! Commands about the server.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::call::{Call, Outcome, SYNTAX};
use super::connection::VERSION;
use super::glob::{self, Pattern};
use super::help;
use super::keys::{database, index};
use super::number;
use super::reply::Out;
use super::resp::Args;
use super::sort;
use super::store::{DATABASES, Failure};
use super::subcommands;
use super::table::{self, FLAG_NAMES, Group, Spec, TABLE};

pub(super) fn dbsize(call: &mut Call<'_>) -> Outcome {
    let len = call.core.store.len(call.session.db);
    call.out().count(len);
    Ok(())
}

fn check_flush(call: &Call<'_>) -> Outcome {
    match call.len() {
        1 => Ok(()),
        2 if call.is(1, "ASYNC") || call.is(1, "SYNC") => Ok(()),
        _ => Err(SYNTAX.into()),
    }
}

pub(super) fn flushdb(call: &mut Call<'_>) -> Outcome {
    check_flush(call)?;
    let db = call.db();
    call.store().flush(db);
    call.out().ok();
    Ok(())
}

pub(super) fn flushall(call: &mut Call<'_>) -> Outcome {
    check_flush(call)?;
    (0..DATABASES).for_each(|db| call.store().flush(db));
    call.out().ok();
    Ok(())
}

pub(super) fn swapdb(call: &mut Call<'_>) -> Outcome {
    let (first, second) = ("ERR invalid first DB index", "ERR invalid second DB index");
    index(call.arg(1), first)?;
    index(call.arg(2), second)?;
    let (one, other) = (database(call.arg(1), first)?, database(call.arg(2), second)?);
    call.store().swap(one, other);
    call.core.waiting.signal_all(one);
    call.core.waiting.signal_all(other);
    call.out().ok();
    Ok(())
}

pub(super) fn time(call: &mut Call<'_>) -> Outcome {
    let wall = call.core.wall();
    let out = call.out();
    out.array(2);
    out.text(&wall.as_secs().to_string());
    out.text(&wall.subsec_micros().to_string());
    Ok(())
}

/// Patterns that one CONFIG GET may have.
const CONFIG_PATTERNS_MAX: usize = 256;

/// The parameters there are, with their values.
fn parameters(call: &Call<'_>) -> [(&'static str, String); 9] {
    [
        ("appendonly", "no".into()),
        ("databases", DATABASES.to_string()),
        ("maxmemory", call.core.store.limit.unwrap_or(0).to_string()),
        ("maxmemory-policy", "noeviction".into()),
        ("proto-max-bulk-len", call.core.limits.bulk.to_string()),
        ("requirepass", String::new()),
        ("save", String::new()),
        ("tcp-keepalive", "0".into()),
        ("timeout", "0".into()),
    ]
}

/// Replies parameters by name, as it was given, or by pattern.
fn get_parameters(call: &mut Call<'_>, given: Args<'_>) {
    let lower: Vec<Vec<u8>> = given.iter().map(<[u8]>::to_ascii_lowercase).collect();
    let patterns: Vec<Pattern<'_>> = lower.iter().map(|text| Pattern::new(text)).collect();
    let mut found = Vec::new();
    for (name, value) in parameters(call) {
        let Some(place) = patterns.iter().position(|pattern| pattern.matches(name.as_bytes()))
        else {
            continue;
        };
        let given = given.get(place);
        let is_pattern = given.iter().any(|byte| b"*?[".contains(byte));
        found.push((if is_pattern { name.as_bytes() } else { given }, value));
    }
    let out = call.out();
    out.map(found.len());
    for (name, value) in found {
        out.bulk(name);
        out.text(&value);
    }
}

pub(super) fn config(call: &mut Call<'_>) -> Outcome {
    match (call.word(1).as_str(), call.len()) {
        ("GET", 3..) => {
            let given = call.args.from(2);
            if given.len() > CONFIG_PATTERNS_MAX {
                return Err("ERR too many patterns".into());
            }
            given.iter().try_for_each(glob::check)?;
            get_parameters(call, given);
        }
        ("SET", 4..) if call.len().is_multiple_of(2) => {
            let mut limit = call.core.store.limit;
            let mut seen = BTreeSet::new();
            for (name, value) in call.args.from(2).pairs() {
                if !seen.insert(name.to_ascii_lowercase()) {
                    return Err(not_set(name, "duplicate parameter"));
                }
                set_parameter(name, value, &mut limit)?;
            }
            call.store().limit = limit;
            call.out().ok();
        }
        ("RESETSTAT", 2) => {
            call.core.commands = 0;
            call.core.connections = 0;
            let store = call.store();
            (store.hits, store.misses, store.expired) = (0, 0, 0);
            call.out().ok();
        }
        ("HELP", _) => return help::reply(call),
        ("REWRITE", 2) => {
            return Err("ERR The server is running without a config file".into());
        }
        ("SET", _) => return Err(call.wrong_arity()),
        _ => return Err(SYNTAX.into()),
    }
    Ok(())
}

fn not_set(name: &[u8], why: &str) -> Failure {
    let name = String::from_utf8_lossy(name);
    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}").into()
}

fn set_parameter(name: &[u8], value: &[u8], limit: &mut Option<u64>) -> Outcome {
    let given = String::from_utf8_lossy(name);
    let failed = |why: &str| not_set(name, why);
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let value = String::from_utf8_lossy(value).to_ascii_lowercase();
    match name.as_str() {
        "maxmemory" => {
            let bytes = memory(&value).ok_or_else(|| failed("argument must be a memory value"))?;
            *limit = (bytes > 0).then_some(bytes);
            Ok(())
        }
        "maxmemory-policy" if value == "noeviction" => Ok(()),
        "appendonly" if value == "no" => Ok(()),
        "save" | "requirepass" if value.is_empty() => Ok(()),
        "timeout" | "tcp-keepalive" if value == "0" => Ok(()),
        "maxmemory-policy" | "appendonly" | "save" | "requirepass" | "timeout"
        | "tcp-keepalive" => Err(failed("this service has no other value")),
        "databases" | "proto-max-bulk-len" => Err(failed("can't set immutable config")),
        _ => {
            let text = "ERR Unknown option or number of arguments for CONFIG SET - ";
            Err(format!("{text}'{given}'").into())
        }
    }
}

/// Bytes, with one of the units that configuration files of Redis know.
fn memory(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|end: char| end.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    let wanted: Vec<String> = (1..call.len()).map(|index| call.word(index)).collect();
    let all = ["ALL", "DEFAULT", "EVERYTHING"];
    let is_wanted = |name: &str| {
        wanted.is_empty()
            || wanted
                .iter()
                .any(|word| all.contains(&word.as_str()) || *word == name.to_uppercase())
    };
    let mut text = String::new();
    for (name, section) in [
        ("Server", server_section as fn(&Call<'_>) -> String),
        ("Clients", clients_section),
        ("Memory", memory_section),
        ("Persistence", |_| "loading:0\r\n".to_owned()),
        ("Stats", stats_section),
        ("Replication", |_| "role:master\r\nconnected_slaves:0\r\n".to_owned()),
        ("Cluster", |_| "cluster_enabled:0\r\n".to_owned()),
        ("Keyspace", keyspace_section),
    ] {
        if is_wanted(name) {
            if !text.is_empty() {
                text += "\r\n";
            }
            let _ = write!(text, "# {name}\r\n{}", section(call));
        }
    }
    call.out().verbatim(&text);
    Ok(())
}

fn server_section(call: &Call<'_>) -> String {
    let up = call.core.store.now.as_nanos() / 1_000_000_000;
    format!(
        "redis_version:{VERSION}\r\nredis_mode:standalone\r\ntcp_port:{}\r\nuptime_in_seconds:{up}\r\n\
         uptime_in_days:{}\r\n",
        call.session.local.port(),
        up / 86_400
    )
}

fn clients_section(call: &Call<'_>) -> String {
    let clients = call.peers.len() + 1;
    let blocked = call.peers.values().filter(|session| session.blocked.is_some()).count();
    format!("connected_clients:{clients}\r\nblocked_clients:{blocked}\r\n")
}

fn memory_section(call: &Call<'_>) -> String {
    let (used, limit) = (call.core.store.used(), call.core.store.limit.unwrap_or(0));
    format!("used_memory:{used}\r\nmaxmemory:{limit}\r\nmaxmemory_policy:noeviction\r\n")
}

fn stats_section(call: &Call<'_>) -> String {
    let core = &call.core;
    format!(
        "total_connections_received:{}\r\ntotal_commands_processed:{}\r\nexpired_keys:{}\r\n\
         evicted_keys:0\r\nkeyspace_hits:{}\r\nkeyspace_misses:{}\r\npubsub_channels:{}\r\n\
         pubsub_patterns:{}\r\n",
        core.connections,
        core.commands,
        core.store.expired,
        core.store.hits,
        core.store.misses,
        core.channels.len(),
        core.channels.patterns()
    )
}

fn keyspace_section(call: &Call<'_>) -> String {
    let mut text = String::new();
    for db in 0..DATABASES {
        let (keys, ending) = (call.core.store.len(db), call.core.store.ending(db));
        if keys > 0 {
            let _ = write!(text, "db{db}:keys={keys},expires={ending},avg_ttl=0\r\n");
        }
    }
    text
}

pub(super) fn command(call: &mut Call<'_>) -> Outcome {
    if call.len() == 1 {
        call.out().array(TABLE.len());
        TABLE.iter().for_each(|spec| describe(&mut call.session.out, spec));
        return Ok(());
    }
    let names = call.args.from(2);
    match (call.word(1).as_str(), call.len()) {
        ("COUNT", 2) => call.out().count(TABLE.len()),
        ("LIST", 2) => call.out().bulks(TABLE.iter().map(|spec| spec.name.as_bytes())),
        ("INFO", 2) => {
            call.out().array(TABLE.len());
            TABLE.iter().for_each(|spec| describe(&mut call.session.out, spec));
        }
        ("INFO", _) => {
            call.out().array(names.len());
            for name in names.iter() {
                match table::find(name) {
                    Some(spec) => describe(call.out(), spec),
                    None => call.out().null_array(),
                }
            }
        }
        ("DOCS", len) => {
            let specs: Vec<&Spec> = if len == 2 {
                TABLE.iter().collect()
            } else {
                names.iter().filter_map(table::find).collect()
            };
            call.out().map(specs.len());
            specs.into_iter().for_each(|spec| document(&mut call.session.out, spec));
        }
        ("HELP", _) => return help::reply(call),
        ("GETKEYS", 3..) => return getkeys(call),
        _ => return Err(SYNTAX.into()),
    }
    Ok(())
}

/// The ten fields of a command in COMMAND INFO.
fn describe(out: &mut Out, spec: &Spec) {
    let flags = FLAG_NAMES.iter().filter(|(flag, _)| spec.has(*flag)).map(|(_, name)| *name);
    let flags: Vec<&str> = flags.collect();
    out.array(10);
    out.text(spec.name);
    out.integer(spec.arity.into());
    out.set(flags.len());
    flags.iter().for_each(|flag| out.simple(flag));
    let (first, last, step) = spec.keys;
    [first, last, step].iter().for_each(|place| out.integer((*place).into()));
    out.set(1);
    out.simple(&format!("@{}", spec.group.name().replace("sorted-set", "sortedset")));
    out.array(0);
    out.array(0);
    out.array(0);
}

fn document(out: &mut Out, spec: &Spec) {
    out.text(spec.name);
    out.map(3);
    for (field, value) in
        [("summary", spec.summary), ("since", spec.since), ("group", spec.group.name())]
    {
        out.text(field);
        out.text(value);
    }
}

fn getkeys(call: &mut Call<'_>) -> Outcome {
    let inner = call.args.from(2);
    let spec = table::find(inner.get(0)).ok_or("ERR Invalid command specified")?;
    if !subcommands::knows(spec, inner.get(1)) {
        return Err("ERR Invalid command specified".into());
    }
    if !spec.takes(inner.len()) || subcommands::refusal(spec, inner).is_some() {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    let (first, last, step) = spec.keys;
    let end = if last < 0 { inner.len() as i64 + i64::from(last) } else { last.into() };
    let places = (i64::from(first)..=end).step_by(usize::from(step.unsigned_abs().max(1)));
    let places = places.filter(|place| *place > 0).map(|place| place as usize);
    let places = places.chain(subcommands::key_place(spec, inner));
    let mut keys: Vec<&[u8]> = places.map(|place| inner.get(place)).collect();
    if spec.group == Group::Generic && spec.has(table::MOVABLE_KEYS) {
        keys.extend(sort::target(inner).filter(|_| spec.has(table::WRITES)));
    } else if spec.has(table::MOVABLE_KEYS) {
        // They follow their number, which is behind a key for the result, or a timeout.
        let at = if first > 0 || spec.has(table::WAITS) { 2 } else { 1 };
        let count = number::integer(inner.get(at)).and_then(|count| usize::try_from(count).ok());
        let count = count.filter(|count| (1..inner.len() - at).contains(count));
        let count = count.ok_or("ERR Invalid arguments specified for command")?;
        keys.extend(inner.from(at + 1).first(count).iter());
    }
    if keys.is_empty() {
        return Err("ERR The command has no key arguments".into());
    }
    call.out().bulks(keys.into_iter());
    Ok(())
}
