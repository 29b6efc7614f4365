//! `kv` answers as Redis does: random commands go to both, and the replies are compared byte by byte.
//!
//! Not where Redis leaves the order open, and not where it picks at random. Without a redis-server 7.0 the
//! test says so and passes; with `LOCUM_REQUIRE_NETNS=1` it fails. `LOCUM_KV_COMMANDS` is how many commands
//! to send, `LOCUM_KV_SEED` the seed of the first round.

#[path = "kv_against_redis/commands.rs"]
mod commands;
#[path = "kv_against_redis/redis.rs"]
mod redis;
#[path = "kv_against_redis/reply.rs"]
mod reply;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use commands::{Command, Maker, encode, inline};
use locum_services::Kv;
use locum_services::testing::Bench;
use locum_stack::service::FlowId;
use redis::{Client, Redis};

/// Commands of one round; each begins with an empty server and two new connections.
const ROUND: u64 = 400;
/// Commands in all, unless `LOCUM_KV_COMMANDS` says otherwise.
const COMMANDS: u64 = 100_000;
/// Commands that a failure shows.
const SHOWN: usize = 40;
/// Characters that each of them shows of its reply.
const REPLY_SHOWN: usize = 60;
/// Rounds that may fail before the test gives up.
const FAILURES: usize = 12;

/// A client that is connected to both.
struct Both {
    theirs: Client,
    flow: FlowId,
    /// How much of our output is compared.
    seen: usize,
    /// What is queued since MULTI.
    queue: Option<Vec<Command>>,
    /// The command that waits for a key.
    blocked: Option<Command>,
    /// It may have subscriptions.
    listens: bool,
}

struct Round<'a> {
    ours: Bench<Kv>,
    clients: Vec<Both>,
    /// One more connection to Redis alone.
    admin: &'a mut Client,
    log: Vec<String>,
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn show_command(command: &Command) -> String {
    command.iter().map(|word| format!("\"{}\"", show(word))).collect::<Vec<_>>().join(" ")
}

#[expect(clippy::disallowed_methods, reason = "Redis has a clock, and it is this one")]
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock")
}

impl Round<'_> {
    /// What we have sent to a client since the last time.
    fn our_reply(&mut self, client: usize) -> Vec<u8> {
        let client = &mut self.clients[client];
        self.ours.drain(client.flow);
        let sent = &self.ours.record(client.flow).sent;
        let fresh = sent[client.seen..].to_vec();
        client.seen = sent.len();
        fresh
    }

    fn ask_us(&mut self, client: usize, bytes: &[u8]) -> Vec<u8> {
        self.ours.data(self.clients[client].flow, bytes);
        self.our_reply(client)
    }

    fn compare(&mut self, client: usize, command: &Command, ours: &[u8]) -> Result<(), String> {
        let both = &mut self.clients[client];
        let mut all_ours = reply::split(ours);
        let theirs = |_: &&[u8]| match both.theirs.reply() {
            Ok(theirs) => theirs,
            Err(error) => error.to_string().into_bytes(),
        };
        let mut all_theirs: Vec<Vec<u8>> = all_ours.iter().map(theirs).collect();
        // Who listens to several patterns gets the messages in any order.
        if command[0].eq_ignore_ascii_case(b"publish") {
            all_ours.sort_unstable();
            all_theirs.sort_unstable();
        }
        let queue = both.queue.clone().unwrap_or_default();
        for (ours, theirs) in all_ours.into_iter().zip(all_theirs) {
            if !reply::same(command, &queue, ours, &theirs) {
                let (ours, theirs) = (show(ours), show(&theirs));
                let command = show_command(command);
                return Err(format!("{client}> {command}\n  ours:   {ours}\n  theirs: {theirs}"));
            }
        }
        match command[0].to_ascii_uppercase().as_slice() {
            _ if ours == b"+QUEUED\r\n" => both.queue.get_or_insert_default().push(command.clone()),
            b"MULTI" if ours == b"+OK\r\n" => both.queue = Some(Vec::new()),
            b"EXEC" | b"DISCARD" | b"RESET" => both.queue = None,
            b"SUBSCRIBE" | b"PSUBSCRIBE" => both.listens = true,
            _ => {}
        }
        Ok(())
    }

    /// One command, to both.
    fn step(&mut self, client: usize, command: &Command, bytes: &[u8]) -> Result<(), String> {
        let ours = self.ask_us(client, bytes);
        let shown = if ours.is_empty() { "(waits)".to_owned() } else { show(&ours) };
        let shown: String = shown.chars().take(REPLY_SHOWN).collect();
        self.log.push(format!("{client}> {} -> {shown}", show_command(command)));
        self.clients[client].theirs.send(bytes);
        if ours.is_empty() {
            self.clients[client].blocked = Some(command.clone());
            let blocked = self.clients.iter().filter(|both| both.blocked.is_some()).count();
            if !self.admin.sees_blocked(blocked) {
                return Err(format!("{client}> {}: only we wait", show_command(command)));
            }
        } else {
            self.compare(client, command, &ours)?;
        }
        for other in 0..self.clients.len() {
            let ours = self.our_reply(other);
            let blocked = &mut self.clients[other].blocked;
            if ours.is_empty() {
                continue;
            } else if command[0].eq_ignore_ascii_case(b"publish") {
                self.log.push(format!("{other}> (hears of it)"));
                self.compare(other, command, &ours)?;
            } else if let Some(command) = blocked.take() {
                self.log.push(format!("{other}> (is served)"));
                self.compare(other, &command, &ours)?;
            } else {
                return Err(format!("{other}> only we say {}", show(&ours)));
            }
        }
        Ok(())
    }

    /// Ends the subscriptions of a client, which would be refused most commands otherwise.
    fn turn_away(&mut self, client: usize) -> Result<(), String> {
        for command in ["UNSUBSCRIBE c0 c1 c2", "PUNSUBSCRIBE c* ?1 c[01]", "UNSUBSCRIBE"] {
            let command: Command = command.split(' ').map(|word| word.into()).collect();
            self.step(client, &command, &encode(&command))?;
        }
        self.clients[client].listens = false;
        Ok(())
    }

    /// A client listens while it and others send messages.
    fn listen(&mut self, client: usize, maker: &mut Maker) -> Result<(), String> {
        for _ in 0..maker.below(3) + 1 {
            let command = maker.subscription();
            self.step(client, &command, &encode(&command))?;
        }
        for _ in 0..maker.below(6) + 1 {
            let speaker = maker.below(self.clients.len());
            let command = maker.message();
            if self.clients[speaker].blocked.is_none() {
                self.step(speaker, &command, &encode(&command))?;
            }
        }
        self.turn_away(client)
    }

    /// Whether it is a command about channels within a transaction: then there are replies within replies.
    fn nests_replies(&self, client: usize, command: &Command) -> bool {
        let name = command[0].to_ascii_uppercase();
        self.clients[client].queue.is_some() && (name.ends_with(b"SUBSCRIBE") || name == b"PUBLISH")
    }

    /// Follows the cursors of a SCAN on both sides.
    fn walk(&mut self, client: usize, command: &Command) -> Result<(), String> {
        self.log.push(format!("{client}> {} (all of it)", show_command(command)));
        let pairs = matches!(command[0][0], b'H' | b'Z');
        let ours = follow(command, pairs, |bytes| self.ask_us(client, bytes));
        let theirs = follow(command, pairs, |bytes| self.clients[client].theirs.ask(bytes));
        if ours == theirs {
            return Ok(());
        }
        let command = show_command(command);
        Err(format!("{client}> {command}\n  ours:   {ours:?}\n  theirs: {theirs:?}"))
    }

    /// Lets a key expire.
    fn lapse(&mut self, client: usize, key: &[u8]) -> Result<(), String> {
        let pexpire = vec![b"PEXPIRE".to_vec(), key.to_vec(), b"1".to_vec()];
        self.step(client, &pexpire, &encode(&pexpire))?;
        redis::pause(3);
        self.ours.advance(Duration::from_millis(3));
        let exists = vec![b"EXISTS".to_vec(), key.to_vec()];
        self.step(client, &exists, &encode(&exists))
    }

    /// Whether a command swaps databases while a client waits: of several keys that come by that, Redis
    /// serves any.
    fn swaps_under_waiters(&self, client: usize, command: &Command) -> bool {
        let swaps = |command: &Command| command[0].eq_ignore_ascii_case(b"swapdb");
        let queued = self.clients[client].queue.iter().flatten().any(swaps);
        let exec = queued && command[0].eq_ignore_ascii_case(b"exec");
        (exec || swaps(command)) && self.clients.iter().any(|both| both.blocked.is_some())
    }

    /// A transaction that fails if a command changes a key.
    fn watch(&mut self, client: usize, maker: &mut Maker) -> Result<(), String> {
        let watch = maker.watch();
        self.step(client, &watch, &encode(&watch))?;
        for _ in 0..maker.below(3) + 1 {
            let command = maker.command();
            if self.swaps_under_waiters(client, &command) || self.nests_replies(client, &command) {
                continue;
            }
            self.step(client, &command, &encode(&command))?;
            if self.clients[client].blocked.is_some() {
                return Ok(());
            }
        }
        for word in ["MULTI", "PING", "EXEC"] {
            let command = vec![word.as_bytes().to_vec()];
            self.step(client, &command, &encode(&command))?;
        }
        Ok(())
    }

    fn run(&mut self, maker: &mut Maker) -> Result<(), String> {
        for _ in 0..ROUND {
            let free: Vec<usize> =
                (0..self.clients.len()).filter(|at| self.clients[*at].blocked.is_none()).collect();
            let client = match free.as_slice() {
                [] => break,
                [first, others @ ..] if others.is_empty() || maker.chance(75) => *first,
                [..] => free[maker.below(free.len())],
            };
            if self.clients.iter().all(|both| both.queue.is_none()) && maker.chance(6) {
                if maker.chance(50) {
                    self.watch(client, maker)?;
                } else if maker.chance(40) {
                    self.listen(client, maker)?;
                } else if maker.chance(10) {
                    let key = maker.any_key();
                    self.lapse(client, &key)?;
                } else {
                    self.walk(client, &maker.walk())?;
                }
                continue;
            }
            if self.clients[client].listens
                && self.clients[client].queue.is_none()
                && maker.chance(15)
            {
                self.turn_away(client)?;
            }
            let command = maker.command();
            if self.swaps_under_waiters(client, &command) || self.nests_replies(client, &command) {
                continue;
            }
            let typed = if maker.chance(5) { inline(&command) } else { None };
            self.step(client, &command, &typed.unwrap_or_else(|| encode(&command)))?;
        }
        let blocked = self.clients.iter().filter(|both| both.blocked.is_some()).count();
        if blocked > 0 && !self.admin.sees_blocked(blocked) {
            return Err("we let a client wait that Redis serves".to_owned());
        }
        Ok(())
    }
}

/// All that a SCAN finds; or the reply, if it is none.
fn follow(
    command: &Command,
    pairs: bool,
    mut ask: impl FnMut(&[u8]) -> Vec<u8>,
) -> BTreeSet<String> {
    let mut command = command.clone();
    let cursor = if command[0].len() == 4 { 1 } else { 2 };
    let mut found = BTreeSet::new();
    for _ in 0..1000 {
        let reply = ask(&encode(&command));
        let Some((parts, next)) = reply::scanned(&reply, pairs) else {
            found.insert(show(&reply));
            return found;
        };
        found.extend(parts.iter().map(|part| show(part)));
        if next == b"0" {
            return found;
        }
        command[cursor] = next;
    }
    panic!("{} does not end", show_command(&command));
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[expect(clippy::print_stdout, reason = "who runs the test should know")]
/// The server, or `None` if there is none and none is required.
fn start() -> Option<Redis> {
    match Redis::start() {
        Ok(redis) => Some(redis),
        Err(why) => {
            let required = std::env::var_os("LOCUM_REQUIRE_NETNS").is_some_and(|v| v == "1");
            assert!(!required, "{why}");
            println!("not compared with Redis: {why}");
            None
        }
    }
}

fn run_round(redis: &Redis, admin: &mut Client, seed: u64) -> Result<(), String> {
    assert!(admin.sees_blocked(0), "the clients of the last round are gone");
    assert_eq!(admin.ask(b"FLUSHALL\r\n"), b"+OK\r\n");
    let now = wall();
    let mut ours = Bench::new(Kv::new(now, seed, None));
    let client = |ours: &mut Bench<Kv>| Both {
        theirs: redis.connect(),
        flow: ours.open(),
        seen: 0,
        queue: None,
        blocked: None,
        listens: false,
    };
    let clients = vec![client(&mut ours), client(&mut ours)];
    let mut round = Round { ours, clients, admin, log: Vec::new() };
    let mut maker = Maker::new(seed, u64::try_from(now.as_millis()).expect("a time"));
    round.run(&mut maker).map_err(|what| {
        let from = round.log.len().saturating_sub(SHOWN);
        format!("seed {seed}, after\n{}\n{what}", round.log[from..].join("\n"))
    })
}

#[test]
fn random_commands_have_the_replies_of_redis() {
    let Some(redis) = start() else { return };
    let mut admin = redis.connect();
    let rounds = number("LOCUM_KV_COMMANDS").unwrap_or(COMMANDS).div_ceil(ROUND);
    let first = number("LOCUM_KV_SEED").unwrap_or(1);
    let mut failures = Vec::new();
    for seed in first..first + rounds {
        failures.extend(run_round(&redis, &mut admin, seed).err());
        if failures.len() >= FAILURES {
            break;
        }
    }
    assert!(failures.is_empty(), "{}\n{} rounds failed", failures.join("\n\n"), failures.len());
}

#[test]
fn commands_are_described_as_redis_describes_them() {
    let Some(redis) = start() else { return };
    let mut theirs = redis.connect();
    let mut ours = Bench::new(Kv::new(wall(), 1, None));
    let flow = ours.open();
    let mut ask_us = |line: &str| {
        let seen = ours.record(flow).sent.len();
        ours.data(flow, line.as_bytes());
        ours.drain(flow);
        ours.record(flow).sent[seen..].to_vec()
    };
    let names = reply::texts(&ask_us("COMMAND LIST\r\n"));
    assert!(names.len() > 150, "{names:?}");
    for name in names {
        let info = format!("COMMAND INFO {name}\r\n");
        let described = reply::described(&ask_us(&info), true);
        assert!(described.is_some(), "{name}");
        assert_eq!(described, reply::described(&theirs.ask(info.as_bytes()), false), "{name}");
        let docs = format!("COMMAND DOCS {name}\r\n");
        let documented = reply::documented(&ask_us(&docs));
        assert_eq!(documented.as_ref().map(BTreeSet::len), Some(2), "{name}");
        assert_eq!(documented, reply::documented(&theirs.ask(docs.as_bytes())), "{name}");
    }
}

#[test]
fn what_is_no_command_ends_a_connection_with_the_words_of_redis() {
    let Some(redis) = start() else { return };
    let mut redis_ended = redis.connect();
    redis_ended.ask(b"PING\r\n");
    for input in [
        "*x\r\n",
        "*1048577000000\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$x\r\n",
        "*1\r\n\r\n",
        "get \"a\r\n",
        "get 'a\r\n",
        "set a \"b\"c\r\n",
        "*-5\r\nQUIT\r\n",
        "*0\r\n\r\n  \r\nQUIT\r\n",
        "echo \"a\\x41\\n\\t\\\"\"\nquit\n",
        "echo 'it\\'s \\n'\r\nquit\r\n",
        "*1\r\n$4\r\nQUIT\r\nPING\r\n",
        "*01\r\n$4\r\nQUIT\r\n",
        "*+1\r\n$4\r\nQUIT\r\n",
        "multi\r\nquit\r\n",
    ] {
        let mut ours = Bench::new(Kv::new(wall(), 1, None));
        let flow = ours.open();
        ours.data(flow, input.as_bytes());
        ours.drain(flow);
        assert!(ours.record(flow).closed, "{input:?}");
        let mut theirs = redis.connect();
        theirs.send(input.as_bytes());
        let (ours, theirs) = (show(&ours.record(flow).sent), show(&theirs.rest()));
        assert_eq!(ours, theirs, "ours and theirs to {input:?}");
    }
}
